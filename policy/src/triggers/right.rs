//! How right a variant's answers were within a window, as values within bounds.
//!
//! Always true: only events whose label is known count; what few of them say is not said; the part
//! that was seen is within its bounds.
//! Absent on purpose: what is right, and which events are in the window, which is counted elsewhere.

use std::collections::BTreeMap;

use super::seen::{CONFIDENCE_PPM, EVENTS_MIN};
use crate::accuracy::classes::Found;
use crate::evidence::rate;
use crate::gates::{Bounds, Key, Pair, Place, Run, Snapshot, Value};

/// Events with a label below which nothing is said of how right answers are: as many as gates take.
pub const LABELS_MIN: u64 = 100;

/// The part of events whose answer was right, in parts per million.
pub const ACCURACY: &str = "accuracy_ppm";
/// How often the positive class was right where it was predicted.
pub const PRECISION: &str = "precision_ppm";
/// How often it was predicted where it was right.
pub const RECALL: &str = "recall_ppm";
/// All that is known of how right answers to live events are.
pub const RIGHT: [&str; 3] = [ACCURACY, PRECISION, RECALL];

/// What was counted of one variant's answers to events whose label is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Right {
    /// Those events.
    pub labelled: u64,
    /// Those of them whose answer was right.
    pub right: u64,
    /// How the positive class was found among them.
    pub positive: Found,
}

impl Right {
    /// What is known of each metric: of a variant, and of what is in production; nothing of one that
    /// was not counted.
    pub fn snapshot(candidate: Option<&Self>, incumbent: Option<&Self>) -> Snapshot {
        let value = |metric: &str| {
            let of = |it: Option<&Self>| it.map_or(Value::Missing, |it| it.value(metric));
            let key = Key { metric: metric.to_owned(), place: Place::All };
            (key, Pair { candidate: of(candidate), incumbent: of(incumbent) })
        };
        let values: BTreeMap<_, _> = RIGHT.into_iter().map(value).collect();
        Snapshot { run: Run::Valid, values, verdict: None, events_more: None }
    }

    fn value(&self, metric: &str) -> Value {
        let (events, events_needed) = (self.labelled, LABELS_MIN);
        if events < events_needed {
            return Value::NotEnough { events, events_needed };
        }
        let Found { both, predicted, right } = self.positive;
        match metric {
            ACCURACY => part(self.right, self.labelled),
            PRECISION => part(both, predicted),
            RECALL => part(both, right),
            _ => Value::Missing,
        }
    }
}

/// The part that `some` are of `events`.
fn part(some: u64, events: u64) -> Value {
    let events_needed = EVENTS_MIN;
    match rate::bounds(events, some, CONFIDENCE_PPM) {
        Some(rate) if events >= events_needed => Value::Within(Bounds {
            lower: Some(rate.lower_ppm.into()),
            upper: Some(rate.upper_ppm.into()),
        }),
        _ => Value::NotEnough { events, events_needed },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gates::{Condition, Judgement, Limit, Scope};
    use crate::triggers::judge;

    fn counted(labelled: u64, right: u64) -> Right {
        Right { labelled, right, positive: Found::default() }
    }

    fn judged(metric: &str, limit: Limit, (own, beside): (Right, Right)) -> Judgement {
        let condition = Condition::Metric { metric: metric.to_owned(), scope: Scope::All, limit };
        judge(&condition, &Right::snapshot(Some(&own), Some(&beside))).judgement
    }

    fn at_most(metric: &str, ppm: i64, own: Right) -> Judgement {
        judged(metric, Limit::AtMost(ppm), (own, Right::default()))
    }

    #[test]
    fn nothing_is_said_of_few_labels() {
        assert_eq!(at_most(ACCURACY, 900_000, counted(99, 0)), Judgement::NotKnown);
        assert_eq!(at_most(ACCURACY, 900_000, counted(100, 0)), Judgement::Holds);
        assert_eq!(at_most(ACCURACY, 900_000, counted(100, 85)), Judgement::NotKnown, "it may be");
        assert_eq!(at_most(ACCURACY, 900_000, counted(10_000, 8_500)), Judgement::Holds);
        assert_eq!(at_most(ACCURACY, 900_000, counted(10_000, 9_500)), Judgement::Fails);
        let none = Right::snapshot(None, None);
        assert!(none.values.values().all(|it| it.candidate == Value::Missing));
    }

    /// Of a class that hardly comes little is known, however many events there are.
    #[test]
    fn a_seldom_class_is_not_known_by_the_others() {
        let of = |predicted: u64, both: u64, right: u64| Right {
            positive: Found { both, predicted, right },
            ..counted(10_000, 9_900)
        };
        assert_eq!(at_most(PRECISION, 900_000, of(19, 0, 500)), Judgement::NotKnown);
        assert_eq!(at_most(PRECISION, 900_000, of(200, 100, 500)), Judgement::Holds);
        assert_eq!(at_most(RECALL, 500_000, of(200, 100, 500)), Judgement::Holds);
        assert_eq!(at_most(RECALL, 500_000, of(0, 0, 0)), Judgement::NotKnown);
    }

    #[test]
    fn a_variant_is_held_against_all_that_productions_may_be() {
        let less = Limit::AtMostOfIncumbent(980_000);
        let of = |own, beside| judged(ACCURACY, less, (own, beside));
        let good = counted(10_000, 9_500);
        assert_eq!(of(counted(10_000, 8_000), good), Judgement::Holds);
        assert_eq!(of(good, good), Judgement::Fails);
        assert_eq!(of(counted(10_000, 9_310), good), Judgement::NotKnown);
        assert_eq!(of(counted(10_000, 0), Right::default()), Judgement::NotKnown);
    }

    proptest! {
        /// Fewer right answers never make it less so; the same part of more events is known better.
        #[test]
        fn worse_is_never_less_so(
            labelled in 0..3_000_u64, right in 0..3_000_u64, limit in 1..1_000_000_i64,
        ) {
            let right = right.min(labelled);
            let of = |labelled, right| at_most(ACCURACY, limit, counted(labelled, right));
            if of(labelled, right) == Judgement::Holds {
                prop_assert_eq!(of(labelled, right.saturating_sub(1)), Judgement::Holds);
                prop_assert_eq!(of(labelled * 10, right * 10), Judgement::Holds);
            }
            if of(labelled, right) == Judgement::Fails {
                prop_assert_eq!(of(labelled, (right + 1).min(labelled)), Judgement::Fails);
            }
            prop_assert!(labelled >= LABELS_MIN || of(labelled, right) == Judgement::NotKnown);
        }

        /// What was seen is possible, and what surely is so and surely is not are never both said.
        #[test]
        fn what_was_seen_is_within_its_bounds(
            predicted in 0..2_000_u64, both in 0..2_000_u64, more in 0..500_u64,
        ) {
            let both = both.min(predicted);
            let positive = Found { both, predicted, right: both + more };
            let own = Right { positive, ..counted(3_000, 1_500) };
            for (metric, some, of) in
                [(ACCURACY, 1_500, 3_000), (PRECISION, both, predicted), (RECALL, both, both + more)]
            {
                match own.value(metric) {
                    Value::Within(Bounds { lower: Some(lower), upper: Some(upper) }) => {
                        let ppm = i64::try_from(some * 1_000_000 / of).unwrap();
                        prop_assert!(lower <= ppm && ppm <= upper, "{metric}");
                    }
                    value => prop_assert!(
                        of < EVENTS_MIN && matches!(value, Value::NotEnough { .. }), "{metric}"
                    ),
                }
            }
        }
    }
}
