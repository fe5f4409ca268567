//! Counts: bad events of a candidate against those of the incumbent, at a planned share.
//!
//! Whatever the load, a bad event is the candidate's with a chance that follows from its share of
//! events and from the ratio of the two rates. So only who had each bad event counts: their rate may
//! change with the time of day, and an incumbent without any is nothing special. A latency limit
//! is such a count too: an event is bad that took longer.
//!
//! Always true: the order of events changes nothing; counts of several places may be added.
//! Absent on purpose: shares that change: those are stages, whose evidence is carried over.

use serde::{Deserialize, Serialize};

use super::beta::{Point, above_ln};
use super::{Evidence, Margins, WHOLE_PPM, float, part};

/// How many bad events what is expected before any counts for, where rates are compared: changes of
/// a fifth and more are then seen soonest.
pub const PRIOR_RATE: f64 = 20.0;
/// The same where few events are expected, each a pair of its own: at even odds, all ratios alike.
pub const PRIOR_PAIRS: f64 = 1.0;

/// What one of both had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its events.
    pub events: u64,
    /// Those of them that were bad.
    pub bad: u64,
}

impl Arm {
    /// Counts an event.
    pub fn learn(&mut self, bad: bool) {
        self.events = self.events.saturating_add(1);
        self.bad = self.bad.saturating_add(u64::from(bad));
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.events = self.events.saturating_add(other.events);
        self.bad = self.bad.saturating_add(other.bad);
    }
}

/// What both had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Of the candidate.
    pub candidate: Arm,
    /// Of the incumbent.
    pub incumbent: Arm,
}

impl Counts {
    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.candidate.merge(other.candidate);
        self.incumbent.merge(other.incumbent);
    }

    /// Events of both.
    pub fn events(&self) -> u64 {
        self.candidate.events.saturating_add(self.incumbent.events)
    }
}

/// The test of a ratio of rates, or of odds.
///
/// With a candidate's share `s` of events and a ratio `r` of rates, `s r / (s r + 1 - s)` of bad
/// events are its own. Both nulls bound that part; the evidence against one is the likelihood,
/// averaged over a beta distribution cut to what the null excludes, over the likelihood at its bound
/// (Lindon and Malek, arXiv 2011.03567, made one-sided).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    revert: OneSided,
    promote: OneSided,
}

impl Ratio {
    /// Of rates, for a candidate that has `share_ppm` of all events; a share of nothing or of
    /// everything counts as one part in a million less extreme.
    pub fn of_rates(share_ppm: u32, margins: Margins) -> Self {
        Self::new(share_ppm, margins, PRIOR_RATE)
    }

    /// Of what only one of both got wrong, where both had every event.
    pub fn of_pairs(margins: Margins) -> Self {
        Self::new(WHOLE_PPM / 2, margins, PRIOR_PAIRS)
    }

    fn new(share_ppm: u32, margins: Margins, prior: f64) -> Self {
        let share_ppm = share_ppm.clamp(1, WHOLE_PPM - 1);
        let bound = |worse_ppm: u32| {
            let weight = part(share_ppm) * (part(WHOLE_PPM) + part(worse_ppm));
            Point::of(weight, part(WHOLE_PPM - share_ppm) * part(WHOLE_PPM))
        };
        Self {
            revert: OneSided::new(bound(margins.tolerance_ppm), prior),
            promote: OneSided::new(bound(margins.margin_ppm).turned(), prior),
        }
    }

    /// The evidence of these counts.
    pub fn evidence(&self, counts: &Counts) -> Evidence {
        self.grown(counts.candidate.bad, counts.incumbent.bad, 1.0)
    }

    /// The evidence if there were so many times as many of either.
    pub(super) fn grown(&self, candidate: u64, incumbent: u64, factor: f64) -> Evidence {
        let (candidate, incumbent) = (float(candidate) * factor, float(incumbent) * factor);
        let revert_ln = self.revert.evidence_ln(candidate, incumbent);
        Evidence::bounded(revert_ln, self.promote.evidence_ln(incumbent, candidate))
    }
}

/// The test of "the chance of this kind of event is no larger than the bound".
#[derive(Clone, Copy, Debug, PartialEq)]
struct OneSided {
    bound: Point,
    /// The parameters of the beta distribution that is cut at the bound.
    these: f64,
    others: f64,
    /// What is left of it above.
    above_ln: f64,
}

impl OneSided {
    fn new(bound: Point, prior: f64) -> Self {
        let (these, others) = bound.divided(prior);
        // Half an event of either kind more keeps both above nothing.
        let (these, others) = (these + 0.5, others + 0.5);
        Self { bound, these, others, above_ln: above_ln(these, others, bound) }
    }

    /// The powers of the bound in numerator and denominator are those of the tail function, so that
    /// no large numbers are subtracted where nothing is wrong.
    fn evidence_ln(&self, these: f64, others: f64) -> f64 {
        above_ln(self.these + these, self.others + others, self.bound) - self.above_ln
    }
}

#[cfg(test)]
mod tests;
