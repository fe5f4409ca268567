use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::replay::UHZ;
use crate::replay::pattern::{Pattern, RATE_UHZ_MAX, RUN_MS_MAX, RUN_NS_MAX};

const SECOND_NS: u64 = 1_000_000_000;

/// Events with these distances in nanoseconds, of these strata.
fn recorded(events: &[(u64, u32)]) -> Vec<Event> {
    let mut at_ns = 1_700_000_000 * SECOND_NS;
    let event = |(sequence, (gap_ns, stratum)): (u64, &(u64, u32))| {
        at_ns += gap_ns;
        Event { time_ns: at_ns, sequence, stratum: *stratum }
    };
    (100..).zip(events).map(event).collect()
}

/// Events without end, one each millisecond, of eight strata.
fn endless() -> impl Iterator<Item = Event> {
    (0..).map(|sequence| Event {
        time_ns: 1_000_000 * sequence,
        sequence,
        stratum: u32::try_from(crate::backoff::mix(sequence) % 8).unwrap(),
    })
}

fn ratio(parts: u64, of: u64) -> Ratio {
    Ratio::new(parts, of).unwrap()
}

fn settings(mode: Mode, seconds: u64, factor: Ratio) -> Settings {
    Settings { mode, duration_ns: seconds * SECOND_NS, factor }
}

fn pattern(text: &str) -> Mode {
    Mode::Pattern { pattern: Pattern::parse(text).unwrap(), arrivals: Arrivals::Even }
}

fn offsets(schedule: impl Iterator<Item = Planned>) -> Vec<u64> {
    schedule.map(|planned| planned.offset_ns).collect()
}

fn modes() -> impl Strategy<Value = Mode> {
    let rate = 1..2_000 * UHZ;
    let poisson = (rate.clone(), any::<u64>());
    let speed = (1..50_u64, 1..50_u64).prop_map(|(parts, of)| ratio(parts, of));
    let texts = prop_oneof![
        Just("step 50/s for 1s\nrecorded x 2.5 for 2s\nramp 0/s to 300/s for 3s"),
        Just("recorded x 0.3 for 500ms\nsine 80/s +- 80/s every 700ms for 1s\nrecorded x 1 for 1s"),
        Just("spikes 0/s to 900/s lasting 20ms every 1s for 4s"),
    ];
    prop_oneof![
        rate.prop_map(|rate_uhz| Mode::Constant { rate_uhz }),
        poisson.prop_map(|(rate_uhz, seed)| Mode::Poisson { rate_uhz, seed }),
        speed.prop_map(|speed| Mode::Recorded { speed }),
        texts.clone().prop_map(pattern),
        (texts, any::<u64>()).prop_map(|(text, seed)| Mode::Pattern {
            pattern: Pattern::parse(text).unwrap(),
            arrivals: Arrivals::Poisson { seed },
        }),
    ]
}

