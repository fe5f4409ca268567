//! Triggers: they fire once on what is surely so, do what they are to do, and say what came of it.

use std::sync::atomic::{AtomicU64, Ordering};

use api::internal::functions::{EventEnded, EventOutcome, TakeEvents, TakenEvent};
use api::internal::{LiveCount, RunReport, UsageCount, UsageReport, Watch};
use api::runs::{Accuracy, Pairs, PlaceOutcome, RunOutcome, RunState, Times, VariantOutcome};
use control::operations::functions::events;
use control::operations::{routes, runs, usage};
use control::reconcilers;
use policy::sketch::Sketch;
use serde_json::{Value, json};
use store::endpoints::counts::counts_fetch;
use store::endpoints::endpoints_list_all;
use store::endpoints::slices::slices_list;
use types::{EndpointId, RunId};

use crate::harness::{House, Member, read, request};

/// An account with an endpoint of a function, whose variant `next` is a canary by change 1.
pub(crate) async fn endpoint(house: &House, name: &str) -> Member {
    let alice = house.account("alice").await;
    let object = house.upload(&alice, &[0; 1024]).await;
    for name in ["old", "new"] {
        let wanted = json!({ "name": name, "runtime": "provided", "object": object });
        assert_eq!(house.post(&alice, "/v1/functions", wanted).await.status, 201);
    }
    let wanted = json!({ "name": name, "source": "function:old" });
    assert_eq!(house.post(&alice, "/v1/endpoints", wanted).await.status, 202);
    variant(house, &alice, "next").await;
    house.control.settle().await.unwrap();
    change(house, &alice, "next", json!({ "mode": "canary", "share_bp": 1_000 }), 0).await;
    alice
}

pub(crate) async fn variant(house: &House, alice: &Member, name: &str) {
    let wanted = json!({ "variant": name, "source": "function:new" });
    let made = house.post(alice, "/v1/endpoints/risk/variants", wanted).await;
    assert_eq!(made.status, 202, "{made:?}");
}

async fn change(house: &House, alice: &Member, variant: &str, mode: Value, number: u64) {
    let mut mode = mode;
    mode["modes_number"] = json!(number);
    let path = format!("/v1/endpoints/risk/variants/{variant}/mode");
    let changed = house.send(request("PUT", &path, Some(alice), Some(mode))).await;
    assert_eq!(changed.status, 200, "{changed:?}");
}

/// Adds a trigger for when more than two of a hundred go badly within a minute.
pub(crate) async fn add(house: &House, alice: &Member, name: &str, of: &str, then: Value) {
    let when = json!({ "is": { "metric": "errors_ppm", "at_least": 20_000 } });
    let wanted =
        json!({ "name": name, "variant": of, "when": when, "window_ms": 60_000, "then": then });
    let made = house.post(alice, "/v1/endpoints/risk/triggers", wanted).await;
    assert_eq!(made.status, 201, "{made:?}");
}

async fn id_of(house: &House, variant: &str) -> EndpointId {
    let all = read!(house.store(), endpoints_list_all()).unwrap();
    all.into_iter().find(|row| row.variant.as_str() == variant).unwrap().id
}

/// A gateway tells that a variant has answered so many, and so many of them badly, each in 20 ms.
pub(crate) async fn answer(
    house: &House,
    _: &Member,
    variant: &str,
    (requests, failures): (u64, u64),
) {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let mut times = Sketch::default();
    (0..requests).for_each(|_| times.add(20_000));
    let parts = times.parts();
    let count = LiveCount {
        endpoint: id_of(house, variant).await,
        requests,
        failures,
        buckets: parts.buckets,
        sum_us: parts.sum,
        max_us: parts.max,
    };
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let reporter = format!("gateway-{number}");
    let report = UsageReport { reporter, number, live: vec![count], ..UsageReport::default() };
    usage::record(&house.control, report.clone()).await.unwrap();
    // Told twice, it counts once.
    usage::record(&house.control, report).await.unwrap();
}

