//! Bad input and slow clients: the protocol's own error shape, a clear text, and nobody else
//! notices.

use std::time::Duration;

use api::client::Invocation;
use bytes::Bytes;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::tensors::{binary_request, json_request, numbers, rows};
use testkit::{Account, Cloud, Package};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use crate::grpc;
use crate::world::{PROGRAM, http, name, strangers};

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_in_the_protocols_words() {
    let cloud = Cloud::one_with(PROGRAM, &["--body-limit", "1"]).await;
    let (owner, _) = strangers(&cloud).await;
    let model = owner.publish(&Package::linear("double", ("x", "y"), 2.0, 0.0)).await;
    owner.deploy("twice", &model).await;
    let slow = tokio::task::JoinSet::from_iter([slow_client(cloud.http(), owner.token.clone())]);
    json_bodies(&cloud, &owner).await;
    binary_bodies(&owner).await;
    models_and_grpc(&cloud, &owner).await;
    let answers = slow.join_all().await;
    assert!(answers[0].starts_with("HTTP/1.1 408"), "{answers:?}");
    // It is in good health after all that.
    let (twice, request) = (name("twice"), json_request("x", [1.0, 2.0]));
    let answer = owner.client.model_infer(None, &twice, request).await.unwrap();
    assert_eq!(numbers(&answer), [2.0, 4.0]);
    cloud.close().await;
}

/// Sends a part of a body and no more; gives the answer's first line.
async fn slow_client(address: String, token: String) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST /v2/models/twice/infer HTTP/1.1\r\nhost: localhost\r\n\
         authorization: Bearer {token}\r\ncontent-length: 500\r\n\r\n{{\"inputs\": ["
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_096];
    let read = tokio::time::timeout(Duration::from_secs(40), stream.read(&mut answer)).await;
    let count = read.expect("a slow client is let go").unwrap();
    String::from_utf8_lossy(&answer[..count]).lines().next().unwrap_or_default().to_owned()
}

