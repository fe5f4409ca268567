//! The REST form: everything under `/v2`.
//!
//! Always true: the caller is known and the endpoint found before a body is read; an error is
//! `{"error": …}`; what was asked in binary or compressed comes so.

mod json;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use formats::oip::{self, HEADER_LENGTH};
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body::{Frame, SizeHint};
use serde::Serialize;

use crate::aside::aside;
use crate::body::{self, Encoding};
use crate::calls::{Asked, Call};
use crate::error::Error;
use crate::hub::Hub;
use crate::oip::Model;
use crate::paths::{Target, Verb};
use crate::routes::Endpoint;
use crate::service::{self, Incoming};

const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";

const JSON_LENGTH: HeaderName = HeaderName::from_static(HEADER_LENGTH);

/// From here on the parts of an answer are sent as they are, not put together first.
const PARTS_BYTES_MIN: usize = 32 << 10;

/// Answers what is asked under `/v2`.
///
/// # Errors
///
/// As each call tells; never tells unknown from forbidden.
pub(crate) async fn answer(
    hub: &Arc<Hub>,
    incoming: Incoming,
    target: Target<'_>,
) -> Result<Response<Body>, Error> {
    let headers = &incoming.parts.headers;
    let value = match target {
        Target::Live => json::live(true)?,
        Target::Ready if hub.ready() => json::ready_server(true)?,
        Target::Ready => return Err(not_ready("the gateway has no routes yet")),
        Target::Server => {
            hub.caller(headers)?;
            json::server()?
        }
        Target::Index => return index(hub, incoming).await,
        Target::AllStatistics => {
            let caller = hub.caller(headers)?;
            json::statistics(&hub.visible(&caller))?
        }
        Target::Model { model, version, verb: Verb::Infer } => {
            return infer(hub, incoming, &model, &version).await;
        }
        Target::Model { model, version, verb } => {
            let (_, endpoint) = hub.find(headers, &model, &version)?;
            about(endpoint, &model, verb)?
        }
        Target::Ping { .. }
        | Target::Invocations { .. }
        | Target::Function { .. }
        | Target::Lambda { .. }
        | Target::Service { .. }
        | Target::Stream { .. }
        | Target::Rule
        | Target::Records { .. }
        | Target::Series { .. }
        | Target::RunDrift { .. }
        | Target::Url { .. }
        | Target::Management
        | Target::Root
        | Target::Console { .. } => {
            return Err(Error::NoPath);
        }
    };
    let (encoding, value) = body::compress(Encoding::wanted(headers), value).await;
    let mut response = service::answer(JSON, value);
    told_encoding(response.headers_mut(), encoding);
    Ok(response)
}

/// What is told about a model.
fn about(endpoint: Arc<Endpoint>, name: &str, verb: Verb) -> Result<Bytes, Error> {
    match verb {
        Verb::Metadata => json::metadata(&Model::of(name, &endpoint)?),
        Verb::Config => json::config(&Model::of(name, &endpoint)?),
        Verb::Statistics => json::statistics(&[(name.to_owned(), endpoint)]),
        Verb::Ready if endpoint.ready() => json::ready_model(name),
        Verb::Ready => Err(not_ready("the model is not ready: its instances are being started")),
        Verb::Infer => Err(Error::NoPath),
    }
}

/// The protocol tells not ready by a status of 400 to 499.
fn not_ready(reason: &str) -> Error {
    Error::bad_request(reason)
}

async fn index(hub: &Hub, incoming: Incoming) -> Result<Response<Body>, Error> {
    let Incoming { parts, body, .. } = incoming;
    let caller = hub.caller(&parts.headers)?;
    let asked = body::read(&parts.headers, body, &hub.settings, &hub.clock).await?;
    let asked = json::IndexRequest::read(&asked)?;
    let mut models = hub.visible(&caller);
    models.retain(|(_, endpoint)| endpoint.ready() || !asked.ready);
    Ok(service::answer(JSON, json::index(&models)?))
}

async fn infer(
    hub: &Arc<Hub>,
    incoming: Incoming,
    model: &str,
    version: &str,
) -> Result<Response<Body>, Error> {
    let from = incoming.from();
    let id = incoming.request_id.to_str().unwrap_or_default();
    let mut call = hub.admit(&incoming.parts.headers, (model, version), (from, id))?;
    let answer = infer_admitted(hub, incoming, model, &mut call).await;
    call.end(answer)
}