/// Has triggers watched once; tells how much was done.
pub(crate) async fn watch(house: &House) -> u64 {
    let mut all = reconcilers::registry(&house.control);
    all.retain(|reconciler| reconciler.name() == "triggers");
    let status = all[0].activate().await;
    assert_eq!(status.failures, Vec::<String>::new());
    status.steps_done
}

pub(crate) async fn firings(house: &House, alice: &Member) -> Vec<Value> {
    let told = house.get(alice, "/v1/endpoints/risk/firings").await;
    told.body["items"].as_array().unwrap().clone()
}

async fn state(house: &House, alice: &Member) -> String {
    let told = house.get(alice, "/v1/endpoints/risk/triggers").await;
    told.body["triggers"][0]["state"].as_str().unwrap().to_owned()
}

pub(crate) async fn mode(house: &House, alice: &Member, variant: &str) -> String {
    let told = house.get(alice, "/v1/endpoints/risk").await.body;
    let all = told["variants"].as_array().unwrap().clone();
    let found = all.into_iter().find(|it| it["variant"] == variant).unwrap();
    found["mode"].as_str().unwrap().to_owned()
}

async fn take(house: &House) -> Vec<TakenEvent> {
    let wanted = TakeEvents { limit: 64, wait_ms: 0 };
    events::take(&house.control, wanted).await.unwrap().events
}

async fn end(house: &House, taken: &TakenEvent, ended: EventEnded) {
    let outcome = EventOutcome { attempt: taken.attempt, ended };
    events::outcome(&house.control, taken.id, outcome).await.unwrap();
}

#[tokio::test]
async fn it_fires_once_on_what_is_surely_so_and_again_once_it_was_not() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    house.time.advance_ms(60_000);
    add(&house, &alice, "failing", "next", json!([{ "kind": "out" }])).await;
    // Nothing, and few, say nothing.
    assert_eq!(watch(&house).await, 0);
    answer(&house, &alice, "next", (15, 15)).await;
    assert_eq!((watch(&house).await, mode(&house, &alice, "next").await.as_str()), (0, "canary"));
    // What others answer is not this one's.
    answer(&house, &alice, "main", (1_000, 900)).await;
    assert_eq!(watch(&house).await, 0);
    answer(&house, &alice, "next", (185, 5)).await;
    assert_eq!((watch(&house).await, watch(&house).await), (1, 0));
    assert_eq!(mode(&house, &alice, "next").await, "test");
    let fired = firings(&house, &alice).await;
    let mut told = fired[0].clone();
    told["at_ms"] = json!(0);
    insta::assert_json_snapshot!("firing", told);
    assert_eq!((fired.len(), state(&house, &alice).await.as_str()), (1, "fired"));
    // Somebody uses it again: what it answered before counts no more, and it is watched anew.
    house.time.advance_ms(20_000);
    change(&house, &alice, "next", json!({ "mode": "canary", "share_bp": 500 }), 2).await;
    assert_eq!((watch(&house).await, state(&house, &alice).await.as_str()), (0, "armed"));
    house.time.advance_ms(20_000);
    answer(&house, &alice, "next", (200, 100)).await;
    assert_eq!((watch(&house).await, firings(&house, &alice).await.len()), (1, 2));
    assert_eq!(mode(&house, &alice, "next").await, "test");
}

#[tokio::test]
async fn what_only_tells_is_armed_again_when_it_surely_is_not_so() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    house.time.advance_ms(60_000);
    let then = json!([{ "kind": "webhook", "url": "https://example.org/hooks" }]);
    add(&house, &alice, "failing", "next", then).await;
    answer(&house, &alice, "next", (200, 20)).await;
    assert_eq!((watch(&house).await, watch(&house).await), (1, 0));
    // The window goes by: without events nothing is known, and it stays as it is.
    house.time.advance_ms(90_000);
    assert_eq!((watch(&house).await, state(&house, &alice).await.as_str()), (0, "fired"));
    answer(&house, &alice, "next", (2_000, 0)).await;
    assert_eq!((watch(&house).await, state(&house, &alice).await.as_str()), (1, "armed"));
    house.time.advance_ms(90_000);
    answer(&house, &alice, "next", (200, 20)).await;
    assert_eq!((watch(&house).await, firings(&house, &alice).await.len()), (1, 2));
    // It is removed, and what it did can still be seen.
    let path = "/v1/endpoints/risk/triggers/failing";
    assert_eq!(house.send(request("DELETE", path, Some(&alice), None)).await.status, 204);
    assert_eq!(house.send(request("DELETE", path, Some(&alice), None)).await.status, 404);
    assert_eq!(firings(&house, &alice).await.len(), 2);
}

