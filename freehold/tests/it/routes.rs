//! Every route of the native API, walked from its own description, as nobody and as a stranger.
//!
//! A route without a line in [`ask`] is asked with an empty object, and has to be refused: so a new
//! one is covered the day it exists.

use std::fmt::Write as _;

use api::accounts::{CreateToken, Role};
use api::functions::{CreateAlias, CreateFunction, LATEST};
use api::items::Sharing;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Account, Cloud, Package};
use types::FunctionRuntime;

use crate::world::{PROGRAM, http, name, strangers};

/// The description, as it is kept beside the types it describes.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../api/openapi.json");

#[test]
fn openapi_document_is_the_golden_file() {
    let mut actual = serde_json::to_string_pretty(&control::http::openapi()).unwrap();
    actual.push('\n');
    if std::env::var_os("INSTA_UPDATE").is_some_and(|wanted| wanted == "always") {
        std::fs::write(GOLDEN, &actual).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    let differs = golden.lines().zip(actual.lines()).position(|(old, new)| old != new);
    assert!(
        golden == actual,
        "the API is not what api/openapi.json says, from line {:?} on; if that is meant, \
         run: cargo xtask openapi",
        differs.map(|line| line + 1)
    );
}

/// Tools that make a client of the description name its functions by these.
#[test]
fn every_operation_has_an_id_of_its_own() {
    let document = serde_json::to_value(control::http::openapi()).unwrap();
    let mut ids: Vec<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .filter_map(|operation| operation["operationId"].as_str())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert!(count > 100 && ids.len() == count, "{} of {count} ids", ids.len());
}

/// A route of the description.
#[derive(Debug)]
struct Route {
    method: Method,
    path: String,
    open: bool,
}

fn routes() -> Vec<Route> {
    let document = serde_json::to_value(control::http::openapi()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete", "patch", "head", "options", "trace"] {
            if item.get(method).is_none() {
                continue;
            }
            let open = control::http::OPEN_PATHS.contains(&path.as_str())
                || path.starts_with(control::http::OPEN_PREFIX);
            let method = method.to_uppercase().parse().unwrap();
            routes.push(Route { method, path: path.clone(), open });
        }
    }
    assert!(routes.len() > 30, "the description lost its routes: {routes:?}");
    routes
}

/// What `acme` has, every name of which has `hush` in it, so that a leak is seen.
struct Things {
    publish: String,
    training: String,
    object: String,
    token: String,
    chunk: Value,
}

impl Things {
    async fn make(cloud: &str, owner: &Account) -> Self {
        let begun = owner.begin_publish(&Package::trainer("hush-trainer"), Sharing::Nobody).await;
        let publish = owner.ended_publish(begun.unwrap().id).await;
        let algorithm = publish.version.clone().unwrap();
        let dataset = owner.publish_for(&Package::events("hush-events"), Sharing::Nobody).await;
        let training = owner.begin_train((&algorithm, &dataset), &[], "hush-model").await.unwrap();
        let training = owner.training_in(training.id, &[]).await;
        owner.deploy("hush-endpoint", training.model.as_ref().unwrap()).await;
        let function = CreateFunction {
            environment: [("SAID".to_owned(), "hush, a variable".to_owned())].into(),
            description: "hush, a description".to_owned(),
            ..CreateFunction::new(
                "hush-function".parse().unwrap(),
                FunctionRuntime::Provided,
                publish.object,
            )
        };
        owner.client.function_create(&function).await.unwrap();
        let alias = CreateAlias {
            name: "hush-alias".parse().unwrap(),
            version: LATEST.to_owned(),
            other: None,
            max_stale_ms: None,
            description: "hush, an alias".to_owned(),
        };
        owner.client.alias_create(&function.name, &alias).await.unwrap();
        for (path, wanted) in [
            (
                "/v1/grants",
                json!({ "name": "hush-grant", "function": "hush-function",
                    "sharing": { "with": "nobody" }, "description": "hush, a grant" }),
            ),
            (
                "/v1/services",
                json!({ "name": "hush-service", "spec": { "description": "hush, a service",
                    "operations": [{ "path": "/hush", "function": "hush-function" }] } }),
            ),
            ("/v1/services/hush-service/keys", json!({ "name": "hush-key" })),
            (
                "/v1/streams",
                json!({ "name": "hush-stream", "spec": { "description": "hush, a stream" } }),
            ),
        ] {
            let made =
                http().post(format!("{cloud}{path}")).bearer_auth(&owner.token).json(&wanted);
            assert_eq!(made.send().await.unwrap().status(), 201, "{path}");
        }
        let label = "hush-token".to_owned();
        let wanted =
            CreateToken { label, role: Role::Reader, lifetime_ms: None, access_key: false };
        let token = owner.client.token_create(&wanted).await.unwrap();
        let mut body = Vec::new();
        let chunk = api::chunks::name(b"hush, a chunk");
        api::chunks::append(&mut body, b"hush, a chunk");
        owner.client.chunks_send(body.into()).await.unwrap();
        Self {
            publish: publish.id.to_string(),
            training: training.id.to_string(),
            object: publish.object.to_string(),
            token: token.token.id.to_string(),
            chunk: serde_json::to_value(chunk).unwrap(),
        }
    }

