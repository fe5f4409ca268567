//! Usage: how often versions were used, by whom, through which endpoint. Counts, never content.
//!
//! Always true: counts only grow; a report that is delivered twice counts once.

use types::{AccountId, EndpointId, ItemId};

use crate::Tx;
use crate::error::Error;

/// What one caller made of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    pub item_id: ItemId,
    pub version: u32,
    /// Absent where it was not through an endpoint.
    pub endpoint_id: Option<EndpointId>,
    /// Absent for callers without an account.
    pub caller: Option<AccountId>,
    pub requests: u64,
    pub failures: u64,
    pub trainings: u64,
}

/// What all callers made of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageSums {
    pub requests: u64,
    pub failures: u64,
    pub trainings: u64,
    /// How many accounts used it.
    pub accounts: u64,
}

/// Adds to the counts of a version.
pub async fn usage_add(tx: &mut Tx<'_>, row: &UsageRow) -> Result<(), Error> {
    let endpoint = row.endpoint_id.map_or_else(String::new, |id| id.to_string());
    let caller = row.caller.map_or_else(String::new, |id| id.to_string());
    tx.sql("count usage", include_str!("usage/add.sql"))
        .bind(&row.item_id)
        .bind(&row.version)
        .bind(&endpoint)
        .bind(&caller)
        .bind(&row.requests)
        .bind(&row.failures)
        .bind(&row.trainings)
        .run()
        .await?;
    Ok(())
}

/// Adds what a reporter counted, once: false when this report, or a later one, was added before.
///
/// The reports of one reporter are numbered upwards.
pub async fn usage_record(
    tx: &mut Tx<'_>,
    reporter: &str,
    number: u64,
    rows: &[UsageRow],
    now_ms: u64,
) -> Result<bool, Error> {
    let note = tx.sql("note a usage report", include_str!("usage/note.sql"));
    let noted = note.bind(&reporter.to_owned()).bind(&number).bind(&now_ms).run().await?;
    if noted == 0 {
        return Ok(false);
    }
    for row in rows {
        usage_add(tx, row).await?;
    }
    Ok(true)
}

/// What all callers made of an item, over its versions.
pub async fn usage_sums(tx: &mut Tx<'_>, item_id: ItemId) -> Result<UsageSums, Error> {
    let sums = tx.sql("sum up usage", include_str!("usage/sums.sql")).bind(&item_id);
    let row = sums.only().await?;
    Ok(UsageSums {
        requests: row.get("requests")?,
        failures: row.get("failures")?,
        trainings: row.get("trainings")?,
        accounts: row.get("accounts")?,
    })
}

/// Forgets reporters that last reported before `reported_before_ms`.
pub async fn usage_trim(tx: &mut Tx<'_>, reported_before_ms: u64) -> Result<u64, Error> {
    let text = "DELETE FROM usage_reports WHERE at_ms < $1";
    tx.sql("trim usage reports", text).bind(&reported_before_ms).run().await
}
