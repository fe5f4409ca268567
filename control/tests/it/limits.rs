//! Limits: each holds up to its number, and what is beyond it is refused or forgotten.

use std::collections::BTreeSet;

use api::endpoints::EndpointState;
use api::items::Sharing;
use api::listen::Peer;
use api::status::CreateEnrolment;
use axum::body::Body;
use control::operations::enrolments;
use control::reconcilers;
use http::Request;
use serde_json::json;
use store::instances::{InstanceState, Owner, instances_list_live, instances_list_of};
use testkit::Package;
use types::{InstanceId, PublishId};

use crate::agent::{Agent, Play};
use crate::endpoints::instances;
use crate::harness::{House, Member, name, read, request};
use crate::hosts::serving;
use crate::idempotency::create;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Has what is old forgotten.
async fn trim(house: &House) {
    let trimming = reconcilers::registry(&house.control).into_iter();
    for reconciler in trimming.filter(|reconciler| reconciler.name() == "trimming") {
        reconciler.activate().await;
    }
}

/// An account, and what it has published.
async fn published(house: &House) -> (Member, PublishId) {
    let agent = Agent::on(&house.control, 1).await;
    let owner = house.account("alice").await;
    let package = Package::linear("double", ("x", "y"), 2.0, 1.0);
    let id = house.begin_publish(&owner, &package, Sharing::Nobody).await;
    house.ended_publish(&agent, &owner, id).await;
    (owner, id)
}

#[tokio::test]
async fn a_page_has_at_most_two_hundred_entries() {
    let house = House::open().await;
    let operator = house.operator.clone();
    for (limit, status) in [(0, 400), (1, 200), (200, 200), (201, 400)] {
        let answer = house.get(&operator, &format!("/v1/accounts?limit={limit}")).await;
        assert_eq!(answer.status, status, "{limit}: {answer:?}");
    }
}

#[tokio::test]
async fn who_waits_for_a_log_waits_for_half_a_minute() {
    let house = House::open().await;
    let (owner, id) = published(&house).await;
    for (wait_ms, status) in [(30_000, 200), (30_001, 400)] {
        let path = format!("/v1/publishes/{id}/log?wait_ms={wait_ms}");
        assert_eq!(house.get(&owner, &path).await.status, status, "{wait_ms}");
    }
}

#[tokio::test]
async fn bodies_are_refused_above_their_size() {
    let house = House::open().await;
    let owner = house.account("alice").await;
    let send = async |path: &str, kind: &str, bytes: usize| {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {}", owner.secret))
            .header("content-type", kind)
            .body(Body::from(vec![b' '; bytes]))
            .unwrap();
        house.send(request).await.status
    };
    let (json, chunks) = (32 << 20, api::objects::CHUNKS_BODY_BYTES_MAX);
    // A body of blanks is no JSON and no chunk; what counts is how it is refused.
    assert_eq!(send("/v1/endpoints", "application/json", json).await, 400);
    assert_eq!(send("/v1/endpoints", "application/json", json + 1).await, 413);
    assert_eq!(send("/v1/objects/chunks", "application/octet-stream", chunks).await, 400);
    assert_eq!(send("/v1/objects/chunks", "application/octet-stream", chunks + 1).await, 413);
}

#[tokio::test]
async fn an_enrolment_token_is_good_for_an_hour() {
    let house = House::open().await;
    let enrol = async |token: &str| {
        let request_pem = api::identity::SigningRequest::new().unwrap().request_pem;
        let body = json!({ "token": token, "request_pem": request_pem });
        let stranger = Peer::Remote(([127, 0, 0, 1], 4_000).into());
        let request = request("POST", "/internal/v1/enrol", None, Some(body));
        house.send_as(stranger, request).await
    };
    let make = async |text: &str| {
        let wanted = CreateEnrolment { process: "agent".to_owned(), name: name(text) };
        enrolments::create(&house.control, &house.operator, wanted).await.unwrap().token
    };
    let (one, other) = (make("one").await, make("other").await);
    house.time.advance_ms(HOUR_MS - 1);
    assert_eq!(enrol(&one).await.status, 200);
    house.time.advance_ms(1);
    let refused = enrol(&other).await;
    assert_eq!((refused.status, refused.code()), (401, "enrolment_refused"));
}

