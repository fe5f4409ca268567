//! Functions through the whole cloud: made, called, changed, versioned, and what goes wrong in them.

use std::time::Duration;

use api::functions::{CreateFunction, Function, PublishVersion, UpdateFunction};
use api::pages::LogQuery;
use bytes::Bytes;
use serde_json::{Value, json};
use testkit::wait::until;
use testkit::{Account, Cloud, Package};
use types::{FunctionName, FunctionRuntime};

use crate::world::{PROGRAM, http, strangers};

/// Longest time until a gateway knows of a change.
const KNOWN_S: u64 = 5;
const WAIT_MS: u64 = 60_000;
const TOO_LARGE: &str = "Function.ResponseSizeTooLarge";

const GREET: &str = r#"
import os, time

calls = 0

def handler(event, context):
    global calls
    calls += 1
    return {"hello": event["name"], "calls": calls, "version": context.function_version}

def slow(event, context):
    time.sleep(60)

def large(event, context):
    return "x" * event["bytes"]

def ends(event, context):
    os._exit(7)

def hog(event, context):
    held = []
    while True:
        held.append(bytearray(16 << 20))
"#;

fn function(text: &str) -> FunctionName {
    text.parse().unwrap()
}

/// Whether this machine can run them.
pub(crate) fn has_python() -> bool {
    let there = std::path::Path::new("/usr/bin/python3").is_file();
    if !there {
        eprintln!("SKIPPED: there is no /usr/bin/python3");
    }
    there
}

async fn make(account: &Account, name: &str, handler: &str, code: &str) -> Function {
    let package = Package::empty().file("app.py", code);
    let object = account.send(&package).await.unwrap().id;
    let wanted = CreateFunction {
        handler: handler.to_owned(),
        memory_mib: Some(128),
        timeout_ms: Some(2_000),
        ..CreateFunction::new(function(name), FunctionRuntime::Python3, object)
    };
    account.client.function_create(&wanted).await.unwrap()
}

