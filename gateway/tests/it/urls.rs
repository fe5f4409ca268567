//! URLs of functions, over an agent that answers as a function could.

use api::functions::urls::{Cors, UrlAuth, UrlSettings};
use api::internal::Routes;
use api::internal::functions::pieces::{self, Piece};
use api::internal::functions::urls::UrlRoute;
use api::internal::functions::{
    CALL_HEADER, CALLED_HEADER, Call, Called, FunctionHost, FunctionRoute,
};
use api::listen::{self, Address, Listener};
use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use gateway::Settings;
use http::{HeaderMap, header};
use serde_json::{Value, json};
use types::{Fleet, HostId, UrlId};
use uuid::Uuid;

use crate::world::{ACME, Ask, OTHER, World, function_of};

const PRELUDE: &str = "application/vnd.awslambda.http-integration-response";

fn id(number: u8) -> UrlId {
    UrlId::of([number; 20])
}

/// A URL of the function, which lets these in.
fn url(number: u8, settings: UrlSettings, accounts: &[&str]) -> UrlRoute {
    let accounts = accounts.iter().map(|it| (*it).to_owned()).collect();
    UrlRoute { id: id(number), qualifier: String::new(), settings, accounts }
}

fn settings(auth: UrlAuth, stream: bool) -> UrlSettings {
    UrlSettings { auth, stream, cors: None }
}

/// An answer in pieces: these, then how it ended.
fn in_pieces(media_type: &str, data: &[&[u8]], error: Option<&str>) -> Response {
    let called = Called {
        media_type: Some(media_type.to_owned()),
        error: error.map(str::to_owned),
        ..Called::default()
    };
    let begun = Called { error: None, ..called.clone() };
    let mut body: Vec<u8> = Vec::new();
    for data in data {
        body.extend_from_slice(&pieces::write(&Piece::Data(Bytes::copy_from_slice(data))));
    }
    body.extend_from_slice(&pieces::write(&Piece::Ended(Box::new(called), Bytes::new())));
    let told = serde_json::to_string(&begun).unwrap();
    let content = pieces::MEDIA_TYPE.to_owned();
    ([(CALLED_HEADER.to_owned(), told), (header::CONTENT_TYPE.to_string(), content)], body)
        .into_response()
}

/// What the function does, by the path that it is asked for.
async fn function(headers: HeaderMap, body: Bytes) -> Response {
    let call: Call = serde_json::from_str(headers[CALL_HEADER].to_str().unwrap()).unwrap();
    let event: Value = serde_json::from_slice(&body).unwrap();
    let whole = |payload: String| {
        let called = serde_json::to_string(&Called::default()).unwrap();
        ([(CALLED_HEADER, called)], payload).into_response()
    };
    let said = json!({ "statusCode": 202, "headers": { "x-a": "b" } }).to_string();
    let said = said.as_bytes();
    match event["rawPath"].as_str().unwrap() {
        "/cut" => {
            let (start, end) = said.split_at(9);
            let data = [start, end, &[0; 3], &[0, 0, 0, 0, 0, b'o'], b"ne ", b"two"];
            in_pieces(PRELUDE, &data, None)
        }
        "/endless" => in_pieces(PRELUDE, &[said, &[0; 7]], None),
        "/early" => in_pieces(PRELUDE, &[&said[..9]], Some("Function.ValueError")),
        "/plain" => in_pieces("text/plain", &[b"one ", b"two"], None),
        "/theirs" => whole(
            json!({ "statusCode": 200, "headers": { "access-control-allow-origin": "*" } })
                .to_string(),
        ),
        _ => whole(json!({ "event": event, "stream": call.stream }).to_string()),
    }
}

/// A gateway that knows a function of `acme` with these URLs.
async fn world(gateway: Settings, urls: Vec<UrlRoute>) -> World {
    let world = World::start_with(gateway).await;
    let socket = world.path("functions");
    let agent = Router::new().route("/revisions/{revision}/calls", post(function));
    let listener = Listener::bind(&Address::Unix(socket.clone())).await.unwrap();
    let serve = listen::serve(listener, agent, None, world.tasks.stopping());
    world.tasks.spawn("fake functions", serve);
    let routes = world.routes(2);
    let owner = &routes.endpoints[0];
    let function = FunctionRoute { urls, ..function_of(owner) };
    let host = FunctionHost {
        host: HostId::new(Uuid::from_u128(1)),
        socket: socket.display().to_string(),
        data_address: None,
        name: "one".parse().unwrap(),
        fleet: Fleet::Cold,
    };
    world.tell(Routes { functions: vec![function], hosts: vec![host], ..routes }).await;
    world
}

