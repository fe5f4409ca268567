//! What answers predict, held against labels and against each other, while a run goes on.
//!
//! Always true: an event counts once, whatever its copies; what was recorded before a restart counts
//! as what comes after it; memory is that of [`events::replay::accuracy`], whatever the run.
//! Absent on purpose: what follows from the counts (`policy::evidence`).

use std::collections::HashMap;
use std::sync::Arc;

use api::runs::{Accuracy as Told, Judged as Asked, Pairs};
use events::replay::accuracy::{Accuracy, Agreement, Terms};
use events::replay::{Answered, FromJson, Judge, Judged, Outcome, Record};
use parking_lot::Mutex;

use super::told::accuracy;
use crate::metrics::endpoints::Replays;

/// The counts of a run's variants.
pub(super) struct Accuracies {
    terms: Arc<Terms>,
    state: Mutex<State>,
}

/// A region, or a group where it is said so.
type Place = (bool, Arc<str>);

/// Most regions and groups of a run that are counted apart, as many as have cells: the first that come.
const PLACES_MAX: usize = events::replay::cells::PLACES_MAX;

struct State {
    variants: Vec<Accuracy>,
    /// Of each variant, by region and by group.
    places: Vec<HashMap<Place, Told>>,
    /// Of the first variant and each other one.
    pairs: Vec<Agreement>,
}

impl Accuracies {
    /// Of so many variants.
    pub(super) fn new(variants: usize, asked: &Asked) -> Self {
        let terms = Arc::new(Terms::of_ppm(asked.threshold_ppm, asked.positive.as_deref()));
        let others = 1..u16::try_from(variants).unwrap_or(u16::MAX);
        let state = State {
            variants: vec![Accuracy::new(Arc::clone(&terms)); variants],
            places: vec![HashMap::new(); variants],
            pairs: others.map(|other| Agreement::new(other, 0, Arc::clone(&terms))).collect(),
        };
        Self { terms, state: Mutex::new(state) }
    }

    /// What was counted: of each variant, and of the first with each other.
    pub(super) fn counted(&self) -> (Vec<Told>, Vec<Pairs>) {
        let state = self.state.lock();
        let variants = state.variants.iter().map(accuracy::of).collect();
        (variants, state.pairs.iter().map(accuracy::pairs).collect())
    }

    /// What was counted of a variant in a region or group.
    pub(super) fn of_place(&self, variant: usize, (is_group, name): (bool, &Arc<str>)) -> Told {
        let state = self.state.lock();
        let places = state.places.get(variant);
        places.and_then(|it| it.get(&(is_group, Arc::clone(name)))).cloned().unwrap_or_default()
    }

    fn follow(&self, record: &Record) {
        let mut state = self.state.lock();
        let variant = usize::from(record.variant);
        if let Some(counts) = state.variants.get_mut(variant) {
            counts.add(record);
        }
        for place in [(false, &record.region), (true, &record.group)] {
            if let Some(counts) = state.of_place(variant, place) {
                count(counts, &self.terms, record);
            }
        }
        for pair in &mut state.pairs {
            pair.add(record);
        }
    }
}

impl State {
    /// The counts of a region or group; none where it has no name, or there are too many.
    fn of_place(
        &mut self,
        variant: usize,
        (is_group, name): (bool, &Arc<str>),
    ) -> Option<&mut Told> {
        let places = self.places.get_mut(variant).filter(|_| !name.is_empty())?;
        let place = (is_group, Arc::clone(name));
        if places.len() >= PLACES_MAX && !places.contains_key(&place) {
            return None;
        }
        Some(places.entry(place).or_default())
    }
}

/// Counts one event of a region or group: without classes, which take room.
fn count(counts: &mut Told, terms: &Terms, record: &Record) {
    if record.copy > 0 || !record.outcome.is_sent() {
        return;
    }
    let is_ok = record.outcome == Outcome::Ok;
    let predicted = terms.predicted(record.score, record.class.as_deref()).filter(|_| is_ok);
    let Some(label) = record.label.as_deref() else {
        counts.unlabelled += u64::from(predicted.is_some());
        return;
    };
    counts.unanswered += u64::from(!is_ok);
    counts.unread += u64::from(is_ok && predicted.is_none());
    let right = predicted.is_some_and(|it| it == terms.class_of(label, record.score));
    *counts.right.get_or_insert(0) += u64::from(right);
    let place = match (predicted.map(|it| it == terms.positive()), terms.is_positive(label)) {
        (Some(true), true) => &mut counts.true_positives,
        (Some(true), false) => &mut counts.false_positives,
        (Some(false), false) => &mut counts.true_negatives,
        (_, true) => &mut counts.false_negatives,
        (None, false) => &mut counts.unpredicted_negatives,
    };
    *place += 1;
}