proptest! {
    /// In every mode times go on and end in time, copies are numbered, and counts are those of what
    /// was sent; the same settings give the same sends.
    #[test]
    fn a_schedule_is_in_order_in_time_and_the_same_again(
        mode in modes(),
        events in prop::collection::vec((0..40_000_000_u64, 0..5_u32), 0..300),
        factor in (1..30_u64, 1..30_u64),
        duration_ns in 1..6 * SECOND_NS,
    ) {
        let settings = Settings { mode, duration_ns, factor: ratio(factor.0, factor.1) };
        let mut schedule = Schedule::new(recorded(&events), &settings).unwrap();
        let sends: Vec<Planned> = schedule.by_ref().collect();
        for pair in sends.windows(2) {
            prop_assert!(pair[0].offset_ns <= pair[1].offset_ns);
            prop_assert!(pair[0].sequence <= pair[1].sequence);
            let copy = if pair[0].sequence == pair[1].sequence { pair[0].copy + 1 } else { 0 };
            prop_assert_eq!(pair[1].copy, copy);
        }
        prop_assert!(sends.iter().all(|planned| planned.offset_ns < duration_ns));
        let proof = schedule.proof();
        prop_assert!(proof.end.is_some());
        prop_assert_eq!(proof.sends, sends.len() as u64);
        let firsts = sends.iter().filter(|planned| planned.copy == 0).count() as u64;
        prop_assert_eq!((proof.duplicates, proof.events), (proof.sends - firsts, proof.omitted + firsts));
        prop_assert_eq!(schedule.next(), None);
        let mut again = Schedule::new(recorded(&events), &settings).unwrap();
        let mut digest = Digest::default();
        for planned in &sends {
            digest.add(planned);
        }
        prop_assert_eq!(again.by_ref().collect::<Vec<_>>(), sends);
        prop_assert_eq!(again.proof(), proof);
        prop_assert_eq!(digest.bytes(), proof.digest);
        prop_assert_eq!(Proof { digest: proof.digest, ..*schedule.so_far() }, proof);
    }

    /// The n-th send comes after n parts of the rate, to the nanosecond, after however long.
    #[test]
    fn a_constant_rate_never_drifts(rate_uhz in 1..2_000 * UHZ, skipped in 0..3_000_usize) {
        let whole = Settings {
            mode: Mode::Constant { rate_uhz },
            duration_ns: RUN_NS_MAX,
            factor: Ratio::ONE,
        };
        let mut schedule = Schedule::new(endless(), &whole).unwrap();
        if let Some(planned) = schedule.nth(skipped) {
            let exact = skipped as u128 * UNITS / u128::from(rate_uhz);
            prop_assert_eq!(u128::from(planned.offset_ns), exact);
        }
    }

    /// Both laws of resampling hold of what is sent, after every event.
    #[test]
    fn the_mix_of_what_is_sent_is_that_of_the_events(
        factor in (1..9_u64, 1..9_u64),
        speed in (1..9_u64, 1..9_u64),
        events in prop::collection::vec((0..1_000_000_u64, 0..5_u32), 1..300),
    ) {
        let mode = Mode::Recorded { speed: ratio(speed.0, speed.1) };
        let settings = settings(mode, 10_000, ratio(factor.0, factor.1));
        let sends: Vec<Planned> = Schedule::new(recorded(&events), &settings).unwrap().collect();
        let (mut due, mut all) = (BTreeMap::new(), (0, 0));
        for event in recorded(&events) {
            let copies = sends.iter().filter(|planned| planned.sequence == event.sequence).count() as u64;
            let (sent, events) = due.entry(event.stratum).or_insert((0, 0));
            (*sent, *events) = (*sent + copies * factor.1, *events + factor.0);
            prop_assert!(sent.abs_diff(*events) < factor.1);
            all = (all.0 + copies * factor.1, all.1 + factor.0);
            prop_assert!(2 * all.0.abs_diff(all.1) < (due.len() as u64 + 1) * factor.1);
        }
    }

    /// Where every event is sent once, it comes when it was recorded, quickened.
    #[test]
    fn what_is_recorded_keeps_its_distances(
        speed in (1..1_000_u64, 1..1_000_u64),
        events in prop::collection::vec((0..u64::from(u32::MAX), 0..5_u32), 1..100),
    ) {
        let events = recorded(&events);
        let mode = Mode::Recorded { speed: ratio(speed.0, speed.1) };
        let longest = Settings { mode, duration_ns: RUN_NS_MAX, factor: Ratio::ONE };
        let sends = offsets(Schedule::new(events.clone(), &longest).unwrap());
        let exact = |event: &Event| {
            let since = u128::from(event.time_ns - events[0].time_ns);
            u64::try_from(since * u128::from(speed.1) / u128::from(speed.0)).unwrap()
        };
        prop_assert_eq!(sends, events.iter().map(exact).collect::<Vec<_>>());
    }

    /// Times that go back, as in logs of many writers, hold nothing up.
    #[test]
    fn events_out_of_order_hold_nothing_up(at_ns in prop::collection::vec(0..SECOND_NS, 1..200)) {
        let event = |(sequence, at_ns): (u64, u64)| Event { time_ns: at_ns, sequence, stratum: 0 };
        let events: Vec<Event> = (0..).zip(at_ns.clone()).map(event).collect();
        let back = at_ns.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64;
        let recorded = settings(Mode::Recorded { speed: Ratio::ONE }, 2, Ratio::ONE);
        let mut schedule = Schedule::new(events, &recorded).unwrap();
        let sends = offsets(schedule.by_ref());
        prop_assert_eq!(sends.len(), at_ns.len());
        prop_assert!(sends.is_sorted() && sends.iter().all(|offset_ns| *offset_ns < SECOND_NS));
        prop_assert_eq!(schedule.proof().disordered, back);
    }
}

