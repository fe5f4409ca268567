//! Accuracies: how right captured answers of an endpoint were within windows, for triggers to look at.
//!
//! Always true: of each window and each way to read predictions there is the one that was counted
//! last, in whatever order they were told. Absent on purpose: whether one is too old to be used.

use types::EndpointId;

use crate::Tx;
use crate::error::Error;
use crate::statement::Row;

/// What was counted within one window.
#[derive(Clone, Debug, PartialEq)]
pub struct AccuracyRow {
    pub endpoint_id: EndpointId,
    pub window_ms: u64,
    /// How predictions are read, and what is positive, as JSON that is written in one way.
    pub terms: String,
    /// When it was counted, which is the window's end.
    pub counted_at_ms: u64,
    /// Counts by variant.
    pub told: serde_json::Value,
}

fn accuracy(row: &Row) -> Result<AccuracyRow, Error> {
    Ok(AccuracyRow {
        endpoint_id: row.get("endpoint_id")?,
        window_ms: row.get("window_ms")?,
        terms: row.get("terms")?,
        counted_at_ms: row.get("counted_at_ms")?,
        told: row.get("told")?,
    })
}

/// What was counted last of an endpoint's windows.
pub async fn accuracies_list(tx: &mut Tx<'_>, id: EndpointId) -> Result<Vec<AccuracyRow>, Error> {
    let list = tx.sql("list accuracies", include_str!("accuracies_list.sql"));
    let rows = list.bind(&id).every().await?;
    rows.iter().map(accuracy).collect()
}

/// Keeps what was counted, unless what is there was counted later.
pub async fn accuracy_put(tx: &mut Tx<'_>, row: &AccuracyRow) -> Result<(), Error> {
    tx.sql("keep an accuracy", include_str!("accuracy_put.sql"))
        .bind(&row.endpoint_id)
        .bind(&row.window_ms)
        .bind(&row.terms)
        .bind(&row.counted_at_ms)
        .bind(&row.told)
        .run()
        .await
        .map(drop)
}

/// Forgets what was counted before then, and gives how many.
pub async fn accuracies_trim(tx: &mut Tx<'_>, before_ms: u64) -> Result<u64, Error> {
    let text = "DELETE FROM endpoint_accuracies WHERE counted_at_ms < $1";
    tx.sql("forget accuracies", text).bind(&before_ms).run().await
}
