//! Gates: what has to hold of a run before its candidate is promoted, and the promotion.
//!
//! Always true: a run that is invalid promotes nothing; every condition is told with its value and its
//! threshold; who promoted, and by which run, is written with the change.

use std::collections::BTreeMap;

use access::Action;
use api::endpoints::{GateCondition, GateLine, GateMetric, GateSpec, Promote, Promotion};
use api::runs::{Auc, Pairs, RunOutcome, RunSpec, VariantOutcome};
use policy::evidence::paired;
use policy::evidence::verdict::{Answer, Deadline, Guardrail, Progress, Verdict};
use policy::evidence::{Evidence, Margins, Watch};
use policy::gates::{
    self, Bounds, Condition, Gate, Judged, Judgement, Key, Limit, Outcome, Pair, Scope, Snapshot,
    Value,
};
use policy::modes::Change;
use store::endpoints::EndpointRow;
use store::endpoints::counts::{gate_delete, gate_fetch, gate_put};
use store::runs::{RunRow, RunState, run_fetch};
use types::{Mode, Name};

use super::own;
use super::variants::{self, Decided};
use crate::caller::Caller;
use crate::operations::instances::found;
use crate::operations::items::from_json;
use crate::{Control, Error};

/// The chance that a candidate as good as production is reverted, and that one worse is promoted.
const BOUND_PPM: u32 = 50_000;
/// Of what only one got right, the candidate's part may be less by a tenth, and by a half is worse.
const MARGINS: Margins = Margins { tolerance_ppm: 100_000, margin_ppm: 500_000 };
/// Events of each kind that an interval of the area under the curve takes.
const AUC_EVENTS_MIN: u64 = 2;

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
    let run = request.run;
    let fetched = control.shared.store.read("fetch a run", |tx| Box::pin(run_fetch(tx, run)));
    let run = found(fetched.await, || format!("the run {run}"))?;
    if run.account_id != caller.account || run.endpoint_id != endpoint.id {
        return Err(Error::NotFound { what: format!("the run {} of the endpoint {name}", run.id) });
    }
    let until_ms = request.for_ms.map(|for_ms| control.now_ms().saturating_add(for_ms));
    let to = Change { mode: request.mode, share_bp: request.share_bp, until_ms };
    let by = caller.account_name.to_string();
    promote_by(control, &endpoint, (variant, to), (&run, by, true)).await
}

/// After a run has ended: promotes its candidate where the gate says so and is to do so by itself.
pub(crate) async fn after(control: &Control, run: &RunRow) -> Result<(), Error> {
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
    let (number, used) = variants::used(control, endpoint).await?;
    let incumbent = used.iter().find(|(_, used)| used.mode == Mode::Production);
    let incumbent = incumbent.map(|(row, _)| &row.variant);
    let place = spec.variants.iter().skip(1).position(|it| Some(it) == incumbent);
    let judged = gates::judge(&gate_of(&gate)?, &snapshot(&outcome, place));
    let holds = match &judged.outcome {
        Outcome::Promote => true,
        Outcome::Review => by_hand,
        _ => false,
    };
    let reason = why(&judged);
    if holds {
        let reason = format!("by the gate and the run {}", run.id);
        variants::decide(control, endpoint, (variant, to), Decided { by, reason }, number).await?;
    }
    Ok(Promotion { promoted: holds, reason, lines: lines(&judged) })
}

async fn read_gate(control: &Control, endpoint: &EndpointRow) -> Result<Option<GateSpec>, Error> {
    let id = endpoint.id;
    let read = control.shared.store.read("fetch a gate", |tx| Box::pin(gate_fetch(tx, id)));
    read.await?.map(|gate| from_json(&gate)).transpose()
}

/// The gate as it is judged.
fn gate_of(spec: &GateSpec) -> Result<Gate, Error> {
    let conditions = spec.conditions.iter().map(condition).collect::<Result<_, _>>()?;
    let promotion =
        if spec.automatic { gates::Promotion::Automatic } else { gates::Promotion::ByHand };
    Ok(Gate { conditions, promotion })
}

fn condition(wanted: &GateCondition) -> Result<Condition, Error> {
    let GateCondition {
        metric,
        at_most,
        at_least,
        at_most_of_incumbent_ppm,
        at_least_of_incumbent_ppm,
    } = wanted;
    let limits = [
        at_most.map(Limit::AtMost),
        at_least.map(Limit::AtLeast),
        at_most_of_incumbent_ppm.map(Limit::AtMostOfIncumbent),
        at_least_of_incumbent_ppm.map(Limit::AtLeastOfIncumbent),
    ];
    let mut limits = limits.into_iter().flatten();
    match (metric, limits.next(), limits.next()) {
        (GateMetric::Verdict, None, _) => Ok(Condition::Verdict),
        (GateMetric::Verdict, ..) => Err(Error::invalid("the verdict has no limit")),
        (_, Some(limit), None) => {
            Ok(Condition::Metric { metric: word(*metric).to_owned(), scope: Scope::All, limit })
        }
        _ => Err(Error::invalid(format!("{} needs one limit", word(*metric)))),
    }
}

