//! `/ping` and `/invocations`, by name and on an endpoint's own host name.

use bytes::Bytes;
use formats::npy;
use gateway::Settings;
use types::{Datatype, Tensor};

use crate::world::{Ask, World};

const PATH: &str = "/endpoints/echo/invocations";

#[tokio::test]
async fn json_csv_and_errors() {
    let world = World::start().await;
    let csv = [("content-type", "text/csv")];
    let csv_named = [("content-type", "text/csv"), ("accept", "text/csv; header=present")];
    let csv_to_json = [("content-type", "text/csv"), ("accept", "application/json")];
    let image = [("content-type", "image/png")];
    let to_image = [("accept", "image/png")];
    let asks = [
        Ask::get("/endpoints/echo/ping"),
        Ask::get("/endpoints/cold/ping"),
        Ask::get("/endpoints/none/ping"),
        Ask::post("/endpoints/echo/ping", b""),
        Ask::post(PATH, br#"{"instances": [[1, 2], [3.5, 4]]}"#),
        Ask::post(PATH, br#"{"inputs": {"INPUT": [[1, 2]]}}"#),
        Ask::post(PATH, b"[[1, 2]]").with(&[("accept", "text/csv")]),
        Ask::post(PATH, b"1,2\n3.5,4\n").with(&csv),
        Ask::post(PATH, b"1,2\n").with(&csv_named),
        Ask::post(PATH, b"1,2\n").with(&csv_to_json),
        Ask::post(PATH, b"1,x\n").with(&csv),
        Ask::post(PATH, b"1,2,3\n").with(&csv),
        Ask::post(PATH, b"x").with(&image),
        Ask::post(PATH, b"[[1, 2]]").with(&to_image),
        Ask::post(PATH, b"[[1, 2], [3]]"),
        Ask::post(PATH, b"{}"),
        Ask::post("/endpoints/none/invocations", b"[[1, 2]]"),
        Ask::post("/endpoints/fail/invocations", b"[[1, 2]]"),
        Ask::post("/invocations", b"[[1, 2]]"),
        Ask::get("/ping"),
    ];
    let mut golden = String::new();
    for ask in asks {
        let answer = world.ask(ask).await;
        let body = String::from_utf8_lossy(ask.body).into_owned();
        golden += &format!("{} {} {body:?}\n  {}\n", ask.method, ask.path, answer.line());
    }
    insta::assert_snapshot!(golden);
}

#[tokio::test]
async fn numpy_both_ways() {
    let world = World::start().await;
    let data: Bytes = [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|it| it.to_le_bytes()).collect();
    let tensor =
        Tensor { name: "OUTPUT".to_owned(), datatype: Datatype::Fp32, shape: vec![2, 2], data };
    let file = npy::write(&tensor).unwrap();
    let headers = [("content-type", "application/x-npy")];
    let answer = world.ask(Ask::post(PATH, &file).with(&headers)).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-npy")));
    assert_eq!(npy::read(&answer.body, "OUTPUT").unwrap(), tensor);
}

#[tokio::test]
async fn an_endpoint_answers_bare_paths_on_its_own_host_name() {
    let base_domain = Some("example.org".to_owned());
    let world = World::start_with(Settings { base_domain, ..Settings::default() }).await;
    let mut golden = String::new();
    for host in ["echo.acme.example.org:8000", "none.acme.example.org", "example.org", "localhost"]
    {
        let headers = [("host", host)];
        let ping = world.ask(Ask::get("/ping").with(&headers)).await.status;
        let invoked = world.ask(Ask::post("/invocations", b"[[1, 2]]").with(&headers)).await;
        golden += &format!("{host}: {ping} {}\n", invoked.line());
    }
    insta::assert_snapshot!(golden);
}
