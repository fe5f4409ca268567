//! Watching triggers: each is judged, and what is to be done is done.
//!
//! Always true: what cannot be judged of one endpoint keeps no other one from being judged; once the
//! use of variants was changed, what was answered before counts no more, and what had fired is armed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use api::runs::{RunOutcome, RunSpec};
use api::triggers::{TriggerCondition, TriggerSeen, TriggerSpec};
use policy::gates::Judgement;
use policy::triggers::{State, Step, step};
use store::endpoints::modes::{ModesRow, modes_list};
use store::endpoints::triggers::{
    self as rows, FiringRow, TriggerRow, firing_of_run, trigger_change, triggers_list,
    triggers_watched,
};
use store::endpoints::{EndpointRow, endpoint_fetch};
use store::runs::{RunRow, RunState, run_judge_later, run_judged, runs_unjudged};
use types::{EndpointId, Mode, Used};
use workflow::reconciler::Status;

use super::act::{self, BY, CHANGES_MAX, Cause, act, newest};
use super::burn_of;
use super::judge::{self, Live};
use super::right::{self, Accuracies};
use super::seen::{Lately, Reach};
use crate::operations::endpoints::{bakes, gates, variants};
use crate::operations::items::from_json;
use crate::{Control, Error};

/// Replays that are judged in one activation: each may have a report of some megabytes.
const RUNS_MAX: u32 = 8;
/// How long what a replay asks for is tried, where it cannot be done yet.
const BLOCKED_MS_MAX: u64 = 3_600_000;
/// Between two tries, in milliseconds: others' replays come first meanwhile.
const AGAIN_MS: u64 = 10_000;

/// Judges every trigger, and does what is to be done.
pub(crate) async fn watch(control: &Control) -> Status {
    let mut status = Status::default();
    let store = &control.shared.store;
    let watched =
        store.read("list endpoints that are watched", |tx| Box::pin(triggers_watched(tx)));
    let now_ms = control.now_ms();
    let runs =
        store.read("list runs to be judged", |tx| Box::pin(runs_unjudged(tx, now_ms, RUNS_MAX)));
    let (watched, runs) = match (watched.await, runs.await) {
        (Ok(watched), Ok(runs)) => (watched, runs),
        (Err(error), _) | (_, Err(error)) => return Status::failed(error),
    };
    for id in watched {
        add(&mut status, watch_one(control, id).await);
    }
    for run in runs {
        let judged = judge_run(control, &run).await;
        let again = match &judged {
            Ok((_, again)) => *again,
            Err(_) => true,
        };
        add(&mut status, judged.map(|(steps, _)| steps));
        add(&mut status, settle_run(control, &run, again).await);
    }
    status
}

/// Notes that a run was judged, or that it is to be again, for a while.
async fn settle_run(control: &Control, run: &RunRow, again: bool) -> Result<u64, Error> {
    let (id, now_ms) = (run.id, control.now_ms());
    let until_ms = run.ended_at_ms.unwrap_or(0).saturating_add(BLOCKED_MS_MAX);
    let later = again && now_ms < until_ms;
    let settle = control.shared.store.transact("note that a run was judged", |tx| {
        Box::pin(async move {
            if later {
                return run_judge_later(tx, id, now_ms.saturating_add(AGAIN_MS)).await;
            }
            run_judged(tx, id).await
        })
    });
    settle.await?;
    Ok(u64::from(!later))
}

fn add(status: &mut Status, done: Result<u64, Error>) {
    match done {
        Ok(steps) => status.steps_done += steps,
        Err(error) => status.failures.push(workflow::chain(&error)),
    }
}

