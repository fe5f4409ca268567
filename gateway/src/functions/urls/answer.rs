//! What a function answers, or why it does not, as whoever asked its URL is told.
//!
//! Always true: an answer that did not come to its end is never made to look whole; what went wrong
//! inside a function is told to its owner's log, and to nobody else.

use api::internal::functions::Called;
use api::internal::functions::pieces::Piece;
use axum::body::Body;
use bytes::Bytes;
use formats::http_api::{self, Answer, Prelude, PreludeReader};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use serde_json::json;
use types::ErrorKind;

use super::super::Outcome;
use super::super::lambda::refused;
use super::super::streaming::{self, Opened, Payload, Pieces};
use crate::error::Error;
use crate::limits::Place;

/// A whole answer.
pub(super) fn whole(outcome: &Outcome) -> Result<Response<Body>, Error> {
    answered(&outcome.called, &outcome.payload)
}

/// An answer that is passed on while it is made, once its beginning is here.
pub(super) async fn streamed(opened: Opened, place: Place) -> Result<Response<Body>, Error> {
    let Opened { called, payload, mut meter, .. } = opened;
    let mut pieces = match payload {
        Payload::Whole(payload) => return answered(&called, &payload),
        Payload::Pieces(pieces) => pieces,
    };
    let begun = match Prelude::of(called.media_type.as_deref()) {
        Some(begun) => begun,
        None => match prelude(&mut pieces).await? {
            Ok(begun) => begun,
            Err(ended) => {
                meter.ended(&ended);
                return Err(failed(&ended).unwrap_or_else(|| http_api::Error::Prelude.into()));
            }
        },
    };
    let mut response = response(begun.status, begun.headers, Body::empty());
    *response.body_mut() = streaming::body(pieces, (meter, place), |piece| match piece {
        Piece::Data(data) => Ok(Frame::data(data)),
        Piece::Ended(called, _) => match failed(&called) {
            None => Ok(Frame::data(Bytes::new())),
            Some(_) => Err(Error::CallLost),
        },
    });
    Ok(response)
}

/// How an answer begins that says so itself; how its call ended where it did before.
async fn prelude(pieces: &mut Pieces) -> Result<Result<Prelude, Box<Called>>, Error> {
    let mut reader = PreludeReader::default();
    loop {
        match pieces.next().await? {
            Piece::Ended(called, _) => return Ok(Err(called)),
            Piece::Data(data) => {
                if let Some((begun, rest)) = reader.push(&data)? {
                    pieces.put_back(rest);
                    return Ok(Ok(begun));
                }
            }
        }
    }
}

/// What the function said, where it did not fail.
fn answered(called: &Called, payload: &Bytes) -> Result<Response<Body>, Error> {
    if let Some(failed) = failed(called) {
        return Err(failed);
    }
    let Answer { status, headers, body } = http_api::read(called.media_type.as_deref(), payload)?;
    Ok(response(status, headers, Body::from(body)))
}

fn failed(called: &Called) -> Option<Error> {
    called.error.clone().map(|kind| Error::FunctionFailed { kind })
}

fn response(status: u16, headers: Vec<(String, String)>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    // Both were checked when they were read.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    for (name, value) in headers {
        let value = HeaderValue::from_maybe_shared(Bytes::from(value));
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// An error as Lambda tells those who ask a URL.
pub(crate) fn refusal(error: &Error) -> Response<Body> {
    let status = match error {
        // Who asks is not told how to prove who they are.
        _ if error.kind() == ErrorKind::Unauthenticated => StatusCode::FORBIDDEN,
        _ => error.status(),
    };
    let (kind, message) = match (error, error.kind()) {
        (Error::BadSignature { reason }, _) => ("InvalidSignatureException", reason.clone()),
        (_, ErrorKind::Unauthenticated | ErrorKind::Forbidden) => {
            ("AccessDeniedException", "Forbidden".to_owned())
        }
        (Error::BadAnswer { .. }, _) => ("InternalServerErrorException", error.public_message()),
        // Not by which name a function is missed.
        (_, ErrorKind::NotFound) => ("ResourceNotFoundException", Error::NoUrl.public_message()),
        (_, ErrorKind::Busy) => ("TooManyRequestsException", error.public_message()),
        (_, ErrorKind::TooLarge) => ("RequestTooLargeException", error.public_message()),
        (_, ErrorKind::BadRequest) => ("InvalidRequestContentException", error.public_message()),
        (_, ErrorKind::Unavailable) => ("ServiceException", error.public_message()),
        _ => ("InternalServerErrorException", "Internal Server Error".to_owned()),
    };
    refused(error, (status, kind), &json!({ "Message": message }))
}
