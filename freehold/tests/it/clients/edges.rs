//! The edges of REST, byte by byte: compression, lengths, numbers, names and methods that no
//! well-made client sends. Every one is refused in the protocol's own words, or answered; none is
//! a fault of ours.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::{Value, json};
use testkit::{Cloud, Package};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::bare;
use crate::world::{PROGRAM, strangers};

const INFER: &str = "POST /v2/models/twice/infer";
/// The cloud's limit of a body.
const LIMIT: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn edges_of_rest_are_the_protocols() {
    let cloud = Cloud::one_with(PROGRAM, &["--body-limit", "1"]).await;
    let (owner, _) = strangers(&cloud).await;
    let model = owner.publish(&Package::linear("double", ("x", "y"), 2.0, 0.0)).await;
    owner.deploy("twice", &model).await;
    let raw = Raw { address: bare(&cloud.http()).to_owned(), token: owner.token.clone() };
    let mut told = String::new();
    for (what, line, headers, body) in cases() {
        told += &format!("{what}: {}\n", raw.ask(line, &headers, &body).await);
    }
    insta::assert_snapshot!(told);
    cloud.close().await;
}

type Case = (&'static str, &'static str, String, Vec<u8>);

fn cases() -> Vec<Case> {
    [bodies(), tensors(), lengths(), compressed(), paths()].concat()
}

/// A request in JSON with this input in place of the right one.
fn request(input: &Value) -> Vec<u8> {
    json!({ "inputs": [input] }).to_string().into_bytes()
}

fn input(datatype: &str, shape: &Value, data: &Value) -> Vec<u8> {
    request(&json!({ "name": "x", "datatype": datatype, "shape": shape, "data": data }))
}

fn good() -> Vec<u8> {
    input("FP32", &json!([1, 2]), &json!([1, 2]))
}

fn case(what: &'static str, body: Vec<u8>) -> Case {
    (what, INFER, String::new(), body)
}

