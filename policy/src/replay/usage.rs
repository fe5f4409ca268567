//! Usage: what an instance used within a window of time, out of what it has used since it began.
//!
//! Always true: readings may come late and in any order, and never make less of what was used; what
//! no reading tells is not known, and is not nothing. Absent on purpose: who reads, and when.

use serde::{Deserialize, Serialize};

/// What an instance has used, as far as its host tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Time of processors since it began, in microseconds.
    pub cpu_us: Option<u64>,
    /// Memory now, in bytes.
    pub memory_bytes: Option<u64>,
    /// The most since it began.
    pub memory_peak_bytes: Option<u64>,
}

/// What an instance used within a window, by the readings so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Of before the window.
    before_cpu_us: Option<u64>,
    before_peak_bytes: u64,
    last_cpu_us: u64,
    most_bytes: u64,
}

impl Tally {
    /// An instance at the first reading of it. One that began within the window has used nothing
    /// before it.
    pub fn new(first: &Reading, began_within: bool) -> Self {
        let mut tally = if began_within {
            Self { before_cpu_us: first.cpu_us.map(|_| 0), ..Self::default() }
        } else {
            Self {
                before_cpu_us: first.cpu_us,
                before_peak_bytes: first.memory_peak_bytes.unwrap_or(0),
                ..Self::default()
            }
        };
        tally.see(first);
        tally
    }

    /// A further reading.
    pub fn see(&mut self, reading: &Reading) {
        self.last_cpu_us = self.last_cpu_us.max(reading.cpu_us.unwrap_or(0));
        // A peak of before the window says nothing of it.
        let peak = reading.memory_peak_bytes.filter(|peak| *peak > self.before_peak_bytes);
        let most = peak.unwrap_or(0).max(reading.memory_bytes.unwrap_or(0));
        self.most_bytes = self.most_bytes.max(most);
    }

    /// Time of processors within the window, in microseconds.
    pub fn cpu_us(&self) -> Option<u64> {
        self.before_cpu_us.map(|before| self.last_cpu_us.saturating_sub(before))
    }

    /// The most memory within the window, in bytes.
    pub fn memory_bytes(&self) -> Option<u64> {
        (self.most_bytes > 0).then_some(self.most_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn reading(cpu_us: u64, memory_bytes: u64, peak: u64) -> Reading {
        Reading {
            cpu_us: Some(cpu_us),
            memory_bytes: Some(memory_bytes),
            memory_peak_bytes: Some(peak),
        }
    }

    #[test]
    fn what_was_before_the_window_is_not_of_it() {
        let mut tally = Tally::new(&reading(1_000, 50, 90), false);
        assert_eq!((tally.cpu_us(), tally.memory_bytes()), (Some(0), Some(50)));
        tally.see(&reading(1_500, 60, 90));
        assert_eq!((tally.cpu_us(), tally.memory_bytes()), (Some(500), Some(60)));
        tally.see(&reading(1_700, 60, 95));
        assert_eq!((tally.cpu_us(), tally.memory_bytes()), (Some(700), Some(95)));
        let begun = Tally::new(&reading(1_000, 50, 90), true);
        assert_eq!((begun.cpu_us(), begun.memory_bytes()), (Some(1_000), Some(90)));
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        let mut tally = Tally::new(&Reading::default(), false);
        tally.see(&Reading::default());
        assert_eq!((tally.cpu_us(), tally.memory_bytes()), (None, None));
    }

    proptest! {
        /// Readings add up to the last one less the first, in whatever order they come.
        #[test]
        fn what_was_used_is_the_last_less_the_first(
            first in 0..1_000_u64,
            mut steps in vec(0..1_000_u64, 0..20),
            turn in 0..20_usize,
        ) {
            let mut sum = first;
            for step in &mut steps {
                sum += *step;
                *step = sum;
            }
            let of = |steps: &[u64]| {
                let mut tally = Tally::new(&reading(first, 1, 1), false);
                for cpu_us in steps {
                    tally.see(&reading(*cpu_us, 1, 1));
                }
                tally
            };
            let straight = of(&steps);
            prop_assert_eq!(straight.cpu_us(), Some(sum - first));
            let turn = turn.min(steps.len());
            steps.rotate_left(turn);
            prop_assert_eq!(of(&steps), straight);
        }
    }
}
