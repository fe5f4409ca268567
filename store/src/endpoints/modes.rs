//! Modes: how the variants of endpoints are used, from when on, who decided it and why.
//!
//! Always true: what was once decided is never changed, so that it can be restored; the newest holds,
//! and is written only by who knows which one was the newest before; gateways hear of each.

use std::collections::BTreeMap;

use types::EndpointId;

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;

/// How an endpoint's variants are used.
#[derive(Clone, Debug, PartialEq)]
pub struct ModesRow {
    pub endpoint_id: EndpointId,
    /// Counts the endpoint's changes from 1.
    pub number: u64,
    pub modes: serde_json::Value,
    pub decided_by: String,
    pub reason: String,
    pub at_ms: u64,
}

fn modes(row: &Row) -> Result<ModesRow, Error> {
    Ok(ModesRow {
        endpoint_id: row.get("endpoint_id")?,
        number: row.get("number")?,
        modes: row.get("modes")?,
        decided_by: row.get("decided_by")?,
        reason: row.get("reason")?,
        at_ms: row.get("at_ms")?,
    })
}

/// Adds a change, which holds from now on. [`Error::Unique`] when another had the number first.
pub async fn modes_insert(tx: &mut Tx<'_>, row: &ModesRow) -> Result<(), Error> {
    tx.sql("insert modes", include_str!("modes_insert.sql"))
        .bind(&row.endpoint_id)
        .bind(&row.number)
        .bind(&row.modes)
        .bind(&row.decided_by)
        .bind(&row.reason)
        .bind(&row.at_ms)
        .run()
        .await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// The changes of an endpoint before one, the newest first, at most `limit`.
pub async fn modes_list(
    tx: &mut Tx<'_>,
    id: EndpointId,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<ModesRow>, Error> {
    let list = tx.sql("list modes", include_str!("modes_list.sql"));
    let before = before.unwrap_or(i64::MAX.unsigned_abs());
    let rows = list.bind(&id).bind(&before).bind(&limit).every().await?;
    rows.iter().map(modes).collect()
}

/// What holds for every endpoint that has variants, for routes.
pub async fn modes_list_all(tx: &mut Tx<'_>) -> Result<BTreeMap<EndpointId, ModesRow>, Error> {
    let rows = tx.sql("list all modes", include_str!("modes_all.sql")).every().await?;
    rows.iter().map(|row| modes(row).map(|row| (row.endpoint_id, row))).collect()
}
