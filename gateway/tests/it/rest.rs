//! The Open Inference Protocol over REST, as its clients read it.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use gateway::Settings;
use types::Datatype;

use crate::world::{Answered, Ask, World};

const PLAIN: &str = r#"{"id": "7", "inputs": [
    {"name": "INPUT", "shape": [1, 2], "datatype": "FP32", "data": [1.5, -2]}]}"#;

/// A binary request whose answer is wanted in binary; JSON, then data.
fn binary(values: &[f32]) -> (usize, Vec<u8>) {
    let data: Vec<u8> = values.iter().flat_map(|it| it.to_le_bytes()).collect();
    let (rows, bytes) = (values.len() / 2, data.len());
    let json = format!(
        r#"{{"parameters":{{"binary_data_output":true,"sequence_id":0,"unheard_of":"x"}},
        "inputs":[{{"name":"INPUT","shape":[{rows},2],"datatype":"FP32",
        "parameters":{{"binary_data_size":{bytes}}}}}]}}"#
    );
    (json.len(), [json.as_bytes(), &data].concat())
}

/// The data behind the JSON of an answer.
fn data(answer: &Answered) -> &[u8] {
    let json: usize = answer.header("inference-header-content-length").unwrap().parse().unwrap();
    &answer.body[json..]
}

#[tokio::test]
async fn answers_and_errors_are_the_protocols() {
    let world = World::start().await;
    let infer = "/v2/models/echo/infer";
    let wrong_type = PLAIN.replace("FP32", "INT64").replace("1.5", "1");
    let wrong_shape = PLAIN.replace("[1, 2]", "[1, 3]").replace("[1.5, -2]", "[1, 2, 3]");
    let unknown_input = PLAIN.replace("INPUT", "NOPUT");
    let unknown_output = PLAIN.replace("{\"id\"", "{\"outputs\": [{\"name\": \"Y\"}], \"id\"");
    let asks = [
        Ask::get("/v2"),
        Ask::get("/v2/"),
        Ask::get("/v2/health/live"),
        Ask::get("/v2/health/ready"),
        Ask::get("/v2/models/echo"),
        Ask::get("/v2/models/echo/versions/3"),
        Ask::get("/v2/models/echo/versions/4"),
        Ask::get("/v2/models/echo/ready"),
        Ask::get("/v2/models/echo/config"),
        Ask::get("/v2/models/cold"),
        Ask::get("/v2/models/cold/ready"),
        Ask::get("/v2/models/chain"),
        Ask::get("/v2/models/chain/config"),
        Ask::get("/v2/models/none"),
        Ask::get("/v2/models/none/ready"),
        Ask::get("/v2/unheard/of"),
        Ask::get(infer),
        Ask::post("/v2/models/echo", b""),
        Ask::post(infer, PLAIN.as_bytes()),
        Ask::post("/v2/models/acme.echo/versions/3/infer", PLAIN.as_bytes()),
        Ask::post("/v2/models/chain/infer", PLAIN.as_bytes()),
        Ask::post(infer, b""),
        Ask::post(infer, b"{"),
        Ask::post(infer, b"{\"inputs\": []}"),
        Ask::post(infer, wrong_type.as_bytes()),
        Ask::post(infer, wrong_shape.as_bytes()),
        Ask::post(infer, unknown_input.as_bytes()),
        Ask::post(infer, unknown_output.as_bytes()),
        Ask::post(infer, PLAIN.as_bytes()).with(&[("inference-header-content-length", "x")]),
        Ask::post(infer, PLAIN.as_bytes()).with(&[("inference-header-content-length", "999")]),
        Ask::post(infer, PLAIN.as_bytes()).with(&[("content-encoding", "br")]),
        Ask::post(infer, PLAIN.as_bytes()).with(&[("content-encoding", "gzip")]),
        Ask::post("/v2/models/cold/infer", PLAIN.as_bytes()),
        Ask::post("/v2/models/fail/infer", PLAIN.as_bytes()),
        Ask::post("/v2/models/die/infer", PLAIN.as_bytes()),
    ];
    let mut golden = String::new();
    for ask in asks {
        let answer = world.ask(ask).await;
        golden += &format!("{} {}\n  {}\n", ask.method, ask.path, answer.line());
    }
    insta::assert_snapshot!(golden);
}

