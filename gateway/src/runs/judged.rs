//! What answers predict, held against labels and against each other, while a run goes on.
//!
//! Always true: an event counts once, whatever its copies; what was recorded before a restart counts
//! as what comes after it; memory is that of [`events::replay::accuracy`], whatever the run.
//! Absent on purpose: what follows from the counts (`policy::evidence`).

use std::sync::Arc;

use api::runs::{Accuracy as Told, Judged as Asked, Pairs};
use events::replay::accuracy::{Accuracy, Agreement, Terms};
use events::replay::{Answered, FromJson, Judge, Judged, Record};
use parking_lot::Mutex;

use super::told::accuracy;
use crate::metrics::endpoints::Replays;

const WHOLE_PPM: f64 = 1_000_000.0;

/// The counts of a run's variants.
pub(super) struct Accuracies {
    terms: Arc<Terms>,
    state: Mutex<State>,
}

struct State {
    variants: Vec<Accuracy>,
    /// Of the first variant and each other one.
    pairs: Vec<Agreement>,
}

impl Accuracies {
    /// Of so many variants.
    pub(super) fn new(variants: usize, asked: &Asked) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "parts per million of a score")]
        let threshold = asked.threshold_ppm.map(|ppm| ppm as f64 / WHOLE_PPM);
        let terms = Arc::new(Terms::new(threshold, asked.positive.as_deref()));
        let others = 1..u16::try_from(variants).unwrap_or(u16::MAX);
        let state = State {
            variants: vec![Accuracy::new(Arc::clone(&terms)); variants],
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

    fn follow(&self, record: &Record) {
        let mut state = self.state.lock();
        if let Some(counts) = state.variants.get_mut(usize::from(record.variant)) {
            counts.add(record);
        }
        for pair in &mut state.pairs {
            pair.add(record);
        }
    }
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
    fn judge(&mut self, answer: &Answered<'_, Option<Arc<str>>>) -> Judged {
        let said = self.reads.judge(answer);
        // What went wrong may look like a prediction, and is none.
        let is_good = answer.record.outcome == events::replay::Outcome::Ok;
        let label = said.label.as_deref().filter(|_| is_good);
        let right = label
            .and_then(|label| self.counts.terms.is_right(said.score, said.class.as_deref(), label));
        Judged { right, ..said }
    }

    fn follow(&mut self, record: &Record) {
        self.counts.follow(record);
        if let Some(Some(meters)) = self.meters.get(usize::from(record.variant)) {
            meters.count(record);
        }
    }
}
