//! The Runtime API over HTTP/1.1.
//!
//! Always true: a call for work may wait for ever; every other one is answered at once; what a
//! program sends is read to its limit and no further.

use std::convert::Infallible;
use std::future::poll_fn;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::proxy::{self, Outside};
use super::{ANSWER_BYTES_MAX, ERROR_BYTES_MAX, Failure, Invocation, Outcome, Runtime};

type Answer = Response<Full<Bytes>>;

/// Most connections of one program; a runtime keeps one or two for each of its workers.
const CONNECTIONS_MAX: usize = 256;

/// Answers every connection, for as long as it is polled.
pub(super) async fn serve(listener: TcpListener, runtime: Runtime) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(connection(stream, runtime.clone()));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            else => poll_fn(|_| std::task::Poll::<()>::Pending).await,
        }
    }
}

async fn connection(stream: TcpStream, runtime: Runtime) {
    // Answers are small, and each is waited for.
    let _ = stream.set_nodelay(true);
    let outside = Outside::default();
    let open = outside.clone();
    let service = service_fn(move |request| {
        let (runtime, outside) = (runtime.clone(), outside.clone());
        async move {
            Ok::<_, Infallible>(match runtime.outlet() {
                Some(outlet) if proxy::is_for_proxy(&request) => {
                    outside.answer(outlet, request).await
                }
                _ => answer(&runtime, request).await.map(Either::Left),
            })
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    match connection.with_upgrades().await {
        Ok(()) => open.carry().await,
        Err(cause) => tracing::debug!(%cause, "a program's connection broke"),
    }
}

async fn answer(runtime: &Runtime, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let path: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
    let read = |bytes_max| read(body, bytes_max);
    match (&head.method, path.as_slice()) {
        (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => {
            work(runtime.next().await)
        }
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "response"]) => {
            let payload = match read(ANSWER_BYTES_MAX).await {
                Ok(payload) => payload,
                Err(refusal) => return refusal,
            };
            let media_type = text(&head.headers, "content-type");
            taken(runtime.over(id, Outcome::Answered { payload, media_type }))
        }
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "error"]) => {
            match read(ERROR_BYTES_MAX).await {
                Ok(payload) => {
                    let failure = failure(&head.headers, payload);
                    taken(runtime.over(id, Outcome::Failed(failure)))
                }
                Err(refusal) => refusal,
            }
        }
        (&Method::POST, ["2018-06-01", "runtime", "init", "error"]) => {
            match read(ERROR_BYTES_MAX).await {
                Ok(payload) => {
                    runtime.cannot_begin(failure(&head.headers, payload));
                    taken(true)
                }
                Err(refusal) => refusal,
            }
        }
        (&Method::GET, ["2018-06-01", "ping"]) => {
            Response::new(Full::new(Bytes::from_static(b"pong")))
        }
        _ => refuse(StatusCode::NOT_FOUND, "NotFound", "the Runtime API has no such call"),
    }
}

/// An invocation, as the program reads it.
fn work(invocation: Invocation) -> Answer {
    let Invocation { id, deadline_ms, payload, function_arn, trace_id, client_context } =
        invocation;
    let mut answer = Response::new(Full::new(payload));
    let headers = answer.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("lambda-runtime-deadline-ms", deadline_ms.into());
    let told = [
        ("lambda-runtime-aws-request-id", Some(id)),
        ("lambda-runtime-invoked-function-arn", Some(function_arn)),
        ("lambda-runtime-trace-id", trace_id),
        ("lambda-runtime-client-context", client_context),
    ];
    for (name, value) in told {
        // What is no header is left out; whoever made the invocation has checked it.
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    answer
}

async fn read(body: Incoming, bytes_max: usize) -> Result<Bytes, Answer> {
    let read = Limited::new(body, bytes_max).collect().await;
    read.map(Collected::to_bytes).map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            let message = format!("Exceeded maximum allowed payload size ({bytes_max} bytes).");
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message);
        }
        refuse(StatusCode::BAD_REQUEST, "InvalidRequest", "the body broke off")
    })
}

fn failure(headers: &HeaderMap, payload: Bytes) -> Failure {
    let kind = text(headers, "lambda-runtime-function-error-type").unwrap_or_default();
    Failure { kind: known(&kind), payload }
}

/// A kind of error, or the unknown one of its family.
fn known(kind: &str) -> String {
    let (family, name) = kind.split_once('.').unwrap_or((kind, ""));
    let family = if family == "Runtime" { "Runtime" } else { "Function" };
    let well = name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphabetic())
        && kind.starts_with(family);
    format!("{family}.{}", if well { name } else { "Unknown" })
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn taken(awaited: bool) -> Answer {
    if !awaited {
        return refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
    }
    json(StatusCode::ACCEPTED, &serde_json::json!({ "status": "OK" }))
}

fn refuse(status: StatusCode, kind: &str, message: &str) -> Answer {
    json(status, &serde_json::json!({ "errorMessage": message, "errorType": kind }))
}

fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(value.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    answer
}
