//! Gates: what has to hold of a run before its candidate is promoted, and the promotion.
//!
//! Always true: a run that is invalid promotes nothing; every condition is told with its value and its
//! threshold; who promoted, and by which run, is written with the change.

pub(super) mod measured;

use access::Action;
use api::endpoints::{AskGate, GateJudgement, GateLine, GateSpec, Promote, Promotion};
use api::runs::{RunOutcome, RunSpec};
use policy::gates::{self, Gate, Judged, Judgement, Outcome};
use policy::modes::Change;
use store::endpoints::EndpointRow;
use store::endpoints::counts::{gate_delete, gate_fetch, gate_put};
use store::runs::{RunRow, RunState, run_fetch, run_gate_later, run_gated, runs_ungated};
use types::{Mode, Name, RunId};
use workflow::reconciler::Status;

use super::own;
use super::variants::{self, Decided};
use crate::caller::Caller;
use crate::operations::instances::found;
use crate::operations::items::from_json;
use crate::{Control, Error};

/// How long after a run's end its gate is asked again, and between two times, in milliseconds.
const OVERDUE_MS: u64 = 10_000;
/// How long it is, where a promotion is not possible yet.
const AGAIN_MS_MAX: u64 = 3_600_000;
/// Runs that gates are asked about in one activation.
const RUNS_MAX: u32 = 8;

/// The gate of an endpoint.
pub async fn fetch(control: &Control, caller: &Caller, name: &Name) -> Result<GateSpec, Error> {
    let endpoint = own(control, caller, name, Action::EndpointsRead).await?;
    let gate = read_gate(control, &endpoint).await?;
    gate.ok_or_else(|| Error::NotFound { what: format!("a gate of the endpoint {name}") })
}

/// Sets the gate of an endpoint.
pub async fn put(
    control: &Control,
    caller: &Caller,
    name: &Name,
    wanted: GateSpec,
) -> Result<GateSpec, Error> {
    let endpoint = own(control, caller, name, Action::EndpointsDeploy).await?;
    let gate = gate_of(&wanted)?;
    gate.check().map_err(|refusal| Error::invalid(refusal.to_string()))?;
    let stored = serde_json::to_value(&wanted)
        .map_err(|error| Error::internal("could not write a gate", error))?;
    let put = control.shared.store.transact("set a gate", |tx| {
        let stored = stored.clone();
        Box::pin(async move { gate_put(tx, endpoint.id, &stored).await })
    });
    put.await?;
    Ok(wanted)
}

/// Takes the gate of an endpoint away.
pub async fn remove(control: &Control, caller: &Caller, name: &Name) -> Result<(), Error> {
    let endpoint = own(control, caller, name, Action::EndpointsDeploy).await?;
    let id = endpoint.id;
    let removed =
        control.shared.store.transact("remove a gate", |tx| Box::pin(gate_delete(tx, id)));
    Ok(removed.await?)
}

/// Promotes a variant where the gate says so of a run.
pub async fn promote(
    control: &Control,
    caller: &Caller,
    (name, variant): (&Name, &Name),
    request: Promote,
) -> Result<Promotion, Error> {
    let endpoint = own(control, caller, name, Action::EndpointsDeploy).await?;
    if !matches!(request.mode, Mode::Canary | Mode::Bake | Mode::Production) {
        return Err(Error::invalid("a variant is promoted to canary, bake or production"));
    }
    variants::check_bake(request.for_ms)?;
    let run = run_of(control, caller, (&endpoint, request.run)).await?;
    let until_ms = request.for_ms.map(|for_ms| control.now_ms().saturating_add(for_ms));
    let to = Change { mode: request.mode, share_bp: request.share_bp, until_ms };
    let by = caller.account_name.to_string();
    promote_by(control, &endpoint, (variant, to), (&run, by, true)).await
}

/// Says what the gate says of a run, and changes nothing.
pub async fn ask(
    control: &Control,
    caller: &Caller,
    name: &Name,
    request: AskGate,
) -> Result<GateJudgement, Error> {
    let endpoint = own(control, caller, name, Action::EndpointsRead).await?;
    let run = run_of(control, caller, (&endpoint, request.run)).await?;
    let spec: RunSpec = from_json(&run.spec)?;
    let Some(variant) = spec.variants.first() else {
        return Err(Error::NotFound { what: format!("a variant of the run {}", run.id) });
    };
    let Asked { judged, .. } = judge(control, &endpoint, (variant, &run)).await?;
    let holds = matches!(judged.outcome, Outcome::Promote | Outcome::Review);
    let (variant, reason) = (variant.clone(), why(&judged));
    Ok(GateJudgement { variant, holds, reason, lines: lines(&judged) })
}

