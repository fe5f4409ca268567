//! `freehold replay --sweep`: the largest rate at which a condition holds, of each variant.
//!
//! Each rate is a run of its own, of one variant, so that the others do not take its processors; they
//! stay in the list of runs. Always true: a rate counts as borne only where its run was valid, and
//! enough requests say so; and as missed only where the sender did as it should.

use api::client::Client;
use api::endpoints::{GateCondition, GateMetric};
use api::runs::{Load, Run, RunOutcome, RunProgress, RunSpec, RunState, VariantOutcome};
use policy::evidence::percentile::{Rank, upper_rank};
use policy::replay::sweep::{Range, Search, duration_ms};
use policy::replay::validity::{self, Facts, Needs};
use serde::Serialize;
use types::{Name, RunId};

use super::super::runs::{bound, outcome, response, word_of};
use super::PAUSE;
use crate::args::SweepArguments;
use crate::exit::Failure;
use crate::output::{Output, share, table};

/// The first rate, and the largest that is tried, in events per second, where nothing is said.
const FROM: u64 = 1;
const UP_TO: u64 = 10_000;
/// How near the answer is to be, in thousandths, where nothing is said.
const WITHIN_MILLI: u64 = 100;
/// How long a rate is sent at least where nothing is said, in milliseconds.
const STEP_MS: u64 = 15_000;
/// Requests at a rate, at least: for a percentile, as many as it takes to say it.
const REQUESTS_MIN: u64 = 100;
/// A run whose sender was too late says nothing, and is done again so often.
const AGAIN_MAX: u32 = 2;

/// A rate that was tried.
#[derive(Debug, Serialize)]
struct Step {
    variant: String,
    rate_uhz: u64,
    run: RunId,
    valid: bool,
    /// Whether it can be told if it holds: not where the sender was late, or nothing was measured.
    known: bool,
    holds: bool,
    /// What it came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<VariantOutcome>,
    /// Why it does not hold, where that is not to be seen.
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
}

/// What was found of a variant.
#[derive(Debug, Serialize)]
struct Found {
    variant: String,
    /// The largest rate at which the condition held; none where it did not hold at the first.
    holds_at_uhz: Option<u64>,
    /// The smallest at which it did not; none where it held at all that were tried.
    misses_at_uhz: Option<u64>,
    /// The rate at which it could not be told, with which the search ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_known_at_uhz: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Sweep {
    found: Vec<Found>,
    steps: Vec<Step>,
}

/// Tries rate after rate of each variant.
pub(super) async fn run(
    (condition, arguments): (GateCondition, SweepArguments),
    base: RunSpec,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let limit = Limit::of(&condition)?;
    let SweepArguments { from, up_to, within } = arguments;
    let range = Range {
        from_uhz: from.unwrap_or(FROM * policy::replay::UHZ),
        to_uhz: up_to.unwrap_or(UP_TO * policy::replay::UHZ),
        within_milli: within.map_or(WITHIN_MILLI, |ppm| ppm / 1_000),
    };
    let search = Search::new(range).ok_or_else(|| {
        Failure::usage("the sweep has no rates: --from is above --up-to, or --within is nothing")
    })?;
    let names: Vec<Option<Name>> = match base.variants.as_slice() {
        [] => vec![None],
        all => all.iter().cloned().map(Some).collect(),
    };
    let mut searches: Vec<_> = names.into_iter().map(|name| (name, search)).collect();
    let mut steps = Vec::new();
    let busy = out.busy("looking for the largest rate");
    loop {
        let before = steps.len();
        for (name, search) in &mut searches {
            let Some(rate_uhz) = search.next_uhz() else { continue };
            busy.set_message(format!("{} at {}", shown(name.as_ref()), per_second(rate_uhz)));
            let spec = RunSpec {
                variants: name.iter().cloned().collect(),
                load: Load::Rate { uhz: rate_uhz },
                for_ms: Some(duration_ms(
                    rate_uhz,
                    base.for_ms.unwrap_or(STEP_MS),
                    limit.requests_min(),
                )),
                ..base.clone()
            };
            let mut step = tried(&spec, rate_uhz, limit, client).await?;
            step.variant = shown(name.as_ref());
            if step.known {
                search.tell(rate_uhz, step.holds);
            } else {
                search.give_up(rate_uhz);
            }
            steps.push(step);
        }
        if steps.len() == before {
            break;
        }
    }
    busy.finish_and_clear();
    let found = searches.iter().map(|(name, search)| Found {
        variant: shown(name.as_ref()),
        holds_at_uhz: search.held_uhz(),
        misses_at_uhz: search.missed_uhz(),
        not_known_at_uhz: search.untold_uhz(),
    });
    let swept = Sweep { found: found.collect(), steps };
    out.text(&swept, people)
}

