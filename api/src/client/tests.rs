use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::http::{HeaderMap as Headers, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json};
use bytes::Bytes;
use futures::TryStreamExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use types::{Digest, ObjectId};

use super::*;
use crate::accounts::CreateToken;
use crate::internal::Watch;
use crate::listen::{self, Listener};
use crate::objects::{Chunk, CommitObject, Missing, MissingQuery, Object, ReceivedChunks};
use crate::pages::PageQuery;
use crate::problem::Problem;
use crate::{IDEMPOTENCY_HEADER, chunks};

/// A server for as long as it is held.
struct Served {
    _tasks: JoinSet<()>,
    url: String,
}

impl Served {
    async fn new(router: Router) -> Self {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", listener.address());
        let mut tasks = JoinSet::new();
        tasks.spawn(listen::serve(listener, router, None, CancellationToken::new()));
        Self { _tasks: tasks, url }
    }

    fn client(&self) -> Client {
        Client::connect(&self.url, Some("fh_secret")).unwrap()
    }
}

fn refuse(status: u16, code: &str) -> Response {
    let problem = Problem {
        page: format!("/v1/errors/{code}"),
        status,
        code: code.to_owned(),
        title: "no".to_owned(),
        hint: Some("try".to_owned()),
        request_id: None,
    };
    (StatusCode::from_u16(status).unwrap(), Json(problem)).into_response()
}

/// Answers each attempt in turn and remembers the headers it saw.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
    seen: Arc<Mutex<Vec<Headers>>>,
}

async fn scripted(answers: &[(u16, &'static str)]) -> (Served, Script) {
    let script = Script::default();
    script.answers.lock().unwrap().extend(answers.iter().rev());
    let answer = |State(script): State<Script>, headers: Headers| async move {
        script.seen.lock().unwrap().push(headers);
        let next = script.answers.lock().unwrap().pop();
        match next {
            Some((200, text)) => text.to_owned().into_response(),
            Some((status, code)) => refuse(status, code),
            None => panic!("asked too often"),
        }
    };
    let router = Router::new().fallback(any(answer)).with_state(script.clone());
    (Served::new(router).await, script)
}

const TOKEN: &str = r#"{"token":{"id":"token-00000000000000000000000000000001","label":"a",
    "role":"reader","created_at_ms":1},"secret":"fh_1"}"#;

fn wanted() -> CreateToken {
    let role = crate::accounts::Role::Reader;
    CreateToken { label: "a".to_owned(), role, lifetime_ms: None, access_key: false }
}

#[tokio::test]
async fn a_creating_call_is_repeated_under_one_key() {
    let answers = [(503, "unavailable"), (409, "idempotency_in_progress"), (200, TOKEN)];
    let (served, script) = scripted(&answers).await;
    served.client().with_trace("00-1-2-01").token_create(&wanted()).await.unwrap();
    let seen = script.seen.lock().unwrap();
    let keys: BTreeSet<_> = seen.iter().map(|seen| seen[IDEMPOTENCY_HEADER].clone()).collect();
    assert_eq!((seen.len(), keys.len()), (3, 1));
    assert!(seen.iter().all(|seen| seen["authorization"] == "Bearer fh_secret"));
    assert!(seen.iter().all(|seen| seen["traceparent"] == "00-1-2-01"));
}

#[tokio::test]
async fn a_key_of_the_caller_is_used_as_it_is() {
    let (served, script) = scripted(&[(200, TOKEN), (200, TOKEN)]).await;
    let client = served.client();
    client.with_key("mine").unwrap().token_create(&wanted()).await.unwrap();
    client.token_create(&wanted()).await.unwrap();
    let seen = script.seen.lock().unwrap();
    assert_eq!(seen[0][IDEMPOTENCY_HEADER], "mine");
    assert_ne!(seen[1][IDEMPOTENCY_HEADER], "mine");
}