#[tokio::test]
async fn binary_tensors_travel_both_ways() {
    let world = World::start().await;
    let (length, body) = binary(&[1.5, -2.0, f32::NAN, 4.0]);
    let length = length.to_string();
    let headers = [("inference-header-content-length", length.as_str())];
    let answer = world.ask(Ask::post("/v2/models/echo/infer", &body).with(&headers)).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/octet-stream"))
    );
    assert_eq!(data(&answer), &body[length.parse().unwrap()..]);
    let json = answer.body.len() - data(&answer).len();
    insta::assert_snapshot!(String::from_utf8_lossy(&answer.body[..json]));
}

/// Whatever the model answers: what JSON cannot carry is no fault of the request, and binary cures.
#[tokio::test]
async fn an_output_that_json_cannot_carry_is_not_acceptable_and_comes_in_binary() {
    let world = World::start().await;
    for (number, datatype, data) in
        [(2, Datatype::Bytes, &b"\x02\0\0\0\xff\xfe"[..]), (3, Datatype::Fp16, b"\0\x3c")]
    {
        let mut routes = world.routes(number);
        let told = routes.endpoints[0].stages[0].description.as_mut().unwrap();
        for spec in told.inputs.iter_mut().chain(&mut told.outputs) {
            (spec.datatype, spec.shape) = (datatype, vec![-1]);
        }
        world.tell(routes).await;
        for binary in [false, true] {
            let json = format!(
                r#"{{"parameters":{{"binary_data_output":{binary}}},"inputs":[{{"name":"INPUT",
                "shape":[1],"datatype":"{datatype}","parameters":{{"binary_data_size":{}}}}}]}}"#,
                data.len()
            );
            let (length, body) = (json.len().to_string(), [json.as_bytes(), data].concat());
            let headers = [("inference-header-content-length", length.as_str())];
            let answer = world.ask(Ask::post("/v2/models/echo/infer", &body).with(&headers)).await;
            if binary {
                assert_eq!((answer.status, self::data(&answer)), (200, data), "{datatype}");
                continue;
            }
            let text = answer.text();
            assert_eq!(answer.status, 406, "{text}");
            assert!(text.contains("OUTPUT") && text.contains("ask for it in binary"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_large_tensor_passes_and_a_larger_one_is_refused() {
    let settings = Settings { body_bytes_max: 9 << 20, ..Settings::default() };
    let world = World::start_with(settings).await;
    let values: Vec<f32> = (0..=u16::MAX).cycle().take(2 << 20).map(f32::from).collect();
    let (length, body) = binary(&values);
    let length = length.to_string();
    let headers = [("inference-header-content-length", length.as_str())];
    let answer = world.ask(Ask::post("/v2/models/echo/infer", &body).with(&headers)).await;
    assert_eq!(answer.status, 200);
    assert!(data(&answer) == &body[length.parse().unwrap()..], "the data came back changed");
    let sent = answer.header("content-length").unwrap().parse::<usize>().unwrap();
    assert_eq!(sent, answer.body.len());

    let larger = vec![0_u8; (9 << 20) + 1];
    let refused = world.ask(Ask::post("/v2/models/echo/infer", &larger[..100]).with(&[])).await;
    assert_eq!(refused.status, 400);
    let told = Ask::post("/v2/models/echo/infer", &larger).bytes();
    // Only the head and a little: the length alone is refused.
    let mut stream = tokio::net::TcpStream::connect(world.http).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &told[..4_096]).await.unwrap();
    let refused = Answered::read(&mut stream).await;
    assert_eq!(refused.status, 413);
    assert_eq!(refused.text(), r#"{"error":"the body is larger than 9437184 bytes"}"#);
}

#[tokio::test]
async fn bodies_are_compressed_both_ways() {
    let world = World::start().await;
    let values: Vec<f32> = (0..7_u8).cycle().take(2_000).map(f32::from).collect();
    let (length, plain) = binary(&values);
    let length = length.to_string();
    for encoding in ["gzip", "deflate"] {
        let packed = if encoding == "gzip" {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&plain).unwrap();
            encoder.finish().unwrap()
        } else {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&plain).unwrap();
            encoder.finish().unwrap()
        };
        let headers = [
            ("inference-header-content-length", length.as_str()),
            ("content-encoding", encoding),
            ("accept-encoding", encoding),
        ];
        let answer = world.ask(Ask::post("/v2/models/echo/infer", &packed).with(&headers)).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (200, Some(encoding)));
        assert!(answer.body.len() < plain.len() / 2);
        let mut unpacked = Vec::new();
        let raw: &[u8] = &answer.body;
        if encoding == "gzip" {
            GzDecoder::new(raw).read_to_end(&mut unpacked).unwrap();
        } else {
            ZlibDecoder::new(raw).read_to_end(&mut unpacked).unwrap();
        }
        assert!(unpacked.ends_with(&plain[length.parse().unwrap()..]), "{encoding}");
    }
}

