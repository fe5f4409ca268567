//! Captures, streams as destinations, and sources: what is taken, refused and told of.

use api::internal::functions::sources::{GivenUp, SourceCount};
use api::internal::functions::{EventEnded, EventOutcome, NewEvent, TakeEvents, TakenEvent};
use api::internal::{CaptureCount, UsageReport, Watch};
use control::operations::functions::{events, sources};
use control::operations::{routes, usage};
use policy::retry::TOLD_MAX;
use serde_json::{Value, json};
use store::functions::sources::{SourceRow, source_change, source_fetch};
use types::{EventId, FunctionId, SourceId};
use uuid::Uuid;

use crate::agent::Agent;
use crate::harness::{House, Member, read, request, write};

/// A house with a function and two streams of alice's.
async fn begin() -> (House, Member, FunctionId) {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let object = house.upload(&alice, &[0; 1024]).await;
    let wanted = json!({ "name": "score", "runtime": "provided", "object": object });
    let function = house.post(&alice, "/v1/functions", wanted).await;
    assert_eq!(function.status, 201, "{function:?}");
    for stream in ["kept", "dead"] {
        let made = house.post(&alice, "/v1/streams", json!({ "name": stream })).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    let id = function.body["id"].as_str().unwrap().parse().unwrap();
    (house, alice, id)
}

async fn put(house: &House, who: &Member, path: &str, body: Value) -> (u16, Value) {
    let answer = house.send(request("PUT", path, Some(who), Some(body))).await;
    (answer.status, answer.body)
}

async fn take(house: &House) -> Vec<TakenEvent> {
    let wanted = TakeEvents { limit: 64, wait_ms: 0 };
    events::take(&house.control, wanted).await.unwrap().events
}

#[tokio::test]
async fn a_capture_is_checked_told_to_gateways_and_counted() {
    let (house, alice, _) = begin().await;
    let agent = Agent::on(&house.control, 1).await;
    let model = house.model(&agent, &alice, "double").await;
    let endpoint = house.deploy(&alice, "answers", &model).await;
    let path = "/v1/endpoints/answers/capture";
    for wrong in [
        json!({ "stream": "kept", "share_bp": 0 }),
        json!({ "stream": "kept", "share_bp": 10_001 }),
        json!({ "stream": "kept", "key": "no header" }),
        json!({ "stream": "kept", "key": "Authorization" }),
        json!({ "stream": "kept", "what": "nothing" }),
    ] {
        let (status, told) = put(&house, &alice, path, wrong.clone()).await;
        assert_eq!(status, 400, "{wrong}: {told}");
    }
    assert_eq!(put(&house, &alice, path, json!({ "stream": "nowhere" })).await.0, 404);
    assert_eq!(house.get(&alice, path).await.status, 404);
    let (status, told) = put(&house, &alice, path, json!({ "stream": "kept", "key": "x-c" })).await;
    assert_eq!(status, 200, "{told}");
    let watch = Watch { after: 0, wait_ms: 0 };
    let routes = routes::watch(&house.control, watch).await.unwrap();
    let captured = routes.endpoints[0].capture.clone().unwrap();
    assert_eq!((captured.stream, captured.spec.share_bp), (routes.streams[0].stream, 10_000));
    let count =
        CaptureCount { endpoint: endpoint.id, kept: 3, no_room: 2, elsewhere: 1, failed: 1 };
    let report = UsageReport {
        reporter: "one".to_owned(),
        number: 1,
        captures: vec![count],
        ..UsageReport::default()
    };
    for _ in 0..2 {
        usage::record(&house.control, report.clone()).await.unwrap();
    }
    let told = house.get(&alice, path).await.body;
    let counted = ["kept", "no_room", "elsewhere", "failed"].map(|of| told[of].clone());
    assert_eq!(counted, [3, 2, 1, 1].map(Value::from), "a report counts once");
    // A stream that takes something stays.
    let delete = |path: &'static str| request("DELETE", path, Some(&alice), None);
    let refused = house.send(delete("/v1/streams/kept")).await;
    assert_eq!((refused.status, refused.code()), (409, "conflict"));
    assert_eq!(house.send(delete(path)).await.status, 204);
    assert_eq!(house.send(delete("/v1/streams/kept")).await.status, 204);
}

#[tokio::test]
async fn a_stream_is_told_what_was_answered_and_gets_back_what_failed() {
    let (house, alice, function) = begin().await;
    let path = "/v1/functions/score/event-settings";
    for wrong in ["stream:nowhere", "arn:aws:kinesis:local:999999999999:stream/kept"] {
        let (status, told) = put(&house, &alice, path, json!({ "on_success": wrong })).await;
        assert_eq!(status, 400, "{wrong}: {told}");
    }
    let wanted = json!({ "retries": 0, "on_success": "stream:kept", "on_failure": "stream:dead" });
    assert_eq!(put(&house, &alice, path, wanted).await.0, 200);
    let failed = EventEnded::Failed {
        version: "1".to_owned(),
        error: "Function.KeyError".to_owned(),
        payload: "{}".to_owned(),
    };
    let answered =
        EventEnded::Answered { version: "1".to_owned(), payload: "{\"score\":1}".to_owned() };
    for (number, ended, stream, data) in [
        (1, answered.clone(), "kept", json!({ "score": 1 })),
        (2, failed, "dead", json!({ "amount": 2 })),
    ] {
        let event = NewEvent {
            id: EventId::new(Uuid::from_u128(number)),
            function,
            qualifier: String::new(),
            payload: "{\"amount\":2}".to_owned(),
        };
        events::accept(&house.control, event).await.unwrap();
        let taken = take(&house).await.remove(0);
        assert_eq!((&taken.stream, &taken.webhook), (&None, &None));
        let outcome = EventOutcome { attempt: taken.attempt, ended };
        events::outcome(&house.control, taken.id, outcome).await.unwrap();
        let telling = take(&house).await.remove(0);
        assert_eq!(telling.stream, Some(stream.parse().unwrap()));
        assert_eq!(telling.webhook, None);
        let event: Value = serde_json::from_str(&telling.payload).unwrap();
        assert_eq!((&event["data"], &event["id"]), (&data, &json!(telling.id.to_string())));
        // Nobody is told of the telling.
        let outcome = EventOutcome { attempt: telling.attempt, ended: answered.clone() };
        events::outcome(&house.control, telling.id, outcome).await.unwrap();
        assert_eq!(take(&house).await, []);
    }
}

async fn source(house: &House, alice: &Member, spec: Value) -> SourceId {
    let wanted = json!({ "stream": "kept", "spec": spec });
    let made = house.post(alice, "/v1/functions/score/sources", wanted).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.body["id"].as_str().unwrap().parse().unwrap()
}

fn given_up(number: u128) -> GivenUp {
    GivenUp {
        id: EventId::new(Uuid::from_u128(number)),
        condition: "RetryAttemptsExhausted".to_owned(),
        first: 14,
        last: 15,
        count: 2,
        first_at_ms: 1,
        last_at_ms: 2,
        attempts: 3,
        error: Some("Function.ValueError".to_owned()),
        message: "no".to_owned(),
        told: 0,
        payload: Some("{\"Records\":[]}".to_owned()),
    }
}

#[tokio::test]
async fn a_source_is_checked_changed_by_who_knows_it_and_counted() {
    let (house, alice, _) = begin().await;
    let path = "/v1/functions/score/sources";
    for wrong in [
        json!({ "batch": 0 }),
        json!({ "window_ms": 300_001 }),
        json!({ "retries": 10_001 }),
        json!({ "age_s": 1 }),
        json!({ "filters": ["{"] }),
        json!({ "filters": vec!["{\"a\":[1]}"; 6] }),
        json!({ "on_failure": "stream:nowhere" }),
    ] {
        let wanted = json!({ "stream": "kept", "spec": wrong });
        let refused = house.post(&alice, path, wanted.clone()).await;
        assert_eq!(refused.status, 400, "{wanted}: {refused:?}");
    }
    let wanted = json!({ "stream": "kept", "qualifier": "a b" });
    assert_eq!(house.post(&alice, path, wanted).await.status, 400);
    // What is given up would come again without end.
    let number = types::functions::account_number(alice.account);
    let own = ["stream:kept".to_owned(), format!("arn:aws:kinesis:local:{number}:stream/kept")];
    for own in &own {
        let wanted = json!({ "stream": "kept", "spec": { "on_failure": own } });
        let refused = house.post(&alice, path, wanted).await;
        let told = refused.body["title"].as_str().unwrap_or_default();
        assert!(refused.status == 400 && told.contains("that feeds"), "{refused:?}");
    }
    let id = source(&house, &alice, json!({ "batch": 7 })).await;
    let one = format!("{path}/{id}");
    let (status, _) =
        put(&house, &alice, &one, json!({ "spec": { "start": "next" }, "generation": 1 })).await;
    assert_eq!(status, 400, "where it begins stays");
    let circle = json!({ "spec": { "on_failure": own[0] }, "generation": 1 });
    assert_eq!(put(&house, &alice, &one, circle).await.0, 400);
    let change = json!({ "spec": { "enabled": false }, "generation": 1 });
    assert_eq!(put(&house, &alice, &one, change.clone()).await.0, 200);
    assert_eq!(put(&house, &alice, &one, change).await.0, 409);
    let count = SourceCount {
        source: id,
        delivered: 3,
        filtered: 2,
        given_up: 1,
        next_event: 7,
        result: "OK".repeat(2_000),
    };
    let report = UsageReport {
        reporter: "one".to_owned(),
        number: 1,
        sources: vec![count],
        ..UsageReport::default()
    };
    for _ in 0..2 {
        usage::record(&house.control, report.clone()).await.unwrap();
    }
    let told = house.get(&alice, &one).await.body;
    let counted = ["delivered", "filtered", "given_up", "next_event"].map(|of| told[of].clone());
    assert_eq!(counted, [3, 2, 1, 7].map(Value::from));
    assert_eq!(told["result"], "OK".repeat(1_024), "words that are told are cut");
    // A gateway that has lost its place hears of it.
    let watch = Watch { after: 0, wait_ms: 0 };
    let routes = routes::watch(&house.control, watch).await.unwrap();
    assert_eq!((routes.sources[0].source, routes.sources[0].next_event), (id, 7));
    let bob = house.account("bob").await;
    assert_eq!(house.get(&bob, &one).await.status, 404);
}

#[tokio::test]
async fn what_is_given_up_is_told_once_or_dead() {
    let (house, alice, _) = begin().await;
    let told = source(&house, &alice, json!({ "on_failure": "stream:dead" })).await;
    for _ in 0..2 {
        sources::give_up(&house.control, told, given_up(1)).await.unwrap();
    }
    let taken = take(&house).await;
    assert_eq!(taken.len(), 1, "the same is told once");
    assert_eq!(taken[0].stream, Some("dead".parse().unwrap()));
    let event: Value = serde_json::from_str(&taken[0].payload).unwrap();
    let batch = &event["data"]["KinesisBatchInfo"];
    assert_eq!((&batch["startSequenceNumber"], &batch["batchSize"]), (&json!("14"), &json!(2)));
    let kept = source(&house, &alice, json!({})).await;
    for _ in 0..2 {
        sources::give_up(&house.control, kept, given_up(2)).await.unwrap();
    }
    assert_eq!(take(&house).await, [], "nobody is told");
    let dead = house.get(&alice, "/v1/functions/score/dead-events").await.body;
    assert_eq!(dead["items"].as_array().unwrap().len(), 1);
    assert_eq!(dead["items"][0]["payload"], json!({ "Records": [] }));
    assert_eq!(dead["items"][0]["failures"][0]["error"], "Function.ValueError");
    // One that was removed meanwhile tells nobody, and the gateway goes on.
    let gone = SourceId::new(Uuid::from_u128(9));
    sources::give_up(&house.control, gone, given_up(3)).await.unwrap();
}

/// What a destination cannot be told is dead, and not gone.
#[tokio::test]
async fn what_nobody_can_be_told_is_dead() {
    let (house, alice, _) = begin().await;
    let object = house.upload(&alice, &[0; 1024]).await;
    let wanted = json!({ "name": "told", "runtime": "provided", "object": object });
    assert_eq!(house.post(&alice, "/v1/functions", wanted).await.status, 201);
    let to_function = source(&house, &alice, json!({ "on_failure": "told" })).await;
    let to_stream = source(&house, &alice, json!({ "on_failure": "stream:dead" })).await;
    // At the end of a circle nobody is told any more.
    let last = GivenUp { told: TOLD_MAX - 1, ..given_up(1) };
    sources::give_up(&house.control, to_stream, last).await.unwrap();
    let telling = take(&house).await.remove(0);
    let event: Value = serde_json::from_str(&telling.payload).unwrap();
    assert_eq!(event["told"], TOLD_MAX.to_string());
    let beyond = GivenUp { told: TOLD_MAX, ..given_up(2) };
    sources::give_up(&house.control, to_stream, beyond).await.unwrap();
    // The function that was to be told is gone.
    let delete = request("DELETE", "/v1/functions/told", Some(&alice), None);
    assert_eq!(house.send(delete).await.status, 204);
    sources::give_up(&house.control, to_function, given_up(3)).await.unwrap();
    assert_eq!(take(&house).await, []);
    let path = "/v1/functions/score/dead-events";
    let dead = house.get(&alice, path).await.body;
    let dead = dead["items"].as_array().unwrap();
    assert_eq!(dead.len(), 2, "{dead:?}");
    for event in dead {
        assert_eq!(event["payload"], json!({ "Records": [] }));
        let redriven = format!("{path}/{}", event["id"].as_str().unwrap());
        assert_eq!(house.post(&alice, &redriven, Value::Null).await.status, 204);
    }
    assert_eq!(take(&house).await.len(), 2, "each is given to the function again");
}

#[tokio::test]
async fn what_was_too_large_to_be_kept_is_not_driven_again() {
    let (house, alice, _) = begin().await;
    let id = source(&house, &alice, json!({})).await;
    let large = GivenUp { payload: None, ..given_up(1) };
    sources::give_up(&house.control, id, large).await.unwrap();
    let path = "/v1/functions/score/dead-events";
    let dead = house.get(&alice, path).await.body["items"][0].clone();
    let told = dead["failures"][0]["message"].as_str().unwrap();
    assert!(told.contains("events 14 to 15 of the stream kept"), "{told}");
    let one = format!("{path}/{}", dead["id"].as_str().unwrap());
    let refused = house.post(&alice, &one, Value::Null).await;
    let told = refused.body["title"].as_str().unwrap_or_default();
    assert!(refused.status == 400 && told.contains("too large to be kept"), "{refused:?}");
    assert_eq!(take(&house).await, [], "the function is not called with another shape");
}

#[tokio::test]
async fn a_source_that_cannot_be_read_loses_nothing_in_silence() {
    let (house, alice, _) = begin().await;
    let id = source(&house, &alice, json!({})).await;
    let row = read!(house.store(), source_fetch(id)).unwrap();
    let row = SourceRow { spec: json!({ "stream": "kept" }), ..row };
    write!(house.store(), source_change(&row)).unwrap();
    assert!(sources::give_up(&house.control, id, given_up(1)).await.is_err());
}
