//! Events: calls of functions that nobody waits for, kept until they were run.
//!
//! States: waiting → running → (gone | waiting | dead); dead → waiting when driven again.
//! Always true: an event is run by one process at a time, as long as that tells in time what became
//! of it; of two that take it, one gets it; whoever no longer has it changes nothing.

use types::{EventId, FunctionId};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;
use crate::words::words;

words! {
    /// Where an event is.
    pub enum EventState {
        /// It is to run when it is due.
        Waiting = "waiting",
        /// It runs, or was lost when it is due.
        Running = "running",
        /// It was given up, and is kept to be looked at.
        Dead = "dead",
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    pub id: EventId,
    pub function_id: FunctionId,
    /// A version or alias; empty for the latest.
    pub qualifier: String,
    /// The URL that is told, in place of a run; empty where the function runs.
    pub webhook: String,
    /// Destinations that were told before this one, each of what became of the one before.
    pub told: u32,
    /// JSON, as it came.
    pub payload: String,
    pub state: EventState,
    /// Runs that were begun.
    pub attempts: u32,
    /// Runs in which the function itself failed.
    pub failures: u32,
    /// When it runs; while it does, when it is taken for lost.
    pub due_at_ms: u64,
    pub accepted_at_ms: u64,
    /// How each attempt failed, in order.
    pub history: serde_json::Value,
}

impl EventRow {
    /// An event that is to run, or to be told, at once.
    pub fn new(id: EventId, function_id: FunctionId, payload: String, now_ms: u64) -> Self {
        Self {
            id,
            function_id,
            qualifier: String::new(),
            webhook: String::new(),
            told: 0,
            payload,
            state: EventState::Waiting,
            attempts: 0,
            failures: 0,
            due_at_ms: now_ms,
            accepted_at_ms: now_ms,
            history: serde_json::json!([]),
        }
    }
}

fn event(row: &Row) -> Result<EventRow, Error> {
    Ok(EventRow {
        id: row.get("id")?,
        function_id: row.get("function_id")?,
        qualifier: row.get("qualifier")?,
        webhook: row.get("webhook")?,
        told: row.get("told")?,
        payload: row.get("payload")?,
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        failures: row.get("failures")?,
        due_at_ms: row.get("due_at_ms")?,
        accepted_at_ms: row.get("accepted_at_ms")?,
        history: row.get("history")?,
    })
}

/// Adds an event of a function that is there, and tells whether it is there now. Adding one that
/// was there changes nothing.
pub async fn event_insert(tx: &mut Tx<'_>, row: &EventRow) -> Result<bool, Error> {
    let added = tx
        .sql("insert an event", include_str!("insert_event.sql"))
        .bind(&row.id)
        .bind(&row.function_id)
        .bind(&row.qualifier)
        .bind(&row.payload)
        .bind(&row.state)
        .bind(&row.attempts)
        .bind(&row.failures)
        .bind(&row.due_at_ms)
        .bind(&row.accepted_at_ms)
        .bind(&row.history)
        .bind(&row.webhook)
        .bind(&row.told)
        .run()
        .await?;
    feed_bump(tx, Topic::Events);
    match added {
        0 => match event_fetch(tx, row.id).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        },
        _ => Ok(true),
    }
}

/// Keeps an event that runs this attempt until `lost_at_ms`, and tells whether it still does.
pub async fn event_renew(
    tx: &mut Tx<'_>,
    (id, attempt): (EventId, u32),
    lost_at_ms: u64,
) -> Result<bool, Error> {
    let renew = tx.sql("keep an event", include_str!("renew_event.sql"));
    Ok(renew.bind(&id).bind(&attempt).bind(&lost_at_ms).run().await? == 1)
}

