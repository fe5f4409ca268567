//! Calibration: whether events that are given a chance come as often as that.
//!
//! Always true: chances are counted in 2^-32 and kept by tenths, so that sums are exact and parts in
//! any order come to the same. Absent on purpose: how a model is to be corrected.

use serde::Serialize;

use super::ratio;
use crate::evidence::float;

/// Parts of equal width into which chances are divided.
pub const BINS: usize = 10;

/// Events by the chance that they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calibration {
    bins: [Bin; BINS],
    /// The sum of squared errors, in 2^-64.
    squares_q64: u128,
    /// Chances that are none.
    refused: u64,
}

/// Events whose chances lie in one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bin {
    /// How many.
    pub events: u64,
    /// Those that came.
    pub positives: u64,
    /// The sum of their chances, in 2^-32.
    sum_q32: u128,
}

impl Bin {
    /// The mean of their chances.
    pub fn chance(&self) -> Option<f64> {
        (self.events > 0).then(|| q32(self.sum_q32) / float(self.events))
    }

    /// How often they came.
    pub fn rate(&self) -> Option<f64> {
        ratio(self.positives, self.events)
    }
}

impl Calibration {
    /// Counts an event; what is no chance between 0 and 1 is refused, and counted as that.
    pub fn learn(&mut self, chance: f64, is_positive: bool) {
        let Some(chance_q32) = to_q32(chance) else {
            self.refused += 1;
            return;
        };
        let bin = &mut self.bins[bin_of(chance_q32)];
        bin.events += 1;
        bin.positives += u64::from(is_positive);
        bin.sum_q32 += u128::from(chance_q32);
        let error = u128::from(chance_q32.abs_diff(u64::from(is_positive) << 32));
        self.squares_q64 += error * error;
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (bin, more) in self.bins.iter_mut().zip(other.bins) {
            bin.events += more.events;
            bin.positives += more.positives;
            bin.sum_q32 += more.sum_q32;
        }
        self.squares_q64 += other.squares_q64;
        self.refused += other.refused;
    }

    /// The parts, from the smallest chances on.
    pub fn bins(&self) -> &[Bin] {
        &self.bins
    }

    /// All events that were counted.
    pub fn events(&self) -> u64 {
        self.bins.iter().map(|bin| bin.events).sum()
    }

    /// Events whose chance was none.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The mean squared error of chances (Brier 1950): 0 of those that always know.
    pub fn brier(&self) -> Option<f64> {
        let events = self.events();
        let sum = q32(self.squares_q64 >> 32);
        (events > 0).then(|| sum / float(events))
    }

    /// The mean distance of chances from how often events came, by parts.
    ///
    /// The expected calibration error of Naeini, Cooper and Hauskrecht, 2015.
    pub fn error(&self) -> Option<f64> {
        let events = self.events();
        let distance = |bin: &Bin| (q32(bin.sum_q32) - float(bin.positives)).abs();
        let sum: f64 = self.bins.iter().map(distance).sum();
        (events > 0).then(|| sum / float(events))
    }
}

/// The part in which a chance lies.
pub(super) fn bin_of(chance_q32: u64) -> usize {
    let bin = (chance_q32 * BINS as u64) >> 32;
    usize::try_from(bin).unwrap_or(BINS).min(BINS - 1)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within the bounds that are checked, and rounded on purpose"
)]
pub(super) fn to_q32(chance: f64) -> Option<u64> {
    (0.0..=1.0).contains(&chance).then(|| libm::round(chance * 4_294_967_296.0) as u64)
}

#[allow(clippy::cast_precision_loss, reason = "to the nearest float, which is enough here")]
pub(super) fn q32(number: u128) -> f64 {
    number as f64 / 4_294_967_296.0
}

#[cfg(test)]
mod tests;
