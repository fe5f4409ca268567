//! The hosts that run functions, and the connections to their agents.
//!
//! Always true: a call is sent once; where its host could not be reached, not a byte was sent.

use std::sync::Arc;

use api::Problem;
use api::internal::functions::{
    CALL_HEADER, CALLED_HEADER, Call, Called, EVENT_BYTES_MAX, FunctionHost, pieces,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use types::{ErrorKind, RevisionId};

use super::streaming::{Payload, Pieces};
use crate::error::Error;
use crate::hub::Hub;

/// The hosts of one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts(Arc<Vec<FunctionHost>>);

/// Connections to the sockets of this host's agents; kept and used again.
pub(crate) type Calls = Client<Sockets, Full<Bytes>>;

/// Connects to the socket whose path, in hex, stands where a host's name would.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sockets;

/// A client of agents.
pub(crate) fn client() -> Calls {
    Client::builder(TokioExecutor::new()).build(Sockets)
}

impl tower::Service<Uri> for Sockets {
    type Response = TokioIo<UnixStream>;
    type Error = std::io::Error;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(async move {
            let path =
                hex::decode(uri.host().unwrap_or_default()).map_err(std::io::Error::other)?;
            let path = String::from_utf8(path).map_err(std::io::Error::other)?;
            UnixStream::connect(path).await.map(TokioIo::new)
        })
    }
}

impl Hosts {
    pub(crate) fn new(told: Vec<FunctionHost>) -> Self {
        Self(Arc::new(told))
    }

    /// Gives a call to a host that can be reached, and waits for what became of it.
    pub(crate) async fn call(
        &self,
        hub: &Hub,
        revision: RevisionId,
        call: &Call,
        payload: Bytes,
    ) -> Result<(Called, Payload), Error> {
        for host in self.0.iter() {
            let request = request(host, revision, call, payload.clone())?;
            match hub.calls.request(request).await {
                Ok(response) => return read(response).await,
                Err(cause) if cause.is_connect() => {
                    tracing::debug!(host = %host.host, %cause, "a host could not be reached");
                }
                Err(cause) => {
                    tracing::warn!(host = %host.host, %cause, "a call was lost");
                    return Err(Error::CallLost);
                }
            }
        }
        let message = "no host that runs functions can be reached: try again".to_owned();
        Err(Error::NotRun { kind: ErrorKind::Unavailable, message, wait_ms: None })
    }
}

fn request(
    host: &FunctionHost,
    revision: RevisionId,
    call: &Call,
    payload: Bytes,
) -> Result<Request<Full<Bytes>>, Error> {
    let broken = |reason: String| Error::BadRequest { reason };
    let said = serde_json::to_string(call).map_err(|error| broken(error.to_string()))?;
    let said = HeaderValue::try_from(said).map_err(|error| broken(error.to_string()))?;
    Request::post(format!("http://{}/revisions/{revision}/calls", hex::encode(&host.socket)))
        .header(CALL_HEADER, said)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(payload))
        .map_err(|error| broken(error.to_string()))
}

/// What became of a call, or how it begins to answer.
async fn read(response: Response<Incoming>) -> Result<(Called, Payload), Error> {
    let (parts, body) = response.into_parts();
    let said = parts.headers.get(CALLED_HEADER).and_then(|value| value.to_str().ok());
    let called: Option<Called> = said.and_then(|text| serde_json::from_str(text).ok());
    let called = called.filter(|_| parts.status == StatusCode::OK);
    let media_type = parts.headers.get(header::CONTENT_TYPE);
    if media_type.is_some_and(|value| value == pieces::MEDIA_TYPE)
        && let Some(called) = called
    {
        return Ok((called, Payload::Pieces(Pieces::new(body))));
    }
    // The agent has limited it.
    let body = body.collect().await.map_err(|_| Error::CallLost)?.to_bytes();
    if let Some(called) = called {
        return Ok((called, Payload::Whole(body)));
    }
    if parts.status == StatusCode::PAYLOAD_TOO_LARGE {
        return Err(Error::BodyTooLarge { bytes_max: EVENT_BYTES_MAX });
    }
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    let message =
        problem.map_or_else(|| "the agent's answer was not understood".into(), |it| it.title);
    let kind = match parts.status {
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::Busy,
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::SERVICE_UNAVAILABLE => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    let told = parts.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait_ms = told.and_then(|text| text.parse::<u64>().ok()).map(|s| s.saturating_mul(1_000));
    Err(Error::NotRun { kind, message, wait_ms })
}
