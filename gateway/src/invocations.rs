//! Invocations: `/ping` and `/invocations` of the container contract of `SageMaker`, for endpoints
//! by name, and bare on an endpoint's own host name.
//!
//! JSON, CSV and `NumPy` come in and go out; the answer has the type that was accepted, or that of
//! the request. Absent on purpose: binary tensors and metadata, which the Open Inference Protocol
//! has.

mod json;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use formats::{npy, oip, table};
use http::{HeaderMap, Response, StatusCode, header};
use types::{Tensor, TensorSpec};

use crate::aside::aside;
use crate::body::{self, Encoding};
use crate::calls::{Asked, Call};
use crate::error::Error;
use crate::functions;
use crate::hub::Hub;
use crate::service::{self, Incoming};

use json::Form;

/// How long the model took, for whoever compares.
const SERVICE_HEADER: http::HeaderName =
    http::HeaderName::from_static(api::endpoints::SERVICE_HEADER);
const JSON: &str = "application/json";
const CSV: &str = "text/csv";
const NPY: &str = "application/x-npy";

/// What is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    Json,
    Csv { header: bool },
    Npy,
}

impl Media {
    fn named(text: &str) -> Option<Self> {
        let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
        let header =
            parameters.split(';').any(|it| it.trim().eq_ignore_ascii_case("header=present"));
        match name.trim().to_ascii_lowercase().as_str() {
            JSON => Some(Self::Json),
            CSV => Some(Self::Csv { header }),
            NPY => Some(Self::Npy),
            _ => None,
        }
    }

    /// The type of a request's body; JSON where it does not say.
    fn of_body(headers: &HeaderMap) -> Result<Self, Error> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Self::Json) };
        let text = value.to_str().unwrap_or("?");
        Self::named(text).ok_or_else(|| Error::BodyUnknown {
            what: text.chars().take(80).collect(),
            takes: "application/json, text/csv or application/x-npy",
        })
    }

    /// The type wanted back: the first of ours that is accepted, or that of the request.
    fn wanted(headers: &HeaderMap, came: Self) -> Result<Self, Error> {
        let Some(value) = headers.get(header::ACCEPT) else { return Ok(came) };
        let text = value.to_str().unwrap_or("?");
        for part in text.split(',') {
            let name = part.split(';').next().unwrap_or(part).trim();
            if matches!(name, "*/*" | "application/*" | "text/*" | "") {
                return Ok(came);
            }
            if let Some(media) = Self::named(part) {
                return Ok(media);
            }
        }
        Err(Error::NotAcceptable {
            wanted: text.chars().take(80).collect(),
            reason: format!("use {JSON}, {CSV} or {NPY}"),
        })
    }
}

