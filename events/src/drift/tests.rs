use super::*;
use crate::event::Event;
use crate::segment::tests::{World, at};

const SECOND_NS: u64 = 1_000_000_000;

/// A payment; numbers that look like chance and are the same every time.
fn payment(number: u64, more: u64) -> Event {
    let chance = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) % 1_000;
    let data = serde_json::json!({
        "amount": chance + more, "card": { "kind": if chance.is_multiple_of(3) { "debit" } else { "credit" } },
        "lines": [1, 2], "note": null,
    });
    let region = if number.is_multiple_of(2) { "no" } else { "se" };
    Event {
        region: region.to_owned(),
        content_type: "application/json".to_owned(),
        data: data.to_string().into(),
        ..at(number * SECOND_NS, number, "someone")
    }
}

fn until(from: u64, until: u64) -> Selection {
    Selection {
        since_ns: Some(from * SECOND_NS),
        until_ns: Some(until * SECOND_NS),
        ..Selection::default()
    }
}

#[tokio::test]
async fn what_changes_is_told_with_the_event_by_which_it_is_clear() {
    let world = World::new();
    let stream = world.open().await;
    let all = (0..2_000).map(|number| payment(number, if number < 1_500 { 0 } else { 700 }));
    stream.append(all.collect()).await.unwrap();
    let settings = Settings { alarm_every: 100_000, seed: 1 };
    let drift = stream.drift(&until(0, 1_000), &until(1_000, 2_000), settings).unwrap();
    assert_eq!((drift.reference, drift.learnt, drift.events), (1_000, 1_000, 1_000));
    let names: Vec<&str> = drift.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["data.amount", "data.card.kind", "region", "type"]);
    let (sequence, time_ns) = drift.fields[0].alarm.unwrap();
    assert_eq!(time_ns / SECOND_NS + 1, sequence);
    assert!((1_500..1_600).contains(&sequence), "{sequence}");
    assert!(drift.fields[1..].iter().all(|field| field.alarm.is_none()), "{:?}", drift.fields);
    // The first half alone is as it was.
    let same = stream.drift(&until(0, 1_000), &until(1_000, 1_500), settings).unwrap();
    assert!(same.fields.iter().all(|field| field.alarm.is_none()), "{:?}", same.fields);
    let again = stream.drift(&until(0, 1_000), &until(1_000, 2_000), settings).unwrap();
    assert_eq!(again, drift);
}

#[tokio::test]
async fn of_a_large_reference_some_are_drawn_and_new_fields_are_named() {
    let world = World::new();
    let stream = world.open().await;
    let count = REFERENCE_MAX as u64 + 500;
    let mut all: Vec<Event> = (0..count).map(|number| payment(number, 0)).collect();
    let mut last = payment(count, 0);
    last.data = r#"{"amount": 3, "currency": "nok"}"#.to_owned().into();
    all.push(last);
    for batch in all.chunks(5_000) {
        stream.append(batch.to_vec()).await.unwrap();
    }
    let settings = Settings { alarm_every: 1_000, seed: 1 };
    let drift =
        stream.drift(&until(0, count), &until(count, u64::from(u32::MAX)), settings).unwrap();
    assert_eq!((drift.reference, drift.learnt, drift.events), (count, REFERENCE_MAX as u64, 1));
    assert_eq!(drift.new, ["data.currency"]);
}

/// Every event has the same chance to be held, also where so large ones come that few can be.
#[test]
fn what_is_held_of_a_reference_is_bounded_and_drawn_from_all_of_it() {
    const EVENTS: u32 = 20_000;
    let mut sample = Sample::new(7);
    let large = |number: u32| -> Fields {
        let word = |at: u64| (format!("{}{at}", "n".repeat(240)), Held::word(&"w".repeat(64)));
        let mut fields: Fields = (0..64).map(word).collect();
        fields.insert("number".to_owned(), Held::Number(number.into()));
        fields
    };
    for number in 0..EVENTS {
        sample.learn(large(number));
        assert!(sample.bytes <= REFERENCE_BYTES_MAX);
    }
    let held = sample.held.len();
    assert_eq!((sample.seen, held), (EVENTS.into(), 1_300), "more than twice as many have no room");
    assert_eq!(sample.bytes, sample.held.iter().map(bytes).sum::<usize>());
    let number = |fields: &Fields| match &fields["number"] {
        Held::Number(number) => *number,
        Held::Word(_) => panic!("it is a number"),
    };
    // Of a tenth of all events about a tenth is held: 130, and fewer than 85 once in 10,000 times.
    for part in 0..10_u32 {
        let (from, until) = (f64::from(part) * 2_000.0, f64::from(part + 1) * 2_000.0);
        let of = |fields: &&Fields| (from..until).contains(&number(fields));
        let held = sample.held.iter().filter(of).count();
        assert!((85..175).contains(&held), "{held} of part {part}");
    }
}

