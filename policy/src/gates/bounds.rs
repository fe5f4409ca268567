//! Between what a value is known to be, and what that is held against.
//!
//! Always true: a share of the incumbent's value is exact, and rounded against the candidate.
//! Absent on purpose: units, which are the metric's.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Judgement, Limit};
use crate::evidence::{Percent, WHOLE_PPM};

/// Between what a value is, both included; the ends that are not known are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// It is no less.
    pub lower: Option<i64>,
    /// It is no more.
    pub upper: Option<i64>,
}

impl Bounds {
    /// A value that is known exactly.
    pub fn exactly(value: i64) -> Self {
        Self { lower: Some(value), upper: Some(value) }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.lower, self.upper) {
            (Some(lower), Some(upper)) if lower == upper => write!(f, "{lower}"),
            (Some(lower), Some(upper)) => write!(f, "between {lower} and {upper}"),
            (Some(lower), None) => write!(f, "at least {lower}"),
            (None, Some(upper)) => write!(f, "at most {upper}"),
            (None, None) => f.write_str("not bounded"),
        }
    }
}

/// What is known of one metric's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Nothing.
    #[default]
    Missing,
    /// Nothing yet, as of a percentile of few events.
    NotEnough {
        /// Events so far.
        events: u64,
        /// How many it takes.
        events_needed: u64,
    },
    /// It is within these bounds.
    Within(Bounds),
}

impl Value {
    /// The bounds, where there are any.
    pub fn bounds(self) -> Option<Bounds> {
        match self {
            Self::Within(bounds) => Some(bounds),
            Self::Missing | Self::NotEnough { .. } => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("has no value"),
            Self::NotEnough { events, events_needed } => {
                write!(f, "has {events} events, which is not enough: it takes {events_needed}")
            }
            Self::Within(bounds) => write!(f, "is {bounds}"),
        }
    }
}

/// What a value is held against, in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// It is to be no more than this, which is known within bounds.
    AtMost(Bounds),
    /// It is to be no less.
    AtLeast(Bounds),
}

impl Threshold {
    /// Whether a value is surely on its side, or surely not.
    pub fn judge(self, value: Bounds) -> Judgement {
        let is = |one: Option<i64>, other: Option<i64>, order: fn(i64, i64) -> bool| {
            one.zip(other).is_some_and(|(one, other)| order(one, other))
        };
        let (holds, fails) = match self {
            Self::AtMost(most) => (
                is(value.upper, most.lower, |value, most| value <= most),
                is(value.lower, most.upper, |value, most| value > most),
            ),
            Self::AtLeast(least) => (
                is(value.lower, least.upper, |value, least| value >= least),
                is(value.upper, least.lower, |value, least| value < least),
            ),
        };
        match (holds, fails) {
            (true, _) => Judgement::Holds,
            (false, true) => Judgement::Fails,
            (false, false) => Judgement::NotKnown,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (side, bounds) = match self {
            Self::AtMost(bounds) => ("at most", bounds),
            Self::AtLeast(bounds) => ("at least", bounds),
        };
        match (bounds.lower, bounds.upper) {
            (Some(lower), Some(upper)) if lower == upper => write!(f, "{side} {lower}"),
            _ => write!(f, "{side} a value {bounds}"),
        }
    }
}

impl Limit {
    /// What it means beside this incumbent; `None` where it needs the incumbent's value and there is
    /// none.
    pub fn threshold(self, incumbent: Value) -> Option<Threshold> {
        let incumbent = incumbent.bounds();
        match self {
            Self::AtMost(value) => Some(Threshold::AtMost(Bounds::exactly(value))),
            Self::AtLeast(value) => Some(Threshold::AtLeast(Bounds::exactly(value))),
            Self::AtMostOfIncumbent(ppm) => {
                Some(Threshold::AtMost(part_of(incumbent?, ppm, Rounded::Down)))
            }
            Self::AtLeastOfIncumbent(ppm) => {
                Some(Threshold::AtLeast(part_of(incumbent?, ppm, Rounded::Up)))
            }
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(value) => write!(f, "at most {value}"),
            Self::AtLeast(value) => write!(f, "at least {value}"),
            Self::AtMostOfIncumbent(ppm) => {
                write!(f, "at most {} of the incumbent's", Percent(*ppm))
            }
            Self::AtLeastOfIncumbent(ppm) => {
                write!(f, "at least {} of the incumbent's", Percent(*ppm))
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Rounded {
    Down,
    Up,
}

fn part_of(bounds: Bounds, ppm: u32, rounded: Rounded) -> Bounds {
    let whole = i128::from(WHOLE_PPM);
    let part = |value: i64| {
        let product = i128::from(value) * i128::from(ppm);
        let part = match rounded {
            Rounded::Down => product.div_euclid(whole),
            Rounded::Up => -(-product).div_euclid(whole),
        };
        let limit = if part < 0 { i64::MIN } else { i64::MAX };
        i64::try_from(part).unwrap_or(limit)
    };
    Bounds { lower: bounds.lower.map(part), upper: bounds.upper.map(part) }
}
