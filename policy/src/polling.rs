//! Polling: whether who waits for the next request looks for it, rather than sleeps.
//!
//! To be woken costs some ten microseconds on a machine and some more on a virtual one, on top of
//! every request. Looking spares that, and uses up a processor that would rest: it is worth it
//! where requests follow each other closely, and only for who has a processor to itself.
//!
//! Always true: one wait is looked through for at most the limit; where waits are long, at most
//! three in a row are looked into in vain; where no limit is given, none.
//! Absent on purpose: clocks, and how to look.

/// Longest look, in microseconds: about twice the pause that a single client leaves.
pub const POLL_US_MAX: u64 = 200;
/// A longer wait counts as this one, so that a night does not outweigh a morning.
const WAIT_US_MAX: u64 = 1_000;
/// Of how many waits the usual one is the mean, later ones counting more.
const WAITS: u64 = 8;

/// How long one may look who has so many thousandths of a processor, in microseconds: not at all
/// where the others of that processor would pay for it.
pub fn limit_us(cpu_milli: u32) -> u64 {
    if cpu_milli >= 1_000 { POLL_US_MAX } else { 0 }
}

/// How long the waits have been lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The usual wait, [`WAITS`] times.
    sum_us: u64,
}

impl Default for Pace {
    /// Nothing has come yet.
    fn default() -> Self {
        Self { sum_us: WAIT_US_MAX * WAITS }
    }
}

impl Pace {
    /// After one more wait, of so many microseconds.
    #[must_use]
    pub fn after(self, wait_us: u64) -> Self {
        Self { sum_us: self.sum_us - self.sum_us / WAITS + wait_us.min(WAIT_US_MAX) }
    }

    /// How long to look before sleeping, in microseconds, where one may look for `limit_us`.
    pub fn look_us(self, limit_us: u64) -> u64 {
        if self.sum_us / WAITS <= limit_us { limit_us } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn after(waits: impl IntoIterator<Item = u64>) -> Pace {
        waits.into_iter().fold(Pace::default(), Pace::after)
    }

    proptest! {
        /// No look is longer than the limit, and without a limit there is none.
        #[test]
        fn a_look_has_its_limit(waits in vec(0..5_000_u64, 0..40), limit_us in 0..1_000_u64) {
            prop_assert!(after(waits.clone()).look_us(limit_us) <= limit_us);
            prop_assert_eq!(after(waits).look_us(0), 0);
        }

        /// Whatever was before, long waits are not looked into more than three times in a row.
        #[test]
        fn long_waits_end_the_looking(before in vec(0..5_000_u64, 0..40), long_us in 1_000..u64::MAX) {
            let mut pace = after(before);
            for _ in 0..3 {
                pace = pace.after(long_us);
            }
            prop_assert_eq!(pace.look_us(POLL_US_MAX), 0);
        }

        /// Whatever was before, close requests soon begin it.
        #[test]
        fn close_requests_begin_it(before in vec(0..u64::MAX, 0..40), close_us in 0..=150_u64) {
            let waits = before.into_iter().chain(std::iter::repeat_n(close_us, 24));
            prop_assert_eq!(after(waits).look_us(POLL_US_MAX), POLL_US_MAX);
        }
    }

    #[test]
    fn only_a_whole_processor_is_kept_busy() {
        assert_eq!([999, 1_000, 4_000].map(limit_us), [0, POLL_US_MAX, POLL_US_MAX]);
    }
}
