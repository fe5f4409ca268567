use proptest::prelude::*;

use super::*;
use crate::Label;
use crate::log::Stored;
use crate::log::tests::{any_event, event};
use crate::segment::tests::{World, at};

const HOUR_NS: u64 = policy::segments::HOUR_NS;

fn filter(text: &str) -> Filter {
    text.parse().unwrap()
}

fn sequences(stream: &Stream, selection: &Selection) -> Vec<u64> {
    stream.select(selection).unwrap().map(|it| it.unwrap().sequence).collect()
}

/// What a selection means, said in another way.
fn is_wanted(selection: &Selection, stored: &Stored) -> bool {
    let event = &stored.event;
    let named = |names: &BTreeSet<String>, name: &String| names.is_empty() || names.contains(name);
    let share = selection.sample.as_ref().is_none_or(|sample| {
        policy::replay::share::has(event.subject.as_bytes(), b"salt", sample.share_bp)
    });
    selection.since_ns.is_none_or(|at| event.time_ns >= at)
        && selection.until_ns.is_none_or(|at| event.time_ns < at)
        && selection.from_sequence.is_none_or(|at| stored.sequence >= at)
        && selection.until_sequence.is_none_or(|at| stored.sequence < at)
        && (selection.sequences.is_empty() || selection.sequences.contains(&stored.sequence))
        && named(&selection.regions, &event.region)
        && named(&selection.groups, &event.group)
        && named(&selection.kinds, &event.kind)
        && named(&selection.subjects, &event.subject)
        && named(&selection.ids, &event.id)
        && share
}

fn word() -> impl Strategy<Value = String> {
    "[ab]{0,1}".prop_map(String::from)
}

fn words() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(word(), 0..2)
}

