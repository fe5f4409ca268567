//! Means: latency, cost or power per event, by a confidence sequence that holds in the long run.
//!
//! Such values have no bound, so nothing holds from the first event on. After many events the mean
//! moves as a sum of normal values does, and the bound is as good as that: it is asymptotic, and
//! whoever shows it says so.
//!
//! Always true: nothing is told of fewer than [`EVENTS_MIN`] events; moments of several places may be
//! added; values are integers of the metric's own unit.
//! Absent on purpose: percentiles, and single limits, which [`super::counts`] judges much sooner.

use serde::{Deserialize, Serialize};

use super::{Evidence, LN_MAX, boundary_ln, float};

/// With fewer events the variance is too uncertain for the normal law.
pub const EVENTS_MIN: u64 = 100;

/// The number, the mean and the spread of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    events: u64,
    mean: f64,
    /// The sum of squared distances from the mean.
    squares: f64,
}

/// Where the mean is, at every time at once, asymptotically.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// From here.
    pub lower: f64,
    /// To here.
    pub upper: f64,
}

/// What a mean is held against: by how much more of its unit the candidate may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// No more than this is not to be reverted.
    pub tolerance: i64,
    /// This or more is not to be promoted; above the tolerance.
    pub margin: i64,
    /// Events after which the interval is to be narrowest; it holds before and after as well.
    pub events_planned: u64,
    /// The bound for which it is to be narrowest.
    pub bound_ppm: u32,
}

impl Moments {
    /// Counts a value (Welford 1962): a difference of a pair, where both had the event.
    #[allow(clippy::cast_precision_loss, reason = "values stay below 2^53")]
    pub fn learn(&mut self, value: i64) {
        self.events = self.events.saturating_add(1);
        let value = value as f64;
        let before = value - self.mean;
        self.mean += before / float(self.events);
        self.squares += before * (value - self.mean);
    }

    /// Adds what was learnt elsewhere (Chan and others 1979).
    pub fn merge(&mut self, other: &Self) {
        if other.events == 0 {
            return;
        }
        let events = self.events.saturating_add(other.events);
        let part = float(other.events) / float(events);
        let apart = other.mean - self.mean;
        self.squares += other.squares + apart * apart * float(self.events) * part;
        self.mean += apart * part;
        self.events = events;
    }

    /// Values so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Their mean; nothing before the first.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Their standard deviation; nothing before the second.
    pub fn deviation(&self) -> f64 {
        if self.events < 2 { 0.0 } else { (self.squares / float(self.events - 1)).sqrt() }
    }

    /// The confidence sequence at this time, wrong at any time with a chance of `bound_ppm`;
    /// `None` before [`EVENTS_MIN`].
    ///
    /// Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2021, "Time-uniform central limit theory and
    /// asymptotic confidence sequences": `s sqrt(2 (n r + 1) / (n^2 r) ln(sqrt(n r + 1) / alpha))`
    /// around the mean, with the `r` by which it is narrowest after the planned events.
    pub fn interval(&self, bound_ppm: u32, events_planned: u64) -> Option<Interval> {
        if self.events < EVENTS_MIN || bound_ppm == 0 {
            return None;
        }
        let events = float(self.events);
        let grown = events * tuned(bound_ppm, events_planned);
        let far = boundary_ln(bound_ppm) + libm::log1p(grown) / 2.0;
        let width = self.deviation() * (2.0 * (grown + 1.0) / (events * grown) * far).sqrt();
        Some(Interval { lower: self.mean - width, upper: self.mean + width })
    }

    /// The evidence so far: it reaches a boundary when the interval of that bound leaves it.
    pub fn evidence(&self, bounds: &Bounds) -> Evidence {
        self.grown(bounds, 1.0)
    }

    /// The evidence after so many times as many events, if they are like those so far.
    #[allow(clippy::cast_precision_loss, reason = "bounds stay below 2^53")]
    pub(super) fn grown(&self, bounds: &Bounds, factor: f64) -> Evidence {
        let events = float(self.events) * factor;
        if events < float(EVENTS_MIN) || self.events < 2 {
            return Evidence::default();
        }
        let grown = events * tuned(bounds.bound_ppm, bounds.events_planned);
        let one = |beyond: f64| {
            let far = match (beyond > 0.0, self.deviation() > 0.0) {
                (false, _) => 0.0,
                (true, false) => return LN_MAX,
                (true, true) => beyond / self.deviation(),
            };
            far * far * events * grown / (2.0 * (grown + 1.0)) - libm::log1p(grown) / 2.0
        };
        let (tolerance, margin) = (bounds.tolerance as f64, bounds.margin as f64);
        Evidence::bounded(one(self.mean - tolerance), one(margin - self.mean))
    }
}

/// The variance of the mixture that makes the interval narrowest after `events_planned`.
fn tuned(bound_ppm: u32, events_planned: u64) -> f64 {
    let doubled = 2.0 * boundary_ln(bound_ppm.max(1));
    (doubled + libm::log1p(doubled)) / float(events_planned.max(1))
}

#[cfg(test)]
mod tests;
