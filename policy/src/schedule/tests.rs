use proptest::prelude::*;

use super::*;

/// A zone with summer time that needs no data: as New York has had it since 2007.
fn new_york() -> TimeZone {
    TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap()
}

fn ms(text: &str) -> u64 {
    u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
}

fn text(ms: u64) -> String {
    Timestamp::from_millisecond(i64::try_from(ms).unwrap()).unwrap().to_string()
}

/// The next runs after a time, as texts.
fn runs(schedule: &str, zone: &TimeZone, after: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::parse(schedule).unwrap();
    let next = |after_ms: u64| schedule.next_ms(zone, 0, after_ms);
    let runs = std::iter::successors(next(ms(after)), |at_ms| next(*at_ms));
    runs.take(count).map(text).collect()
}

#[test]
fn every_form_of_days_is_met() {
    let after = |schedule: &str| runs(schedule, &TimeZone::UTC, "2026-11-22T10:00:30Z", 3);
    for (schedule, expected) in [
        (
            "cron(0/15 * * * ? *)",
            ["2026-11-22T10:15:00Z", "2026-11-22T10:30:00Z", "2026-11-22T10:45:00Z"],
        ),
        (
            "cron(0 9 ? * MON-FRI *)",
            ["2026-11-23T09:00:00Z", "2026-11-24T09:00:00Z", "2026-11-25T09:00:00Z"],
        ),
        (
            "cron(0 0 L * ? *)",
            ["2026-11-30T00:00:00Z", "2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z"],
        ),
        (
            "cron(0 0 1W * ? *)",
            ["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"],
        ),
        ("cron(0 0 1W 5,8 ? 2027)", ["2027-05-03T00:00:00Z", "2027-08-02T00:00:00Z", ""]),
        (
            "cron(0 0 LW 1,2 ? *)",
            ["2027-01-29T00:00:00Z", "2027-02-26T00:00:00Z", "2028-01-31T00:00:00Z"],
        ),
        (
            "cron(30 6 ? * FRI#2 *)",
            ["2026-12-11T06:30:00Z", "2027-01-08T06:30:00Z", "2027-02-12T06:30:00Z"],
        ),
        (
            "cron(30 6 ? * 6L *)",
            ["2026-11-27T06:30:00Z", "2026-12-25T06:30:00Z", "2027-01-29T06:30:00Z"],
        ),
        (
            "cron(0 0 29 2 ? *)",
            ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z", "2036-02-29T00:00:00Z"],
        ),
        ("cron(59 23 31 DEC ? 2198-2199)", ["2198-12-31T23:59:00Z", "2199-12-31T23:59:00Z", ""]),
    ] {
        let expected: Vec<&str> = expected.into_iter().filter(|at| !at.is_empty()).collect();
        assert_eq!(after(schedule), expected, "{schedule}");
    }
    assert_eq!(after("cron(0 0 30 2 ? *)"), Vec::<String>::new());
}

#[test]
fn a_time_that_clocks_skip_has_no_run() {
    assert_eq!(
        runs("cron(30 2 * * ? *)", &new_york(), "2026-03-07T12:00:00Z", 2),
        ["2026-03-09T06:30:00Z", "2026-03-10T06:30:00Z"]
    );
    // One that is due at a date of its own runs all the same, as long after midnight.
    assert_eq!(
        runs("at(2026-03-08T02:30:00)", &new_york(), "2026-03-07T12:00:00Z", 2),
        ["2026-03-08T07:30:00Z"]
    );
}

#[test]
fn a_time_that_clocks_show_twice_has_one_run() {
    assert_eq!(
        runs("cron(30 1 * * ? *)", &new_york(), "2026-10-31T12:00:00Z", 3),
        ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z", "2026-11-03T06:30:00Z"]
    );
    // Asked while the clock shows the hour the first or the second time.
    for after in ["2026-11-01T05:45:00Z", "2026-11-01T06:15:00Z"] {
        assert_eq!(runs("cron(30 1 * * ? *)", &new_york(), after, 1), ["2026-11-02T06:30:00Z"]);
    }
}

#[test]
fn what_runs_every_hour_runs_every_hour_of_time() {
    let hours = runs("cron(0 * * * ? *)", &new_york(), "2026-11-01T03:30:00Z", 5);
    let expected: Vec<String> = (4..9).map(|hour| format!("2026-11-01T0{hour}:00:00Z")).collect();
    assert_eq!(hours, expected);
    let hours = runs("cron(0 * * * ? *)", &new_york(), "2026-03-08T05:30:00Z", 3);
    let expected: Vec<String> = (6..9).map(|hour| format!("2026-03-08T0{hour}:00:00Z")).collect();
    assert_eq!(hours, expected);
}

