//! Arrivals: when the calls of a minute come, and how long each takes.
//!
//! Always true: arrivals rise with time; what is drawn for a function depends on the seed, its name
//! and its own calls, and not on other functions.
//! Absent on purpose: a pattern within the minute: each moment of it is as likely as the others.

use crate::chance::Chance;
use crate::trace::{MINUTE_MS, Trace};

/// A call that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrival {
    pub(super) at_ms: u64,
    pub(super) function: u32,
    pub(super) duration_ms: u64,
}

/// The arrivals of a trace, minute by minute.
pub(super) struct Arrivals {
    minute: usize,
    chances: Vec<Chance>,
    drawn: Vec<Arrival>,
}

impl Arrivals {
    pub(super) fn new(trace: &Trace, seed: u64) -> Self {
        let chances = trace.functions.iter().map(|function| Chance::new(seed, &function.name));
        Self { minute: 0, chances: chances.collect(), drawn: Vec::new() }
    }

    /// The arrivals of the next minute; `None` after the last one.
    pub(super) fn next_minute(&mut self, trace: &Trace) -> Option<&[Arrival]> {
        if self.minute >= trace.length() {
            return None;
        }
        let start_ms = self.end_ms();
        self.drawn.clear();
        for (number, (function, chance)) in (0..).zip(trace.functions.iter().zip(&mut self.chances))
        {
            for _ in 0..function.calls.get(self.minute).copied().unwrap_or(0) {
                let at_ms = start_ms + chance.below(MINUTE_MS);
                let share = u32::try_from(chance.any() >> 32).unwrap_or(u32::MAX);
                let duration_ms = function.durations.at(share);
                self.drawn.push(Arrival { at_ms, function: number, duration_ms });
            }
        }
        self.drawn.sort_unstable();
        self.minute += 1;
        Some(&self.drawn)
    }

    /// How many minutes were drawn.
    pub(super) fn minutes(&self) -> usize {
        self.minute
    }

    /// When the minutes that were drawn end.
    pub(super) fn end_ms(&self) -> u64 {
        u64::try_from(self.minute).unwrap_or(u64::MAX).saturating_mul(MINUTE_MS)
    }
}
