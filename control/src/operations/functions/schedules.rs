//! Schedules: functions that run at times, without being called.
//!
//! Always true: `policy::schedule` says when; a run is an event, committed together with the
//! schedule's next time, so it is made once, by whichever control plane is first.

use access::Action;
use api::functions::{CreateSchedule, MissedRuns, Schedule};
use api::internal::functions::EVENT_KEPT_BYTES_MAX;
use api::pages::{Page, PageQuery};
use jiff::tz::TimeZone;
use policy::schedule::{MISSED_MAX, Missed};
use serde_json::{Value, json};
use store::functions::events::{EventRow, event_insert};
use store::functions::schedules::{
    ScheduleRow, schedule_delete, schedule_insert, schedule_move, schedules_list,
    schedules_list_due,
};
use types::{AliasName, EventId, FunctionName};

use super::called;
use crate::caller::Caller;
use crate::operations::instances::found;
use crate::operations::items::from_json;
use crate::operations::{page, slice};
use crate::{Control, Error, moment};

/// Schedules of one function.
const SCHEDULES_MAX: u32 = 100;
/// How late a run may be made without counting as missed, in milliseconds.
const LATE_MS: u64 = 60_000;
/// Schedules handled in one go.
const BATCH: u32 = 100;

/// Makes a schedule.
pub async fn create(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    request: CreateSchedule,
) -> Result<Schedule, Error> {
    let owner = called(control, caller, function, Action::FunctionsWrite).await?;
    let (schedule, zone) = read(&request)?;
    let payload = request.payload.as_ref().map_or(0, |payload| payload.to_string().len());
    if payload > EVENT_KEPT_BYTES_MAX {
        let limit = format!("{EVENT_KEPT_BYTES_MAX} bytes");
        return Err(Error::TooLarge { what: "the payload", limit });
    }
    let now_ms = control.now_ms();
    let spec = serde_json::to_value(&request)
        .map_err(|error| Error::internal("could not write a schedule", error))?;
    let row = ScheduleRow {
        function_id: owner.id,
        name: request.name,
        spec,
        start_ms: now_ms,
        due_at_ms: schedule.next_ms(&zone, now_ms, now_ms),
    };
    if row.due_at_ms.is_none() {
        return Err(Error::invalid("this schedule has no run to come"));
    }
    let stored = control.shared.store.transact("make a schedule", |tx| {
        let row = row.clone();
        Box::pin(async move {
            let there = schedules_list(tx, row.function_id, None, SCHEDULES_MAX).await?;
            let room = there.len() < SCHEDULES_MAX as usize;
            if room {
                schedule_insert(tx, &row).await?;
            }
            Ok::<_, store::Error>(room)
        })
    });
    match stored.await {
        Ok(true) => shape(&row),
        Ok(false) => {
            let limit = SCHEDULES_MAX.to_string();
            Err(Error::TooLarge { what: "the function's schedules", limit })
        }
        Err(store::Error::Unique { .. }) => Err(Error::NameTaken { name: row.name.to_string() }),
        Err(error) => Err(error.into()),
    }
}

/// A function's schedules.
pub async fn list(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    query: &PageQuery,
) -> Result<Page<Schedule>, Error> {
    let owner = called(control, caller, function, Action::FunctionsRead).await?;
    let slice = slice::<AliasName>(query)?;
    let (id, limit, after) = (owner.id, slice.limit, slice.after);
    let read = control.shared.store.read("list schedules", |tx| {
        let after = after.clone();
        Box::pin(async move { schedules_list(tx, id, after.as_ref(), limit + 1).await })
    });
    let mut schedules = Vec::new();
    for row in read.await? {
        schedules.push(shape(&row)?);
    }
    Ok(page(schedules, limit, |it| it.name.to_string(), |it| it))
}

/// Removes a schedule.
pub async fn remove(
    control: &Control,
    caller: &Caller,
    (function, name): (&FunctionName, &AliasName),
) -> Result<(), Error> {
    let owner = called(control, caller, function, Action::FunctionsWrite).await?;
    let id = owner.id;
    let removed = control.shared.store.transact("delete a schedule", |tx| {
        let name = name.clone();
        Box::pin(async move { schedule_delete(tx, id, &name).await })
    });
    let gone = store::Error::NotFound { what: "schedule", id: name.to_string() };
    let removed = if removed.await? { Ok(()) } else { Err(gone) };
    found(removed, || format!("the schedule {function}:{name}"))
}

