//! Triggers of endpoints, and their firings.
//!
//! Always true: the state of a trigger is changed only by who knows how often it was before, so that
//! of several that saw the same, one acts; a trigger fires once for a replay; gateways hear where
//! live events begin or end to be watched. Absent on purpose: what is judged, and what is done.

use std::collections::BTreeSet;

use types::{EndpointId, Name, RunId};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;
use crate::words::words;

words! {
    /// Where a trigger stands.
    pub enum TriggerState {
        /// It is watched for its condition to be so.
        Armed = "armed",
        /// What is to be done was done.
        Fired = "fired",
        /// It is to be done, and could not be yet.
        Blocked = "blocked",
    }
}

/// A trigger.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerRow {
    pub endpoint_id: EndpointId,
    pub name: Name,
    /// What is watched, and what is done.
    pub spec: serde_json::Value,
    /// Whether it is of live events, and not of replays.
    pub live: bool,
    pub state: TriggerState,
    /// How often its state has changed.
    pub changes: u64,
    /// The change of modes that held when its state changed last.
    pub modes_number: u64,
    /// The number of its newest firing; 0 where there is none.
    pub firing: u64,
    pub created_by: String,
    pub created_at_ms: u64,
}

/// A firing.
#[derive(Clone, Debug, PartialEq)]
pub struct FiringRow {
    pub endpoint_id: EndpointId,
    /// Counts the endpoint's firings from 1.
    pub number: u64,
    pub trigger: Name,
    pub run_id: Option<RunId>,
    pub at_ms: u64,
    /// What it saw, and what was done.
    pub told: serde_json::Value,
}

