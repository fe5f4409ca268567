//! Heat: how often something was called lately, each call counting half as much every five minutes.
//!
//! Always true: exact integers; heat falls with time and rises with calls; when it is looked at
//! changes nothing. Absent on purpose: clocks.

/// In this time a call comes to count half as much, in milliseconds.
pub const HALF_MS: u64 = 5 * 60_000;

/// Bits of a call's fraction.
const FRACTION: u32 = 24;
/// 2^(-n/16) in 32 bits of fraction.
const SIXTEENTHS: [u64; 16] = [
    4_294_967_296,
    4_112_874_773,
    3_938_502_376,
    3_771_522_796,
    3_611_622_603,
    3_458_501_653,
    3_311_872_529,
    3_171_459_999,
    3_037_000_500,
    2_908_241_642,
    2_784_941_738,
    2_666_869_345,
    2_553_802_834,
    2_445_529_972,
    2_341_847_524,
    2_242_560_872,
];
/// The natural logarithm of 2 in 32 bits of fraction.
const LN_2: u64 = 2_977_044_472;

/// Calls, as they count at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heat {
    /// In parts of 2^-24 calls.
    calls: u64,
    at_ms: u64,
}

impl Heat {
    /// After one more call. A time before the last call counts as that of the last call.
    #[must_use]
    pub fn called(self, now_ms: u64) -> Self {
        let at_ms = self.at_ms.max(now_ms);
        Self { calls: self.left(at_ms).saturating_add(1 << FRACTION), at_ms }
    }

    /// Calls an hour that would keep it as it is now.
    pub fn per_hour(self, now_ms: u64) -> u64 {
        // A rate of `r` an hour keeps `r` times the half-life by the logarithm of 2.
        let hours = u128::from(self.left(now_ms)) * u128::from(LN_2) * 3_600_000;
        let per_hour = (hours / u128::from(HALF_MS)) >> (FRACTION + 32);
        u64::try_from(per_hour).unwrap_or(u64::MAX)
    }

    /// What is left of the calls.
    fn left(self, now_ms: u64) -> u64 {
        let past_ms = now_ms.saturating_sub(self.at_ms);
        let Some(halved) = u32::try_from(past_ms / HALF_MS).ok().filter(|halves| *halves < 64)
        else {
            return 0;
        };
        let parts = past_ms % HALF_MS * 16;
        let place = usize::try_from(parts / HALF_MS).unwrap_or(0);
        // What is over a sixteenth is small enough for two terms of the series.
        let over = u128::from(parts % HALF_MS) * u128::from(LN_2) / u128::from(16 * HALF_MS);
        let whole = 1_u128 << 32;
        let factor = u128::from(SIXTEENTHS[place]) * (whole - over + over * over / whole / 2);
        let left = (u128::from(self.calls) * (factor >> 32)) >> 32;
        u64::try_from(left).unwrap_or(u64::MAX) >> halved
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Heat never rises without a call, and a call adds one.
        #[test]
        fn heat_falls_with_time(gaps_ms in vec(0..2_000_000_u64, 1..50), more_ms in 0..10_000_000_u64) {
            let (mut heat, mut now_ms) = (Heat::default(), 0);
            for gap_ms in gaps_ms {
                let before = heat.left(now_ms);
                prop_assert!(heat.left(now_ms + gap_ms) <= before);
                now_ms += gap_ms;
                let left = heat.left(now_ms);
                heat = heat.called(now_ms);
                prop_assert_eq!(heat.left(now_ms), left + (1 << FRACTION));
            }
            prop_assert!(heat.per_hour(now_ms + more_ms) <= heat.per_hour(now_ms));
        }

        /// A steady rate is told to within a hundredth, whatever it is.
        #[test]
        fn a_steady_rate_is_told(gap_ms in 10..20_000_u64) {
            let times = (0..).map(|call| call * gap_ms).take_while(|at_ms| *at_ms < 20 * HALF_MS);
            let (mut heat, mut last_ms) = (Heat::default(), 0);
            for at_ms in times {
                heat = heat.called(at_ms);
                last_ms = at_ms;
            }
            // In the middle between two calls, where the mean of it is.
            let told = heat.per_hour(last_ms + gap_ms / 2);
            let true_rate = 3_600_000 / gap_ms;
            prop_assert!(told.abs_diff(true_rate) <= true_rate / 100 + 1, "{told} {true_rate}");
        }

        /// Five minutes halve it, however it came about.
        #[test]
        fn five_minutes_halve_it(calls in 1..1_000_u64, then_ms in 0..HALF_MS) {
            let heat = (0..calls).fold(Heat::default(), Heat::called);
            let now_ms = calls + then_ms;
            let half = heat.left(now_ms) / 2;
            prop_assert!(heat.left(now_ms + HALF_MS).abs_diff(half) <= 1);
        }
    }
}