/// Makes the runs that are due, and says how many.
pub(crate) async fn make_due(control: &Control) -> Result<u64, Error> {
    let now_ms = control.now_ms();
    let due = control
        .shared
        .store
        .read("list schedules that are due", |tx| Box::pin(schedules_list_due(tx, now_ms, BATCH)));
    let mut made = 0;
    for row in due.await? {
        let (runs, next_ms) = runs(&row, now_ms)?;
        let moved = control.shared.store.transact("run what is due", |tx| {
            let (row, runs) = (&row, &runs);
            Box::pin(async move {
                let mine = schedule_move(tx, row, next_ms).await?;
                for run in runs.iter().filter(|_| mine) {
                    event_insert(tx, run).await?;
                }
                Ok::<_, store::Error>(mine)
            })
        });
        made += if moved.await? { runs.len() as u64 } else { 0 };
    }
    Ok(made)
}

/// The events of a schedule that is due, and its next time.
fn runs(row: &ScheduleRow, now_ms: u64) -> Result<(Vec<EventRow>, Option<u64>), Error> {
    let wanted: CreateSchedule = from_json(&row.spec)?;
    let (schedule, zone) = read(&wanted)?;
    let due_ms = row.due_at_ms.unwrap_or(now_ms);
    let late_ms = now_ms.saturating_sub(LATE_MS);
    let (times, after_ms) = if due_ms >= late_ms {
        (vec![due_ms], due_ms)
    } else {
        let missed = match wanted.missed {
            MissedRuns::Skip => Missed::Skip,
            MissedRuns::Once => Missed::Once,
            MissedRuns::All => Missed::All { runs_max: MISSED_MAX },
        };
        let between = (due_ms.saturating_sub(1), late_ms);
        (schedule.missed_ms(&zone, row.start_ms, between, missed), late_ms)
    };
    let next_ms = schedule.next_ms(&zone, row.start_ms, after_ms);
    Ok((times.into_iter().map(|at_ms| run(row, &wanted, (at_ms, now_ms))).collect(), next_ms))
}

/// A run as an event, which is the same whoever makes it.
fn run(row: &ScheduleRow, wanted: &CreateSchedule, (at_ms, now_ms): (u64, u64)) -> EventRow {
    let usual = || json!({ "schedule": wanted.name, "time": moment::iso8601(at_ms) });
    let payload: Value = wanted.payload.clone().unwrap_or_else(usual);
    let named = format!("{}:{}:{at_ms}", row.function_id, row.name);
    let digest = access::tokens::digest_of(&named);
    let mut id = [0; 16];
    id.copy_from_slice(&digest.0[..16]);
    let id = EventId::new(uuid::Builder::from_custom_bytes(id).into_uuid());
    EventRow {
        qualifier: wanted.qualifier.clone(),
        ..EventRow::new(id, row.function_id, payload.to_string(), now_ms)
    }
}

/// What a schedule says, and on whose clock.
fn read(wanted: &CreateSchedule) -> Result<(policy::schedule::Schedule, TimeZone), Error> {
    let schedule = policy::schedule::Schedule::parse(&wanted.expression);
    let schedule = schedule.map_err(|refusal| Error::invalid(refusal.to_string()))?;
    let zone = match wanted.zone.as_deref() {
        None | Some("UTC") => TimeZone::UTC,
        Some(name) => TimeZone::get(name).map_err(|_| {
            Error::invalid(format!("{name:?} is no time zone: write one like Europe/Berlin"))
        })?,
    };
    Ok((schedule, zone))
}

fn shape(row: &ScheduleRow) -> Result<Schedule, Error> {
    let wanted: CreateSchedule = from_json(&row.spec)?;
    Ok(Schedule {
        name: wanted.name,
        expression: wanted.expression,
        zone: wanted.zone.unwrap_or_else(|| "UTC".to_owned()),
        qualifier: wanted.qualifier,
        payload: wanted.payload,
        missed: wanted.missed,
        next_at_ms: row.due_at_ms,
    })
}