/// A run of the caller's, of this endpoint.
async fn run_of(
    control: &Control,
    caller: &Caller,
    (endpoint, run): (&EndpointRow, RunId),
) -> Result<RunRow, Error> {
    let fetched = control.shared.store.read("fetch a run", |tx| Box::pin(run_fetch(tx, run)));
    let run = found(fetched.await, || format!("the run {run}"))?;
    if run.account_id != caller.account || run.endpoint_id != endpoint.id {
        let what = format!("the run {} of the endpoint {}", run.id, endpoint.name);
        return Err(Error::NotFound { what });
    }
    Ok(run)
}

/// Asks gates about runs that have ended, where that could not be done at once.
pub(crate) async fn overdue(control: &Control) -> Status {
    let mut status = Status::default();
    let now_ms = control.now_ms();
    let ended_ms = now_ms.saturating_sub(OVERDUE_MS);
    let read = control
        .shared
        .store
        .read("list runs for gates", |tx| Box::pin(runs_ungated(tx, (ended_ms, now_ms), RUNS_MAX)));
    let runs = match read.await {
        Ok(runs) => runs,
        Err(error) => return Status::failed(error),
    };
    for run in runs {
        match overdue_one(control, &run).await {
            Ok(()) => status.steps_done += 1,
            Err(error) => status.failures.push(workflow::chain(&error)),
        }
    }
    status
}

async fn overdue_one(control: &Control, run: &RunRow) -> Result<(), Error> {
    let Err(error) = after(control, run).await else { return Ok(()) };
    let (id, now_ms) = (run.id, control.now_ms());
    if now_ms < run.ended_at_ms.unwrap_or(0).saturating_add(AGAIN_MS_MAX) {
        let later = control.shared.store.transact("ask a gate later", |tx| {
            Box::pin(run_gate_later(tx, id, now_ms.saturating_add(OVERDUE_MS)))
        });
        return Ok(later.await?);
    }
    let text = format!("nothing is promoted by the run {id}: {error}");
    control.say(&run.endpoint_id.to_string(), "gate", &text).await?;
    gated(control, id).await
}

async fn gated(control: &Control, id: RunId) -> Result<(), Error> {
    let note = control
        .shared
        .store
        .transact("note that a gate was asked", |tx| Box::pin(run_gated(tx, id)));
    Ok(note.await?)
}

/// After a run has ended: promotes its candidate where the gate says so and is to do so by itself.
pub(crate) async fn after(control: &Control, run: &RunRow) -> Result<(), Error> {
    promote_after(control, run).await?;
    gated(control, run.id).await
}

