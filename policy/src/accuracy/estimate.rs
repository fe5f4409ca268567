//! Estimate: how often decisions are right of events that nobody has labelled, by their chances.
//!
//! A decision for the class is right as often as events with such a chance are of it. How often that
//! is, labelled events of the same run say, and the chance itself as far as there are few of them.
//!
//! Always true: sums are integers, as in [`super::calibration`]; more labels never make the chances
//! themselves count for more. Absent on purpose: any warranty. Where the world has changed so that
//! chances do not mean what they did, the estimate is wrong, and nothing here can see it.

use serde::Serialize;

use super::calibration::{BINS, Calibration, bin_of, q32, to_q32};
use crate::evidence::float;

/// As many labelled events as this count as much as the chance itself.
const PRIOR_EVENTS: f64 = 10.0;

/// Decisions without a label, by the chance that they were made by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Estimate {
    bins: [Bin; BINS],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Bin {
    /// For the class, and against it.
    decided: [Decided; 2],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Decided {
    events: u64,
    sum_q32: u128,
}

/// What is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimated {
    /// Decisions that it is of.
    pub events: u64,
    /// The part of them that is right.
    pub accuracy: f64,
    /// Labelled events that it goes by; with none the chances are believed.
    pub labelled: u64,
}

impl Estimate {
    /// Counts a decision whose label is not known; what is no chance between 0 and 1 is left out.
    pub fn learn(&mut self, chance: f64, is_for: bool) {
        let Some(chance_q32) = to_q32(chance) else { return };
        let decided = &mut self.bins[bin_of(chance_q32)].decided[usize::from(!is_for)];
        decided.events += 1;
        decided.sum_q32 += u128::from(chance_q32);
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            for (decided, more) in bin.decided.iter_mut().zip(more.decided) {
                decided.events += more.events;
                decided.sum_q32 += more.sum_q32;
            }
        }
    }

    /// How many decisions there are.
    pub fn events(&self) -> u64 {
        self.bins.iter().flat_map(|bin| bin.decided).map(|decided| decided.events).sum()
    }

    /// How many of them are right, by what labelled events say of chances.
    ///
    /// None of none. Source: confidence-based performance estimation, the mean of `p` or `1 - p` by
    /// decision, with `p` from the calibration, drawn to the chance where that is of few events.
    pub fn by(&self, labelled: &Calibration) -> Option<Estimated> {
        let events = self.events();
        let mut right = 0.0;
        for (bin, known) in self.bins.iter().zip(labelled.bins()) {
            for (decided, is_for) in bin.decided.iter().zip([true, false]) {
                let count = float(decided.events);
                // Sums, not means: so that nothing is divided by none.
                let chances = q32(decided.sum_q32);
                let of_class = (float(known.positives) * count + PRIOR_EVENTS * chances)
                    / (float(known.events) + PRIOR_EVENTS);
                right += if is_for { of_class } else { count - of_class };
            }
        }
        let labelled = labelled.events();
        (events > 0).then(|| Estimated { events, accuracy: right / float(events), labelled })
    }
}

#[cfg(test)]
mod tests;
