//! How long a saga waits before it tries a step again.
//!
//! Always true: the pause lies between half and all of the doubled minimum, and never passes the
//! maximum. Absent on purpose: chance; the spread comes from the seed.

/// The pause in milliseconds before try number `attempts + 1`, after `attempts` failures.
///
/// Doubles from `ms_min` to `ms_max`; the seed takes away up to half, so that records that failed
/// together do not come back together.
///
/// Source: "equal jitter", Exponential Backoff And Jitter, AWS Architecture Blog, 2015.
pub fn pause_ms(attempts: u32, ms_min: u64, ms_max: u64, seed: u64) -> u64 {
    let doublings = attempts.saturating_sub(1).min(63);
    let whole_ms = ms_min.saturating_mul(1 << doublings).min(ms_max);
    let half_ms = whole_ms / 2;
    whole_ms - mix(seed.wrapping_add(u64::from(attempts))) % (half_ms + 1)
}

/// Spreads a seed over all 64 bits. Source: `SplitMix64`, Steele, Lea and Flood, 2014.
fn mix(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every pause lies in the upper half of the doubled minimum, and under the maximum.
        #[test]
        fn a_pause_doubles_up_to_its_maximum(
            attempts in 1..200_u32,
            ms_min in 1..10_000_u64,
            ms_max in 1..1_000_000_u64,
            seed: u64,
        ) {
            let whole_ms = ms_min.saturating_mul(1 << (attempts - 1).min(63)).min(ms_max);
            let ms = pause_ms(attempts, ms_min, ms_max, seed);
            prop_assert!(ms <= whole_ms && ms >= whole_ms / 2);
        }

        /// Records that fail together come back apart.
        #[test]
        fn two_seeds_rarely_share_a_pause(seed: u64) {
            let pause = |seed| pause_ms(10, 1_000, 1_000_000_000, seed);
            let same = (1..20).filter(|other| pause(seed) == pause(seed ^ other)).count();
            prop_assert!(same <= 1);
        }
    }
}
