//! Schedules: when functions run without being called.
//!
//! Always true: a run that is due is taken by one control plane, together with the events that it
//! makes. Absent on purpose: when that is.

use types::{AliasName, FunctionId};

use crate::Tx;
use crate::error::Error;
use crate::statement::Row;

/// A schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleRow {
    pub function_id: FunctionId,
    pub name: AliasName,
    pub spec: serde_json::Value,
    /// Rates count from here.
    pub start_ms: u64,
    /// None when there is no further run.
    pub due_at_ms: Option<u64>,
}

fn schedule(row: &Row) -> Result<ScheduleRow, Error> {
    Ok(ScheduleRow {
        function_id: row.get("function_id")?,
        name: row.get("name")?,
        spec: row.get("spec")?,
        start_ms: row.get("start_ms")?,
        due_at_ms: row.get("due_at_ms")?,
    })
}

/// Adds a schedule. [`Error::Unique`] when the function has one of this name.
pub async fn schedule_insert(tx: &mut Tx<'_>, row: &ScheduleRow) -> Result<(), Error> {
    tx.sql("insert a schedule", include_str!("insert_schedule.sql"))
        .bind(&row.function_id)
        .bind(&row.name)
        .bind(&row.spec)
        .bind(&row.start_ms)
        .bind(&row.due_at_ms)
        .run()
        .await
        .map(|_| ())
}

/// The schedules of a function by name, after one, at most `limit`.
pub async fn schedules_list(
    tx: &mut Tx<'_>,
    id: FunctionId,
    after: Option<&AliasName>,
    limit: u32,
) -> Result<Vec<ScheduleRow>, Error> {
    let after = after.map_or_else(String::new, ToString::to_string);
    let list = tx.sql("list schedules", include_str!("list_schedules.sql"));
    let rows = list.bind(&id).bind(&after).bind(&limit).every().await?;
    rows.iter().map(schedule).collect()
}

/// Schedules that are due, at most `limit`.
pub async fn schedules_list_due(
    tx: &mut Tx<'_>,
    now_ms: u64,
    limit: u32,
) -> Result<Vec<ScheduleRow>, Error> {
    let list = tx.sql("list schedules that are due", include_str!("due_schedules.sql"));
    let rows = list.bind(&now_ms).bind(&limit).every().await?;
    rows.iter().map(schedule).collect()
}

/// Moves a schedule that is due to its next run, and tells whether nobody was quicker.
pub async fn schedule_move(
    tx: &mut Tx<'_>,
    row: &ScheduleRow,
    next_ms: Option<u64>,
) -> Result<bool, Error> {
    let moved = tx
        .sql("move a schedule", include_str!("move_schedule.sql"))
        .bind(&row.function_id)
        .bind(&row.name)
        .bind(&row.due_at_ms)
        .bind(&next_ms)
        .run()
        .await?;
    Ok(moved == 1)
}

/// Removes a schedule, and tells whether it was there.
pub async fn schedule_delete(
    tx: &mut Tx<'_>,
    id: FunctionId,
    name: &AliasName,
) -> Result<bool, Error> {
    let text = "DELETE FROM function_schedules WHERE function_id = $1 AND name = $2";
    Ok(tx.sql("delete a schedule", text).bind(&id).bind(name).run().await? == 1)
}
