//! Calls from gateways, over HTTP on a socket of this host.
//!
//! Always true: whoever reaches the socket is a gateway of this cloud: it belongs to the cloud's
//! user, and the data port lets nobody else through; what was refused was not run.

use api::Problem;
use api::internal::functions::{CALL_HEADER, CALLED_HEADER, Call, EVENT_BYTES_MAX};
use api::problem::{MEDIA_TYPE, status_of};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::{HeaderMap, HeaderValue, header};
use types::{ErrorKind, RevisionId};

use super::Refusal;
use crate::Agent;

/// What answers on the functions socket.
pub(crate) fn router(agent: Agent) -> Router {
    Router::new()
        .route("/revisions/{revision}/calls", post(call))
        .layer(DefaultBodyLimit::max(EVENT_BYTES_MAX))
        .with_state(agent)
}

async fn call(
    State(agent): State<Agent>,
    Path(revision): Path<RevisionId>,
    headers: HeaderMap,
    payload: Bytes,
) -> Response {
    let said = headers.get(CALL_HEADER).and_then(|value| value.to_str().ok());
    let Some(call) = said.and_then(|text| serde_json::from_str::<Call>(text).ok()) else {
        return problem(ErrorKind::BadRequest, "bad_request", format!("{CALL_HEADER} is no call"));
    };
    match agent.call(revision, call, payload).await {
        Ok(outcome) => {
            let told = serde_json::to_string(&outcome.called).unwrap_or_default();
            let mut response = outcome.payload.into_response();
            let headers = response.headers_mut();
            let media_type = outcome.called.media_type.as_deref().unwrap_or("application/json");
            let values = [
                (CALLED_HEADER, HeaderValue::try_from(told)),
                (header::CONTENT_TYPE.as_str(), HeaderValue::try_from(media_type)),
            ];
            for (name, value) in values {
                let Ok(value) = value else { continue };
                headers.insert(name, value);
            }
            response
        }
        Err(refusal) => {
            let (kind, code, retry_ms) = match refusal {
                Refusal::Throttled { retry_ms } => (ErrorKind::Busy, "busy", Some(retry_ms)),
                Refusal::Full { retry_ms } => {
                    (ErrorKind::Unavailable, "unavailable", Some(retry_ms))
                }
                Refusal::Unknown => (ErrorKind::NotFound, "not_found", None),
                Refusal::Away(_) => (ErrorKind::Unavailable, "unavailable", None),
            };
            let mut response = problem(kind, code, refusal.to_string());
            if let Some(retry_ms) = retry_ms {
                let seconds = HeaderValue::from(retry_ms.div_ceil(1_000));
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
            response
        }
    }
}

fn problem(kind: ErrorKind, code: &str, title: String) -> Response {
    let status = status_of(kind);
    let problem = Problem {
        page: format!("/v1/errors/{code}"),
        status: status.as_u16(),
        code: code.to_owned(),
        title,
        hint: None,
        request_id: None,
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
}
