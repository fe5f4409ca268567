use proptest::prelude::*;

use super::*;

proptest! {
    /// Every pause lies in the upper half of the doubled minimum, and under the maximum.
    #[test]
    fn a_pause_doubles_up_to_its_maximum(failures: u32, ms_min: u64, ms_max: u64, seed: u64) {
        let whole_ms = ms_min.saturating_mul(1 << failures.saturating_sub(1).min(63)).min(ms_max);
        let ms = pause_ms(failures, ms_min, ms_max, seed);
        prop_assert!(ms <= whole_ms && ms >= whole_ms / 2);
    }

    /// Callers that fail together come back apart.
    #[test]
    fn two_seeds_rarely_share_a_pause(seed: u64) {
        let pause = |seed| pause_ms(10, 1_000, 1_000_000_000, seed);
        let same = (1..20).filter(|other| pause(seed) == pause(seed ^ other)).count();
        prop_assert!(same <= 1);
    }

    /// Trying ends, after no more tries than allowed and within the time allowed.
    #[test]
    fn trying_ends_in_time(
        ms_min in 0..10_000_u64,
        ms_max in 0..100_000_u64,
        tries_max in 0..50_u32,
        age_ms_max in 0..1_000_000_u64,
        seed: u64,
    ) {
        let settings = Settings { ms_min, ms_max, tries_max, age_ms_max };
        let (mut failures, mut age_ms) = (1, 0);
        while let Some(ms) = next_ms(failures, age_ms, &settings, seed) {
            age_ms += ms;
            failures += 1;
            prop_assert!(failures <= tries_max && age_ms <= age_ms_max);
        }
    }
}

#[test]
fn pauses_grow_and_then_stay() {
    let settings = Settings { ms_min: 100, ms_max: 1_000, tries_max: 7, age_ms_max: u64::MAX };
    let pauses: Vec<_> = (1..9).map(|failures| next_ms(failures, 0, &settings, 42)).collect();
    insta::assert_debug_snapshot!(pauses);
}
