//! Functions: a call is given to an agent that runs it, and the answer is passed on.
//!
//! Always true: a call is run by one host at most, once; what it was not told to do is not done
//! again. An unknown function and a forbidden one look the same.
//! Absent on purpose: instances (the agent makes and keeps them).

mod concurrency;
mod dial;
mod events;
mod hosts;
mod lambda;
mod placing;
mod route;

use std::sync::Arc;

use api::functions::{
    AcceptedEvent, ERROR_HEADER, IDEMPOTENCY_HEADER, STALE_HEADER, TIMING_HEADER, VERSION_HEADER,
};
use api::internal::functions::{Call, Called, NewEvent};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use types::{EventId, RequestId};
use uuid::Uuid;

use crate::body;
use crate::error::Error;
use crate::hub::Hub;
use crate::service::Incoming;

pub(crate) use concurrency::Concurrency;
pub(crate) use dial::{Calls, client};
pub(crate) use events::run as run_events;
pub(crate) use hosts::Hosts;
pub(crate) use lambda::{answer as answer_lambda, lambda_id, refusal as lambda_refusal};
use placing::Placing;
pub(crate) use route::Function;

/// Longest trace that is handed on.
const TRACE_BYTES_MAX: usize = 512;

/// What a caller says of a call, beside its payload.
#[derive(Clone, Debug, Default)]
struct Said {
    trace_id: Option<String>,
    client_context: Option<String>,
    log_tail: bool,
    /// It may be run twice without harm.
    idempotent: bool,
}

/// What became of a call.
struct Outcome {
    called: Called,
    payload: Bytes,
    /// The version that ran.
    version: String,
}

/// Runs a call to its end.
///
/// # Errors
///
/// [`Error::NoFunction`], [`Error::Busy`], [`Error::NotRun`] where the host could not run it.
async fn call(
    hub: &Hub,
    function: &Function,
    (qualifier, id): (&str, &str),
    said: Said,
    payload: Bytes,
) -> Result<Outcome, Error> {
    let uuid = id.parse::<RequestId>().map_or_else(|_| hub.clock.uuid(), RequestId::uuid);
    let _turn = hub.concurrency.take(function)?;
    let target = function.target(qualifier, uuid)?;
    let (sizing, idempotent) = function.sizing(&target);
    let call = Call {
        id: id.to_owned(),
        function_arn: function.arn(qualifier),
        trace_id: said.trace_id,
        client_context: said.client_context,
        log_tail: said.log_tail,
        fallback: target.fallback.clone(),
        burst: false,
        idempotent: idempotent || said.idempotent,
        sizing,
    };
    let placing = Placing {
        revision: target.revision,
        memory_kib: target.memory_kib,
        seed: placing::folded(uuid),
        now_ms: hub.clock.now_ms(),
    };
    let hosts = hub.table.load().hosts();
    let (called, payload) = hosts.call(hub, function, (placing, call), payload).await?;
    let fell = target.fallback.filter(|_| called.stale_ms.is_some());
    let version = fell.map_or(target.version, |fallback| fallback.version);
    Ok(Outcome { called, payload, version })
}

/// Has an event kept, which nobody waits for. The same one twice is kept once.
async fn keep(
    hub: &Hub,
    function: &Function,
    (qualifier, id): (&str, Uuid),
    payload: &Bytes,
) -> Result<EventId, Error> {
    // What is not there now will not be found later either.
    function.target(qualifier, id)?;
    let broken = |what: String| Error::bad_request(format!("the event is no JSON: {what}"));
    let payload = std::str::from_utf8(payload).map_err(|error| broken(error.to_string()))?;
    let payload = if payload.is_empty() { "{}" } else { payload };
    serde_json::from_str::<serde::de::IgnoredAny>(payload)
        .map_err(|error| broken(error.to_string()))?;
    if payload.len() > api::internal::functions::EVENT_KEPT_BYTES_MAX {
        let bytes_max = api::internal::functions::EVENT_KEPT_BYTES_MAX;
        return Err(Error::BodyTooLarge { bytes_max });
    }
    let event = NewEvent {
        id: EventId::new(id),
        function: function.told.function,
        qualifier: qualifier.to_owned(),
        payload: payload.to_owned(),
    };
    let id = event.id;
    hub.control.accept_event(event).await.map_err(|cause| {
        tracing::warn!(%cause, "an event was not taken by control");
        Error::NoControl
    })?;
    Ok(id)
}

