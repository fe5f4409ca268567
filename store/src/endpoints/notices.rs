//! Notices: who is to be told of a trigger that fired, and what became of that.
//!
//! States: waiting → running → (told | failed | waiting). Always true: a notice is told by one
//! process at a time, as long as that says in time what became of it; whoever no longer has it
//! changes nothing; what became of it stays as long as its firing.

use types::{AccountId, EndpointId, EventId, Name};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;
use crate::words::words;

words! {
    /// How somebody is told.
    pub enum NoticeKind {
        /// By a request to a URL.
        Webhook = "webhook",
        /// By an e-mail.
        Email = "email",
    }
}

words! {
    /// Where a notice is.
    pub enum NoticeState {
        /// It is told when it is due.
        Waiting = "waiting",
        /// It is told now, or was lost when it is due.
        Running = "running",
        /// It was taken.
        Told = "told",
        /// It was given up; `error` says why.
        Failed = "failed",
    }
}

/// A notice.
#[derive(Clone, Debug, PartialEq)]
pub struct NoticeRow {
    pub id: EventId,
    pub endpoint_id: EndpointId,
    /// The number of the firing.
    pub firing: u64,
    /// Which of the firing's actions it is, from 0.
    pub place: u32,
    pub kind: NoticeKind,
    /// A URL, or an address.
    pub recipient: String,
    /// What it is about, in a line.
    pub subject: String,
    /// JSON for a webhook, and text for an e-mail.
    pub payload: String,
    pub state: NoticeState,
    /// Attempts that were begun.
    pub attempts: u32,
    /// Those that the recipient refused.
    pub failures: u32,
    /// When it is told; while it is, when that is taken for lost.
    pub due_at_ms: u64,
    pub accepted_at_ms: u64,
    pub error: Option<String>,
}

fn notice(row: &Row) -> Result<NoticeRow, Error> {
    Ok(NoticeRow {
        id: row.get("id")?,
        endpoint_id: row.get("endpoint_id")?,
        firing: row.get("firing")?,
        place: row.get("place")?,
        kind: row.get("kind")?,
        recipient: row.get("recipient")?,
        subject: row.get("subject")?,
        payload: row.get("payload")?,
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        failures: row.get("failures")?,
        due_at_ms: row.get("due_at_ms")?,
        accepted_at_ms: row.get("accepted_at_ms")?,
        error: row.get("error")?,
    })
}

/// Adds a notice, to be told at once.
pub async fn notice_insert(tx: &mut Tx<'_>, row: &NoticeRow) -> Result<(), Error> {
    tx.sql("insert a notice", include_str!("notice_insert.sql"))
        .bind(&row.id)
        .bind(&row.endpoint_id)
        .bind(&row.firing)
        .bind(&row.place)
        .bind(&row.kind)
        .bind(&row.recipient)
        .bind(&row.subject)
        .bind(&row.payload)
        .bind(&row.due_at_ms)
        .bind(&row.accepted_at_ms)
        .run()
        .await?;
    feed_bump(tx, Topic::Events);
    Ok(())
}

/// When the next notice is due; none where there is none.
pub async fn notices_next_due(tx: &mut Tx<'_>) -> Result<Option<u64>, Error> {
    let text = "SELECT MIN(due_at_ms) AS due FROM endpoint_notices
        WHERE state IN ('waiting', 'running')";
    tx.sql("see when a notice is due", text).only().await?.get("due")
}

/// Takes at most `limit` notices that are due, each until `lost_at_ms`, with the account whose they
/// are.
pub async fn notices_take(
    tx: &mut Tx<'_>,
    (now_ms, lost_at_ms): (u64, u64),
    limit: u32,
) -> Result<Vec<(NoticeRow, AccountId, Name)>, Error> {
    let due = tx.sql("list notices that are due", include_str!("notices_due.sql"));
    let rows = due.bind(&now_ms).bind(&limit).every().await?;
    let mut taken = Vec::new();
    for row in &rows {
        let (account, name) = (row.get("account_id")?, row.get("account_name")?);
        let row = notice(row)?;
        let take = tx.sql("take a notice", include_str!("notice_take.sql"));
        let take = take.bind(&row.id).bind(&row.attempts).bind(&row.due_at_ms).bind(&lost_at_ms);
        // Another process may have been quicker.
        if take.run().await? == 1 {
            let (state, attempts) = (NoticeState::Running, row.attempts + 1);
            taken.push((
                NoticeRow { state, attempts, due_at_ms: lost_at_ms, ..row },
                account,
                name,
            ));
        }
    }
    Ok(taken)
}

/// Keeps a notice that is told by this attempt until `lost_at_ms`.
pub async fn notice_renew(
    tx: &mut Tx<'_>,
    (id, attempt): (EventId, u32),
    lost_at_ms: u64,
) -> Result<(), Error> {
    let text = "UPDATE endpoint_notices SET due_at_ms = $3
        WHERE id = $1 AND attempts = $2 AND state = 'running'";
    let renew = tx.sql("keep a notice", text).bind(&id).bind(&attempt).bind(&lost_at_ms);
    renew.run().await.map(drop)
}

/// Fetches a notice.
pub async fn notice_fetch(tx: &mut Tx<'_>, id: EventId) -> Result<NoticeRow, Error> {
    let row = tx.sql("fetch a notice", include_str!("notice_fetch.sql")).bind(&id).first().await?;
    let missing = || Error::NotFound { what: "notice", id: id.to_string() };
    notice(&row.ok_or_else(missing)?)
}

/// Says what became of a notice that is told by its attempt `row.attempts`.
pub async fn notice_settle(tx: &mut Tx<'_>, row: &NoticeRow) -> Result<(), Error> {
    tx.sql("settle a notice", include_str!("notice_settle.sql"))
        .bind(&row.id)
        .bind(&row.attempts)
        .bind(&row.state)
        .bind(&row.failures)
        .bind(&row.due_at_ms)
        .bind(&row.error)
        .run()
        .await?;
    feed_bump(tx, Topic::Events);
    Ok(())
}

/// The notices of an endpoint's firings from one number to another, both included.
pub async fn notices_list(
    tx: &mut Tx<'_>,
    id: EndpointId,
    (from, to): (u64, u64),
) -> Result<Vec<NoticeRow>, Error> {
    let list = tx.sql("list notices", include_str!("notices_list.sql"));
    let rows = list.bind(&id).bind(&from).bind(&to).every().await?;
    rows.iter().map(notice).collect()
}