#[tokio::test]
async fn a_prelude_says_how_an_answer_begins_however_it_is_cut() {
    let open = url(1, settings(UrlAuth::None, true), &["*"]);
    let world = world(Settings::default(), vec![open]).await;
    let ask = async |path: &str| {
        let path = format!("/urls/{}{path}", id(1));
        world.ask(Ask::get(&path).from(None)).await
    };
    let answer = ask("/cut").await;
    assert_eq!((answer.status, answer.header("x-a")), (202, Some("b")), "{}", answer.head);
    assert_eq!(answer.text(), "1\r\no\r\n3\r\nne \r\n3\r\ntwo\r\n0\r\n\r\n");
    let plain = ask("/plain").await;
    assert_eq!((plain.status, plain.header("content-type")), (200, Some("text/plain")));
    for path in ["/endless", "/early"] {
        let answer = ask(path).await;
        assert_eq!(answer.status, 502, "{path}: {}", answer.text());
    }
    let told = ask("?a=1").await.json();
    assert_eq!((&told["stream"], &told["event"]["rawPath"]), (&json!(true), &json!("/")));
}

#[tokio::test]
async fn a_url_answers_whom_it_lets_in_and_nobody_else() {
    let urls = vec![
        url(1, settings(UrlAuth::None, false), &["*"]),
        url(2, settings(UrlAuth::None, false), &[]),
        url(3, settings(UrlAuth::Iam, false), &[]),
        url(4, settings(UrlAuth::Iam, false), &["*"]),
    ];
    let world = world(Settings { tls: true, ..Settings::default() }, urls).await;
    for (number, secret, status) in [
        (1, None, 200),
        (1, Some("nonsense"), 200),
        (2, None, 403),
        (2, Some(ACME), 403),
        (3, None, 403),
        (3, Some("nonsense"), 403),
        (3, Some(OTHER), 403),
        (3, Some(ACME), 200),
        (4, None, 403),
        (4, Some(OTHER), 200),
        (5, None, 404),
    ] {
        let path = format!("/urls/{}/", id(number));
        let answer = world.ask(Ask::get(&path).from(secret)).await;
        assert_eq!(answer.status, status, "{number} {secret:?}: {}", answer.text());
        if status == 200 {
            let event = &answer.json()["event"];
            let context = &event["requestContext"];
            let is_checked = number > 2;
            assert_eq!(
                event["headers"].get("authorization").is_some(),
                !is_checked && secret.is_some()
            );
            assert_eq!(context["accountId"] == "anonymous", !is_checked);
            assert_eq!(event["headers"]["x-forwarded-proto"], "https");
        } else {
            assert!(answer.json()["Message"].is_string(), "{}", answer.text());
        }
    }
}

/// A browser has a page of a function's share nothing with the console, nor with other functions'.
#[tokio::test]
async fn by_path_a_functions_pages_have_an_origin_of_their_own() {
    let told = Settings { base_domain: Some("example.org".to_owned()), ..Settings::default() };
    let urls = vec![url(1, settings(UrlAuth::None, false), &["*"])];
    let world = world(told, urls).await;
    let host = format!("{}.lambda-url.example.org", id(1));
    let by_path = format!("/urls/{}/", id(1));
    for (path, headers, boxed) in [
        (by_path.as_str(), [("x-a", "b")], true),
        ("/urls/unknown/", [("x-a", "b")], true),
        ("/", [("host", host.as_str())], false),
        ("/v2", [("x-a", "b")], false),
    ] {
        let answer = world.ask(Ask::get(path).with(&headers)).await;
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert_eq!(policy.starts_with("sandbox "), boxed, "{path} {headers:?}: {}", answer.head);
        assert!(!policy.contains("same-origin"), "{policy}");
    }
}

#[tokio::test]
async fn what_is_said_of_other_sites_is_the_owners_to_say() {
    let cors = Cors {
        origins: vec!["https://a.example".to_owned()],
        methods: vec!["*".to_owned()],
        ..Cors::default()
    };
    let urls = vec![
        url(1, settings(UrlAuth::None, false), &["*"]),
        url(2, UrlSettings { cors: Some(cors), ..settings(UrlAuth::Iam, false) }, &[]),
    ];
    let world = world(Settings::default(), urls).await;
    let allowed = "access-control-allow-origin";
    let asks = [("origin", "https://a.example"), ("access-control-request-method", "PUT")];
    let preflight = async |number: u8| {
        let path = format!("/urls/{}/theirs", id(number));
        let ask = Ask { method: "OPTIONS", ..Ask::get(&path).with(&asks).from(None) };
        world.ask(ask).await
    };
    assert_eq!(preflight(1).await.header(allowed), Some("*"), "the function's to say");
    let told = preflight(2).await;
    assert_eq!((told.status, told.header(allowed)), (200, Some("https://a.example")));
    assert_eq!(told.header("access-control-allow-methods"), Some("PUT"));
    for (secret, status) in [(None, 403), (Some(ACME), 200)] {
        for (origin, seen) in [("https://a.example", Some("https://a.example")), ("null", None)] {
            let path = format!("/urls/{}/theirs", id(2));
            let headers = [("origin", origin)];
            let answer = world.ask(Ask::get(&path).with(&headers).from(secret)).await;
            assert_eq!((answer.status, answer.header(allowed)), (status, seen), "{origin}");
            assert_eq!(answer.header("vary"), Some("origin"));
        }
    }
}
