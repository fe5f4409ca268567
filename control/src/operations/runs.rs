//! Runs: replays that are asked for, how far they are, and what they came to.

mod drills;

use access::{Action, Resource};
use api::internal::{RunReport, RunRoute, RunTaken};
use api::pages::{Page, PageQuery};
use api::runs::{Load, Run, RunFollows, RunSpec, RunState};
use policy::replay::pattern::Pattern;
use store::runs::{self as rows, RunRow, run_fetch, run_insert, run_report, run_stop, runs_list};
use types::{AccountId, EndpointId, Mode, Name, RunId, StreamId};

use super::endpoints::{self, gates, variants};
use super::streams;
use crate::caller::Caller;
use crate::operations::instances::found;
use crate::operations::items::from_json;
use crate::operations::{page, slice};
use crate::{Control, Error};

/// Variants of one run: each of them is sent every event.
pub(crate) const VARIANTS_MAX: usize = 8;
const IN_FLIGHT_MAX: u32 = 60_000;
const TIMEOUT_MS_MAX: u64 = 900_000;
/// The highest rate that can be asked for, in millionths of an event per second.
const RATE_UHZ_MAX: u64 = 1_000_000 * 1_000_000;

/// Has events replayed.
pub async fn create(control: &Control, caller: &Caller, mut spec: RunSpec) -> Result<Run, Error> {
    control.authorize(caller, Action::RunsWrite, Resource::account(caller.account))?;
    check(&spec)?;
    let stream = streams::own(control, caller, &spec.stream, Action::StreamsRead).await?;
    let endpoint = endpoints::own(control, caller, &spec.endpoint, Action::EndpointsInvoke).await?;
    let (_, used) = variants::used(control, &endpoint).await?;
    let unknown = |name: &&Name| used.iter().all(|(row, _)| row.variant != **name);
    if let Some(name) = spec.variants.iter().find(unknown) {
        return Err(Error::NotFound { what: format!("the variant {}@{name}", spec.endpoint) });
    }
    if spec.variants.is_empty() {
        let production = used.iter().find(|(_, used)| used.mode == Mode::Production);
        spec.variants.extend(production.map(|(row, _)| row.variant.clone()));
    }
    if !spec.drills.is_empty() {
        // What ends instances changes what runs.
        endpoints::own(control, caller, &spec.endpoint, Action::EndpointsDeploy).await?;
        drills::check(&spec, &used)?;
    }
    let row = fresh(control, (caller.account, endpoint.id, stream.id), &spec)?;
    let inserted = control.shared.store.transact("make a run", |tx| {
        let row = row.clone();
        Box::pin(async move { run_insert(tx, &row).await })
    });
    inserted.await?;
    shape(caller, row)
}

/// A run that nobody has begun, and that follows none.
pub(crate) fn fresh(
    control: &Control,
    (account_id, endpoint_id, stream_id): (AccountId, EndpointId, StreamId),
    spec: &RunSpec,
) -> Result<RunRow, Error> {
    let mut spec = spec.clone();
    // What is at random has its seed from the beginning, so that one that follows can have it too.
    if matches!(spec.load, Load::Poisson { .. }) {
        // As many bits as browsers can tell.
        spec.seed.get_or_insert_with(|| u64::from_le_bytes(control.clock().random::<8>()) >> 11);
    }
    Ok(RunRow {
        id: RunId::new(control.clock().uuid()),
        account_id,
        endpoint_id,
        stream_id,
        spec: serde_json::to_value(&spec)
            .map_err(|error| Error::internal("could not write a run", error))?,
        state: rows::RunState::Waiting,
        stop_wanted: false,
        gateway: None,
        progress: None,
        outcome: None,
        error: None,
        created_at_ms: control.now_ms(),
        ended_at_ms: None,
        follows: None,
    })
}

