//! The HTTP service: finds out what is asked, has it answered, and gives every answer its request
//! id, its place in the metrics, and errors in the shape of the protocol that was spoken.
//!
//! Always true: paths are matched by hand, in one pass, and nothing is normalised.
//! Absent on purpose: listening (see `api::listen`), and what the answers say.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use api::drain::Rest;
use api::functions::urls::URLS_PATH;
use api::listen::Peer;
use api::{Problem, REQUEST_ID_HEADER, problem};
use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, Version, header};
use types::RequestId;

use crate::console;
use crate::error::Error;
use crate::functions;
use crate::hub::Hub;
use crate::invocations;
use crate::oip::rest;
use crate::paths::{self, OwnHost, Shape, Target};
use crate::proxy;
use crate::rules;
use crate::runs;
use crate::services;
use crate::streams;

/// The header that carries the request's id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static(REQUEST_ID_HEADER);

/// Most bytes of a refused body that are read for nothing, so that its sender sees the answer: as
/// large as a body may be by default.
const DRAINED_BYTES_MAX: u64 = 64 << 20;
/// Longest request id that is taken over from a caller.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Everything that a gateway answers over HTTP. Always ready; cheap to clone.
#[derive(Clone)]
pub struct Http {
    hub: Arc<Hub>,
}

/// A request whose body is not read yet, and who sent it.
pub(crate) struct Incoming {
    pub(crate) parts: Parts,
    pub(crate) body: Body,
    pub(crate) request_id: HeaderValue,
}

impl Incoming {
    /// The address of whoever is at the other end, where it is known.
    pub(crate) fn from(&self) -> Option<IpAddr> {
        match self.parts.extensions.get::<Peer>() {
            Some(Peer::Remote(address)) => Some(address.ip()),
            _ => None,
        }
    }
}

impl Http {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    async fn answer(self, request: Request<Body>) -> Response<Body> {
        let started = Instant::now();
        let active = self.hub.metrics.begin();
        let (parts, body) = request.into_parts();
        let request_id = request_id(&parts, &self.hub);
        let method = parts.method.clone();
        // Over HTTP/2 a body that nobody reads holds up nothing.
        let in_order = parts.version < Version::HTTP_2;
        let (body, rest) = Rest::of(body);
        let incoming = Incoming { parts, body, request_id: request_id.clone() };
        let (route, mut response) = dispatch(&self.hub, incoming).await;
        if method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response.headers_mut().insert(REQUEST_ID, request_id);
        let refused = response.status().is_client_error();
        if in_order && refused && !rest.read(DRAINED_BYTES_MAX).await {
            // The connection ends: the client is told, lest its next request is lost on it.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let status = response.status().as_u16();
        self.hub.metrics.http(&method, route, (status, started.elapsed().as_secs_f64()));
        drop(active);
        response
    }
}

/// Finds what is asked and answers it; also tells the route, for the metrics.
async fn dispatch(hub: &Arc<Hub>, incoming: Incoming) -> (&'static str, Response<Body>) {
    let uri = incoming.parts.uri.clone();
    let path = uri.path();
    let own = own_host(hub, &incoming.parts);
    let (shape, request_id) = (paths::shape(path, own.as_ref()), incoming.request_id.clone());
    let target = match Target::read(&incoming.parts.method, path, own.as_ref()) {
        Ok(target) => target,
        Err(error) => return ("", refusal(shape, &error, &request_id)),
    };
    let route = target.route();
    let answer = match target {
        Target::Management => proxy::forward(hub, incoming).await,
        Target::Root => console::root(&incoming.parts),
        Target::Console { rest } => console::answer(&incoming.parts, rest),
        Target::Function { function } => functions::invoke(hub, incoming, &function).await,
        Target::Lambda { function, verb } => {
            functions::answer_lambda(hub, incoming, (verb, &function)).await
        }
        Target::Service { account, service, rest } => {
            services::answer(hub, incoming, (&account, &service, rest)).await
        }
        Target::Stream { stream, verb } => streams::answer(hub, incoming, (&stream, verb)).await,
        Target::Rule => rules::answer(hub, incoming).await,
        Target::Records { run } => runs::records(hub, incoming, &run).await,
        Target::RunDrift { run } => runs::drift(hub, incoming, &run).await,
        Target::Series { run } => runs::series(hub, incoming, &run).await,
        Target::Url { id, rest } => functions::answer_url(hub, incoming, (id, rest)).await,
        Target::Ping { endpoint } => invocations::ping(hub, &incoming, &endpoint),
        Target::Invocations { endpoint } => invocations::invoke(hub, incoming, &endpoint).await,
        target => rest::answer(hub, incoming, target).await,
    };
    let mut answer = answer.unwrap_or_else(|error| refusal(shape, &error, &request_id));
    if own.is_none() && path.starts_with(URLS_PATH) {
        // By path a function's pages would be the console's neighbours, and could read its token.
        let elsewhere = HeaderValue::from_static(console::ELSEWHERE);
        answer.headers_mut().append(header::CONTENT_SECURITY_POLICY, elsewhere);
    }
    if matches!(shape, Shape::Lambda | Shape::Url) {
        answer.headers_mut().extend(functions::lambda_id(&request_id));
    }
    (route, answer)
}

/// What has the host name that was used.
fn own_host(hub: &Hub, parts: &Parts) -> Option<OwnHost> {
    let base = hub.settings.base_domain.as_deref()?;
    let named = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = named.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))?;
    paths::own_host(host, base)
}

/// An error in the shape of a protocol.
pub(crate) fn refusal(shape: Shape, error: &Error, request_id: &HeaderValue) -> Response<Body> {
    let status = error.status();
    let title = error.public_message();
    let (kind, body) = match shape {
        Shape::Lambda => return functions::lambda_refusal(error),
        Shape::Url => return functions::url_refusal(error),
        Shape::Oip => ("application/json", serde_json::json!({ "error": title }).to_string()),
        Shape::Problem => {
            let code = error.code();
            let problem = Problem {
                page: format!("/v1/errors/{code}"),
                status: status.as_u16(),
                code: code.to_owned(),
                title,
                hint: None,
                request_id: request_id.to_str().ok().map(str::to_owned),
            };
            (problem::MEDIA_TYPE, serde_json::to_string(&problem).unwrap_or_default())
        }
    };
    let mut response = answer(kind, Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    match error {
        Error::NoCredentials | Error::BadCredentials => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Error::NoOperation { allow } => {
            if let Ok(allow) = HeaderValue::try_from(allow) {
                headers.insert(header::ALLOW, allow);
            }
        }
        Error::NoMethod { allow } => {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        _ => {}
    }
    if let Some(seconds) = error.retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A whole answer of a media type.
pub(crate) fn answer(kind: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The request's id: the caller's where it sent one that is harmless, else a new one.
fn request_id(parts: &Parts, hub: &Hub) -> HeaderValue {
    let harmless = |value: &&HeaderValue| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let bytes = value.as_bytes();
        (1..=REQUEST_ID_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(plain)
    };
    if let Some(given) = parts.headers.get(&REQUEST_ID).filter(harmless) {
        return given.clone();
    }
    let id = RequestId::new(hub.clock.uuid()).to_string();
    HeaderValue::from_maybe_shared(Bytes::from(id)).unwrap_or(HeaderValue::from_static("req"))
}

impl<B> tower::Service<Request<B>> for Http
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answered = self.clone().answer(request.map(Body::new));
        Box::pin(async move { Ok(answered.await) })
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}