const fn word(metric: GateMetric) -> &'static str {
    match metric {
        GateMetric::ResponseP50Us => "response_p50_us",
        GateMetric::ResponseP99Us => "response_p99_us",
        GateMetric::ServiceP50Us => "service_p50_us",
        GateMetric::ErrorsPpm => "errors_ppm",
        GateMetric::AccuracyPpm => "accuracy_ppm",
        GateMetric::PrecisionPpm => "precision_ppm",
        GateMetric::RecallPpm => "recall_ppm",
        GateMetric::AucPpm => "auc_ppm",
        GateMetric::CalibrationPpm => "calibration_ppm",
        GateMetric::AgreementPpm => "agreement_ppm",
        GateMetric::Verdict => "verdict",
    }
}

/// What a run came to, of its first variant and of what is in production, where that was in it.
fn snapshot(outcome: &RunOutcome, incumbent: Option<usize>) -> Snapshot {
    let run = if outcome.valid {
        gates::Run::Valid
    } else {
        gates::Run::Invalid { reasons: outcome.reasons.clone() }
    };
    let other = incumbent.and_then(|place| outcome.variants.get(place + 1));
    let pairs = incumbent.and_then(|place| outcome.pairs.get(place));
    let mut values: BTreeMap<Key, Pair> = BTreeMap::new();
    let mut add = |metric: GateMetric, candidate: Value, incumbent: Value| {
        let key = Key { metric: word(metric).to_owned(), region: None };
        values.insert(key, Pair { candidate, incumbent });
    };
    if let Some(candidate) = outcome.variants.first() {
        for (metric, value) in measures() {
            add(metric, value(candidate), other.map_or(Value::Missing, value));
        }
    }
    if let Some(Pairs { same, differ, .. }) = pairs {
        add(GateMetric::AgreementPpm, part(*same, same + differ), Value::Missing);
    }
    Snapshot { run, values, verdict: pairs.map(verdict) }
}

type Measure = fn(&VariantOutcome) -> Value;

fn measures() -> [(GateMetric, Measure); 9] {
    [
        (GateMetric::ResponseP50Us, |it| times(it.response.count, it.response.p50_ns)),
        (GateMetric::ResponseP99Us, |it| match (it.response.p99_upper_ns, it.response.p99_needs) {
            (Some(ns), _) => whole(ns / 1_000),
            (None, Some(needed)) => {
                Value::NotEnough { events: it.response.count, events_needed: needed }
            }
            (None, None) => Value::Missing,
        }),
        (GateMetric::ServiceP50Us, |it| times(it.service.count, it.service.p50_ns)),
        (GateMetric::ErrorsPpm, |it| exact_of(it.errors_ppm())),
        (GateMetric::AccuracyPpm, |it| exact_of(it.accuracy.accuracy_ppm())),
        (GateMetric::PrecisionPpm, |it| exact_of(it.accuracy.precision_ppm())),
        (GateMetric::RecallPpm, |it| exact_of(it.accuracy.recall_ppm())),
        (GateMetric::AucPpm, |it| it.accuracy.auc.as_ref().map_or(Value::Missing, area)),
        (GateMetric::CalibrationPpm, |it| {
            exact_of(it.accuracy.calibration.as_ref().map(|it| it.error_ppm))
        }),
    ]
}

/// The area under the curve lies within its interval: what is beyond is not known.
fn area(auc: &Auc) -> Value {
    let events = auc.positives.min(auc.negatives);
    match (auc.lower_ppm, auc.upper_ppm) {
        (Some(lower), Some(upper)) => {
            let end = |ppm: u64| Some(i64::try_from(ppm).unwrap_or(i64::MAX));
            Value::Within(Bounds { lower: end(lower), upper: end(upper) })
        }
        _ if events < AUC_EVENTS_MIN => Value::NotEnough { events, events_needed: AUC_EVENTS_MIN },
        // All scores are the same, which tell nothing apart.
        _ => whole(auc.value_ppm),
    }
}

fn exact_of(ppm: Option<u64>) -> Value {
    ppm.map_or(Value::Missing, whole)
}

fn times(count: u64, ns: u64) -> Value {
    if count == 0 { Value::Missing } else { whole(ns / 1_000) }
}

fn part(part: u64, of: u64) -> Value {
    if of == 0 {
        return Value::Missing;
    }
    let ppm = u128::from(part) * 1_000_000 / u128::from(of);
    whole(u64::try_from(ppm).unwrap_or(u64::MAX))
}

fn whole(value: u64) -> Value {
    Value::Within(Bounds::exactly(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// What the right and wrong answers to the same events say.
fn verdict(pairs: &Pairs) -> Answer {
    let seen = paired::Pairs {
        events: pairs.both_right + pairs.first_right + pairs.other_right + pairs.both_wrong,
        candidate_only: pairs.other_right,
        incumbent_only: pairs.first_right,
    };
    let guardrail = Guardrail {
        alpha_ppm: BOUND_PPM,
        beta_ppm: BOUND_PPM,
        watch: Watch::Pairs { margins: MARGINS, seen },
        carried: Evidence::default(),
    };
    let guardrails = BTreeMap::from([("right answers".to_owned(), guardrail)]);
    let never = Deadline { events_max: u64::MAX, until_ms: u64::MAX };
    Verdict::default().judge(&guardrails, never, Progress { events: seen.events, now_ms: 0 })
}

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
