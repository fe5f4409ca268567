//! What is told of a run: how far it is, and what it came to.

use api::runs::{RunFacts, RunOutcome, RunProgress, RunSchedule, VariantOutcome};
use events::replay::{Finished, Progress, Summary};
use serde_json::Value;

use super::judged::Accuracies;

/// How far it is.
pub(super) fn progress(progress: &Progress, judged: &Accuracies) -> Value {
    let (issued, stage) = (progress.issued, progress.stage);
    let told = RunProgress {
        stage: serde_json::to_value(stage).ok().and_then(|it| it.as_str().map(str::to_owned)),
        issued,
        variants: variants(&progress.variants, judged),
        pairs: judged.counted().1,
    };
    serde_json::to_value(&told).unwrap_or_default()
}

/// What it came to.
pub(super) fn outcome(finished: &Finished, judged: &Accuracies) -> Value {
    let Finished { proof, facts, validity, lost, .. } = finished;
    let told = RunOutcome {
        valid: validity.is_valid(),
        reasons: validity.reasons.iter().map(ToString::to_string).collect(),
        disclosed: validity.disclosed.iter().map(ToString::to_string).collect(),
        schedule: RunSchedule {
            seed: proof.seed,
            digest: hex::encode(proof.digest),
            sends: proof.sends,
            events: proof.events,
            omitted: proof.omitted,
            duplicates: proof.duplicates,
            disordered: proof.disordered,
        },
        facts: RunFacts {
            asked: facts.asked,
            asked_ns: facts.asked_ns,
            sent: facts.sent,
            took_ns: facts.took_ns,
            skipped: facts.skipped,
            dropped: facts.dropped,
            lost: *lost,
            lag_p99_ns: facts.lag_p99_ns,
            events: facts.events,
            busy_milli: facts.busy_milli,
        },
        variants: variants(&finished.summaries(), judged),
        pairs: judged.counted().1,
    };
    serde_json::to_value(&told).unwrap_or_default()
}

fn variants(summaries: &[Summary], judged: &Accuracies) -> Vec<VariantOutcome> {
    let counted = judged.counted().0;
    let told = summaries.iter().zip(counted).map(|(summary, accuracy)| VariantOutcome {
        name: summary.name.clone(),
        under_way: summary.under_way,
        recorded: summary.recorded,
        sent: summary.sent,
        answered: summary.answered,
        outcomes: summary
            .outcomes
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(word, count)| ((*word).to_owned(), *count))
            .collect(),
        lag: times(&summary.lag),
        response: times(&summary.response),
        latency: times(&summary.latency),
        service: times(&summary.service),
        bytes_out: summary.bytes_out,
        bytes_in: summary.bytes_in,
        accuracy,
    });
    told.collect()
}

fn times(times: &events::replay::report::Times) -> api::runs::Times {
    use policy::sketch::Bound;
    let (p99_upper_ns, p99_needs) = match times.p99.bound_ns {
        Bound::AtMost(ns) => (Some(ns), None),
        Bound::NotEnough { events_needed } => (None, Some(events_needed)),
    };
    api::runs::Times {
        count: times.count,
        mean_ns: times.mean_ns,
        p50_ns: times.p50.seen_ns.unwrap_or(0),
        p90_ns: times.p90.seen_ns.unwrap_or(0),
        p99_ns: times.p99.seen_ns.unwrap_or(0),
        p999_ns: times.p999.seen_ns.unwrap_or(0),
        max_ns: times.max_ns,
        p99_upper_ns,
        p99_needs,
    }
}
