//! Functions: a call is given to an agent that runs it, and the answer is passed on.
//!
//! Always true: a call is run by one host at most, once; what it was not told to do is not done
//! again. An unknown function and a forbidden one look the same.
//! Absent on purpose: instances (the agent makes and keeps them).

mod allowances;
mod concurrency;
mod dial;
mod events;
mod hosts;
mod instances;
mod lambda;
mod links;
mod meter;
pub(crate) mod metrics;
mod placing;
mod provisioned;
mod route;
mod signed;
mod streaming;
mod traces;
mod urls;
mod webhooks;

use std::sync::Arc;

use ::events::replay::record::Took;
use api::endpoints::SERVICE_HEADER;
use api::functions::{
    AcceptedEvent, ERROR_HEADER, IDEMPOTENCY_HEADER, STALE_HEADER, TIMING_HEADER, VERSION_HEADER,
};
use api::internal::functions::{Call, Called, NewEvent, StartTimes};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use types::{ErrorKind, EventId, RequestId, ServiceId, ServiceKeyId};
use uuid::Uuid;

use crate::body;
use crate::error::Error;
use crate::hub::Hub;
use crate::service::Incoming;
use crate::shadows::Copied;
use crate::usage::FunctionUse;
use allowances::Taken;
use concurrency::Turn;
use links::{Linked, Way};
use meter::{Counted, Meter};

pub(crate) use allowances::{Allowances, Limited, Subject};
pub(crate) use concurrency::Concurrency;
pub(crate) use dial::Calls;
pub(crate) use events::{Fed, feed, run as run_events};
pub(crate) use hosts::Hosts;
pub(crate) use instances::NotDone;
pub(crate) use lambda::{answer as answer_lambda, lambda_id, refusal as lambda_refusal};
use placing::Placing;
pub(crate) use route::Function;
pub(crate) use urls::{Url, answer as answer_url, refusal as url_refusal};
pub(crate) use webhooks::Webhooks;

use streaming::{Opened, Payload};
use traces::{Begun, Trace};

/// What a caller says of a call, beside its payload.
#[derive(Clone, Debug, Default)]
struct Said {
    trace_id: Option<String>,
    client_context: Option<String>,
    log_tail: bool,
    /// Whether it takes an answer in pieces.
    stream: bool,
    /// It may be run twice without harm.
    idempotent: bool,
    /// The service that it comes through.
    through: Option<Through>,
}

/// A service, and the key with which it is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Through {
    pub(crate) service: ServiceId,
    pub(crate) key: Option<(ServiceKeyId, Limited)>,
}

/// What became of a call.
pub(crate) struct Outcome {
    called: Called,
    payload: Bytes,
    /// The version that ran.
    version: String,
}

/// Runs a call to its end.
///
/// # Errors
///
/// [`Error::NoFunction`], [`Error::LinkBroken`], [`Error::Busy`], [`Error::NotRun`] where the host
/// could not run it, and those of what limits it.
async fn call(
    hub: &Hub,
    named: &Arc<Function>,
    at: (&str, &str),
    said: Said,
    payload: Bytes,
) -> Result<Outcome, Error> {
    let said = Said { stream: false, ..said };
    let Opened { called, payload, version, .. } = open(hub, named, at, said, payload).await?;
    match payload {
        Payload::Whole(payload) => Ok(Outcome { called, payload, version }),
        // Nobody had asked for them.
        Payload::Pieces(_) => Err(Error::CallLost),
    }
}

