//! Percentiles: between which of the values seen one lies, whatever their distribution.
//!
//! Of `n` values in rising order, the `k`-th is above a percentile `q` where fewer than `k` fell
//! below it, and how many do is binomial.
//!
//! Always true: the answer is a rank, so any sketch that finds a value by its rank will do; without
//! enough events there is no answer, but how many are needed.
//! Absent on purpose: looking again and again: this bound is one for a fixed number of events.

use super::beta::{Point, regularised};
use super::{WHOLE_PPM, float, part};

/// Which value is a bound, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// The value of this rank, from 1, in rising order.
    Of(u64),
    /// No value is.
    NotEnough {
        /// How many events are needed for one to be.
        events_needed: u64,
    },
}

/// Which value is, with that confidence, at or above the percentile: the smallest one that is.
///
/// That is the smallest `k` with `P(Bin(n, q) <= k - 1) >= c`. The percentile and the confidence are
/// within the whole; one of nothing or of everything counts as a part in a million less extreme.
pub fn upper_rank(events: u64, percentile_ppm: u32, confidence_ppm: u32) -> Rank {
    let inside = |rank: u64, events: u64| below(rank, events, percentile_ppm, confidence_ppm);
    if events == 0 || !inside(events, events) {
        return Rank::NotEnough { events_needed: least(|events| inside(events, events)) };
    }
    let (mut outside, mut rank) = (0, events);
    while rank - outside > 1 {
        let middle = outside + (rank - outside) / 2;
        if inside(middle, events) {
            rank = middle;
        } else {
            outside = middle;
        }
    }
    Rank::Of(rank)
}

/// Which value is, with that confidence, at or below the percentile: the largest one that is.
///
/// It is the upper one of the values in falling order.
pub fn lower_rank(events: u64, percentile_ppm: u32, confidence_ppm: u32) -> Rank {
    let turned_ppm = WHOLE_PPM.saturating_sub(percentile_ppm);
    match upper_rank(events, turned_ppm, confidence_ppm) {
        Rank::Of(rank) => Rank::Of(events + 1 - rank),
        needed @ Rank::NotEnough { .. } => needed,
    }
}

/// Whether fewer than `rank` of `events` values are below the percentile, with that confidence.
fn below(rank: u64, events: u64, percentile_ppm: u32, confidence_ppm: u32) -> bool {
    let percentile_ppm = percentile_ppm.clamp(1, WHOLE_PPM - 1);
    let confidence_ppm = confidence_ppm.clamp(1, WHOLE_PPM - 1);
    let above = Point::of(part(WHOLE_PPM - percentile_ppm), part(percentile_ppm));
    let chance = regularised(float(events - rank + 1), float(rank), above);
    chance >= part(confidence_ppm) / part(WHOLE_PPM)
}

/// The least number of events for which it is so, where it then stays so.
fn least(enough: impl Fn(u64) -> bool) -> u64 {
    /// The percentile and the confidence that are farthest need fewer.
    const EVENTS_MAX: u64 = 1 << 24;
    let (mut few, mut many) = (0, 1);
    while many < EVENTS_MAX && !enough(many) {
        (few, many) = (many, many * 2);
    }
    while many - few > 1 {
        let middle = few + (many - few) / 2;
        if enough(middle) {
            many = middle;
        } else {
            few = middle;
        }
    }
    many
}

#[cfg(test)]
mod tests;
