use proptest::prelude::*;
use serde_json::json;

use super::*;

fn recorded(number: u64, region: &str, amount: u64) -> Selected {
    let event = Event {
        time_ns: 1_000_000_000 + number * 1_000,
        id: format!("e{number}"),
        source: "/shop".to_owned(),
        kind: "sale".to_owned(),
        region: region.to_owned(),
        attributes: [(LABEL.to_owned(), "true".to_owned())].into(),
        data: serde_json::to_vec(
            &json!({ "amount": amount, "card": { "country": region, "limit": 2.5 } }),
        )
        .unwrap()
        .into(),
        ..Event::default()
    };
    Selected { sequence: number + 1, accepted_us: 0, event, label: None }
}

/// 900 sales in Norway of 100 each, and 100 in Sweden of 7.
fn prior() -> Prior {
    let all = (0..1_000).map(|number| match number % 10 {
        0 => recorded(number, "se", 7),
        _ => recorded(number, "no", 100),
    });
    Prior::learn(all.map(Ok), 3).unwrap()
}

fn settings() -> Settings {
    Settings { seed: 0x51, source: "/synthetic/sales".to_owned(), ..Settings::default() }
}

fn amount(event: &Event) -> u64 {
    let data: Value = serde_json::from_slice(&event.data).unwrap();
    data["amount"].as_u64().unwrap()
}

#[test]
fn what_is_drawn_is_like_what_was_recorded_and_says_that_it_is_drawn() {
    let (prior, settings) = (prior(), settings());
    let drawn: Vec<Event> = prior.draw(&settings, 10_000).unwrap().collect();
    let swedish = drawn.iter().filter(|event| event.region == "se").count();
    // 1,000 are expected, and by four standard deviations of 30 they may be off.
    assert!((880..1_120).contains(&swedish), "{swedish} of 10,000");
    for (number, event) in drawn.iter().enumerate() {
        assert_eq!(amount(event), if event.region == "se" { 7 } else { 100 });
        assert_eq!(event.id, format!("51-{number}"));
        assert_eq!(event.time_ns, 1_000_000_000 + number as u64 * 1_000);
        assert_eq!(event.attributes, [("synthetic".to_owned(), "true".to_owned())].into());
        assert_eq!(event.fault(), None);
    }
    let again: Vec<Event> = prior.draw(&settings, 100).unwrap().collect();
    assert_eq!(again, drawn[..100]);
    let other = Settings { seed: 0x52, ..settings };
    let other: Vec<Event> = prior.draw(&other, 100).unwrap().collect();
    assert_ne!(
        other.iter().map(amount).collect::<Vec<_>>(),
        again.iter().map(amount).collect::<Vec<_>>()
    );
}

#[test]
fn members_can_be_drawn_apart_within_their_kind() {
    let all = (0..400).map(|number| match number % 2 {
        0 => recorded(number, "se", 7),
        _ => recorded(number, "no", number),
    });
    let prior = Prior::learn(all.map(Ok), 3).unwrap();
    let apart = vec!["amount".to_owned(), "card.none".to_owned()];
    let settings = Settings { apart, ..settings() };
    let mut amounts = std::collections::BTreeSet::new();
    for event in prior.draw(&settings, 500).unwrap() {
        let data: Value = serde_json::from_slice(&event.data).unwrap();
        assert_eq!(data["card"], json!({ "country": event.region, "limit": 2.5 }));
        if event.region == "se" {
            assert_eq!(amount(&event), 7);
        } else {
            assert_eq!(amount(&event) % 2, 1);
            amounts.insert(amount(&event));
        }
    }
    assert!(amounts.len() > 50, "{amounts:?}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let none = Prior::learn(std::iter::empty(), 1).unwrap_err();
    assert!(none.to_string().contains("none to draw from"), "{none}");
    let prior = prior();
    for (bad, count) in [
        (Settings { jitter_ppm: 1_000_001, ..settings() }, 1),
        (Settings { apart: vec!["a..b".to_owned()], ..settings() }, 1),
        (Settings { apart: vec!["a".to_owned(); APART_MAX + 1], ..settings() }, 1),
        (settings(), SYNTHETIC_MAX + 1),
    ] {
        assert!(matches!(prior.draw(&bad, count).err(), Some(Error::Selection { .. })), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn numbers_are_moved_by_a_part_at_most(jitter_ppm in 0..=WHOLE_PPM, whole in any::<i64>(), real in -1e12..1e12, seed in any::<u64>()) {
        let mut value = json!({ "a": [whole, { "b": real }], "c": "text", "d": true, "e": null });
        move_numbers(&mut value, jitter_ppm, &mut Chance::new(seed, 0));
        let part = f64::from(jitter_ppm) / 1e6;
        let moved = &value["a"][0];
        prop_assert!(moved.is_i64() || moved.is_u64());
        let within = |was: f64, is: f64| (is - was).abs() <= was.abs() * part * (1.0 + 1e-9) + 1.0;
        prop_assert!(within(json!(whole).as_f64().unwrap(), moved.as_f64().unwrap()), "{whole} {moved}");
        prop_assert!(within(real, value["a"][1]["b"].as_f64().unwrap()));
        prop_assert_eq!(&value["c"], "text");
        prop_assert_eq!(&value["d"], true);
    }

    #[test]
    fn all_are_as_likely_to_be_kept(seed in any::<u64>()) {
        // Of 100, ten are kept: each of the ten tenths of them has one on average.
        let mut tenths = [0_u32; 10];
        for round in 0..200 {
            let (mut chance, mut kept) = (Chance::new(seed, round), Vec::new());
            for number in 0..100_u64 {
                chance.keep(&mut kept, number, number + 1, 10);
            }
            prop_assert_eq!(kept.len(), 10);
            for number in kept {
                tenths[usize::try_from(number / 10).unwrap()] += 1;
            }
        }
        // 200 are expected of each, and one in a hundred million such is outside.
        prop_assert!(tenths.iter().all(|count| (120..=290).contains(count)), "{tenths:?}");
    }
}