    /// The path with what belongs to `acme` in it.
    fn fill(&self, path: &str) -> String {
        let name = match path {
            _ if path.starts_with("/v1/items") => "hush-trainer",
            _ if path.starts_with("/v1/functions") => "hush-function",
            _ if path.starts_with("/v1/grants") => "hush-grant",
            _ if path.starts_with("/v1/links") => "hush-link",
            _ if path.starts_with("/v1/services") => "hush-service",
            _ if path.starts_with("/v1/streams") => "hush-stream",
            _ => "hush-endpoint",
        };
        path.replace("{account}", "acme")
            .replace("{name}", name)
            .replace("{number}", "1")
            .replace("{publish}", &self.publish)
            .replace("{training}", &self.training)
            .replace("{object}", &self.object)
            .replace("{token}", &self.token)
            .replace("{code}", "not_found")
            .replace("{alias}", "hush-alias")
            .replace("{schedule}", "hush-schedule")
            .replace("{version}", "1")
            .replace("{qualifier}", "1")
            .replace("{key}", "hush-key")
            .replace("{variant}", "hush-variant")
            .replace("{run}", "run-00000000000000000000000000000001")
            .replace("{source}", "source-00000000000000000000000000000001")
            .replace("{event}", "event-00000000000000000000000000000001")
    }

    /// A well-formed body that is about what belongs to `acme`, and the answers that are right.
    fn ask(&self, route: &Route) -> (Value, &'static [u16]) {
        let refused: &[u16] = &[403, 404];
        let Self { object, chunk, .. } = self;
        let data = json!({ "training": "acme/hush-events" });
        match (route.method.as_str(), route.path.as_str()) {
            // Asked about one's own account, and answered: nothing of another may be in it.
            (
                "GET",
                "/v1/accounts"
                | "/v1/endpoints"
                | "/v1/functions"
                | "/v1/grants"
                | "/v1/instance-types"
                | "/v1/items"
                | "/v1/links"
                | "/v1/publishes"
                | "/v1/received-grants"
                | "/v1/runs"
                | "/v1/search"
                | "/v1/services"
                | "/v1/sold-usage"
                | "/v1/status"
                | "/v1/streams"
                | "/v1/tokens"
                | "/v1/trainings"
                | "/v1/usage"
                | "/v1/whoami",
            ) => (Value::Null, &[200]),
            ("POST", "/v1/suggest") => (json!({}), &[200]),
            ("POST", "/v1/keys/rotate") => (Value::Null, &[200]),
            ("POST", "/v1/tokens") => (json!({ "label": "mine", "role": "reader" }), &[201]),
            ("POST", "/v1/objects/stream") => (json!({}), &[201]),
            ("POST", "/v1/objects/chunks") => (Value::Null, &[200, 400]),
            ("POST", "/v1/objects/missing") => (json!({ "chunks": [chunk] }), &[200]),
            // What another account has is missing here.
            ("POST", "/v1/objects") => {
                (json!({ "chunks": [chunk], "media_type": "text/plain" }), &[409])
            }
            ("POST", "/v1/publishes") => (json!({ "object": object }), refused),
            ("POST", "/v1/trainings") => (
                json!({ "algorithm": "acme/hush-trainer", "data": data, "model": "mine" }),
                refused,
            ),
            ("POST", "/v1/endpoints") => {
                (json!({ "name": "mine", "source": "acme/hush-model" }), refused)
            }
            ("POST", "/v1/functions") => {
                (json!({ "name": "mine", "runtime": "provided", "object": object }), refused)
            }
            ("PUT", "/v1/functions/{name}" | "/v1/functions/{name}/aliases/{alias}")
            | ("POST", "/v1/functions/{name}/versions") => (json!({ "generation": 1 }), refused),
            ("PUT", "/v1/functions/{name}/provisioned/{qualifier}") => {
                (json!({ "instances": 1 }), refused)
            }
            ("POST" | "PUT", "/v1/functions/{name}/url") => (json!({ "auth": "none" }), refused),
            ("POST", "/v1/functions/{name}/schedules") => {
                (json!({ "name": "mine", "expression": "rate(1 day)" }), refused)
            }
            ("POST", "/v1/functions/{name}/aliases") => {
                (json!({ "name": "mine", "version": "$LATEST" }), refused)
            }
            ("POST", "/v1/accounts") => (json!({ "name": "mine" }), refused),
            ("POST", "/v1/enrolments") => (json!({ "process": "agent", "name": "mine" }), refused),
            ("PUT", "/v1/endpoints/{name}") => {
                (json!({ "source": "acme/hush-model", "generation": 1 }), refused)
            }
            ("PUT", path) if path.ends_with("/sharing") => {
                (json!({ "sharing": { "with": "everybody" }, "generation": 1 }), refused)
            }
            (method, path) => Self::ask_across(method, path),
        }
    }