/// What must not be passed.
#[derive(Clone, Copy, Debug)]
struct Limit {
    metric: GateMetric,
    at_most: u64,
}

impl Limit {
    fn of(condition: &GateCondition) -> Result<Self, Failure> {
        let metric = condition.metric;
        let at_most = condition.at_most.and_then(|limit| u64::try_from(limit).ok());
        let is_known = matches!(
            metric,
            GateMetric::ResponseP50Us
                | GateMetric::ResponseP99Us
                | GateMetric::ServiceP50Us
                | GateMetric::ErrorsPpm
        );
        match at_most.filter(|_| is_known) {
            Some(at_most) => Ok(Self { metric, at_most }),
            None => Err(Failure::usage("a sweep cannot look for that")
                .hint("write like response_p99<=50ms, response_p50<=5ms or errors<=0.1%")),
        }
    }

    /// How many requests it takes to tell.
    fn requests_min(self) -> u64 {
        match self.metric {
            GateMetric::ResponseP99Us => match upper_rank(0, 990_000, 990_000) {
                Rank::NotEnough { events_needed } => events_needed,
                Rank::Of(_) => REQUESTS_MIN,
            },
            _ => REQUESTS_MIN,
        }
    }

    /// What was measured; none where that is not known.
    fn value(self, it: &VariantOutcome) -> Option<u64> {
        // What has no good answer is slower than any, however quickly it failed.
        let or_never = |ns: Option<u64>| match ns {
            Some(ns) => Some(ns.div_ceil(1_000)),
            None => (it.recorded > 0).then_some(u64::MAX),
        };
        match self.metric {
            GateMetric::ResponseP50Us => or_never(it.response.p50_ns),
            GateMetric::ResponseP99Us if it.response.p99_needs.is_some() => None,
            GateMetric::ResponseP99Us => or_never(it.response.p99_upper_ns),
            GateMetric::ServiceP50Us => it.service.p50_ns.map(|ns| ns.div_ceil(1_000)),
            GateMetric::ErrorsPpm => it.errors_ppm(),
            _ => None,
        }
    }

    /// Whether so much is known already that to go on changes nothing: more than half of the
    /// answers took longer than the limit of a percentile at or above the middle.
    fn is_missed(self, told: &RunProgress) -> bool {
        let of_time = matches!(self.metric, GateMetric::ResponseP50Us | GateMetric::ResponseP99Us);
        let is_twice = |ns: u64| ns / 1_000 > self.at_most.saturating_mul(2);
        told.variants.first().is_some_and(|it| {
            let enough = it.response.count >= REQUESTS_MIN;
            of_time && enough && it.response.p50_ns.is_some_and(is_twice)
        })
    }
}

/// Whether a run says nothing of what it sent to, since its sender did not do as it should.
fn is_of_sender(told: &RunOutcome) -> bool {
    let facts = &told.facts;
    let latency = told.variants.iter().filter_map(|it| it.latency.p99_ns).min();
    let facts = Facts {
        asked: facts.asked,
        asked_ns: facts.asked_ns,
        sent: facts.sent,
        took_ns: facts.took_ns,
        skipped: facts.skipped,
        dropped: facts.dropped,
        lag_p99_ns: facts.lag_p99_ns,
        latency_p99_ns: latency.unwrap_or(0),
        events: facts.events,
        busy_milli: facts.busy_milli,
        ..Facts::default()
    };
    !told.valid && validity::judge(&facts, &Needs::default()).is_of_sender()
}

/// One rate, again where the sender spoilt it.
async fn tried(
    spec: &RunSpec,
    rate_uhz: u64,
    limit: Limit,
    client: &Client,
) -> Result<Step, Failure> {
    let mut left = AGAIN_MAX;
    loop {
        let (step, is_spoilt) = once(spec, rate_uhz, limit, client).await?;
        if !is_spoilt || left == 0 {
            return Ok(step);
        }
        left -= 1;
    }
}