#[tokio::test]
async fn whoever_is_to_be_told_is_until_it_was_taken_or_given_up() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    house.time.advance_ms(60_000);
    let then = json!([
        { "kind": "webhook", "url": "https://example.org/hooks" },
        { "kind": "email", "to": "ops@example.org" },
        { "kind": "revert" },
    ]);
    add(&house, &alice, "failing", "next", then).await;
    answer(&house, &alice, "next", (200, 20)).await;
    watch(&house).await;
    assert_eq!(mode(&house, &alice, "next").await, "test");
    let taken = take(&house).await;
    assert_eq!(taken.len(), 2);
    let webhook = taken.iter().find(|it| it.webhook.is_some()).unwrap();
    let email = taken.iter().find(|it| it.email.is_some()).unwrap();
    assert!(take(&house).await.is_empty(), "each is told by one");
    // A receiver knows by the secret who tells it.
    let secret = house.get(&alice, "/v1/endpoints/risk/triggers").await.body["webhook_secret"]
        .as_str()
        .unwrap()
        .to_owned();
    let told = webhook.webhook.as_ref().unwrap();
    let endpoint = id_of(&house, "main").await.to_string();
    assert!(secret.starts_with("whsec_") && told.url == "https://example.org/hooks");
    assert_eq!(told.signed_at_s, house.clock.now_ms() / 1_000);
    let payload: Value = serde_json::from_str(&webhook.payload).unwrap();
    assert_eq!(
        (&payload["type"], &payload["data"]["firing"]),
        (&json!("trigger.fired"), &json!(1))
    );
    assert!(!webhook.payload.contains(&endpoint), "ids are not told: {}", webhook.payload);
    assert_eq!(email.email.as_ref().unwrap().subject, "failing of risk has fired");
    assert!(email.payload.contains("200 requests, 20 of them"), "{}", email.payload);
    assert!(email.payload.contains("before change 1"), "{}", email.payload);
    // One is taken; the other is put off, and then refused as often as it is tried.
    let (version, payload) = (String::new(), String::new());
    end(&house, webhook, EventEnded::Answered { version, payload }).await;
    let not_run = EventEnded::NotRun { throttled: true, reason: "450 later".to_owned() };
    end(&house, email, not_run).await;
    let did = |at: usize, all: &[Value]| all[0]["did"][at].clone();
    let all = firings(&house, &alice).await;
    assert_eq!(did(0, &all)["outcome"], "done");
    assert_eq!(did(1, &all)["outcome"], "waiting");
    assert!(did(1, &all)["words"].as_str().unwrap().contains("450 later"), "{all:?}");
    for _ in 0..3 {
        house.time.advance_ms(300_000);
        for again in take(&house).await {
            let refused = ("Email.Refused".to_owned(), "550 nobody".to_owned());
            let (error, payload) = refused;
            end(&house, &again, EventEnded::Failed { version: String::new(), error, payload })
                .await;
        }
    }
    let all = firings(&house, &alice).await;
    assert_eq!(did(1, &all)["outcome"], "failed");
    assert!(take(&house).await.is_empty());
    let log = house.get(&alice, "/v1/endpoints/risk/log").await.body.to_string();
    assert!(log.contains("ops@example.org could not be told of firing 1"), "{log}");
    // Who may only look is told no secret.
    let reader = house.member(&alice, access::Role::Reader).await;
    let told = house.get(&reader, "/v1/endpoints/risk/triggers").await.body;
    assert!(told["webhook_secret"].is_null() && told["triggers"][0]["spec"]["name"] == "failing");
}

