//! What is told of a run: how far it is, and what it came to.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::runs::{PlaceOutcome, RunFacts, RunOutcome, RunProgress, RunSchedule, VariantOutcome};
use events::replay::cells::{Cell, OTHERS};
use events::replay::record::Outcome;
use events::replay::report::Times;
use events::replay::{Finished, Progress, Summary};
use serde_json::Value;

use super::judged::Accuracies;

/// Most regions that are told of, and most groups, those with the most requests: what a page shows.
/// Records and cells have the others.
const PLACES_MAX: usize = 32;

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
        variants: variants(&finished.summaries(), judged)
            .into_iter()
            .enumerate()
            .map(|(place, told)| VariantOutcome { places: places(finished, place, judged), ..told })
            .collect(),
        pairs: judged.counted().1,
    };
    serde_json::to_value(&told).unwrap_or_default()
}

/// What a variant came to by region, and by group.
fn places(finished: &Finished, variant: usize, judged: &Accuracies) -> Vec<PlaceOutcome> {
    let (mut regions, mut groups) = (BTreeMap::new(), BTreeMap::new());
    for (of, cell) in finished.cells.iter().filter(|(of, _)| usize::from(of.variant) == variant) {
        for (name, all) in [(of.region, &mut regions), (of.group, &mut groups)] {
            if !name.is_empty() && &*name != OTHERS {
                all.entry(name).or_insert_with(Cell::default).merge(cell);
            }
        }
    }
    let mut told = Vec::new();
    for (is_group, all) in [(false, regions), (true, groups)] {
        for (name, cell) in largest(all) {
            let accuracy = judged.of_place(variant, (is_group, &name));
            let (region, group) = if is_group { (None, Some(name)) } else { (Some(name), None) };
            let shown = |name: Option<Arc<str>>| name.map(|name| name.to_string());
            told.push(PlaceOutcome {
                region: shown(region),
                group: shown(group),
                recorded: cell.counts.all(),
                failures: cell.counts.all() - cell.counts.of(Outcome::Ok),
                response: times(&Times::of(&cell.response)),
                service: times(&Times::of(&cell.service)),
                accuracy,
            });
        }
    }
    told
}

/// Those with the most requests, by name.
fn largest(all: BTreeMap<Arc<str>, Cell>) -> Vec<(Arc<str>, Cell)> {
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(_, cell)| std::cmp::Reverse(cell.counts.all()));
    all.truncate(PLACES_MAX);
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
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
        places: Vec::new(),
    });
    told.collect()
}

fn times(times: &Times) -> api::runs::Times {
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
