//! Extractors that refuse with a problem.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;

use api::document::Object;
use api::objects::CHUNKS_BODY_BYTES_MAX;

use crate::caller::Caller;
use crate::http::problem::ApiError;

/// A JSON body, in and out.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = match Bytes::from_request(Request::from_parts(parts.clone(), body), state).await
        {
            Ok(body) => body,
            Err(refusal) => return Err(refused(refusal.status(), refusal.body_text())),
        };
        if has_zero(&body) {
            let title = "a text holds a zero character (\\u0000); leave it out";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "bad_request", title));
        }
        let request = Request::from_parts(parts, body.into());
        match axum::Json::<Object<T>>::from_request(request, state).await {
            Ok(axum::Json(Object(value))) => Ok(Self(value)),
            Err(refusal) => Err(refused(refusal.status(), refusal.body_text())),
        }
    }
}

/// Why a JSON body was not taken.
fn refused(status: StatusCode, text: String) -> ApiError {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let title = format!("the body is above {} bytes", super::BODY_BYTES_MAX);
            ApiError::new(status, "too_large", title)
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            let title = "the body has to be JSON, with Content-Type: application/json";
            ApiError::new(status, "unsupported_media_type", title)
        }
        _ => ApiError::new(StatusCode::BAD_REQUEST, "bad_request", text),
    }
}

/// Whether a text of this JSON holds a zero character, which neither database stores. JSON has it
/// only as an escape; a backslash before that is one that is meant itself.
pub(super) fn has_zero(json: &[u8]) -> bool {
    let mut escaped = false;
    json.iter().enumerate().any(|(place, &byte)| {
        let zero = escaped && json[place..].starts_with(b"u0000");
        escaped = byte == b'\\' && !escaped;
        zero
    })
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A body of chunks, of which all has come.
#[derive(Debug)]
pub struct Whole(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        Bytes::from_request(request, state).await.map(Self).map_err(|refusal| {
            if refusal.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let title = format!("the body is above {CHUNKS_BODY_BYTES_MAX} bytes");
                return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", title);
            }
            let title = "the body broke off; send it again";
            ApiError::new(StatusCode::BAD_REQUEST, "object_incomplete", title)
        })
    }
}

/// Parameters behind the question mark.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|axum::extract::Query(value)| Self(value)).map_err(|refusal| {
            ApiError::new(StatusCode::BAD_REQUEST, "bad_request", refusal.body_text())
        })
    }
}

/// Parameters of the path. A segment that cannot be a name or id names nothing.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value)).map_err(|refusal| {
            ApiError::new(StatusCode::NOT_FOUND, "not_found", refusal.body_text())
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| crate::Error::Unauthenticated.into())
    }
}
