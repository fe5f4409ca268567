//! The Extensions API over HTTP, and the Telemetry API's subscriptions.
//!
//! Always true: a subscription to telemetry is taken and nothing is sent for it: what a function
//! writes is in its log, and extensions that only insist on being heard go on.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::extensions::{EXTENSIONS_MAX, Event, Kind, Refusal};
use super::super::{ERROR_BYTES_MAX, Failure, Runtime, Shutdown};
use super::{Answer, Refused, json as answer_json, read, refuse, taken, text};

const IDENTIFIER: &str = "lambda-extension-identifier";

/// What an extension registers for.
#[derive(Deserialize)]
struct Registration {
    #[serde(default)]
    events: Vec<Value>,
}

/// The answer to a call of these interfaces; none where it is none. What was sent is read in every
/// case, so that its connection can be used again.
pub(super) async fn answer(
    runtime: &Runtime,
    (method, path): (&Method, &[&str]),
    headers: &HeaderMap,
    body: Incoming,
) -> Option<Result<Answer, Refused>> {
    if (method, path) == (&Method::GET, &["2020-01-01", "extension", "event", "next"]) {
        return Some(next(runtime, headers).await);
    }
    let asked = match (method, path) {
        (&Method::POST, ["2020-01-01", "extension", "register"]) => register,
        (&Method::POST, ["2020-01-01", "extension", "init", "error"]) => init_failed,
        (&Method::POST, ["2020-01-01", "extension", "exit", "error"]) => exit_failed,
        (&Method::PUT, ["2022-07-01", "telemetry"] | ["2020-08-15", "logs"]) => subscribe,
        _ => return None,
    };
    Some(match read(body, ERROR_BYTES_MAX).await {
        Ok(body) => asked(runtime, headers, &body),
        Err(refusal) => Err(refusal),
    })
}

fn register(runtime: &Runtime, headers: &HeaderMap, body: &Bytes) -> Result<Answer, Refused> {
    let name = text(headers, "lambda-extension-name").unwrap_or_default();
    if name.is_empty() {
        return Err(forbid("Extension.InvalidExtensionName", "Empty extension name"));
    }
    let said: Registration = serde_json::from_slice(body)
        .map_err(|error| forbid("InvalidRequestFormat", &error.to_string()))?;
    let mut events = Vec::new();
    for event in said.events {
        let kind: Result<Kind, _> = serde_json::from_value(event.clone());
        let unknown = |_| forbid("Extension.InvalidEventType", &format!("{event}: unknown event"));
        events.push(kind.map_err(unknown)?);
    }
    let id = runtime.shared.clock.uuid().to_string();
    let registered = runtime.shared.state.lock().extensions.register(id.clone(), &name, events);
    registered.map_err(not_registered)?;
    let about = &runtime.shared.about;
    let mut told = json!({
        "functionName": about.name, "functionVersion": about.version, "handler": about.handler,
    });
    let features = text(headers, "lambda-extension-accept-feature").unwrap_or_default();
    if features.split(',').any(|feature| feature.trim() == "accountId") {
        told["accountId"] = Value::from(about.account.as_str());
    }
    Ok(identified(answer_json(StatusCode::OK, &told), (IDENTIFIER, &id)))
}

async fn next(runtime: &Runtime, headers: &HeaderMap) -> Result<Answer, Refused> {
    let id = known(runtime, headers)?;
    let event = runtime.next_event(&id).await.ok_or_else(unknown)?;
    let told = match event {
        Event::Invoke(call) => json!({
            "eventType": "INVOKE",
            "deadlineMs": call.deadline_ms,
            "requestId": call.id,
            "invokedFunctionArn": call.function_arn,
            "tracing": { "type": "X-Amzn-Trace-Id", "value": call.trace_id.unwrap_or_default() },
        }),
        Event::Shutdown { reason, deadline_ms } => json!({
            "eventType": "SHUTDOWN",
            "shutdownReason": match reason {
                Shutdown::Spindown => "spindown",
                Shutdown::Timeout => "timeout",
                Shutdown::Failure => "failure",
            },
            "deadlineMs": deadline_ms,
        }),
    };
    let event_id = runtime.shared.clock.uuid().to_string();
    let answer = answer_json(StatusCode::OK, &told);
    Ok(identified(answer, ("lambda-extension-event-identifier", &event_id)))
}

fn init_failed(runtime: &Runtime, headers: &HeaderMap, _: &Bytes) -> Result<Answer, Refused> {
    failed(runtime, headers, "Extension.InitError")
}

fn exit_failed(runtime: &Runtime, headers: &HeaderMap, _: &Bytes) -> Result<Answer, Refused> {
    failed(runtime, headers, "Extension.ExitError")
}

fn failed(runtime: &Runtime, headers: &HeaderMap, kind: &str) -> Result<Answer, Refused> {
    known(runtime, headers)?;
    let said = text(headers, "lambda-extension-function-error-type").ok_or_else(|| {
        let message = "Lambda-Extension-Function-Error-Type not found";
        forbid("Extension.MissingHeader", message)
    })?;
    runtime.extension_failed(Failure::new(kind, &format!("an extension failed: {said}")));
    taken(Ok(()))
}

fn subscribe(runtime: &Runtime, headers: &HeaderMap, body: &Bytes) -> Result<Answer, Refused> {
    known(runtime, headers)?;
    serde_json::from_slice::<Value>(body)
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, "ValidationError", &error.to_string()))?;
    Ok(Answer::new(Full::from("OK")))
}

/// The identifier of whoever asks.
fn known(runtime: &Runtime, headers: &HeaderMap) -> Result<String, Refused> {
    let Some(id) = text(headers, IDENTIFIER) else {
        let message = "Missing Lambda-Extension-Identifier header";
        return Err(forbid("Extension.MissingExtensionIdentifier", message));
    };
    if id.parse::<Uuid>().is_err() {
        let message = "Invalid Lambda-Extension-Identifier";
        return Err(forbid("Extension.InvalidExtensionIdentifier", message));
    }
    if !runtime.shared.state.lock().extensions.knows(&id) {
        return Err(unknown());
    }
    Ok(id)
}

fn unknown() -> Refused {
    forbid("Extension.UnknownExtensionIdentifier", "Unknown Lambda-Extension-Identifier")
}

fn not_registered(why: Refusal) -> Refused {
    let (kind, message) = match why {
        Refusal::Name => ("Extension.InvalidExtensionName", "Invalid extension name".to_owned()),
        Refusal::Closed => {
            ("Extension.RegistrationClosed", "Extension registration closed already".to_owned())
        }
        Refusal::Known => (
            "Extension.InvalidExtensionState",
            "Extension with this name already registered".to_owned(),
        ),
        Refusal::TooMany => {
            ("Extension.TooManyExtensions", format!("Extension limit ({EXTENSIONS_MAX}) reached"))
        }
    };
    forbid(kind, &message)
}

fn forbid(kind: &'static str, message: &str) -> Refused {
    refuse(StatusCode::FORBIDDEN, kind, message)
}

fn identified(mut answer: Answer, (name, id): (&'static str, &str)) -> Answer {
    if let Ok(id) = http::HeaderValue::try_from(id) {
        answer.headers_mut().insert(name, id);
    }
    answer
}
