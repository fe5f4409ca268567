//! What is told of a run: how far it is, and what it came to.

pub(super) mod accuracy;
pub(super) mod used;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::internal::RunRoute;
use api::runs::{
    DrillOutcome, DrillState, PlaceOutcome, RunFacts, RunOutcome, RunProgress, RunSchedule,
    VariantOutcome,
};
use events::replay::cells::OTHERS;
use events::replay::report::Times;
use events::replay::{Cell, Cells, Finished, Outcome, Run, Summary};
use serde_json::Value;

use super::judged::Accuracies;
use super::used::Usage;
use crate::hub::Hub;
use crate::routes::Endpoint;

/// Most pairs of label and prediction that are told while a run goes on: those of five classes.
const CELLS_TOLD_MAX: usize = 25;

/// A run's variants as the routes have them now.
pub(super) fn endpoints(hub: &Hub, told: &RunRoute) -> Vec<Option<Arc<Endpoint>>> {
    let table = hub.table.load();
    let account = told.account_name.as_str();
    let find = |variant| table.variant(account, &told.spec.endpoint, variant);
    told.spec.variants.iter().map(find).collect()
}

/// Most regions that are told of, and most groups, those with the most requests: what a page shows.
/// Records and cells have the others.
const PLACES_MAX: usize = 32;

/// What is known of a run beside its records; each by the places of variants.
pub(super) struct Beside {
    pub(super) endpoints: Vec<Option<Arc<Endpoint>>>,
    pub(super) usage: Vec<Usage>,
    pub(super) drills: Vec<Vec<DrillOutcome>>,
}

/// How far it is.
pub(super) fn progress(run: &Run, judged: &Accuracies, beside: &Beside) -> Value {
    let progress = run.progress();
    let (totals, cells) = (run.totals(), run.cells());
    let measured = Measured { totals: &totals, cells: &cells, took_ns: run.took_ns(), beside };
    let mut variants = variants(&progress.variants, judged, &measured);
    for variant in &mut variants {
        // It is stored every second: a large table can wait for the end.
        if variant.accuracy.confusion.len() > CELLS_TOLD_MAX {
            variant.accuracy.confusion.clear();
        }
    }
    let told = RunProgress {
        stage: serde_json::to_value(progress.stage)
            .ok()
            .and_then(|it| it.as_str().map(str::to_owned)),
        issued: progress.issued,
        variants,
        pairs: judged.counted().1,
    };
    serde_json::to_value(&told).unwrap_or_default()
}

/// What it came to.
pub(super) fn outcome(finished: &Finished, judged: &Accuracies, beside: &Beside) -> Value {
    let Finished { proof, facts, validity, lost, totals, cells, .. } = finished;
    let measured = Measured { totals, cells, took_ns: facts.took_ns, beside };
    let disclosed = validity.disclosed.iter().map(ToString::to_string);
    let told = RunOutcome {
        valid: validity.is_valid(),
        reasons: validity.reasons.iter().map(ToString::to_string).collect(),
        disclosed: disclosed.chain(missed(finished, &beside.drills)).collect(),
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
        durability_ppm: part_ppm(facts.sent, facts.sent.saturating_add(*lost)),
        variants: variants(&finished.summaries(), judged, &measured)
            .into_iter()
            .enumerate()
            .map(|(place, told)| VariantOutcome { places: places(finished, place, judged), ..told })
            .collect(),
        pairs: judged.counted().1,
    };
    serde_json::to_value(&told).unwrap_or_default()
}

/// What was measured of all variants.
struct Measured<'m> {
    totals: &'m [Cell],
    cells: &'m Cells,
    took_ns: u64,
    beside: &'m Beside,
}

/// Drills that were not done, and what is not known of those that were.
fn missed(finished: &Finished, drills: &[Vec<DrillOutcome>]) -> Vec<String> {
    let named = finished.names.iter().zip(drills);
    let each = named.flat_map(|(name, drills)| drills.iter().map(move |drill| (name, drill)));
    let words = each.filter_map(|(name, drill)| {
        let what = match drill.state {
            DrillState::Done => "when it was well again is not known",
            _ => "it was not done",
        };
        let why = drill.why.as_ref()?;
        Some(format!("the drill of {name} at {} ms: {what}: {why}", drill.at_ms))
    });
    words.collect()
}

fn variants(
    summaries: &[Summary],
    judged: &Accuracies,
    measured: &Measured<'_>,
) -> Vec<VariantOutcome> {
    let counted = judged.counted().0.into_iter();
    let told = summaries.iter().zip(counted).zip(measured.totals).zip(0..);
    told.map(|(((summary, accuracy), sum), place)| {
        let (beside, at) = (measured.beside, usize::from(place));
        let endpoint = beside.endpoints.get(at).and_then(Option::as_deref);
        let told = (endpoint, beside.usage.get(at));
        VariantOutcome {
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
            overhead: times(&summary.overhead),
            queue: times(&summary.queue),
            bytes_out: summary.bytes_out,
            bytes_in: summary.bytes_in,
            availability_ppm: availability_ppm(sum),
            used: used::of(sum, (measured.cells, place), measured.took_ns, told),
            accuracy,
            drills: beside.drills.get(at).cloned().unwrap_or_default(),
            places: Vec::new(),
        }
    })
    .collect()
}

/// Of what was sent, the part that was answered without a fault of the variant's own.
fn availability_ppm(sum: &Cell) -> Option<u64> {
    let good = sum.counts.of(Outcome::Ok) + sum.counts.of(Outcome::ClientError);
    part_ppm(good, sum.counts.sent())
}

fn part_ppm(part: u64, of: u64) -> Option<u64> {
    let ppm = u128::from(part) * 1_000_000 / u128::from(of.max(1));
    (of > 0).then(|| u64::try_from(ppm).unwrap_or(u64::MAX))
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
                response: times(&Times::among(&cell.response, cell.counts.all())),
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

fn times(times: &Times) -> api::runs::Times {
    use policy::sketch::Bound;
    let (p99_upper_ns, p99_needs) = match times.p99.bound_ns {
        Bound::AtMost(ns) => (Some(ns), None),
        Bound::NotEnough { events_needed } => (None, Some(events_needed)),
        Bound::Beyond => (None, None),
    };
    api::runs::Times {
        count: times.count,
        mean_ns: times.mean_ns,
        p50_ns: times.p50.seen_ns,
        p90_ns: times.p90.seen_ns,
        p99_ns: times.p99.seen_ns,
        p999_ns: times.p999.seen_ns,
        max_ns: times.max_ns,
        p99_lower_ns: times.p99.lower_ns,
        p99_upper_ns,
        p99_needs,
    }
}
