//! Scores: how well numbers tell events of a class from all others.
//!
//! The area under the curve is the chance that an event of the class has the higher number of two
//! drawn at random, where equal ones count half; it is counted, not estimated.
//!
//! Always true: with up to [`LEVELS_MAX`] different numbers all is exact; with more, numbers that lie
//! within [`Scores::resolution`] of each other, as a part of them, count as equal.
//! Absent on purpose: thresholds.

use std::collections::BTreeMap;

use serde::Serialize;

use super::deviations;
use crate::evidence::{WHOLE_PPM, float, part};

/// Most different numbers, some 4 MiB of them.
pub const LEVELS_MAX: usize = 65_536;
/// Bits of a number's fraction.
const FRACTION_BITS: u32 = 52;

/// Numbers of events that are of a class, and of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// How many of the last bits of numbers are not told apart.
    dropped_bits: u32,
    /// By the number's order: of the class, and of others.
    levels: BTreeMap<u64, (u64, u64)>,
}

/// The area under the curve, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Area {
    /// What it is of these events.
    pub value: f64,
    /// Between which it lies, of as many events as one likes, with the confidence asked for; none
    /// where there are too few of one kind, or all numbers are equal.
    pub between: Option<(f64, f64)>,
    /// Events of the class.
    pub positives: u64,
    /// Events of others.
    pub negatives: u64,
}

impl Scores {
    /// Counts an event. What is no number is not counted.
    pub fn learn(&mut self, score: f64, is_positive: bool) {
        if score.is_nan() {
            return;
        }
        let counts = if is_positive { (1, 0) } else { (0, 1) };
        self.add(order(score), counts);
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.coarsen(other.dropped_bits);
        for (level, counts) in &other.levels {
            self.add(*level, *counts);
        }
    }

    /// Events of the class, and of others.
    pub fn events(&self) -> (u64, u64) {
        let counts = self.levels.values();
        counts.fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1))
    }

    /// Numbers count as equal that differ by no more than this part of them.
    pub fn resolution(&self) -> f64 {
        match self.dropped_bits {
            0 => 0.0,
            bits => libm::ldexp(1.0, exponent(bits) - exponent(FRACTION_BITS)),
        }
    }

    /// The area under the curve, and between which it lies with that confidence.
    ///
    /// None where there are no events of the class, or only such. Source: DeLong, DeLong and
    /// Clarke-Pearson 1988, as means and variances over levels. Where the numbers tell all events
    /// apart there is no variance to go by: pairs of which no two share an event are independent, and
    /// the bound is that of as many trials without a failure (Clopper and Pearson 1934).
    pub fn area(&self, confidence_ppm: u32) -> Option<Area> {
        let (positives, negatives) = self.events();
        if positives == 0 || negatives == 0 {
            return None;
        }
        // Twice as many others as lie below an event of the class, where those beside it count half,
        // and of the class above one of others.
        let (mut above, mut below) = (Placements::default(), Placements::default());
        let (mut positives_below, mut negatives_below) = (0, 0);
        for (these, others) in self.levels.values() {
            above.add(*these, 2 * negatives_below + others);
            below.add(*others, 2 * (positives - positives_below) - these);
            positives_below += these;
            negatives_below += others;
        }
        let pairs = 2.0 * float(positives) * float(negatives);
        let value = wide(above.sum) / pairs;
        let variance = above.variance_of_mean(positives, negatives)
            + below.variance_of_mean(negatives, positives);
        let enough = positives > 1 && negatives > 1;
        let between = enough.then(|| {
            if variance > 0.0 {
                let reach = deviations(confidence_ppm) * variance.sqrt();
                return Some(((value - reach).max(0.0), (value + reach).min(1.0)));
            }
            let surely = without_failure(positives.min(negatives), confidence_ppm);
            match value {
                1.0.. => Some((surely, 1.0)),
                ..=0.0 => Some((0.0, 1.0 - surely)),
                _ => None,
            }
        });
        Some(Area { value, between: between.flatten(), positives, negatives })
    }

    fn add(&mut self, level: u64, counts: (u64, u64)) {
        let level = level >> self.dropped_bits << self.dropped_bits;
        let sum = self.levels.entry(level).or_default();
        *sum = (sum.0 + counts.0, sum.1 + counts.1);
        while self.levels.len() > LEVELS_MAX {
            self.coarsen(self.dropped_bits + 1);
        }
    }

    /// Tells no more bits apart than these.
    fn coarsen(&mut self, dropped_bits: u32) {
        if dropped_bits > self.dropped_bits {
            self.dropped_bits = dropped_bits;
            for (level, counts) in std::mem::take(&mut self.levels) {
                self.add(level, counts);
            }
        }
    }
}

/// The least chance of success that so many trials without a failure leave possible.
fn without_failure(trials: u64, confidence_ppm: u32) -> f64 {
    let outside = part(WHOLE_PPM - confidence_ppm.clamp(1, WHOLE_PPM - 1)) / part(WHOLE_PPM);
    libm::pow(outside, 1.0 / float(trials))
}

/// Placements of events of one kind among those of the other, in halves.
#[derive(Clone, Copy, Debug, Default)]
struct Placements {
    sum: u128,
    squares: u128,
}

impl Placements {
    fn add(&mut self, events: u64, halves: u64) {
        let (events, halves) = (u128::from(events), u128::from(halves));
        self.sum += events * halves;
        self.squares = self.squares.saturating_add(events * halves * halves);
    }

    /// The variance of the mean placement of `events`, as a part of the `others`.
    fn variance_of_mean(self, events: u64, others: u64) -> f64 {
        let count = u128::from(events);
        // It stays in integers until nothing large is subtracted any more.
        let spread = count.checked_mul(self.squares).zip(self.sum.checked_mul(self.sum));
        let spread = spread.map_or_else(
            || wide(count) * wide(self.squares) - wide(self.sum) * wide(self.sum),
            |(squares, sum)| wide(squares.saturating_sub(sum)),
        );
        let (events, whole) = (float(events), 2.0 * float(others));
        spread.max(0.0) / (events * (events - 1.0)) / (whole * whole) / events
    }
}

/// Where a number stands among all numbers, as an integer; both zeros are one.
fn order(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn exponent(bits: u32) -> i32 {
    i32::try_from(bits).unwrap_or(i32::MAX)
}

#[allow(clippy::cast_precision_loss, reason = "to the nearest float, which is enough here")]
fn wide(number: u128) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;
