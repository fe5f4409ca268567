//! Functions that are fed from streams: where that begins, what they are given at once, and what
//! becomes of what they fail.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::accounts::Role;
use api::functions::sources::{SourceSpec, SourceStart};
use api::internal::functions::sources::{SourceCount, SourceRoute};
use api::internal::functions::{
    CALLED_HEADER, Called, EVENT_KEPT_BYTES_MAX, FunctionHost, FunctionRoute,
};
use api::internal::{Routes, StreamClaimed, StreamRoute};
use api::listen::{self, Address, Listener};
use api::streams::StreamSpec;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use gateway::Settings;
use serde_json::{Value, json};
use tokio::sync::watch;
use types::{AccountId, Fleet, HostId, SourceId, StreamId};
use uuid::Uuid;

use crate::world::{Ask, World, function_of};

const STREAM: u128 = 41;
/// Most bytes of what a function is given.
const PAYLOAD_BYTES_MAX: usize = 5 << 20;

/// What a function answers to what it is given.
type Answers = Arc<dyn Fn(&Value) -> Answer + Send + Sync>;

enum Answer {
    Says(String),
    Fails,
    /// Its host says that this is more than a call may carry.
    TooLarge,
}

/// What a function was given.
#[derive(Clone, Debug, Default)]
struct Given {
    /// The numbers of the events of each call, and how many bytes it had.
    calls: Vec<(Vec<u64>, usize)>,
    /// The first record of all.
    first: Value,
}

impl Given {
    fn numbers(&self) -> Vec<u64> {
        self.calls.iter().flat_map(|(numbers, _)| numbers.clone()).collect()
    }
}

/// A world with a stream `kept` of `acme`, which feeds nothing yet, and a function.
struct Fed {
    world: World,
    folder: tempfile::TempDir,
    function: FunctionRoute,
    host: FunctionHost,
    given: watch::Receiver<Given>,
}

fn id(number: u128) -> SourceId {
    SourceId::new(Uuid::from_u128(number))
}

fn numbers(payload: &Value) -> Vec<u64> {
    let number = |record: &Value| record["kinesis"]["sequenceNumber"].as_str()?.parse().ok();
    payload["Records"].as_array().unwrap().iter().filter_map(number).collect()
}

async fn serve(world: &World, answers: Answers) -> (FunctionHost, watch::Receiver<Given>) {
    let socket = world.path("fed");
    let (told, given) = watch::channel(Given::default());
    let answer = move |body: Bytes| {
        let payload: Value = serde_json::from_slice(&body).unwrap();
        let answer = answers(&payload);
        told.send_modify(|given| {
            if given.calls.is_empty() {
                given.first = payload["Records"][0].clone();
            }
            given.calls.push((numbers(&payload), body.len()));
        });
        async move { said(answer) }
    };
    let router = Router::new().route("/revisions/{revision}/calls", post(answer));
    let router = router.layer(DefaultBodyLimit::disable());
    let listener = Listener::bind(&Address::Unix(socket.clone())).await.unwrap();
    let stopping = world.tasks.stopping();
    world.tasks.spawn("fake functions", listen::serve(listener, router, None, stopping));
    let host = FunctionHost {
        host: HostId::new(Uuid::from_u128(1)),
        socket: socket.display().to_string(),
        data_address: None,
        name: "here".parse().unwrap(),
        fleet: Fleet::Cold,
    };
    (host, given)
}

fn said(answer: Answer) -> Response {
    let (error, text) = match answer {
        Answer::Says(text) => (None, text),
        Answer::Fails => {
            let text = json!({ "errorMessage": "no" }).to_string();
            (Some("Function.ValueError".to_owned()), text)
        }
        Answer::TooLarge => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    };
    let called = Called { duration_us: 1, error, ..Called::default() };
    let called = serde_json::to_string(&called).unwrap();
    ([(CALLED_HEADER, called)], text).into_response()
}

