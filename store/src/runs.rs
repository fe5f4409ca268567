//! Runs: replays of streams' events, how far each is, and what was measured.
//!
//! States: waiting, running, then succeeded, stopped or failed. Always true: a run is sent by one
//! gateway, which alone reports of it; a run that has ended does not change; gateways hear of each
//! that is made or is to stop, but of one that follows another only once that has ended; one run
//! follows another at most. Absent on purpose: records of requests, which gateways hold.

use types::{AccountId, EndpointId, Name, RunId, StreamId};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;
use crate::words::words;

words! {
    /// Where a run stands.
    pub enum RunState {
        /// No gateway has begun it.
        Waiting = "waiting",
        /// Events are being sent.
        Running = "running",
        /// It came to its end.
        Succeeded = "succeeded",
        /// It was stopped before its end.
        Stopped = "stopped",
        /// It could not go on; `error` says why.
        Failed = "failed",
    }
}

impl RunState {
    /// Whether nothing changes any more.
    pub const fn ended(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    pub id: RunId,
    pub account_id: AccountId,
    pub endpoint_id: EndpointId,
    pub stream_id: StreamId,
    /// What was asked for.
    pub spec: serde_json::Value,
    pub state: RunState,
    pub stop_wanted: bool,
    /// The gateway that sends it; none before one has begun.
    pub gateway: Option<String>,
    /// How far it is.
    pub progress: Option<serde_json::Value>,
    /// What was measured.
    pub outcome: Option<serde_json::Value>,
    pub error: Option<String>,
    pub created_at_ms: u64,
    pub ended_at_ms: Option<u64>,
    /// The run that it follows; none where somebody asked for it.
    pub follows: Option<FollowsRow>,
}

/// Why a run follows another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowsRow {
    /// The other.
    pub run_id: RunId,
    /// The trigger that changed it.
    pub trigger: Name,
    /// How many changes led to it, one after the other.
    pub changes: u32,
}

/// What a gateway tells of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    pub state: RunState,
    pub progress: Option<serde_json::Value>,
    pub outcome: Option<serde_json::Value>,
    pub error: Option<String>,
}

fn run(row: &Row) -> Result<RunRow, Error> {
    let follows: (Option<RunId>, Option<Name>) = (row.get("before_id")?, row.get("trigger_name")?);
    let changes = row.get("changes")?;
    let follows = match follows {
        (Some(run_id), Some(trigger)) => Some(FollowsRow { run_id, trigger, changes }),
        _ => None,
    };
    Ok(RunRow {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        endpoint_id: row.get("endpoint_id")?,
        stream_id: row.get("stream_id")?,
        spec: row.get("spec")?,
        state: row.get("state")?,
        stop_wanted: row.get("stop_wanted")?,
        gateway: row.get("gateway")?,
        progress: row.get("progress")?,
        outcome: row.get("outcome")?,
        error: row.get("error")?,
        created_at_ms: row.get("created_at_ms")?,
        ended_at_ms: row.get("ended_at_ms")?,
        follows,
    })
}

/// Adds a run, which waits for its gateway. [`Error::Unique`] where another follows the same one.
pub async fn run_insert(tx: &mut Tx<'_>, row: &RunRow) -> Result<(), Error> {
    let follows = row.follows.as_ref();
    tx.sql("insert a run", include_str!("runs/insert.sql"))
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.endpoint_id)
        .bind(&row.stream_id)
        .bind(&row.spec)
        .bind(&row.state)
        .bind(&row.created_at_ms)
        .bind(&follows.map(|it| it.run_id))
        .bind(&follows.map(|it| it.trigger.clone()))
        .bind(&follows.map_or(0, |it| it.changes))
        .run()
        .await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// The run that follows another, where one does.
pub async fn run_after(tx: &mut Tx<'_>, id: RunId) -> Result<Option<RunId>, Error> {
    let text = "SELECT id FROM runs WHERE before_id = $1";
    let row = tx.sql("find the run that follows", text).bind(&id).first().await?;
    row.map(|row| row.get("id")).transpose()
}

/// Fetches a run.
pub async fn run_fetch(tx: &mut Tx<'_>, id: RunId) -> Result<RunRow, Error> {
    let row = tx.sql("fetch a run", include_str!("runs/fetch.sql")).bind(&id).first().await?;
    let missing = || Error::NotFound { what: "run", id: id.to_string() };
    run(&row.ok_or_else(missing)?)
}

/// Lists the runs of an account before one, the newest first, at most `limit`.
pub async fn runs_list(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    before: Option<RunId>,
    limit: u32,
) -> Result<Vec<RunRow>, Error> {
    // Behind every id: they are of lower-case letters, digits and dashes.
    let before = before.map_or_else(|| "~".to_owned(), |id| id.to_string());
    let list = tx.sql("list runs", include_str!("runs/list.sql"));
    let rows = list.bind(&account_id).bind(&before).bind(&limit).every().await?;
    rows.iter().map(run).collect()
}

/// The runs that have not ended, for routes; none that follows, also
/// by others between, one which has not.
pub async fn runs_list_live(tx: &mut Tx<'_>) -> Result<Vec<RunRow>, Error> {
    let rows = tx.sql("list live runs", include_str!("runs/live.sql")).every().await?;
    rows.iter().map(run).collect()
}