/// Calls a function; waits until the gateway knows it.
async fn call(account: &Account, name: &str, event: Value) -> (Option<String>, Value) {
    let name = function(name);
    let called = account.call(&name, event.to_string()).await;
    (called.error, serde_json::from_slice(&called.body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_called_changed_and_versioned() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, stranger) = strangers(&cloud).await;
    a_function_lives(&owner, &stranger).await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_called_changed_and_versioned_in_separate_processes() {
    let Some(cloud) = Cloud::apart(PROGRAM).await else { return };
    if !has_python() {
        return;
    }
    let (owner, stranger) = strangers(&cloud).await;
    a_function_lives(&owner, &stranger).await;
    cloud.close().await;
}

async fn a_function_lives(owner: &Account, stranger: &Account) {
    let made = make(owner, "Greet_me", "app.handler", GREET).await;
    assert_eq!((made.version.as_str(), made.generation), ("$LATEST", 1));
    for calls in 1..=3 {
        let (error, told) = call(owner, "Greet_me", json!({ "name": "you" })).await;
        assert_eq!(error, None, "{told}");
        let expected = json!({ "hello": "you", "calls": calls, "version": "$LATEST" });
        assert_eq!(told, expected);
    }

    // A version keeps what it was, whatever the function becomes.
    let name = function("Greet_me");
    let wanted = PublishVersion { description: None, generation: 1 };
    let version = owner.client.function_publish(&name, &wanted).await.unwrap();
    assert_eq!((version.version.as_str(), version.generation), ("1", 2));
    let code = GREET.replace("\"hello\"", "\"goodbye\"");
    let object = owner.send(&Package::empty().file("app.py", code)).await.unwrap().id;
    let wanted =
        UpdateFunction { object: Some(object), generation: 2, ..UpdateFunction::default() };
    let changed = owner.client.function_update(&name, &wanted).await.unwrap();
    assert_eq!(changed.generation, 3);
    let stale = owner.client.function_update(&name, &wanted).await.unwrap_err();
    assert_eq!(stale.code(), "stale_generation");
    until(KNOWN_S, "the gateway to know the new code", || async {
        let (error, told) = call(owner, "Greet_me", json!({ "name": "you" })).await;
        assert_eq!(error, None, "no call fails meanwhile: {told}");
        (told.get("goodbye").is_some()).then_some(())
    })
    .await;
    let payload = Bytes::from_static(b"{\"name\": \"you\"}");
    let called = owner.client.function_call(&name, Some("1"), (payload.clone(), WAIT_MS)).await;
    let called = called.unwrap();
    let told: Value = serde_json::from_slice(&called.body).unwrap();
    assert_eq!(told, json!({ "hello": "you", "calls": 1, "version": "1" }));
    assert_eq!(called.version.as_deref(), Some("1"));
    assert!(called.timing.unwrap().contains("initialisation;dur="), "a first call tells its start");

    // Each call is in the log, with what was written in between.
    let lines = until(KNOWN_S, "the log to tell of the calls", || async {
        let log = owner.client.function_log(&name, &LogQuery::default()).await.unwrap();
        let texts: Vec<String> = log.lines.into_iter().map(|line| line.text).collect();
        let reports = texts.iter().filter(|text| text.starts_with("REPORT RequestId: ")).count();
        (reports >= 4).then_some(texts)
    })
    .await;
    let first = &lines[..3];
    assert!(first[0].starts_with("START RequestId: ") && first[0].ends_with("Version: $LATEST"));
    assert!(first[1].starts_with("END RequestId: "), "{first:?}");
    assert!(first[2].contains("\tMax Memory Used: "), "{first:?}");
    assert!(first[2].contains("\tInit Duration: "), "the first call tells its start: {first:?}");

    // Nobody else can tell that it is there.
    for (client, qualifier) in [(&stranger.client, None), (&owner.client, Some("9"))] {
        let refused = client.function_call(&name, qualifier, (payload.clone(), WAIT_MS)).await;
        assert_eq!(refused.unwrap_err().status(), Some(404));
    }
    assert_eq!(stranger.client.function_fetch(&name).await.unwrap_err().status(), Some(404));

    owner.client.function_delete(&name).await.unwrap();
    until(KNOWN_S, "the gateway to forget it", || async {
        let called = owner.client.function_call(&name, None, (payload.clone(), WAIT_MS)).await;
        called.err().filter(|error| error.status() == Some(404))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_in_a_function_is_told_and_the_next_call_works() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    for (name, handler, event, kind, words) in [
        ("slow", "app.slow", json!({}), "Sandbox.Timedout", "timed out after 2.00 seconds"),
        ("ends", "app.ends", json!({}), "Runtime.ExitError", "exit status 7"),
        ("hog", "app.hog", json!({}), "Runtime.ExitError", "signal: killed"),
        ("large", "app.large", json!({ "bytes": 7 << 20 }), TOO_LARGE, "payload size (6291556"),
        ("wrong", "app.handler", json!({}), "Function.KeyError", "name"),
        ("lost", "app.nothing", json!({}), "Function.ValueError", "no function 'nothing'"),
    ] {
        make(&owner, name, handler, GREET).await;
        for _ in 0..2 {
            let (error, told) = call(&owner, name, event.clone()).await;
            assert_eq!(error.as_deref(), Some(kind), "{name}: {told}");
            let message = told["errorMessage"].as_str().unwrap();
            assert!(message.contains(words), "{name}: {message}");
        }
    }
    let large = Bytes::from(format!("\"{}\"", "x".repeat(7 << 20)));
    let refused = owner.client.function_call(&function("large"), None, (large, WAIT_MS)).await;
    assert_eq!(refused.unwrap_err().status(), Some(413));
    let (error, told) = call(&owner, "large", json!({ "bytes": 10 })).await;
    assert_eq!((error, told), (None, json!("x".repeat(10))));
    cloud.close().await;
}

/// The first process of a sandbox that was made for a function is its program's parent; one that
/// was forked into a parked sandbox has no parent there.
#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_was_called_is_started_from_parked_sandboxes() {
    use std::os::unix::fs::MetadataExt as _;
    if !has_python() {
        return;
    }
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("SKIPPED: without root, interpreters are not forked");
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let code = "import os\n\ndef handler(event, context):\n    return os.getppid()\n";
    let number = std::sync::atomic::AtomicU32::new(0);
    until(20, "a function to start from a parked sandbox", || async {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("first_{number}");
        make(&owner, &name, "app.handler", code).await;
        let (error, parent) = call(&owner, &name, json!({})).await;
        assert_eq!(error, None, "{parent}");
        if number == 0 {
            assert_eq!(parent, json!(1), "nothing is parked before the first call");
        }
        (parent == json!(0)).then_some(())
    })
    .await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_the_same_time_get_instances_of_their_own() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let code = "import time, uuid\n\nown = str(uuid.uuid4())\n\ndef handler(event, context):\n    \
                time.sleep(0.5)\n    return own\n";
    make(&owner, "sleepy", "app.handler", code).await;
    call(&owner, "sleepy", json!({})).await;
    let calls = (0..4).map(|_| call(&owner, "sleepy", json!({})));
    let answers = futures::future::join_all(calls).await;
    let mut seen: Vec<String> = answers.iter().map(|(_, told)| told.to_string()).collect();
    assert!(answers.iter().all(|(error, _)| error.is_none()), "{answers:?}");
    seen.sort();
    seen.dedup();
    assert!(seen.len() >= 3, "{seen:?}");

    // Who gives up a call leaves nothing behind that would disturb the next.
    let name = function("sleepy");
    let given_up = owner.client.function_call(&name, None, (Bytes::from_static(b"{}"), WAIT_MS));
    assert!(tokio::time::timeout(Duration::from_millis(100), given_up).await.is_err());
    let (error, _) = call(&owner, "sleepy", json!({})).await;
    assert_eq!(error, None);
    cloud.close().await;
}

const WATCHED: &str = r#"
import json, os, threading, time, urllib.request as http

AT = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2020-01-01/extension"
body = json.dumps({"events": ["INVOKE", "SHUTDOWN"]}).encode()
asked = http.Request(AT + "/register", body, {"Lambda-Extension-Name": "watcher"})
own = http.urlopen(asked).headers["Lambda-Extension-Identifier"]

def watch():
    while True:
        asked = http.Request(AT + "/event/next", headers={"Lambda-Extension-Identifier": own})
        event = json.loads(http.urlopen(asked).read())
        print("told of", event["eventType"], event.get("shutdownReason"), flush=True)

threading.Thread(target=watch, daemon=True).start()

def handler(event, context):
    time.sleep(60 if event.get("wait") else 0)
"#;

/// An extension that a function starts is told of its calls, and of the end before it comes.
#[tokio::test(flavor = "multi_thread")]
async fn an_extension_is_told_of_calls_and_of_the_end() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    make(&owner, "watched", "app.handler", WATCHED).await;
    for _ in 0..2 {
        let (error, told) = call(&owner, "watched", json!({})).await;
        assert_eq!(error, None, "{told}");
    }
    let (error, _) = call(&owner, "watched", json!({ "wait": true })).await;
    assert_eq!(error.as_deref(), Some("Sandbox.Timedout"));
    until(KNOWN_S, "the log to tell of the end", || async {
        let (name, query) = (function("watched"), LogQuery::default());
        let lines = owner.client.function_log(&name, &query).await.unwrap().lines;
        let count = |text: &str| lines.iter().filter(|line| line.text.starts_with(text)).count();
        let told = (count("told of INVOKE"), count("told of SHUTDOWN timeout"));
        (told == (3, 1)).then_some(())
    })
    .await;
    cloud.close().await;
}

/// Whether its attributes are headers or all of it is one document, a function sees the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_event_is_handed_on_as_one_document() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    make(&owner, "same", "app.handler", "def handler(event, context):\n    return event\n").await;
    call(&owner, "same", json!({})).await;
    let event = json!({
        "specversion": "1.0", "id": "7", "source": "/a", "type": "made", "subject": "a b",
        "datacontenttype": "application/json", "data": { "a": [1] },
    });
    let url = format!("{}/v1/functions/same/invocations", cloud.http());
    let post = |media_type: &str, body: String| {
        let request = http().post(&url).bearer_auth(&owner.token).body(body);
        request.header("content-type", media_type)
    };
    let binary = post("application/json", event["data"].to_string())
        .header("ce-specversion", "1.0")
        .header("ce-id", "7")
        .header("ce-source", "/a")
        .header("ce-type", "made")
        .header("ce-subject", "a%20b");
    for request in [binary, post("application/cloudevents+json", event.to_string())] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let told: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(told, event);
    }
    let batch = post("application/cloudevents-batch+json", format!("[{event}]"));
    let answer = batch.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let told = answer.text().await.unwrap();
    assert!(told.contains("each as a request of its own"), "{told}");
    cloud.close().await;
}

