//! Callers that go away or dawdle, instances that die, limits that are reached.

use gateway::Settings;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::world::{ACME, Answered, Ask, OTHER, World};

const BODY: &[u8] =
    br#"{"inputs": [{"name": "INPUT", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}"#;
const SLOW: &str = "/v2/models/slow/infer";

#[tokio::test]
async fn a_caller_that_goes_away_cancels_its_request_at_the_worker() {
    let mut world = World::start().await;
    let mut stream = TcpStream::connect(world.http).await.unwrap();
    stream.write_all(&Ask::post(SLOW, BODY).bytes()).await.unwrap();
    assert_eq!(world.slow.recv().await, Some("infer"));
    drop(stream);
    assert_eq!(world.slow.recv().await, Some("cancel"));
    let told = world.ask(Ask::get("/v2/models/slow/stats")).await.json();
    assert_eq!(told["model_stats"][0]["inference_stats"]["fail"]["count"], 1);
}

#[tokio::test]
async fn the_callers_timeout_stops_the_worker() {
    let mut world = World::start().await;
    let body =
        String::from_utf8_lossy(BODY).replacen('{', r#"{"parameters": {"timeout": 20000}, "#, 1);
    let answer = world.ask(Ask::post(SLOW, body.as_bytes())).await;
    assert_eq!(answer.status, 504);
    let text = "the model did not answer within 20000 microseconds and was stopped";
    assert_eq!(answer.json()["error"], text);
    assert_eq!(world.slow.recv().await, Some("infer"));
    assert_eq!(world.slow.recv().await, Some("cancel"));
}

#[tokio::test]
async fn the_producers_timeout_stops_the_worker() {
    let mut world = World::start().await;
    let mut routes = world.routes(2);
    routes.endpoints[3].stages[0].timeout_ms = 20;
    world.tell(routes).await;
    assert_eq!(world.ask(Ask::post(SLOW, BODY)).await.status, 504);
    assert_eq!(world.slow.recv().await, Some("infer"));
    assert_eq!(world.slow.recv().await, Some("cancel"));
}

#[tokio::test]
async fn a_client_that_stops_sending_is_let_go() {
    let settings = Settings { body_pause_ms_max: 30, ..Settings::default() };
    let world = World::start_with(settings).await;
    let all = Ask::post("/v2/models/echo/infer", BODY).bytes();
    let mut stream = TcpStream::connect(world.http).await.unwrap();
    stream.write_all(&all[..all.len() - 10]).await.unwrap();
    let answer = Answered::read(&mut stream).await;
    assert_eq!(answer.status, 408);
    assert_eq!(answer.text(), r#"{"error":"the body stopped for 30 ms before its end"}"#);
}

#[tokio::test]
async fn an_instance_that_is_away_is_passed_over() {
    let world = World::start().await;
    for _ in 0..4 {
        assert_eq!(world.ask(Ask::post("/v2/models/half/infer", BODY)).await.status, 200);
    }
}

#[tokio::test]
async fn an_instance_that_dies_loses_its_requests_and_no_others() {
    let world = World::start().await;
    for _ in 0..3 {
        let answer = world.ask(Ask::post("/v2/models/die/infer", BODY)).await;
        assert_eq!((answer.status, answer.text().contains("went away")), (503, true));
        assert_eq!(world.ask(Ask::post("/v2/models/echo/infer", BODY)).await.status, 200);
    }
}

#[tokio::test]
async fn a_caller_with_too_many_requests_is_told_and_others_are_served() {
    let settings = Settings { requests_per_caller_max: 1, ..Settings::default() };
    let mut world = World::start_with(settings).await;
    let mut stream = TcpStream::connect(world.http).await.unwrap();
    stream.write_all(&Ask::post(SLOW, BODY).bytes()).await.unwrap();
    assert_eq!(world.slow.recv().await, Some("infer"));
    let echo = Ask::post("/v2/models/acme.granted/infer", BODY);
    assert_eq!(world.ask(echo.from(Some(ACME))).await.status, 429);
    assert_eq!(world.ask(echo.from(Some(OTHER))).await.status, 200);
    drop(stream);
    assert_eq!(world.slow.recv().await, Some("cancel"));
    assert_eq!(world.ask(echo.from(Some(ACME))).await.status, 200);
}

#[tokio::test]
async fn a_full_instance_takes_no_more() {
    let settings = Settings { requests_per_backend_max: 1, ..Settings::default() };
    let mut world = World::start_with(settings).await;
    let mut stream = TcpStream::connect(world.http).await.unwrap();
    stream.write_all(&Ask::post(SLOW, BODY).bytes()).await.unwrap();
    assert_eq!(world.slow.recv().await, Some("infer"));
    assert_eq!(world.ask(Ask::post(SLOW, BODY)).await.status, 429);
}

#[tokio::test]
async fn a_caller_that_asks_too_fast_is_told_how_long_to_wait() {
    let settings = Settings { rate_per_min: 1, rate_burst: 2, ..Settings::default() };
    let world = World::start_with(settings).await;
    let echo = Ask::post("/v2/models/echo/infer", BODY);
    assert_eq!(world.ask(echo).await.status, 200);
    assert_eq!(world.ask(echo).await.status, 200);
    let refused = world.ask(echo).await;
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

#[tokio::test]
async fn requests_share_connections_and_are_answered_in_any_order() {
    let world = World::start().await;
    let asks = (0..64).map(|_| world.ask(Ask::post("/v2/models/echo/infer", BODY)));
    for answer in futures::future::join_all(asks).await {
        assert_eq!(answer.status, 200);
    }
    let connections = world.tasks.running()["backend reader"];
    assert!((1..=2).contains(&connections), "{connections} connections");
}

#[tokio::test]
async fn the_stop_leaves_no_task_and_loses_no_usage() {
    let world = World::start().await;
    assert_eq!(world.ask(Ask::post("/v2/models/echo/infer", BODY)).await.status, 200);
    let left = world.tasks.stop(5_000).await;
    assert_eq!(left, []);
    let counted: u64 =
        world.control.reports.lock().iter().flat_map(|it| &it.counts).map(|it| it.requests).sum();
    assert_eq!(counted, 1);
}