/// Reads answers, and counts what they predict.
pub(super) struct Judging {
    reads: FromJson,
    counts: Arc<Accuracies>,
    /// By variant, what operators watch; none of one that is not in the routes.
    meters: Vec<Option<Arc<Replays>>>,
}

impl Judging {
    /// As it was asked for.
    pub(super) fn new(
        asked: &Asked,
        counts: Arc<Accuracies>,
        meters: Vec<Option<Arc<Replays>>>,
    ) -> Self {
        let pointer = Some(asked.prediction.clone().unwrap_or_default());
        Self { reads: FromJson { score: pointer.clone(), class: pointer }, counts, meters }
    }

    /// Counts what was recorded before a restart.
    pub(super) fn again(&self, record: &Record) {
        self.counts.follow(record);
    }
}

impl Judge<Option<Arc<str>>> for Judging {
    fn label(&mut self, kept: &Option<Arc<str>>) -> Option<Arc<str>> {
        self.reads.label(kept)
    }

    fn judge(&mut self, answer: &Answered<'_>) -> Judged {
        let said = self.reads.judge(answer);
        let (terms, class) = (&self.counts.terms, said.class.as_deref());
        let right = answer.record.label.as_deref();
        // An answer without a prediction is wrong about an event that has a label.
        let right = right.map(|label| terms.is_right(said.score, class, label) == Some(true));
        Judged { right, ..said }
    }

    fn follow(&mut self, record: &Record) {
        self.counts.follow(record);
        if let Some(Some(meters)) = self.meters.get(usize::from(record.variant)) {
            meters.count(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: u64, (region, group): (&str, &str), score: f64, copy: u64) -> Record {
        Record {
            number: sequence,
            sequence,
            copy,
            variant: 0,
            stratum: 0,
            region: region.into(),
            group: group.into(),
            happened_ns: None,
            offset_ns: 0,
            intended_ns: 0,
            sent_ns: Some(1),
            first_ns: Some(2),
            done_ns: 3,
            service_us: None,
            status: Some(200),
            outcome: Outcome::Ok,
            bytes_out: 0,
            bytes_in: 0,
            answer_crc: None,
            took: events::replay::record::Took::default(),
            right: None,
            score: Some(score),
            class: None,
            label: Some("true".into()),
        }
    }

    #[test]
    fn regions_and_groups_are_counted_apart_and_come_to_all() {
        let counts = Accuracies::new(1, &Asked::default());
        for (sequence, place, score, copy) in [
            (1, ("no", "new"), 0.9, 0),
            (2, ("no", "old"), 0.1, 0),
            (3, ("se", ""), 0.9, 0),
            (4, ("", "new"), 0.9, 0),
            (4, ("", "new"), 0.9, 1),
        ] {
            counts.follow(&record(sequence, place, score, copy));
        }
        let of = |is_group: bool, name: &str| {
            let counted = counts.of_place(0, (is_group, &name.into()));
            (counted.true_positives, counted.false_negatives)
        };
        assert_eq!((of(false, "no"), of(false, "se"), of(false, "")), ((1, 1), (1, 0), (0, 0)));
        assert_eq!((of(true, "new"), of(true, "old"), of(true, "no")), ((2, 0), (0, 1), (0, 0)));
        let all = counts.counted().0.swap_remove(0);
        assert_eq!((all.true_positives, all.false_negatives), (3, 1));
    }

    #[test]
    fn endless_regions_are_bounded_and_those_that_came_first_go_on() {
        let counts = Accuracies::new(1, &Asked::default());
        for number in 0..3 * PLACES_MAX as u64 {
            let region = format!("r{}", number % (2 * PLACES_MAX as u64));
            counts.follow(&record(number, (&region, ""), 0.9, 0));
        }
        assert_eq!(counts.state.lock().places[0].len(), PLACES_MAX);
        assert_eq!(counts.of_place(0, (false, &"r1".into())).true_positives, 2);
        assert_eq!(counts.counted().0[0].true_positives, 3 * PLACES_MAX as u64);
    }
}
