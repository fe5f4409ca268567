//! Replays that triggers have sent: with a change, in a row that ends, and to all variants.

use api::internal::{RunReport, Watch};
use api::runs::RunState;
use control::operations::{routes, runs};
use serde_json::{Value, json};
use types::RunId;

use crate::harness::{House, Member};
use crate::triggers::{add, answer, end_run, endpoint, firings, run, variant, watch};

/// The runs, the oldest first: their ids, what they follow, and how they are sent.
async fn all_runs(house: &House, alice: &Member) -> Vec<(String, Option<String>, Value)> {
    let told = house.get(alice, "/v1/runs").await.body;
    let mut all = told["items"].as_array().unwrap().clone();
    all.reverse();
    let text = |it: &Value| it.as_str().map(str::to_owned);
    let shown = |it: &Value| {
        let spec = &it["spec"];
        (text(&it["id"]).unwrap(), text(&it["follows"]["run"]), spec["load"].clone())
    };
    all.iter().map(shown).collect()
}

#[tokio::test]
async fn a_replay_is_sent_anew_with_a_change_until_a_row_of_them_ends() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    assert_eq!(house.post(&alice, "/v1/streams", json!({ "name": "sales" })).await.status, 201);
    for (name, change) in [("quicker", json!(2_000)), ("slower", json!(500))] {
        let then = json!([{ "kind": "change", "times_milli": change, "for_ms": 60_000 }]);
        let when = json!({ "is": { "metric": "errors_ppm", "at_most": 50_000 } });
        let wanted = json!({ "name": name, "on": "replay", "when": when, "then": then });
        let made = house.post(&alice, "/v1/endpoints/risk/triggers", wanted).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    house.time.advance_ms(1_000);
    run(&house, &alice, (true, 10)).await;
    for _ in 0..20 {
        while watch(&house).await > 0 {}
        let (newest, ..) = all_runs(&house, &alice).await.pop().unwrap();
        let state = house.get(&alice, &format!("/v1/runs/{newest}")).await.body["state"].clone();
        if state == "waiting" {
            house.time.advance_ms(1_000);
            end_run(&house, newest.parse().unwrap(), (true, 10)).await;
        }
    }
    let all = all_runs(&house, &alice).await;
    // Each follows the one before, once, though two triggers would have it sent anew.
    assert_eq!(all.len(), 9, "{all:?}");
    assert!(all.iter().zip(&all[1..]).all(|(one, next)| next.1.as_ref() == Some(&one.0)));
    assert_eq!(all[0].2, json!({ "kind": "as_recorded" }));
    let speeds: Vec<&Value> = all[1..].iter().map(|it| &it.2["milli"]).collect();
    assert_eq!((speeds[0], speeds[7]), (&json!(2_000), &json!(256_000)));
    let told = house.get(&alice, &format!("/v1/runs/{}", all[8].0)).await.body;
    assert_eq!((&told["spec"]["for_ms"], &told["follows"]["changes"]), (&json!(60_000), &json!(8)));
    let words = |firing: &Value| {
        let did = &firing["did"][0];
        format!("{} {}", did["outcome"].as_str().unwrap(), did["words"].as_str().unwrap())
    };
    let firings = firings(&house, &alice).await;
    let mut told: Vec<String> = [&firings[17], &firings[16], &firings[1]].map(words).to_vec();
    for (place, (id, ..)) in all.iter().enumerate() {
        for it in &mut told {
            *it = it.replace(id, &format!("run-{place}"));
        }
    }
    insta::assert_snapshot!("anew", told.join("\n"));
}

#[tokio::test]
async fn what_is_under_way_is_stopped_and_sent_anew_once_it_has_ended() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    assert_eq!(house.post(&alice, "/v1/streams", json!({ "name": "sales" })).await.status, 201);
    house.time.advance_ms(60_000);
    let load = json!({ "kind": "rate", "uhz": 20_000_000 });
    add(&house, &alice, "slower", "next", json!([{ "kind": "change", "load": load }])).await;
    let begin = async |load: Value| {
        let wanted = json!({ "endpoint": "risk", "stream": "sales", "load": load });
        let made = house.post(&alice, "/v1/runs", wanted).await;
        assert_eq!(made.status, 202, "{made:?}");
        made.body["id"].as_str().unwrap().to_owned()
    };
    let random = begin(json!({ "kind": "poisson", "uhz": 100_000_000 })).await;
    let waiting = begin(json!({ "kind": "as_recorded" })).await;
    let slow = begin(load.clone()).await;
    let report = |state: RunState| RunReport { state, progress: None, outcome: None, error: None };
    let id: RunId = random.parse().unwrap();
    runs::report(&house.control, id, "gateway", report(RunState::Running)).await.unwrap();
    answer(&house, &alice, "next", (200, 20)).await;
    assert_eq!((watch(&house).await, watch(&house).await), (1, 0));
    let all = all_runs(&house, &alice).await;
    let follows: Vec<Option<&String>> = all.iter().map(|it| it.1.as_ref()).collect();
    assert_eq!(follows, [None, None, None, Some(&random), Some(&waiting)]);
    assert!(all[3..].iter().all(|it| it.2 == load));
    let state = async |id: &str| {
        let told = house.get(&alice, &format!("/v1/runs/{id}")).await.body;
        (told["state"].as_str().unwrap().to_owned(), told["stop_wanted"].as_bool().unwrap())
    };
    assert_eq!(state(&random).await, ("running".to_owned(), true));
    assert_eq!(state(&waiting).await, ("stopped".to_owned(), true));
    assert_eq!(state(&slow).await, ("waiting".to_owned(), false), "it was sent so already");
    // What follows is told to gateways once the one before it has ended, with its seed.
    let sent = async || {
        let routes = routes::watch(&house.control, Watch { after: 0, wait_ms: 0 }).await.unwrap();
        routes.runs.iter().map(|route| route.run.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(sent().await, [&random, &slow, &all[4].0].map(Clone::clone));
    runs::report(&house.control, id, "gateway", report(RunState::Stopped)).await.unwrap();
    assert_eq!(sent().await, [&slow, &all[3].0, &all[4].0].map(Clone::clone));
    let seed = async |id: &str| {
        let told = house.get(&alice, &format!("/v1/runs/{id}")).await.body;
        told["spec"]["seed"].as_u64().unwrap()
    };
    assert_eq!(seed(&random).await, seed(&all[3].0).await);
}

#[tokio::test]
async fn a_window_is_replayed_to_all_that_are_ready() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    assert_eq!(house.post(&alice, "/v1/streams", json!({ "name": "sales" })).await.status, 201);
    for number in 0..9 {
        variant(&house, &alice, &format!("v{number}")).await;
    }
    house.control.settle().await.unwrap();
    variant(&house, &alice, "late").await;
    house.time.advance_ms(60_000);
    add(&house, &alice, "odd", "v3", json!([{ "kind": "replay", "stream": "sales" }])).await;
    let nothing = json!([{ "kind": "change", "times_milli": 500 }]);
    add(&house, &alice, "less", "v3", nothing).await;
    answer(&house, &alice, "v3", (200, 20)).await;
    while watch(&house).await > 0 {}
    let told = house.get(&alice, "/v1/runs").await.body;
    let mut sent: Vec<String> = told["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["spec"]["variants"].to_string())
        .collect();
    sent.sort();
    assert_eq!(
        sent,
        [r#"["v3","next","v0","v1","v2","v4","v5","main"]"#, r#"["v6","v7","v8","main"]"#,]
    );
}
