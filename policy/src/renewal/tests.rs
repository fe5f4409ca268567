use proptest::prelude::*;

use super::*;

const DAY_MS: u64 = 24 * 3_600_000;
const SETTINGS: Settings =
    Settings { pause_ms_floor: 1_000, pause_ms_min: 60_000, pause_ms_max: 3_600_000 };

fn fresh(made_at_ms: u64, lifetime_ms: u64) -> Certificate {
    let expires_at_ms = made_at_ms.saturating_add(lifetime_ms);
    Certificate { made_at_ms, expires_at_ms, failures: 0, failed_at_ms: 0 }
}

/// The first moment at which a certificate is to be renewed.
fn due(held: &Certificate, seed: u64) -> u64 {
    match decide(held, held.made_at_ms, &SETTINGS, seed) {
        Decision::Wait { ms, reason: Reason::Young } => held.made_at_ms + ms,
        other => panic!("{other:?} of a new certificate"),
    }
}

proptest! {
    /// Nothing is asked in the first two thirds of a lifetime, and a quarter of it is left when it
    /// is.
    #[test]
    fn a_certificate_is_due_after_two_thirds_of_its_lifetime(
        made_at_ms in 0..u64::MAX / 2,
        lifetime_ms in 1_000..400 * DAY_MS,
        seed: u64,
    ) {
        let held = fresh(made_at_ms, lifetime_ms);
        let age_ms = due(&held, seed) - made_at_ms;
        prop_assert!(age_ms * 3 >= lifetime_ms * 2);
        prop_assert!((lifetime_ms - age_ms) * 4 >= lifetime_ms - 12);
    }

    /// The wait that is told is the shortest after which there is something to do.
    #[test]
    fn the_promised_wait_is_exact(
        lifetime_ms in 10_000..400 * DAY_MS,
        age_percent in 0..100_u64,
        failures in 0..20_u32,
        failed_ago_ms in 0..DAY_MS,
        seed: u64,
    ) {
        let now_ms = DAY_MS + lifetime_ms / 100 * age_percent;
        let failed_at_ms = now_ms - failed_ago_ms;
        let held = Certificate { failures, failed_at_ms, ..fresh(DAY_MS, lifetime_ms) };
        if let Decision::Wait { ms, .. } = decide(&held, now_ms, &SETTINGS, seed) {
            let before = decide(&held, now_ms + ms - 1, &SETTINGS, seed);
            prop_assert!(matches!(before, Decision::Wait { ms: 1, .. }), "{:?}", before);
            let then = decide(&held, now_ms + ms, &SETTINGS, seed);
            let young = matches!(then, Decision::Wait { reason: Reason::Young, .. });
            prop_assert!(!young, "{:?}", then);
        }
    }

    /// However often it fails, it is tried to the end, and not too often.
    #[test]
    fn who_fails_tries_again_until_it_is_over(
        lifetime_ms in 60_000..400 * DAY_MS,
        try_ms in 0..5_000_u64,
        seed: u64,
    ) {
        let mut held = fresh(DAY_MS, lifetime_ms);
        let (mut now_ms, mut tries, mut last_ms) = (DAY_MS, 0_u64, 0);
        loop {
            match decide(&held, now_ms, &SETTINGS, seed) {
                Decision::Wait { ms, .. } => now_ms += ms,
                Decision::Renew { left_ms } => {
                    prop_assert_eq!(left_ms, held.expires_at_ms - now_ms);
                    prop_assert!(tries == 0 || now_ms >= last_ms + SETTINGS.pause_ms_floor);
                    (tries, last_ms) = (tries + 1, now_ms);
                    now_ms += try_ms;
                    held.failures += 1;
                    held.failed_at_ms = now_ms;
                }
                Decision::Over { since_ms } => {
                    prop_assert_eq!(since_ms, now_ms - held.expires_at_ms);
                    break;
                }
            }
        }
        prop_assert!(tries >= 3, "{} tries", tries);
        // One for each half of the longest pause, those that grow, and those near the end.
        let most = lifetime_ms / 3 / (SETTINGS.pause_ms_max / 2) + 80;
        prop_assert!(tries <= most, "{} tries, of {}", tries, most);
        let end_ms = held.expires_at_ms - last_ms;
        prop_assert!(end_ms <= (SETTINGS.pause_ms_floor + try_ms) * 2, "{} ms before", end_ms);
    }

    /// What is over stays over, whatever was tried.
    #[test]
    fn what_is_over_is_not_renewed(
        made_at_ms: u64,
        lifetime_ms: u64,
        late_ms: u64,
        failures: u32,
        failed_at_ms: u64,
        seed: u64,
    ) {
        let held = Certificate { failures, failed_at_ms, ..fresh(made_at_ms, lifetime_ms) };
        let now_ms = held.expires_at_ms.saturating_add(late_ms);
        let decision = decide(&held, now_ms, &SETTINGS, seed);
        prop_assert_eq!(decision, Decision::Over { since_ms: now_ms - held.expires_at_ms });
    }

    /// A clock that is set back after a failure costs one pause at most.
    #[test]
    fn a_clock_that_goes_back_costs_no_more_than_a_pause(
        failures in 1..20_u32,
        back_ms in 0..DAY_MS,
        seed: u64,
    ) {
        let held = fresh(DAY_MS, 90 * DAY_MS);
        let now_ms = due(&held, seed) + 1;
        let held = Certificate { failures, failed_at_ms: now_ms + back_ms, ..held };
        if let Decision::Wait { ms, .. } = decide(&held, now_ms, &SETTINGS, seed) {
            prop_assert!(ms <= SETTINGS.pause_ms_max);
        }
    }

    /// Processes that began together do not come together.
    #[test]
    fn those_that_began_together_come_apart(seed: u64) {
        let held = fresh(0, 30 * DAY_MS);
        let first = due(&held, seed);
        let same = (1..20).filter(|other| due(&held, seed ^ other).abs_diff(first) < 1_000).count();
        prop_assert!(same <= 2, "{} of 19 within a second", same);
    }
}

#[test]
fn times_that_no_certificate_has_are_no_reason_to_panic() {
    let ends = [0, 1, u64::MAX - 1, u64::MAX];
    for made_at_ms in ends {
        for expires_at_ms in ends {
            for now_ms in ends {
                let held = Certificate { made_at_ms, expires_at_ms, failures: 3, failed_at_ms: 7 };
                let over = matches!(decide(&held, now_ms, &SETTINGS, 0), Decision::Over { .. });
                assert_eq!(over, now_ms >= expires_at_ms);
            }
        }
    }
}
