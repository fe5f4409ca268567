//! Live requests, kept as events: which, and what is kept of them.

use api::endpoints::captures::{CaptureSpec, Captured};
use api::internal::{CaptureCount, CaptureRoute, StreamClaimed, StreamRoute};
use api::streams::StreamSpec;
use gateway::Settings;
use serde_json::{Value, json};
use types::{AccountId, StreamId};
use uuid::Uuid;

use crate::grpc;
use crate::world::{ACME, Ask, OTHER, World};

const STREAM: u128 = 31;

/// A world whose endpoint `echo` is captured, and `granted`, which another account may call.
async fn world(folder: &tempfile::TempDir, change: impl Fn(&mut CaptureSpec)) -> World {
    let settings = Settings { folder: Some(folder.path().to_owned()), ..Settings::default() };
    let world = World::start_with(settings).await;
    *world.control.claimed.lock() = Some(StreamClaimed { yours: true, gateway: "this".to_owned() });
    let mut routes = world.routes(2);
    let mut spec = CaptureSpec {
        stream: "kept".parse().unwrap(),
        what: Captured::Both,
        share_bp: 10_000,
        key: None,
    };
    change(&mut spec);
    let stream = StreamId::new(Uuid::from_u128(STREAM));
    for place in [0, 2] {
        routes.endpoints[place].capture = Some(CaptureRoute { stream, spec: spec.clone() });
    }
    routes.streams.push(StreamRoute {
        stream,
        account: AccountId::new(Uuid::from_u128(1)),
        account_name: "acme".parse().unwrap(),
        name: "kept".parse().unwrap(),
        spec: StreamSpec::default(),
    });
    world.tell(routes).await;
    world
}