#[tokio::test]
async fn what_cannot_be_done_yet_is_done_as_soon_as_it_can() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    variant(&house, &alice, "late").await;
    house.time.advance_ms(60_000);
    let then = json!([
        { "kind": "webhook", "url": "https://example.org/hooks" },
        { "kind": "deploy", "variant": "late", "mode": "production" },
    ]);
    add(&house, &alice, "failing", "next", then).await;
    answer(&house, &alice, "next", (200, 20)).await;
    assert_eq!((watch(&house).await, watch(&house).await), (1, 0));
    assert_eq!((state(&house, &alice).await.as_str(), take(&house).await.len()), ("blocked", 1));
    let all = firings(&house, &alice).await;
    assert!(all[0]["did"][1]["words"].as_str().unwrap().contains("has to be ready"), "{all:?}");
    // It has become ready, and is used; nobody is told twice.
    let mut endpoints = reconcilers::registry(&house.control);
    endpoints.retain(|reconciler| reconciler.name() == "endpoints");
    endpoints[0].activate().await;
    assert_eq!(
        (watch(&house).await, mode(&house, &alice, "late").await.as_str()),
        (1, "production")
    );
    let all = firings(&house, &alice).await;
    assert_eq!((all.len(), &all[0]["did"][1]["outcome"]), (1, &json!("done")));
    assert_eq!((state(&house, &alice).await.as_str(), watch(&house).await), ("fired", 0));
    assert!(take(&house).await.is_empty());
}

#[tokio::test]
async fn only_what_is_watched_is_measured() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    let watched = async || {
        let routes = routes::watch(&house.control, Watch { after: 0, wait_ms: 0 }).await.unwrap();
        routes.endpoints.iter().filter(|route| route.watched).count()
    };
    assert_eq!(watched().await, 0);
    add(&house, &alice, "failing", "next", json!([{ "kind": "revert" }])).await;
    assert_eq!(watched().await, 2, "what is in production too, to be beside it");
    let path = "/v1/endpoints/risk/triggers/failing";
    assert_eq!(house.send(request("DELETE", path, Some(&alice), None)).await.status, 204);
    assert_eq!(watched().await, 0);
}

fn place(region: &str, recorded: u64, failures: u64) -> PlaceOutcome {
    let region = Some(region.to_owned());
    PlaceOutcome { region, recorded, failures, ..PlaceOutcome::default() }
}

/// A run of the candidate beside what is in production, told of by a gateway.
pub(crate) async fn run(house: &House, alice: &Member, (valid, failures): (bool, u64)) -> RunId {
    let wanted = json!({ "endpoint": "risk", "stream": "sales", "variants": ["next", "main"] });
    let made = house.post(alice, "/v1/runs", wanted).await;
    let id: RunId = made.body["id"].as_str().unwrap().parse().unwrap();
    end_run(house, id, (valid, failures)).await;
    id
}

/// A gateway tells that a run has come to its end.
pub(crate) async fn end_run(house: &House, id: RunId, (valid, failures): (bool, u64)) {
    let variant = |name: &str, failures: u64| VariantOutcome {
        name: name.to_owned(),
        recorded: 1_000,
        outcomes: [("ok".to_owned(), 1_000 - failures)].into(),
        response: Times { count: 1_000, p50_ns: Some(20_000_000), ..Times::default() },
        accuracy: Accuracy::default(),
        places: vec![place("no", 950, 0), place("se", 50, failures)],
        ..VariantOutcome::default()
    };
    let outcome = RunOutcome {
        valid,
        variants: vec![variant("next", failures), variant("main", 0)],
        pairs: vec![Pairs {
            other_right: failures,
            both_right: 1_000 - failures,
            ..Pairs::default()
        }],
        ..RunOutcome::default()
    };
    let report = RunReport {
        state: RunState::Succeeded,
        progress: None,
        outcome: Some(serde_json::to_value(&outcome).unwrap()),
        error: None,
    };
    assert!(runs::report(&house.control, id, "gateway", report).await.unwrap().taken);
}

