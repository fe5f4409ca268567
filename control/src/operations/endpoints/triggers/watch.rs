//! Watching triggers: each is judged, and what is to be done is done.
//!
//! Always true: what cannot be judged of one endpoint keeps no other one from being judged; once the
//! use of variants was changed, what was answered before counts no more, and what had fired is armed.

use std::collections::BTreeMap;

use api::runs::{RunOutcome, RunSpec};
use api::triggers::{TriggerCondition, TriggerSpec};
use policy::gates::Judgement;
use policy::triggers::{State, Step, step};
use store::endpoints::modes::modes_list;
use store::endpoints::triggers::{
    self as rows, TriggerRow, firing_of_run, trigger_change, triggers_list, triggers_watched,
};
use store::endpoints::{EndpointRow, endpoint_fetch};
use store::runs::{RunRow, RunState, run_judged, runs_unjudged};
use types::{EndpointId, Mode};
use workflow::reconciler::Status;

use super::act::{Cause, act};
use super::burn_of;
use super::judge::{self, Live};
use super::seen::{Lately, Reach};
use crate::operations::endpoints::variants;
use crate::operations::items::from_json;
use crate::{Control, Error};

/// Replays that are judged in one activation: each may have a report of some megabytes.
const RUNS_MAX: u32 = 8;
/// How long what a replay asks for is tried, where it cannot be done yet.
const BLOCKED_MS_MAX: u64 = 3_600_000;

/// Judges every trigger, and does what is to be done.
pub(crate) async fn watch(control: &Control) -> Status {
    let mut status = Status::default();
    let store = &control.shared.store;
    let watched =
        store.read("list endpoints that are watched", |tx| Box::pin(triggers_watched(tx)));
    let runs = store.read("list runs to be judged", |tx| Box::pin(runs_unjudged(tx, RUNS_MAX)));
    let (watched, runs) = match (watched.await, runs.await) {
        (Ok(watched), Ok(runs)) => (watched, runs),
        (Err(error), _) | (_, Err(error)) => return Status::failed(error),
    };
    for id in watched {
        add(&mut status, watch_one(control, id).await);
    }
    for run in runs {
        add(&mut status, judge_run(control, &run).await);
    }
    status
}

fn add(status: &mut Status, done: Result<u64, Error>) {
    match done {
        Ok(steps) => status.steps_done += steps,
        Err(error) => status.failures.push(workflow::chain(&error)),
    }
}

/// Where a trigger stands, while the use of variants is that of change `number`.
pub(super) fn standing(row: &TriggerRow, number: u64) -> State {
    match row.state {
        _ if row.live && row.modes_number < number => State::Armed,
        rows::TriggerState::Armed => State::Armed,
        rows::TriggerState::Fired => State::Fired,
        rows::TriggerState::Blocked => State::Blocked,
    }
}

/// What triggers of live events of an endpoint are judged by.
pub(super) async fn live(
    control: &Control,
    endpoint: &EndpointRow,
    triggers: &[TriggerRow],
) -> Result<Live, Error> {
    let (number, used) = variants::used(control, endpoint).await?;
    let mut reach = Reach::default();
    for row in triggers.iter().filter(|row| row.live) {
        let spec: TriggerSpec = from_json(&row.spec)?;
        let window_ms = spec.window_ms.unwrap_or(0);
        reach = reach.and(window_ms);
        if let TriggerCondition::Burns(burn) = &spec.when {
            reach = reach.and(burn_of(burn, window_ms).short_ms());
        }
    }
    let (id, now_ms) = (endpoint.id, control.now_ms());
    let ids: Vec<EndpointId> = used.iter().map(|(row, _)| row.id).collect();
    let read = control.shared.store.read("read what is watched", |tx| {
        let ids = ids.clone();
        Box::pin(async move {
            let newest = modes_list(tx, id, None, 1).await?;
            let mut lately = BTreeMap::new();
            for id in ids {
                lately.insert(id, Lately::read(tx, id, (reach, now_ms)).await?);
            }
            Ok::<_, store::Error>((newest.first().map_or(0, |row| row.at_ms), lately))
        })
    });
    let (since_ms, lately) = read.await?;
    Ok(Live { number, since_ms, now_ms, used, lately })
}