impl Fed {
    async fn start(answers: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), answers).await
    }

    async fn start_in(
        folder: tempfile::TempDir,
        answers: impl Fn(&Value) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let folder_of = Some(folder.path().to_owned());
        let settings = Settings { folder: folder_of, usage_period_ms: 10, ..Settings::default() };
        let world = World::start_with(settings).await;
        let claimed = StreamClaimed { yours: true, gateway: "this".to_owned() };
        *world.control.claimed.lock() = Some(claimed);
        let (host, given) = serve(&world, Arc::new(answers)).await;
        let function = function_of(&world.routes(2).endpoints[0]);
        let fed = Self { world, folder, function, host, given };
        fed.tell(2, vec![]).await;
        fed
    }

    fn routes(&self, generation: u64, sources: Vec<SourceRoute>) -> Routes {
        let mut routes = self.world.routes(generation);
        routes.principals[0].role = Role::Developer;
        routes.functions.push(self.function.clone());
        routes.hosts.push(self.host.clone());
        routes.streams.push(StreamRoute {
            stream: StreamId::new(Uuid::from_u128(STREAM)),
            account: AccountId::new(Uuid::from_u128(1)),
            account_name: "acme".parse().unwrap(),
            name: "kept".parse().unwrap(),
            spec: StreamSpec::default(),
        });
        routes.sources = sources;
        routes
    }

    async fn tell(&self, generation: u64, sources: Vec<SourceRoute>) {
        self.world.tell(self.routes(generation, sources)).await;
    }

    /// A source of this function.
    fn source(&self, number: u128, spec: SourceSpec) -> SourceRoute {
        SourceRoute {
            source: id(number),
            account: AccountId::new(Uuid::from_u128(1)),
            account_name: "acme".parse().unwrap(),
            function: self.function.function,
            qualifier: String::new(),
            stream: StreamId::new(Uuid::from_u128(STREAM)),
            spec,
            generation: 1,
            created_at_ms: 0,
            next_event: 0,
        }
    }

    async fn append(&self, events: &[Value]) {
        for events in events.chunks(200) {
            let body = serde_json::to_vec(events).unwrap();
            let headers = [("content-type", "application/cloudevents-batch+json")];
            let ask = Ask::post("/v1/streams/kept/events", &body).with(&headers);
            let answer = self.world.ask(ask).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }

    /// What the function was given, once it had this event.
    async fn given(&mut self, number: u64) -> Given {
        let had = self.given.wait_for(|given| given.numbers().contains(&number)).await;
        had.unwrap().clone()
    }

    /// What was told of a source, once this is so.
    async fn counts(
        &self,
        number: u128,
        wanted: impl Fn(&[SourceCount]) -> bool,
    ) -> Vec<SourceCount> {
        loop {
            let reports = self.world.control.reports.lock().clone();
            let counts = reports.into_iter().flat_map(|report| report.sources);
            let counts: Vec<_> = counts.filter(|it| it.source == id(number)).collect();
            if wanted(&counts) {
                return counts;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The same, once so many were given up.
    async fn given_up(&self, number: u128, wanted: u64) -> Vec<SourceCount> {
        let sum = |counts: &[SourceCount]| counts.iter().map(|it| it.given_up).sum::<u64>();
        self.counts(number, |counts| sum(counts) >= wanted).await
    }

    fn place(&self, number: u128) -> std::path::PathBuf {
        self.folder.path().join("sources").join(id(number).to_string())
    }
}

fn event(number: u64) -> Value {
    json!({ "specversion": "1.0", "id": format!("e{number}"), "source": "/shop", "type": "sale" })
}

fn takes(_: &Value) -> Answer {
    Answer::Says("{}".to_owned())
}

fn spec() -> SourceSpec {
    SourceSpec { retries: Some(0), ..SourceSpec::default() }
}

#[tokio::test]
async fn what_a_function_says_is_cut_before_it_is_told() {
    let fed = Fed::start(|_| Answer::Says(json!("\0é".repeat(1 << 20)).to_string())).await;
    fed.append(&[event(1)]).await;
    let spec = SourceSpec { reports_failures: true, ..spec() };
    fed.tell(3, vec![fed.source(1, spec)]).await;
    let counts = fed.given_up(1, 1).await;
    for count in &counts {
        assert!(count.result.len() <= 512 && !count.result.contains('\0'), "{count:?}");
    }
    let given_up = fed.world.control.given_up.lock().clone();
    let message = &given_up[0].message;
    assert!(message.starts_with("PROBLEM: the answer does not say"), "{message}");
    assert!(message.len() <= 512 && !message.contains('\0'), "{message}");
}

#[tokio::test]
async fn a_source_that_control_refuses_to_hear_of_keeps_nothing_else_back() {
    let fed = Fed::start(takes).await;
    *fed.world.control.refuse_source.lock() = Some(id(1));
    fed.append(&[event(1)]).await;
    fed.tell(3, vec![fed.source(1, spec()), fed.source(2, spec())]).await;
    fed.counts(2, |counts| counts.iter().map(|it| it.delivered).sum::<u64>() == 1).await;
    fed.world.ask(Ask::post("/endpoints/echo/invocations", b"[[1, 2]]")).await;
    loop {
        let reports = fed.world.control.reports.lock().clone();
        assert!(reports.iter().flat_map(|it| &it.sources).all(|it| it.source != id(1)));
        let asked = reports.iter().flat_map(|it| &it.counts).map(|it| it.requests).sum::<u64>();
        assert!(asked <= 1, "counted once");
        if asked == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
}

/// What is said of an event beside its data is counted too.
#[tokio::test]
async fn a_batch_fits_a_call_however_much_is_said_of_its_events() {
    let mut fed = Fed::start(takes).await;
    let long = "\"".repeat(1_000);
    let event = |number: u64| {
        json!({
            "specversion": "1.0", "id": format!("{number}{long}"), "source": long, "type": long,
            "subject": long, "region": long, "group": long,
        })
    };
    let events: Vec<_> = (1..=1_000).map(event).collect();
    fed.append(&events).await;
    // Each waits until it is full.
    let spec = SourceSpec { batch: 10_000, window_ms: 300_000, ..spec() };
    fed.tell(3, vec![fed.source(1, spec)]).await;
    let given = fed.given(600).await;
    let numbers = given.numbers();
    assert!((1..).zip(&numbers).all(|(number, given)| number == *given), "{numbers:?}");
    let largest = given.calls.iter().map(|(_, bytes)| *bytes).max().unwrap();
    assert!(largest <= PAYLOAD_BYTES_MAX, "{largest}");
    assert!(largest > PAYLOAD_BYTES_MAX * 9 / 10, "{largest}");
}

#[tokio::test]
async fn what_is_too_large_for_a_call_comes_in_parts_and_one_event_alone_is_given_up() {
    let most = |payload: &Value| {
        let numbers = numbers(payload);
        if numbers.len() > 3 || numbers.contains(&9) {
            return Answer::TooLarge;
        }
        Answer::Says("{}".to_owned())
    };
    let mut fed = Fed::start(most).await;
    fed.append(&(1..=10).map(event).collect::<Vec<_>>()).await;
    fed.tell(3, vec![fed.source(1, spec())]).await;
    fed.given(10).await;
    let counts = fed.given_up(1, 1).await;
    let sum = |of: fn(&SourceCount) -> u64| counts.iter().map(of).sum::<u64>();
    assert_eq!(sum(|it| it.given_up), 1);
    fed.counts(1, |counts| counts.iter().map(|it| it.delivered).sum::<u64>() == 9).await;
    let given_up = fed.world.control.given_up.lock().clone();
    assert_eq!((given_up.len(), given_up[0].first, given_up[0].last), (1, 9, 9));
    assert!(given_up[0].message.contains("larger than"), "{given_up:?}");
}

/// Whatever nobody is told of can be given to the function again as it was.
#[tokio::test]
async fn what_is_given_up_is_kept_in_parts_that_can_be_kept() {
    let fed = Fed::start(|_| Answer::Fails).await;
    let data = BASE64_STANDARD.encode(vec![7; 200 << 10]);
    let large = |number: u64| {
        let mut event = event(number);
        event["data_base64"] = json!(data);
        event
    };
    fed.append(&(1..=12).map(large).collect::<Vec<_>>()).await;
    // One that is so alone.
    let mut lone = event(13);
    lone["data_base64"] = json!(BASE64_STANDARD.encode(vec![7; 900 << 10]));
    fed.append(&[lone]).await;
    fed.tell(3, vec![fed.source(1, spec())]).await;
    fed.given_up(1, 13).await;
    let mut all = Vec::new();
    for part in fed.world.control.given_up.lock().iter() {
        let lone = (part.first, part.last) == (13, 13);
        let Some(payload) = &part.payload else {
            assert!(lone, "{} to {} have no payload", part.first, part.last);
            all.push(13);
            continue;
        };
        assert!(payload.len() <= EVENT_KEPT_BYTES_MAX && !lone);
        let given = numbers(&serde_json::from_str(payload).unwrap());
        assert_eq!((given[0], given.len() as u64), (part.first, part.count));
        all.extend(given);
    }
    assert_eq!(all, (1..=13).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_source_whose_place_is_lost_goes_on_where_control_knows_it_was() {
    let mut fed = Fed::start(takes).await;
    fed.append(&(1..=5).map(event).collect::<Vec<_>>()).await;
    let Fed { world, folder, .. } = fed;
    world.tasks.stop(5_000).await;
    drop(world);
    fed = Fed::start_in(folder, takes).await;
    let told = SourceRoute { next_event: 4, ..fed.source(1, spec()) };
    // Numbers that are beyond the stream were lost with it, and are given to others.
    let beyond = SourceRoute { next_event: 900, ..fed.source(2, spec()) };
    fed.tell(3, vec![told]).await;
    assert_eq!(fed.given(5).await.numbers(), [4, 5]);
    fed.tell(4, vec![beyond]).await;
    fed.append(&[event(6)]).await;
    assert_eq!(fed.given(6).await.numbers(), [4, 5, 6]);
}

/// Whatever the clocks say.
#[tokio::test]
async fn a_source_of_the_next_begins_with_what_comes_once_it_is_known() {
    let mut fed = Fed::start(takes).await;
    fed.append(&[event(1), event(2)]).await;
    let next = SourceSpec { start: SourceStart::Next, ..spec() };
    let ahead = SourceRoute { created_at_ms: 1, ..fed.source(1, next.clone()) };
    fed.tell(3, vec![ahead]).await;
    fed.append(&[event(3)]).await;
    assert_eq!(fed.given(3).await.numbers(), [3]);
    // One that is paused has what comes meanwhile once it goes on.
    let paused = SourceSpec { enabled: false, ..next.clone() };
    let behind = SourceRoute { created_at_ms: u64::MAX / 2_000, ..fed.source(2, paused) };
    fed.tell(4, vec![behind.clone()]).await;
    fed.append(&[event(4)]).await;
    let resumed = SourceRoute { spec: next, generation: 2, ..behind };
    fed.tell(5, vec![resumed]).await;
    assert_eq!(fed.given(4).await.numbers(), [3, 4]);
}

#[tokio::test]
async fn a_source_of_a_time_to_come_begins_then() {
    let fed = Fed::start(takes).await;
    let at_ms = workflow::Clock::system().now_ms() + 500;
    let start = SourceStart::AtMs(at_ms);
    fed.tell(3, vec![fed.source(1, SourceSpec { start, ..spec() })]).await;
    let mut number = 0;
    while fed.given.borrow().calls.is_empty() {
        number += 1;
        fed.append(&[event(number)]).await;
    }
    let first = fed.given.borrow().first.clone();
    let arrived_s = first["kinesis"]["approximateArrivalTimestamp"].as_f64().unwrap();
    let arrived = Duration::from_secs_f64(arrived_s) + Duration::from_millis(1);
    assert!(arrived >= Duration::from_millis(at_ms), "{arrived:?} is before {at_ms}");
}

#[tokio::test]
async fn a_filter_of_keys_finds_what_records_have() {
    let mut fed = Fed::start(takes).await;
    let mut subject = event(2);
    subject["subject"] = json!("e1");
    fed.append(&[event(1), subject, event(3)]).await;
    let filters = vec![json!({ "partitionKey": ["e1"] }).to_string()];
    fed.tell(3, vec![fed.source(1, SourceSpec { filters, ..spec() })]).await;
    assert_eq!(fed.given(2).await.numbers(), [1, 2]);
    assert_eq!(fed.given.borrow().first["kinesis"]["partitionKey"], "e1");
}

#[tokio::test]
async fn places_of_sources_that_are_gone_go_too() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join("sources");
    std::fs::create_dir_all(&left).unwrap();
    // It was removed while this gateway was away.
    let left = left.join(id(9).to_string());
    std::fs::write(&left, "7\n").unwrap();
    let mut fed = Fed::start_in(folder, takes).await;
    fed.append(&[event(1)]).await;
    fed.tell(3, vec![fed.source(1, spec())]).await;
    fed.given(1).await;
    gone(&left).await;
    assert!(fed.place(1).exists());
    fed.tell(4, vec![]).await;
    gone(&fed.place(1)).await;
}

async fn gone(path: &Path) {
    while path.exists() {
        tokio::task::yield_now().await;
    }
}
