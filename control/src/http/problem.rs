//! Errors as clients see them.
//!
//! Always true: a fault of ours tells the client nothing but its code and request id; its causes
//! go to the log. A request id is in every answer and in every log line about the request.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use tracing::Instrument as _;

use api::Problem;
use api::problem::status_of;
use types::functions::is_dated;
use workflow::chain;

use super::lambda;

/// An error on its way to the client.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    title: String,
    hint: Option<String>,
}

impl ApiError {
    /// An error that is decided at the border itself.
    pub fn new(status: StatusCode, code: &'static str, title: impl Into<String>) -> Self {
        Self { status, code, title: title.into(), hint: None }
    }
}

impl From<crate::Error> for ApiError {
    fn from(error: crate::Error) -> Self {
        let (status, code) = (status_of(error.kind()), error.code());
        let hint = error.hint().map(str::to_owned);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(code, cause = %chain(&error), "request failed");
            let title = match error {
                crate::Error::ObjectCorrupt(_) => error.to_string(),
                _ => "something went wrong on our side".to_owned(),
            };
            let log = || "the log of control tells more under this request id".to_owned();
            return Self { status, code, title, hint: Some(hint.unwrap_or_else(log)) };
        }
        if status.is_server_error() {
            tracing::warn!(code, cause = %chain(&error), "request refused for now");
        }
        Self { status, code, title: error.to_string(), hint }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem {
            page: format!("/v1/errors/{}", self.code),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            title: self.title,
            hint: self.hint,
            request_id: REQUEST_ID.try_with(Clone::clone).ok(),
        };
        let body = serde_json::to_vec(&problem).expect("a problem is plain data");
        let mut response = (self.status, body).into_response();
        let kind = HeaderValue::from_static(api::problem::MEDIA_TYPE);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        if matches!(self.status.as_u16(), 429 | 503) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

tokio::task_local! {
    static REQUEST_ID: String;
}

/// Longest request id that is taken over from the caller.
const REQUEST_ID_BYTES_MAX: usize = 100;

/// Gives the request an id (the caller's, where it sent a sensible one) and a span with it.
pub async fn with_request_id(request: Request, next: Next) -> Response {
    let given = request.headers().get(api::REQUEST_ID_HEADER).and_then(|value| value.to_str().ok());
    let sensible = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(plain)
    };
    let id = given.filter(sensible).map_or_else(new_id, str::to_owned);
    let span = tracing::info_span!(
        "request", id = %id, method = %request.method(), path = %request.uri().path()
    );
    let answer = REQUEST_ID.scope(id.clone(), next.run(request).instrument(span));
    let mut response = answer.await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(api::REQUEST_ID_HEADER, value);
    }
    response
}

fn new_id() -> String {
    types::RequestId::new(workflow::Clock::system().uuid()).to_string()
}

/// Nothing is at this path.
pub async fn no_route(request: Request) -> Response {
    let path = request.uri().path();
    if is_dated(path) {
        return lambda::not_here(request.method(), path);
    }
    let title = format!("there is nothing at {path}");
    ApiError::new(StatusCode::NOT_FOUND, "not_found", title).into_response()
}

/// Something is at this path, but not for this method.
pub async fn no_method(request: Request) -> Response {
    let path = request.uri().path();
    if is_dated(path) {
        return lambda::not_here(request.method(), path);
    }
    let title = format!("{path} does not take {}", request.method());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", title).into_response()
}