/// Runs a call to where it answers.
///
/// # Errors
///
/// As [`call`].
async fn open(
    hub: &Hub,
    named: &Arc<Function>,
    (qualifier, id): (&str, &str),
    said: Said,
    payload: Bytes,
) -> Result<Opened, Error> {
    let uuid = id.parse::<RequestId>().map_or_else(|_| hub.clock.uuid(), RequestId::uuid);
    let began_us = hub.clock.now_us();
    // A table that is replaced meanwhile is not held on to.
    let (way, hosts) = {
        let table = hub.table.load();
        (Way::of(&table, named, qualifier)?, table.hosts())
    };
    let Way { function, qualifier, link } = way;
    let target = function.target(&qualifier, uuid)?;
    let metrics = &hub.metrics.functions;
    let throttled = |error: &Error| {
        if error.kind() == ErrorKind::Busy {
            metrics.throttled(&function);
        }
    };
    let limits = (link, said.through);
    let (taken, turn) = admitted(hub, &function, limits, began_us).inspect_err(throttled)?;
    let payload = match link {
        None => payload,
        Some(link) => link.bind(payload)?,
    };
    let own = link.is_none();
    // Sizes are learned from the owner's own calls: those of others would tell of their events.
    let (sizing, idempotent) = if own { function.sizing(&target) } else { (None, false) };
    let memory_kib = if own { target.memory_kib } else { function.asked_kib(&target.version) };
    let begun = Begun { function: named.told.name.as_str(), id, began_us };
    let (trace, trace_id) = Trace::begin(hub, &begun, said.trace_id);
    let call = Call {
        id: id.to_owned(),
        function_arn: function.arn(&qualifier),
        // The owner's code learns nothing of who else's call it is.
        trace_id: trace_id.filter(|_| own),
        client_context: said.client_context.filter(|_| own),
        log_tail: said.log_tail && own,
        // What others are told of an error is seen to before a word of it is.
        stream: said.stream && own,
        fallback: target.fallback.clone(),
        payer: link.map(|link| link.named.told.account),
        burst: false,
        idempotent: idempotent || said.idempotent,
        sizing,
    };
    let placing = Placing {
        revision: target.revision,
        memory_kib,
        seed: placing::folded(uuid),
        now_ms: hub.clock.now_ms(),
    };
    let under_way = metrics.begin(&function);
    let ran = hosts.call(hub, &function, (placing, call), payload).await;
    let (called, payload) = ran.inspect_err(throttled)?;
    let counted = Counted {
        of: counted_as(hub, (named, &function), link, said.through),
        function,
        memory_mib: u32::try_from(memory_kib.div_ceil(1_024)).unwrap_or(u32::MAX),
        log: link.map(|link| (link.named.told.function, id.to_owned())),
        trace,
    };
    let mut meter = Meter::new(hub, counted, began_us, (taken, turn, under_way));
    let payload = match payload {
        Payload::Whole(payload) => {
            meter.ended(&called);
            Payload::Whole(match link {
                None => payload,
                Some(link) => link.shown_error(&called, payload),
            })
        }
        pieces @ Payload::Pieces(_) => pieces,
    };
    let version = target.answered(called.stale_ms.is_some());
    Ok(Opened { called, payload, version, meter })
}

