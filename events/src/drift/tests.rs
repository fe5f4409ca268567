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
    let places: Vec<usize> = (1..=count).map(|seen| place(seen, 1)).collect();
    assert!(places[..REFERENCE_MAX].iter().all(|at| *at == usize::MAX));
    assert!(places[REFERENCE_MAX..].iter().any(|at| *at < REFERENCE_MAX));
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