#[test]
fn names_that_are_too_long_are_no_fields() {
    let (long, short) = ("n".repeat(4_096), "n".repeat(200));
    let data = serde_json::json!({ &long: 1, &short: { &short: 1, "m": 2 }, "n": 3 });
    let event = Event { data: data.to_string().into(), ..at(1, 1, "someone") };
    let selected = Selected { sequence: 1, accepted_us: 1, event, label: None };
    let names: Vec<String> = fields(&selected).into_keys().collect();
    assert_eq!(names, ["data.n".to_owned(), format!("data.{short}.m"), "type".to_owned()]);
}

/// Labels are told later: of the newest events there are fewer.
#[tokio::test]
async fn events_without_a_label_are_no_change_of_labels() {
    let world = World::new();
    let stream = world.open().await;
    let all = (0..2_000).map(|number| {
        let mut event = payment(number, 0);
        let is_labelled = if number < 1_000 { number % 10 != 0 } else { number % 10 == 0 };
        let label = if number.is_multiple_of(3) { "true" } else { "false" };
        event.attributes.extend(is_labelled.then(|| ("label".to_owned(), label.to_owned())));
        event
    });
    stream.append(all.collect()).await.unwrap();
    let settings = Settings { alarm_every: 1_000, seed: 1 };
    let drift = stream.drift(&until(0, 1_000), &until(1_000, 2_000), settings).unwrap();
    let label = drift.fields.iter().find(|field| field.name == "label").unwrap();
    assert_eq!((label.told.before, label.told.since), (450, 100), "half of the first is counted");
    assert_eq!(label.alarm, None, "{label:?}");
}

#[test]
fn an_event_with_endless_fields_is_bounded() {
    let members: serde_json::Map<String, serde_json::Value> =
        (0..2_000).map(|at| (format!("m{at}"), at.into())).collect();
    let event =
        Event { data: serde_json::Value::from(members).to_string().into(), ..at(1, 1, "someone") };
    let selected = Selected { sequence: 1, accepted_us: 1, event, label: Some("true".into()) };
    assert_eq!(fields(&selected).len(), FIELDS_EVENT_MAX);
    assert_eq!(Held::word(&"\u{e9}".repeat(99)), Held::Word("\u{e9}".repeat(32).into()));
}

#[test]
fn answers_of_another_run_are_watched() {
    let (before, after) = (tempfile::TempDir::new().unwrap(), tempfile::TempDir::new().unwrap());
    let answers = |folder: &std::path::Path, shift: f64| {
        let records = (0..600_u64).map(|number| {
            let mut one = replay::record::tests::record(number, replay::Outcome::Ok);
            let chance = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) % 100;
            one.variant = u16::try_from(number % 2).unwrap();
            let shift = if one.variant == 0 { shift } else { 0.0 };
            one.score = Some(f64::from(u32::try_from(chance).unwrap()) / 100.0 + shift);
            one.right = Some(chance < 90);
            one
        });
        files::tests::written(folder, &records.collect::<Vec<_>>());
    };
    answers(before.path(), 0.0);
    answers(after.path(), 0.8);
    let settings = Settings { alarm_every: 10_000, seed: 1 };
    let changed = |place: u16| -> Vec<String> {
        let drift = of_runs((before.path(), place), (after.path(), place), settings).unwrap();
        assert_eq!((drift.reference, drift.events, drift.fields.len()), (300, 300, 3));
        let changed = drift.fields.into_iter().filter(|field| field.alarm.is_some());
        changed.map(|field| field.name).collect()
    };
    assert_eq!(changed(0), ["prediction"]);
    assert_eq!(changed(1), Vec::<String>::new());
}