/// Node.js runs handlers of either kind of module, and tells of their errors as Python's are told.
#[tokio::test(flavor = "multi_thread")]
async fn handlers_of_node_are_run() {
    if !std::path::Path::new("/usr/bin/node").is_file() {
        eprintln!("SKIPPED: there is no /usr/bin/node");
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let modern = "export async function handler(event, context) {\n  if (event.fail) throw new \
                  RangeError('told to');\n  return { hello: event.name, of: \
                  context.functionName, left: context.getRemainingTimeInMillis() > 0 };\n}\n";
    let classic = "let calls = 0;\nexports.handler = (event, context, callback) => {\n  calls += 1;\n  \
                   if (event.fail) callback(new RangeError('told to'));\n  else callback(null, { hello: \
                   event.name, of: context.functionName, left: calls > 0 });\n};\n";
    for (name, file, code) in [("modern", "app.mjs", modern), ("classic", "app.js", classic)] {
        let object = owner.send(&Package::empty().file(file, code)).await.unwrap().id;
        let wanted = CreateFunction {
            handler: "app.handler".to_owned(),
            memory_mib: Some(256),
            timeout_ms: Some(10_000),
            ..CreateFunction::new(function(name), FunctionRuntime::Nodejs, object)
        };
        owner.client.function_create(&wanted).await.unwrap();
        for _ in 0..2 {
            let (error, told) = call(&owner, name, json!({ "name": "you" })).await;
            assert_eq!(error, None, "{told}");
            assert_eq!(told, json!({ "hello": "you", "of": name, "left": true }));
        }
        let (error, told) = call(&owner, name, json!({ "fail": true })).await;
        assert_eq!(error.as_deref(), Some("Function.RangeError"), "{told}");
        assert_eq!(told["errorMessage"], "told to");
    }
    cloud.close().await;
}

/// Where only one instance fits, calls wait for each other, and every one is told when it cannot
/// begin.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_an_instance_that_could_not_be_made() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    for (name, handler, failed) in [("well", "app.handler", false), ("lost", "app.nothing", true)] {
        let made = make(&owner, name, handler, GREET).await;
        let generation = made.generation;
        let wanted =
            UpdateFunction { memory_mib: Some(3_584), generation, ..UpdateFunction::default() };
        owner.client.function_update(&function(name), &wanted).await.unwrap();
        call(&owner, name, json!({ "name": "you" })).await;
        let calls = (0..4).map(|_| call(&owner, name, json!({ "name": "you" })));
        for (error, told) in futures::future::join_all(calls).await {
            assert_eq!(error.is_some(), failed, "{name}: {told}");
        }
        owner.client.function_delete(&function(name)).await.unwrap();
    }
    cloud.close().await;
}
