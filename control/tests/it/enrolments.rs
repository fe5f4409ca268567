//! Certificates of agents and gateways: got once, renewed by who shows one, and nothing else of
//! `/internal/v1` for anybody who shows none.

use std::sync::Arc;

use api::identity::{self, Authority, PROCESS_LIFETIME_MS, Process, SigningRequest, Validity};
use api::listen::Peer;
use api::status::CreateEnrolment;
use control::operations::enrolments;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::harness::{Answer, House, START_MS, name, request};

/// The routes, as they are declared.
const SOURCE: &str = include_str!("../../src/http/internal.rs");

/// The peer who shows this certificate.
fn peer(certificate_pem: &Value) -> Peer {
    let chain = identity::chain(certificate_pem.as_str().unwrap()).unwrap();
    Peer::Certificate(Arc::new(identity::subject(&chain[0]).unwrap()))
}

fn stranger() -> Peer {
    Peer::Remote(([127, 0, 0, 1], 4_000).into())
}

fn request_pem() -> String {
    SigningRequest::new().unwrap().request_pem
}

/// Enrols a process; what it got.
async fn enrol(house: &House, process: &str, text: &str) -> Value {
    let wanted = CreateEnrolment { process: process.to_owned(), name: name(text) };
    let made = enrolments::create(&house.control, &house.operator, wanted).await.unwrap();
    let body = json!({ "token": made.token, "request_pem": request_pem() });
    let request = request("POST", "/internal/v1/enrol", None, Some(body));
    let answer = house.send_as(stranger(), request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

async fn renew(house: &House, peer: &Peer) -> Answer {
    let body = json!({ "request_pem": request_pem() });
    let request = request("POST", "/internal/v1/renew", None, Some(body));
    house.send_as(peer.clone(), request).await
}

/// What a process is there for: an agent reports its host, a gateway watches the routes.
async fn work(house: &House, enrolled: &Value, peer: &Peer) -> u16 {
    let request = match enrolled["host"].as_str() {
        Some(host) => {
            let report = serde_json::to_value(Agent::new(1).says()).unwrap();
            request("PUT", &format!("/internal/v1/hosts/{host}"), None, Some(report))
        }
        None => request("GET", "/internal/v1/routes?after=0&wait_ms=0", None, None),
    };
    house.send_as(peer.clone(), request).await.status
}

#[tokio::test]
async fn who_shows_a_certificate_gets_the_next_one_for_the_same_name() {
    let house = House::open().await;
    for process in ["agent", "gateway"] {
        let enrolled = enrol(&house, process, "there").await;
        let first = peer(&enrolled["certificate_pem"]);
        house.time.advance_ms(1_000);
        let renewed = renew(&house, &first).await;
        assert_eq!(renewed.status, 200, "{renewed:?}");
        assert_eq!(renewed.body["authority_pem"], enrolled["authority_pem"]);
        let next = peer(&renewed.body["certificate_pem"]);
        let (Peer::Certificate(before), Peer::Certificate(after)) = (&first, &next) else {
            panic!("no certificates");
        };
        assert_eq!((after.process, &after.name), (before.process, &before.name));
        assert_eq!(after.expires_at_ms, before.expires_at_ms + 1_000);
        assert!(before.expires_at_ms >= START_MS + PROCESS_LIFETIME_MS);
        // Both count, as connections of both are open.
        assert_eq!(work(&house, &enrolled, &first).await / 100, 2);
        assert_eq!(work(&house, &enrolled, &next).await / 100, 2);
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again() {
    let house = House::open().await;
    for process in ["agent", "gateway"] {
        let enrolled = enrol(&house, process, "there").await;
        let first = peer(&enrolled["certificate_pem"]);
        let lost = peer(&renew(&house, &first).await.body["certificate_pem"]);
        let second = peer(&renew(&house, &first).await.body["certificate_pem"]);
        assert_eq!(work(&house, &enrolled, &lost).await, 401);
        assert_eq!(work(&house, &enrolled, &second).await / 100, 2);
        // Once the second is renewed the first is of no use any more.
        assert_eq!(renew(&house, &second).await.status, 200);
        assert_eq!(work(&house, &enrolled, &first).await, 401);
        assert_eq!(renew(&house, &first).await.status, 401);
    }
}

#[tokio::test]
async fn who_enrols_anew_puts_out_who_had_the_name() {
    let house = House::open().await;
    for process in ["agent", "gateway"] {
        let enrolled = enrol(&house, process, "there").await;
        let first = peer(&enrolled["certificate_pem"]);
        let second = peer(&renew(&house, &first).await.body["certificate_pem"]);
        let again = enrol(&house, process, "there").await;
        assert_eq!(again["host"], enrolled["host"]);
        for out in [&first, &second] {
            assert_eq!(renew(&house, out).await.status, 401);
            assert_eq!(work(&house, &enrolled, out).await, 401);
        }
        let other = peer(&again["certificate_pem"]);
        assert_eq!(renew(&house, &other).await.status, 200);
    }
}

#[tokio::test]
async fn nothing_is_signed_for_a_name_that_is_not_ones_own() {
    let house = House::open().await;
    let enrolled = enrol(&house, "agent", "there").await;
    let agent = peer(&enrolled["certificate_pem"]);
    // The body cannot say who asks.
    let body = json!({ "request_pem": request_pem(), "process": "gateway", "name": "front" });
    let greedy = request("POST", "/internal/v1/renew", None, Some(body));
    assert_eq!(house.send_as(agent.clone(), greedy).await.status, 400);
    let body = json!({ "request_pem": "nothing" });
    let broken = request("POST", "/internal/v1/renew", None, Some(body));
    assert_eq!(house.send_as(agent.clone(), broken).await.status, 400);
    // The local socket has no certificate, a stranger none either; control's is not enrolled; and
    // one of the same authority that was never given out does not count.
    let validity = Validity { now_ms: START_MS, lifetime_ms: 60_000 };
    let own = house.control.authority().control(&["c".to_owned()], validity).unwrap();
    let forged = |process, text| {
        let authority = house.control.authority();
        let pem = authority.sign(&request_pem(), process, &name(text), validity).unwrap();
        peer(&Value::String(pem))
    };
    for refused in [
        Peer::Local,
        stranger(),
        peer(&Value::String(own.certificate_pem)),
        forged(Process::Agent, "there"),
        forged(Process::Agent, "nowhere"),
        forged(Process::Gateway, "there"),
    ] {
        assert_eq!(renew(&house, &refused).await.status, 401, "{refused:?}");
    }
    assert_eq!(renew(&house, &agent).await.status, 200);
}

/// Every route, with its method.
fn routes() -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for declared in SOURCE.split(".route(\"").skip(1) {
        let (path, rest) = declared.split_once("\", ").unwrap();
        let (method, _) = rest.split_once('(').unwrap();
        let method = match method {
            "get" => "GET",
            "put" => "PUT",
            "post" => "POST",
            other => panic!("the method of {other}"),
        };
        let path = path
            .replace("{host}", "host-00000000000000000000000000000001")
            .replace("{instance}", "inst-00000000000000000000000000000001")
            .replace("{account}", "acct-00000000000000000000000000000001")
            .replace("{revision}", "rev-00000000000000000000000000000001")
            .replace("{event}", "event-00000000000000000000000000000001")
            .replace("{stream}", "stream-00000000000000000000000000000001")
            .replace("{source}", "source-00000000000000000000000000000001")
            .replace("{run}", "run-00000000000000000000000000000001")
            .replace("{kind}", "chunks")
            .replace("{id}", "00");
        assert!(!path.contains('{'), "{path}: which one?");
        found.push((method, path));
    }
    found
}

/// A body that a route takes; an empty object for those that are not known here.
fn body(path: &str) -> Value {
    match path.rsplit('/').next().unwrap() {
        "enrol" => json!({ "token": "fhe_nothing", "request_pem": request_pem() }),
        "renew" => json!({ "request_pem": request_pem() }),
        "usage" => json!({ "reporter": "me", "number": 1, "counts": [] }),
        "logs" => json!({ "lines": [] }),
        "events" => json!({
            "id": "event-00000000000000000000000000000001",
            "function": "fn-00000000000000000000000000000001",
            "qualifier": "", "payload": "{}",
        }),
        "sizes" => json!({
            "host": "host-00000000000000000000000000000001",
            "change": { "what": "grown", "from_kib": 1, "to_kib": 2, "used_kib": 1 },
        }),
        "functions-usage" => json!({ "revisions": [] }),
        "provisioned" => json!({ "generation": 1, "revisions": [] }),
        "report" if path.contains("/runs/") => json!({ "state": "running" }),
        "given-up" => json!({
            "id": "event-00000000000000000000000000000001", "condition": "RecordAgeExceeded",
            "first": 1, "last": 1, "count": 1, "first_at_ms": 1, "last_at_ms": 1, "attempts": 0,
        }),
        "take" => json!({ "limit": 1, "wait_ms": 0 }),
        "keep" => json!({ "events": [] }),
        "outcome" => json!({
            "attempt": 1, "ended": { "how": "not_run", "throttled": false, "reason": "" },
        }),
        last if last.starts_with("inst-") => json!({ "lines": [] }),
        last if last.starts_with("host-") => serde_json::to_value(Agent::new(1).says()).unwrap(),
        _ => json!({}),
    }
}

#[tokio::test]
async fn every_internal_route_refuses_who_is_not_enrolled() {
    let house = House::open().await;
    let agent = Agent::on(&house.control, 1).await;
    let other = Authority::create(START_MS).unwrap();
    let forged = |process| {
        let validity = Validity { now_ms: START_MS, lifetime_ms: 60_000 };
        let pem = other.sign(&request_pem(), process, &name("host-1"), validity).unwrap();
        peer(&Value::String(pem))
    };
    let routes = routes();
    assert!(routes.len() >= 10, "{routes:?}");
    for (method, path) in routes {
        for caller in [stranger(), forged(Process::Agent), forged(Process::Gateway)] {
            let body = (method != "GET").then(|| body(&path));
            let answer = house.send_as(caller.clone(), request(method, &path, None, body)).await;
            let told = format!("{method} {path} as {caller:?}: {answer:?}");
            // What is asked about an instance is refused before, as there is none.
            let right: &[u16] =
                if path.contains("/instances/") { &[400, 401, 404] } else { &[401] };
            assert!(right.contains(&answer.status), "{told}");
        }
    }
    drop(agent);
}
