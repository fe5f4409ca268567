//! Events: kept before the answer, run by one at a time, tried again, and given up in sight.

use api::internal::functions::{
    EVENT_KEPT_BYTES_MAX, EVENT_LEASE_MS, EventEnded, EventOutcome, KeepEvents, NewEvent,
    TakeEvents, TakenEvent,
};
use control::operations::functions::events;
use policy::retry::TOLD_MAX;
use serde_json::{Value, json};
use types::{EventId, FunctionId};
use uuid::Uuid;

use crate::harness::{House, Member, request};

async fn begin() -> (House, Member, FunctionId) {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let object = house.upload(&alice, &[0; 1024]).await;
    let wanted = json!({ "name": "Resize", "runtime": "provided", "object": object });
    let made = house.post(&alice, "/v1/functions", wanted).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].as_str().unwrap().parse().unwrap();
    (house, alice, id)
}

fn event(function: FunctionId, number: u128, payload: &str) -> NewEvent {
    NewEvent {
        id: EventId::new(Uuid::from_u128(number)),
        function,
        qualifier: String::new(),
        payload: payload.to_owned(),
    }
}

async fn take(house: &House) -> Vec<TakenEvent> {
    let wanted = TakeEvents { limit: 64, wait_ms: 0 };
    events::take(&house.control, wanted).await.unwrap().events
}

async fn end(house: &House, taken: &TakenEvent, ended: EventEnded) {
    let outcome = EventOutcome { attempt: taken.attempt, ended };
    events::outcome(&house.control, taken.id, outcome).await.unwrap();
}

fn failed() -> EventEnded {
    let (version, error) = ("1".to_owned(), "Function.ValueError".to_owned());
    EventEnded::Failed { version, error, payload: "{}".to_owned() }
}

async fn dead(house: &House, alice: &Member) -> Vec<Value> {
    let answer = house.get(alice, "/v1/functions/Resize/dead-events").await;
    answer.body["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_event_has_its_size_and_its_function() {
    let (house, _, function) = begin().await;
    let whole = format!("\"{}\"", "x".repeat(EVENT_KEPT_BYTES_MAX - 2));
    events::accept(&house.control, event(function, 1, &whole)).await.unwrap();
    let larger = event(function, 2, &format!("{whole} "));
    let refused = events::accept(&house.control, larger).await.unwrap_err();
    assert_eq!(refused.kind(), types::ErrorKind::TooLarge);
    let nowhere = event(FunctionId::new(Uuid::from_u128(9)), 3, "{}");
    let refused = events::accept(&house.control, nowhere).await.unwrap_err();
    assert_eq!(refused.kind(), types::ErrorKind::NotFound);
    assert_eq!(take(&house).await.len(), 1);
}

#[tokio::test]
async fn events_that_come_together_are_all_kept_and_each_once() {
    let (house, _, function) = begin().await;
    let sent = (0..100).map(|number| event(function, number % 50 + 1, "{}"));
    let accepted = sent.map(|event| events::accept(&house.control, event));
    for accepted in futures::future::join_all(accepted).await {
        accepted.unwrap();
    }
    let taken = take(&house).await;
    assert_eq!(taken.len(), 50);
    assert_eq!(take(&house).await, [], "each is taken by one");
}

#[tokio::test]
async fn a_function_that_fails_has_its_event_three_times_and_then_it_can_be_seen() {
    let (house, alice, function) = begin().await;
    events::accept(&house.control, event(function, 1, "{\"a\": 1}")).await.unwrap();
    for attempt in 1..=3 {
        let taken = take(&house).await;
        assert_eq!((taken.len(), taken[0].attempt), (1, attempt));
        end(&house, &taken[0], failed()).await;
        assert_eq!(take(&house).await, [], "it waits first");
        house.time.advance_ms(140_000);
    }
    assert_eq!(take(&house).await, []);
    let dead = dead(&house, &alice).await;
    assert_eq!(dead[0]["payload"], json!({ "a": 1 }));
    assert_eq!(dead[0]["failures"].as_array().unwrap().len(), 3);
}

/// A destination may lead back to where it began.
#[tokio::test]
async fn a_chain_of_destinations_ends_and_what_failed_last_can_be_seen() {
    for (name, well) in [("OnFailure", false), ("OnSuccess", true)] {
        let (house, alice, function) = begin().await;
        let told = json!({ "Destination": "Resize" });
        let wanted = json!({ "MaximumRetryAttempts": 0, "DestinationConfig": { name: told } });
        let path = "/2019-09-25/functions/Resize/event-invoke-config";
        let put = house.send(request("PUT", path, Some(&alice), Some(wanted))).await;
        assert_eq!(put.status, 200, "{put:?}");
        events::accept(&house.control, event(function, 1, "{}")).await.unwrap();
        let mut runs = 0;
        while let [taken] = &*take(&house).await {
            runs += 1;
            assert!(runs <= TOLD_MAX + 1, "{name} goes on without end");
            let (version, payload) = ("1".to_owned(), "1".to_owned());
            let answered = EventEnded::Answered { version, payload };
            end(&house, taken, if well { answered } else { failed() }).await;
        }
        assert_eq!(runs, TOLD_MAX + 1, "{name}: the first, and each that was told");
        let dead = dead(&house, &alice).await;
        assert_eq!(dead.len(), usize::from(!well), "{name}: {dead:?}");
        if let [dead] = &*dead {
            assert_eq!(dead["failures"][0]["error"], "Function.ValueError");
        }
    }
}

#[tokio::test]
async fn what_was_throttled_is_no_try_and_ends_with_its_age() {
    let (house, alice, function) = begin().await;
    events::accept(&house.control, event(function, 1, "{}")).await.unwrap();
    let mut runs = 0;
    for _ in 0..400 {
        for taken in take(&house).await {
            let reason = "nothing was free".to_owned();
            end(&house, &taken, EventEnded::NotRun { throttled: true, reason }).await;
            runs += 1;
        }
        house.time.advance_ms(60_000);
    }
    assert!((20..400).contains(&runs), "{runs}");
    let dead = dead(&house, &alice).await;
    let failures = dead[0]["failures"].as_array().unwrap();
    assert!(failures.iter().all(|failure| failure["error"] == "Throttled"), "{failures:?}");
}

#[tokio::test]
async fn an_event_that_nobody_keeps_is_run_by_another_and_the_first_has_no_say() {
    let (house, alice, function) = begin().await;
    events::accept(&house.control, event(function, 1, "{}")).await.unwrap();
    let first = take(&house).await.remove(0);
    for _ in 0..3 {
        house.time.advance_ms(EVENT_LEASE_MS - 1);
        let wanted = KeepEvents { events: vec![(first.id, first.attempt)] };
        events::keep(&house.control, wanted).await.unwrap();
        assert_eq!(take(&house).await, []);
    }
    house.time.advance_ms(EVENT_LEASE_MS);
    let second = take(&house).await.remove(0);
    assert_eq!((second.id, second.attempt), (first.id, 2));
    end(&house, &first, failed()).await;
    let (version, payload) = ("1".to_owned(), "1".to_owned());
    end(&house, &second, EventEnded::Answered { version, payload }).await;
    house.time.advance_ms(3_600_000);
    assert_eq!(take(&house).await, []);
    assert_eq!(dead(&house, &alice).await, Vec::<Value>::new());
}