/// Answers a call of a function of the caller's account: `?mode=event` has it kept and run later.
///
/// # Errors
///
/// As [`call`], and the limits'.
pub(crate) async fn invoke(
    hub: &Arc<Hub>,
    incoming: Incoming,
    name: &str,
) -> Result<Response<Body>, Error> {
    let from = incoming.from();
    let Incoming { parts, body, request_id } = incoming;
    let caller = hub.caller(&parts.headers)?;
    let asked = parts.uri.query().unwrap_or_default();
    let (qualifier, mode) = (query(asked, "qualifier"), query(asked, "mode"));
    let function = hub.table.load().function(&hub.rights, &caller, (name, &qualifier))?;
    let _place = hub.place(&caller, from)?;
    let payload = body::read(&parts.headers, body, &hub.settings, &hub.clock).await?;
    match mode.as_str() {
        "" => {
            let id = request_id.to_str().unwrap_or_default();
            let trace_id = trace(&parts.headers);
            let idempotent = parts.headers.contains_key(IDEMPOTENCY_HEADER);
            let said = Said { trace_id, idempotent, ..Said::default() };
            let outcome = call(hub, &function, (&qualifier, id), said, payload).await?;
            Ok(answer(outcome))
        }
        "event" => {
            let id = keep(hub, &function, (&qualifier, hub.clock.uuid()), &payload).await?;
            let told = serde_json::to_vec(&AcceptedEvent { event: id }).unwrap_or_default();
            let mut response = crate::service::answer("application/json", told.into());
            *response.status_mut() = StatusCode::ACCEPTED;
            Ok(response)
        }
        other => {
            let other: String = other.chars().take(40).collect();
            Err(Error::bad_request(format!("mode={other}: use event, or leave it out to wait")))
        }
    }
}

/// The function's answer or error. Also an error is a 200: the call was carried out, and a header
/// tells that the function failed.
fn answer(outcome: Outcome) -> Response<Body> {
    let Outcome { called, payload, version } = outcome;
    let mut response = Response::new(Body::from(payload));
    let media_type = called.media_type.as_deref().unwrap_or("application/json");
    let told = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (HeaderName::from_static(VERSION_HEADER), version),
        (HeaderName::from_static(TIMING_HEADER), timing(&called)),
    ];
    let error = called.error.as_ref();
    let error = error.map(|kind| (HeaderName::from_static(ERROR_HEADER), kind.clone()));
    let stale = called.stale_ms.map(|ms| (HeaderName::from_static(STALE_HEADER), ms.to_string()));
    for (name, value) in told.into_iter().chain(error).chain(stale) {
        // What a program says may be no header; then it is left out.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Where the time went, in milliseconds.
fn timing(called: &Called) -> String {
    let ms = |us: u64| format!("{}.{:03}", us / 1_000, us % 1_000);
    let mut parts = vec![
        format!("handler;dur={}", ms(called.duration_us)),
        format!("wait;dur={}", ms(called.waited_us)),
    ];
    if let Some(start) = called.start {
        parts.push(format!("code;dur={}", ms(start.code_us)));
        parts.push(format!("sandbox;dur={}", ms(start.sandbox_us)));
        parts.push(format!("init;dur={}", ms(start.init_us)));
    }
    parts.join(", ")
}

/// A parameter behind the question mark; empty where it is absent.
fn query(text: &str, name: &str) -> String {
    let found =
        text.split('&').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name);
    let value = found.map(|(_, value)| value).unwrap_or_default();
    percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned()
}

fn trace(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-amzn-trace-id")?.to_str().ok()?;
    (value.len() <= TRACE_BYTES_MAX).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_milliseconds() {
        let mut called = Called { duration_us: 1_234, waited_us: 56, ..Called::default() };
        assert_eq!(timing(&called), "handler;dur=1.234, wait;dur=0.056");
        called.start = Some(api::internal::functions::StartTimes {
            code_us: 1,
            sandbox_us: 20_000,
            init_us: 300,
        });
        assert!(timing(&called).ends_with("code;dur=0.001, sandbox;dur=20.000, init;dur=0.300"));
    }

    #[test]
    fn a_parameter_is_found_by_its_whole_name() {
        assert_eq!(query("a=1&qualifier=%24LATEST", "qualifier"), "$LATEST");
        assert_eq!(query("xqualifier=1", "qualifier"), "");
        assert_eq!(query("", "qualifier"), "");
    }
}
