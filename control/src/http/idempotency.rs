//! Creating calls that are safe to repeat: the same `Idempotency-Key` gets the same answer.
//!
//! Always true: a key belongs to one account; another request under the same key, or one by a
//! token of another role, is refused; only the answer of a call that was carried out is kept, so
//! that one that was refused can be made again.
//! Absent on purpose: the routes that take data, which are named by content and repeat by nature,
//! and those that only look.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};

use crate::Control;
use crate::caller::Caller;
use crate::http::problem::ApiError;
use crate::operations::idempotency::{self as operation, Begun};

/// Longest key.
const KEY_BYTES_MAX: usize = 200;
/// Largest answer that is kept: far above that of any creating call.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Routes that take data, and those that make nothing.
const FREE_PATHS: [&str; 4] =
    ["/v1/objects/chunks", "/v1/objects/stream", "/v1/objects/missing", "/v1/suggest"];

/// Runs the request, or answers as it was answered before.
pub async fn once(State(control): State<Control>, request: Request, next: Next) -> Response {
    let key = request.headers().get(api::IDEMPOTENCY_HEADER).cloned();
    let caller = request.extensions().get::<Caller>().cloned();
    let free = FREE_PATHS.contains(&request.uri().path());
    match (key, caller) {
        (Some(key), Some(caller)) if request.method() == Method::POST && !free => {
            keyed(control, caller, &key, request, next)
                .await
                .unwrap_or_else(IntoResponse::into_response)
        }
        _ => next.run(request).await,
    }
}

async fn keyed(
    control: Control,
    caller: Caller,
    key: &HeaderValue,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let wrong = || {
        let title = format!("an idempotency key is 1 to {KEY_BYTES_MAX} visible ASCII characters");
        ApiError::new(StatusCode::BAD_REQUEST, "bad_request", title)
    };
    let key = key.to_str().map_err(|_| wrong())?;
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(wrong());
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, super::BODY_BYTES_MAX).await.map_err(|_| {
        let title = format!("the body is above {} bytes", super::BODY_BYTES_MAX);
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", title)
    })?;
    let line = format!("{} {}", parts.method, parts.uri);
    match operation::begin(&control, &caller, key, &line, &body).await? {
        Begun::Before { status, body } => return Ok(replayed(status, body)),
        Begun::Now => {}
    }
    let answer = next.run(Request::from_parts(parts, Body::from(body))).await;
    if !answer.status().is_success() {
        operation::abandon(&control, &caller, key).await?;
        return Ok(answer);
    }
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, ANSWER_BYTES_MAX)
        .await
        .map_err(|error| crate::Error::internal("could not keep an answer", error))?;
    operation::finish(&control, &caller, key, (parts.status.as_u16(), &body)).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replayed(status: u16, body: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}
