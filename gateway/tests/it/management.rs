//! Management calls pass through to control; nothing else does.

use crate::world::{Ask, World};

#[tokio::test]
async fn only_v1_is_forwarded_with_an_id_and_a_trace() {
    let world = World::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mine = [("x-request-id", "mine-1"), ("traceparent", trace)];
    let asks = [
        Ask::get("/v1/items?limit=2&cursor=a%20b"),
        Ask::post("/v1/publishes", b"a body").with(&[("idempotency-key", "k")]),
        Ask::get("/v1").with(&mine),
        Ask::get("/v1/items").with(&[("connection", "x-hop"), ("x-hop", "1"), ("te", "trailers")]),
        Ask::get("/v1/items").from(None),
        Ask::get("/v1/away"),
        Ask::get("/v1/../internal/v1/routes"),
        Ask::get("/v1/%2e%2e/internal/v1/routes"),
        Ask::get("/v1/..%2finternal/v1/routes"),
        Ask::get("/internal/v1/routes"),
        Ask::get("/"),
        Ask::get("/metrics"),
    ];
    let mut golden = String::new();
    for ask in asks {
        let answer = world.ask(ask).await;
        golden += &format!("{} {}\n  {}\n", ask.method, ask.path, answer.line());
    }
    insta::assert_snapshot!(golden);
}

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    let world = World::start().await;
    let harmful = "x".repeat(65);
    let harmful = [("x-request-id", harmful.as_str())];
    let given = [("x-request-id", "caller-7")];
    for path in ["/v1/items", "/v2", "/v2/models/none", "/nothing", "/endpoints/echo/ping"] {
        let own = world.ask(Ask::get(path)).await;
        assert!(own.header("x-request-id").unwrap().starts_with("req-"), "{path}");
        let kept = world.ask(Ask::get(path).with(&given)).await;
        assert_eq!(kept.header("x-request-id"), Some("caller-7"), "{path}");
        let replaced = world.ask(Ask::get(path).with(&harmful)).await;
        assert!(replaced.header("x-request-id").unwrap().starts_with("req-"), "{path}");
    }
}