/// Schedules of fields that have no days which are missing in some months.
fn crons() -> impl Strategy<Value = String> {
    let field = |low: u16, high: u16| {
        prop_oneof![
            1 => Just("*".to_owned()),
            2 => (low..=high).prop_map(|value| value.to_string()),
            1 => (low..=high, 1..20_u16).prop_map(|(from, step)| format!("{from}/{step}")),
            1 => (low..=high, low..=high)
                .prop_map(|(one, other)| format!("{}-{}", one.min(other), one.max(other))),
        ]
    };
    (field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(1, 7), any::<bool>()).prop_map(
        |(minute, hour, of_month, month, of_week, weekly)| {
            let (of_month, of_week) =
                if weekly { ("?", of_week.as_str()) } else { (of_month.as_str(), "?") };
            format!("cron({minute} {hour} {of_month} {month} {of_week} *)")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The next run is later, its minute is one that the fields name, and no minute before it is.
    #[test]
    fn nothing_is_left_out_and_nothing_added(
        schedule in crons(),
        // Half a year around the day in autumn on which clocks are turned back.
        minute in 0..260_000_u64,
    ) {
        let after_ms = ms("2026-06-25T00:00:00Z") + minute * 60_000;
        let schedule = Schedule::parse(&schedule).unwrap();
        let next_ms = schedule.next_ms(&new_york(), 0, after_ms).unwrap();
        prop_assert!(next_ms > after_ms && next_ms.is_multiple_of(60_000));
        // From anywhere before it, it is the next one still.
        let between_ms = after_ms + (next_ms - after_ms) / 2;
        prop_assert_eq!(schedule.next_ms(&new_york(), 0, between_ms), Some(next_ms));
        prop_assert_eq!(schedule.next_ms(&new_york(), 0, next_ms - 1), Some(next_ms));
        let When::Cron(cron) = &schedule.0 else { unreachable!() };
        let named = |at_ms: u64| {
            let at = Timestamp::from_millisecond(i64::try_from(at_ms).unwrap()).unwrap();
            let local = new_york().to_datetime(at);
            cron.at_or_after(local) == Some(local)
        };
        prop_assert!(named(next_ms));
        let folded = |at_ms: u64| {
            (ms("2026-11-01T06:00:00Z")..ms("2026-11-01T07:00:00Z")).contains(&at_ms)
        };
        for at_ms in ((after_ms / 60_000 + 1) * 60_000..next_ms).step_by(60_000).take(3_000) {
            prop_assert!(!named(at_ms) || folded(at_ms));
        }
    }

    /// A rate keeps its distance from its start.
    #[test]
    fn a_rate_counts_from_its_start(every in 1..400_u64, start_ms in 0..1_u64 << 42, past_ms in 0..1_u64 << 40) {
        let schedule = Schedule::parse(&format!("rate({every} minutes)")).unwrap();
        let next = |after_ms| schedule.next_ms(&TimeZone::UTC, start_ms, after_ms).unwrap();
        let next_ms = next(start_ms + past_ms);
        prop_assert!(next_ms > start_ms + past_ms && next_ms <= start_ms + past_ms + every * 60_000);
        prop_assert!((next_ms - start_ms).is_multiple_of(every * 60_000));
        if start_ms > 0 {
            prop_assert_eq!(next(start_ms - 1), start_ms);
        }
    }

    /// Runs that are made up for were missed, come in order, and are no more than is allowed.
    #[test]
    fn what_is_made_up_for_was_missed(runs_max in 0..300_usize, hours in 0..400_u64) {
        let schedule = Schedule::parse("rate(1 hour)").unwrap();
        let now_ms = hours * HOUR_MS;
        let made = |missed| schedule.missed_ms(&TimeZone::UTC, 0, (0, now_ms), missed);
        prop_assert!(made(Missed::Skip).is_empty());
        prop_assert_eq!(made(Missed::Once).len(), usize::from(hours > 0));
        let all = made(Missed::All { runs_max });
        let missed = usize::try_from(hours).unwrap();
        prop_assert_eq!(all.len(), missed.min(runs_max).min(MISSED_MAX));
        prop_assert!(all.iter().zip(1..).all(|(at_ms, run)| *at_ms == run * HOUR_MS));
    }

    /// Whatever is written, there is an answer.
    #[test]
    fn any_text_is_read_or_refused(text in "(cron|rate|at)?\\(?[0-9*?LW#/,A-Z -]{0,40}\\)?") {
        if let Ok(schedule) = Schedule::parse(&text) {
            schedule.next_ms(&new_york(), 0, ms("2026-11-22T10:00:00Z"));
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_a_cure() {
    let wrong = [
        "5 minutes",
        "rate(0 minutes)",
        "rate(5 seconds)",
        "rate(400 days)",
        "at(2026-11-22)",
        "at(2026-11-22T09:00:00+01:00)",
        "cron(0 9 * * *)",
        "cron(60 9 * * ? *)",
        "cron(0 9 * * * *)",
        "cron(0 9 ? * ? *)",
        "cron(0 9 32 * ? *)",
        "cron(0 9 ? * FRI#6 *)",
        "cron(0 9 ? FOO MON *)",
        "cron(0/0 9 ? * MON *)",
        "cron(0 17-9 ? * MON *)",
        "cron(0 9 ? * MON 1969)",
    ];
    let told = wrong.map(|text| format!("{text}: {}", Schedule::parse(text).unwrap_err()));
    insta::assert_snapshot!(told.join("\n"));
}