/// Where a trigger stands, while `settled` is the newest change of how variants are used that was
/// wanted: what triggers do, and the end of a bake, arms none of them.
pub(super) fn standing(row: &TriggerRow, settled: u64) -> State {
    match row.state {
        _ if row.live && row.modes_number < settled => State::Armed,
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
    let (mut reach, mut asks_right) = (Reach::default(), false);
    for row in triggers.iter().filter(|row| row.live) {
        let spec: TriggerSpec = from_json(&row.spec)?;
        let window_ms = spec.window_ms.unwrap_or(0);
        match &spec.when {
            // What gateways tell of it is no slice.
            when if right::is_about(when) => asks_right = true,
            TriggerCondition::Is(wanted) => {
                use api::endpoints::GateMetric::{ErrorsPpm, Requests};
                reach = reach.and(window_ms, !matches!(wanted.metric, ErrorsPpm | Requests));
            }
            TriggerCondition::Burns(burn) => {
                let short_ms = burn_of(burn, window_ms).short_ms();
                reach = reach.and(window_ms, false).and(short_ms, false);
            }
            TriggerCondition::Worse {} => {}
        }
    }
    let (id, now_ms) = (endpoint.id, control.now_ms());
    let ids: Vec<EndpointId> = used.iter().map(|(row, _)| row.id).collect();
    let mut since_ms = BTreeMap::new();
    for (row, _) in &used {
        since_ms.insert(row.id, variants::since_ms(control, row).await?);
    }
    let read = control.shared.store.read("read what is watched", |tx| {
        let ids = ids.clone();
        Box::pin(async move {
            let changes = modes_list(tx, id, None, CHANGES_MAX).await?;
            let mut lately = BTreeMap::new();
            for id in ids {
                lately.insert(id, Lately::read(tx, id, (reach, now_ms)).await?);
            }
            let accuracies =
                if asks_right { Accuracies::read(tx, id).await? } else { Accuracies::default() };
            Ok::<_, store::Error>((changes, lately, accuracies))
        })
    });
    let (changes, lately, accuracies) = read.await?;
    let changed_ms = changes.first().map_or(0, |row| row.at_ms);
    for since_ms in since_ms.values_mut() {
        *since_ms = changed_ms.max(*since_ms);
    }
    let settled = settled(&changes);
    let heard_ms = control.shared.hears_since_ms.load(Ordering::Relaxed);
    Ok(Live { number, settled, since_ms, heard_ms, now_ms, used, lately, accuracies })
}

/// Of the newest changes, the number of the first that was wanted: that no trigger made, and that was
/// not the end of a bake, which follows from how that began. 0 where there is none.
pub(super) fn settled(changes: &[ModesRow]) -> u64 {
    let follows = |row: &&ModesRow| row.decided_by.starts_with(BY) || row.decided_by == bakes::BY;
    changes.iter().find(|row| !follows(row)).map_or(0, |row| row.number)
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
        let state = standing(row, live.settled);
        let cause = Cause { number: live.number, used: &live.used, saw, run: None };
        let acted = match step(state, judgement) {
            Step::Stay => continue,
            Step::Arm => arm(control, row, live.number).await?,
            Step::Fire => act(control, &endpoint, (row, None), cause).await?,
            Step::Again => {
                let fired = newest(control, row).await?;
                act(control, &endpoint, (row, fired), cause).await?
            }
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

/// Asks every trigger that was there what it says of a replay that has ended; gives what was done, and
/// whether it is to be asked again.
async fn judge_run(control: &Control, run: &RunRow) -> Result<(u64, bool), Error> {
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
            let judged = judge_measured(control, (row, run), (&spec, &outcome), &used).await?;
            let Some((Judgement::Holds, saw)) = judged else { continue };
            let fired = fired(control, row, run).await?;
            let blocked = fired.as_ref().map(act::is_blocked).transpose()?;
            if blocked == Some(false) {
                continue;
            }
            is_blocked |= blocked.is_some();
            let cause = Cause { number, used: &used, saw, run: Some(run) };
            done += u64::from(act(control, &endpoint, (row, fired), cause).await?);
        }
    }
    // What could not be done is tried again, and whoever was blocked by it is asked again.
    Ok((done, is_blocked || done > 0))
}

/// What a trigger says of a replay; none where what it measured is something else by now.
async fn judge_measured(
    control: &Control,
    (row, run): (&TriggerRow, &RunRow),
    came_to: (&RunSpec, &RunOutcome),
    used: &[(EndpointRow, Used)],
) -> Result<Option<(Judgement, TriggerSeen)>, Error> {
    let incumbent = used.iter().find(|(_, used)| used.mode == Mode::Production);
    let incumbent = match incumbent {
        Some((row, _)) if gates::is_measured(control, row, run).await? => Some(&row.variant),
        _ => None,
    };
    let Some((judgement, saw)) = judge::of_run(row, came_to, incumbent)? else { return Ok(None) };
    let candidate = used.iter().find(|(row, _)| Some(&row.variant) == saw.variant.as_ref());
    match candidate {
        Some((row, _)) if gates::is_measured(control, row, run).await? => {
            Ok(Some((judgement, saw)))
        }
        _ => Ok(None),
    }
}

async fn fired(
    control: &Control,
    row: &TriggerRow,
    run: &RunRow,
) -> Result<Option<FiringRow>, Error> {
    let (id, run) = (row.endpoint_id, run.id);
    let read = control.shared.store.read("see whether a trigger fired", |tx| {
        let name = row.name.clone();
        Box::pin(async move { firing_of_run(tx, (id, &name), run).await })
    });
    Ok(read.await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_by_itself_settles_nothing() {
        let by = |(number, decided_by): (u64, &str)| ModesRow {
            endpoint_id: EndpointId::new(uuid::Uuid::nil()),
            number,
            modes: serde_json::Value::Null,
            decided_by: decided_by.to_owned(),
            reason: String::new(),
            at_ms: 0,
        };
        let of =
            |changes: &[(u64, &str)]| settled(&changes.iter().copied().map(by).collect::<Vec<_>>());
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[(3, "the bake"), (2, "alice"), (1, "alice")]), 2);
        assert_eq!(of(&[(4, "the trigger slow"), (3, "the bake"), (2, "the gate")]), 2);
        assert_eq!(of(&[(2, "the bake"), (1, "the trigger slow")]), 0);
    }
}
