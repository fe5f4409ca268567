//! Counts: what each variant answered and how often badly; and gates and bakes, which look at them.
//!
//! Always true: counts only grow. Absent on purpose: who called.

use std::collections::BTreeMap;

use types::EndpointId;

use crate::Tx;
use crate::error::Error;
use crate::statement::Row;

/// What a variant answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountsRow {
    pub requests: u64,
    pub failures: u64,
}

fn counts(row: &Row) -> Result<CountsRow, Error> {
    Ok(CountsRow { requests: row.get("requests")?, failures: row.get("failures")? })
}

/// Adds to what a variant answered.
pub async fn counts_add(tx: &mut Tx<'_>, id: EndpointId, more: CountsRow) -> Result<(), Error> {
    let add = tx.sql("count answers", include_str!("counts_add.sql"));
    add.bind(&id).bind(&more.requests).bind(&more.failures).run().await.map(drop)
}

/// What some variants answered; nothing of those that answered nothing.
pub async fn counts_fetch(
    tx: &mut Tx<'_>,
    ids: &[EndpointId],
) -> Result<BTreeMap<EndpointId, CountsRow>, Error> {
    let mut all = BTreeMap::new();
    for id in ids {
        let text = "SELECT requests, failures FROM endpoint_counts WHERE endpoint_id = $1";
        if let Some(row) = tx.sql("fetch counts of answers", text).bind(id).first().await? {
            all.insert(*id, counts(&row)?);
        }
    }
    Ok(all)
}

/// Notes what had been counted when the bake of a change began, of what its variants are since then,
/// unless that was noted; gives what was.
pub async fn bake_begin(
    tx: &mut Tx<'_>,
    id: EndpointId,
    (number, since_ms): (u64, u64),
    began: &serde_json::Value,
) -> Result<serde_json::Value, Error> {
    let note = tx.sql("begin a bake", include_str!("bake_begin.sql"));
    note.bind(&id).bind(&number).bind(began).bind(&since_ms).run().await?;
    let text = "SELECT began FROM endpoint_bakes WHERE endpoint_id = $1";
    tx.sql("fetch a bake", text).bind(&id).only().await?.get("began")
}

/// Sets the gate of an endpoint.
pub async fn gate_put(
    tx: &mut Tx<'_>,
    id: EndpointId,
    gate: &serde_json::Value,
) -> Result<(), Error> {
    let put = tx.sql("set a gate", include_str!("gate_put.sql"));
    put.bind(&id).bind(gate).run().await.map(drop)
}

/// The gate of an endpoint, where it has one.
pub async fn gate_fetch(
    tx: &mut Tx<'_>,
    id: EndpointId,
) -> Result<Option<serde_json::Value>, Error> {
    let text = "SELECT gate FROM endpoint_gates WHERE endpoint_id = $1";
    let row = tx.sql("fetch a gate", text).bind(&id).first().await?;
    row.map(|row| row.get("gate")).transpose()
}

/// Takes the gate of an endpoint away. Doing so again changes nothing.
pub async fn gate_delete(tx: &mut Tx<'_>, id: EndpointId) -> Result<(), Error> {
    let text = "DELETE FROM endpoint_gates WHERE endpoint_id = $1";
    tx.sql("remove a gate", text).bind(&id).run().await.map(drop)
}