#[tokio::test]
async fn a_replay_is_judged_once_by_each_trigger() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    assert_eq!(house.post(&alice, "/v1/streams", json!({ "name": "sales" })).await.status, 201);
    run(&house, &alice, (true, 100)).await;
    house.time.advance_ms(1_000);
    for (name, scope) in [("whole", json!("all")), ("north", json!({ "region": "no" }))] {
        let when = json!({
            "is": { "metric": "errors_ppm", "scope": scope, "at_least": 50_000 }
        });
        let then = json!([{ "kind": "out" }]);
        let wanted = json!({
            "name": name, "on": "replay", "variant": "next", "when": when, "then": then
        });
        let made = house.post(&alice, "/v1/endpoints/risk/triggers", wanted).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    house.time.advance_ms(1_000);
    assert_eq!(watch(&house).await, 0, "what had ended before is not judged");
    run(&house, &alice, (false, 100)).await;
    run(&house, &alice, (true, 10)).await;
    while watch(&house).await > 0 {}
    assert_eq!(firings(&house, &alice).await.len(), 0, "an invalid one says nothing");
    let bad = run(&house, &alice, (true, 100)).await;
    while watch(&house).await > 0 {}
    let all = firings(&house, &alice).await;
    assert_eq!((all.len(), &all[0]["trigger"], &all[0]["run"]), (1, &json!("whole"), &json!(bad)));
    assert_eq!(mode(&house, &alice, "next").await, "test");
    // Each bad replay is one firing.
    run(&house, &alice, (true, 200)).await;
    while watch(&house).await > 0 {}
    assert_eq!(firings(&house, &alice).await.len(), 2);
}

/// What is in production is held against the candidate by the pairs of the candidate with it.
#[tokio::test]
async fn what_is_surely_worse_on_the_same_events_is_noticed() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    assert_eq!(house.post(&alice, "/v1/streams", json!({ "name": "sales" })).await.status, 201);
    for name in ["next", "main"] {
        let then = json!([{ "kind": "email", "to": "a@example.org" }]);
        let wanted = json!({
            "name": name, "on": "replay", "variant": name, "when": { "worse": {} }, "then": then
        });
        let made = house.post(&alice, "/v1/endpoints/risk/triggers", wanted).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    house.time.advance_ms(1_000);
    run(&house, &alice, (false, 200)).await;
    run(&house, &alice, (true, 2)).await;
    while watch(&house).await > 0 {}
    assert_eq!(firings(&house, &alice).await.len(), 0, "too few, and a run that says nothing");
    run(&house, &alice, (true, 200)).await;
    while watch(&house).await > 0 {}
    let all = firings(&house, &alice).await;
    assert_eq!((all.len(), &all[0]["trigger"]), (1, &json!("next")), "main is better");
    let words = all[0]["saw"]["words"].as_str().unwrap();
    assert_eq!(words, "of 1000 answers only it got 200 wrong, and only main 0: it is worse");
}

#[tokio::test]
async fn a_gate_is_asked_without_promoting() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    assert_eq!(house.post(&alice, "/v1/streams", json!({ "name": "sales" })).await.status, 201);
    let id = run(&house, &alice, (true, 10)).await;
    let ask = json!({ "run": id });
    let path = "/v1/endpoints/risk/gate/judgement";
    assert_eq!(house.post(&alice, path, ask.clone()).await.status, 409, "there is none");
    let conditions = json!([
        { "metric": "errors_ppm", "at_most": 20_000 },
        { "metric": "errors_ppm", "scope": "each_region", "at_most": 20_000 },
        { "metric": "requests", "at_least": 1_000 },
    ]);
    let gate = json!({ "conditions": conditions });
    let set = house.send(request("PUT", "/v1/endpoints/risk/gate", Some(&alice), Some(gate))).await;
    assert_eq!(set.status, 200, "{set:?}");
    let reader = house.member(&alice, access::Role::Reader).await;
    let told = house.post(&reader, path, ask).await;
    assert_eq!(told.status, 200, "{told:?}");
    // A region with few events is not known yet, whatever went badly there.
    insta::assert_json_snapshot!("asked", told.body);
    assert_eq!(mode(&house, &alice, "next").await, "canary");
}