#[tokio::test]
async fn an_answer_is_kept_for_its_repetition_for_a_day() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    assert_eq!(house.send(create(&alice, "one", "k1")).await.status, 201);
    house.time.advance_ms(DAY_MS);
    trim(&house).await;
    assert!(house.send(create(&alice, "one", "k1")).await.replayed);
    house.time.advance_ms(1);
    trim(&house).await;
    assert!(!house.send(create(&alice, "one", "k1")).await.replayed);
}

#[tokio::test]
async fn what_ended_can_be_looked_at_for_a_week() {
    let house = House::open().await;
    let (_, id) = published(&house).await;
    let kept = async || read!(house.store(), instances_list_of(Owner::Publish(id))).unwrap();
    let ended = kept().await;
    assert_eq!(ended.len(), 1);
    let since_ms = house.clock.now_ms() - ended[0].changed_at_ms;
    house.time.advance_ms(7 * DAY_MS - since_ms);
    trim(&house).await;
    assert_eq!(kept().await.len(), 1);
    house.time.advance_ms(1);
    trim(&house).await;
    assert_eq!(kept().await.len(), 0);
}

#[tokio::test]
async fn a_host_counts_as_lost_after_fifteen_seconds() {
    let (house, agent, _) = serving().await;
    // A start of control gives hosts their time, and so has to be longer ago than that.
    for _ in 0..40 {
        house.pass(&agent).await;
    }
    agent.report_host(&house.control).await;
    let live = async || read!(house.store(), instances_list_live()).unwrap().len();
    house.time.advance_ms(15_000);
    house.control.settle().await.unwrap();
    assert_eq!(live().await, 1);
    house.time.advance_ms(1);
    house.control.settle().await.unwrap();
    assert_eq!(live().await, 0);
}

#[tokio::test]
async fn a_stage_that_fails_pauses_from_half_a_second_up_to_a_minute() {
    // Longer than a round: what an agent does and when control looks lie between.
    const ROUNDING_MS: u64 = 1_500;
    let house = House::open().await;
    let agent = Agent::on(&house.control, 1).await;
    let alice = house.account("alice").await;
    let model = house.model(&agent, &alice, "double").await;
    agent.play(Play::Fails("out of luck"));
    let endpoint = house.deploy(&alice, "answers", &model).await;
    let (mut rounds, mut rows) = (0, Vec::new());
    while rows.len() < 10 {
        house.pass(&agent).await;
        rows = instances(&house, &endpoint).await;
        rounds += 1;
        assert!(rounds < 1_000, "waited too long for ten tries: {rows:#?}");
    }
    rows.sort_unstable_by_key(|row| row.created_at_ms);
    let whole = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
    for (pair, whole_ms) in rows.windows(2).zip(whole) {
        let pause_ms = pair[1].created_at_ms - pair[0].ended_at_ms.unwrap();
        let allowed = whole_ms / 2..=whole_ms + ROUNDING_MS;
        assert!(allowed.contains(&pause_ms), "{pause_ms} ms; allowed {allowed:?}");
    }
}

#[tokio::test]
async fn an_endpoint_has_failed_after_three_failures_in_a_row() {
    let house = House::open().await;
    let agent = Agent::on(&house.control, 1).await;
    let alice = house.account("alice").await;
    let model = house.model(&agent, &alice, "double").await;
    agent.play(Play::Fails("out of luck"));
    let endpoint = house.deploy(&alice, "answers", &model).await;
    let failures = async || {
        let rows = instances(&house, &endpoint).await;
        let failed = rows.iter().filter(|row| row.state == InstanceState::Failed);
        let ids: BTreeSet<InstanceId> = failed.map(|row| row.id).collect();
        (ids.len(), house.endpoint(&alice, "answers").await.unwrap().state)
    };
    let reached = house
        .until(&agent, "the third failure", || async {
            let (count, state) = failures().await;
            assert_eq!(state == EndpointState::Failed, count >= 3, "{count} failures: {state:?}");
            (count >= 3).then_some(count)
        })
        .await;
    assert_eq!(reached, 3);
}