fn bodies() -> Vec<Case> {
    let one = |number| json!({ "name": number, "datatype": "FP32", "shape": [1], "data": [1] });
    let many: Vec<Value> = (0..10_000).map(|number: u32| one(number.to_string())).collect();
    let twice = br#"{"inputs": [], "inputs": []}"#.to_vec();
    let deep = format!("{{\"inputs\": [{{\"data\": {}", "[".repeat(200_000));
    let outputs = |count: usize| vec![json!({ "name": "y" }); count];
    let with_outputs = |count: usize| {
        let mut value: Value = serde_json::from_slice(&good()).unwrap();
        value["outputs"] = outputs(count).into();
        value.to_string().into_bytes()
    };
    vec![
        case("a good request", good()),
        case("no text", vec![0xff, 0xfe, 0x00]),
        case("a text cut short", good()[..20].to_vec()),
        case("more after the text", [good(), b"{}".to_vec()].concat()),
        case("the same key twice", twice),
        case("inputs that are no list", br#"{"inputs": {}}"#.to_vec()),
        case("no inputs", b"{}".to_vec()),
        case("an input without a name", request(&json!({ "shape": [1, 2] }))),
        case("lists without an end", deep.into_bytes()),
        case("ten thousand inputs", json!({ "inputs": many }).to_string().into_bytes()),
        case("an output twice", with_outputs(2)),
        case("a thousand outputs", with_outputs(1_000)),
        case("an id that is a number", br#"{"id": 7, "inputs": []}"#.to_vec()),
    ]
}

fn tensors() -> Vec<Case> {
    let extra = json!({ "name": "more", "datatype": "FP32", "shape": [1], "data": [1] });
    let right = json!({ "name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2] });
    let both = json!({ "inputs": [right, extra] }).to_string().into_bytes();
    let pair = json!([1, 2]);
    vec![
        case("an input too many", both),
        case("an unknown datatype", input("FP31", &pair, &pair)),
        case("a datatype of another case", input("fp32", &pair, &pair)),
        case("half numbers in text", input("FP16", &pair, &pair)),
        case("bytes for numbers", input("BYTES", &pair, &json!(["a", "b"]))),
        case("no shape", input("FP32", &json!([]), &json!([1]))),
        case("a shape that overflows", input("FP32", &json!([u64::MAX, 2]), &pair)),
        case("a shape with a fraction", input("FP32", &json!([1.5, 2]), &pair)),
        case("nested data", input("FP32", &json!([2, 2]), &json!([[1, 2], [3, 4]]))),
        case("ragged data", input("FP32", &json!([2, 2]), &json!([[1, 2], [3]]))),
        case("nothing for a number", input("FP32", &pair, &json!([1, null]))),
        case("a number beyond the type", input("FP32", &pair, &json!([1, 1e300]))),
        case("no data", request(&json!({ "name": "x", "datatype": "FP32", "shape": [1, 2] }))),
        case("shared memory", {
            let memory = json!({ "shared_memory_region": "r", "shared_memory_byte_size": 8 });
            let named = json!({ "name": "x", "datatype": "FP32", "shape": [1, 2] });
            let mut with = named;
            with["parameters"] = memory;
            request(&with)
        }),
    ]
}

/// A binary request that says `told` bytes of data and has `sent`.
fn binary(told: &Value, sent: usize) -> (usize, Vec<u8>) {
    let input = json!({
        "name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": { "binary_data_size": told },
    });
    let head = request(&input);
    (head.len(), [head, vec![0; sent]].concat())
}

fn lengths() -> Vec<Case> {
    let with = |what, length: &str, body| {
        (what, INFER, format!("inference-header-content-length: {length}\r\n"), body)
    };
    let (length, body) = binary(&json!(8), 8);
    let told = length.to_string();
    let both = json!({
        "name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2],
        "parameters": { "binary_data_size": 8 },
    });
    let both = request(&both);
    let both_length = both.len().to_string();
    vec![
        with("a good binary request", &told, body.clone()),
        case("binary data, and no length", body.clone()),
        with("a length that is no number", "ten", body.clone()),
        with("a negative length", "-1", body.clone()),
        with("a length beyond all numbers", "99999999999999999999", body.clone()),
        with("a length beyond the body", "5000", body.clone()),
        with("a length of nothing", "0", body.clone()),
        with("data cut short", &told, body[..length + 3].to_vec()),
        with("more data than told", &told, [body, vec![0; 4]].concat()),
        with("too little told", &told, binary(&json!(4), 8).1),
        with("a negative size", &(length + 1).to_string(), binary(&json!(-8), 8).1),
        with("a size beyond all", &binary(&json!(u64::MAX), 0).0.to_string(), {
            binary(&json!(u64::MAX), 0).1
        }),
        with("a size that is a text", &binary(&json!("8"), 0).0.to_string(), {
            binary(&json!("8"), 8).1
        }),
        with("data in both places", &both_length, [both, vec![0; 8]].concat()),
        (
            "a length told twice",
            INFER,
            format!(
                "inference-header-content-length: {told}\r\ninference-header-content-length: 9\r\n"
            ),
            binary(&json!(8), 8).1,
        ),
        ("a body beyond the limit", INFER, String::new(), [good(), vec![b' '; LIMIT]].concat()),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn compressed() -> Vec<Case> {
    let with = |what, encoding: &str, body| {
        (what, INFER, format!("content-encoding: {encoding}\r\n"), body)
    };
    let bomb = [good(), vec![b' '; 64 * LIMIT]].concat();
    let mut broken = gzip(&good());
    broken[12] ^= 0xff;
    vec![
        with("gzip", "gzip", gzip(&good())),
        with("deflate", "deflate", deflate(&good())),
        with("gzip that is none", "gzip", good()),
        with("gzip cut short", "gzip", gzip(&good())[..30].to_vec()),
        with("gzip with a wrong byte", "gzip", broken),
        with("a gzip bomb", "gzip", gzip(&bomb)),
        with("a deflate bomb", "deflate", deflate(&bomb)),
        with("an unknown encoding", "br", good()),
        with("two encodings", "gzip, gzip", gzip(&gzip(&good()))),
    ]
}

fn paths() -> Vec<Case> {
    let at = |what, line| (what, line, String::new(), good());
    vec![
        at("another method", "PUT /v2/models/twice/infer"),
        at("a method of no standard", "BREW /v2/models/twice/infer"),
        at("a path below", "POST /v2/models/twice/infer/more"),
        at("a slash at the end", "POST /v2/models/twice/infer/"),
        at("an empty name", "POST /v2/models//infer"),
        at("a name in percent", "POST /v2/models/%74wice/infer"),
        at("half a percent", "POST /v2/models/twice%2/infer"),
        at("a slash in percent", "POST /v2/models/a%2Ftwice/infer"),
        at("up and down again", "POST /v2/models/../models/twice/infer"),
        at("version 1", "POST /v2/models/twice/versions/1/infer"),
        at("version 01", "POST /v2/models/twice/versions/01/infer"),
        at("version beyond all", "POST /v2/models/twice/versions/99999999999999999999/infer"),
        at("no model", "POST /v2/models"),
        at("nothing", "POST /v2/nothing"),
    ]
}

/// Somebody who writes HTTP by hand.
struct Raw {
    address: String,
    token: String,
}

impl Raw {
    /// Sends one request on a connection of its own; the answer's status and body on one line.
    async fn ask(&self, line: &str, headers: &str, body: &[u8]) -> String {
        let head = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n{headers}\
             connection: close\r\ncontent-length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // Whoever refuses need not read to the end.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").expect("it answers HTTP");
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        assert!((200..500).contains(&status), "{line} {headers}: {answer}");
        if status >= 400 && status != 405 {
            let told: Value = serde_json::from_str(body).unwrap_or_default();
            assert!(told["error"].is_string(), "{line} {headers}: {answer}");
        }
        let text: String = body.chars().take(240).collect();
        format!("{status} {}", text.replace(char::is_control, " "))
    }
}
