//! Creating calls that are safe to repeat: the same `Idempotency-Key` gets the same answer.
//!
//! Always true: a key belongs to one account; another request under the same key is refused; only
//! answers below 500 are kept, so that a failure of ours can be repeated.
//! Absent on purpose: the routes that take data. They are named by content and repeat by nature.

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
/// Largest answer that is kept.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Routes that take data.
const DATA_PATHS: [&str; 3] = ["/v1/objects/chunks", "/v1/objects/stream", "/v1/objects/missing"];

/// Runs the request, or answers as it was answered before.
pub async fn once(State(control): State<Control>, request: Request, next: Next) -> Response {
    let key = request.headers().get(api::IDEMPOTENCY_HEADER).cloned();
    let caller = request.extensions().get::<Caller>().cloned();
    let data = DATA_PATHS.contains(&request.uri().path());
    match (key, caller) {
        (Some(key), Some(caller)) if request.method() == Method::POST && !data => {
            keyed(control, caller, &key, request, next).await.unwrap_or_else(IntoResponse::into_response)
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
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
    if parts.status.is_server_error() {
        operation::abandon(&control, &caller, key).await?;
    } else {
        operation::finish(&control, &caller, key, parts.status.as_u16(), &body).await?;
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replayed(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let kind = if status.is_success() { "application/json" } else { api::problem::MEDIA_TYPE };
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}