#[tokio::test]
async fn what_is_final_or_unsafe_is_not_repeated() {
    let (served, script) = scripted(&[(404, "not_found"), (503, "unavailable")]).await;
    let refused = served.client().whoami().await.unwrap_err();
    assert_eq!((refused.code(), refused.status()), ("not_found", Some(404)));
    assert_eq!(refused.to_string(), "no (not_found): try");
    let invocation = Invocation {
        media_type: "application/json".to_owned(),
        accept: None,
        body: Bytes::from_static(b"{}"),
        header_length: None,
        wait_ms: 0,
    };
    let refused = served.client().endpoint_invoke("risk", invocation).await.unwrap_err();
    assert!(refused.passes());
    assert_eq!(script.seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_answer_of_something_in_between_gets_the_nearest_code() {
    let router = Router::new()
        .route("/v1/whoami", get(|| async { (StatusCode::FORBIDDEN, "<html>") }))
        .route("/v2/models/m", get(|| async { (StatusCode::BAD_REQUEST, r#"{"error":"odd"}"#) }))
        .route("/v1/tokens", get(|| async { "not json" }));
    let served = Served::new(router).await;
    assert_eq!(served.client().whoami().await.unwrap_err().code(), "forbidden");
    let odd = served.client().model_metadata(None, &"m".parse().unwrap()).await.unwrap_err();
    assert_eq!((odd.code(), odd.to_string().as_str()), ("bad_request", "odd (bad_request)"));
    let page = PageQuery::default();
    let odd = served.client().tokens_list(&page).await.unwrap_err();
    assert!(matches!(odd, Error::Answer { .. }));
}

#[tokio::test]
async fn a_missing_server_is_named_with_a_cure() {
    let gone = {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        listener.address().to_string()
    };
    let error = Client::connect(&gone, None).unwrap().health().await.unwrap_err();
    assert!(error.to_string().contains(&gone) && error.to_string().contains("freehold up"));
    assert_eq!(error.code(), "unavailable");
    let error = Client::connect("unix:/nowhere/s", None).unwrap().health().await.unwrap_err();
    assert!(error.to_string().contains("the socket is not there"), "{error}");
}

#[tokio::test]
async fn a_watch_names_its_generation_and_may_wait_longer_than_a_call() {
    let answer = |request: axum::extract::Request| async move {
        assert_eq!(request.uri().query(), Some("after=7&wait_ms=1000"));
        tokio::time::sleep(Duration::from_millis(200)).await;
        r#"{"generation":8,"principals":[],"endpoints":[]}"#
    };
    let served = Served::new(Router::new().route("/internal/v1/routes", get(answer))).await;
    let mut settings = Settings::new(served.url.parse().unwrap());
    settings.call_ms = 100;
    let client = Client::new(settings).unwrap();
    let routes = client.routes_watch(Watch { after: 7, wait_ms: 1_000 }).await.unwrap();
    assert_eq!(routes.generation, 8);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = || async { std::future::pending::<()>().await };
    let served = Served::new(Router::new().fallback(get(silent))).await;
    let mut settings = Settings::new(served.url.parse().unwrap());
    (settings.call_ms, settings.attempts) = (50, 2);
    let error = Client::new(settings).unwrap().health().await.unwrap_err();
    assert!(matches!(error, Error::Silent { wait_ms: 50, .. }), "{error}");
}

/// A store of chunks that loses the first commit's chunks, as a collector might.
#[derive(Clone, Default)]
struct Store {
    chunks: Arc<Mutex<BTreeSet<Digest>>>,
    sent: Arc<AtomicU32>,
    forget_once: Arc<AtomicU32>,
    committed: Arc<Mutex<Option<CommitObject>>>,
    content: Arc<Mutex<Vec<u8>>>,
}

fn object(bytes: u64, sha256: Digest) -> Json<Object> {
    let id: ObjectId = "obj-00000000000000000000000000000001".parse().unwrap();
    let media_type = "application/x-tar".to_owned();
    Json(Object { id, bytes, sha256, media_type, created_at_ms: 0 })
}

async fn missing(State(store): State<Store>, Json(query): Json<MissingQuery>) -> Json<Missing> {
    let held = store.chunks.lock().unwrap();
    let missing = query.chunks.iter().map(|chunk| chunk.hash).filter(|hash| !held.contains(hash));
    Json(Missing { missing: missing.collect() })
}

async fn receive(State(store): State<Store>, body: Bytes) -> Json<ReceivedChunks> {
    let mut received = Vec::new();
    for data in chunks::split(body).unwrap() {
        let chunk = chunks::name(&data);
        assert!(store.chunks.lock().unwrap().insert(chunk.hash), "sent twice");
        store.sent.fetch_add(1, Ordering::SeqCst);
        received.push(chunk);
    }
    Json(ReceivedChunks { received })
}

async fn commit(State(store): State<Store>, Json(wanted): Json<CommitObject>) -> Response {
    let mut held = store.chunks.lock().unwrap();
    if store.forget_once.swap(0, Ordering::SeqCst) == 1 {
        held.remove(&wanted.chunks[0].hash);
    }
    if !wanted.chunks.iter().all(|chunk| held.contains(&chunk.hash)) {
        return refuse(409, "missing_chunks");
    }
    let bytes = wanted.chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum();
    *store.committed.lock().unwrap() = Some(wanted);
    object(bytes, Digest([0; 32])).into_response()
}

fn store() -> (Store, Router) {
    let store = Store::default();
    let router = Router::new()
        .route("/v1/objects/missing", post(missing))
        .route("/v1/objects/chunks", post(receive))
        .route("/v1/objects", post(commit))
        .layer(DefaultBodyLimit::max(crate::objects::CHUNKS_BODY_BYTES_MAX))
        .with_state(store.clone());
    (store, router)
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 9_u64;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(step).collect()
}

#[tokio::test]
async fn an_upload_sends_each_missing_chunk_once_and_commits_all_in_order() {
    let (store, router) = store();
    let served = Served::new(router).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("package.tar");
    let half = noise(6 << 20);
    std::fs::write(&path, [half.as_slice(), &half, &half].concat()).unwrap();
    store.forget_once.store(1, Ordering::SeqCst);
    let seen = Mutex::new(Vec::new());
    let made = served
        .client()
        .object_upload_file(&path, "application/x-tar", |progress| {
            seen.lock().unwrap().push(progress);
        })
        .await
        .unwrap();
    assert_eq!(made.bytes, 18 << 20);
    let wanted: Vec<Chunk> = chunks::cut(std::fs::File::open(&path).unwrap())
        .map(|found| found.unwrap().chunk)
        .collect();
    let distinct: BTreeSet<_> = wanted.iter().map(|chunk| chunk.hash).collect();
    assert!(distinct.len() < wanted.len());
    assert_eq!(store.committed.lock().unwrap().as_ref().unwrap().chunks, wanted);
    // One more than there are: the one that was collected meanwhile.
    assert_eq!(store.sent.load(Ordering::SeqCst) as usize, distinct.len() + 1);
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.last().unwrap().done_bytes, 18 << 20);
    // Asked again, nothing travels.
    served.client().object_upload_file(&path, "application/x-tar", |_| {}).await.unwrap();
    assert_eq!(store.sent.load(Ordering::SeqCst) as usize, distinct.len() + 1);
}

#[tokio::test]
async fn a_stream_arrives_whole_and_a_broken_one_makes_nothing() {
    let router = Router::new().route(
        "/v1/objects/stream",
        post(|headers: Headers, body: Body| async move {
            assert!(headers.contains_key(IDEMPOTENCY_HEADER));
            match axum::body::to_bytes(body, usize::MAX).await {
                Ok(bytes) => object(bytes.len() as u64, Digest([0; 32])).into_response(),
                Err(_) => refuse(400, "object_incomplete"),
            }
        }),
    );
    let served = Served::new(router).await;
    let parts = (0..50).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![1; 100_000])));
    let made = served.client().object_stream("text/csv", futures::stream::iter(parts)).await;
    assert_eq!(made.unwrap().bytes, 5_000_000);
    let broken = [Ok(Bytes::from_static(b"a")), Err(std::io::Error::other("gone"))];
    let broken = served.client().object_stream("text/csv", futures::stream::iter(broken)).await;
    assert!(broken.is_err());
}

async fn content(
    State(store): State<Store>,
    Extension(ranges): Extension<bool>,
    UrlPath(_): UrlPath<ObjectId>,
    headers: Headers,
) -> Response {
    let whole = store.content.lock().unwrap().clone();
    let from = headers.get("range").filter(|_| ranges).map(|range| {
        let text = range.to_str().unwrap().trim_start_matches("bytes=").trim_end_matches('-');
        text.parse::<usize>().unwrap()
    });
    let sent = |bytes: &[u8]| {
        store.sent.fetch_add(u32::try_from(bytes.len()).unwrap(), Ordering::SeqCst);
        Bytes::copy_from_slice(bytes)
    };
    match from {
        Some(from) => (StatusCode::PARTIAL_CONTENT, sent(&whole[from..])).into_response(),
        None => sent(&whole).into_response(),
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_ended_and_is_checked() {
    for ranges in [true, false] {
        let store = Store::default();
        let bytes = noise(3 << 20);
        *store.content.lock().unwrap() = bytes.clone();
        let sha256 = {
            let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
            Digest(digest.as_ref().try_into().unwrap())
        };
        let length = bytes.len() as u64;
        let router = Router::new()
            .route("/v1/objects/{object}", get(move || async move { object(length, sha256) }))
            .route("/v1/objects/{object}/content", get(content))
            .layer(Extension(ranges))
            .with_state(store.clone());
        let served = Served::new(router).await;
        let folder = tempfile::tempdir().unwrap();
        let (path, part) = (folder.path().join("o"), folder.path().join("o.part"));
        std::fs::write(&part, &bytes[..1 << 20]).unwrap();
        let id = "obj-00000000000000000000000000000001".parse().unwrap();
        served.client().object_download_file(id, &path, |_| {}).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert!(!part.exists());
        let travelled = if ranges { 2 << 20 } else { 3 << 20 };
        assert_eq!(store.sent.load(Ordering::SeqCst), travelled);
        // A damaged beginning is found, thrown away, and the next attempt is whole.
        let other = folder.path().join("other");
        std::fs::write(folder.path().join("other.part"), vec![0; 1 << 20]).unwrap();
        let damaged = served.client().object_download_file(id, &other, |_| {}).await;
        assert!(matches!(damaged, Err(Error::Damaged { .. })));
        served.client().object_download_file(id, &other, |_| {}).await.unwrap();
        let tail = served.client().object_content(id, length - 3).await.unwrap();
        let tail: Vec<Bytes> = tail.stream.try_collect().await.unwrap();
        assert_eq!(tail.concat(), bytes[bytes.len() - 3..]);
    }
}

#[test]
fn addresses_of_this_machine_are_plain_and_others_are_not() {
    let text = |text: &str| text.parse::<Address>().map(|address| address.to_string()).ok();
    assert_eq!(text("localhost:8000").as_deref(), Some("http://localhost:8000"));
    assert_eq!(text("cloud.example").as_deref(), Some("https://cloud.example"));
    assert_eq!(text("http://10.0.0.1:80/").as_deref(), Some("http://10.0.0.1:80"));
    assert_eq!(text("unix:/run/s").as_deref(), Some("unix:/run/s"));
    for bad in ["", "ftp://a", "unix:", "http://"] {
        assert_eq!(text(bad), None, "{bad}");
    }
    assert!(Client::connect("localhost:1", Some("line\nbreak")).is_err());
}
