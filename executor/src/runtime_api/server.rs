//! Programs that are servers: they answer `/ping` and `/invocations` on a port of their own, and are
//! given their work there in place of asking for it.
//!
//! States of a program: not heard (its `/ping` has not answered well, or its connection was lost) →
//! well.
//! Always true: a program is given work only while it is well, one call at a time on each of its
//! connections; it is reached by the sockets that its sandbox handed out, so by nothing outside of
//! that.
//! Absent on purpose: how long it may take to be well first, which its owner watches.
//! Source: SageMaker's contract of inference containers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use super::streams::Writer;
use super::{ERROR_BYTES_MAX, Failure, Invocation, Outcome, Runtime};
use crate::plan::SERVER_PORT;

/// Between two looks whether a program answers: it is being started, or was lost.
const LOOK_MS: u64 = 20;
/// Longest wait for an answer to `/ping`. Source: SageMaker's 2 s.
const PING_MS_MAX: u64 = 2_000;
/// How long a program that was well once may be away before it is given up.
const LOST_MS_MAX: u64 = 10_000;

/// A way to a program: a socket of its sandbox, connected again and again.
pub(crate) struct Way {
    socket: OwnedFd,
    open: Option<Open>,
}

struct Open {
    send: SendRequest<Full<Bytes>>,
    /// Moves its bytes; ends with it.
    _connection: JoinSet<()>,
}

/// Gives a program its work, on each of its connections, for as long as it is polled.
pub(super) async fn serve(sockets: Vec<OwnedFd>, runtime: Runtime) {
    let mut ways = JoinSet::new();
    for socket in sockets {
        ways.spawn(serve_one(Way { socket, open: None }, runtime.clone()));
    }
    while ways.join_next().await.is_some() {}
}

/// Gives a program its work on one connection, until it is lost.
async fn serve_one(mut way: Way, runtime: Runtime) {
    let mut was_well = false;
    loop {
        let limit = Duration::from_millis(LOST_MS_MAX);
        let well = way.until_well();
        if !was_well {
            well.await;
        } else if tokio::time::timeout(limit, well).await.is_err() {
            let message = "the server no longer answers /ping with 200";
            runtime.extension_failed(Failure::new("Runtime.ServerLost", message));
            return;
        }
        was_well = true;
        // Until the way is lost, or the program says that something is wrong with it.
        loop {
            let call = runtime.next().await;
            if !run(&mut way, &runtime, call).await {
                break;
            }
        }
    }
}

/// Runs one call; false where the program is to be looked at before the next.
async fn run(way: &mut Way, runtime: &Runtime, call: Invocation) -> bool {
    let id = call.id.clone();
    let answered = match request(&call) {
        Ok(request) => way.ask(request).await,
        Err(error) => Err(io::Error::other(error)),
    };
    // Where nobody waits any more, there is nobody to tell.
    match answered {
        Ok(response) if response.status().is_success() => pieces(runtime, &id, response).await,
        Ok(response) => {
            let _ = runtime.over(&id, Outcome::Failed(refused(response).await));
            false
        }
        Err(error) => {
            way.open = None;
            let message = format!("the server did not answer: {error}");
            let failure = Failure::new("Runtime.ServerLost", &message);
            let _ = runtime.over(&id, Outcome::Failed(failure));
            false
        }
    }
}

fn request(call: &Invocation) -> Result<Request<Full<Bytes>>, http::Error> {
    Request::post("/invocations")
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .header("lambda-runtime-aws-request-id", &call.id)
        .header("lambda-runtime-deadline-ms", call.deadline_ms)
        .body(Full::new(call.payload.clone()))
}

/// Hands an answer on as it comes.
async fn pieces(runtime: &Runtime, id: &str, response: Response<Incoming>) -> bool {
    let media_type = super::http::text(response.headers(), "content-type");
    let Ok(mut writer) = Writer::begin(runtime, id, media_type) else { return true };
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            let message = "the server's answer broke off";
            writer.fail(Failure::new("Runtime.TruncatedResponse", message)).await;
            return false;
        };
        if let Ok(piece) = frame.into_data()
            && writer.write(piece).await.is_err()
        {
            return false;
        }
    }
    writer.end().await;
    true
}

/// What a call is told that the server refused.
async fn refused(response: Response<Incoming>) -> Failure {
    let status = response.status();
    let body = Limited::new(response.into_body(), ERROR_BYTES_MAX).collect().await;
    let body = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
    let message = format!("the server answered {status}: {}", body.unwrap_or_default());
    Failure::new("Function.ServerError", &message)
}

impl Way {
    /// Waits until the program answers `/ping` well.
    async fn until_well(&mut self) {
        let limit = Duration::from_millis(PING_MS_MAX);
        loop {
            if let Ok(true) = tokio::time::timeout(limit, self.is_well()).await {
                return;
            }
            self.open = None;
            // Real time, also in tests: what is waited for is a real program.
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
    }

    async fn is_well(&mut self) -> bool {
        let ping = Request::get("/ping").header(header::HOST, "localhost").body(Full::default());
        let Ok(ping) = ping else { return false };
        let Ok(response) = self.ask(ping).await else { return false };
        let well = response.status().is_success();
        // Read to its end, so that the connection can be used again.
        well && Limited::new(response.into_body(), ERROR_BYTES_MAX).collect().await.is_ok()
    }

    /// Asks, through a new connection where the last one has ended.
    async fn ask(&mut self, request: Request<Full<Bytes>>) -> io::Result<Response<Incoming>> {
        if let Some(open) = &mut self.open
            && open.send.ready().await.is_err()
        {
            self.open = None;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => self.connect().await?,
        };
        let open = self.open.insert(open);
        open.send.send_request(request).await.map_err(io::Error::other)
    }

    async fn connect(&self) -> io::Result<Open> {
        // What it was connected to before has ended; a socket that never was takes this too.
        let _ = rustix::net::connect_unspec(&self.socket);
        let socket = TcpStream::from(self.socket.try_clone()?);
        socket.set_nonblocking(true)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, SERVER_PORT));
        let stream = TcpSocket::from_std_stream(socket).connect(address).await?;
        let _ = stream.set_nodelay(true);
        let (send, moving) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let mut connection = JoinSet::new();
        connection.spawn(async move {
            if let Err(cause) = moving.await {
                tracing::debug!(%cause, "a server's connection broke");
            }
        });
        Ok(Open { send, _connection: connection })
    }
}
