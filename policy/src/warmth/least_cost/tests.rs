use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::warmth::Found;

fn stakes() -> impl Strategy<Value = Stakes> {
    (1..2_000_u64, 0..50_u64).prop_map(|(worth_ms, start_ms)| Stakes { worth_ms, start_ms })
}

fn lists() -> impl Strategy<Value = Vec<Gap>> {
    let gap = (prop_oneof![0..40_u32, 0..2_000_u32], 1..9_u32);
    vec(gap, GAPS_MIN..12).prop_map(|mut gaps| {
        gaps.sort_unstable();
        gaps.into_iter().map(|(ms, weight)| Gap { ms, weight }).collect()
    })
}

/// What a window would have cost, counted gap by gap.
fn cost(gaps: &[Gap], window: Window, stakes: Stakes) -> u64 {
    let start_ms = if window.warm_ms > 0 { stakes.start_ms } else { 0 };
    let one = |gap: &Gap| match window.found(u64::from(gap.ms)) {
        Found::Early => stakes.worth_ms,
        Found::Warm { idle_ms } => start_ms + idle_ms,
        Found::Late { idle_ms } => start_ms + idle_ms + stakes.worth_ms,
    };
    gaps.iter().map(|gap| u64::from(gap.weight) * one(gap)).sum()
}

/// The chosen window before it is widened.
fn exact(gaps: &[Gap], stakes: Stakes) -> Option<Window> {
    let Covered { first, last } = cheapest(gaps, stakes)?;
    let warm_ms = first.map_or(0, |first| u64::from(gaps[first].ms));
    Some(Window::between(warm_ms, u64::from(gaps[last].ms)))
}

/// Cost of the choice; of keeping nothing, every call is cold.
fn least(gaps: &[Gap], stakes: Stakes) -> u64 {
    let nothing = gaps.iter().map(|gap| u64::from(gap.weight) * stakes.worth_ms).sum();
    exact(gaps, stakes).map_or(nothing, |window| cost(gaps, window, stakes))
}

fn misses(gaps: &[Gap], stakes: Stakes) -> u64 {
    let all = gaps.iter().map(|gap| u64::from(gap.weight)).sum();
    exact(gaps, stakes).map_or(all, |window| {
        let missed = |gap: &&Gap| !matches!(window.found(u64::from(gap.ms)), Found::Warm { .. });
        gaps.iter().filter(missed).map(|gap| u64::from(gap.weight)).sum()
    })
}

fn learnt(lengths_ms: &[u64]) -> Gaps {
    let mut gaps = Gaps::default();
    for gap_ms in lengths_ms {
        gaps.learn(*gap_ms);
    }
    gaps
}

proptest! {
    /// One pass finds what trying every window finds.
    #[test]
    fn the_choice_is_that_of_trying_every_window(gaps in lists(), stakes in stakes()) {
        let nothing: u64 = gaps.iter().map(|gap| u64::from(gap.weight) * stakes.worth_ms).sum();
        let mut tried = nothing;
        let starts = gaps.iter().map(|gap| gap.ms).chain([0]);
        for (start, end) in starts.flat_map(|start| gaps.iter().map(move |gap| (start, gap.ms))) {
            if start <= end {
                let window = Window::between(u64::from(start), u64::from(end));
                tried = tried.min(cost(&gaps, window, stakes));
            }
        }
        prop_assert_eq!(least(&gaps, stakes), tried);
    }

    /// No fixed time would have cost less.
    #[test]
    fn no_fixed_time_costs_less(gaps in lists(), stakes in stakes(), keep_ms in 0..3_000_u64) {
        let fixed = Window::keep(keep_ms);
        prop_assert!(least(&gaps, stakes) <= cost(&gaps, fixed, stakes));
    }

    /// Who holds a cold start for worth more has no more of them.
    #[test]
    fn dearer_cold_starts_are_fewer(gaps in lists(), stakes in stakes(), more in 1..2_000_u64) {
        let dearer = Stakes { worth_ms: stakes.worth_ms + more, ..stakes };
        prop_assert!(misses(&gaps, dearer) <= misses(&gaps, stakes));
    }

    /// Widening takes nothing away, and stays in its bounds.
    #[test]
    fn a_widened_window_holds_the_exact_one(gaps in lists(), stakes in stakes()) {
        let Some(exact) = exact(&gaps, stakes) else {
            prop_assert_eq!(choose(&gaps, stakes), Window::keep(0));
            return Ok(());
        };
        let wide = choose(&gaps, stakes);
        prop_assert!(wide.warm_ms <= exact.warm_ms && exact.end_ms() <= wide.end_ms());
        prop_assert!(wide.end_ms() <= exact.end_ms() + 2 * stakes.worth_ms.max(2_000));
    }

    /// Whatever is learnt, there is a window, and it ends at the horizon.
    #[test]
    fn a_window_is_total_and_bounded(
        lengths_ms in vec(prop_oneof![any::<u64>(), 0..100_000_u64, Just(HORIZON_MS)], 0..300),
        worth_ms: u64,
        start_ms: u64,
    ) {
        let mut gaps = Gaps::default();
        for gap_ms in lengths_ms {
            gaps.learn(gap_ms);
            let window = gaps.window(Stakes { worth_ms, start_ms });
            prop_assert!(window.end_ms() <= HORIZON_MS);
        }
    }

    /// A cold start is worth no less the more seldom a function is called and the more the stakes
    /// say; never less than a third of what they say, nor more than three times.
    #[test]
    fn worth_rises_with_gaps_and_stakes(
        lengths_ms in vec(0..100_000_000_u64, GAPS_MIN..20),
        longer_ms in 0..100_000_000_u64,
        worth_ms in 1_000..HORIZON_MS,
        more in 0..1_000_u64,
    ) {
        let longer: Vec<u64> = lengths_ms.iter().map(|gap_ms| gap_ms + longer_ms).collect();
        let worth = learnt(&lengths_ms).worth_ms(worth_ms);
        prop_assert!(worth <= learnt(&longer).worth_ms(worth_ms));
        prop_assert!(worth <= learnt(&lengths_ms).worth_ms(worth_ms + more));
        prop_assert!(3 * worth + 3 >= worth_ms - worth_ms / 1_000 && worth <= 3 * worth_ms);
    }

    /// Only the latest gaps count: two functions that had the same ones have the same window.
    #[test]
    fn what_is_long_past_is_forgotten(
        past_ms in vec(0..1_000_000_u64, 0..50),
        seed in vec(0..1_000_000_u64, 1..20),
        stakes in stakes(),
    ) {
        let latest_ms: Vec<u64> = seed.iter().cycle().take(GAPS_MAX).copied().collect();
        let both_ms: Vec<u64> = past_ms.iter().chain(&latest_ms).copied().collect();
        let (mut one, mut other) = (learnt(&latest_ms), learnt(&both_ms));
        prop_assert_eq!(one.window(stakes), other.window(stakes));
    }

    /// A call that comes at equal distances finds an instance that was not idle for more than a
    /// small part of it, the smaller the more calls there were; and in the end not at all.
    #[test]
    fn strictly_periodic_calls_are_met_without_idle_time(
        period_ms in 2_000..HORIZON_MS,
        calls in GAPS_MIN..250,
        worth_ms in 1_000..HORIZON_MS,
    ) {
        let stakes = Stakes { worth_ms, start_ms: 1_000 };
        let window = learnt(&vec![period_ms; calls]).window(stakes);
        let Found::Warm { idle_ms } = window.found(period_ms) else {
            return Err(TestCaseError::fail(format!("{window:?}")));
        };
        let stays = window.warm_ms == 0;
        prop_assert!(stays || idle_ms <= period_ms / (MARGIN * calls as u64));
        prop_assert!(idle_ms == 0 || calls < SETTLED);
    }
}