/// What a call takes of the limits that it comes under: those of its link, its key and its function.
fn admitted(
    hub: &Hub,
    function: &Arc<Function>,
    (link, through): (Option<Linked<'_>>, Option<Through>),
    now_us: u64,
) -> Result<(Taken, Option<Turn>), Error> {
    let of_link = link.map(|link| link.limits()).into_iter().flatten();
    let of_key = through.and_then(|through| through.key).map(|(_, limited)| limited);
    let limited: Vec<Limited> = of_link.chain(of_key).collect();
    Ok((hub.allowances.take(&limited, now_us)?, hub.concurrency.take(function)?))
}

/// What a call is counted as: whose it is, what runs, and by which ways it came there.
fn counted_as(
    hub: &Hub,
    (named, function): (&Function, &Function),
    link: Option<Linked<'_>>,
    through: Option<Through>,
) -> FunctionUse {
    FunctionUse {
        hour_ms: allowances::hour_ms(&hub.clock),
        payer: named.told.account,
        owner: function.told.account,
        function: function.told.function,
        link: link.map(|link| link.named.told.function),
        grant: link.map(|link| link.to.grant),
        service: through.map(|through| through.service),
        key: through.and_then(|through| through.key).map(|(key, _)| key),
    }
}

/// Runs a call that comes through a service, whose user is told the answer, or that there is none.
///
/// # Errors
///
/// As [`call`], and [`Error::FunctionFailed`].
pub(crate) async fn call_through(
    hub: &Hub,
    named: &Arc<Function>,
    asked: (&str, &str),
    through: Through,
    payload: Bytes,
) -> Result<Bytes, Error> {
    let said = Said { through: Some(through), ..Said::default() };
    let Outcome { called, payload, .. } = call(hub, named, asked, said, payload).await?;
    match called.error {
        None => Ok(payload),
        Some(kind) => Err(Error::FunctionFailed { kind }),
    }
}

/// Has an event kept, which nobody waits for. The same one twice is kept once.
async fn keep(
    hub: &Hub,
    named: &Arc<Function>,
    (qualifier, id): (&str, Uuid),
    payload: &Bytes,
) -> Result<EventId, Error> {
    // What is not there now will not be found later either.
    exists(hub, named, qualifier)?;
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
        function: named.told.function,
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

/// Whether a call with this qualifier would find something to run.
fn exists(hub: &Hub, named: &Arc<Function>, qualifier: &str) -> Result<(), Error> {
    let way = Way::of(&hub.table.load(), named, qualifier)?;
    way.function.target(&way.qualifier, Uuid::nil()).map(|_| ())
}

/// Answers a call of a function of the caller's account: `?mode=event` has it kept and run later,
/// `?mode=stream` answered while the answer is made.
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
    let place = hub.place(&caller, from)?;
    let payload = body::read(&parts.headers, body, &hub.settings, &hub.clock).await?;
    let payload = event(&parts.headers, payload)?;
    let id = request_id.to_str().unwrap_or_default();
    let idempotent = parts.headers.contains_key(IDEMPOTENCY_HEADER);
    let said = Said { trace_id: traces::told(&parts.headers), idempotent, ..Said::default() };
    match mode.as_str() {
        "" => Ok(answer(call(hub, &function, (&qualifier, id), said, payload).await?)),
        "stream" => {
            let said = Said { stream: true, ..said };
            let opened = open(hub, &function, (&qualifier, id), said, payload).await?;
            Ok(streaming::answer(opened, place, takes_trailers(&parts.headers)))
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
            Err(Error::bad_request(format!(
                "mode={other}: use event or stream, or leave it out to wait"
            )))
        }
    }
}

/// Has the function answer that stands behind an endpoint: the body is its event, whatever says of
/// it what `CloudEvents` say. Its failure is the call's.
///
/// # Errors
///
/// As [`call`], and [`Error::FunctionFailed`].
pub(crate) async fn invoke_endpoint(
    hub: &Arc<Hub>,
    incoming: Incoming,
    asked: &mut crate::calls::Call<'_>,
) -> Result<Response<Body>, Error> {
    let Incoming { parts, body, request_id } = incoming;
    let payload = body::read(&parts.headers, body, &hub.settings, &hub.clock).await?;
    asked.cast(|| Copied::Event(payload.clone()));
    if let Some(noted) = asked.noted() {
        noted.asked(&payload, &parts.headers);
    }
    let trace_id = traces::told(&parts.headers);
    let id = request_id.to_str().unwrap_or_default();
    let outcome = run_endpoint(hub, (payload, trace_id, id), asked).await?;
    if let Some(noted) = asked.noted() {
        noted.answered(&outcome.payload);
    }
    let called = &outcome.called;
    let took = Took {
        queue_us: Some(called.waited_us),
        start_us: called.start.map(StartTimes::all_us),
        cpu_us: called.cpu_us,
        memory_bytes: Some(called.memory_peak_bytes).filter(|bytes| *bytes > 0),
    };
    let mut response = answer(outcome);
    asked.tell(&took, &mut response);
    Ok(response)
}

/// Has the function that stands behind an endpoint answer a payload.
///
/// # Errors
///
/// As [`invoke_endpoint`].
pub(crate) async fn run_endpoint(
    hub: &Hub,
    (payload, trace_id, id): (Bytes, Option<String>, &str),
    asked: &mut crate::calls::Call<'_>,
) -> Result<Outcome, Error> {
    let endpoint = asked.endpoint();
    let missing = || Error::NotReady { model: endpoint.name.to_string() };
    let (name, qualifier) = endpoint.function.clone().ok_or_else(missing)?;
    let function = hub.table.load().function_of(endpoint.account_name.as_str(), &name);
    let function = function.ok_or_else(|| Error::no_function(name.as_str()))?;
    let said = Said { trace_id, ..Said::default() };
    let outcome = call(hub, &function, (&qualifier, id), said, payload).await?;
    if let Some(kind) = outcome.called.error.clone() {
        return Err(Error::FunctionFailed { kind });
    }
    asked.answered(outcome.called.duration_us);
    Ok(outcome)
}

/// The payload; where the request carries an event of `CloudEvents`, that as one document.
fn event(headers: &HeaderMap, payload: Bytes) -> Result<Bytes, Error> {
    let said = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let event = formats::cloudevents::read(said, &payload);
    let event = event.map_err(|refused| Error::bad_request(refused.to_string()))?;
    Ok(event.unwrap_or(payload))
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
        (HeaderName::from_static(SERVICE_HEADER), called.duration_us.to_string()),
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
        let explained = start.explained(called.waited_us).into_iter();
        parts.extend(explained.map(|(name, us)| format!("{name};dur={}", ms(us))));
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

/// Whether a caller says that it reads what stands behind a body.
fn takes_trailers(headers: &HeaderMap) -> bool {
    let said = headers.get_all(header::TE).iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|value| value.split(',')).any(|part| part.trim() == "trailers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_milliseconds() {
        let mut called = Called { duration_us: 1_234, waited_us: 56, ..Called::default() };
        assert_eq!(timing(&called), "handler;dur=1.234, wait;dur=0.056");
        called.start =
            Some(StartTimes { code_us: 1, sandbox_us: 20_000, init_us: 300, dependencies_us: 0 });
        called.waited_us = 20_305;
        assert_eq!(
            timing(&called),
            "handler;dur=1.234, wait;dur=20.305, allocation;dur=20.000, code;dur=0.001, \
             dependencies;dur=0.000, scheduling;dur=0.004, initialisation;dur=0.300"
        );
    }

    #[test]
    fn a_parameter_is_found_by_its_whole_name() {
        assert_eq!(query("a=1&qualifier=%24LATEST", "qualifier"), "$LATEST");
        assert_eq!(query("xqualifier=1", "qualifier"), "");
        assert_eq!(query("", "qualifier"), "");
    }
}