/// Takes at most `limit` events that are due, each until `lost_at_ms`.
pub async fn events_take(
    tx: &mut Tx<'_>,
    (now_ms, lost_at_ms): (u64, u64),
    limit: u32,
) -> Result<Vec<EventRow>, Error> {
    let due = tx.sql("list events that are due", include_str!("due_events.sql"));
    let rows = due.bind(&now_ms).bind(&limit).every().await?;
    let mut taken = Vec::new();
    for row in &rows {
        let row = event(row)?;
        let take = tx.sql("take an event", include_str!("take_event.sql"));
        let take = take.bind(&row.id).bind(&row.attempts).bind(&row.due_at_ms).bind(&lost_at_ms);
        // Another process may have been quicker.
        if take.run().await? == 1 {
            let (state, attempts) = (EventState::Running, row.attempts + 1);
            taken.push(EventRow { state, attempts, due_at_ms: lost_at_ms, ..row });
        }
    }
    Ok(taken)
}

/// When the next event is due; none where there is none.
pub async fn events_next_due(tx: &mut Tx<'_>) -> Result<Option<u64>, Error> {
    let text = "SELECT MIN(due_at_ms) AS due FROM function_events WHERE state <> 'dead'";
    tx.sql("see when an event is due", text).only().await?.get("due")
}

/// Fetches one event.
pub async fn event_fetch(tx: &mut Tx<'_>, id: EventId) -> Result<EventRow, Error> {
    let row = tx.sql("fetch an event", include_str!("fetch_event.sql")).bind(&id).first().await?;
    let missing = || Error::NotFound { what: "event", id: id.to_string() };
    event(&row.ok_or_else(missing)?)
}

/// Replaces an event that runs its attempt `row.attempts`, and tells whether it still did.
pub async fn event_put_back(tx: &mut Tx<'_>, row: &EventRow) -> Result<bool, Error> {
    let changed = tx
        .sql("put an event back", include_str!("put_back_event.sql"))
        .bind(&row.id)
        .bind(&row.attempts)
        .bind(&row.state)
        .bind(&row.failures)
        .bind(&row.due_at_ms)
        .bind(&row.history)
        .run()
        .await?;
    feed_bump(tx, Topic::Events);
    Ok(changed == 1)
}

/// Removes an event that runs this attempt, and tells whether it still did.
pub async fn event_finish(tx: &mut Tx<'_>, id: EventId, attempt: u32) -> Result<bool, Error> {
    let text = "DELETE FROM function_events WHERE id = $1 AND attempts = $2 AND state = 'running'";
    Ok(tx.sql("finish an event", text).bind(&id).bind(&attempt).run().await? == 1)
}

/// Lists the dead events of a function by id, after one, at most `limit`.
pub async fn events_list_dead(
    tx: &mut Tx<'_>,
    id: FunctionId,
    after: Option<EventId>,
    limit: u32,
) -> Result<Vec<EventRow>, Error> {
    let after = after.map_or_else(String::new, |id| id.to_string());
    let list = tx.sql("list dead events", include_str!("dead_events.sql"));
    let rows = list.bind(&id).bind(&after).bind(&limit).every().await?;
    rows.iter().map(event).collect()
}

/// Has a dead event of a function run again, and tells whether there was one.
pub async fn event_redrive(
    tx: &mut Tx<'_>,
    (function, id): (FunctionId, EventId),
    now_ms: u64,
) -> Result<bool, Error> {
    let redrive = tx.sql("drive an event again", include_str!("redrive_event.sql"));
    let changed = redrive.bind(&id).bind(&function).bind(&now_ms).run().await?;
    feed_bump(tx, Topic::Events);
    Ok(changed == 1)
}

/// Forgets a dead event of a function, and tells whether there was one.
pub async fn event_forget(
    tx: &mut Tx<'_>,
    (function, id): (FunctionId, EventId),
) -> Result<bool, Error> {
    let text = "DELETE FROM function_events
        WHERE id = $1 AND function_id = $2 AND state = 'dead'";
    Ok(tx.sql("forget an event", text).bind(&id).bind(&function).run().await? == 1)
}

/// Forgets dead events that were given up before then, and gives how many.
pub async fn events_trim(tx: &mut Tx<'_>, before_ms: u64) -> Result<u64, Error> {
    let text = "DELETE FROM function_events WHERE state = 'dead' AND due_at_ms < $1";
    tx.sql("forget dead events", text).bind(&before_ms).run().await
}
