//! Sizes of functions' instances: where each revision's stands, what was done about them, and what
//! calls took.
//!
//! Always true: steps of a function are numbered without gaps, and the latest are kept; gateways
//! hear when a size is settled or refused. Absent on purpose: what is done (agents decide).

use std::collections::BTreeMap;

use types::{FunctionId, HostId, RevisionId};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;

/// Steps of a function that are kept: months, where it does not change.
pub const STEPS_KEPT: u64 = 200;

/// Where the size of a revision's instances stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeRow {
    pub revision_id: RevisionId,
    /// The function's last step about it; 0 before the first.
    pub number: u64,
    /// None for what the revision asks for.
    pub settled_kib: Option<u64>,
    /// The size that was rolled back last.
    pub refused_kib: Option<u64>,
    /// Where, and since when, an instance tries another size.
    pub trial: Option<(HostId, u64)>,
}

impl SizeRow {
    /// A revision about whose size nothing was done.
    pub fn new(revision_id: RevisionId) -> Self {
        Self { revision_id, number: 0, settled_kib: None, refused_kib: None, trial: None }
    }
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct SizeStepRow {
    pub number: u64,
    pub at_ms: u64,
    /// `$LATEST` or a number, as it was called then.
    pub version: String,
    pub host_id: HostId,
    /// What, and why.
    pub spec: serde_json::Value,
}

/// What calls of a revision took on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasureRow {
    pub spec: serde_json::Value,
    pub measured_at_ms: u64,
}

fn size(row: &Row) -> Result<SizeRow, Error> {
    let host: Option<HostId> = row.get("trial_host")?;
    let at_ms: Option<u64> = row.get("trial_at_ms")?;
    Ok(SizeRow {
        revision_id: row.get("revision_id")?,
        number: row.get("number")?,
        settled_kib: row.get("settled_kib")?,
        refused_kib: row.get("refused_kib")?,
        trial: host.zip(at_ms),
    })
}

/// Where the size of a revision's instances stands.
pub async fn size_fetch(tx: &mut Tx<'_>, id: RevisionId) -> Result<SizeRow, Error> {
    let text = "SELECT * FROM function_sizes WHERE revision_id = $1";
    let row = tx.sql("fetch a size", text).bind(&id).first().await?;
    row.as_ref().map_or_else(|| Ok(SizeRow::new(id)), size)
}

/// Every size by its revision, for routes.
pub async fn sizes_list_all(tx: &mut Tx<'_>) -> Result<BTreeMap<RevisionId, SizeRow>, Error> {
    let rows = tx.sql("list sizes", "SELECT * FROM function_sizes").every().await?;
    rows.iter().map(|row| Ok((row.get("revision_id")?, size(row)?))).collect()
}

/// Stores where the size of a revision's instances stands now.
pub async fn size_put(tx: &mut Tx<'_>, row: &SizeRow) -> Result<(), Error> {
    let before = size_fetch(tx, row.revision_id).await?;
    tx.sql("store a size", include_str!("put_size.sql"))
        .bind(&row.revision_id)
        .bind(&row.number)
        .bind(&row.settled_kib)
        .bind(&row.refused_kib)
        .bind(&row.trial.map(|(host, _)| host))
        .bind(&row.trial.map(|(_, at_ms)| at_ms))
        .run()
        .await?;
    if (before.settled_kib, before.refused_kib) != (row.settled_kib, row.refused_kib) {
        feed_bump(tx, Topic::Routes);
    }
    Ok(())
}

/// Writes down a step, whose number is given out here and comes back.
pub async fn size_step_insert(
    tx: &mut Tx<'_>,
    id: FunctionId,
    step: &SizeStepRow,
) -> Result<u64, Error> {
    let number = size_steps_list(tx, id, 1).await?.first().map_or(0, |last| last.number) + 1;
    tx.sql("insert a step about a size", include_str!("insert_size_step.sql"))
        .bind(&id)
        .bind(&number)
        .bind(&step.at_ms)
        .bind(&step.version)
        .bind(&step.host_id)
        .bind(&step.spec)
        .run()
        .await?;
    let text = "DELETE FROM function_size_steps WHERE function_id = $1 AND number <= $2";
    let trim = tx.sql("forget old steps about sizes", text).bind(&id);
    trim.bind(&number.saturating_sub(STEPS_KEPT)).run().await?;
    Ok(number)
}

/// What was done about a function's sizes, the last first, at most `limit`.
pub async fn size_steps_list(
    tx: &mut Tx<'_>,
    id: FunctionId,
    limit: u32,
) -> Result<Vec<SizeStepRow>, Error> {
    let list = tx.sql("list steps about sizes", include_str!("list_size_steps.sql"));
    let rows = list.bind(&id).bind(&limit).every().await?;
    let step = |row: &Row| {
        Ok(SizeStepRow {
            number: row.get("number")?,
            at_ms: row.get("at_ms")?,
            version: row.get("version")?,
            host_id: row.get("host_id")?,
            spec: row.get("spec")?,
        })
    };
    rows.iter().map(step).collect()
}

/// Stores what calls of a revision took on a host, in place of what was before; nothing, where the
/// revision is gone.
pub async fn measure_put(
    tx: &mut Tx<'_>,
    (revision, host): (RevisionId, HostId),
    row: &MeasureRow,
) -> Result<(), Error> {
    tx.sql("store what calls took", include_str!("put_measure.sql"))
        .bind(&revision)
        .bind(&host)
        .bind(&row.spec)
        .bind(&row.measured_at_ms)
        .run()
        .await?;
    Ok(())
}

/// What calls of a revision took, on each host.
pub async fn measures_list(tx: &mut Tx<'_>, id: RevisionId) -> Result<Vec<MeasureRow>, Error> {
    let text = "SELECT spec, measured_at_ms FROM function_measures WHERE revision_id = $1";
    let rows = tx.sql("list what calls took", text).bind(&id).every().await?;
    let measure = |row: &Row| {
        Ok(MeasureRow { spec: row.get("spec")?, measured_at_ms: row.get("measured_at_ms")? })
    };
    rows.iter().map(measure).collect()
}

/// Forgets what is known of a revision's sizes, before it goes. What was done stays with the
/// function.
pub(super) async fn sizes_forget(tx: &mut Tx<'_>, id: RevisionId) -> Result<(), Error> {
    for text in [
        "DELETE FROM function_sizes WHERE revision_id = $1",
        "DELETE FROM function_measures WHERE revision_id = $1",
    ] {
        tx.sql("forget a size", text).bind(&id).run().await?;
    }
    Ok(())
}
