use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::gates::{Limit, Scope};
use crate::sketch::Sketch;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

fn seen(events: u64, bad: u64) -> Seen {
    let mut times = Sketch::default();
    for number in 0..events {
        times.add(1_000 + number);
    }
    Seen { events, bad, times, whole: true }
}

fn is(metric: &str, limit: Limit) -> gates::Condition {
    gates::Condition::Metric { metric: metric.to_owned(), scope: Scope::All, limit }
}

fn errors(limit: Limit) -> gates::Condition {
    is(ERRORS, limit)
}

fn judged(condition: &gates::Condition, candidate: &Seen, incumbent: &Seen) -> Judgement {
    judge(condition, &candidate.snapshot(incumbent)).judgement
}

/// More than one bad event in a hundred.
fn over_one_percent(events: u64, bad: u64) -> Judgement {
    judged(&errors(Limit::AtLeast(10_000)), &seen(events, bad), &Seen::default())
}

#[test]
fn the_whole_table() {
    let mut table = String::new();
    for state in State::ALL {
        for judgement in [Judgement::Holds, Judgement::NotKnown, Judgement::Fails] {
            table += &format!("{state:?}, {judgement:?} --> {:?}\n", step(state, judgement));
        }
    }
    insta::assert_snapshot!("table", table);
}

/// The judges of canaries, as their users have shown them to be wrong; and what is said here.
#[test]
fn published_failures_of_judges_are_none_here() {
    // Argo Rollouts: without traffic it reverted. Nothing is known, and nothing done.
    assert_eq!(over_one_percent(0, 0), Judgement::NotKnown);
    // One bad event at low traffic aborted releases, until a guard of 20 requests was added.
    assert_eq!(over_one_percent(3, 1), Judgement::NotKnown);
    assert_eq!(over_one_percent(19, 1), Judgement::NotKnown);
    assert_eq!(over_one_percent(40, 1), Judgement::NotKnown);
    // Kayenta: errors beside an incumbent without any passed, or were no
    // data. Here they are over any limit that is said, also beside one that had none.
    assert_eq!(over_one_percent(600, 30), Judgement::Holds);
    let more = errors(Limit::AtLeastOfIncumbent(2_000_000));
    assert_eq!(judged(&more, &seen(600, 60), &seen(600, 0)), Judgement::Holds);
    // Kayenta: seven slow answers of ten, beside none, passed.
    let slow = |slow: u64, of: u64| {
        let mut times = Sketch::default();
        (0..of).for_each(|number| times.add(if number < slow { 100_000 } else { 1_000 }));
        Seen { events: of, bad: 0, times, whole: true }
    };
    let tenfold = is(RESPONSE_P50, Limit::AtLeastOfIncumbent(10_000_000));
    assert_eq!(judged(&tenfold, &slow(70, 100), &slow(0, 100)), Judgement::Holds);
    // Of ten it says that it does not know, and never that all is well.
    assert_eq!(judged(&tenfold, &slow(7, 10), &slow(0, 10)), Judgement::NotKnown);
}

/// A rule of plain thresholds takes back a healthy variant, half a percent bad where one percent may
/// be, nearly surely within an hour of minutes with 60 or 300 requests each.
#[test]
fn a_healthy_variant_is_left_alone_where_plain_thresholds_take_it_back() {
    for events in [60_u64, 300, 1_200] {
        let (mut seed, mut plain, mut ours) = (events, 0_u32, 0_u32);
        for _ in 0..200 {
            let (mut was_over, mut fired) = (false, false);
            for _ in 0..60 {
                let bad = (0..events).filter(|_| chance(&mut seed) < 5_000).count() as u64;
                was_over |= bad * 100 > events;
                fired |= over_one_percent(events, bad) == Judgement::Holds;
            }
            plain += u32::from(was_over);
            ours += u32::from(fired);
        }
        assert!(ours <= 2, "{ours} of 200 with {events}");
        assert!(events > 300 || plain > 180, "{plain} of 200 with {events}");
    }
}

/// A number below a million, of a generator by Marsaglia (xorshift).
fn chance(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed % 1_000_000
}

#[test]
fn a_window_that_was_not_watched_is_not_taken_for_silence() {
    let silent = is(REQUESTS, Limit::AtMost(5));
    let begun = Seen { whole: false, ..seen(2, 0) };
    assert_eq!(judged(&silent, &begun, &Seen::default()), Judgement::NotKnown);
    assert_eq!(judged(&silent, &seen(2, 0), &Seen::default()), Judgement::Holds);
    assert_eq!(
        judged(&silent, &Seen { whole: false, ..seen(6, 0) }, &Seen::default()),
        Judgement::Fails
    );
}

#[test]
fn a_value_is_told_with_its_threshold() {
    let told = |condition: &gates::Condition, seen: &Seen| {
        judge(condition, &seen.snapshot(&Seen::default())).subject.to_string()
    };
    let lines = [
        told(&errors(Limit::AtLeast(10_000)), &seen(600, 30)),
        told(&errors(Limit::AtLeast(10_000)), &seen(7, 1)),
        told(&is(RESPONSE_P99, Limit::AtLeast(50_000)), &seen(2_000, 0)),
        told(&is(RESPONSE_P99, Limit::AtLeastOfIncumbent(1_200_000)), &seen(2_000, 0)),
        told(&is(REQUESTS, Limit::AtMost(5)), &seen(2, 0)),
        fast().judge(&seen(1_000, 40), &seen(80, 4)).1.to_string(),
        fast().judge(&seen(8, 4), &seen(0, 0)).1.to_string(),
    ];
    insta::assert_snapshot!("words", lines.join("\n"));
}

