//! Evidence: whether a candidate does worse than the incumbent, told so that one may look at any time.
//!
//! An e-process starts at 1 and, where its null hypothesis is true, is expected never to have grown.
//! So the chance that it ever reaches `1 / alpha` is `alpha` at most (Ville's inequality), however
//! often one looks and whenever one stops. All are kept as natural logarithms.
//!
//! Always true: settings are integers, in parts per million; beyond the four operations and the root,
//! floats go through `libm`, so that the same arguments give the same bits on every machine.
//! Absent on purpose: clocks, chance, and what is done about a verdict.

mod beta;
pub mod counts;
pub mod mean;
pub mod paired;
pub mod percentile;
pub mod rate;
pub mod split;
pub mod verdict;
mod watch;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use watch::Watch;

/// Parts of a whole: shares, bounds and margins are counted in them.
pub const WHOLE_PPM: u32 = 1_000_000;

/// Logarithms of evidence are kept within so much, of either sign: their exponentials are still
/// finite, no bound that can be set is as far, and what this adds to an error is nothing.
pub const LN_MAX: f64 = 700.0;

/// By how much worse than the incumbent a candidate may be, in parts per million.
///
/// Of rates and odds these are parts of the incumbent's (500,000: half as much again), of
/// differences parts of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margins {
    /// A candidate that is worse by no more than this is not to be reverted.
    pub tolerance_ppm: u32,
    /// A candidate that is worse by this or more is not to be promoted; above the tolerance.
    pub margin_ppm: u32,
}

/// Two e-values of one metric, as natural logarithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Against "the candidate is worse by no more than the tolerance".
    pub revert_ln: f64,
    /// Against "the candidate is worse by the margin or more".
    pub promote_ln: f64,
}

impl Evidence {
    /// Evidence as it is, but within [`LN_MAX`]; what is no number is no evidence.
    fn bounded(revert_ln: f64, promote_ln: f64) -> Self {
        let bounded = |ln: f64| if ln.is_nan() { -LN_MAX } else { ln.clamp(-LN_MAX, LN_MAX) };
        Self { revert_ln: bounded(revert_ln), promote_ln: bounded(promote_ln) }
    }

    /// This, and that of a later stage with the same margins and other events: e-values multiply.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        let revert_ln = self.revert_ln + later.revert_ln;
        Self::bounded(revert_ln, self.promote_ln + later.promote_ln)
    }

    /// The mean e-values of several, such as regions, for what all of them share: valid however
    /// they depend on each other. Nothing of nothing.
    pub fn mean(several: &[Self]) -> Self {
        let mean = |one: fn(&Self) -> f64| {
            let most = several.iter().map(one).fold(-LN_MAX, f64::max);
            let sum: f64 = several.iter().map(|each| libm::exp(one(each) - most)).sum();
            most + libm::log(sum / float(u64::try_from(several.len()).unwrap_or(u64::MAX)))
        };
        if several.is_empty() {
            return Self::default();
        }
        Self::bounded(mean(|each| each.revert_ln), mean(|each| each.promote_ln))
    }

    /// That of one direction.
    pub fn of(self, direction: Direction) -> f64 {
        match direction {
            Direction::Revert => self.revert_ln,
            Direction::Promote => self.promote_ln,
        }
    }
}

/// What evidence speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The candidate is worse than it may be.
    Revert,
    /// It is not worse by the margin.
    Promote,
}

/// The logarithm that evidence has to reach where it may be wrong with a chance of `bound_ppm`.
///
/// No evidence suffices for a bound of nothing.
pub fn boundary_ln(bound_ppm: u32) -> f64 {
    if bound_ppm == 0 {
        return f64::INFINITY;
    }
    libm::log(part(WHOLE_PPM) / part(bound_ppm))
}

/// An e-value for people, from its logarithm.
struct Shown(f64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MANY: f64 = 1e6;
        match libm::exp(self.0.min(LN_MAX)) {
            value if value > MANY => write!(f, "more than a million"),
            value if value < 0.01 => write!(f, "less than 0.01"),
            value => write!(f, "{value:.2}"),
        }
    }
}

/// Parts per million for people, as a percentage without trailing zeros.
pub(crate) struct Percent(pub(crate) u32);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        if rest == 0 {
            return write!(f, "{whole} %");
        }
        let digits = format!("{rest:04}");
        write!(f, "{whole}.{} %", digits.trim_end_matches('0'))
    }
}

/// A count as a float: exact below 2^53, and nothing here is counted beyond.
#[allow(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// Parts per million as a float, exactly.
pub(crate) fn part(ppm: u32) -> f64 {
    f64::from(ppm)
}

/// A number of events from a float that is not negative, rounded up.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded before, and rounded on purpose"
)]
fn whole(events: f64) -> u64 {
    libm::ceil(events).clamp(0.0, 9e15) as u64
}

#[cfg(test)]
mod tests;
