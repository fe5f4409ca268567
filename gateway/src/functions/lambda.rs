//! Lambda's invocations: calls of functions as AWS's clients make and understand them.
//!
//! Always true: who signed is known before the body is read, and what was signed is checked before
//! anything runs; an error of the function is a 200 with a header, an error of the call has one of
//! Lambda's names.
//! Source: the service model of Lambda 2015-03-31 as botocore 1.44 has it.

mod stream;

use std::sync::Arc;

use api::internal::functions::Called;
use api::internal::functions::pieces::Piece;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use types::functions::account_number;
use types::{ErrorKind, FunctionReference, RequestId};
use uuid::Uuid;

use super::signed::Who;
use super::streaming::{self, Opened, Payload};
use super::{Function, Outcome, Said, call, keep, open, query, traces};
use crate::body;
use crate::error::Error;
use crate::hub::Hub;
use crate::limits::Place;
use crate::paths::LambdaVerb;
use crate::routes::Caller;
use crate::service::Incoming;

/// Largest client context, in base64. Source: Lambda's limit.
const CONTEXT_BYTES_MAX: usize = 3_583;
/// Names the kind of an error.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
/// Carries the request's id, as AWS's clients show it.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Answers a call.
///
/// # Errors
///
/// As of native calls; [`refusal`] puts them into Lambda's words.
pub(crate) async fn answer(
    hub: &Arc<Hub>,
    incoming: Incoming,
    (verb, name): (LambdaVerb, &str),
) -> Result<Response<Body>, Error> {
    let from = incoming.from();
    let Incoming { parts, body, request_id } = incoming;
    let who = Who::of(hub, &parts)?;
    let caller = who.caller();
    let asked = parts.uri.query().unwrap_or_default();
    let (function, qualifier) = find(hub, &caller, name, &query(asked, "Qualifier"))?;
    let place: Place = hub.place(&caller, from)?;
    let payload = body::read(&parts.headers, body, &hub.settings, &hub.clock).await?;
    who.check(hub, &parts, &payload)?;
    let id = request_id.to_str().unwrap_or_default();
    let kind = parts.headers.get("x-amz-invocation-type");
    let kind = kind.map_or("RequestResponse", |kind| kind.to_str().unwrap_or("?"));
    match (verb, kind) {
        (LambdaVerb::InvokeAsync, _) | (LambdaVerb::Invoke, "Event") => {
            let id = event_id(hub, &function, &parts.headers);
            keep(hub, &function, (&qualifier, id), &payload).await?;
            Ok(empty(StatusCode::ACCEPTED))
        }
        (_, "DryRun") => {
            super::exists(hub, &function, &qualifier)?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        (_, "RequestResponse") => {
            let payload = if payload.is_empty() { Bytes::from_static(b"{}") } else { payload };
            serde_json::from_slice::<serde::de::IgnoredAny>(&payload).map_err(|error| {
                Error::bad_request(format!("Could not parse request body into json: {error}"))
            })?;
            let mut said = said(&parts.headers)?;
            // What a function writes is its owner's.
            said.log_tail &= caller.account() == Some(function.told.account);
            let at = (qualifier.as_str(), id);
            match verb {
                LambdaVerb::Stream => {
                    let said = Said { stream: true, ..said };
                    let opened = open(hub, &function, at, said, payload).await?;
                    Ok(streamed(opened, place))
                }
                _ => Ok(whole(call(hub, &function, at, said, payload).await?)),
            }
        }
        (_, other) => {
            let other: String = other.chars().take(40).collect();
            Err(Error::bad_request(format!(
                "the invocation type {other} is not one of RequestResponse, Event and DryRun"
            )))
        }
    }
}

/// The function that a name means to a caller, and the qualifier.
fn find(
    hub: &Hub,
    caller: &Caller,
    name: &str,
    qualifier: &str,
) -> Result<(Arc<Function>, String), Error> {
    let Caller::Known(known) = caller else { return Err(Error::NoCredentials) };
    let unknown = || Error::no_function(name);
    let named: FunctionReference = name.parse().map_err(|_| unknown())?;
    let qualifier = match (&*named.qualifier, qualifier) {
        (inside, "") => inside.to_owned(),
        ("", outside) => outside.to_owned(),
        (inside, outside) if inside == outside => inside.to_owned(),
        _ => return Err(unknown()),
    };
    let number = named.account.unwrap_or_else(|| account_number(known.account));
    let table = hub.table.load();
    let function =
        table.function_by_number(&hub.rights, caller, &number, (&named.name, &qualifier))?;
    Ok((function, qualifier))
}

/// The id of an event: the same for a request that its client sends again.
fn event_id(hub: &Hub, function: &Function, headers: &HeaderMap) -> Uuid {
    let Some(said) = headers.get("amz-sdk-invocation-id") else { return hub.clock.uuid() };
    let digest = Sha256::new()
        .chain_update(function.told.function.uuid().as_bytes())
        .chain_update(said.as_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn said(headers: &HeaderMap) -> Result<Said, Error> {
    let word = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    let client_context = word("x-amz-client-context");
    if client_context.as_ref().is_some_and(|context| context.len() > CONTEXT_BYTES_MAX) {
        let reason = format!("the client context has more than {CONTEXT_BYTES_MAX} bytes");
        return Err(Error::bad_request(reason));
    }
    let log_tail = word("x-amz-log-type").as_deref() == Some("Tail");
    let (trace_id, through) = (traces::told(headers), None);
    let idempotent = headers.contains_key(api::functions::IDEMPOTENCY_HEADER);
    Ok(Said { trace_id, client_context, log_tail, stream: false, idempotent, through })
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The headers of every answer.
fn headers(called: &Called, version: &str) -> Vec<(HeaderName, String)> {
    let mut headers = vec![
        (HeaderName::from_static("x-amz-executed-version"), version.to_owned()),
        (HeaderName::from_static(api::functions::TIMING_HEADER), super::timing(called)),
    ];
    if called.error.is_some() {
        let unhandled = "Unhandled".to_owned();
        headers.push((HeaderName::from_static("x-amz-function-error"), unhandled));
    }
    if let Some(tail) = &called.log_tail {
        headers.push((HeaderName::from_static("x-amz-log-result"), tail.clone()));
    }
    if let Some(stale_ms) = called.stale_ms {
        let name = HeaderName::from_static(api::functions::STALE_HEADER);
        headers.push((name, stale_ms.to_string()));
    }
    headers
}

fn with(mut response: Response<Body>, headers: Vec<(HeaderName, String)>) -> Response<Body> {
    for (name, value) in headers {
        // What a program says may be no header; then it is left out.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn whole(outcome: Outcome) -> Response<Body> {
    let mut headers = headers(&outcome.called, &outcome.version);
    let media_type = outcome.called.media_type.as_deref().unwrap_or("application/json");
    headers.push((header::CONTENT_TYPE, media_type.to_owned()));
    with(Response::new(Body::from(outcome.payload)), headers)
}

/// The answer as the frames of a stream: the payload, as it comes, then how it ended.
fn streamed(opened: Opened, place: Place) -> Response<Body> {
    let Opened { called, payload, version, meter } = opened;
    let mut headers = headers(&called, &version);
    headers.push((header::CONTENT_TYPE, "application/vnd.amazon.eventstream".to_owned()));
    let body = match payload {
        Payload::Whole(payload) => {
            let (said, error) = if called.error.is_some() {
                (Bytes::new(), payload)
            } else {
                (payload, Bytes::new())
            };
            Body::from([stream::chunks(&said), ended(&called, &error)].concat())
        }
        Payload::Pieces(pieces) => streaming::body(pieces, (meter, place), |piece| {
            Ok(Frame::data(match piece {
                Piece::Data(data) => stream::chunks(&data),
                Piece::Ended(called, error) => ended(&called, &error),
            }))
        }),
    };
    with(Response::new(body), headers)
}

/// The frame that says how a call ended.
fn ended(called: &Called, error: &Bytes) -> Bytes {
    let mut complete = json!({});
    if let Some(kind) = &called.error {
        complete["ErrorCode"] = Value::from(kind.as_str());
        complete["ErrorDetails"] = Value::from(String::from_utf8_lossy(error));
    }
    if let Some(tail) = &called.log_tail {
        complete["LogResult"] = Value::from(tail.as_str());
    }
    stream::complete(&complete.to_string())
}

/// An error in Lambda's words.
pub(crate) fn refusal(error: &Error) -> Response<Body> {
    let (status, kind, reason) = match (error, error.kind()) {
        (Error::BadSignature { .. }, _) => (403, "InvalidSignatureException", None),
        (Error::NoCredentials, _) => (403, "MissingAuthenticationTokenException", None),
        (_, ErrorKind::Unauthenticated) => (403, "UnrecognizedClientException", None),
        (_, ErrorKind::Forbidden) => (403, "AccessDeniedException", None),
        (_, ErrorKind::NotFound) => (404, "ResourceNotFoundException", None),
        (Error::Reserved { .. }, _) => {
            let reason = "ReservedFunctionConcurrentInvocationLimitExceeded";
            (429, "TooManyRequestsException", Some(reason))
        }
        (Error::TooFast { .. }, _) => {
            (429, "TooManyRequestsException", Some("CallerRateLimitExceeded"))
        }
        (_, ErrorKind::Busy) => {
            (429, "TooManyRequestsException", Some("ConcurrentInvocationLimitExceeded"))
        }
        (_, ErrorKind::TooLarge) => (413, "RequestTooLargeException", None),
        (_, ErrorKind::BadRequest) => (400, "InvalidRequestContentException", None),
        (_, ErrorKind::Unavailable) => (503, "ServiceException", None),
        _ => (500, "ServiceException", None),
    };
    let message = error.public_message();
    let whose = if status >= 500 { "Service" } else { "User" };
    let mut told = json!({ "Type": whose, "Message": message, "message": message });
    if let Some(reason) = reason {
        told["Reason"] = Value::from(reason);
    }
    refused(error, (StatusCode::from_u16(status).unwrap_or_default(), kind), &told)
}

/// An error as AWS's clients read it: its kind in a header, and what is told of it.
pub(super) fn refused(
    error: &Error,
    (status, kind): (StatusCode, &'static str),
    told: &Value,
) -> Response<Body> {
    let mut response = Response::new(Body::from(told.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ERROR_TYPE, HeaderValue::from_static(kind));
    if let Some(seconds) = error.retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The request's id as AWS's clients know ids, where it is one of ours.
pub(crate) fn lambda_id(request_id: &HeaderValue) -> Option<(HeaderName, HeaderValue)> {
    let text = request_id.to_str().ok()?;
    let id = text.parse::<RequestId>().map_or_else(|_| text.to_owned(), |id| id.uuid().to_string());
    Some((REQUEST_ID, HeaderValue::try_from(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_told_as_clients_know_them() {
        let id = HeaderValue::from_static("req-00000000000000000000000000000007");
        let (name, value) = lambda_id(&id).unwrap();
        assert_eq!(name.as_str(), "x-amzn-requestid");
        assert_eq!(value, "00000000-0000-0000-0000-000000000007");
        let id = HeaderValue::from_static("mine");
        assert_eq!(lambda_id(&id).unwrap().1, "mine");
    }

    /// Clients try again after a 5xx.
    #[test]
    fn a_link_that_lets_no_call_through_is_no_fault_of_ours() {
        let answer = refusal(&Error::LinkBroken { reason: "it has ended".to_owned() });
        assert_eq!(answer.status(), 403);
        assert_eq!(answer.headers()["x-amzn-errortype"], "AccessDeniedException");
    }

    /// On our own API and on Lambda's, with the same time.
    #[test]
    fn whoever_is_throttled_is_told_why_and_when_to_come_back() {
        let not_run = |wait_ms| Error::NotRun {
            kind: ErrorKind::Busy,
            message: "enough calls wait".to_owned(),
            wait_ms,
        };
        let concurrent = "ConcurrentInvocationLimitExceeded";
        let cases = [
            (Error::Reserved { max: 2 }, "ReservedFunctionConcurrentInvocationLimitExceeded", "1"),
            (Error::TooFast { wait_ms: 2_001 }, "CallerRateLimitExceeded", "3"),
            (Error::Busy { what: "this caller" }, concurrent, "1"),
            (not_run(None), concurrent, "1"),
            (not_run(Some(12_000)), concurrent, "12"),
        ];
        let id = HeaderValue::from_static("mine");
        for (error, reason, seconds) in cases {
            let own = crate::service::refusal(crate::paths::Shape::Problem, &error, &id);
            let told = json_of(refusal(&error));
            assert_eq!(told["Reason"], reason, "{told}");
            for answer in [own, refusal(&error)] {
                assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
                assert_eq!(answer.headers()[header::RETRY_AFTER], seconds, "{error}");
            }
        }
        // A host that is full is no caller's fault, and may have room soon.
        let full = Error::NotRun {
            kind: ErrorKind::Unavailable,
            message: "no room".to_owned(),
            wait_ms: Some(1_500),
        };
        assert_eq!(refusal(&full).headers()[header::RETRY_AFTER], "2");
        assert_eq!(refusal(&full).status(), StatusCode::SERVICE_UNAVAILABLE);
        // What may have run is not to be repeated unasked.
        assert_eq!(refusal(&Error::CallLost).headers().get(header::RETRY_AFTER), None);
    }

    fn json_of(response: Response<Body>) -> Value {
        let body = http_body_util::BodyExt::collect(response.into_body());
        let body = futures::executor::block_on(body).unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }
}