async fn json_bodies(cloud: &Cloud, owner: &Account) {
    let client = http();
    let url = format!("{}/v2/models/twice/infer", cloud.http());
    let input = |name: &str, shape: Value, datatype: &str, data: Value| {
        json!({ "inputs": [{ "name": name, "shape": shape, "datatype": datatype, "data": data }] })
            .to_string()
    };
    let large = format!("{{\"inputs\": [], \"pad\": \"{}\"}}", "x".repeat(2 << 20));
    let cases = [
        (String::new(), 400, ""),
        ("{".to_owned(), 400, ""),
        ("[1, 2]".to_owned(), 400, ""),
        (json!({ "inputs": [] }).to_string(), 400, "\"x\""),
        (input("z", json!([1, 2]), "FP32", json!([1, 2])), 400, "\"z\""),
        (input("x", json!([1, 3]), "FP32", json!([1, 2, 3])), 400, "\"x\""),
        (input("x", json!([2, 2]), "FP32", json!([1, 2])), 400, "\"x\""),
        (input("x", json!([1, -2]), "FP32", json!([1, 2])), 400, ""),
        (input("x", json!([4_294_967_296_u64, 4_294_967_296_u64]), "FP32", json!([])), 400, ""),
        (input("x", json!([1, 2]), "FP64", json!([1, 2])), 400, "FP32"),
        (input("x", json!([1, 2]), "FLOAT", json!([1, 2])), 400, ""),
        (input("x", json!([1, 2]), "FP32", json!(["one", "two"])), 400, ""),
        ("[".repeat(100_000), 400, ""),
        (large, 413, "1048576"),
    ];
    for (body, status, word) in cases {
        let shown: String = body.chars().take(100).collect();
        let answer = client.post(&url).bearer_auth(&owner.token).body(body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{shown}");
        let told: Value = answer.json().await.unwrap();
        let text = told["error"].as_str().unwrap_or_else(|| panic!("{shown}: {told}"));
        assert!(text.contains(word), "{shown}: {text}");
    }
    let twice = |path: &str| format!("{}/endpoints/twice/{path}", cloud.http());
    for (media_type, body, status) in [
        ("text/csv", "one,two\n", 400),
        ("text/csv", "1,2,3\n", 400),
        ("application/x-npy", "not numpy", 400),
        ("application/x-nothing", "1,2", 415),
    ] {
        let request = client.post(twice("invocations")).bearer_auth(&owner.token);
        let request = request.header("content-type", media_type).body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{media_type} {body:?}");
        let told: Value = answer.json().await.unwrap();
        assert!(told["code"].is_string() && told["title"].is_string(), "{told}");
    }
    let answer = client.delete(twice("invocations")).bearer_auth(&owner.token).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
}

async fn binary_bodies(owner: &Account) {
    let good = binary_request(rows("x", &[[1.0, 2.0]]));
    let length = good.header_length.unwrap();
    let cut = good.body.slice(..good.body.len() - 1);
    let long = Bytes::from([&good.body[..], b"more"].concat());
    for (what, bad) in [
        ("a header beyond the body", Invocation { header_length: Some(9_999), ..good.clone() }),
        (
            "a header that ends early",
            Invocation { header_length: Some(length - 1), ..good.clone() },
        ),
        ("no header", Invocation { header_length: Some(0), ..good.clone() }),
        ("a body cut short", Invocation { body: cut, ..good.clone() }),
        ("a body with more", Invocation { body: long, ..good.clone() }),
    ] {
        let refused = owner.client.model_infer(None, &name("twice"), bad).await.unwrap_err();
        assert_eq!(refused.status(), Some(400), "{what}: {refused:?}");
    }
}

async fn models_and_grpc(cloud: &Cloud, owner: &Account) {
    let absent = name("absent");
    let request = json_request("x", [1.0, 2.0]);
    let refused = owner.client.model_infer(None, &absent, request).await.unwrap_err();
    assert_eq!(refused.status(), Some(404), "{refused:?}");
    assert!(refused.to_string().contains("absent"), "{refused}");
    let client = http();
    for version in ["2", "0", "-1", "latest"] {
        let url = format!("{}/v2/models/twice/versions/{version}", cloud.http());
        let answer = client.get(url).bearer_auth(&owner.token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{version}");
    }
    let token = Some(owner.token.as_str());
    for (model, input, code) in [
        ("absent", "x", Code::NotFound),
        ("borealis.twice", "x", Code::NotFound),
        ("", "x", Code::NotFound),
        ("twice", "z", Code::InvalidArgument),
    ] {
        let refused = grpc::infer(&cloud.grpc(), token, (model, input), [1.0, 2.0]).await;
        assert_eq!(refused.unwrap_err().code(), code, "{model:?} {input:?}");
    }
    let refused = grpc::infer(&cloud.grpc(), Some("wrong"), ("twice", "x"), [1.0, 2.0]).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_takes_too_long_is_cut_short() {
    let mut cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    // Measuring gives up on a model that is over its own limit; the publishing says so.
    let begun =
        owner.begin_publish(&Package::slow("slow", 400, 250), api::items::Sharing::Nobody).await;
    let publish = owner.ended_publish(begun.unwrap().id).await;
    if publish.version.is_none() {
        // Without a test the measuring is the first to ask: it fails, with the reason.
        let error = publish.error.unwrap();
        assert!(error.contains("measure") || error.contains("unit-test"), "{error}");
        cloud.expect("");
        return cloud.close().await;
    }
    owner.deploy("slow", &publish.version.unwrap()).await;
    let input = json!({
        "name": "x", "shape": [512, 512], "datatype": "FP32", "data": vec![0.5; 512 * 512],
    });
    let body = testkit::tensors::invocation(json!({ "inputs": [input] }).to_string());
    let begun = std::time::Instant::now();
    let refused = owner.client.model_infer(None, &name("slow"), body).await.unwrap_err();
    assert_eq!((refused.status(), refused.code()), (Some(504), "timeout"), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    cloud.close().await;
}
