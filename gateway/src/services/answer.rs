//! The way from a request of a service's user to the function behind, and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::services::{KEY_HEADER, SERVICE_VERSION_HEADER};
use axum::body::Body;
use bytes::Bytes;
use formats::schema::{Schema, Violation};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Prepared, Service, document, page};
use crate::body;
use crate::error::Error;
use crate::functions::{self, Limited, Subject, Through};
use crate::hub::Hub;
use crate::limits::Who;
use crate::service::{Incoming, answer as whole};

/// Answers a request under a service's path.
///
/// # Errors
///
/// [`Error::NoService`], [`Error::NoKey`], [`Error::BadInput`], [`Error::BadOutput`],
/// [`Error::FunctionFailed`], and those of limits and calls.
pub(crate) async fn answer(
    hub: &Arc<Hub>,
    incoming: Incoming,
    (account, name, rest): (&str, &str, &str),
) -> Result<Response<Body>, Error> {
    let service = hub.table.load().service(account, name).ok_or(Error::NoService)?;
    let (version, rest) = version(&service, rest)?;
    let spec = service.spec(version).ok_or(Error::NoService)?;
    let reads = matches!(incoming.parts.method, Method::GET | Method::HEAD);
    match rest {
        "" | "/" if reads => return Ok(page::page(&service, version, spec)),
        "/openapi.json" if reads => {
            let document = document::document(&service, version, spec).to_string();
            return Ok(whole("application/json", document.into()));
        }
        _ => {}
    }
    let mut response = call(hub, incoming, (&service, version, rest)).await?;
    let told = HeaderValue::from(version);
    response.headers_mut().insert(HeaderName::from_static(SERVICE_VERSION_HEADER), told);
    Ok(response)
}

/// The version that a path names, or the newest, and what follows.
fn version<'p>(service: &Service, path: &'p str) -> Result<(u32, &'p str), Error> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let (first, rest) = inner.split_at(inner.find('/').unwrap_or(inner.len()));
    let digits = first.strip_prefix('v').filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
    match digits {
        Some(digits) if !digits.is_empty() => {
            Ok((digits.parse().map_err(|_| Error::NoService)?, rest))
        }
        _ => Ok((service.told.newest, path)),
    }
}

async fn call(
    hub: &Arc<Hub>,
    incoming: Incoming,
    (service, version, path): (&Arc<Service>, u32, &str),
) -> Result<Response<Body>, Error> {
    let from = incoming.from();
    let Incoming { parts, body, request_id } = incoming;
    let key = key(service, &parts.headers, service.spec(version).is_some_and(|it| it.open))?;
    let version = service.versions.get(&version).ok_or(Error::NoService)?;
    let found = version.find(&parts.method, path);
    let (operation, parameters) = found.map_err(|methods| {
        let allow = methods.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
        if allow.is_empty() { Error::NoPath } else { Error::NoOperation { allow } }
    })?;
    let who = key.map_or(Who::Anonymous(from), |(key, _)| Who::Key(key));
    let _place = hub.limits.take(who, hub.clock.now_us())?;
    let payload = if operation.told.method.has_body() {
        body::read(&parts.headers, body, &hub.settings, &hub.clock).await?
    } else {
        Bytes::new()
    };
    let event = event(operation, &parameters, &parts, &payload)?;
    let named =
        hub.table.load().function_of(service.told.account_name.as_str(), &operation.told.function);
    let named = named.ok_or(Error::FunctionFailed { kind: "Service.NoFunction".to_owned() })?;
    let id = request_id.to_str().unwrap_or_default();
    let through = Through { service: service.told.service, key };
    let qualifier = operation.told.qualifier.as_str();
    let answered = functions::call_through(hub, &named, (qualifier, id), through, event).await?;
    check_output(operation, &answered)?;
    Ok(whole("application/json", answered))
}

/// With which key a request comes; none where the service is open and none was sent.
fn key(
    service: &Service,
    headers: &HeaderMap,
    open: bool,
) -> Result<Option<(types::ServiceKeyId, Limited)>, Error> {
    let bearer = |value: &HeaderValue| {
        let text = value.to_str().ok()?;
        let (scheme, secret) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim().to_owned())
    };
    let sent = match headers.get(KEY_HEADER) {
        Some(value) => Some(value.to_str().map(str::to_owned).unwrap_or_default()),
        None => headers.get(header::AUTHORIZATION).map(|it| bearer(it).unwrap_or_default()),
    };
    let Some(secret) = sent else { return if open { Ok(None) } else { Err(Error::NoKey) } };
    let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    let key = service.keys.get(&digest).ok_or(Error::NoKey)?;
    let limited = Limited::new(Subject::Key(key.key), &key.limits, key.calls_today);
    Ok(Some((key.key, limited)))
}

/// What the function is given: the body, with the parameters of path and query as members.
fn event(
    operation: &Prepared,
    path: &[(&str, &str)],
    parts: &Parts,
    payload: &Bytes,
) -> Result<Bytes, Error> {
    let bad = |reason: String| Error::BadInput { reason };
    let mut event = match &payload[..] {
        b"" => Value::Object(Map::new()),
        bytes => serde_json::from_slice(bytes)
            .map_err(|error| bad(format!("the body is no JSON: {error}")))?,
    };
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    let query = parts.uri.query().unwrap_or_default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        parameters.insert(decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?);
    }
    // What stands in the path is not said otherwise behind it.
    for (name, value) in path {
        parameters.insert((*name).to_owned(), decoded(value)?);
    }
    if !parameters.is_empty() {
        let object = event.as_object_mut().ok_or_else(|| {
            bad("a request with parameters takes an object as its body".to_owned())
        })?;
        for (name, text) in parameters {
            let input = operation.input.as_ref();
            let value = input.map_or_else(|| text.clone().into(), |it| it.parameter(&name, &text));
            object.insert(name, value);
        }
    }
    if let Some(Err(wrong)) = operation.input.as_ref().map(|schema| schema.check(&event)) {
        return Err(bad(words("the request", &wrong)));
    }
    Ok(serde_json::to_vec(&event).unwrap_or_default().into())
}

fn decoded(text: &str) -> Result<String, Error> {
    let decoded = percent_decode_str(text).decode_utf8();
    let bad = || Error::BadInput { reason: "a parameter is no UTF-8".to_owned() };
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| bad())
}

/// Whether the function's answer is what the service has promised.
fn check_output(operation: &Prepared, answered: &Bytes) -> Result<(), Error> {
    let Some(schema) = &operation.output else { return Ok(()) };
    let bad = |reason: String| Error::BadOutput { reason };
    let value = serde_json::from_slice(answered);
    let value: Value = value.map_err(|_| bad("the answer is no JSON".to_owned()))?;
    Schema::check(schema, &value).map_err(|wrong| bad(words("the answer", &wrong)))
}

fn words(of: &str, wrong: &[Violation]) -> String {
    let one = |it: &Violation| match it.at.as_str() {
        "" => it.what.clone(),
        at => format!("at {at}, {}", it.what),
    };
    let all: Vec<String> = wrong.iter().map(one).collect();
    format!("{of} does not fit the operation's schema: {}", all.join("; "))
}