/// One run at a rate, and whether its sender spoilt it.
async fn once(
    spec: &RunSpec,
    rate_uhz: u64,
    limit: Limit,
    client: &Client,
) -> Result<(Step, bool), Failure> {
    let run = client.run_create(spec).await?;
    let (run, is_missed) = ended(&run, limit, client).await?;
    if run.state == RunState::Failed {
        let error = run.error.unwrap_or_default();
        return Err(Failure::refused(format!("the replay {} failed: {error}", run.id)));
    }
    Ok(judged((run.id, rate_uhz), outcome(&run), limit, is_missed))
}

/// What a run at a rate says, and whether its sender spoilt it.
fn judged(
    (run, rate_uhz): (RunId, u64),
    told: Option<RunOutcome>,
    limit: Limit,
    is_missed: bool,
) -> (Step, bool) {
    let valid = told.as_ref().is_some_and(|it| it.valid);
    let is_spoilt = told.as_ref().is_some_and(is_of_sender);
    let reasons = told.as_ref().map(|it| it.reasons.join("; ")).unwrap_or_default();
    let outcome = told.and_then(|it| it.variants.into_iter().next());
    let value = outcome.as_ref().and_then(|it| limit.value(it));
    let why = match value {
        _ if is_missed && !is_spoilt => {
            "stopped: half of the answers took more than twice as long".to_owned()
        }
        _ if !valid => format!("INVALID: {reasons}"),
        None => "not enough requests to tell: use a longer --for".to_owned(),
        Some(_) => String::new(),
    };
    let known = !is_spoilt && (is_missed || value.is_some());
    let holds = known && valid && !is_missed && value.is_some_and(|value| value <= limit.at_most);
    let variant = String::new();
    (Step { variant, rate_uhz, run, valid, known, holds, outcome, why }, is_spoilt)
}

/// Waits for the end of a run; stops one that has missed the limit already.
async fn ended(run: &Run, limit: Limit, client: &Client) -> Result<(Run, bool), Failure> {
    let mut is_missed = false;
    loop {
        let now = client.run_fetch(run.id).await?;
        if now.state.ended() {
            return Ok((now, is_missed));
        }
        let told = now.progress.and_then(|it| serde_json::from_value::<RunProgress>(it).ok());
        if !is_missed && told.is_some_and(|told| limit.is_missed(&told)) {
            is_missed = true;
            client.run_stop(run.id).await?;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn shown(name: Option<&Name>) -> String {
    name.map_or_else(|| "in production".to_owned(), Name::to_string)
}

fn per_second(uhz: u64) -> String {
    format!("{}/s", word_of(uhz, policy::replay::UHZ))
}

fn people(sweep: &Sweep) -> String {
    let heads = ["variant", "rate", "holds", "p50", "p99", "p99 at most", "errors", "run", ""];
    let rows = sweep.steps.iter().map(|step| {
        let of = |tell: &dyn Fn(&VariantOutcome) -> String| {
            step.outcome.as_ref().map(tell).unwrap_or_default()
        };
        vec![
            step.variant.clone(),
            per_second(step.rate_uhz),
            match (step.known, step.holds) {
                (false, _) => "not known",
                (true, true) => "yes",
                (true, false) => "no",
            }
            .to_owned(),
            of(&|it| response(it, |it| it.p50_ns)),
            of(&|it| response(it, |it| it.p99_ns)),
            of(&bound),
            of(&|it| it.errors_ppm().map(share).unwrap_or_default()),
            step.run.to_string(),
            step.why.clone(),
        ]
    });
    let mut text = table(&heads, rows);
    for found in &sweep.found {
        text += &format!("{}: {}\n", found.variant, words(found));
    }
    text
}

fn words(found: &Found) -> String {
    let rates = [found.holds_at_uhz, found.misses_at_uhz, found.not_known_at_uhz];
    match rates.map(|rate| rate.map(per_second)) {
        [None, Some(missed), _] => format!("does not hold at {missed} already"),
        [Some(held), Some(missed), None] => format!("holds at {held}, and not at {missed}"),
        [Some(held), Some(missed), Some(untold)] => format!(
            "holds at {held}, and not at {missed}; between is not known, as {untold} could not be told"
        ),
        [Some(held), None, None] => format!("holds at {held}, the largest tried"),
        [Some(held), None, Some(untold)] => {
            format!("holds at {held}; not known above {held}, as {untold} could not be told")
        }
        [None, None, Some(untold)] => format!("not known at {untold} already"),
        [None, None, None] => "was not tried".to_owned(),
    }
}

#[cfg(test)]
mod tests;
