//! Extensions, as they speak to the interface.

use serde_json::{Value, json};

use super::*;

const REGISTER: &str = "POST /2020-01-01/extension/register";
const NEXT: &str = "GET /2020-01-01/extension/event/next";

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let line = head.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim()
}

/// Registers, and gives the header that says who one is.
async fn register(program: &mut Program, name: &str, events: &Value) -> String {
    let said = format!("lambda-extension-name: {name}\r\n");
    let body = json!({ "events": events }).to_string();
    let (status, head, told) = program.ask(REGISTER, &said, body.as_bytes()).await;
    assert_eq!(status, 200, "{told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    let expected = json!({
        "functionName": "f", "functionVersion": "7", "handler": "app.handler",
    });
    assert_eq!(told, expected);
    format!("lambda-extension-identifier: {}\r\n", header(&head, "lambda-extension-identifier"))
}

#[tokio::test]
async fn an_extension_is_told_of_calls_and_of_the_end() {
    let (runtime, mut program) = served().await;
    let mut extension = program.another().await;
    let who = register(&mut extension, "watcher", &json!(["INVOKE", "SHUTDOWN"])).await;
    let asking = tokio::spawn(async move { program.next().await });
    while !runtime.is_waiting() {
        tokio::task::yield_now().await;
    }
    // The program has begun, its extension has not.
    assert_eq!(*runtime.shared.begun.borrow(), Begun::Beginning);
    let events = tokio::spawn(async move {
        let mut told = Vec::new();
        for _ in 0..2 {
            let (status, head, event) = extension.ask(NEXT, &who, b"").await;
            assert_eq!(status, 200);
            assert!(head.contains("lambda-extension-event-identifier"), "{head}");
            told.push(serde_json::from_str::<Value>(&event).unwrap());
        }
        told
    });
    assert_eq!(runtime.begun().await, Begun::Yes);
    runtime.ready().await;
    let call = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.invoke(invocation("r-1")).await }
    });
    assert_eq!(asking.await.unwrap().0, 200);
    // It has seen to the call when it asks for the next event.
    runtime.ready().await;
    assert!(runtime.shut_down(Shutdown::Spindown, 9));
    // It has not asked again since.
    assert!(!runtime.is_ready());
    let told = events.await.unwrap();
    let invoke = json!({
        "eventType": "INVOKE", "deadlineMs": 1_700_000_000_000_u64, "requestId": "r-1",
        "invokedFunctionArn": "arn:aws:lambda:local:1:function:f:live",
        "tracing": { "type": "X-Amzn-Trace-Id", "value": "Root=1-2-3" },
    });
    let end = json!({ "eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": 9 });
    assert_eq!(told, [invoke, end]);
    call.abort();
}

#[tokio::test]
async fn one_that_asked_for_nothing_holds_up_nothing() {
    let (runtime, program) = served().await;
    let mut extension = program.another().await;
    let who = register(&mut extension, "helper", &json!([])).await;
    let waits = tokio::spawn(async move { extension.ask(NEXT, &who, b"").await });
    let mut program = program;
    let asks = tokio::spawn(async move { program.next().await });
    assert_eq!(runtime.begun().await, Begun::Yes);
    let call = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.invoke(invocation("r-1")).await }
    });
    asks.await.unwrap();
    assert!(runtime.is_ready() && !waits.is_finished());
    assert!(runtime.shut_down(Shutdown::Failure, 9));
    waits.abort();
    call.abort();
}

#[tokio::test]
async fn without_extensions_nobody_is_given_time_to_end() {
    let (runtime, _program) = served().await;
    assert!(!runtime.shut_down(Shutdown::Timeout, 9));
}

#[tokio::test]
async fn an_extension_that_fails_ends_the_instance() {
    for (call, kind) in [("init", "Extension.InitError"), ("exit", "Extension.ExitError")] {
        let (runtime, program) = served().await;
        let mut extension = program.another().await;
        let who = register(&mut extension, "watcher", &json!(["INVOKE"])).await;
        let line = format!("POST /2020-01-01/extension/{call}/error");
        let (status, _, body) = extension.ask(&line, &who, b"{}").await;
        assert_eq!((status, body.contains("Extension.MissingHeader")), (403, true), "{body}");
        assert!(!runtime.is_broken());
        let said = format!("{who}lambda-extension-function-error-type: Mine.Sad\r\n");
        assert_eq!(extension.ask(&line, &said, b"{}").await.0, 202);
        let failure = runtime.broken().await;
        assert_eq!(failure.kind, kind);
        assert!(String::from_utf8_lossy(&failure.payload).contains("Mine.Sad"));
        assert_eq!(runtime.begun().await, Begun::Failed(failure));
    }
}

#[tokio::test]
async fn telemetry_is_subscribed_to_by_those_who_are_known() {
    let (_runtime, mut program) = served().await;
    let who = register(&mut program, "watcher", &json!([])).await;
    for line in ["PUT /2022-07-01/telemetry", "PUT /2020-08-15/logs"] {
        let (status, _, body) = program.ask(line, &who, br#"{"types":["platform"]}"#).await;
        assert_eq!((status, body.as_str()), (200, "OK"));
        assert_eq!(program.ask(line, &who, b"{").await.0, 400);
        assert_eq!(program.ask(line, "", b"{}").await.0, 403);
    }
}

#[tokio::test]
async fn who_may_not_register_or_is_unknown_is_told_why() {
    let (runtime, mut program) = served().await;
    let name = "lambda-extension-name: a\r\n";
    let feature = "lambda-extension-name: b\r\nlambda-extension-accept-feature: accountId\r\n";
    let (status, _, body) = program.ask(REGISTER, feature, br#"{"events":[]}"#).await;
    assert_eq!((status, body.contains(r#""accountId":"1""#)), (200, true), "{body}");
    let unknown = "lambda-extension-identifier: 00000000-0000-4000-8000-000000000000\r\n";
    let long = format!("lambda-extension-name: {}\r\n", "x".repeat(200));
    let none = r#"{"events":[]}"#;
    for (line, said, body, kind) in [
        (REGISTER, "", none, "InvalidExtensionName"),
        (REGISTER, &long, none, "InvalidExtensionName"),
        (REGISTER, name, "{", "InvalidRequestFormat"),
        (REGISTER, name, r#"{"events":["OTHER"]}"#, "InvalidEventType"),
        (REGISTER, "lambda-extension-name: b\r\n", none, "InvalidExtensionState"),
        (NEXT, "", "", "MissingExtensionIdentifier"),
        (NEXT, "lambda-extension-identifier: x\r\n", "", "InvalidExtensionIdentifier"),
        (NEXT, unknown, "", "UnknownExtensionIdentifier"),
    ] {
        let (status, _, told) = program.ask(line, said, body.as_bytes()).await;
        assert_eq!((status, told.contains(kind)), (403, true), "{told}");
    }
    for number in 1..crate::runtime_api::extensions::EXTENSIONS_MAX {
        register(&mut program, &format!("e-{number}"), &json!([])).await;
    }
    let (status, _, told) = program.ask(REGISTER, name, none.as_bytes()).await;
    assert_eq!((status, told.contains("TooManyExtensions")), (403, true), "{told}");
    // Once all have begun, nobody registers any more.
    runtime.shared.state.lock().extensions.close();
    let (status, _, told) = program.ask(REGISTER, name, none.as_bytes()).await;
    assert_eq!((status, told.contains("RegistrationClosed")), (403, true), "{told}");
}
