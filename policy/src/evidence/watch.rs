//! What is watched of one metric: the settings of its test, and what was seen so far.
//!
//! Always true: it is small, and all that has to be kept; the same one gives the same evidence.
//! Absent on purpose: which error bounds its evidence is held against.

use std::fmt;
use std::mem::discriminant;

use serde::{Deserialize, Serialize};

use super::counts::{Counts, Ratio};
use super::mean::{Bounds, Moments};
use super::paired::{Differences, Pairs};
use super::{Direction, Evidence, Margins, Percent, float, whole};

/// Beyond so many times the events so far, nobody is told how many more are needed.
const FACTOR_MAX: f64 = 1024.0;
/// Steps by which that factor is found, to a thousandth.
const STEPS: u32 = 20;

/// One metric of a candidate, beside the incumbent's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "test", rename_all = "snake_case", deny_unknown_fields)]
pub enum Watch {
    /// Bad events of two that share the traffic.
    Rates {
        /// The candidate's planned part of events.
        share_ppm: u32,
        /// In parts of the incumbent's rate.
        margins: Margins,
        /// What was counted.
        seen: Counts,
    },
    /// Right and wrong on the same events.
    Pairs {
        /// In parts of the odds of what only one got wrong.
        margins: Margins,
        /// What was counted.
        seen: Pairs,
    },
    /// Losses on the same events.
    Differences {
        /// What was bet, and the margins, in parts of one.
        seen: Differences,
    },
    /// Values without a bound; its evidence is asymptotic.
    Mean {
        /// In the metric's unit.
        bounds: Bounds,
        /// The candidate's values, less the incumbent's where both had the event.
        seen: Moments,
    },
}

impl Watch {
    /// The evidence so far.
    pub fn evidence(&self) -> Evidence {
        self.grown(1.0)
    }

    /// Whether its error bound holds in the long run only.
    pub fn asymptotic(&self) -> bool {
        matches!(self, Self::Mean { .. })
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        match self {
            Self::Rates { seen, .. } => seen.events(),
            Self::Pairs { seen, .. } => seen.events,
            Self::Differences { seen } => seen.events(),
            Self::Mean { seen, .. } => seen.events(),
        }
    }

    /// How many more events its evidence needs to reach a boundary, if they are like those so far.
    ///
    /// An estimate; `None` where it would take more than a thousand times as many, or never come.
    pub fn events_more(&self, direction: Direction, boundary_ln: f64) -> Option<u64> {
        let reached = |factor: f64| self.grown(factor).of(direction) >= boundary_ln;
        let (mut few, mut many) = (0.5, 1.0);
        while !reached(many) {
            (few, many) = (many, many * 2.0);
            if many > FACTOR_MAX {
                return None;
            }
        }
        if many <= 1.0 {
            return Some(0);
        }
        for _ in 0..STEPS {
            let middle = f64::midpoint(few, many);
            if reached(middle) {
                many = middle;
            } else {
                few = middle;
            }
        }
        Some(whole(float(self.events()) * (many - 1.0)).max(1))
    }

    /// The evidence after so many times as many events, if they are like those so far.
    fn grown(&self, factor: f64) -> Evidence {
        match self {
            Self::Rates { share_ppm, margins, seen } => Ratio::of_rates(*share_ppm, *margins)
                .grown(seen.candidate.bad, seen.incumbent.bad, factor),
            Self::Pairs { margins, seen } => {
                Ratio::of_pairs(*margins).grown(seen.candidate_only, seen.incumbent_only, factor)
            }
            Self::Differences { seen } => seen.grown(factor),
            Self::Mean { bounds, seen } => seen.grown(bounds, factor),
        }
    }

    /// What evidence of this direction is evidence of, for people.
    pub(super) fn claim(&self, direction: Direction) -> String {
        let of = match self {
            Self::Rates { .. } => " of the incumbent's rate",
            Self::Pairs { .. } => " of the incumbent's odds",
            Self::Differences { .. } | Self::Mean { .. } => "",
        };
        let by = |ppm: u32, exact: i64| match self {
            Self::Mean { .. } => exact.to_string(),
            _ => format!("{}{of}", Percent(ppm)),
        };
        let margins = self.margins();
        let (tolerance, margin) = match self {
            Self::Mean { bounds, .. } => (bounds.tolerance, bounds.margin),
            _ => (0, 0),
        };
        match direction {
            Direction::Revert => {
                format!("it is worse by more than {}", by(margins.tolerance_ppm, tolerance))
            }
            Direction::Promote => {
                format!("it is not worse by {}", by(margins.margin_ppm, margin))
            }
        }
    }

    /// Nothing for a mean, whose bounds are in its own unit.
    fn margins(&self) -> Margins {
        match self {
            Self::Rates { margins, .. } | Self::Pairs { margins, .. } => *margins,
            Self::Differences { seen } => seen.margins(),
            Self::Mean { .. } => Margins { tolerance_ppm: 0, margin_ppm: 0 },
        }
    }

    /// Whether another one's nulls are the same, whatever its events.
    pub(super) fn asks_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mean { bounds: one, .. }, Self::Mean { bounds: other, .. }) => {
                (one.tolerance, one.margin) == (other.tolerance, other.margin)
            }
            _ => discriminant(self) == discriminant(other) && self.margins() == other.margins(),
        }
    }

    /// Whether what is tolerated is below what is refused.
    pub(super) fn is_ordered(&self) -> bool {
        match self {
            Self::Mean { bounds, .. } => bounds.tolerance < bounds.margin,
            _ => self.margins().tolerance_ppm < self.margins().margin_ppm,
        }
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rates { seen: Counts { candidate, incumbent }, .. } => write!(
                f,
                "{} of the candidate's {} events were bad, and {} of the incumbent's {}",
                candidate.bad, candidate.events, incumbent.bad, incumbent.events
            ),
            Self::Pairs { seen, .. } => write!(
                f,
                "of {} events the candidate alone got {} wrong, and the incumbent alone {}",
                seen.events, seen.candidate_only, seen.incumbent_only
            ),
            Self::Differences { seen } => write!(
                f,
                "over {} events the candidate's loss is {:+.4} beside the incumbent's",
                seen.events(),
                seen.mean()
            ),
            Self::Mean { seen, .. } => write!(
                f,
                "over {} events the candidate takes {:+.1} on average beside the incumbent, \
                 with a deviation of {:.1}",
                seen.events(),
                seen.mean(),
                seen.deviation()
            ),
        }
    }
}