/// Two percent of the budget of 30 days in an hour.
fn fast() -> Burn {
    Burn { objective_ppm: 999_000, period_ms: 30 * DAY_MS, budget_ppm: 20_000, window_ms: HOUR_MS }
}

/// The rates that the workbook prints: 14.4, 6 and 1; with their short windows.
#[test]
fn the_published_burn_rates() {
    for (budget_ppm, window_ms, rate_milli, short_ms) in [
        (20_000, HOUR_MS, 14_400, 5 * 60_000),
        (50_000, 6 * HOUR_MS, 6_000, 30 * 60_000),
        (100_000, 3 * DAY_MS, 1_000, 6 * HOUR_MS),
    ] {
        let burn = Burn { budget_ppm, window_ms, ..fast() };
        assert_eq!(burn.check(), Ok(()));
        assert_eq!((burn.rate_milli(), burn.short_ms()), (rate_milli, short_ms));
        assert_eq!(burn.bad_ppm(), rate_milli);
    }
    let wrong = [
        Burn { objective_ppm: 1_000_000, ..fast() },
        Burn { budget_ppm: 0, ..fast() },
        Burn { window_ms: 60_000, ..fast() },
        Burn { window_ms: 31 * DAY_MS, ..fast() },
        Burn { objective_ppm: 900_000, ..fast() },
    ];
    let told: Vec<String> =
        wrong.iter().map(|burn| burn.check().unwrap_err().to_string()).collect();
    insta::assert_snapshot!("burns_that_cannot_be", told.join("\n"));
}

#[test]
fn a_budget_that_burned_and_does_not_any_more_alarms_nobody() {
    let of = |long: (u64, u64), short: (u64, u64)| {
        fast().judge(&seen(long.0, long.1), &seen(short.0, short.1)).0
    };
    assert_eq!(of((1_000, 40), (80, 4)), Judgement::Holds);
    assert_eq!(of((1_000, 40), (80, 0)), Judgement::Fails, "it is over");
    assert_eq!(of((1_000, 2), (80, 4)), Judgement::Fails, "it has only begun");
    assert_eq!(of((1_000, 40), (0, 0)), Judgement::NotKnown);
    assert_eq!(of((10, 5), (5, 5)), Judgement::NotKnown, "too few to alarm anybody");
}

proptest! {
    /// It fires once, until it was surely not so again.
    #[test]
    fn it_fires_once_until_it_was_not_so(
        judgements in vec(
            prop::sample::select(vec![Judgement::Holds, Judgement::NotKnown, Judgement::Fails]), 0..40,
        ),
        can_act in vec(any::<bool>(), 40),
    ) {
        let (mut state, mut done) = (State::Armed, 0);
        for (judgement, can) in judgements.into_iter().zip(can_act) {
            let next = step(state, judgement);
            state = match next {
                Step::Stay => state,
                Step::Arm => State::Armed,
                Step::Fire | Step::Again if can => State::Fired,
                Step::Fire | Step::Again => State::Blocked,
            };
            if judgement == Judgement::Fails {
                done = 0;
            }
            done += u32::from(can && matches!(next, Step::Fire | Step::Again));
            prop_assert!(done <= 1);
            prop_assert!(judgement != Judgement::Fails || state == State::Armed);
            prop_assert!(judgement != Judgement::Holds || state != State::Armed);
            prop_assert!(judgement != Judgement::Holds || !can || done == 1);
        }
    }

    /// More bad events never make it less so; the same part of more events is known better.
    #[test]
    fn worse_is_never_less_so(events in 0..3_000_u64, bad in 0..3_000_u64, limit in 0..900_000_i64) {
        let bad = bad.min(events);
        let over = errors(Limit::AtLeast(limit));
        let of = |events, bad| {
            let it = Seen { events, bad, times: Sketch::default(), whole: true };
            judged(&over, &it, &Seen::default())
        };
        if of(events, bad) == Judgement::Holds {
            prop_assert_eq!(of(events, (bad + 1).min(events)), Judgement::Holds);
            prop_assert_eq!(of(events * 10, bad * 10), Judgement::Holds);
        }
        if of(events, bad) == Judgement::Fails {
            prop_assert_eq!(of(events, bad.saturating_sub(1)), Judgement::Fails);
        }
        prop_assert!(events >= EVENTS_MIN || of(events, bad) == Judgement::NotKnown);
    }

    /// What surely is so and what surely is not are never both said of one value.
    #[test]
    fn both_sides_are_never_so(events in 0..2_000_u64, bad in 0..2_000_u64, limit in 1..900_000_i64) {
        let it = seen(events, bad.min(events));
        let of = |limit| judged(&errors(limit), &it, &Seen::default());
        let (most, least) = (of(Limit::AtMost(limit - 1)), of(Limit::AtLeast(limit)));
        prop_assert!(!(most == Judgement::Holds && least == Judgement::Holds));
    }
}
