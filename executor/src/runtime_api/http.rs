//! The Runtime API over HTTP/1.1.
//!
//! Always true: a call for work may wait for ever; every other one is answered at once; what a
//! program sends is read to its limit and no further; refusals are those of Lambda's emulator.

mod extensions;

use std::convert::Infallible;
use std::future::poll_fn;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{ANSWER_BYTES_MAX, ERROR_BYTES_MAX, Failure, Invocation, NotTaken, Outcome, Runtime};

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
    let service = service_fn(move |request| {
        let runtime = runtime.clone();
        async move { Ok::<_, Infallible>(answer(&runtime, request).await) }
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    if let Err(cause) = served {
        tracing::debug!(%cause, "a program's connection broke");
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

/// The handler's answer. One that is too large is the function's error.
async fn response(
    runtime: &Runtime,
    id: &str,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Answer, Refused> {
    let mode = headers.get("lambda-runtime-function-response-mode");
    if mode.is_some_and(|mode| mode != "streaming") {
        read(body, ANSWER_BYTES_MAX).await?;
        let failure =
            Failure { kind: "Runtime.InvalidResponseModeHeader".to_owned(), payload: Bytes::new() };
        runtime.over(id, Outcome::Failed(failure)).map_err(not_taken)?;
        let (kind, message) = ("InvalidFunctionResponseMode", "Invalid function response mode");
        return Err(refuse(StatusCode::BAD_REQUEST, kind, message));
    }
    let media_type = text(headers, "content-type");
    match read(body, ANSWER_BYTES_MAX).await {
        Ok(payload) => taken(runtime.over(id, Outcome::Answered { payload, media_type })),
        Err(refusal) => {
            if refusal.status == StatusCode::PAYLOAD_TOO_LARGE {
                let outcome = Outcome::Failed(too_large());
                runtime.over(id, outcome).map_err(not_taken)?;
            }
            Err(refusal)
        }
    }
}

/// What a call is told whose answer is too large.
fn too_large() -> Failure {
    let message = format!(
        "Response payload size exceeded maximum allowed payload size ({ANSWER_BYTES_MAX} bytes)."
    );
    Failure::new("Function.ResponseSizeTooLarge", &message)
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

async fn read(body: Incoming, bytes_max: usize) -> Result<Bytes, Refused> {
    let read = Limited::new(body, bytes_max).collect().await;
    read.map(Collected::to_bytes).map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            let message = format!("Exceeded maximum allowed payload size ({bytes_max} bytes).");
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message);
        }
        refuse(
            StatusCode::BAD_REQUEST,
            "TruncatedHTTPRequest",
            "HTTP request detected as truncated",
        )
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