#[tokio::test]
async fn statistics_count_rows_and_batches() {
    let world = World::start().await;
    let (length, body) = binary(&[0.0; 8]);
    let length = length.to_string();
    let headers = [("inference-header-content-length", length.as_str())];
    for _ in 0..3 {
        world.ask(Ask::post("/v2/models/echo/infer", &body).with(&headers)).await;
    }
    world.ask(Ask::post("/v2/models/echo/infer", b"{\"inputs\": []}")).await;
    let answer = world.ask(Ask::get("/v2/models/echo/stats")).await.json();
    let model = &answer["model_stats"][0];
    assert_eq!(model["name"], "echo");
    assert_eq!(model["inference_count"], 12);
    assert_eq!(model["execution_count"], 3);
    assert_eq!(model["inference_stats"]["success"]["count"], 3);
    assert_eq!(model["inference_stats"]["fail"]["count"], 1);
    assert_eq!(model["inference_stats"]["queue"], serde_json::json!({"count": 3, "ns": 30}));
    let batch = serde_json::json!({
        "batch_size": 4,
        "compute_input": {"count": 3, "ns": 60},
        "compute_infer": {"count": 3, "ns": 90},
        "compute_output": {"count": 3, "ns": 120},
    });
    assert_eq!(model["batch_stats"], serde_json::json!([batch]));
    assert!(model["last_inference"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_gateway_without_routes_is_live_and_not_ready() {
    let world = World::start().await;
    world.tasks.stop(0).await;
    let (clock, tasks) = (workflow::Clock::system(), workflow::Tasks::new());
    let control = std::sync::Arc::new(crate::world::FakeControl::default());
    let fresh = gateway::Gateway::new(Settings::default(), clock, tasks, control).unwrap();
    for (path, status) in [("/v2/health/live", 200), ("/v2/health/ready", 400)] {
        let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let answer = tower::ServiceExt::oneshot(fresh.http_router(), request).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
}

#[tokio::test]
async fn an_answer_that_is_looked_for_is_the_one_that_is_waited_for() {
    let mut world = World::start_with(Settings { look_us_max: 200, ..Settings::default() }).await;
    for round in 0..200_u8 {
        let (length, body) = binary(&[0.5, f32::from(round)]);
        let length_text = length.to_string();
        let headers = [("Inference-Header-Content-Length", length_text.as_str())];
        let answer = world.ask(Ask::post("/v2/models/echo/infer", &body).with(&headers)).await;
        assert_eq!((answer.status, data(&answer)), (200, &body[length..]));
    }
    // Who goes away, in the middle of a look or not, tells the worker to stop.
    let infer = world.ask(Ask::post("/v2/models/slow/infer", PLAIN.as_bytes()));
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), infer).await.is_err());
    assert_eq!(world.slow.recv().await, Some("infer"));
    assert_eq!(world.slow.recv().await, Some("cancel"));
}
