use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Numbers that are drawn by a seed: uniform, in whole tenths, or of a heavy tail.
fn drawn(kind: u64, seed: u64) -> impl FnMut() -> f64 {
    let mut at = seed;
    move || {
        at = at.wrapping_add(1);
        let draw = float(mix(at) >> 11) / float(1 << 53);
        match kind {
            0 => draw,
            1 => libm::floor(draw * 10.0) / 10.0,
            _ => 1.0 / (1.0 - draw),
        }
    }
}

const WORDS: [&str; 4] = ["card", "cash", "invoice", "voucher"];

fn word(draw: f64) -> Value<'static> {
    Value::Word(WORDS[bins::cell(draw * draw, WORDS.len())])
}

/// A number of the kind and a word, watched for so many events that are as the reference, and so many
/// that `change` changes; when each was said to have changed.
fn watched(
    (kind, seed): (u64, u64),
    (reference, same, changed): (usize, usize, usize),
    change: impl Fn(f64) -> f64,
    alarm_every: u64,
) -> Vec<Told> {
    let mut draw = drawn(kind, seed << 32);
    let numbers: Vec<Value<'_>> = (0..reference).map(|_| Value::Number(draw())).collect();
    let mut other = drawn(0, !seed << 32);
    let words: Vec<Value<'_>> = (0..reference).map(|_| word(other())).collect();
    let settings = Settings { alarm_every, seed };
    let mut watch = Watch::new([numbers.as_slice(), words.as_slice()], settings);
    for at in 0..same + changed {
        let number = draw();
        let number = if at < same { number } else { change(number) };
        watch.learn(&[Value::Number(number), word(other())]);
    }
    watch.told()
}

/// Of so many events without a change, no larger part of watches has an alarm than there are false
/// ones to be expected: by Doob's inequality events by `alarm_every`, at most.
#[test]
fn false_alarms_are_as_seldom_as_was_asked_for() {
    for kind in 0..3 {
        for reference in [100, 1_000] {
            let alarms = (0..300_u64).filter(|seed| {
                let told = watched((kind, seed * 7 + 1), (reference, 1_000, 0), |it| it, 10_000);
                told.iter().any(|field| field.alarm.is_some())
            });
            // A tenth of 300 is the bound; more than 45 come of it once in a thousand times.
            let alarms = alarms.count();
            assert!(alarms <= 45, "{alarms} of 300, kind {kind}, reference {reference}");
        }
    }
}

/// Words drawn by a seed out of so many, some far more often than others, or all different where
/// there are none to draw from; as many as are asked for, and then as many of those that were seldom.
fn words(seed: u64, of: usize, (same, changed): (usize, usize)) -> Vec<String> {
    let mut draw = drawn(0, seed << 32);
    let all = 0..same + changed;
    all.map(|at| {
        let draw = draw();
        let number = match (of, at < same) {
            (0, _) => at,
            (_, true) => bins::cell(draw * draw, of),
            (_, false) => of - 1 - bins::cell(draw * draw, of),
        };
        format!("w{number}")
    })
    .collect()
}

/// What is said of a field of words: the first of them are the reference.
fn watched_words(all: &[String], reference: usize, seed: u64) -> Told {
    let values: Vec<Value<'_>> = all.iter().map(|word| Value::Word(word)).collect();
    let (reference, watched) = values.split_at(reference);
    let mut watch = Watch::new([reference], Settings { alarm_every: 10_000, seed });
    for value in watched {
        watch.learn(&[*value]);
    }
    watch.told()[0]
}

/// As above, also of more words than there are bins for, and of ids that never come again.
#[test]
fn many_words_are_no_change() {
    for of in [33, 100, 1_000, 0] {
        for reference in [100, 1_000] {
            let alarms = (0..300_u64).filter(|seed| {
                let all = words(seed * 7 + 1, of, (reference + 1_000, 0));
                watched_words(&all, reference, *seed).alarm.is_some()
            });
            let alarms = alarms.count();
            assert!(alarms <= 45, "{alarms} of 300, {of} words, reference {reference}");
        }
    }
}

/// Where most words are seldom they are one to it, and a change takes longer.
#[test]
fn other_words_of_many_are_found() {
    for (of, changed, soon) in [(33, 500, 150), (100, 500, 150), (1_000, 1_500, 600)] {
        let found = (0..40_u64).filter_map(|seed| {
            let told = watched_words(&words(seed, of, (1_500, changed)), 1_000, seed);
            assert!(of > 100 || told.distance > told.by_chance, "{of}: {told:?}");
            Some(told.alarm?.saturating_sub(500))
        });
        let mut delays: Vec<u64> = found.collect();
        delays.sort_unstable();
        assert!(delays.len() >= 38, "{of}: {delays:?}");
        assert!(delays[20] < soon, "{of}: {delays:?}");
    }
}

