use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const SETTINGS: Settings = Settings {
    min: 2,
    max: 64,
    window_us: 1_000_000,
    deviations_milli: 3_000,
    quiet_windows_max: 600,
};

prop_compose! {
    fn settings()(
        min in 0..50_u32,
        max in 0..500_u32,
        window_us in 0..100_000_000_u64,
        deviations_milli in 0..10_000_u32,
        quiet_windows_max in 0..100_u32,
    ) -> Settings {
        Settings { min, max, window_us, deviations_milli, quiet_windows_max }
    }
}

prop_compose! {
    fn claims()(counts in vec(prop_oneof![0..200_u32, any::<u32>()], 0..60)) -> Claims {
        counts.into_iter().fold(Claims::default(), Claims::after)
    }
}

prop_compose! {
    fn has()(target in any::<u32>(), lead_us in any::<u64>(), room in any::<u32>()) -> Has {
        Has { target, lead_us, room }
    }
}

fn steady(claims: u32, windows: u32) -> Claims {
    (0..windows).fold(Claims::default(), |before, _| before.after(claims))
}

/// The target once it no longer changes.
fn settled(claims: Claims, has: Has, settings: &Settings) -> u32 {
    let mut has = has;
    for _ in 0..100 {
        has.target = target(claims, &has, settings).count;
    }
    has.target
}

proptest! {
    #[test]
    fn neither_the_most_nor_the_memory_is_passed(
        claims in claims(),
        has in has(),
        settings in settings(),
    ) {
        let count = target(claims, &has, &settings).count;
        prop_assert!(count <= settings.max && count <= has.room);
    }

    #[test]
    fn a_set_at_most_halves_and_grows_by_what_it_holds_and_the_least(
        claims in claims(),
        has in has(),
        settings in settings(),
    ) {
        let Target { count, why } = target(claims, &has, &settings);
        let most = settings.max.min(has.room);
        prop_assert!(count >= (has.target / 2).min(most), "{count} {why:?}");
        let fastest = u64::from(has.target) * 2 + u64::from(settings.min.max(1));
        prop_assert!(u64::from(count) <= fastest);
    }

    #[test]
    fn who_is_claimed_more_often_holds_no_less(
        counts in vec(0..1_000_u32, 1..40),
        more in 1..1_000_u32,
        lead_us in 0..1_000_000_u64,
    ) {
        let few = counts.iter().fold(Claims::default(), |before, count| before.after(*count));
        let many = counts.iter().fold(Claims::default(), |before, count| before.after(count + more));
        let has = Has { target: 0, lead_us, room: u32::MAX };
        let settings = Settings { max: u32::MAX, deviations_milli: 0, ..SETTINGS };
        prop_assert!(settled(few, has, &settings) <= settled(many, has, &settings));
    }

    /// However evenly or not claims come within a window, a set of the size that comes out is not
    /// emptied by the number that is usual while one is parked.
    #[test]
    fn what_is_usual_while_one_is_parked_finds_something(
        per_window in 1..500_u32,
        lead_us in 1_000..1_000_000_u64,
    ) {
        let has = Has { target: 0, lead_us, room: u32::MAX };
        let settings = Settings { max: u32::MAX, ..SETTINGS };
        let held = u64::from(settled(steady(per_window, 80), has, &settings));
        // The mean falls short by less than eight thousandths, since it is kept in whole ones.
        let usual = u64::from(per_window) * lead_us / settings.window_us;
        prop_assert!(held >= usual, "{held} < {usual}");
        prop_assert!(held <= (usual + 1) * 2 + 2 * u64::from(settings.min), "{held} for {usual}");
    }

    #[test]
    fn where_nobody_claims_nothing_is_left(claims in claims(), target_before in 0..1_000_u32) {
        let mut claims = claims;
        let mut has = Has { target: target_before, lead_us: 50_000, room: u32::MAX };
        for _ in 0..SETTINGS.quiet_windows_max + 20 {
            claims = claims.after(0);
            has.target = target(claims, &has, &SETTINGS).count;
        }
        prop_assert_eq!(has.target, 0);
    }
}

#[test]
fn whoever_is_claimed_now_and_then_holds_the_least() {
    let claims = steady(0, 100).after(1);
    let has = Has { target: 0, lead_us: 50_000, room: 1_000 };
    assert_eq!(target(claims, &has, &SETTINGS), Target { count: 2, why: Why::Least });
    let has = Has { room: 1, ..has };
    assert_eq!(target(claims, &has, &SETTINGS), Target { count: 1, why: Why::Memory });
}

#[test]
fn uneven_claims_hold_more_than_even_ones() {
    let even = steady(100, 200);
    let uneven = (0..200).fold(Claims::default(), |before, window| {
        before.after(if window % 4 == 0 { 400 } else { 0 })
    });
    let has = Has { target: 0, lead_us: 250_000, room: u32::MAX };
    let settings = Settings { max: u32::MAX, ..SETTINGS };
    let (even, uneven) = (settled(even, has, &settings), settled(uneven, has, &settings));
    assert!(even >= 25 && uneven > 2 * even, "{even} {uneven}");
}
