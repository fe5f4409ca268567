use proptest::prelude::*;

use super::*;

const STAKES: Stakes = Stakes { worth_ms: 7_200_000, start_ms: 1_000 };

proptest! {
    /// A window is idle no longer than it lasts, and warm exactly between its ends.
    #[test]
    fn a_call_finds_a_window_early_warm_or_late(
        warm_ms in 0..1_000_u64,
        keep_ms in 0..1_000_u64,
        gap_ms in 0..3_000_u64,
    ) {
        let window = Window { warm_ms, keep_ms };
        match window.found(gap_ms) {
            Found::Early => prop_assert!(gap_ms < warm_ms),
            Found::Warm { idle_ms } => {
                prop_assert_eq!(warm_ms + idle_ms, gap_ms);
                prop_assert!(idle_ms <= keep_ms);
            }
            Found::Late { idle_ms } => {
                prop_assert_eq!(idle_ms, keep_ms);
                prop_assert!(gap_ms > window.end_ms());
            }
        }
    }

    /// A cold start is worth more the longer it takes and the smaller the instance is.
    #[test]
    fn worth_grows_with_the_wait_and_falls_with_the_memory(
        cold_ms: u32,
        more: u32,
        memory_kib: u32,
        larger: u32,
    ) {
        let [cold_ms, more, memory_kib, larger] =
            [cold_ms, more, memory_kib, larger].map(u64::from);
        let worth = worth_ms(cold_ms, memory_kib);
        prop_assert!((1..=HORIZON_MS).contains(&worth));
        prop_assert!(worth_ms(cold_ms + more, memory_kib) >= worth);
        prop_assert!(worth_ms(cold_ms, memory_kib + larger) <= worth);
    }
}

#[test]
fn a_cold_second_is_worth_two_idle_hours_of_a_small_instance() {
    assert_eq!(worth_ms(1_000, 128 * 1024), 120 * MINUTE_MS);
    assert_eq!(worth_ms(1_500, 128 * 1024), 180 * MINUTE_MS);
    assert_eq!(worth_ms(1_000, 512 * 1024), 60 * MINUTE_MS);
}

#[test]
fn a_policy_learns_each_function_and_each_number_of_calls_apart() {
    let fixed = Policy::Fixed { keep_ms: FIXED_MS };
    assert_eq!(Warmth::new(fixed, STAKES).window(1), Window::keep(FIXED_MS));
    let mut warmth = Warmth::new(Policy::LeastCost, STAKES);
    for _ in 0..least_cost::SETTLED {
        warmth.learn(1, 60 * MINUTE_MS);
        warmth.learn(3, 5 * 60 * MINUTE_MS);
        warmth.learn(4, 5 * 60 * MINUTE_MS);
    }
    assert_eq!(warmth.window(1).warm_ms, 60 * MINUTE_MS);
    // Of what is called once an hour a cold start is worth the root of three times as much.
    assert_eq!(warmth.window(2), Window::keep(12_470_765 / 2));
    assert_eq!(warmth.window(3).warm_ms, 5 * 60 * MINUTE_MS);
    assert_eq!(warmth.window(3), warmth.window(4));
    let mut warmth = Warmth::new(Policy::Hybrid, STAKES);
    warmth.learn(2, 60 * MINUTE_MS);
    assert_eq!(warmth.window(1), Window::keep(240 * MINUTE_MS));
    warmth.learn(1, 60 * MINUTE_MS);
    warmth.learn(1, 60 * MINUTE_MS);
    assert_eq!(warmth.window(1).warm_ms, 54 * MINUTE_MS);
}
