//! Answers of functions that reach their caller while they are made.

use std::time::Duration;

use api::functions::CreateFunction;
use bytes::Bytes;
use testkit::wait::until;
use testkit::{Account, Cloud, Package};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use types::FunctionRuntime;

use crate::world::{PROGRAM, strangers};

/// Longest time until a gateway knows of a change.
const KNOWN_S: u64 = 5;
const WAIT_MS: u64 = 60_000;

const PYTHON: &str = r#"
import time

def handler(event, context):
    yield "first "
    if event.get("wait"):
        time.sleep(60)
    if event.get("fail"):
        raise ValueError("not today")
    yield b"second"
"#;

const NODE: &str = r#"
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  stream.write("first ");
  if (event.wait) await new Promise((resolve) => setTimeout(resolve, 60000));
  if (event.fail) throw new TypeError("not today");
  stream.write("second");
  stream.end();
});
"#;

async fn make(account: &Account, name: &str, runtime: FunctionRuntime, file: &str, code: &str) {
    let object = account.send(&Package::empty().file(file, code)).await.unwrap().id;
    let wanted = CreateFunction {
        handler: "app.handler".to_owned(),
        memory_mib: Some(256),
        timeout_ms: Some(3_000),
        ..CreateFunction::new(name.parse().unwrap(), runtime, object)
    };
    account.client.function_create(&wanted).await.unwrap();
    until(KNOWN_S, "the gateway to know the function", || async {
        let payload = Bytes::from_static(b"{}");
        let called = account.client.function_call(&wanted.name, None, (payload, WAIT_MS)).await;
        called.ok().filter(|called| called.error.is_none())
    })
    .await;
}

/// A call whose answer is read as it comes, as any HTTP client could.
struct Call(TcpStream, String);

impl Call {
    async fn begin(cloud: &Cloud, owner: &Account, name: &str, event: &str, more: &str) -> Self {
        let mut stream =
            TcpStream::connect(cloud.http().trim_start_matches("http://")).await.unwrap();
        let (length, token) = (event.len(), &owner.token);
        let request = format!(
            "POST /v1/functions/{name}/invocations?mode=stream HTTP/1.1\r\nhost: localhost\r\n\
             authorization: Bearer {token}\r\ncontent-length: {length}\r\n{more}\r\n{event}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        Self(stream, String::new())
    }

    /// Reads on until this was seen, or the end.
    async fn until(&mut self, text: &str) -> bool {
        while !self.1.contains(text) {
            let mut part = vec![0; 4_096];
            let read = tokio::time::timeout(Duration::from_secs(30), self.0.read(&mut part)).await;
            match read.expect("something comes") {
                Ok(count) if count > 0 => self.1 += &String::from_utf8_lossy(&part[..count]),
                _ => return false,
            }
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_reaches_its_caller_while_it_is_made() {
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    pieces_come(&cloud, &owner).await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_reaches_its_caller_while_it_is_made_in_separate_processes() {
    let Some(cloud) = Cloud::apart(PROGRAM).await else { return };
    let (owner, _) = strangers(&cloud).await;
    pieces_come(&cloud, &owner).await;
    cloud.close().await;
}

async fn pieces_come(cloud: &Cloud, owner: &Account) {
    for (name, runtime, program, file, code, kind) in [
        ("snake", FunctionRuntime::Python3, "/usr/bin/python3", "app.py", PYTHON, "ValueError"),
        ("node", FunctionRuntime::Nodejs, "/usr/bin/node", "app.js", NODE, "TypeError"),
    ] {
        if !std::path::Path::new(program).is_file() {
            eprintln!("SKIPPED: there is no {program}");
            continue;
        }
        make(owner, name, runtime, file, code).await;
        // Whoever waits for all of it gets all of it.
        let payload = Bytes::from_static(b"{}");
        let function = name.parse().unwrap();
        let whole = owner.client.function_call(&function, None, (payload, WAIT_MS)).await.unwrap();
        assert_eq!((whole.error, &whole.body[..]), (None, &b"first second"[..]));
        let mut call = Call::begin(cloud, owner, name, "{}", "").await;
        assert!(call.until("\r\n0\r\n\r\n").await, "{}", call.1);
        let seen = call.1.to_lowercase();
        assert!(seen.contains("first ") && seen.contains("second"), "{seen}");
        assert!(seen.contains("content-type: application/octet-stream"), "{seen}");

        // The first piece comes though the second never will.
        let trailers = "te: trailers\r\n";
        let mut call = Call::begin(cloud, owner, name, "{\"wait\":true}", trailers).await;
        assert!(call.until("first ").await, "{}", call.1);
        assert!(call.until("freehold-function-error: Sandbox.Timedout").await, "{}", call.1);
        let mut call = Call::begin(cloud, owner, name, "{\"fail\":true}", trailers).await;
        let error = format!("freehold-function-error: Function.{kind}");
        assert!(call.until(&error).await && call.1.contains("first "), "{}", call.1);

        // A caller that takes no trailers sees that the body is not whole.
        let mut call = Call::begin(cloud, owner, name, "{\"fail\":true}", "").await;
        assert!(!call.until("\r\n0\r\n").await && call.1.contains("first "), "{}", call.1);

        // Whoever leaves in the middle disturbs nobody.
        let mut call = Call::begin(cloud, owner, name, "{\"wait\":true}", "").await;
        assert!(call.until("first ").await, "{}", call.1);
        drop(call);
        let payload = Bytes::from_static(b"{}");
        let whole = owner.client.function_call(&function, None, (payload, WAIT_MS)).await.unwrap();
        assert_eq!((whole.error, &whole.body[..]), (None, &b"first second"[..]));
    }
}
