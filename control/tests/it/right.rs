//! How right captured answers are: who may have it watched, what gateways are told, and what follows.

use std::sync::atomic::{AtomicU64, Ordering};

use api::internal::{AccuracyCount, CaptureRoute, UsageReport, VariantAccuracy, Watch};
use control::operations::{routes, usage};
use serde_json::{Value, json};

use crate::harness::{House, Member, request};
use crate::triggers::{add, answer, endpoint, firings, mode, watch};

const PATH: &str = "/v1/endpoints/risk/triggers";
/// The window of the trigger.
const WINDOW_MS: u64 = 3_600_000;

fn accuracy(limit: &Value) -> Value {
    let mut when = json!({ "is": { "metric": "accuracy_ppm" } });
    for (name, value) in limit.as_object().unwrap() {
        when["is"][name] = value.clone();
    }
    json!({
        "name": "wrong", "variant": "next", "when": when, "window_ms": WINDOW_MS,
        "judged": { "prediction": "/score" }, "then": [{ "kind": "out" }],
    })
}

async fn put(house: &House, alice: &Member, capture: Value) {
    let path = "/v1/endpoints/risk/capture";
    let put = house.send(request("PUT", path, Some(alice), Some(capture))).await;
    assert_eq!(put.status, 200, "{put:?}");
}

/// An endpoint whose variant `next` is a canary, captured into a stream.
async fn begin(house: &House) -> Member {
    let alice = endpoint(house, "risk").await;
    for stream in ["kept", "other"] {
        assert_eq!(house.post(&alice, "/v1/streams", json!({ "name": stream })).await.status, 201);
    }
    put(house, &alice, json!({ "stream": "kept" })).await;
    alice
}

/// What gateways are told of the endpoint's capture, and the endpoint.
async fn told(house: &House) -> (CaptureRoute, types::EndpointId) {
    let routes = routes::watch(&house.control, Watch { after: 0, wait_ms: 0 }).await.unwrap();
    let captured = routes.endpoints.into_iter().find(|route| route.capture.is_some()).unwrap();
    (captured.capture.unwrap(), captured.endpoint)
}

/// A gateway has counted all windows it was told of, with so many labels and right answers by variant.
async fn count(house: &House, counts: &[(&str, u64, u64)]) -> AccuracyCount {
    let (capture, endpoint) = told(house).await;
    let variant = |(name, labelled, right): &(&str, u64, u64)| VariantAccuracy {
        variant: name.parse().unwrap(),
        since_ms: capture.since_ms[&name.parse().unwrap()],
        labelled: *labelled,
        right: *right,
        true_positives: 0,
        predicted_positives: 0,
        positives: 0,
        left_out: 0,
    };
    let now_ms = house.clock.now_ms();
    let [watched] = capture.watched.as_slice() else { panic!("{capture:?}") };
    let counted = AccuracyCount {
        endpoint,
        stream: capture.stream,
        window_ms: watched.window_ms,
        judged: watched.judged.clone(),
        from_ms: now_ms.saturating_sub(watched.window_ms),
        counted_at_ms: now_ms,
        next_within_ms: 0,
        variants: counts.iter().map(variant).collect(),
    };
    tell(house, counted.clone()).await;
    counted
}

async fn tell(house: &House, counted: AccuracyCount) {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let reporter = format!("counting-{number}");
    let accuracies = vec![counted];
    let report = UsageReport { reporter, number, accuracies, ..UsageReport::default() };
    usage::record(&house.control, report).await.unwrap();
}