/// What is not known yet is neither learnt nor a change, as if the event had not come.
#[test]
fn what_is_not_known_is_passed_over() {
    let all = words(3, 4, (600, 100));
    let mut reference: Vec<Value<'_>> = all[..300].iter().map(|word| Value::Word(word)).collect();
    let settings = Settings { alarm_every: 10_000, seed: 3 };
    let mut watch = Watch::new([reference.as_slice()], settings);
    reference.extend([Value::Unknown; 300]);
    let mut passing = Watch::new([reference.as_slice()], settings);
    assert_eq!(passing.told(), watch.told());
    (0..5_000).for_each(|_| assert_eq!(passing.learn(&[Value::Unknown]), [0_usize; 0]));
    for word in &all[300..] {
        watch.learn(&[Value::Word(word)]);
        passing.learn(&[Value::Word(word)]);
    }
    let (told, whole) = (passing.told()[0], watch.told()[0]);
    assert_eq!((told.before, told.since, told.distance), (150, 400, whole.distance));
    assert!(told.alarm.is_some() && whole.alarm.is_some(), "{told:?} {whole:?}");
}

/// What changes is found soon, and only the field that did is told.
#[test]
fn changes_are_found() {
    for (kind, change) in [(0, 0.3), (1, 0.3), (2, 2.0)] {
        let mut delays: Vec<u64> = Vec::new();
        for seed in 0..40 {
            let told = watched((kind, seed), (1_000, 500, 500), |it| it + change, 100_000);
            delays.extend(told[0].alarm.map(|at| at.saturating_sub(500)));
            assert_eq!(told[1].alarm, None, "the words are as they were");
            assert!(told[0].distance > told[0].by_chance, "{told:?}");
        }
        delays.sort_unstable();
        assert_eq!(delays.len(), 40, "kind {kind}: {delays:?}");
        assert!(delays[20] < 150, "kind {kind}: {delays:?}");
    }
}

#[test]
fn what_the_reference_never_had_is_found_at_once() {
    let reference = [Value::Word("card"); 200];
    let mut watch = Watch::new([reference.as_slice()], Settings { alarm_every: 10_000, seed: 3 });
    (0..100).for_each(|_| drop(watch.learn(&[Value::Word("card")])));
    assert_eq!(watch.told()[0].alarm, None);
    let alarms: Vec<usize> = (0..100).flat_map(|_| watch.learn(&[Value::Word("coin")])).collect();
    assert_eq!(alarms, [0]);
    let at = watch.told()[0].alarm.unwrap();
    assert!((101..150).contains(&at), "{at}");
    assert_eq!((watch.events(), watch.told()[0].before), (200, 100), "half of it is counted");
}

#[test]
fn two_samples_of_the_same_are_as_near_as_is_told() {
    let near = (0..200).filter(|seed| {
        let told = watched((0, *seed), (2_000, 500, 0), |it| it, 1_000_000);
        told[0].distance <= told[0].by_chance
    });
    // 99 of 100; fewer than 190 of 200 come of it once in ten thousand times.
    let near = near.count();
    assert!((190..=200).contains(&near), "{near}");
}

proptest! {
    /// Whatever the values, there is an answer, and it is the same again.
    #[test]
    fn any_values_have_an_answer(
        reference in vec(prop::option::of(any::<f64>()), 0..60),
        events in vec((prop::option::of(any::<f64>()), ".{0,3}"), 0..60),
        seed in any::<u64>(),
    ) {
        let number = |it: &Option<f64>| it.map_or(Value::Missing, Value::Number);
        let reference: Vec<Value<'_>> = reference.iter().map(number).collect();
        let run = || {
            let settings = Settings { alarm_every: 1_000, seed };
            let mut watch = Watch::new([reference.as_slice(), &[][..]], settings);
            for (it, text) in &events {
                watch.learn(&[number(it), Value::Word(text)]);
            }
            watch.told()
        };
        let told = run();
        prop_assert_eq!(&told, &run());
        for field in told {
            prop_assert!((0.0..=1.0).contains(&field.evidence));
            prop_assert!(field.distance.is_none_or(f64::is_finite));
            prop_assert!(field.alarm.is_none_or(|at| at <= events.len() as u64));
        }
    }
}
