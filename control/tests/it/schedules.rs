//! Schedules: each run is made once, at its time, and what was missed is made up for as was wanted.

use api::internal::functions::{EventEnded, EventOutcome, TakeEvents};
use control::operations::functions::events;
use serde_json::{Value, json};

use crate::harness::{House, Member, request};

const MINUTE_MS: u64 = 60_000;

async fn taken(house: &House) -> Vec<Value> {
    house.control.settle().await.unwrap();
    let wanted = TakeEvents { limit: 64, wait_ms: 0 };
    let taken = events::take(&house.control, wanted).await.unwrap().events;
    for event in &taken {
        let ended = EventEnded::Answered { version: "1".to_owned(), payload: "1".to_owned() };
        let outcome = EventOutcome { attempt: event.attempt, ended };
        events::outcome(&house.control, event.id, outcome).await.unwrap();
    }
    taken.iter().map(|event| serde_json::from_str(&event.payload).unwrap()).collect()
}

async fn schedule(house: &House, alice: &Member, name: &str, said: Value) -> Value {
    let mut wanted = json!({ "name": name });
    wanted.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
    let made = house.post(alice, "/v1/functions/Resize/schedules", wanted).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.body
}

async fn begin() -> (House, Member) {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let object = house.upload(&alice, &[0; 1024]).await;
    let wanted = json!({ "name": "Resize", "runtime": "provided", "object": object });
    assert_eq!(house.post(&alice, "/v1/functions", wanted).await.status, 201);
    (house, alice)
}

#[tokio::test]
async fn a_run_is_made_once_at_its_time() {
    let (house, alice) = begin().await;
    let said = json!({ "expression": "rate(5 minutes)", "payload": { "a": 1 } });
    schedule(&house, &alice, "often", said).await;
    assert_eq!(taken(&house).await, Vec::<Value>::new());
    for _ in 0..3 {
        house.time.advance_ms(5 * MINUTE_MS);
        assert_eq!(taken(&house).await, [json!({ "a": 1 })]);
        assert_eq!(taken(&house).await, Vec::<Value>::new());
    }
    let list = house.get(&alice, "/v1/functions/Resize/schedules").await.body;
    assert_eq!(list["items"][0]["name"], "often");
    assert!(list["items"][0]["next_at_ms"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn missed_runs_are_made_up_for_as_was_wanted() {
    let (house, alice) = begin().await;
    for missed in ["skip", "once", "all"] {
        let said = json!({ "expression": "rate(10 minutes)", "missed": missed, "payload": missed });
        schedule(&house, &alice, missed, said).await;
    }
    house.time.advance_ms(45 * MINUTE_MS);
    let mut runs: Vec<String> = taken(&house).await.iter().map(ToString::to_string).collect();
    runs.sort();
    assert_eq!(runs, ["\"all\"", "\"all\"", "\"all\"", "\"all\"", "\"once\""]);
}

#[tokio::test]
async fn what_is_no_schedule_is_refused_in_words() {
    let (house, alice) = begin().await;
    for said in [
        json!({ "expression": "every day" }),
        json!({ "expression": "rate(0 minutes)" }),
        json!({ "expression": "at(2001-01-01T00:00:00)" }),
        json!({ "expression": "rate(1 day)", "zone": "Moon/Base" }),
    ] {
        let mut wanted = json!({ "name": "bad" });
        wanted.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        let refused = house.post(&alice, "/v1/functions/Resize/schedules", wanted).await;
        assert_eq!(refused.status, 400, "{said}: {refused:?}");
    }
    let said = json!({ "expression": "rate(1 day)" });
    schedule(&house, &alice, "daily", said.clone()).await;
    let wanted = json!({ "name": "daily", "expression": "rate(1 day)" });
    assert_eq!(house.post(&alice, "/v1/functions/Resize/schedules", wanted).await.status, 409);
    let path = "/v1/functions/Resize/schedules/daily";
    for status in [204, 404] {
        let answer = house.send(request("DELETE", path, Some(&alice), None)).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}
