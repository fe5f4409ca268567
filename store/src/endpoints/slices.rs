//! Slices: what a variant answered within a stretch of time, for triggers to look at.
//!
//! Always true: slices of one width lie beside each other, and what is counted in one is counted in
//! that of every other width too. Absent on purpose: replays, and endpoints that nobody watches.

use types::EndpointId;

use crate::Tx;
use crate::error::Error;
use crate::statement::Row;

/// A stretch of time of a variant.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceRow {
    pub endpoint_id: EndpointId,
    pub width_ms: u64,
    pub from_ms: u64,
    pub requests: u64,
    pub failures: u64,
    /// A sketch of microseconds.
    pub times: serde_json::Value,
}

fn slice(row: &Row) -> Result<SliceRow, Error> {
    Ok(SliceRow {
        endpoint_id: row.get("endpoint_id")?,
        width_ms: row.get("width_ms")?,
        from_ms: row.get("from_ms")?,
        requests: row.get("requests")?,
        failures: row.get("failures")?,
        times: row.get("times")?,
    })
}

/// The slices of a variant and width that begin from a time on, in order.
pub async fn slices_list(
    tx: &mut Tx<'_>,
    (id, width_ms): (EndpointId, u64),
    from_ms: u64,
) -> Result<Vec<SliceRow>, Error> {
    let list = tx.sql("list slices", include_str!("slices_list.sql"));
    let rows = list.bind(&id).bind(&width_ms).bind(&from_ms).every().await?;
    rows.iter().map(slice).collect()
}

/// Puts a slice in the place of the one that was there.
pub async fn slice_put(tx: &mut Tx<'_>, row: &SliceRow) -> Result<(), Error> {
    tx.sql("put a slice", include_str!("slice_put.sql"))
        .bind(&row.endpoint_id)
        .bind(&row.width_ms)
        .bind(&row.from_ms)
        .bind(&row.requests)
        .bind(&row.failures)
        .bind(&row.times)
        .run()
        .await
        .map(drop)
}

/// Forgets slices of a width that began before then, and gives how many.
pub async fn slices_trim(tx: &mut Tx<'_>, width_ms: u64, before_ms: u64) -> Result<u64, Error> {
    let text = "DELETE FROM endpoint_slices WHERE width_ms = $1 AND from_ms < $2";
    tx.sql("forget slices", text).bind(&width_ms).bind(&before_ms).run().await
}