async fn infer_admitted(
    hub: &Arc<Hub>,
    incoming: Incoming,
    model: &str,
    call: &mut Call<'_>,
) -> Result<Response<Body>, Error> {
    let Incoming { parts, body, .. } = incoming;
    let headers = &parts.headers;
    let header_length = json_length(headers)?;
    let raw = body::read(headers, body, &hub.settings, &hub.clock).await?;
    if let Some(noted) = call.noted() {
        noted.asked(&raw, headers);
    }
    let json_bytes = header_length.unwrap_or(raw.len());
    let read = move || Ok(oip::parse_request(raw, header_length)?);
    let mut request = aside(json_bytes, read).await?;
    let asked = Asked {
        inputs: std::mem::take(&mut request.inputs),
        outputs: request.outputs.iter().map(|output| output.name.clone()).collect(),
        timeout_us: request.timeout_us(),
    };
    let outputs = call.run(asked).await?;
    let answer = oip::Response {
        model_name: model.to_owned(),
        model_version: Some(call.endpoint().version.to_string()),
        id: request.id.take(),
        parameters: oip::Parameters::new(),
        outputs,
    };
    let data_bytes = answer.outputs.iter().map(|output| output.data.len()).sum();
    let write =
        move || Ok(oip::write_response_parts(&answer, |output| request.wants_binary(output))?);
    let parts = aside(data_bytes, write).await?;
    if let Some(noted) = call.noted() {
        // Where there are tensors behind it, it is not the whole answer, and no JSON with them.
        match parts.header_length() {
            None => noted.answered(&parts.json),
            Some(_) => noted.answered_otherwise(parts.body_bytes()),
        }
    }
    Ok(whole(parts, Encoding::wanted(headers)).await)
}

/// The value of the header that tells where the JSON ends.
fn json_length(headers: &HeaderMap) -> Result<Option<usize>, Error> {
    let mut told = headers.get_all(&JSON_LENGTH).iter();
    let Some(value) = told.next() else { return Ok(None) };
    if told.next().is_some() {
        return Err(Error::bad_request("Inference-Header-Content-Length is there more than once"));
    }
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let wrong = || Error::bad_request("Inference-Header-Content-Length is not a number");
    number.ok_or_else(wrong).map(Some)
}

/// An answer of these parts.
async fn whole(parts: oip::Parts, wanted: Encoding) -> Response<Body> {
    let json_length = parts.header_length();
    let kind = if json_length.is_some() { BINARY } else { JSON };
    let (encoding, body) = if wanted == Encoding::Identity && parts.body_bytes() >= PARTS_BYTES_MIN
    {
        (Encoding::Identity, Body::new(InParts::new(parts)))
    } else {
        let (encoding, body) = body::compress(wanted, parts.into_body()).await;
        (encoding, Body::from(body))
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(length) = json_length {
        headers.insert(JSON_LENGTH, HeaderValue::from(length));
    }
    told_encoding(headers, encoding);
    response
}

fn told_encoding(headers: &mut HeaderMap, encoding: Encoding) {
    if encoding != Encoding::Identity {
        let name = HeaderValue::from_static(encoding.as_str());
        headers.insert(header::CONTENT_ENCODING, name);
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// A body of a known length in several parts, none of them copied.
struct InParts {
    parts: VecDeque<Bytes>,
    left: u64,
}

impl InParts {
    fn new(parts: oip::Parts) -> Self {
        let left = parts.body_bytes() as u64;
        let all = std::iter::once(parts.json).chain(parts.blobs);
        Self { parts: all.filter(|part| !part.is_empty()).collect(), left }
    }
}

impl http_body::Body for InParts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.parts.pop_front();
        self.left -= part.as_ref().map_or(0, |part| part.len() as u64);
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Writes JSON that cannot fail but for a fault of ours.
fn write(value: &impl Serialize) -> Result<Bytes, Error> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|fault| Error::Worker {
        kind: types::ErrorKind::Internal,
        message: fault.to_string(),
    })
}
