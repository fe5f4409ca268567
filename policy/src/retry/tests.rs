use proptest::prelude::*;

use super::*;

fn settings() -> impl Strategy<Value = Settings> {
    (0..=RETRIES_MAX, AGE_MS_MIN..=AGE_MS_MAX)
        .prop_map(|(retries, age_ms)| Settings::new(retries, age_ms).unwrap())
}

fn failures() -> impl Strategy<Value = Failure> {
    prop_oneof![Just(Failure::Function), Just(Failure::Throttled), Just(Failure::Host)]
}

/// Lets an event fail in the same way until it is given up: its tries, and its age at the last one.
fn until_given_up(failure: Failure, settings: &Settings, seed: u64) -> (u32, u64, Condition) {
    let mut tries = Tries::default();
    for made in 1.. {
        match failure {
            Failure::Function => tries.failed += 1,
            Failure::Throttled | Failure::Host => tries.missed += 1,
        }
        match next(failure, &tries, settings, seed) {
            Outcome::Again { after_ms } => tries.age_ms += after_ms,
            Outcome::GiveUp(condition) => return (made, tries.age_ms, condition),
        }
    }
    unreachable!("trying ends")
}

proptest! {
    /// Whatever happened before, the next try is within the event's age and pauses in their limits.
    #[test]
    fn no_try_is_beyond_the_age(
        failure in failures(),
        age_ms in 0..2 * AGE_MS_MAX,
        failed: u32,
        missed: u32,
        settings in settings(),
        seed: u64,
    ) {
        let tries = Tries { age_ms, failed, missed };
        if let Outcome::Again { after_ms } = next(failure, &tries, &settings, seed) {
            prop_assert!(!is_too_old(age_ms + after_ms, &settings));
            prop_assert!((PAUSE_MS_MIN..=PAUSE_MS_MAX).contains(&after_ms));
        }
    }

    /// Errors of the function are retried as often as was wanted, where the event is not too old.
    #[test]
    fn errors_of_the_function_are_counted(settings in settings(), seed: u64) {
        let (tries, age_ms, condition) = until_given_up(Failure::Function, &settings, seed);
        if condition == Condition::RetriesExhausted {
            prop_assert_eq!(tries, settings.retries() + 1);
        } else {
            prop_assert!(tries <= settings.retries());
            // The wait that did not fit was one of two minutes and a tenth at most.
            prop_assert!(age_ms + 132_000 > settings.age_ms());
        }
    }

    /// What never reaches the function is tried to the end of its age, however few retries there
    /// are, and no more often than once in a shortest pause.
    #[test]
    fn throttles_are_tried_for_as_long_as_the_event_is_young(
        settings in settings(),
        host: bool,
        seed: u64,
    ) {
        let failure = if host { Failure::Host } else { Failure::Throttled };
        let (tries, age_ms, condition) = until_given_up(failure, &settings, seed);
        prop_assert_eq!(condition, Condition::EventAgeExceeded);
        prop_assert!(age_ms + PAUSE_MS_MIN > settings.age_ms());
        prop_assert!(u64::from(tries) <= settings.age_ms() / PAUSE_MS_MIN + 1);
    }

    /// Events that failed together come back apart.
    #[test]
    fn two_seeds_rarely_share_a_wait(seed: u64, failed in 1..=RETRIES_MAX) {
        let settings = Settings::default();
        let tries = Tries { failed, ..Tries::default() };
        let wait = |seed| next(Failure::Function, &tries, &settings, seed);
        let same = (1..20).filter(|other| wait(seed) == wait(seed ^ other)).count();
        prop_assert!(same <= 2);
    }
}

#[test]
fn a_function_has_a_minute_and_then_two() {
    let settings = Settings::default();
    let after = |failed, seed| {
        let tries = Tries { failed, ..Tries::default() };
        match next(Failure::Function, &tries, &settings, seed) {
            Outcome::Again { after_ms } => after_ms,
            Outcome::GiveUp(_) => 0,
        }
    };
    for seed in 0..1_000 {
        assert!((60_000..=66_000).contains(&after(1, seed)));
        assert!((120_000..=132_000).contains(&after(2, seed)));
        assert_eq!(after(3, seed), 0);
    }
}

#[test]
fn pauses_after_throttles_go_from_a_second_to_five_minutes() {
    let settings = Settings::default();
    let pauses: Vec<u64> = (1..=12)
        .map(|missed| {
            let tries = Tries { missed, ..Tries::default() };
            match next(Failure::Throttled, &tries, &settings, 42) {
                Outcome::Again { after_ms } => after_ms,
                Outcome::GiveUp(_) => 0,
            }
        })
        .collect();
    for (pause_ms, doubling) in pauses.iter().zip(0..) {
        let whole_ms = ((2 * PAUSE_MS_MIN) << doubling).min(PAUSE_MS_MAX);
        assert!((whole_ms / 2..=whole_ms).contains(pause_ms), "{pauses:?}");
    }
}

#[test]
fn settings_have_limits() {
    assert_eq!(Settings::new(3, AGE_MS_MAX), Err(Refusal::Retries { retries: 3 }));
    assert_eq!(Settings::new(2, 59_999), Err(Refusal::Age { age_ms: 59_999 }));
    let too_old = Settings::new(0, AGE_MS_MAX + 1).unwrap_err().to_string();
    assert_eq!(
        too_old,
        "an event of 21600001 ms is too young or too old to be given up: \
         ask for 60000 to 21600000 ms"
    );
    assert_eq!(Settings::default(), Settings::new(2, 21_600_000).unwrap());
    assert_eq!(Condition::EventAgeExceeded.as_str(), "EventAgeExceeded");
    assert_eq!(Condition::RetriesExhausted.as_str(), "RetriesExhausted");
}