async fn words(house: &House, alice: &Member) -> String {
    let told = house.get(alice, PATH).await.body;
    told["triggers"][0]["now"]["words"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_not_kept_cannot_be_watched() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    let wanted = accuracy(&json!({ "at_most": 900_000 }));
    let refused = house.post(&alice, PATH, wanted.clone()).await;
    assert_eq!((refused.status, refused.code()), (409, "conflict"), "{refused:?}");
    let title = refused.body["title"].as_str().unwrap_or_default();
    assert!(title.contains("not captured") && title.contains("endpoint capture set"), "{title}");
    house.post(&alice, "/v1/streams", json!({ "name": "kept" })).await;
    put(&house, &alice, json!({ "stream": "kept", "what": "requests" })).await;
    assert_eq!(house.post(&alice, PATH, wanted.clone()).await.status, 409);
    put(&house, &alice, json!({ "stream": "kept", "what": "answers" })).await;
    for (member, value) in [
        ("judged", json!({ "prediction": "score" })),
        ("judged", json!({ "positive": "x".repeat(300) })),
        ("when", json!({ "is": { "metric": "errors_ppm", "at_least": 1 } })),
        ("when", json!({ "is": { "metric": "auc_ppm", "at_most": 1 } })),
        ("on", json!("replay")),
    ] {
        let mut wrong = wanted.clone();
        wrong[member] = value;
        let refused = house.post(&alice, PATH, wrong.clone()).await;
        assert_eq!(refused.status, 400, "{wrong}: {refused:?}");
    }
    let made = house.post(&alice, PATH, wanted).await;
    assert_eq!(made.status, 201, "{made:?}");
}

#[tokio::test]
async fn gateways_count_what_is_watched_and_nothing_else() {
    let house = House::open().await;
    let alice = begin(&house).await;
    add(&house, &alice, "failing", "next", json!([{ "kind": "revert" }])).await;
    let (capture, _) = told(&house).await;
    assert!(capture.watched.is_empty() && capture.since_ms.is_empty(), "{capture:?}");
    for name in ["wrong", "again"] {
        let mut wanted = accuracy(&json!({ "at_most": 900_000 }));
        wanted["name"] = json!(name);
        assert_eq!(house.post(&alice, PATH, wanted).await.status, 201);
    }
    let (capture, _) = told(&house).await;
    assert_eq!((capture.watched.len(), capture.watched[0].window_ms), (1, WINDOW_MS));
    assert_eq!(capture.watched[0].judged.prediction.as_deref(), Some("/score"));
    let names: Vec<String> = capture.since_ms.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["main", "next"]);
}

#[tokio::test]
async fn surely_wrong_answers_have_it_fire_once() {
    let house = House::open().await;
    let alice = begin(&house).await;
    let wanted = accuracy(&json!({ "at_most": 900_000 }));
    assert_eq!(house.post(&alice, PATH, wanted).await.status, 201);
    // Nothing, few, and what is not sure say nothing; nor does how many were asked.
    assert_eq!(watch(&house).await, 0);
    assert!(words(&house, &alice).await.contains("no gateway has told"));
    answer(&house, &alice, "next", (5_000, 0)).await;
    count(&house, &[("next", 99, 0), ("main", 5_000, 0)]).await;
    assert_eq!(watch(&house).await, 0);
    let said = words(&house, &alice).await;
    assert!(said.contains("has 99 events, which is not enough: it takes 100"), "{said}");
    count(&house, &[("next", 500, 440), ("main", 5_000, 0)]).await;
    assert_eq!((watch(&house).await, mode(&house, &alice, "next").await.as_str()), (0, "canary"));
    count(&house, &[("next", 500, 300), ("main", 5_000, 5_000)]).await;
    assert_eq!((watch(&house).await, watch(&house).await), (1, 0));
    assert_eq!(mode(&house, &alice, "next").await, "test");
    let fired = firings(&house, &alice).await;
    assert_eq!(fired.len(), 1);
    let saw = &fired[0]["saw"];
    assert_eq!((&saw["requests"], &saw["failures"]), (&json!(500), &json!(200)));
    let said = saw["words"].as_str().unwrap();
    assert!(said.contains("at most 900000 is watched for; 500 events with a label"), "{said}");
    // What is told again after that is of what is used otherwise now, and too few.
    count(&house, &[("next", 500, 300)]).await;
    assert_eq!((watch(&house).await, firings(&house, &alice).await.len()), (0, 1));
}