/// The runs of an endpoint that have not ended and are not to stop, the oldest first, at most `limit`.
pub async fn runs_under_way(
    tx: &mut Tx<'_>,
    endpoint_id: EndpointId,
    limit: u32,
) -> Result<Vec<RunRow>, Error> {
    let list = tx.sql("list runs under way", include_str!("runs/under_way.sql"));
    let rows = list.bind(&endpoint_id).bind(&limit).every().await?;
    rows.iter().map(run).collect()
}

/// Has a run stop; one that no gateway has begun ends at once. One that has ended, or is to stop
/// already, stays as it is.
pub async fn run_stop(tx: &mut Tx<'_>, id: RunId, now_ms: u64) -> Result<RunRow, Error> {
    let stop = tx.sql("stop a run", include_str!("runs/stop.sql"));
    stop.bind(&id).bind(&now_ms).run().await?;
    feed_bump(tx, Topic::Routes);
    run_fetch(tx, id).await
}

/// Stores what a gateway tells of a run; the first to tell of one is the one that sends it. What
/// another gateway tells, or tells too late, is told to be so and changes nothing.
pub async fn run_report(
    tx: &mut Tx<'_>,
    id: RunId,
    gateway: &str,
    report: &RunReport,
    now_ms: u64,
) -> Result<bool, Error> {
    let ended_at_ms = report.state.ended().then_some(now_ms);
    let changed = tx
        .sql("report of a run", include_str!("runs/report.sql"))
        .bind(&id)
        .bind(&gateway.to_owned())
        .bind(&report.state)
        .bind(&report.progress)
        .bind(&report.outcome)
        .bind(&report.error)
        .bind(&ended_at_ms)
        .bind(&now_ms)
        .run()
        .await?;
    if changed == 1 && ended_at_ms.is_some() {
        feed_bump(tx, Topic::Routes);
    }
    Ok(changed == 1)
}

/// Runs that have ended and that a trigger which was there then has not been asked about, those that
/// are due first, at most `limit`.
pub async fn runs_unjudged(tx: &mut Tx<'_>, now_ms: u64, limit: u32) -> Result<Vec<RunRow>, Error> {
    let list = tx.sql("list runs to be judged", include_str!("runs/unjudged.sql"));
    list.bind(&limit).bind(&now_ms).every().await?.iter().map(run).collect()
}

/// Has triggers judge a run again, not before a time.
pub async fn run_judge_later(tx: &mut Tx<'_>, id: RunId, at_ms: u64) -> Result<(), Error> {
    let text = "UPDATE runs SET judge_at_ms = $2 WHERE id = $1";
    tx.sql("judge a run later", text).bind(&id).bind(&at_ms).run().await.map(drop)
}

/// Has the gate be asked about a run again, not before a time.
pub async fn run_gate_later(tx: &mut Tx<'_>, id: RunId, at_ms: u64) -> Result<(), Error> {
    let text = "UPDATE runs SET gate_at_ms = $2 WHERE id = $1";
    tx.sql("ask a gate later", text).bind(&id).bind(&at_ms).run().await.map(drop)
}

/// Runs that have ended by a time and that no gate was asked about, those that are due first, at most
/// `limit`.
pub async fn runs_ungated(
    tx: &mut Tx<'_>,
    (ended_ms, now_ms): (u64, u64),
    limit: u32,
) -> Result<Vec<RunRow>, Error> {
    let list = tx.sql("list runs for gates", include_str!("runs/ungated.sql"));
    let rows = list.bind(&ended_ms).bind(&now_ms).bind(&limit).every().await?;
    rows.iter().map(run).collect()
}

/// Notes that the gate was asked about a run.
pub async fn run_gated(tx: &mut Tx<'_>, id: RunId) -> Result<(), Error> {
    let text = "UPDATE runs SET gated = 1 WHERE id = $1";
    tx.sql("note that a gate was asked", text).bind(&id).run().await.map(drop)
}

/// Notes that every trigger was asked about a run.
pub async fn run_judged(tx: &mut Tx<'_>, id: RunId) -> Result<(), Error> {
    let text = "UPDATE runs SET judged = 1 WHERE id = $1";
    tx.sql("note that a run was judged", text).bind(&id).run().await.map(drop)
}

/// Ends the runs that a gateway has begun and told nothing of since `silent_since_ms`: for this reason,
/// in words. Gives how many.
pub async fn runs_lose(
    tx: &mut Tx<'_>,
    silent_since_ms: u64,
    reason: &str,
    now_ms: u64,
) -> Result<u64, Error> {
    let statement = tx.sql("lose runs", include_str!("runs/lose.sql"));
    let silent = statement.bind(&silent_since_ms).bind(&reason.to_owned());
    let lost = silent.bind(&now_ms).run().await?;
    if lost > 0 {
        feed_bump(tx, Topic::Routes);
    }
    Ok(lost)
}

/// Forgets runs that ended before a time. Gives how many.
pub async fn runs_prune(tx: &mut Tx<'_>, before_ms: u64) -> Result<u64, Error> {
    let text = "DELETE FROM runs WHERE ended_at_ms IS NOT NULL AND ended_at_ms < $1";
    tx.sql("forget runs", text).bind(&before_ms).run().await
}
