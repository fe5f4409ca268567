use proptest::option::of;
use proptest::prelude::*;

use super::*;

fn loads() -> impl Strategy<Value = Load> {
    prop_oneof![
        Just(Load::AsRecorded),
        (1..1_000_000_u64).prop_map(|milli| Load::Speed { milli }),
        (1..u64::MAX).prop_map(|uhz| Load::Rate { uhz }),
        (1..u64::MAX).prop_map(|uhz| Load::Poisson { uhz }),
        "[a-z]{1,4}".prop_map(Load::Pattern),
    ]
}

prop_compose! {
    fn tests()(load in loads(), for_ms in of(1..1_000_000_u64)) -> Test {
        Test { load, for_ms }
    }
}

prop_compose! {
    fn changes()(
        load in of(loads()), times_milli in of(0..20_000_u64), for_ms in of(0..1_000_000_u64),
        events in of(0..1_000_u64),
    ) -> Change {
        Change { load, times_milli, for_ms, events }
    }
}

proptest! {
    /// What is not named stays, what is named is so, and something is other than before.
    #[test]
    fn only_what_is_named_is_changed(test in tests(), change in changes(), done in 0..20_u32) {
        let Ok(next) = change.of(&test, done) else { return Ok(()) };
        prop_assert!(change.check().is_ok() && done < CHANGES_MAX && next != test);
        if change.events.is_none() {
            prop_assert_eq!(next.for_ms, change.for_ms.or(test.for_ms));
        }
        match (&change.load, change.times_milli) {
            (Some(load), None) => prop_assert_eq!(&next.load, load),
            (None, None) => prop_assert_eq!(next.load, test.load),
            (None, Some(_)) => prop_assert_ne!(next.load, Load::AsRecorded),
            (Some(_), Some(_)) => prop_assert!(false, "two rates"),
        }
    }

    /// However a row goes on, it ends.
    #[test]
    fn a_row_of_changes_ends(first in tests(), all in proptest::collection::vec(changes(), 20)) {
        let (mut test, mut done) = (first, 0);
        for change in all.iter().cycle().take(1_000) {
            if let Ok(next) = change.of(&test, done) {
                (test, done) = (next, done + 1);
            }
        }
        prop_assert!(done <= CHANGES_MAX);
    }

    /// As many are sent as were asked for, but for those of a millisecond.
    #[test]
    fn so_many_events_take_their_time(uhz in 1..10_000_000_000_u64, events in 1..1_000_000_u64) {
        let change = Change { events: Some(events), ..Change::default() };
        let next = change.of(&Test { load: Load::Rate { uhz }, for_ms: None }, 0).unwrap();
        let sent = u128::from(next.for_ms.unwrap()) * u128::from(uhz) / 1_000_000_000;
        let (sent, off) = (i128::try_from(sent).unwrap(), i128::from(uhz / 1_000_000_000 + 1));
        prop_assert!((sent - i128::from(events)).abs() <= off, "{sent}");
    }

    /// A rate is multiplied exactly, but for the millionth that is rounded down.
    #[test]
    fn a_rate_is_multiplied(uhz in 1..1_000_000_000_u64, milli in TIMES_MILLI_MIN..TIMES_MILLI_MAX) {
        let change = Change { times_milli: Some(milli), ..Change::default() };
        let test = Test { load: Load::Rate { uhz }, for_ms: None };
        let wanted = Load::Rate { uhz: uhz * milli / 1_000 };
        match change.of(&test, 0) {
            Ok(next) => prop_assert_eq!(next.load, wanted),
            Err(refusal) => prop_assert!(milli == 1_000 || wanted == test.load, "{refusal}"),
        }
    }
}

#[test]
fn what_cannot_be_changed_is_told_in_words() {
    let rate = |uhz| Test { load: Load::Rate { uhz }, for_ms: Some(90_500) };
    let pattern = Test { load: Load::Pattern("a".to_owned()), for_ms: None };
    let times = |milli| Change { times_milli: Some(milli), ..Change::default() };
    let so = Change { load: Some(Load::Rate { uhz: 5 }), ..Change::default() };
    let both = Change { times_milli: Some(2_000), ..so.clone() };
    let never = Change { for_ms: Some(0), ..Change::default() };
    let some = Change { events: Some(100), ..Change::default() };
    let lengths = Change { for_ms: Some(1), ..some.clone() };
    let cases = [
        (Change::default(), rate(5), 0),
        (both, rate(5), 0),
        (times(1_000), rate(5), 0),
        (times(10_001), rate(5), 0),
        (never, rate(5), 0),
        (times(2_000), pattern, 0),
        (lengths, rate(5), 0),
        (some, Test { load: Load::AsRecorded, for_ms: None }, 0),
        (so.clone(), rate(5), 0),
        (so, rate(6), CHANGES_MAX),
    ];
    let refused = |(change, test, done): (Change, Test, u32)| change.of(&test, done).unwrap_err();
    let mut told: Vec<String> = cases.map(refused).iter().map(ToString::to_string).collect();
    let quicker = times(1_500).of(&rate(10_250_000), CHANGES_MAX - 1).unwrap();
    told.push(quicker.to_string());
    insta::assert_snapshot!("words", told.join("\n"));
}
