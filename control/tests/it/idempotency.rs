//! Creating calls that are made again: one thing, one answer.

use access::Role;
use http::Request;
use serde_json::{Value, json};

use crate::harness::{Answer, House, Member, keyed, request};
use crate::sql_faults::{Trap, connect};

pub(crate) fn create(member: &Member, label: &str, key: &str) -> Request<axum::body::Body> {
    let body = json!({ "label": label, "role": "reader" });
    keyed(request("POST", "/v1/tokens", Some(member), Some(body)), key)
}

/// How many tokens an account has.
async fn tokens(house: &House, member: &Member) -> usize {
    house.get(member, "/v1/tokens").await.body["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_and_makes_one_thing() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let first = house.send(create(&alice, "one", "k1")).await;
    assert_eq!((first.status, first.replayed), (201, false));
    let again = house.send(create(&alice, "one", "k1")).await;
    assert_eq!(again, Answer { replayed: true, ..first });
    assert_eq!(tokens(&house, &alice).await, 2);
    // Another account has keys of its own.
    let bob = house.account("bob").await;
    assert_eq!(house.send(create(&bob, "one", "k1")).await.status, 201);
}

#[tokio::test]
async fn a_key_is_for_one_request() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    house.send(create(&alice, "one", "k1")).await;
    let other = house.send(create(&alice, "two", "k1")).await;
    assert_eq!((other.status, other.code()), (409, "idempotency_mismatch"));
    let body = json!({ "label": "one", "role": "reader" });
    let elsewhere = keyed(request("POST", "/v1/endpoints", Some(&alice), Some(body)), "k1");
    assert_eq!(house.send(elsewhere).await.code(), "idempotency_mismatch");
    assert_eq!(tokens(&house, &alice).await, 2);
}

#[tokio::test]
async fn a_token_of_another_role_is_not_told_what_was_answered() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    house.send(create(&alice, "one", "k1")).await;
    let reader = house.member(&alice, Role::Reader).await;
    let refused = house.send(create(&reader, "one", "k1")).await;
    assert_eq!((refused.status, refused.code()), (409, "idempotency_mismatch"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_at_the_same_time_make_one_thing() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let calls = (0..12).map(|_| house.send(create(&alice, "one", "k1")));
    let answers = futures::future::join_all(calls).await;
    let made: Vec<&Value> =
        answers.iter().filter(|answer| answer.status == 201).map(|answer| &answer.body).collect();
    assert!(!made.is_empty() && made.iter().all(|body| *body == made[0]), "{answers:?}");
    let others = answers.iter().filter(|answer| answer.status != 201);
    assert!(others.into_iter().all(|answer| answer.code() == "idempotency_in_progress"));
    assert_eq!(tokens(&house, &alice).await, 2);
}

#[tokio::test]
async fn a_call_that_failed_can_be_made_again_under_its_key() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let trap = Trap::set(&house.database(), "INSERT ON tokens").await;
    let failed = house.send(create(&alice, "one", "k1")).await;
    assert_eq!((failed.status, failed.code()), (500, "internal"));
    trap.take_away().await;
    let again = house.send(create(&alice, "one", "k1")).await;
    assert_eq!((again.status, again.replayed), (201, false));
    assert_eq!(tokens(&house, &alice).await, 2);
}

#[tokio::test]
async fn a_call_that_was_refused_can_be_made_again_under_its_key() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let deploy = || {
        let body = json!({ "name": "answers", "source": "alice/double" });
        keyed(request("POST", "/v1/endpoints", Some(&alice), Some(body)), "k1")
    };
    assert_eq!(house.send(deploy()).await.status, 404);
    let agent = crate::agent::Agent::on(&house.control, 1).await;
    house.model(&agent, &alice, "double").await;
    assert_eq!(house.send(deploy()).await.status, 202);
    assert!(house.send(deploy()).await.replayed);
}

#[tokio::test]
async fn a_call_whose_process_died_can_be_made_again_after_a_while() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let dying = house.send(create(&alice, "one", "k1"));
    // Dropped somewhere in the middle, as by a crash.
    let cut = tokio::time::timeout(std::time::Duration::ZERO, dying).await;
    assert!(cut.is_err(), "it was to be cut short");
    house.time.advance_ms(store::idempotency::LOST_AFTER_MS + 1);
    let again = house.send(create(&alice, "one", "k1")).await;
    assert_eq!(again.status, 201, "{again:?}");
}

#[tokio::test]
async fn kept_answers_are_sealed() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let made = house.send(create(&alice, "one", "k1")).await;
    let secret = made.body["secret"].as_str().unwrap();
    let mut connection = connect(&house.database()).await;
    let kept: Vec<(String,)> =
        sqlx::query_as("SELECT body FROM idempotency WHERE body IS NOT NULL")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(kept.len(), 1);
    assert!(!kept[0].0.contains(secret) && !kept[0].0.contains(&hex::encode(secret)));
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    for key in ["", &"k".repeat(201)] {
        let refused = house.send(create(&alice, "one", key)).await;
        assert_eq!((refused.status, refused.code()), (400, "bad_request"));
    }
}