#[tokio::test]
async fn a_window_of_events_is_replayed_and_a_budget_is_watched() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    assert_eq!(house.post(&alice, "/v1/streams", json!({ "name": "sales" })).await.status, 201);
    house.time.advance_ms(3_600_000);
    let when = json!({
        "burns": { "objective_ppm": 999_000, "period_ms": 2_592_000_000_u64, "budget_ppm": 20_000 }
    });
    let then = json!([
        { "kind": "replay", "stream": "sales", "variants": ["main", "next"], "rate_uhz": 50_000_000 },
    ]);
    let wanted = json!({ "name": "burning", "when": when, "window_ms": 3_600_000, "then": then });
    let made = house.post(&alice, "/v1/endpoints/risk/triggers", wanted).await;
    assert_eq!(made.status, 201, "{made:?}");
    answer(&house, &alice, "main", (1_000, 60)).await;
    house.time.advance_ms(600_000);
    answer(&house, &alice, "main", (100, 0)).await;
    assert_eq!(watch(&house).await, 0, "it was over before anybody looked");
    answer(&house, &alice, "main", (100, 10)).await;
    assert_eq!(watch(&house).await, 1);
    let told = house.get(&alice, "/v1/runs").await.body;
    let spec = &told["items"][0]["spec"];
    let names = json!(["main", "next"]);
    assert_eq!((&spec["variants"], &spec["load"]["uhz"]), (&names, &json!(50_000_000)));
    assert_eq!(spec["selection"]["since"], "2023-11-14T22:23:20.000Z");
    assert_eq!(spec["selection"]["until"], "2023-11-14T23:23:20.000Z");
    let all = firings(&house, &alice).await;
    assert!(all[0]["saw"]["words"].as_str().unwrap().contains("14.400 times"), "{all:?}");
}

#[tokio::test]
async fn what_no_window_reaches_is_forgotten() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    let id = id_of(&house, "next").await;
    answer(&house, &alice, "next", (100, 1)).await;
    let slices = async |width_ms: u64| {
        let key = (id, width_ms);
        read!(house.store(), slices_list(key, 0)).unwrap().len()
    };
    let trim = async || {
        let mut all = reconcilers::registry(&house.control);
        all.retain(|reconciler| reconciler.name() == "trimming");
        all[0].activate().await;
    };
    for (after_ms, fine, coarse) in
        [(3_600_000, 1, 1), (60_000, 0, 1), (255_000_000, 0, 1), (1_200_000, 0, 0)]
    {
        house.time.advance_ms(after_ms);
        trim().await;
        assert_eq!((slices(10_000).await, slices(300_000).await), (fine, coarse), "{after_ms}");
    }
}

#[tokio::test]
async fn what_replays_send_is_used_and_is_no_evidence_of_a_bake() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    let id = id_of(&house, "next").await;
    let count = UsageCount {
        endpoint: id,
        caller: Some(alice.account),
        requests: 100,
        failures: 60,
        aside: 90,
        aside_failures: 60,
    };
    let report = UsageReport {
        reporter: "gateway".to_owned(),
        number: 1,
        counts: vec![count],
        ..UsageReport::default()
    };
    usage::record(&house.control, report).await.unwrap();
    let ids = [id];
    let counted =
        house.store().read("counts", |tx| Box::pin(async move { counts_fetch(tx, &ids).await }));
    let counted = counted.await.unwrap()[&id];
    assert_eq!((counted.requests, counted.failures), (10, 0));
}

