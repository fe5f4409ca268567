//! Live requests, kept as events: which, what is kept of them, and how right their answers were.

use api::accounts::Role;
use api::endpoints::captures::{CaptureSpec, Captured};
use api::internal::{
    AccuracyCount, AccuracyWatch, CaptureCount, CaptureRoute, StreamClaimed, StreamRoute,
};
use api::runs::Judged;
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
    watched(folder, change, (Vec::new(), &[])).await
}

/// As [`world`], where it is watched how right answers of variants are that are so since then.
async fn watched(
    folder: &tempfile::TempDir,
    change: impl Fn(&mut CaptureSpec),
    (watched, since): (Vec<AccuracyWatch>, &[(&str, u64)]),
) -> World {
    let settings = Settings {
        folder: Some(folder.path().to_owned()),
        right_period_ms: 20,
        ..Settings::default()
    };
    let world = World::start_with(settings).await;
    *world.control.claimed.lock() = Some(StreamClaimed { yours: true, gateway: "this".to_owned() });
    let mut routes = world.routes(2);
    routes.principals[0].role = Role::Developer;
    let mut spec = CaptureSpec {
        stream: "kept".parse().unwrap(),
        what: Captured::Both,
        share_bp: 10_000,
        key: None,
    };
    change(&mut spec);
    let stream = StreamId::new(Uuid::from_u128(STREAM));
    for place in [0, 2] {
        routes.endpoints[place].capture = Some(CaptureRoute {
            stream,
            spec: spec.clone(),
            watched: watched.clone(),
            since_ms: since.iter().map(|(name, ms)| (name.parse().unwrap(), *ms)).collect(),
        });
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

fn now_ms() -> u64 {
    workflow::Clock::system().now_ms()
}

/// A request as a capture keeps it, which came so long ago.
fn captured(id: &str, ago_ms: u64, (variant, status, answer): (&str, u16, Option<&str>)) -> Value {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(now_ms() - ago_ms).unwrap()).unwrap();
    let mut event = json!({
        "specversion": "1.0", "id": id, "source": "/endpoints/echo", "type": "freehold.request",
        "time": at.to_string(), "variant": variant, "status": status.to_string(),
    });
    if let Some(answer) = answer {
        event["answer"] = json!(answer);
    }
    event
}

impl World {
    async fn post(&self, path: &str, kind: &str, body: &Value) {
        let (headers, body) = ([("content-type", kind)], body.to_string());
        let answer = self.ask(Ask::post(path, body.as_bytes()).with(&headers)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// What is told of a window, once that is so.
    async fn right(&self, window_ms: u64, so: impl Fn(&AccuracyCount) -> bool) -> AccuracyCount {
        loop {
            let reports = std::mem::take(&mut *self.control.reports.lock());
            let all = reports.into_iter().flat_map(|report| report.accuracies);
            if let Some(it) = all.into_iter().find(|it| it.window_ms == window_ms && so(it)) {
                return it;
            }
            tokio::task::yield_now().await;
        }
    }
}

const SCORE_HIGH: Option<&str> = Some(r#"{"score":0.9}"#);
const SCORE_LOW: Option<&str> = Some(r#"{"score":0.1}"#);

/// Each variant has its own counts; labels may come later than anything.
#[tokio::test]
async fn right_answers_are_counted_by_variant_once_labels_come() {
    let folder = tempfile::tempdir().unwrap();
    let judged = Judged { prediction: Some("/score".to_owned()), ..Judged::default() };
    let watch = |window_ms: u64| AccuracyWatch { window_ms, judged: judged.clone() };
    let changed_ms = now_ms() - 60_000;
    let since = [("main", 0), ("next", changed_ms)];
    let watches = vec![watch(600_000), watch(30_000)];
    let world = watched(&folder, |_| {}, (watches, &since)).await;
    let other = |id: &str, member: &str, value: &str| {
        let mut event = captured(id, 5_000, ("main", 200, SCORE_LOW));
        event[member] = json!(value);
        event
    };
    let events = json!([
        captured("a", 5_000, ("main", 200, SCORE_HIGH)),
        captured("b", 40_000, ("main", 200, SCORE_HIGH)),
        captured("c", 5_000, ("main", 200, SCORE_LOW)),
        captured("d", 5_000, ("main", 503, None)),
        // What is not known counts for nobody: no label, gone before it was answered,
        // what the caller was to blame for, not kept.
        captured("unlabelled", 5_000, ("main", 200, SCORE_LOW)),
        captured("gone", 5_000, ("main", 499, None)),
        captured("bad", 5_000, ("main", 400, Some(r#"{"title":"no such input"}"#))),
        captured("often", 5_000, ("main", 429, None)),
        captured("long", 5_000, ("main", 200, None)),
        captured("e", 5_000, ("next", 200, SCORE_HIGH)),
        captured("f", 5_000, ("next", 200, Some(r#"{"score":"maybe"}"#))),
        // It was another one then, or it was just becoming what it is.
        captured("was", 90_000, ("next", 200, SCORE_LOW)),
        captured("becomes", 55_000, ("next", 200, SCORE_LOW)),
        // Others' requests, other events, what was before all windows, and a variant that is gone.
        other("other", "source", "/endpoints/open"),
        other("sale", "type", "sale"),
        captured("old", 700_000, ("main", 200, SCORE_LOW)),
        captured("gone-variant", 5_000, ("third", 200, SCORE_LOW)),
    ]);
    world.post("/v1/streams/kept/events", "application/cloudevents-batch+json", &events).await;
    let counted = world.right(600_000, |it| !it.variants.is_empty()).await;
    assert!(counted.variants.iter().all(|it| it.labelled == 0), "{counted:?}");
    let ids = events.as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap());
    let labels = ids.filter(|id| *id != "unlabelled").map(|id| {
        let label = if id == "b" { "false" } else { "true" };
        json!({ "source": "", "id": id, "label": label })
    });
    let labels = json!({ "labels": labels.collect::<Vec<_>>() });
    world.post("/v1/streams/kept/labels", "application/json", &labels).await;
    let labelled = |it: &AccuracyCount| it.variants.iter().any(|it| it.labelled > 0);
    let counted = world.right(600_000, labelled).await;
    let told = |counted: &AccuracyCount| {
        let of = |it: &api::internal::VariantAccuracy| {
            let found = [it.true_positives, it.predicted_positives, it.positives];
            (it.variant.to_string(), [it.labelled, it.right, it.left_out], found)
        };
        counted.variants.iter().map(of).collect::<Vec<_>>()
    };
    let main = ("main".to_owned(), [4, 1, 1], [1, 2, 3]);
    let next = ("next".to_owned(), [2, 1, 0], [1, 1, 1]);
    let told_next = told(&counted)[1].clone();
    assert_eq!(told(&counted)[0], main);
    assert_eq!((told_next.0, told_next.1), (next.0, next.1));
    assert_eq!(counted.from_ms, counted.counted_at_ms - 600_000);
    assert_eq!(counted.variants[1].since_ms, changed_ms);
    assert!(counted.next_within_ms >= 20, "{counted:?}");
    let short = world.right(30_000, labelled).await;
    assert_eq!(told(&short)[0].1, [3, 1, 1]);
    // What is labelled anew counts anew.
    let again = json!({ "labels": [{ "source": "", "id": "c", "label": "false" }] });
    world.post("/v1/streams/kept/labels", "application/json", &again).await;
    world.right(30_000, |it| it.variants[0].right == 2).await;
}

/// A stream that nobody has opened here is not taken by looking.
#[tokio::test]
async fn only_what_is_here_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let watch = AccuracyWatch { window_ms: 60_000, judged: Judged::default() };
    let world = watched(&folder, |_| {}, (vec![watch], &[("main", 0)])).await;
    *world.control.claimed.lock() =
        Some(StreamClaimed { yours: false, gateway: "other".to_owned() });
    assert_eq!(world.ask(Ask::post("/endpoints/echo/invocations", b"[[1, 2]]")).await.status, 200);
    world.captured(1).await;
    let ask = Ask::post("/endpoints/open/invocations", b"[[1, 2]]");
    for _ in 0..5 {
        assert_eq!(world.ask(ask).await.status, 200);
    }
    let reports = world.control.reports.lock();
    assert!(reports.iter().all(|report| report.accuracies.is_empty()));
}