fn trigger(row: &Row) -> Result<TriggerRow, Error> {
    Ok(TriggerRow {
        endpoint_id: row.get("endpoint_id")?,
        name: row.get("name")?,
        spec: row.get("spec")?,
        live: row.get("live")?,
        state: row.get("state")?,
        changes: row.get("changes")?,
        modes_number: row.get("modes_number")?,
        firing: row.get("firing")?,
        created_by: row.get("created_by")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}

fn firing(row: &Row) -> Result<FiringRow, Error> {
    Ok(FiringRow {
        endpoint_id: row.get("endpoint_id")?,
        number: row.get("number")?,
        trigger: row.get("trigger_name")?,
        run_id: row.get("run_id")?,
        at_ms: row.get("at_ms")?,
        told: row.get("told")?,
    })
}

/// Adds a trigger. [`Error::Unique`] when the endpoint has one of that name.
pub async fn trigger_insert(tx: &mut Tx<'_>, row: &TriggerRow) -> Result<(), Error> {
    tx.sql("insert a trigger", include_str!("trigger_insert.sql"))
        .bind(&row.endpoint_id)
        .bind(&row.name)
        .bind(&row.spec)
        .bind(&row.live)
        .bind(&row.state)
        .bind(&row.modes_number)
        .bind(&row.created_by)
        .bind(&row.created_at_ms)
        .run()
        .await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Removes a trigger, and tells whether there was one. What it did can still be seen.
pub async fn trigger_delete(tx: &mut Tx<'_>, id: EndpointId, name: &Name) -> Result<bool, Error> {
    let text = "DELETE FROM endpoint_triggers WHERE endpoint_id = $1 AND name = $2";
    let deleted = tx.sql("remove a trigger", text).bind(&id).bind(name).run().await?;
    feed_bump(tx, Topic::Routes);
    Ok(deleted == 1)
}

/// The triggers of an endpoint, by name.
pub async fn triggers_list(tx: &mut Tx<'_>, id: EndpointId) -> Result<Vec<TriggerRow>, Error> {
    let list = tx.sql("list triggers", include_str!("triggers_list.sql"));
    list.bind(&id).every().await?.iter().map(trigger).collect()
}

/// Every endpoint that has a trigger of live events, which gateways and reconcilers watch.
pub async fn triggers_watched(tx: &mut Tx<'_>) -> Result<BTreeSet<EndpointId>, Error> {
    let text = "SELECT DISTINCT endpoint_id FROM endpoint_triggers WHERE live = 1";
    let rows = tx.sql("list endpoints that are watched", text).every().await?;
    rows.iter().map(|row| row.get("endpoint_id")).collect()
}

/// Every trigger of live events, by endpoints.
pub async fn triggers_list_live(tx: &mut Tx<'_>) -> Result<Vec<TriggerRow>, Error> {
    let rows = tx.sql("list live triggers", include_str!("triggers_live.sql")).every().await?;
    rows.iter().map(trigger).collect()
}

/// Changes where a trigger stands, as `row` has it, where nobody has since it was read; tells whether
/// nobody had.
pub async fn trigger_change(tx: &mut Tx<'_>, row: &TriggerRow) -> Result<bool, Error> {
    let change = tx.sql("change a trigger", include_str!("trigger_change.sql"));
    let change = change.bind(&row.endpoint_id).bind(&row.name).bind(&row.changes).bind(&row.state);
    Ok(change.bind(&row.modes_number).bind(&row.firing).run().await? == 1)
}

/// The number of an endpoint's next firing.
pub async fn firing_next(tx: &mut Tx<'_>, id: EndpointId) -> Result<u64, Error> {
    let text = "SELECT COALESCE(MAX(number), 0) + 1 AS next FROM endpoint_firings
        WHERE endpoint_id = $1";
    tx.sql("number a firing", text).bind(&id).only().await?.get("next")
}

/// Adds a firing, and forgets those that are `kept` or more before it. [`Error::Unique`] when the
/// trigger has fired for that run.
pub async fn firing_insert(tx: &mut Tx<'_>, row: &FiringRow, kept: u64) -> Result<(), Error> {
    tx.sql("insert a firing", include_str!("firing_insert.sql"))
        .bind(&row.endpoint_id)
        .bind(&row.number)
        .bind(&row.trigger)
        .bind(&row.run_id)
        .bind(&row.at_ms)
        .bind(&row.told)
        .run()
        .await?;
    let before = row.number.saturating_sub(kept);
    for text in [
        "DELETE FROM endpoint_firings WHERE endpoint_id = $1 AND number <= $2",
        "DELETE FROM endpoint_notices WHERE endpoint_id = $1 AND firing <= $2",
    ] {
        let forget = tx.sql("forget firings", text).bind(&row.endpoint_id).bind(&before);
        forget.run().await?;
    }
    Ok(())
}

/// Says anew what was done by a firing.
pub async fn firing_tell(
    tx: &mut Tx<'_>,
    (id, number): (EndpointId, u64),
    told: &serde_json::Value,
) -> Result<(), Error> {
    let text = "UPDATE endpoint_firings SET told = $3 WHERE endpoint_id = $1 AND number = $2";
    tx.sql("tell of a firing", text).bind(&id).bind(&number).bind(told).run().await.map(drop)
}

/// The firings of an endpoint before one, the newest first, at most `limit`.
pub async fn firings_list(
    tx: &mut Tx<'_>,
    id: EndpointId,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<FiringRow>, Error> {
    let list = tx.sql("list firings", include_str!("firings_list.sql"));
    let before = before.unwrap_or(i64::MAX.unsigned_abs());
    let rows = list.bind(&id).bind(&before).bind(&limit).every().await?;
    rows.iter().map(firing).collect()
}

/// The firing of a trigger by a run, where there was one.
pub async fn firing_of_run(
    tx: &mut Tx<'_>,
    (id, name): (EndpointId, &Name),
    run: RunId,
) -> Result<Option<FiringRow>, Error> {
    let fetch = tx.sql("fetch a run's firing", include_str!("firing_of_run.sql"));
    let rows = fetch.bind(&id).bind(name).bind(&run).every().await?;
    rows.first().map(firing).transpose()
}