#[test]
fn half_an_hour_at_a_third_is_exact() {
    let mode = Mode::Constant { rate_uhz: 333_333_333 };
    let mut schedule = Schedule::new(endless(), &settings(mode, 1_800, Ratio::ONE)).unwrap();
    let last = schedule.by_ref().last().unwrap();
    assert_eq!(schedule.proof().sends, 600_000);
    assert_eq!(last.offset_ns, 1_799_997_001_799);
    assert_eq!(schedule.proof().end, Some(End::Duration));
}

#[test]
fn random_gaps_have_their_rate_and_their_spread() {
    let mode = Mode::Poisson { rate_uhz: 1_000 * UHZ, seed: 7 };
    let sends = offsets(Schedule::new(endless(), &settings(mode, 1_000, Ratio::ONE)).unwrap());
    // A million are expected, with a deviation of a thousand; gaps of more than five means are as
    // rare as e to the minus five.
    assert!((996_000..1_004_000).contains(&sends.len()), "{}", sends.len());
    let long = sends.windows(2).filter(|pair| pair[1] - pair[0] > 5_000_000).count();
    assert!((6_400..7_080).contains(&long), "{long}");
}

#[test]
fn a_seed_is_a_schedule() {
    let proof = |seed, sends| {
        let mode = Mode::Poisson { rate_uhz: 500 * UHZ, seed };
        let mut schedule = Schedule::new(endless(), &settings(mode, 60, ratio(1, 3))).unwrap();
        schedule.by_ref().take(sends).for_each(drop);
        schedule.proof()
    };
    // Byte for byte, and as far as one goes: so a run that was stopped can show what it had sent.
    assert_eq!(proof(42, 10_000), proof(42, 10_000));
    assert_ne!(proof(42, 10_000).digest, proof(43, 10_000).digest);
    assert_ne!(proof(42, 10_000).digest, proof(42, 9_999).digest);
    let mode = Mode::Poisson { rate_uhz: 500 * UHZ, seed: 42 };
    let mut schedule = Schedule::new(endless(), &settings(mode, 60, ratio(1, 3))).unwrap();
    let sends: Vec<String> = schedule
        .by_ref()
        .take(8)
        .map(|it| {
            format!("{} ns: event {} copy {} of {}", it.offset_ns, it.sequence, it.copy, it.stratum)
        })
        .collect();
    let Proof { sends: sent, digest, .. } = proof(42, usize::MAX);
    let digest = blake3::Hash::from_bytes(digest).to_hex();
    insta::assert_snapshot!(format!("{}\n{sent} sends: {digest}", sends.join("\n")));
}

#[test]
fn copies_are_spread_until_the_next_event() {
    let events = recorded(&[(0, 1), (300, 1), (0, 1), (600, 1)]);
    let recorded = settings(Mode::Recorded { speed: Ratio::ONE }, 1, ratio(3, 1));
    let mut schedule = Schedule::new(events, &recorded).unwrap();
    let expected = [0, 100, 200, 300, 300, 300, 300, 500, 700, 900, 900, 900];
    assert_eq!(offsets(schedule.by_ref()), expected);
    assert_eq!(schedule.proof().end, Some(End::Events));
}

