//! What answers predict, held against labels and against each other.
//!
//! Always true: an event counts once, whatever its copies; what has no label, or no prediction, is
//! counted as that and as nothing else; memory is bounded, and what is left out is told.
//! Absent on purpose: what follows from the counts (`policy::evidence`).

use std::collections::HashMap;
use std::sync::Arc;

use api::runs::{Accuracy, Judged as Asked, Pairs};
use events::replay::{Answered, FromJson, Judge, Judged, Outcome, Record};
use parking_lot::Mutex;

/// Events whose other answers are waited for: some seconds of the fastest run.
const WAITING_MAX: usize = 1_000_000;
const WHOLE_PPM: f64 = 1_000_000.0;

/// The counts of a run's variants.
pub(super) struct Accuracies {
    threshold: f64,
    positive: String,
    state: Mutex<State>,
}

/// A region, or a group where it is said so.
type Place = (bool, Arc<str>);

/// Most regions and groups of a run that are counted apart, as many as have cells: the first that come.
const PLACES_MAX: usize = events::replay::cells::PLACES_MAX;

#[derive(Default)]
struct State {
    variants: Vec<Accuracy>,
    /// Of each variant, by region and by group.
    places: Vec<HashMap<Place, Accuracy>>,
    /// Of the first variant and each other one.
    pairs: Vec<Pairs>,
    /// By event: what each variant said, and whether that was right.
    waiting: HashMap<u64, Vec<Option<Said>>>,
}

#[derive(Clone, Copy, Default)]
struct Said {
    positive: Option<bool>,
    right: Option<bool>,
}

impl Accuracies {
    /// Of so many variants.
    pub(super) fn new(variants: usize, asked: &Asked) -> Self {
        let state = State {
            variants: vec![Accuracy::default(); variants],
            places: vec![HashMap::new(); variants],
            pairs: vec![Pairs::default(); variants.saturating_sub(1)],
            waiting: HashMap::new(),
        };
        #[expect(clippy::cast_precision_loss, reason = "parts per million of a score")]
        let threshold = asked.threshold_ppm.map_or(0.5, |ppm| ppm as f64 / WHOLE_PPM);
        let positive = asked.positive.clone().unwrap_or_else(|| "true".to_owned());
        Self { threshold, positive, state: Mutex::new(state) }
    }

    /// What was counted: of each variant, and of the first with each other.
    pub(super) fn counted(&self) -> (Vec<Accuracy>, Vec<Pairs>) {
        let state = self.state.lock();
        (state.variants.clone(), state.pairs.clone())
    }

    /// What was counted of a variant in a region or group.
    pub(super) fn of_place(&self, variant: usize, (is_group, name): (bool, &Arc<str>)) -> Accuracy {
        let state = self.state.lock();
        let places = state.places.get(variant);
        places.and_then(|it| it.get(&(is_group, Arc::clone(name)))).copied().unwrap_or_default()
    }

    fn follow(&self, record: &Record) {
        // A copy is load, and no evidence.
        if record.copy > 0 {
            return;
        }
        let answered = record.outcome == Outcome::Ok;
        let positive = match (&record.score, &record.class) {
            _ if !answered => None,
            (Some(score), _) => Some(*score >= self.threshold),
            (None, Some(class)) => Some(**class == *self.positive),
            (None, None) => None,
        };
        let label = record.label.as_ref().map(|label| **label == *self.positive);
        let right = positive.zip(label).map(|(positive, label)| positive == label);
        let mut state = self.state.lock();
        let variant = usize::from(record.variant);
        let Some(counts) = state.variants.get_mut(variant) else { return };
        count(counts, (answered, positive, label));
        for place in [(false, &record.region), (true, &record.group)] {
            if let Some(counts) = state.of_place(variant, place) {
                count(counts, (answered, positive, label));
            }
        }
        state.pair(record, Said { positive, right });
    }
}

/// Counts one event.
fn count(counts: &mut Accuracy, (answered, positive, label): (bool, Option<bool>, Option<bool>)) {
    match (answered, positive, label) {
        (false, ..) => counts.unanswered += 1,
        (true, None, _) => counts.unread += 1,
        (true, Some(_), None) => counts.unlabelled += 1,
        (true, Some(true), Some(true)) => counts.true_positives += 1,
        (true, Some(true), Some(false)) => counts.false_positives += 1,
        (true, Some(false), Some(false)) => counts.true_negatives += 1,
        (true, Some(false), Some(true)) => counts.false_negatives += 1,
    }
}

impl State {
    /// The counts of a region or group; none where it has no name, or there are too many.
    fn of_place(
        &mut self,
        variant: usize,
        (is_group, name): (bool, &Arc<str>),
    ) -> Option<&mut Accuracy> {
        let places = self.places.get_mut(variant).filter(|_| !name.is_empty())?;
        let place = (is_group, Arc::clone(name));
        if places.len() >= PLACES_MAX && !places.contains_key(&place) {
            return None;
        }
        Some(places.entry(place).or_default())
    }

    fn pair(&mut self, record: &Record, said: Said) {
        let count = self.variants.len();
        if count < 2 {
            return;
        }
        if self.waiting.len() >= WAITING_MAX && !self.waiting.contains_key(&record.sequence) {
            self.pairs.iter_mut().for_each(|pairs| pairs.left_out += 1);
            return;
        }
        let all = self.waiting.entry(record.sequence).or_insert_with(|| vec![None; count]);
        all[usize::from(record.variant)] = Some(said);
        if all.iter().any(Option::is_none) {
            return;
        }
        let all = self.waiting.remove(&record.sequence).unwrap_or_default();
        let said: Vec<Said> = all.into_iter().flatten().collect();
        let (Some(first), rest) = (said.first(), said.get(1..).unwrap_or_default()) else { return };
        for (other, pairs) in rest.iter().zip(&mut self.pairs) {
            match first.positive.zip(other.positive) {
                Some((one, other)) if one == other => pairs.same += 1,
                Some(_) => pairs.differ += 1,
                None => pairs.left_out += 1,
            }
            match first.right.zip(other.right) {
                Some((true, true)) => pairs.both_right += 1,
                Some((true, false)) => pairs.first_right += 1,
                Some((false, true)) => pairs.other_right += 1,
                Some((false, false)) => pairs.both_wrong += 1,
                None => {}
            }
        }
    }
}

/// Reads answers, and counts what they predict.
pub(super) struct Judging {
    reads: FromJson,
    counts: Arc<Accuracies>,
}

impl Judging {
    /// As it was asked for.
    pub(super) fn new(asked: &Asked, counts: Arc<Accuracies>) -> Self {
        let pointer = Some(asked.prediction.clone().unwrap_or_default());
        Self { reads: FromJson { score: pointer.clone(), class: pointer }, counts }
    }

    /// Counts what was recorded before a restart.
    pub(super) fn again(&self, record: &Record) {
        self.counts.follow(record);
    }
}

impl Judge<Option<Arc<str>>> for Judging {
    fn judge(&mut self, answer: &Answered<'_, Option<Arc<str>>>) -> Judged {
        self.reads.judge(answer)
    }

    fn follow(&mut self, record: &Record) {
        self.counts.follow(record);
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
        let all = counts.counted().0[0];
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
