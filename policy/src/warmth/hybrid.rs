//! The hybrid histogram: the published policy that others are measured by.
//!
//! Gaps fall into bins of a minute, up to a range of four hours. The instance is warm from a little
//! before the head of the histogram to a little after its tail; for the whole range where the bins
//! tell nothing; around the mean of the last gaps where most of them were longer than the range.
//!
//! Always true: counts only grow; the window changes only by a gap.
//! Absent on purpose: a model of time series for long gaps, whose place the mean of the last five
//! takes.
//! Source: M. Shahrad and others, "Serverless in the Wild", 2020.

use super::{MINUTE_MS, Window};

/// Bins of a minute each.
const BINS: usize = 240;
/// What the bins reach to.
const RANGE_MS: u64 = 240 * MINUTE_MS;
/// Gaps below which a histogram is none.
const GAPS_MIN: u64 = 2;
/// Share of gaps below the head, and above the tail, in hundredths.
const HEAD_PERCENT: u64 = 5;
const TAIL_PERCENT: u64 = 99;
/// Margins, in hundredths: a tenth of the head is taken off, and of the tail put on.
const HEAD_MARGIN: u64 = 90;
const TAIL_MARGIN: u64 = 110;
/// Square of the coefficient of variation of the bins, below which they tell nothing.
const VARIATION_SQUARED_MIN: u128 = 4;
/// Latest gaps whose mean stands in for gaps beyond the range, and its margins in hundredths.
const LATEST: usize = 5;
const MEAN_FROM: u64 = 85;
const MEAN_KEEP: u64 = 30;

/// The gaps of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    bins: [u32; BINS],
    count: u64,
    squares: u128,
    beyond: u64,
    latest: [u64; LATEST],
    window: Window,
}

impl Default for Histogram {
    /// No gap was seen: the whole range is kept.
    fn default() -> Self {
        Self {
            bins: [0; BINS],
            count: 0,
            squares: 0,
            beyond: 0,
            latest: [0; LATEST],
            window: Window::keep(RANGE_MS),
        }
    }
}

impl Histogram {
    /// Counts a gap.
    pub fn learn(&mut self, gap_ms: u64) {
        let seen = self.count + self.beyond;
        let place = usize::try_from(seen % LATEST as u64).unwrap_or(0);
        self.latest[place] = gap_ms;
        match usize::try_from(gap_ms / MINUTE_MS).ok().and_then(|bin| self.bins.get_mut(bin)) {
            None => self.beyond += 1,
            Some(bin) => {
                self.squares += 2 * u128::from(*bin) + 1;
                *bin = bin.saturating_add(1);
                self.count += 1;
            }
        }
        self.window = self.choose();
    }

    /// The window after the next call.
    pub fn window(&self) -> Window {
        self.window
    }

    fn choose(&self) -> Window {
        let seen = self.count + self.beyond;
        if self.beyond * 2 > seen {
            return self.around_the_mean(seen);
        }
        // The variance of the bins is the mean of the squares less the square of the mean.
        let square = u128::from(self.count) * u128::from(self.count);
        if seen < GAPS_MIN || self.squares * (BINS as u128) < (VARIATION_SQUARED_MIN + 1) * square {
            return Window::keep(RANGE_MS);
        }
        let head_ms = self.bin_at(HEAD_PERCENT) * MINUTE_MS;
        let tail_ms = (self.bin_at(TAIL_PERCENT) + 1) * MINUTE_MS;
        let end_ms = (tail_ms * TAIL_MARGIN / 100).min(RANGE_MS);
        Window::between(head_ms * HEAD_MARGIN / 100, end_ms)
    }

    fn around_the_mean(&self, seen: u64) -> Window {
        let latest = u64::try_from(LATEST).unwrap_or(seen).min(seen).max(1);
        let total: u128 = self.latest.iter().map(|gap_ms| u128::from(*gap_ms)).sum();
        let mean_ms = u64::try_from(total / u128::from(latest)).unwrap_or(u64::MAX);
        let from_ms = (mean_ms / 100).saturating_mul(MEAN_FROM);
        Window::between(from_ms, from_ms.saturating_add((mean_ms / 100).saturating_mul(MEAN_KEEP)))
    }

    /// The bin that holds the given percentile.
    fn bin_at(&self, percent: u64) -> u64 {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut below = 0;
        let reached = |bin: &u32| {
            below += u64::from(*bin);
            below >= rank
        };
        let bin = self.bins.iter().position(reached).unwrap_or(BINS - 1);
        u64::try_from(bin).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
