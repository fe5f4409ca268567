//! Replays that a trigger has sent: of the window that it saw, or once more with a change.
//!
//! Always true: of a run at most one follows; what follows has the same events wanted, the same
//! variants and the same seed, and waits until the one before it has ended.

use api::runs::{Load, RunOutcome, RunSpec};
use api::triggers::{TriggerAction, TriggerSpec};
use policy::triggers::arms;
use policy::triggers::change::{self, Change, Test};
use store::endpoints::{EndpointRow, EndpointState};
use store::runs::{FollowsRow, RunRow, run_after, runs_under_way};
use store::streams::stream_fetch;
use types::{ErrorKind, Mode, Name, RunId};

use super::act::{Cause, Planned, Write};
use super::replay_of;
use crate::operations::items::from_json;
use crate::operations::runs;
use crate::{Control, Error};

/// Replays of an endpoint that are changed at once: twice as many as a gateway sends at a time.
const CHANGED_MAX: u32 = 8;

/// A replay that is written.
pub(super) struct Sent {
    /// The one that is stopped for it.
    pub(super) stops: Option<RunId>,
    pub(super) run: RunRow,
}

/// Replays of the events of the window, to the variants that are named or else to all.
pub(super) async fn replay(
    control: &Control,
    endpoint: &EndpointRow,
    (spec, action): (&TriggerSpec, &TriggerAction),
    cause: &Cause<'_>,
) -> Result<Planned, Error> {
    let to_ms = control.now_ms();
    let from_ms = to_ms.saturating_sub(spec.window_ms.unwrap_or(0));
    let Some(wanted) = replay_of(spec, action, (from_ms, to_ms)) else {
        return Err(Error::invalid("it is no replay"));
    };
    let there = |name: &Name| cause.used.iter().any(|(row, _)| row.variant == *name);
    if let Some(gone) = wanted.variants.iter().find(|name| !there(name)) {
        return Err(Error::NotFound { what: format!("the variant {}@{gone}", endpoint.name) });
    }
    let each = match wanted.variants.as_slice() {
        [] => everybody(spec, cause),
        named => vec![named.to_vec()],
    };
    if each.is_empty() {
        return Err(Error::invalid("no variant is ready to be sent events"));
    }
    let (account, name) = (endpoint.account_id, wanted.stream.clone());
    let read = control.shared.store.read("fetch a stream", |tx| {
        let name = name.clone();
        Box::pin(async move { stream_fetch(tx, account, &name).await })
    });
    let stream = match read.await {
        Err(store::Error::NotFound { .. }) => {
            return Err(Error::NotFound { what: format!("the stream {}", wanted.stream) });
        }
        other => other?,
    };
    let (mut sent, mut words) = (Vec::new(), Vec::new());
    for variants in each {
        let wanted = RunSpec { endpoint: endpoint.name.clone(), variants, ..wanted.clone() };
        let run = runs::fresh(control, (account, endpoint.id, stream.id), &wanted)?;
        words.push(format!("{} is to be sent", run.id));
        sent.push(Sent { stops: None, run });
    }
    Ok(Planned::done(Write::Runs(sent), words.join(", ")))
}

/// All variants that are ready, as the replays to them.
fn everybody(spec: &TriggerSpec, cause: &Cause<'_>) -> Vec<Vec<Name>> {
    let ready = cause.used.iter().filter(|(row, _)| row.state == EndpointState::Ready);
    let name = |(row, _): &(EndpointRow, types::Used)| row.variant.clone();
    let (production, others): (Vec<_>, Vec<_>) =
        ready.partition(|(_, used)| used.mode == Mode::Production);
    let production = production.first().map(|it| name(it));
    let others: Vec<Name> = others.into_iter().map(name).collect();
    let watched = spec.variant.as_ref().or(production.as_ref());
    arms(watched, production.as_ref(), &others, runs::VARIANTS_MAX)
}

