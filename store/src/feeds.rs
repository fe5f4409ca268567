//! Feeds: how whoever keeps a copy of something in memory learns that it has changed.
//!
//! A topic has a generation that grows with every committed change. Followers that need to know
//! what has changed read the topic's changes; one that comes too late for them sees a gap, and
//! starts again from a snapshot.
//!
//! Always true: a generation strictly grows, in the order of the commits; a change stands in the
//! feed if and only if its transaction was committed. Functions of other modules enter their own
//! changes; a caller bumps a topic only for what the store cannot know.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use types::HostId;

use crate::error::Error;
use crate::{Store, Tx};

/// Something that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// What gateways follow: tokens, endpoints, ready instances.
    Routes,
    /// What the index follows: items, their sharing and versions. Subjects are item ids.
    Items,
    /// What those follow that run events of functions.
    Events,
    /// What the agent of a host follows: its assignments.
    Host(HostId),
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Routes => f.write_str("routes"),
            Self::Items => f.write_str("items"),
            Self::Events => f.write_str("events"),
            Self::Host(host) => write!(f, "host:{host}"),
        }
    }
}

/// Where a feed is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRow {
    /// The topic's text.
    pub topic: String,
    pub generation: u64,
    /// Changes up to this one are no longer kept.
    pub trimmed: u64,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRow {
    /// The topic's generation after it.
    pub sequence: u64,
    /// What has changed.
    pub subject: String,
}

/// What has changed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// These, oldest first; ask again after the last one.
    Rows(Vec<ChangeRow>),
    /// Some of them are no longer kept: take a snapshot, and go on after this generation, which
    /// was read in the same transaction.
    Gap {
        /// Where the feed is.
        generation: u64,
    },
}

/// What a transaction has changed, until it is committed.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    topics: BTreeMap<Topic, BTreeSet<String>>,
    /// Topics of this process only, and the number each has come to.
    raised: BTreeMap<String, u64>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.raised.is_empty()
    }

    /// Wakes those who wait for this topic in this process, once committed.
    pub(crate) fn raise(&mut self, topic: String, number: u64) {
        self.raised.insert(topic, number);
    }

    /// Tells the watchers of this process.
    pub(crate) fn announce(self, store: &Store) {
        for (topic, number) in self.raised {
            store.watchers().raise(&topic, number);
        }
    }
}

/// Notes that a topic has changed. Its generation grows when the transaction is committed.
pub fn feed_bump(tx: &mut Tx<'_>, topic: Topic) {
    tx.pending.topics.entry(topic).or_default();
}

/// Notes that `subject` has changed under a topic. Its generation grows when the transaction is
/// committed.
pub fn change_append(tx: &mut Tx<'_>, topic: Topic, subject: impl fmt::Display) {
    tx.pending.topics.entry(topic).or_default().insert(subject.to_string());
}

/// Writes what the transaction has noted, topics in their order, as its last statements.
pub(crate) async fn flush(tx: &mut Tx<'_>) -> Result<(), Error> {
    for (topic, subjects) in std::mem::take(&mut tx.pending.topics) {
        let topic = topic.to_string();
        let count = subjects.len().max(1) as u64;
        let row = tx.sql("bump a feed", include_str!("feeds/bump.sql")).bind(&topic).bind(&count);
        let generation: u64 = row.only().await?.get("generation")?;
        let first = generation - count + 1;
        for (sequence, subject) in (first..).zip(subjects) {
            tx.sql(
                "append a change",
                "INSERT INTO changes (topic, sequence, subject) VALUES ($1, $2, $3)",
            )
            .bind(&topic)
            .bind(&sequence)
            .bind(&subject)
            .run()
            .await?;
        }
        tx.pending.raised.insert(topic, generation);
    }
    Ok(())
}

/// Where a topic is; 0 when nothing was ever changed.
pub async fn feed_fetch(tx: &mut Tx<'_>, topic: Topic) -> Result<u64, Error> {
    let row = tx
        .sql("fetch a feed", "SELECT generation FROM feeds WHERE topic = $1")
        .bind(&topic.to_string())
        .first()
        .await?;
    row.map_or(Ok(0), |row| row.get("generation"))
}