impl World {
    /// What was counted of captures, once it comes to so many.
    async fn captured(&self, wanted: u64) -> Vec<CaptureCount> {
        loop {
            let reports = self.control.reports.lock().clone();
            let counts: Vec<_> = reports.into_iter().flat_map(|report| report.captures).collect();
            let sum = |it: &CaptureCount| it.kept + it.no_room + it.elsewhere + it.failed;
            if counts.iter().map(sum).sum::<u64>() >= wanted {
                return counts;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The events of the stream, by their ids.
    async fn events(&self) -> Vec<Value> {
        let answer = self.ask(Ask::get("/v1/streams/kept/events")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut all: Vec<Value> =
            whole(&answer.body).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        all.sort_by_key(|event| event["id"].as_str().unwrap().to_owned());
        all
    }
}

/// A body that came in chunks (RFC 9112, section 7.1).
fn whole(body: &[u8]) -> String {
    let (mut rest, mut text) = (body, Vec::new());
    loop {
        let end = rest.windows(2).position(|it| it == b"\r\n").unwrap();
        let length = std::str::from_utf8(&rest[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return String::from_utf8(text).unwrap();
        }
        text.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 2 + length + 2..];
    }
}

#[tokio::test]
async fn what_is_asked_and_answered_is_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(&folder, |_| {}).await;
    let path = "/endpoints/echo/invocations";
    let id = |id: &'static str| ("x-request-id", id);
    let oip = br#"{"inputs":[{"name":"INPUT","datatype":"FP32","shape":[1,2],"data":[1,2]}]}"#;
    let headers = [
        id("a-json"),
        ("freehold-key", "customer-7"),
        ("freehold-region", "no"),
        ("ce-group", "gold"),
    ];
    world.ask(Ask::post(path, b"[[1, 2]]").with(&headers)).await;
    let csv = [id("b-csv"), ("content-type", "text/csv")];
    world.ask(Ask::post(path, b"1,2\n").with(&csv)).await;
    world.ask(Ask::post(path, b"{}").with(&[id("c-refused")])).await;
    world.ask(Ask::post("/v2/models/echo/infer", oip).with(&[id("d-oip")])).await;
    // None of these is live: a variant by its name, another account, an endpoint without a capture.
    world.ask(Ask::post("/endpoints/echo@main/invocations", b"[[1, 2]]")).await;
    let others = Ask::post("/endpoints/acme.granted/invocations", b"[[1, 2]]").from(Some(OTHER));
    assert_eq!(world.ask(others).await.status, 200);
    world.ask(Ask::post("/endpoints/open/invocations", b"[[1, 2]]")).await;
    let mut client = grpc::client(&world).await;
    let mut request = tonic::Request::new(grpc::infer("echo", true));
    request.metadata_mut().insert("authorization", format!("Bearer {ACME}").parse().unwrap());
    client.model_infer(request).await.unwrap();
    let counts = world.captured(5).await;
    assert_eq!(counts.iter().map(|count| count.kept).sum::<u64>(), 5, "{counts:?}");
    let mut events = world.events().await;
    let call = events.iter_mut().find(|it| it["requesttype"] == "application/grpc").unwrap();
    assert!(call["id"].as_str().unwrap().starts_with("req-"));
    call["id"] = json!("of a call over gRPC");
    for event in &mut events {
        assert!(event["durationus"].as_str().unwrap().parse::<u64>().unwrap() > 0);
        for changes in ["durationus", "time"] {
            event.as_object_mut().unwrap().remove(changes);
        }
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&events).unwrap());
}

#[tokio::test]
async fn what_is_too_long_is_told_by_its_length_and_answered_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(&folder, |_| {}).await;
    let rows = vec![[1.5, 2.5]; 100_000];
    let long = json!({ "instances": rows }).to_string();
    let headers = [("x-request-id", "long")];
    let asked = Ask::post("/endpoints/echo/invocations", long.as_bytes()).with(&headers);
    let answer = world.ask(asked).await;
    assert_eq!(answer.json()["predictions"].as_array().unwrap().len(), rows.len());
    world.captured(1).await;
    let events = world.events().await;
    assert_eq!(events[0]["requestbytes"], long.len().to_string());
    assert_eq!(events[0]["answerbytes"], answer.body.len().to_string());
    assert!(events[0].get("data").is_none() && events[0].get("answer").is_none(), "{events:?}");
}

/// All requests of a key are kept or none, and with requests alone no answer is.
#[tokio::test]
async fn a_share_of_the_keys_is_kept_by_the_header_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let share_bp = 5_000;
    let spec = |spec: &mut CaptureSpec| {
        *spec = CaptureSpec {
            what: Captured::Requests,
            share_bp,
            key: Some("x-customer".to_owned()),
            ..spec.clone()
        };
    };
    let world = world(&folder, spec).await;
    let endpoint = world.routes(1).endpoints[0].endpoint.to_string();
    let mut expected = 0;
    for customer in 0..20_u32 {
        let customer = format!("c{customer}");
        let kept = policy::capture::keeps(customer.as_bytes(), &endpoint, share_bp);
        expected += 2 * u64::from(kept);
        for _ in 0..2 {
            let headers = [("x-customer", customer.as_str())];
            let ask = Ask::post("/endpoints/echo/invocations", b"[[1, 2]]").with(&headers);
            assert_eq!(world.ask(ask).await.status, 200);
        }
    }
    assert!((2..40).contains(&expected), "{expected}");
    let counts = world.captured(expected).await;
    assert_eq!(counts.iter().map(|count| count.kept).sum::<u64>(), expected);
    let events = world.events().await;
    assert_eq!(events.len() as u64, expected);
    let right = |event: &Value| {
        event.get("answer").is_none()
            && event["data"] == json!([[1, 2]])
            && policy::capture::keeps(
                event["subject"].as_str().unwrap().as_bytes(),
                &endpoint,
                share_bp,
            )
    };
    assert!(events.iter().all(right), "{events:?}");
}

#[tokio::test]
async fn a_stream_that_another_gateway_holds_costs_no_answer_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(&folder, |_| {}).await;
    *world.control.claimed.lock() =
        Some(StreamClaimed { yours: false, gateway: "other".to_owned() });
    let ask = Ask::post("/endpoints/echo/invocations", b"[[1, 2]]");
    assert_eq!(world.ask(ask).await.status, 200);
    let counts = world.captured(1).await;
    assert_eq!((counts[0].kept, counts[0].elsewhere), (0, 1));
    let metrics = world.gateway.metrics_router();
    let request = http::Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
    let answer = tower::ServiceExt::oneshot(metrics, request).await.unwrap();
    let text = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = "freehold_captured_requests_total{account=\"acme\",endpoint=\"echo\",outcome=\"elsewhere\"} 1";
    assert!(text.contains(line), "{text}");
}