prop_compose! {
    fn selections()(
        times in (prop::option::of(0_u64..20), prop::option::of(0_u64..20)),
        numbers in (prop::option::of(1_u64..30), prop::option::of(1_u64..30)),
        regions in words(), groups in words(), subjects in words(),
        sequences in prop::collection::btree_set(1_u64..30, 0..3),
        ids in prop::collection::btree_set("[0-9]", 0..3),
        share_bp in prop::option::of(1_u32..10_001),
    ) -> Selection {
        let (mut times, mut numbers) = (times, numbers);
        if times.0 > times.1 && times.1.is_some() {
            times = (times.1, times.0);
        }
        if numbers.0 > numbers.1 && numbers.1.is_some() {
            numbers = (numbers.1, numbers.0);
        }
        let sample = share_bp.map(|share_bp| {
            Sample { key: Key::Subject, salt: "salt".to_owned(), share_bp }
        });
        Selection {
            since_ns: times.0.map(|at| at * HOUR_NS),
            until_ns: times.1.map(|at| at * HOUR_NS),
            from_sequence: numbers.0,
            until_sequence: numbers.1,
            regions, groups, subjects, sequences, ids, sample,
            ..Selection::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Sealed or not, pruned or not: what is selected is what a plain look at every event says, in
    /// order, and it is counted right.
    #[test]
    fn what_is_selected_is_what_is_asked_for(
        events in prop::collection::vec((0_u64..20, word(), word(), word()), 1..30),
        seals in prop::collection::vec(any::<bool>(), 30),
        selections in prop::collection::vec(selections(), 8),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let stream = world.open().await;
            let mut model = Vec::new();
            for (((hour, region, group, subject), seal), id) in events.into_iter().zip(seals).zip(0..) {
                let event = Event { region, group, ..at(hour * HOUR_NS, id, &subject) };
                stream.append(vec![event.clone()]).await.unwrap();
                model.push(Stored { sequence: id + 1, accepted_us: 0, event });
                if seal {
                    stream.seal().await.unwrap();
                }
            }
            model.sort_by_key(|stored| (stored.event.time_ns, stored.sequence));
            for selection in selections {
                let wanted = model.iter().filter(|stored| is_wanted(&selection, stored));
                let wanted: Vec<u64> = wanted.map(|stored| stored.sequence).collect();
                assert_eq!(sequences(&stream, &selection), wanted, "{selection:?}");
                let (stats, _) = stream.stats(&selection).unwrap();
                assert_eq!(stats.events, wanted.len() as u64);
                let counted: u64 = stats.regions.top.iter().map(|(_, count)| count).sum();
                assert_eq!(counted, stats.events);
                let json = serde_json::to_string(&selection).unwrap();
                assert_eq!(serde_json::from_str::<Selection>(&json).unwrap(), selection);
            }
        });
    }

    /// A filter says the same of an event in memory and of one in a segment.
    #[test]
    fn a_filter_holds_of_an_event_wherever_it_lies(
        events in prop::collection::vec(any_event(), 1..8), name in "[a-z]{1,2}", value in ".{0,4}",
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (world, other) = (World::new(), World::new());
            let (sealed, unsealed) = (world.open().await, other.open().await);
            sealed.append(events.clone()).await.unwrap();
            sealed.seal().await.unwrap();
            unsealed.append(events).await.unwrap();
            let value = serde_json::Value::from(value);
            for text in [format!("{name}={value}"), format!("{name}!={value}"), name, "!b".to_owned()] {
                let selection = Selection { filter: filter(&text), ..Selection::default() };
                assert_eq!(sequences(&sealed, &selection), sequences(&unsealed, &selection), "{text}");
            }
        });
    }

    #[test]
    fn a_filter_that_is_written_is_read_again(
        terms in prop::collection::vec(("[a-z][a-z.]{0,5}[a-z]", "!=|=|<|>=", "\\PC{0,8}", 0_i32..9), 0..5),
    ) {
        let term = |(name, sign, text, number): &(String, String, String, i32)| {
            let is_text = sign.ends_with('=') && !sign.starts_with('>');
            let value = if is_text { serde_json::Value::from(text.as_str()) } else { (*number).into() };
            format!("{name} {sign} {value}")
        };
        let text = terms.iter().map(term).collect::<Vec<_>>().join(" , ");
        let read = filter(&text);
        prop_assert_eq!(read.terms.len(), terms.len());
        prop_assert_eq!(filter(&read.to_string()), read);
    }

    #[test]
    fn any_text_is_a_filter_or_an_error(text: String, near in "[a=!<>,.\" ]{0,12}") {
        for text in [text, near] {
            if let Ok(filter) = text.parse::<Filter>() {
                prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_data_and_attributes_can_be_asked_for() {
    let world = World::new();
    let stream = world.open().await;
    let data = |text: &str| text.as_bytes().to_vec().into();
    let said = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    let events = vec![
        Event { data: data(r#"{"status":500,"ok":false,"a":{"b":[1,{"c":"x, y"}]}}"#), ..event(1) },
        Event { data: data(r#"{"status":200.5,"ok":true,"agent":null}"#), ..event(2) },
        Event { data: data("no JSON"), attributes: said("status", "500"), ..event(3) },
        Event { attributes: said("label", "fraud"), region: "eu".to_owned(), ..event(4) },
    ];
    stream.append(events).await.unwrap();
    for round in 0..2 {
        for (text, wanted) in [
            ("data.status=500", vec![1]),
            ("data.status!=500", vec![2, 3, 4]),
            ("data.status>200.4", vec![1, 2]),
            ("data.status<=200.5", vec![2]),
            ("data.ok=true", vec![2]),
            ("data.a.b.1.c=\"x, y\"", vec![1]),
            ("data.a.b.9", vec![]),
            ("data.agent", vec![]),
            ("status=500", vec![3]),
            ("!status", vec![1, 2, 4]),
            ("region=eu, label=fraud", vec![4]),
            ("!label,!data.status", vec![3]),
            ("id>=2, id<4", vec![2, 3]),
            ("type=sign-in,source=/test,!subject", vec![1, 2, 3, 4]),
            ("", vec![1, 2, 3, 4]),
        ] {
            let selection = Selection { filter: filter(text), ..Selection::default() };
            assert_eq!(sequences(&stream, &selection), wanted, "{text} in round {round}");
            let (stats, _) = stream.stats(&selection).unwrap();
            assert_eq!(stats.events, wanted.len() as u64, "{text} in round {round}");
        }
        stream.seal().await.unwrap();
    }
}

#[test]
fn a_text_that_is_no_filter_is_refused_with_its_term() {
    for (text, word) in [
        ("=500", "has no name"),
        ("status=500,,a", "has no name"),
        ("status=500,", "stands at the end"),
        ("!status=500", "a mark before and a value behind"),
        ("status!500", "a sign that is none"),
        ("status>many", "no number"),
        ("agent=\"a", "in quotes as JSON"),
        ("agent=\"a\" b", "goes on behind"),
        ("data.=1", "has no name"),
        ("data.a..b=1", "has no name"),
        (&"a,".repeat(65), "one too many"),
        (&"a".repeat(20_000), "too long"),
    ] {
        let refused = text.parse::<Filter>().unwrap_err().to_string();
        assert!(refused.starts_with("in the filter, ") && refused.contains(word), "{refused}");
        assert!(refused.len() < 300, "{refused}");
    }
    let refused = serde_json::from_str::<Selection>(r#"{"where":"=1"}"#).unwrap_err().to_string();
    assert!(refused.contains("has no name"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_that_cannot_be_meant_is_refused() {
    let world = World::new();
    let stream = world.open().await;
    let nothing = Selection::default();
    let share = |share_bp| Some(Sample { key: Key::Id, salt: String::new(), share_bp });
    for (selection, word) in [
        (Selection { since_ns: Some(2), until_ns: Some(1), ..nothing.clone() }, "two times"),
        (
            Selection { from_sequence: Some(2), until_sequence: Some(1), ..nothing.clone() },
            "numbers",
        ),
        (Selection { sample: share(0), ..nothing.clone() }, "ten-thousandths"),
        (Selection { sample: share(10_001), ..nothing.clone() }, "ten-thousandths"),
        (Selection { sequences: (0..100_001).collect(), ..nothing.clone() }, "at most 100000"),
    ] {
        let refused = stream.select(&selection).unwrap_err().to_string();
        assert!(refused.contains(word), "{refused}");
    }
}

/// Thirty days of which one hour is asked for: statistics alone say where it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_hour_of_thirty_days_is_found_by_statistics_alone() {
    let world = World::new();
    let stream = world.open().await;
    let (hours, per_hour) = (30 * 24, 100);
    for day in 0..30 {
        let of_day = (day * 24 * per_hour)..((day + 1) * 24 * per_hour);
        let regions = ["eu", "us", "asia"];
        let events = of_day.map(|id| Event {
            region: regions[usize::try_from(day % 3).unwrap()].to_owned(),
            ..at(id * HOUR_NS / per_hour, id, &format!("user-{}", id % 1_000))
        });
        stream.append(events.collect()).await.unwrap();
    }
    stream.seal().await.unwrap();
    let segments = stream.segments().len() as u64;
    assert!(segments > 10, "{segments}");
    let hour = 411;
    let selection = Selection {
        since_ns: Some(hour * HOUR_NS),
        until_ns: Some((hour + 1) * HOUR_NS),
        ..Selection::default()
    };
    let mut selecting = stream.select(&selection).unwrap();
    assert_eq!(selecting.by_ref().map(Result::unwrap).count() as u64, per_hour);
    let found = selecting.found();
    assert_eq!((found.segments_read, found.segments_pruned), (1, segments - 1));
    assert!(found.events_read <= 5_000, "{found:?}");
    // A subject that is in no segment, between others by its letters: no row is read.
    let subjects = ["user-5x".to_owned()].into();
    let mut selecting = stream.select(&Selection { subjects, ..Selection::default() }).unwrap();
    assert!(selecting.next().is_none());
    let found = selecting.found();
    assert!(found.segments_read <= 2 && found.events_read < hours * per_hour / 4, "{found:?}");
    // A region that is in a third of the days.
    let regions = ["asia".to_owned()].into();
    let (stats, _) = stream.stats(&Selection { regions, ..Selection::default() }).unwrap();
    assert_eq!(stats.events, 10 * 24 * per_hour);
}

/// A stream that grows gives the same events to one who says up to where.
#[tokio::test(flavor = "multi_thread")]
async fn who_selects_hinders_nobody_and_is_hindered_by_nobody() {
    let world = World::new();
    let stream = world.open().await;
    stream.append((0..500).map(event).collect()).await.unwrap();
    stream.seal().await.unwrap();
    stream.append((500..1_000).map(event).collect()).await.unwrap();
    let selection = Selection { until_sequence: Some(801), ..Selection::default() };
    let first = stream.select(&selection).unwrap();
    let mut half = stream.select(&selection).unwrap();
    let begun: Vec<u64> = half.by_ref().take(300).map(|it| it.unwrap().sequence).collect();
    stream.append((1_000..2_000).map(event).collect()).await.unwrap();
    stream.seal().await.unwrap();
    stream
        .retain(policy::segments::Retention { age_ms_max: None, bytes_max: Some(0) })
        .await
        .unwrap();
    let all: Vec<u64> = first.map(|it| it.unwrap().sequence).collect();
    assert_eq!(all, (1..=800).collect::<Vec<_>>());
    let rest: Vec<u64> = half.map(|it| it.unwrap().sequence).collect();
    assert_eq!([begun, rest].concat(), all);
    assert_eq!(sequences(&stream, &selection), Vec::<u64>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_and_its_peak_are_told() {
    let world = World::new();
    let stream = world.open().await;
    let times_ms = [10_000, 10_100, 10_999, 11_000, 14_500, 20_000];
    let events = times_ms.iter().zip(0..).map(|(ms, id)| at(ms * 1_000_000, id, "a"));
    stream.append(events.collect()).await.unwrap();
    let (stats, _) = stream.stats(&Selection::default()).unwrap();
    assert_eq!((stats.rate_peak_per_s, stats.peak_ns), (3, Some(10_000_000_000)));
    assert_eq!(stats.rate_mean_uhz, Some(500_000));
    assert_eq!(stats.kinds.top, [("sign-in".to_owned(), 6)]);
    assert_eq!((stats.stream_disordered, stats.stream_next), (0, 7));
    assert_eq!(stream.head(2).unwrap().len(), 2);
    let label = Label { source: String::new(), id: "3".to_owned(), label: "fraud".to_owned() };
    stream.label(vec![label]).await.unwrap();
    let selection = Selection { filter: filter("label=fraud"), ..Selection::default() };
    assert_eq!(stream.stats(&selection).unwrap().0.events, 1);
    assert_eq!(sequences(&stream, &selection), [4]);
}

/// Many small seals of the same hours become few segments, which are merged as they are read.
#[tokio::test(flavor = "multi_thread")]
async fn small_seals_of_the_same_hours_become_few_segments() {
    let world = World::new();
    let stream = world.open().await;
    let mut reader = stream.reader(1);
    for round in 0..40 {
        let events = (0..3).map(|hour| at(hour * HOUR_NS + round, round * 3 + hour, "a"));
        stream.append(events.collect()).await.unwrap();
        stream.seal().await.unwrap();
    }
    assert!(stream.segments().len() < 6, "{}", stream.segments().len());
    let selected = stream.select(&Selection::default()).unwrap().map(Result::unwrap);
    let times: Vec<(u64, u64)> = selected.map(|it| (it.event.time_ns, it.sequence)).collect();
    assert!(times.len() == 120 && times.is_sorted());
    let mut told = Vec::new();
    while reader.next() < 121 {
        told.extend(reader.read(121, 7).unwrap().into_iter().map(|it| it.sequence));
    }
    assert_eq!(told, (1..=120).collect::<Vec<_>>());
}

/// Sealed or not, with the labels that are known when it is asked.
#[tokio::test]
async fn what_happened_lately_comes_with_its_label() {
    let world = World::new();
    let stream = world.open().await;
    let event = |hour: u64, id: u64| {
        let event = at(hour * HOUR_NS, id, "someone");
        let attributes = [("variant".to_owned(), format!("v{id}"))].into();
        Event { kind: "asked".to_owned(), source: "/shop".to_owned(), attributes, ..event }
    };
    for batch in [vec![event(1, 1), event(2, 2)], vec![event(3, 3), at(3 * HOUR_NS, 9, "other")]] {
        stream.append(batch).await.unwrap();
        stream.seal().await.unwrap();
    }
    stream.append(vec![event(4, 4)]).await.unwrap();
    let label = |id: u64| Label {
        source: String::new(),
        id: event(1, id).id,
        label: format!("label {id}"),
    };
    stream.label(vec![label(2), label(4)]).await.unwrap();
    let told = |since_ns: u64, events: u64| {
        let most = Most { events, bytes: 1 << 20 };
        let mut all = Vec::new();
        let since_ns = stream.lately("asked", (since_ns, most), |recent| {
            assert_eq!(recent.source(), "/shop");
            let variant = recent.attribute("variant").unwrap().to_owned();
            all.push((recent.time_ns() / HOUR_NS, variant, recent.label.map(str::to_owned)));
        });
        (since_ns.unwrap(), all)
    };
    let one = |id: u64, label: Option<&str>| (id, format!("v{id}"), label.map(str::to_owned));
    let all = [one(1, None), one(2, Some("label 2")), one(3, None), one(4, Some("label 4"))];
    assert_eq!(told(0, 100), (0, all.to_vec()));
    assert_eq!(told(2 * HOUR_NS, 100), (2 * HOUR_NS, all[1..].to_vec()));
    // What is not sealed is read beside what is allowed, and segments are read whole or not at all.
    let (since_ns, newest) = told(0, 3);
    assert!(since_ns > HOUR_NS && newest.len() < all.len(), "{since_ns} {newest:?}");
    assert_eq!(newest, all[all.len() - newest.len()..], "the oldest are left out");
    assert_eq!(told(0, 0).1, all[3..].to_vec(), "what is not sealed is read all the same");
}