/// Every topic, and where it is.
pub async fn feeds_list(tx: &mut Tx<'_>) -> Result<Vec<FeedRow>, Error> {
    let rows = tx
        .sql("list the feeds", "SELECT topic, generation, trimmed FROM feeds ORDER BY topic")
        .every()
        .await?;
    let read = |row: &crate::statement::Row| {
        Ok(FeedRow {
            topic: row.get("topic")?,
            generation: row.get("generation")?,
            trimmed: row.get("trimmed")?,
        })
    };
    rows.iter().map(read).collect()
}

/// The changes of a topic after sequence `after`, at most `limit` of them.
pub async fn changes_list(
    tx: &mut Tx<'_>,
    topic: Topic,
    after: u64,
    limit: u32,
) -> Result<Changes, Error> {
    let topic = topic.to_string();
    let feed = tx
        .sql("fetch a feed", "SELECT generation, trimmed FROM feeds WHERE topic = $1")
        .bind(&topic)
        .first()
        .await?;
    let Some(feed) = feed else {
        return Ok(if after == 0 {
            Changes::Rows(Vec::new())
        } else {
            Changes::Gap { generation: 0 }
        });
    };
    let (generation, trimmed): (u64, u64) = (feed.get("generation")?, feed.get("trimmed")?);
    // A follower ahead of the feed followed another database: one restored from a backup.
    if after < trimmed || after > generation {
        return Ok(Changes::Gap { generation });
    }
    let rows = tx
        .sql("list changes", include_str!("feeds/changes.sql"))
        .bind(&topic)
        .bind(&after)
        .bind(&limit)
        .every()
        .await?;
    let read = |row: &crate::statement::Row| {
        Ok(ChangeRow { sequence: row.get("sequence")?, subject: row.get("subject")? })
    };
    rows.iter().map(read).collect::<Result<_, Error>>().map(Changes::Rows)
}

/// Forgets all but the last `keep` changes of a topic.
pub async fn changes_trim(tx: &mut Tx<'_>, topic: Topic, keep: u32) -> Result<u64, Error> {
    let generation = feed_fetch(tx, topic).await?;
    let upto = generation.saturating_sub(u64::from(keep));
    let topic = topic.to_string();
    tx.sql("trim a feed", "UPDATE feeds SET trimmed = $2 WHERE topic = $1 AND trimmed < $2")
        .bind(&topic)
        .bind(&upto)
        .run()
        .await?;
    tx.sql("trim changes", "DELETE FROM changes WHERE topic = $1 AND sequence <= $2")
        .bind(&topic)
        .bind(&upto)
        .run()
        .await
}

/// Forgets the feed of a host that is gone.
pub async fn feed_delete(tx: &mut Tx<'_>, host: HostId) -> Result<(), Error> {
    let topic = Topic::Host(host).to_string();
    let text = "DELETE FROM feeds WHERE topic = $1";
    tx.sql("delete a feed", text).bind(&topic).run().await.map(|_| ())
}

impl Store {
    /// Where a topic is now; 0 when nothing was ever changed.
    ///
    /// # Errors
    ///
    /// As [`Store::read`].
    pub async fn feed_read(&self, topic: Topic) -> Result<u64, Error> {
        self.read("fetch a feed", |tx| Box::pin(feed_fetch(tx, topic))).await
    }

    /// Waits until a topic has passed generation `after`, or for `wait_ms` milliseconds, and says
    /// where it is. Dropping the future ends the wait.
    ///
    /// # Errors
    ///
    /// As [`Store::read`].
    pub async fn feed_wait(&self, topic: Topic, after: u64, wait_ms: u64) -> Result<u64, Error> {
        let deadline = Instant::now() + Duration::from_millis(wait_ms);
        let mut heard = self.watchers().subscribe(&topic.to_string());
        let mut known = self.feed_read(topic).await?;
        while known <= after && Instant::now() < deadline {
            let pause = Instant::now() + Duration::from_millis(self.poll_ms());
            let quiet = tokio::select! {
                () = async { drop(heard.wait_for(|number| *number > after).await) } => false,
                () = tokio::time::sleep_until(pause.min(deadline)) => true,
            };
            if quiet {
                self.poll_feeds().await?;
            }
            known = known.max(*heard.borrow());
        }
        Ok(known)
    }
}
