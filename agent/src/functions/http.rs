//! What gateways ask, over HTTP on a socket of this host: calls of functions, and what is asked about
//! instances of models.
//!
//! Always true: whoever reaches the socket is a gateway of this cloud: it belongs to the cloud's
//! user, and the data port lets nobody else through; what was refused was not run.

use std::convert::Infallible;

use api::Problem;
use api::internal::functions::near::{Answered, NotRun};
use api::internal::functions::{CALL_HEADER, CALLED_HEADER, Call, Called, EVENT_BYTES_MAX, pieces};
use api::internal::instances::{Drill, InstanceUsed, InstancesAsked, InstancesUsed};
use api::problem::{MEDIA_TYPE, status_of};
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, header};
use types::{ErrorKind, InstanceId, RevisionId};

use crate::Agent;

/// What answers on the functions socket.
pub(crate) fn router(agent: Agent) -> Router {
    Router::new()
        .route("/revisions/{revision}/calls", post(call))
        .route("/instances/{instance}/drill", post(drill))
        .route("/instances/used", post(used))
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
    match agent.run_call(revision, call, payload).await.map_err(NotRun::from) {
        Ok(Answered::Whole(outcome)) => {
            let media_type = outcome.called.media_type.clone();
            let media_type = media_type.as_deref().unwrap_or("application/json");
            told(outcome.payload.into(), &outcome.called, media_type)
        }
        Ok(Answered::InPieces(called, mut read)) => {
            let frames = futures::stream::poll_fn(move |context| read.poll_recv(context));
            let frames = frames.map(|piece| Ok::<_, Infallible>(pieces::write(&piece)));
            told(Body::from_stream(frames), &called, pieces::MEDIA_TYPE)
        }
        Err(refused) => not_run(refused),
    }
}

async fn drill(
    State(agent): State<Agent>,
    Path(instance): Path<InstanceId>,
    Json(drill): Json<Drill>,
) -> Result<Json<InstanceUsed>, Response> {
    agent.drill(instance, drill).await.map(Json).map_err(not_run)
}

async fn used(
    State(agent): State<Agent>,
    Json(asked): Json<InstancesAsked>,
) -> Json<InstancesUsed> {
    Json(agent.instances_used(&asked))
}

fn not_run(NotRun { kind, reason, wait_ms }: NotRun) -> Response {
    let code = match kind {
        ErrorKind::Busy => "busy",
        ErrorKind::NotFound => "not_found",
        _ => "unavailable",
    };
    let mut response = problem(kind, code, reason);
    if let Some(wait_ms) = wait_ms {
        let seconds = HeaderValue::from(wait_ms.div_ceil(1_000));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

fn told(body: Body, called: &Called, media_type: &str) -> Response {
    let mut response = Response::new(body);
    let said = serde_json::to_string(called).unwrap_or_default();
    let values = [
        (CALLED_HEADER, HeaderValue::try_from(said)),
        (header::CONTENT_TYPE.as_str(), HeaderValue::try_from(media_type)),
    ];
    for (name, value) in values {
        let Ok(value) = value else { continue };
        response.headers_mut().insert(name, value);
    }
    response
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