async fn promote_after(control: &Control, run: &RunRow) -> Result<(), Error> {
    if run.state != RunState::Succeeded {
        return Ok(());
    }
    let id = run.endpoint_id;
    let read = control
        .shared
        .store
        .read("fetch an endpoint", |tx| Box::pin(store::endpoints::endpoint_fetch(tx, id)));
    let endpoint = match read.await {
        Ok(endpoint) => endpoint,
        Err(store::Error::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let automatic = read_gate(control, &endpoint).await?.is_some_and(|gate| gate.automatic);
    let spec: RunSpec = from_json(&run.spec)?;
    let Some(variant) = spec.variants.first().filter(|_| automatic) else { return Ok(()) };
    let to = Change { mode: Mode::Production, share_bp: 0, until_ms: None };
    let gate = "the gate".to_owned();
    let told = promote_by(control, &endpoint, (variant, to), (run, gate, false)).await?;
    if !told.promoted {
        let text = format!("{variant} is not promoted: {}", told.reason);
        control.say(&endpoint.id.to_string(), "gate", &text).await?;
    }
    Ok(())
}

async fn promote_by(
    control: &Control,
    endpoint: &EndpointRow,
    (variant, to): (&Name, Change),
    (run, by, by_hand): (&RunRow, String, bool),
) -> Result<Promotion, Error> {
    let Asked { judged, number, mode } = judge(control, endpoint, (variant, run)).await?;
    let holds = match &judged.outcome {
        Outcome::Promote => true,
        Outcome::Review => by_hand,
        _ => false,
    };
    if holds && mode == Some(Mode::Production) {
        // A change that changes nothing would be what is reverted next, and begin all windows anew.
        let reason = format!("{variant} is in production already");
        return Ok(Promotion { promoted: false, reason, lines: lines(&judged) });
    }
    let reason = why(&judged);
    if holds {
        let reason = format!("by the gate and the run {}", run.id);
        variants::decide(control, endpoint, (variant, to), Decided { by, reason }, number).await?;
    }
    Ok(Promotion { promoted: holds, reason, lines: lines(&judged) })
}

/// What a gate says of a run.
struct Asked {
    judged: Judged,
    /// The change since which variants are used as they are.
    number: u64,
    /// What the variant is used for, where there is one.
    mode: Option<Mode>,
}

/// Judges a run by the gate.
async fn judge(
    control: &Control,
    endpoint: &EndpointRow,
    (variant, run): (&Name, &RunRow),
) -> Result<Asked, Error> {
    let gate = read_gate(control, endpoint).await?;
    let gate = gate.ok_or_else(|| Error::Conflict {
        code: "conflict",
        message: format!(
            "{0} has no gate: freehold endpoint gate set {0} CONDITION, or use the variant by hand",
            endpoint.name
        ),
    })?;
    let Some(outcome) = run.outcome.clone() else {
        let message = format!("the run {} has not come to its end", run.id);
        return Err(Error::Conflict { code: "conflict", message });
    };
    let outcome: RunOutcome = from_json(&outcome)?;
    let spec: RunSpec = from_json(&run.spec)?;
    if spec.variants.first() != Some(variant) {
        let message = format!("the run {} was not of {variant} first", run.id);
        return Err(Error::Conflict { code: "conflict", message });
    }
    if run.state != RunState::Succeeded {
        let message = format!("the run {} was ended before it had sent all: replay again", run.id);
        return Err(Error::Conflict { code: "conflict", message });
    }
    let (number, used) = variants::used(control, endpoint).await?;
    let known = used.iter().find(|(row, _)| row.variant == *variant);
    if let Some((row, _)) = known
        && !is_measured(control, row, run).await?
    {
        let message = format!("{variant} is another one since the run {}: replay again", run.id);
        return Err(Error::Conflict { code: "conflict", message });
    }
    let incumbent = used.iter().find(|(_, used)| used.mode == Mode::Production);
    let incumbent = match incumbent {
        Some((row, _)) if is_measured(control, row, run).await? => Some(&row.variant),
        _ => None,
    };
    let beside = spec.variants.iter().skip(1).position(|it| Some(it) == incumbent);
    let seen = measured::snapshot(&outcome, 0, beside.map(|place| place + 1));
    let mode = known.map(|(_, used)| used.mode);
    Ok(Asked { judged: gates::judge(&gate_of(&gate)?, &seen), number, mode })
}

/// Whether what has a variant's name now is what a run measured.
pub(super) async fn is_measured(
    control: &Control,
    row: &EndpointRow,
    run: &RunRow,
) -> Result<bool, Error> {
    Ok(variants::since_ms(control, row).await? <= run.created_at_ms)
}

async fn read_gate(control: &Control, endpoint: &EndpointRow) -> Result<Option<GateSpec>, Error> {
    let id = endpoint.id;
    let read = control.shared.store.read("fetch a gate", |tx| Box::pin(gate_fetch(tx, id)));
    read.await?.map(|gate| from_json(&gate)).transpose()
}

/// The gate as it is judged.
fn gate_of(spec: &GateSpec) -> Result<Gate, Error> {
    let conditions = spec.conditions.iter().map(measured::condition).collect::<Result<_, _>>()?;
    let promotion =
        if spec.automatic { gates::Promotion::Automatic } else { gates::Promotion::ByHand };
    Ok(Gate { conditions, promotion })
}

/// Why a gate lets nothing pass; empty where it does.
fn why(judged: &Judged) -> String {
    match &judged.outcome {
        Outcome::Promote | Outcome::Review => String::new(),
        Outcome::Wait => "something is not known yet".to_owned(),
        Outcome::Closed => "a condition fails".to_owned(),
        Outcome::Refused { reasons } => format!("the run is INVALID: {}", reasons.join("; ")),
    }
}

fn lines(judged: &Judged) -> Vec<GateLine> {
    let line = |line: &gates::Line| GateLine {
        condition: line.number as u64,
        judgement: match line.judgement {
            Judgement::Holds => "holds",
            Judgement::NotKnown => "not_known",
            Judgement::Fails => "fails",
        }
        .to_owned(),
        words: line.to_string(),
    };
    judged.lines.iter().map(line).collect()
}