/// The account's runs, the newest first.
pub async fn list(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<Run>, Error> {
    control.authorize(caller, Action::RunsRead, Resource::account(caller.account))?;
    let slice = slice::<RunId>(query)?;
    let (account, limit, before) = (caller.account, slice.limit, slice.after);
    let read = control
        .shared
        .store
        .read("list runs", |tx| Box::pin(runs_list(tx, account, before, limit + 1)));
    let shaped: Result<Vec<_>, _> = read.await?.into_iter().map(|row| shape(caller, row)).collect();
    Ok(page(shaped?, limit, |it| it.id.to_string(), |it| it))
}

/// One run.
pub async fn fetch(control: &Control, caller: &Caller, id: RunId) -> Result<Run, Error> {
    shape(caller, own(control, caller, id, Action::RunsRead).await?)
}

/// Has a run stop; one that has ended stays as it is.
pub async fn stop(control: &Control, caller: &Caller, id: RunId) -> Result<Run, Error> {
    own(control, caller, id, Action::RunsWrite).await?;
    let now_ms = control.now_ms();
    let stop = control
        .shared
        .store
        .transact("stop a run", |tx| Box::pin(async move { run_stop(tx, id, now_ms).await }));
    let stopped = stop.await?;
    shape(caller, stopped)
}

/// Takes what a gateway tells of a run.
pub async fn report(
    control: &Control,
    id: RunId,
    gateway: &str,
    report: RunReport,
) -> Result<RunTaken, Error> {
    let RunReport { state, progress, outcome, error } = report;
    let told = rows::RunReport { state: stored_state(state), progress, outcome, error };
    let (now_ms, gateway) = (control.now_ms(), gateway.to_owned());
    let stored = control.shared.store.transact("report of a run", |tx| {
        let (told, gateway) = (told.clone(), gateway.clone());
        Box::pin(async move { run_report(tx, id, &gateway, &told, now_ms).await })
    });
    let taken = stored.await?;
    if taken && state.ended() {
        let read = control.shared.store.read("fetch a run", |tx| Box::pin(run_fetch(tx, id)));
        let run = read.await?;
        // The run has come to its end, whatever its gate says; it is asked again by and by.
        if let Err(error) = gates::after(control, &run).await {
            let cause = workflow::chain(&error);
            tracing::info!(run = %id, cause, "a gate was not judged yet");
        }
    }
    Ok(RunTaken { taken })
}

/// A run for gateways.
pub(crate) fn route(row: RunRow, account_name: Name) -> Result<RunRoute, Error> {
    let RunRow { id, account_id, stream_id, spec, stop_wanted, gateway, .. } = row;
    let spec = from_json(&spec)?;
    let (run, account, stream) = (id, account_id, stream_id);
    Ok(RunRoute { run, account, account_name, stream, spec, stop_wanted, gateway })
}

async fn own(
    control: &Control,
    caller: &Caller,
    id: RunId,
    action: Action,
) -> Result<RunRow, Error> {
    control.authorize(caller, action, Resource::account(caller.account))?;
    let read = control.shared.store.read("fetch a run", |tx| Box::pin(run_fetch(tx, id)));
    let row = found(read.await, || format!("the run {id}"))?;
    // Another account's looks as if it were not there.
    if row.account_id != caller.account {
        return Err(Error::NotFound { what: format!("the run {id}") });
    }
    Ok(row)
}

/// Refuses what cannot be sent. The selection is read by the gateway, which has the events.
pub(crate) fn check(spec: &RunSpec) -> Result<(), Error> {
    if spec.variants.len() + usize::from(spec.rule.is_some()) > VARIANTS_MAX {
        let message = format!("a run has at most {VARIANTS_MAX} variants, a rule among them");
        return Err(Error::invalid(message));
    }
    check_load(&spec.load)?;
    if spec.in_flight_max.is_some_and(|most| most == 0 || most > IN_FLIGHT_MAX) {
        return Err(Error::invalid(format!("in_flight_max is from 1 to {IN_FLIGHT_MAX}")));
    }
    if spec.timeout_ms.is_some_and(|limit_ms| limit_ms == 0 || limit_ms > TIMEOUT_MS_MAX) {
        return Err(Error::invalid(format!("timeout_ms is from 1 to {TIMEOUT_MS_MAX}")));
    }
    Ok(())
}

/// Refuses rates that nobody sends, and patterns that are none.
pub(crate) fn check_load(load: &Load) -> Result<(), Error> {
    match load {
        Load::Rate { uhz } | Load::Poisson { uhz } if *uhz == 0 || *uhz > RATE_UHZ_MAX => {
            return Err(Error::invalid("a rate is above nothing and at most a million a second"));
        }
        Load::Speed { milli } if *milli == 0 || *milli > 1_000_000_000 => {
            return Err(Error::invalid("a speed is from 0.001 to 1,000,000 times as recorded"));
        }
        Load::Pattern { pattern } => {
            Pattern::parse(pattern).map_err(|refusal| Error::invalid(refusal.to_string()))?;
        }
        _ => {}
    }
    Ok(())
}

fn shape(caller: &Caller, row: RunRow) -> Result<Run, Error> {
    Ok(Run {
        id: row.id,
        account: caller.account_name.clone(),
        spec: from_json(&row.spec)?,
        state: shown_state(row.state),
        stop_wanted: row.stop_wanted,
        progress: row.progress,
        outcome: row.outcome,
        error: row.error,
        created_at_ms: row.created_at_ms,
        ended_at_ms: row.ended_at_ms,
        follows: row.follows.map(|it| RunFollows {
            run: it.run_id,
            trigger: it.trigger,
            changes: it.changes,
        }),
    })
}

const fn shown_state(state: rows::RunState) -> RunState {
    match state {
        rows::RunState::Waiting => RunState::Waiting,
        rows::RunState::Running => RunState::Running,
        rows::RunState::Succeeded => RunState::Succeeded,
        rows::RunState::Stopped => RunState::Stopped,
        rows::RunState::Failed => RunState::Failed,
    }
}

const fn stored_state(state: RunState) -> rows::RunState {
    match state {
        RunState::Waiting => rows::RunState::Waiting,
        RunState::Running => rows::RunState::Running,
        RunState::Succeeded => rows::RunState::Succeeded,
        RunState::Stopped => rows::RunState::Stopped,
        RunState::Failed => rows::RunState::Failed,
    }
}
