//! Who may do what: every route as its owner, as an account it was granted to, as a stranger, with
//! a wrong token, and without one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tonic::Code;

use crate::world::{ACME, Ask, OTHER, World};

const INFER: &[u8] =
    br#"{"inputs": [{"name": "INPUT", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}"#;

#[tokio::test]
async fn every_route_refuses_strangers_and_tells_them_nothing() {
    let world = World::start().await;
    let callers =
        [("acme", Some(ACME)), ("other", Some(OTHER)), ("wrong", Some("x")), ("none", None)];
    let mut table = String::new();
    for path in [
        "GET /v2/health/live",
        "GET /v2/health/ready",
        "GET /v2",
        "GET /v2/models/stats",
        "POST /v2/repository/index",
        "GET /v2/models/{}",
        "GET /v2/models/{}/versions/3",
        "GET /v2/models/{}/ready",
        "GET /v2/models/{}/config",
        "GET /v2/models/{}/stats",
        "POST /v2/models/{}/infer",
        "POST /v2/models/{}/versions/3/infer",
        "GET /endpoints/{}/ping",
        "POST /endpoints/{}/invocations",
    ] {
        let (method, path) = path.split_once(' ').unwrap();
        let models = ["acme.echo", "acme.granted", "acme.open", "acme.no", "echo"];
        let models = if path.contains("{}") { &models[..] } else { &[""] };
        for model in models {
            let path = path.replace("{}", model);
            table += &format!("{method} {path}:");
            for (name, secret) in callers {
                let body = match (method, path.as_str()) {
                    ("GET", _) | (_, "/v2/repository/index") => &b""[..],
                    (_, path) if path.starts_with("/endpoints") => b"[[1, 2]]",
                    _ => INFER,
                };
                let ask = Ask { method, path: &path, secret, body, headers: &[] };
                table += &format!(" {name} {}", world.ask(ask).await.status);
            }
            table += "\n";
        }
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn the_unknown_and_the_forbidden_are_the_same_to_the_byte() {
    let world = World::start().await;
    for (forbidden, unknown) in [
        ("/v2/models/acme.echo", "/v2/models/acme.none"),
        ("/v2/models/acme.echo/infer", "/v2/models/acme.none/infer"),
        ("/endpoints/acme.echo/invocations", "/endpoints/acme.none/invocations"),
    ] {
        for secret in [Some(OTHER), None] {
            let method =
                if forbidden.starts_with("/v2/models/acme.echo/") { "POST" } else { "GET" };
            let ask = |path| Ask { method, path, secret, ..Ask::default() };
            let forbidden = world.ask(ask(forbidden)).await;
            let unknown = world.ask(ask(unknown)).await;
            assert_eq!(forbidden.line().replace("echo", "none"), unknown.line());
        }
    }
}

#[tokio::test]
async fn lists_show_only_what_the_caller_may_invoke() {
    let world = World::start().await;
    let mut table = String::new();
    for secret in [Some(ACME), Some(OTHER), None] {
        let index = world.ask(Ask::post("/v2/repository/index", b"").from(secret)).await;
        let ready = world.ask(Ask::post("/v2/repository/index", br#"{"ready": true}"#));
        let names = |answer: &crate::world::Answered| {
            let json = answer.json();
            let names = json.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap());
            names.map(str::to_owned).collect::<Vec<_>>().join(" ")
        };
        table += &format!("{secret:?}: {}\n", names(&index));
        if secret == Some(ACME) {
            table += &format!("{secret:?} ready: {}\n", names(&ready.await));
        }
    }
    insta::assert_snapshot!(table);
}

/// In HTTP and in the metadata of gRPC; a name that comes with it has to be the account's.
#[tokio::test]
async fn a_token_is_taken_as_the_password_of_its_account() {
    let world = World::start().await;
    let mut grpc = crate::grpc::client(&world).await;
    let basic = |text: String| format!("Basic {}", STANDARD.encode(text));
    for (authorization, status) in [
        (basic(format!("acme:{ACME}")), 200),
        (basic(format!(":{ACME}")), 200),
        (format!("basic {}", STANDARD.encode(format!("acme:{ACME}"))), 200),
        (basic(format!("other:{ACME}")), 401),
        (basic(format!("acme:{OTHER}")), 401),
        (basic(format!("{ACME}:")), 401),
        (basic("acme:wrong".to_owned()), 401),
        (basic(ACME.to_owned()), 401),
        (format!("Basic {ACME}"), 401),
        (format!("Negotiate {ACME}"), 401),
    ] {
        let headers = [("authorization", authorization.as_str())];
        let infer = Ask::post("/v2/models/echo/infer", INFER).from(None).with(&headers);
        let invoke = Ask::post("/endpoints/echo/invocations", b"[[1, 2]]").from(None);
        for ask in [infer, invoke.with(&headers), Ask::get("/v2").from(None).with(&headers)] {
            assert_eq!(world.ask(ask).await.status, status, "{} {authorization}", ask.path);
        }
        let mut request = tonic::Request::new(crate::grpc::infer("echo", true));
        request.metadata_mut().insert("authorization", authorization.parse().unwrap());
        let code =
            grpc.model_infer(request).await.map_or_else(|status| status.code(), |_| Code::Ok);
        let wanted = if status == 200 { Code::Ok } else { Code::Unauthenticated };
        assert_eq!(code, wanted, "{authorization}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_as_soon_as_the_routes_are_here() {
    let world = World::start().await;
    assert_eq!(world.ask(Ask::get("/v2/models/echo")).await.status, 200);
    let mut routes = world.routes(2);
    routes.principals.remove(0);
    world.tell(routes).await;
    assert_eq!(world.ask(Ask::get("/v2/models/echo")).await.status, 401);
}