/// Tells whether an endpoint can take requests: an empty 200.
///
/// # Errors
///
/// [`Error::NotReady`], and as for invocations.
pub(crate) fn ping(hub: &Hub, incoming: &Incoming, name: &str) -> Result<Response<Body>, Error> {
    let (_, endpoint) = hub.find(&incoming.parts.headers, name, "")?;
    if !endpoint.ready() {
        return Err(Error::NotReady { model: name.to_owned() });
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}

/// Runs an invocation.
///
/// # Errors
///
/// [`Error::BodyUnknown`] and [`Error::NotAcceptable`] for other types, [`Error::BadRequest`] when
/// the body is not of its type or not what the model takes, and what the call says.
pub(crate) async fn invoke(
    hub: &Arc<Hub>,
    incoming: Incoming,
    name: &str,
) -> Result<Response<Body>, Error> {
    let from = incoming.from();
    let id = incoming.request_id.to_str().unwrap_or_default();
    let mut call = hub.admit(&incoming.parts.headers, (name, ""), (from, id))?;
    let answer = invoke_admitted(hub, incoming, name, &mut call).await;
    call.end(answer)
}

async fn invoke_admitted(
    hub: &Arc<Hub>,
    incoming: Incoming,
    name: &str,
    call: &mut Call<'_>,
) -> Result<Response<Body>, Error> {
    if call.endpoint().function.is_some() {
        return functions::invoke_endpoint(hub, incoming, call).await;
    }
    let Incoming { parts, body, .. } = incoming;
    let headers = &parts.headers;
    let came = Media::of_body(headers)?;
    let wanted = Media::wanted(headers, came)?;
    let raw = body::read(headers, body, &hub.settings, &hub.clock).await?;
    if let Some(noted) = call.noted() {
        noted.asked(&raw, headers);
    }
    let unknown = || Error::NotReady { model: name.to_owned() };
    let specs = call.endpoint().inputs().ok_or_else(unknown)?.to_vec();
    let (inputs, form) = aside(raw.len(), move || read(&raw, came, &specs)).await?;
    let outputs = call.run(Asked { inputs, ..Asked::default() }).await?;
    let data_bytes = outputs.iter().map(|output| output.data.len()).sum();
    let (kind, answer) = aside(data_bytes, move || write(&outputs, wanted, form)).await?;
    if let Some(noted) = call.noted() {
        noted.answered(&answer);
    }
    let (encoding, answer) = body::compress(Encoding::wanted(headers), answer).await;
    let mut response = service::answer(kind, answer);
    let service_us = http::HeaderValue::from(call.service_us());
    response.headers_mut().insert(SERVICE_HEADER, service_us);
    call.tell(&call.took(), &mut response);
    if encoding != Encoding::Identity {
        let value = http::HeaderValue::from_static(encoding.as_str());
        response.headers_mut().insert(header::CONTENT_ENCODING, value);
    }
    Ok(response)
}

fn read(raw: &Bytes, came: Media, specs: &[TensorSpec]) -> Result<(Vec<Tensor>, Form), Error> {
    match came {
        Media::Json => json::read(raw, specs),
        Media::Csv { .. } => {
            let tensors = table::to_tensors(raw, specs).map_err(wrong_tensor)?;
            Ok((tensors, Form::Rows))
        }
        Media::Npy => {
            let [spec] = specs else {
                let reason = format!(
                    "an array is one input, and the model takes {}; send JSON",
                    specs.len()
                );
                return Err(Error::WrongTensor { reason });
            };
            let tensor = npy::read(raw, &spec.name).map_err(wrong_tensor)?;
            Ok((vec![tensor], Form::Rows))
        }
    }
}

fn write(outputs: &[Tensor], wanted: Media, form: Form) -> Result<(&'static str, Bytes), Error> {
    Ok(match wanted {
        Media::Json => (JSON, json::write(outputs, form)?),
        Media::Csv { header } => (CSV, write_csv(outputs, header)?),
        Media::Npy => (NPY, write_npy(outputs)?),
    })
}

fn write_csv(outputs: &[Tensor], header: bool) -> Result<Bytes, Error> {
    let written = table::from_tensors(outputs, header);
    written.map(Bytes::from).map_err(|error| unsayable(CSV, &error))
}

fn write_npy(outputs: &[Tensor]) -> Result<Bytes, Error> {
    match outputs {
        [output] => npy::write(output).map_err(|error| unsayable(NPY, &error)),
        _ => Err(Error::NotAcceptable {
            wanted: NPY.to_owned(),
            reason: format!("the model answers {} tensors; accept {JSON}", outputs.len()),
        }),
    }
}

fn wrong_tensor(error: impl std::fmt::Display) -> Error {
    Error::WrongTensor { reason: error.to_string() }
}

fn unsayable(wanted: &str, error: &impl std::fmt::Display) -> Error {
    Error::NotAcceptable { wanted: wanted.to_owned(), reason: error.to_string() }
}

/// Reads one request of the Open Inference Protocol, for the JSON forms that become one.
fn read_oip(body: Vec<u8>) -> Result<Vec<Tensor>, Error> {
    Ok(oip::parse_request(body.into(), None)?.inputs)
}