/// Old counts, those of another stream, and those of what a variant was before, are none.
#[tokio::test]
async fn what_was_counted_of_something_else_is_not_known() {
    let house = House::open().await;
    let alice = begin(&house).await;
    let wanted = accuracy(&json!({ "at_most": 900_000 }));
    assert_eq!(house.post(&alice, PATH, wanted).await.status, 201);
    let counted = count(&house, &[("next", 500, 480)]).await;
    let bad = |change: &dyn Fn(&mut AccuracyCount)| {
        let mut bad = counted.clone();
        bad.variants[0].right = 0;
        change(&mut bad);
        bad
    };
    // It was counted before what is known already, or more than a minute ago.
    tell(&house, bad(&|it| it.counted_at_ms -= 1)).await;
    assert_eq!(watch(&house).await, 0);
    house.time.advance_ms(60_001);
    tell(&house, bad(&|_| {})).await;
    assert_eq!(watch(&house).await, 0);
    assert!(words(&house, &alice).await.contains("no gateway has told"));
    let now_ms = house.clock.now_ms();
    tell(&house, bad(&|it| (it.counted_at_ms, it.variants[0].since_ms) = (now_ms, 1))).await;
    assert_eq!(watch(&house).await, 0, "it was another one then");
    let elsewhere = types::StreamId::new(uuid::Uuid::from_u128(9));
    tell(&house, bad(&|it| (it.counted_at_ms, it.stream) = (now_ms, elsewhere))).await;
    assert_eq!(watch(&house).await, 0, "it is captured elsewhere");
    // A clock that is ahead makes it no newer than it is.
    tell(&house, bad(&|it| it.counted_at_ms = now_ms + 3_600_000)).await;
    let delete = request("DELETE", "/v1/endpoints/risk/capture", Some(&alice), None);
    assert_eq!(house.send(delete).await.status, 204);
    assert_eq!(watch(&house).await, 0);
    assert!(words(&house, &alice).await.contains("requests of the endpoint are not captured"));
    put(&house, &alice, json!({ "stream": "kept" })).await;
    house.time.advance_ms(60_001);
    assert_eq!(watch(&house).await, 0);
    count(&house, &[("next", 500, 0)]).await;
    assert_eq!(watch(&house).await, 1);
}

#[tokio::test]
async fn a_candidate_is_held_against_production() {
    let house = House::open().await;
    let alice = begin(&house).await;
    let wanted = accuracy(&json!({ "at_most_of_incumbent_ppm": 980_000 }));
    assert_eq!(house.post(&alice, PATH, wanted).await.status, 201);
    for (next, main) in [((5_000, 4_500), (50, 50)), ((5_000, 4_600), (5_000, 4_600))] {
        count(&house, &[("next", next.0, next.1), ("main", main.0, main.1)]).await;
        assert_eq!(watch(&house).await, 0, "{next:?} {main:?}");
    }
    count(&house, &[("next", 5_000, 4_000), ("main", 5_000, 4_600)]).await;
    assert_eq!(watch(&house).await, 1);
    assert_eq!(mode(&house, &alice, "next").await, "test");
}

/// Where looks are seldom a count is believed until two were to come, and no longer than 15 minutes.
#[tokio::test]
async fn what_is_counted_seldom_is_believed_longer() {
    let house = House::open().await;
    let alice = begin(&house).await;
    let wanted = accuracy(&json!({ "at_most": 900_000 }));
    assert_eq!(house.post(&alice, PATH, wanted).await.status, 201);
    for (next_within_ms, believed_ms) in [(5_000, 60_000), (100_000, 200_000), (3_600_000, 900_000)]
    {
        let mut counted = count(&house, &[("next", 500, 480)]).await;
        counted.next_within_ms = next_within_ms;
        tell(&house, counted).await;
        house.time.advance_ms(believed_ms);
        assert_eq!(watch(&house).await, 0);
        let said = words(&house, &alice).await;
        assert!(said.contains("500 events with a label"), "{next_within_ms}: {said}");
        house.time.advance_ms(1);
        assert_eq!(watch(&house).await, 0);
        let said = words(&house, &alice).await;
        assert!(said.contains("no gateway has told lately"), "{next_within_ms}: {said}");
    }
}

/// Whether a window was cut short is told by the gateway's clock, wherever control's is.
#[tokio::test]
async fn a_clock_that_is_ahead_cuts_no_window_short() {
    let house = House::open().await;
    let alice = begin(&house).await;
    let wanted = accuracy(&json!({ "at_most": 900_000 }));
    assert_eq!(house.post(&alice, PATH, wanted).await.status, 201);
    for (ahead_ms, cut_ms) in [(0, 0), (30_000, 0), (30_000, 1), (0, 1)] {
        house.time.advance_ms(1);
        let mut counted = count(&house, &[("next", 500, 480)]).await;
        counted.counted_at_ms += ahead_ms;
        counted.from_ms += ahead_ms + cut_ms;
        tell(&house, counted).await;
        assert_eq!(watch(&house).await, 0);
        let said = words(&house, &alice).await;
        assert!(said.contains("500 events with a label"), "{said}");
        assert_eq!(said.contains("of the newest alone"), cut_ms > 0, "{ahead_ms}: {said}");
    }
}