const MINUTE_MS: u64 = 60_000;
const STAKES: Stakes = Stakes { worth_ms: 120 * MINUTE_MS, start_ms: 1_000 };

#[test]
fn who_knows_nothing_keeps_for_a_cold_starts_worth() {
    assert_eq!(learnt(&[]).window(STAKES), Window::keep(STAKES.worth_ms));
    assert_eq!(learnt(&[5]).window(STAKES), Window::keep(STAKES.worth_ms));
    assert_eq!(learnt(&[u64::MAX]).window(STAKES), Window::keep(STAKES.worth_ms));
}

#[test]
fn what_came_once_is_met_again() {
    let hours = |hours: u64| hours * 60 * MINUTE_MS;
    assert_eq!(learnt(&[hours(2)]).window(STAKES), Window::keep(hours(2) * 9 / 8));
    let late = Window::between(hours(16) * 7 / 8, hours(16) * 9 / 8);
    assert_eq!(learnt(&[hours(16)]).window(STAKES), late);
}

#[test]
fn a_cold_start_of_what_is_called_seldom_is_worth_more() {
    let worth_ms = |gap_ms: u64| learnt(&[gap_ms; 3]).worth_ms(7_200_000);
    assert_eq!(worth_ms(1_200_000), 7_200_000);
    assert_eq!(worth_ms(4_800_000), 14_400_000);
    assert_eq!([0, SHORT_GAP_MS].map(|gap_ms| worth_ms(gap_ms).div_ceil(1_000)), [2_400; 2]);
    assert_eq!([10_800_000, u64::MAX].map(worth_ms), [21_600_000; 2]);
    assert_eq!(learnt(&[u64::MAX]).worth_ms(7_200_000), 7_200_000);
    // Only the latest gaps count.
    let changed = [vec![10_800_000; GAPS_MAX], vec![1_200_000; GAPS_MAX]].concat();
    assert_eq!(learnt(&changed).worth_ms(7_200_000), 7_200_000);
}

#[test]
fn gaps_that_are_not_worth_it_are_left_cold() {
    let stakes = Stakes { worth_ms: 500, start_ms: 1_000 };
    let gaps_ms: Vec<u64> = (1..20).map(|place| place * place * 10_000).collect();
    assert_eq!(learnt(&gaps_ms).window(stakes), Window::keep(0));
}

#[test]
fn a_function_that_has_changed_is_followed() {
    let mut gaps = learnt(&[60 * MINUTE_MS; GAPS_MAX]);
    assert_eq!(gaps.window(STAKES).warm_ms, 60 * MINUTE_MS);
    let cold = (0..GAPS_MAX).take_while(|_| {
        let early = gaps.window(STAKES).found(MINUTE_MS) == Found::Early;
        gaps.learn(MINUTE_MS);
        early
    });
    assert!(cold.count() <= 2 * FRESH);
}

#[test]
fn a_choice_stays_while_nothing_new_is_learnt() {
    let mut gaps = learnt(&[MINUTE_MS; GAPS_MAX]);
    let window = gaps.window(STAKES);
    for _ in 0..GAPS_MAX / NEW_PART {
        gaps.learn(MINUTE_MS);
        assert_eq!(gaps.window, Some(window));
    }
    gaps.learn(MINUTE_MS);
    assert_eq!(gaps.window, None);
    assert_eq!(gaps.window(STAKES), window);
    gaps.learn(STAKES.worth_ms * 2);
    assert_eq!(gaps.window, None);
}
