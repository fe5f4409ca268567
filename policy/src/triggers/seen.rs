//! What was seen of a variant within a window, as values within bounds.
//!
//! Always true: what few events say is within wide bounds, or is not said; a window that was not
//! watched as a whole bounds a count from below only.

use std::collections::BTreeMap;

use crate::evidence::{WHOLE_PPM, rate};
use crate::gates::{Bounds, Key, Pair, Place, Run, Snapshot, Value};
use crate::sketch::{Bound, Sketch};

/// The confidence of each bound. A condition is judged every second, though its window changes but
/// little in one: a variant at the very threshold is to be mistaken seldom, also over days.
pub const CONFIDENCE_PPM: u32 = 999_900;
/// Events without which nothing is said of a rate: at low traffic one bad event is no trend.
pub const EVENTS_MIN: u64 = 20;

/// Requests that came to an end, by number.
pub const REQUESTS: &str = "requests";
/// Requests without a good answer, in parts per million.
pub const ERRORS: &str = "errors_ppm";
/// What half of the requests took at most, in microseconds.
pub const RESPONSE_P50: &str = "response_p50_us";
/// What 99 of 100 took at most.
pub const RESPONSE_P99: &str = "response_p99_us";
/// All that is known of live events without knowing what was right.
pub const LIVE: [&str; 4] = [REQUESTS, ERRORS, RESPONSE_P50, RESPONSE_P99];

/// What was seen of one variant within one window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Requests that came to an end.
    pub events: u64,
    /// Those without a good answer.
    pub bad: u64,
    /// How long they took, in microseconds.
    pub times: Sketch,
    /// Whether it was watched for the whole window.
    pub whole: bool,
}

impl Seen {
    /// What is known of each live metric: of a variant, and of what is in production.
    pub fn snapshot(&self, incumbent: &Self) -> Snapshot {
        let value = |metric: &str| {
            let key = Key { metric: metric.to_owned(), place: Place::All };
            let (candidate, incumbent) = (self.value(metric), incumbent.value(metric));
            (key, Pair { candidate, incumbent })
        };
        let values: BTreeMap<_, _> = LIVE.into_iter().map(value).collect();
        Snapshot { run: Run::Valid, values, verdict: None, events_more: None }
    }

    fn value(&self, metric: &str) -> Value {
        match metric {
            REQUESTS => {
                let count = signed(self.events);
                Value::Within(Bounds { lower: Some(count), upper: self.whole.then_some(count) })
            }
            ERRORS => self.rate(),
            RESPONSE_P50 => self.percentile(WHOLE_PPM / 2),
            RESPONSE_P99 => self.percentile(990_000),
            _ => Value::Missing,
        }
    }

    /// The part of events that went badly.
    pub(super) fn rate(&self) -> Value {
        let (events, events_needed) = (self.events, EVENTS_MIN);
        match rate::bounds(self.events, self.bad, CONFIDENCE_PPM) {
            Some(rate) if events >= EVENTS_MIN => Value::Within(Bounds {
                lower: Some(rate.lower_ppm.into()),
                upper: Some(rate.upper_ppm.into()),
            }),
            _ => Value::NotEnough { events, events_needed },
        }
    }

    fn percentile(&self, percentile_ppm: u32) -> Value {
        let lower = self.times.lower(percentile_ppm, CONFIDENCE_PPM).map(signed);
        let upper = match self.times.upper(percentile_ppm, CONFIDENCE_PPM) {
            Bound::AtMost(bound) => Some(signed(bound)),
            Bound::NotEnough { events_needed } if lower.is_none() => {
                return Value::NotEnough { events: self.times.count(), events_needed };
            }
            Bound::NotEnough { .. } | Bound::Beyond => None,
        };
        if self.times.count() < EVENTS_MIN {
            let (events, events_needed) = (self.times.count(), EVENTS_MIN);
            return Value::NotEnough { events, events_needed };
        }
        Value::Within(Bounds { lower, upper })
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
