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
    assert_eq!((watch.events(), watch.told()[0].before), (200, 200));
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