/// What changes no replay.
fn no_changes() -> [Value; 8] {
    let change = |more: Value| {
        let mut change = json!({ "kind": "change" });
        change.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        change
    };
    let pattern = json!({ "kind": "pattern", "pattern": "fast\n" });
    [
        json!([change(json!({}))]),
        json!([change(json!({ "times_milli": 99 }))]),
        json!([change(json!({ "for_ms": 0 }))]),
        json!([change(json!({ "events": 5, "load": { "kind": "as_recorded" } }))]),
        json!([change(json!({ "load": { "kind": "rate", "uhz": 0 } }))]),
        json!([change(json!({ "load": pattern }))]),
        json!([change(json!({ "times_milli": 500, "load": { "kind": "as_recorded" } }))]),
        json!([change(json!({ "for_ms": 1 })), change(json!({ "times_milli": 500 }))]),
    ]
}

#[tokio::test]
async fn what_can_never_be_judged_or_done_is_refused() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    let errors = json!({ "is": { "metric": "errors_ppm", "at_least": 1 } });
    let revert = json!([{ "kind": "revert" }]);
    let burns = |budget_ppm: u64| {
        let burn = json!({
            "objective_ppm": 999_000, "period_ms": 2_592_000_000_u64, "budget_ppm": budget_ppm
        });
        json!({ "burns": burn })
    };
    let live = |when: &Value, window_ms: u64, then: &Value| json!({ "name": "x", "when": when, "window_ms": window_ms, "then": then });
    let is = |condition: Value| json!({ "is": condition });
    let act = |action: Value| live(&errors, 60_000, &json!([action]));
    let with = |field: &str, value: Value| {
        let mut wanted = live(&errors, 60_000, &revert);
        wanted[field] = value;
        wanted
    };
    let replay = json!({ "kind": "replay", "stream": "sales" });
    let cases = [
        live(&errors, 9_999, &revert),
        live(&errors, 259_200_001, &revert),
        live(&is(json!({ "metric": "auc_ppm", "at_least": 1 })), 60_000, &revert),
        live(&is(json!({ "metric": "errors_ppm" })), 60_000, &revert),
        live(&burns(0), 3_600_000, &revert),
        live(&json!({ "worse": {} }), 60_000, &revert),
        live(&burns(20_000), 60_000, &revert),
        live(&errors, 60_000, &json!([])),
        live(&errors, 60_000, &json!([{ "kind": "revert" }, { "kind": "revert" }])),
        with("window_ms", Value::Null),
        with("on", json!("replay")),
        with("variant", json!("nobody")),
        act(json!({ "kind": "out" })),
        act(json!({ "kind": "webhook", "url": "ftp://example.org" })),
        act(json!({ "kind": "webhook", "url": "https://me:word@example.org" })),
        act(json!({ "kind": "email", "to": "nobody" })),
        act(json!({ "kind": "email", "to": "a@b\r\nBcc: c@d" })),
        act(json!({ "kind": "deploy", "variant": "next", "mode": "shadow", "share_bp": 1 })),
        act(json!({ "kind": "deploy", "variant": "next", "mode": "canary" })),
        act(json!({ "kind": "deploy", "variant": "next", "mode": "bake", "share_bp": 100 })),
        act(json!({ "kind": "deploy", "variant": "gone", "mode": "production" })),
        act(replay.clone()),
        json!({ "name": "x", "on": "replay", "when": errors, "then": [replay] }),
    ];
    let changes = no_changes();
    let changes = changes.iter().map(|then| live(&errors, 60_000, then));
    let mut told = String::new();
    for wanted in cases.into_iter().chain(changes) {
        let refused = house.post(&alice, "/v1/endpoints/risk/triggers", wanted.clone()).await;
        assert!(matches!(refused.status, 400 | 404), "{wanted}: {refused:?}");
        told += &format!("{} {}\n", refused.status, refused.body["title"].as_str().unwrap());
    }
    insta::assert_snapshot!("refusals", told);
    for number in 0..20 {
        add(&house, &alice, &format!("t{number}"), "next", revert.clone()).await;
    }
    let more = house.post(&alice, "/v1/endpoints/risk/triggers", with("name", json!("t20"))).await;
    assert_eq!(more.status, 409, "{more:?}");
    let again = house.post(&alice, "/v1/endpoints/risk/triggers", with("name", json!("t1"))).await;
    assert_eq!(again.status, 409, "{again:?}");
}
