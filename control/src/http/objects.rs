//! `/v1/objects`: data in and out.

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse as _, Response};
use futures::TryStreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use api::objects::{
    CHUNKS_BODY_BYTES_MAX, CommitObject, Missing, MissingQuery, Object, ReceivedChunks,
};
use types::ObjectId;

use crate::Control;
use crate::caller::Caller;
use crate::http::document::Octets;
use crate::http::extract::{Json, Path, Whole};
use crate::http::problem::ApiError;
use crate::operations::objects as operations;

pub fn routes() -> OpenApiRouter<Control> {
    let chunks = OpenApiRouter::new()
        .routes(routes!(receive_chunks))
        .layer(DefaultBodyLimit::max(CHUNKS_BODY_BYTES_MAX));
    let stream =
        OpenApiRouter::new().routes(routes!(receive_stream)).layer(DefaultBodyLimit::disable());
    OpenApiRouter::new()
        .routes(routes!(missing))
        .routes(routes!(commit))
        .routes(routes!(fetch))
        .routes(routes!(content))
        .merge(chunks)
        .merge(stream)
}

/// Says which chunks have to be sent before an object can be made of them.
#[utoipa::path(post, path = "/v1/objects/missing", tag = "objects", request_body = MissingQuery,
    responses((status = 200, body = Missing)))]
async fn missing(
    State(control): State<Control>,
    caller: Caller,
    Json(query): Json<MissingQuery>,
) -> Result<Json<Missing>, ApiError> {
    Ok(Json(operations::missing(&control, &caller, &query).await?))
}

/// Takes chunks: each its length in four little-endian bytes, then its bytes.
#[utoipa::path(post, path = "/v1/objects/chunks", tag = "objects",
    request_body(content = Option<Octets>, content_type = "application/octet-stream"),
    responses((status = 200, body = ReceivedChunks)))]
async fn receive_chunks(
    State(control): State<Control>,
    caller: Caller,
    Whole(body): Whole,
) -> Result<Json<ReceivedChunks>, ApiError> {
    Ok(Json(operations::receive_chunks(&control, &caller, body).await?))
}

/// Makes an object of chunks that are all here.
#[utoipa::path(post, path = "/v1/objects", tag = "objects", request_body = CommitObject,
    responses((status = 201, body = Object)))]
async fn commit(
    State(control): State<Control>,
    caller: Caller,
    Json(request): Json<CommitObject>,
) -> Result<(StatusCode, Json<Object>), ApiError> {
    Ok((StatusCode::CREATED, Json(operations::commit(&control, &caller, request).await?)))
}

/// Makes an object of the body as it arrives. For clients that do not cut chunks themselves.
#[utoipa::path(post, path = "/v1/objects/stream", tag = "objects",
    request_body(content = Option<Octets>, content_type = "application/octet-stream"),
    responses((status = 201, body = Object)))]
async fn receive_stream(
    State(control): State<Control>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Object>), ApiError> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or("application/octet-stream").to_owned();
    let body = body.into_data_stream().map_err(std::io::Error::other);
    let object = operations::receive_stream(&control, &caller, media_type, body).await?;
    Ok((StatusCode::CREATED, Json(object)))
}

/// Describes an object of the account.
#[utoipa::path(get, path = "/v1/objects/{object}", tag = "objects",
    params(("object" = ObjectId, Path)), responses((status = 200, body = Object)))]
async fn fetch(
    State(control): State<Control>,
    caller: Caller,
    Path(id): Path<ObjectId>,
) -> Result<Json<Object>, ApiError> {
    Ok(Json(operations::fetch(&control, &caller, id).await?))
}

/// Streams an object of the account, or the part that a `Range` header names.
#[utoipa::path(get, path = "/v1/objects/{object}/content", tag = "objects",
    params(("object" = ObjectId, Path), ("range" = Option<String>, Header)),
    responses(
        (status = 200, body = Octets, content_type = "application/octet-stream"),
        (status = 206, body = Octets, content_type = "application/octet-stream"),
        (status = 416, description = "The range lies outside the object.", body = api::Problem,
            content_type = "application/problem+json")))]
async fn content(
    State(control): State<Control>,
    caller: Caller,
    Path(id): Path<ObjectId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let (object, reader) = operations::open(&control, &caller, id).await?;
    let part = match range {
        None => None,
        Some(text) => Some(byte_range(text, object.bytes).ok_or_else(|| {
            let title = format!("{text:?} lies outside the {} bytes", object.bytes);
            ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", title)
        })?),
    };
    let (start, end) = part.unwrap_or((0, object.bytes));
    let stream = operations::read(&reader, start..end).await?.map_err(std::io::Error::other);
    let status = if part.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = (status, Body::from_stream(stream)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if part.is_some() {
        let text = format!("bytes {start}-{}/{}", end.saturating_sub(1), object.bytes);
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(header::CONTENT_RANGE, value);
        }
    }
    Ok(response)
}

/// The half-open range that a `Range` header names (RFC 9110, section 14.1.2); one range only.
fn byte_range(text: &str, bytes: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let suffix: u64 = last.parse().ok()?;
        return (suffix > 0 && bytes > 0).then(|| (bytes.saturating_sub(suffix), bytes));
    }
    let start: u64 = first.parse().ok()?;
    let end = if last.is_empty() { bytes } else { last.parse::<u64>().ok()?.checked_add(1)? };
    (start < bytes && start < end).then(|| (start, end.min(bytes)))
}

#[cfg(test)]
mod tests {
    use super::byte_range;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        assert_eq!(byte_range("bytes=0-0", 10), Some((0, 1)));
        assert_eq!(byte_range("bytes=5-", 10), Some((5, 10)));
        assert_eq!(byte_range("bytes=-3", 10), Some((7, 10)));
        assert_eq!(byte_range("bytes=2-99", 10), Some((2, 10)));
        for bad in ["bytes=10-", "bytes=3-2", "bytes=-0", "bits=0-1", "bytes=a-", "bytes=0-1,3-4"] {
            assert_eq!(byte_range(bad, 10), None, "{bad}");
        }
    }
}