#[test]
fn a_pattern_goes_from_piece_to_piece() {
    // One event in 10 ms; 2 of them for the step, 5 times 2 as they come, and the rest for the ramp.
    let events: Vec<(u64, u32)> = (0..50).map(|_| (10_000_000, 1)).collect();
    let text = "step 20/s for 100ms\nrecorded x 2 for 50ms\nstep 0/s for 1s\nstep 10/s for 300ms";
    let mut schedule =
        Schedule::new(recorded(&events), &settings(pattern(text), 5, Ratio::ONE)).unwrap();
    let sends: Vec<Planned> = schedule.by_ref().collect();
    let ms: Vec<u64> = sends.iter().map(|planned| planned.offset_ns / 1_000_000).collect();
    let events: Vec<u64> = sends.iter().map(|planned| planned.sequence - 100).collect();
    assert_eq!(ms, [0, 50, 100, 105, 110, 115, 120, 125, 130, 135, 140, 145, 1150, 1250, 1350]);
    assert_eq!(events, [0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 8, 9]);
    assert_eq!(schedule.proof().end, Some(End::Pattern));
}

#[test]
fn copies_that_a_piece_leaves_are_spread_in_the_next() {
    let events = recorded(&[(0, 1), (600_000_000, 1)]);
    let text = "step 10/s for 200ms\nrecorded x 1 for 1s\nstep 10/s for 1s";
    let fivefold = settings(pattern(text), 5, ratio(5, 1));
    let sends: Vec<Planned> = Schedule::new(events, &fivefold).unwrap().collect();
    let ms: Vec<u64> = sends.iter().map(|planned| planned.offset_ns / 1_000_000).collect();
    assert_eq!(ms, [0, 100, 200, 400, 600, 800, 800, 800, 800, 800]);
    let copies: Vec<u64> = sends.iter().map(|planned| planned.copy).collect();
    assert_eq!(copies, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
}

#[test]
fn no_more_is_read_than_is_sent_and_one() {
    let read = Cell::new(0);
    let events = endless().inspect(|_| read.set(read.get() + 1));
    let mode = Mode::Constant { rate_uhz: 1_000 * UHZ };
    let mut schedule = Schedule::new(events, &settings(mode, 60, ratio(1, 2))).unwrap();
    schedule.by_ref().take(1_000).for_each(drop);
    assert!((1_990..=2_010).contains(&read.get()), "{}", read.get());
    // Nor anything once it has ended.
    let sent = schedule.by_ref().count();
    let read_by_then = read.get();
    assert_eq!((sent, schedule.next()), (59_000, None));
    assert_eq!(read.get(), read_by_then);
}

#[test]
fn what_is_out_of_bounds_is_refused_with_a_cure() {
    let constant = |rate_uhz| Mode::Constant { rate_uhz };
    let recorded = |parts, of| Mode::Recorded { speed: ratio(parts, of) };
    let refused: Vec<String> = [
        settings(constant(0), 1, Ratio::ONE),
        settings(constant(RATE_UHZ_MAX + 1), 1, Ratio::ONE),
        settings(Mode::Poisson { rate_uhz: 0, seed: 1 }, 1, Ratio::ONE),
        settings(constant(1), 0, Ratio::ONE),
        settings(constant(1), RUN_MS_MAX, Ratio::ONE),
        settings(constant(1), 1, ratio(FACTOR_MAX + 1, 1)),
        settings(constant(1), 1, ratio(2, 2 * FACTOR_MAX + 1)),
        settings(recorded(FACTOR_MAX + 1, 1), 1, Ratio::ONE),
        settings(recorded(1, FACTOR_MAX + 1), 1, Ratio::ONE),
    ]
    .iter()
    .map(|settings| Schedule::new(endless(), settings).err().unwrap().to_string())
    .collect();
    insta::assert_snapshot!(refused.join("\n"));
    for mode in [constant(RATE_UHZ_MAX), recorded(1, FACTOR_MAX), recorded(FACTOR_MAX, 1)] {
        let longest = Settings { mode, duration_ns: RUN_NS_MAX, factor: ratio(1, FACTOR_MAX) };
        assert!(Schedule::new(endless(), &longest).is_ok());
    }
}
