//! Watchers: who in this process waits for a topic to pass a number.
//!
//! A commit in this process wakes them at once. What other processes commit is found by asking
//! the database at intervals, once for all watchers of this process.
//!
//! Always true: what a watcher is told has been committed; numbers only grow.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::Error;
use crate::{Database, Store};

/// How long a commit of another control plane may stay unseen: a quarter of what is promised for
/// a revocation.
const POLL_MS_POSTGRES: u64 = 250;
/// The same where one process holds the file and others are guests, such as a command.
const POLL_MS_SQLITE: u64 = 1_000;

/// The topics that are watched now.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    topics: Mutex<BTreeMap<String, watch::Sender<u64>>>,
    /// When the database was last asked.
    polled: tokio::sync::Mutex<Option<Instant>>,
}

impl Watchers {
    /// Follows a topic; the value is the highest number heard of since, at first 0.
    pub(crate) fn subscribe(&self, topic: &str) -> watch::Receiver<u64> {
        let mut topics = self.topics.lock();
        topics.retain(|_, sender| sender.receiver_count() > 0);
        topics.entry(topic.to_owned()).or_default().subscribe()
    }

    /// Tells the watchers of a topic that it has come to `number`.
    pub(crate) fn raise(&self, topic: &str, number: u64) {
        if let Some(sender) = self.topics.lock().get(topic) {
            sender.send_if_modified(|known| {
                let newer = number > *known;
                *known = number.max(*known);
                newer
            });
        }
    }
}

impl Store {
    /// How often the database is asked for what others committed.
    pub(crate) fn poll_ms(&self) -> u64 {
        match self.database() {
            Database::Sqlite => POLL_MS_SQLITE,
            Database::Postgres => POLL_MS_POSTGRES,
        }
    }

    /// Asks the database where every feed is, unless another watcher has just done so.
    pub(crate) async fn poll_feeds(&self) -> Result<(), Error> {
        let mut polled = self.watchers().polled.lock().await;
        let interval = Duration::from_millis(self.poll_ms());
        if polled.is_some_and(|at| at.elapsed() < interval) {
            return Ok(());
        }
        for feed in self.read("poll the feeds", |tx| Box::pin(crate::feeds::feeds_list(tx))).await?
        {
            self.watchers().raise(&feed.topic, feed.generation);
        }
        *polled = Some(Instant::now());
        Ok(())
    }
}