    /// The same about grants, links and services.
    fn ask_across(method: &str, path: &str) -> (Value, &'static [u16]) {
        let refused: &[u16] = &[403, 404];
        let spec = json!({ "operations": [{ "path": "/x", "function": "hush-function" }] });
        match (method, path) {
            ("PUT", "/v1/grants/{name}" | "/v1/links/{name}") => {
                (json!({ "generation": 1 }), refused)
            }
            ("POST", "/v1/grants") => {
                let nobody = json!({ "with": "nobody" });
                (json!({ "name": "mine", "function": "hush-function", "sharing": nobody }), refused)
            }
            ("POST", "/v1/links") => {
                (json!({ "name": "mine", "owner": "acme", "grant": "hush-grant" }), refused)
            }
            // A function of one's own that is not there makes the request wrong.
            ("POST", "/v1/services") => (json!({ "name": "mine", "spec": spec }), &[400]),
            ("PUT", "/v1/services/{name}") => (json!({ "spec": spec, "generation": 1 }), refused),
            ("POST", "/v1/services/{name}/keys") => (json!({ "name": "mine" }), refused),
            _ => Self::ask_of_evidence(method, path),
        }
    }

    /// The same about streams, variants and replays.
    fn ask_of_evidence(method: &str, path: &str) -> (Value, &'static [u16]) {
        let refused: &[u16] = &[403, 404];
        let run = "run-00000000000000000000000000000001";
        match (method, path) {
            ("POST", "/v1/streams") => (json!({ "name": "mine" }), &[201]),
            ("PUT", "/v1/streams/{name}") => (json!({ "spec": {}, "generation": 1 }), refused),
            ("POST", "/v1/runs") => {
                (json!({ "endpoint": "hush-endpoint", "stream": "hush-stream" }), refused)
            }
            ("POST", "/v1/endpoints/{name}/variants") => {
                (json!({ "variant": "mine", "source": "acme/hush-model" }), refused)
            }
            ("PUT", "/v1/endpoints/{name}/variants/{variant}/mode") => {
                (json!({ "mode": "test", "modes_number": 0 }), refused)
            }
            ("POST", "/v1/endpoints/{name}/variants/{variant}/promotion") => {
                (json!({ "run": run, "mode": "production" }), refused)
            }
            ("PUT", "/v1/endpoints/{name}/gate") => {
                (json!({ "conditions": [{ "metric": "verdict" }] }), refused)
            }
            ("POST", "/v1/functions/{name}/sources") => {
                (json!({ "stream": "hush-stream" }), refused)
            }
            ("PUT", "/v1/functions/{name}/sources/{source}") => {
                (json!({ "spec": {}, "generation": 1 }), refused)
            }
            ("PUT", "/v1/endpoints/{name}/capture") => {
                (json!({ "stream": "hush-stream" }), refused)
            }
            // A rule is nobody's: whoever has an account may ask one.
            ("POST", "/v1/rules/answers") => (json!({}), &[400]),
            ("POST", "/v1/endpoints/{name}/gate/judgement") => (json!({ "run": run }), refused),
            ("POST", "/v1/endpoints/{name}/triggers") => {
                let when = json!({ "is": { "metric": "errors_ppm", "at_least": 1 } });
                let then = json!([{ "kind": "revert" }]);
                let wanted =
                    json!({ "name": "mine", "when": when, "window_ms": 60_000, "then": then });
                (wanted, refused)
            }
            _ => (json!({}), refused),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_nobody_and_strangers() {
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, stranger) = strangers(&cloud).await;
    let things = Things::make(&cloud.http(), &owner).await;
    let client = http();
    let mut wrong = String::new();
    for route in routes() {
        let (body, right) = things.ask(&route);
        let url = format!("{}{}", cloud.http(), things.fill(&route.path));
        for token in [None, Some("not-a-token"), Some(stranger.token.as_str())] {
            let mut request = client.request(route.method.clone(), &url);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            if matches!(route.method, Method::POST | Method::PUT) && !body.is_null() {
                request = request.json(&body);
            }
            let answer = request.send().await.unwrap();
            let status = answer.status();
            let told = answer.text().await.unwrap();
            let right: &[u16] = match (route.open, token == Some(stranger.token.as_str())) {
                (true, _) => &[200],
                (false, false) => &[401],
                (false, true) => right,
            };
            // A refusal may repeat the name that was asked about, and nothing else.
            let leak = status.is_success() && told.contains("hush") && !route.open;
            let leak = leak && !route.path.ends_with("/missing");
            if !right.contains(&status.as_u16()) || leak {
                let _ = writeln!(wrong, "{} {url} as {token:?}: {status} {told}", route.method);
            }
            if status.is_client_error() && !told.contains("\"code\"") {
                let _ = writeln!(wrong, "{} {url}: no problem details: {told}", route.method);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    // The console is open to everybody, and so holds nothing of anybody.
    for path in ["/console/", "/console/endpoints/hush-endpoint", "/console/items?text=hush"] {
        let answer = client.get(format!("{}{path}", cloud.http())).send().await.unwrap();
        let told = answer.text().await.unwrap();
        assert!(told.contains("<title>Freehold</title>") && !told.contains("hush"), "{told}");
    }
    // What was refused did not happen either.
    let items = owner.client.items_list(&api::pages::PageQuery::default()).await.unwrap();
    assert_eq!(items.items.len(), 3);
    assert!(items.items.iter().all(|item| item.sharing == Some(Sharing::Nobody)), "{items:?}");
    let endpoint = owner.client.endpoint_fetch(&name("hush-endpoint")).await.unwrap();
    assert_eq!(endpoint.sharing, Sharing::Nobody);
    owner.client.token_revoke(things.token.parse().unwrap()).await.unwrap();
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_of_the_api_is_not_served() {
    let cloud = Cloud::one(PROGRAM).await;
    let operator = cloud.operator_token().to_owned();
    let client = http();
    for (path, wanted) in [
        ("/internal/v1/routes", 404),
        ("/v1/../internal/v1/routes", 404),
        ("/v1/%2e%2e/internal/v1/routes", 404),
        ("/v1//internal/v1/routes", 404),
        ("/metrics", 404),
        ("/v1/nothing", 404),
        ("/", 404),
        ("/v2", 200),
        ("/v2/health/live", 200),
        ("/v2/health/ready", 200),
    ] {
        let url = format!("{}{path}", cloud.http());
        let answer = client.get(&url).bearer_auth(&operator).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::from_u16(wanted).unwrap(), "{path}");
    }
    let metrics = client.get(cloud.metrics()).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("# EOF") || metrics.contains("# TYPE"), "{metrics}");
    cloud.close().await;
}
