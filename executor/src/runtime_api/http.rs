//! The Runtime API over HTTP/1.1.
//!
//! Always true: a call for work may wait for ever; every other one is answered at once; what a
//! program sends is read to its limit and no further; refusals are those of Lambda's emulator.

mod extensions;

use std::convert::Infallible;
use std::future::poll_fn;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::proxy::{self, Outside};
use super::streams::{STREAM_BYTES_MAX, Stopped, Writer};
use super::{
    ANSWER_BYTES_MAX, ERROR_BYTES_MAX, Failure, Invocation, NotTaken, Outcome, Runtime, too_large,
};

/// Most bytes of a body that are read though it is refused.
const DRAINED_BYTES_MAX: usize = 64 << 20;
/// What a program is told whose body broke off.
const TRUNCATED: &str = "HTTP request detected as truncated";
/// The header, or trailer, that says what failed.
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

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
    let answered = match (&head.method, path.as_slice()) {
        (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => {
            Ok(work(runtime.next().await))
        }
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "response"]) => {
            response(runtime, id, &head.headers, body).await
        }
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "error"]) => {
            error(runtime, id, &head.headers, body).await
        }
        (&Method::POST, ["2018-06-01", "runtime", "init" | "restore", "error"]) => {
            cannot_begin(runtime, &head.headers, body).await
        }
        // Nothing is ever restored here, so whoever waits for that may go on at once.
        (&Method::GET, ["2018-06-01", "runtime", "restore", "next"]) => {
            Ok(Response::new(Full::default()))
        }
        (&Method::GET, ["2018-06-01", "ping"]) => {
            Ok(Response::new(Full::new(Bytes::from_static(b"pong"))))
        }
        (method, path) => {
            match extensions::answer(runtime, (method, path), &head.headers, body).await {
                Some(answer) => answer,
                None => Err(refuse(StatusCode::NOT_FOUND, "NotFound", "there is no such call")),
            }
        }
    };
    answered.unwrap_or_else(Refused::answer)
}

/// The handler's answer, whole or in pieces. One that is too large is the function's error.
async fn response(
    runtime: &Runtime,
    id: &str,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Answer, Refused> {
    let media_type = text(headers, "content-type");
    match headers.get("lambda-runtime-function-response-mode") {
        Some(mode) if mode == "streaming" => {
            let writer = Writer::begin(runtime, id, media_type).map_err(not_taken)?;
            return pieces(writer, body).await;
        }
        Some(_) => {
            read(body, ANSWER_BYTES_MAX).await?;
            let (kind, message) = ("InvalidFunctionResponseMode", "Invalid function response mode");
            let failure = Failure::new("Runtime.InvalidResponseModeHeader", message);
            runtime.over(id, Outcome::Failed(failure)).map_err(not_taken)?;
            return Err(refuse(StatusCode::BAD_REQUEST, kind, message));
        }
        None => {}
    }
    match read(body, ANSWER_BYTES_MAX).await {
        Ok(payload) => taken(runtime.over(id, Outcome::Answered { payload, media_type })),
        Err(refusal) => {
            if refusal.status == StatusCode::PAYLOAD_TOO_LARGE {
                let outcome = Outcome::Failed(too_large(ANSWER_BYTES_MAX as u64));
                runtime.over(id, outcome).map_err(not_taken)?;
            }
            Err(refusal)
        }
    }
}

/// Hands on an answer as it comes; what failed on the way is said behind it, in trailers.
async fn pieces(mut writer: Writer, mut body: Incoming) -> Result<Answer, Refused> {
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            writer.fail(Failure::new("Runtime.TruncatedResponse", TRUNCATED)).await;
            return Err(refuse(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", TRUNCATED));
        };
        match frame.into_data() {
            Ok(piece) => writer.write(piece).await.map_err(|stopped| match stopped {
                Stopped::TooLarge => too_many(STREAM_BYTES_MAX),
                Stopped::Left => not_taken(NotTaken::Unknown),
            })?,
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    match text(&trailers, ERROR_TYPE) {
        Some(kind) => {
            let body = text(&trailers, "lambda-runtime-function-error-body").unwrap_or_default();
            let payload = BASE64_STANDARD.decode(body).unwrap_or_default().into();
            writer.fail(Failure { kind: known(&kind), payload }).await;
        }
        None => writer.end().await,
    }
    taken(Ok(()))
}

async fn error(
    runtime: &Runtime,
    id: &str,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Answer, Refused> {
    let payload = read(body, ERROR_BYTES_MAX).await?;
    taken(runtime.over(id, Outcome::Failed(failure(headers, payload))))
}

async fn cannot_begin(
    runtime: &Runtime,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Answer, Refused> {
    let payload = read(body, ERROR_BYTES_MAX).await?;
    taken(runtime.cannot_begin(failure(headers, payload)))
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

/// All that was sent. What is too much is read on for nothing, up to a limit, so that the program
/// sees the answer and its connection can be used again.
async fn read(mut body: Incoming, bytes_max: usize) -> Result<Bytes, Refused> {
    let (mut whole, mut bytes) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let truncated = |_| refuse(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", TRUNCATED);
        let Ok(data) = frame.map_err(truncated)?.into_data() else { continue };
        bytes = bytes.saturating_add(data.len());
        if bytes <= bytes_max {
            whole.extend_from_slice(&data);
        } else if bytes > DRAINED_BYTES_MAX {
            break;
        } else {
            whole = Vec::new();
        }
    }
    if bytes > bytes_max { Err(too_many(bytes_max as u64)) } else { Ok(whole.into()) }
}

fn too_many(bytes_max: u64) -> Refused {
    let message = format!("Exceeded maximum allowed payload size ({bytes_max} bytes).");
    refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
}

fn failure(headers: &HeaderMap, payload: Bytes) -> Failure {
    let kind = text(headers, ERROR_TYPE).unwrap_or_default();
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

pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn taken(taken: Result<(), NotTaken>) -> Result<Answer, Refused> {
    taken.map_err(not_taken)?;
    Ok(json(StatusCode::ACCEPTED, &serde_json::json!({ "status": "OK" })))
}

fn not_taken(why: NotTaken) -> Refused {
    match why {
        NotTaken::Unknown => {
            refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
        }
        NotTaken::State(name) => {
            let message = format!("State transition from {name} is not allowed for the runtime.");
            refuse(StatusCode::FORBIDDEN, "InvalidStateTransition", &message)
        }
    }
}

/// Why something is not done, as it is told.
struct Refused {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Refused {
    fn answer(self) -> Answer {
        let Self { status, kind, message } = self;
        json(status, &serde_json::json!({ "errorMessage": message, "errorType": kind }))
    }
}

fn refuse(status: StatusCode, kind: &'static str, message: &str) -> Refused {
    Refused { status, kind, message: message.to_owned() }
}

fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(value.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    answer
}