async fn watch_one(control: &Control, id: EndpointId) -> Result<u64, Error> {
    let read = control.shared.store.read("list triggers", |tx| {
        Box::pin(async move {
            let endpoint = endpoint_fetch(tx, id).await?;
            Ok::<_, store::Error>((endpoint, triggers_list(tx, id).await?))
        })
    });
    let (endpoint, triggers) = read.await?;
    if endpoint.deleting {
        return Ok(0);
    }
    let live = live(control, &endpoint, &triggers).await?;
    let mut done = 0;
    for row in triggers.iter().filter(|row| row.live) {
        let (judgement, saw) = live.judge(row)?;
        let state = standing(row, live.number);
        let cause = Cause { number: live.number, used: &live.used, saw, run: None };
        let acted = match step(state, judgement) {
            Step::Stay => continue,
            Step::Arm => arm(control, row, live.number).await?,
            Step::Fire => act(control, &endpoint, (row, false), cause).await?,
            Step::Again => act(control, &endpoint, (row, true), cause).await?,
        };
        done += u64::from(acted);
        // Something may be used otherwise now: the others are judged anew.
        if acted {
            break;
        }
    }
    Ok(done)
}

async fn arm(control: &Control, row: &TriggerRow, modes_number: u64) -> Result<bool, Error> {
    let row = TriggerRow { state: rows::TriggerState::Armed, modes_number, ..row.clone() };
    let armed = control.shared.store.transact("arm a trigger", |tx| {
        let row = row.clone();
        Box::pin(async move { trigger_change(tx, &row).await })
    });
    Ok(armed.await?)
}

/// Asks every trigger that was there what it says of a replay that has ended.
async fn judge_run(control: &Control, run: &RunRow) -> Result<u64, Error> {
    let id = run.endpoint_id;
    let read = control.shared.store.read("list triggers", |tx| {
        Box::pin(async move {
            let endpoint = endpoint_fetch(tx, id).await?;
            Ok::<_, store::Error>((endpoint, triggers_list(tx, id).await?))
        })
    });
    let (endpoint, triggers) = read.await?;
    let outcome = run.outcome.as_ref().filter(|_| run.state == RunState::Succeeded);
    let ended_ms = run.ended_at_ms.unwrap_or(0);
    let (mut done, mut is_blocked) = (0, false);
    let asked = triggers.iter().filter(|row| !row.live && row.created_at_ms <= ended_ms);
    if let Some(outcome) = outcome.filter(|_| !endpoint.deleting) {
        let (spec, outcome): (RunSpec, RunOutcome) = (from_json(&run.spec)?, from_json(outcome)?);
        for row in asked {
            // Each changes what the next one finds.
            let (number, used) = variants::used(control, &endpoint).await?;
            let incumbent = used.iter().find(|(_, used)| used.mode == Mode::Production);
            let incumbent = incumbent.map(|(row, _)| &row.variant);
            let judged = judge::of_run(row, (&spec, &outcome), incumbent)?;
            let Some((Judgement::Holds, saw)) = judged else { continue };
            let fired = fired(control, row, run).await?;
            is_blocked |= row.state == rows::TriggerState::Blocked && fired;
            if fired && row.state != rows::TriggerState::Blocked {
                continue;
            }
            let cause = Cause { number, used: &used, saw, run: Some(run) };
            done += u64::from(act(control, &endpoint, (row, fired), cause).await?);
        }
    }
    // What could not be done is tried again, for a while.
    if (is_blocked || done > 0) && control.now_ms() < ended_ms.saturating_add(BLOCKED_MS_MAX) {
        return Ok(done);
    }
    let judged = control
        .shared
        .store
        .transact("note that a run was judged", |tx| Box::pin(run_judged(tx, run.id)));
    judged.await?;
    Ok(done + 1)
}

async fn fired(control: &Control, row: &TriggerRow, run: &RunRow) -> Result<bool, Error> {
    let (id, run) = (row.endpoint_id, run.id);
    let read = control.shared.store.read("see whether a trigger fired", |tx| {
        let name = row.name.clone();
        Box::pin(async move { firing_of_run(tx, (id, &name), run).await })
    });
    Ok(read.await?)
}