/// Replays sent anew with a change: the one that was judged, or those that are under way.
pub(super) async fn change(
    control: &Control,
    endpoint: &EndpointRow,
    (spec, change): (&TriggerSpec, &Change),
    cause: &Cause<'_>,
) -> Result<Planned, Error> {
    let under_way = if let Some(run) = cause.run {
        vec![run.clone()]
    } else {
        let (store, id) = (&control.shared.store, endpoint.id);
        let read =
            store.read("list runs under way", |tx| Box::pin(runs_under_way(tx, id, CHANGED_MAX)));
        read.await?
    };
    if under_way.is_empty() {
        return Err(Error::invalid("no replay is under way that could be changed"));
    }
    let (mut sent, mut words) = (Vec::new(), Vec::new());
    for before in &under_way {
        match anew(control, before, (&spec.name, change)).await {
            Ok((run, test)) => {
                let stops = (!before.state.ended()).then_some(before.id);
                let stopped = if stops.is_some() { "stopped and " } else { "" };
                words.push(format!("{} is {stopped}sent anew as {}, {test}", before.id, run.id));
                sent.push(Sent { stops, run });
            }
            Err(error) if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable) => {
                return Err(error);
            }
            Err(error) => words.push(format!("{} is not sent anew: {error}", before.id)),
        }
    }
    let words = words.join("; ");
    if sent.is_empty() {
        Err(Error::invalid(words))
    } else {
        Ok(Planned::done(Write::Runs(sent), words))
    }
}

/// The run that follows another one, with a change.
async fn anew(
    control: &Control,
    before: &RunRow,
    (trigger, change): (&Name, &Change),
) -> Result<(RunRow, Test), Error> {
    let id = before.id;
    let read =
        control.shared.store.read("find the run that follows", |tx| Box::pin(run_after(tx, id)));
    if let Some(after) = read.await? {
        return Err(Error::invalid(format!("{after} follows it already")));
    }
    let mut spec: RunSpec = from_json(&before.spec)?;
    let changes = before.follows.as_ref().map_or(0, |it| it.changes);
    let test = Test { load: load(&spec.load), for_ms: spec.for_ms };
    let test = change.of(&test, changes).map_err(|refusal| Error::invalid(refusal.to_string()))?;
    // What is at random goes on from the same chance.
    if let (None, Some(outcome)) = (spec.seed, &before.outcome) {
        let outcome: RunOutcome = from_json(outcome)?;
        spec.seed = outcome.schedule.seed;
    }
    (spec.load, spec.for_ms) = (load_of(&test.load), test.for_ms);
    let ends_ms = spec.for_ms.unwrap_or(u64::MAX);
    if spec.drills.iter().any(|drill| drill.at_ms >= ends_ms) {
        return Err(Error::invalid("a drill would come when nothing is sent any more"));
    }
    // That was asked for once.
    spec.drill_production = false;
    runs::check(&spec)?;
    let ids = (before.account_id, before.endpoint_id, before.stream_id);
    let follows = FollowsRow {
        run_id: before.id,
        trigger: trigger.clone(),
        changes: changes.saturating_add(1),
    };
    let run = RunRow { follows: Some(follows), ..runs::fresh(control, ids, &spec)? };
    Ok((run, test))
}

/// What an action changes; none where it is another one.
pub(super) fn changed(action: &TriggerAction) -> Option<Change> {
    let TriggerAction::Change { load: to, times_milli, for_ms, events } = action else {
        return None;
    };
    let (load, times_milli) = (to.as_ref().map(load), *times_milli);
    Some(Change { load, times_milli, for_ms: *for_ms, events: *events })
}

fn load(of: &Load) -> change::Load {
    match of {
        Load::AsRecorded => change::Load::AsRecorded,
        Load::Speed { milli } => change::Load::Speed { milli: *milli },
        Load::Rate { uhz } => change::Load::Rate { uhz: *uhz },
        Load::Poisson { uhz } => change::Load::Poisson { uhz: *uhz },
        Load::Pattern { pattern } => change::Load::Pattern(pattern.clone()),
    }
}

fn load_of(it: &change::Load) -> Load {
    match it {
        change::Load::AsRecorded => Load::AsRecorded,
        change::Load::Speed { milli } => Load::Speed { milli: *milli },
        change::Load::Rate { uhz } => Load::Rate { uhz: *uhz },
        change::Load::Poisson { uhz } => Load::Poisson { uhz: *uhz },
        change::Load::Pattern(pattern) => Load::Pattern { pattern: pattern.clone() },
    }
}
