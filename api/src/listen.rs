//! Listening: one accept loop for every server of the house, over TCP or a Unix socket, plain or
//! TLS, HTTP/1.1 and HTTP/2.
//!
//! Always true: every connection has a limit on how long it may stay silent before its first
//! request, and takes none once the certificate that opened it is over; who is at the other end is
//! in the extensions of every request as [`Peer`]; after the stop nothing is accepted, and what is
//! in flight has the grace to finish.
//! Absent on purpose: routing, limits per caller, logs of requests. This is the hot path: per
//! request it costs one clone of the service and one entry in the request's extensions.

mod accept;
mod connection;
mod tls;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::identity::{self, Subject};

pub use accept::Listener;
pub use tls::{Clients, Tls};

/// Where a server listens, or a client connects: `127.0.0.1:8000` or `unix:/run/freehold.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An internet address; port 0 takes any free one.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address: write an IP and port such as 127.0.0.1:8000, or unix:/path")]
pub struct AddressError {
    /// What was given, cut to 160 characters.
    pub text: String,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let tcp = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let parsed = tcp.as_deref().unwrap_or(text).parse();
        parsed.map(Self::Tcp).map_err(|_| AddressError { text: text.chars().take(160).collect() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process of this machine that may open the Unix socket.
    Local,
    /// A process that proved by a certificate of our authority who it is.
    Certificate(Arc<Subject>),
    /// Anybody; only the address is known.
    Remote(SocketAddr),
}

/// What a listener allows each client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait in the kernel's queue. Each may cost some 100 KiB.
    pub connections_max: usize,
    /// Longest wait for a whole request head, also between two requests, in milliseconds.
    pub header_read_ms: u64,
    /// Longest TLS handshake, in milliseconds.
    pub handshake_ms: u64,
    /// How long requests in flight may go on after the stop, in milliseconds.
    pub grace_ms: u64,
    /// HTTP/2 requests at once on one connection.
    pub streams_max: u32,
    /// Largest request head, in bytes.
    pub head_bytes_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            header_read_ms: 30_000,
            handshake_ms: 10_000,
            grace_ms: 30_000,
            streams_max: 256,
            head_bytes_max: 64 << 10,
        }
    }
}

/// What can go wrong with a listener.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not listen on {address}{}", hint(.source))]
    Bind { address: Address, source: io::Error },
    #[error(
        "the path of the socket {path:?} has {bytes} bytes, and the kernel takes at most \
         {SOCKET_PATH_BYTES_MAX}: choose a data folder with a shorter path"
    )]
    PathTooLong { path: PathBuf, bytes: usize },
    #[error("{path:?} is in the way of a socket and is none: move it away")]
    NotASocket { path: PathBuf },
    #[error("could not {action} {path:?}")]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the certificate or its key cannot be used")]
    Tls(#[source] rustls::Error),
    #[error(transparent)]
    Identity(#[from] identity::Error),
}

/// Longest path of a Unix socket on Linux (unix(7), less the closing zero).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            ": another program listens there; stop it, or choose another address with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            ": not allowed; ports below 1024 need a right, other ports do not"
        }
        io::ErrorKind::AddrNotAvailable => ": this machine has no such address",
        _ => "",
    }
}

/// Serves HTTP on a listener until the stop, and returns once every connection is closed.
///
/// After the stop requests in flight have [`Limits::grace_ms`] to finish; what is left then is cut.
/// The service is an `axum::Router` or any other tower service that is always ready.
pub async fn serve<S, B>(listener: Listener, service: S, tls: Option<Tls>, stop: CancellationToken)
where
    S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limits = listener.limits();
    let grace = Duration::from_millis(limits.grace_ms);
    let room = Arc::new(Semaphore::new(limits.connections_max));
    let server = Arc::new(connection::Server::new(limits, tls, stop.clone()));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accept_within(&listener, &room) => accepted,
        };
        let Some((stream, permit)) = accepted else { continue };
        let (server, service) = (Arc::clone(&server), service.clone());
        connections.spawn(async move {
            server.serve(stream, service).await;
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, finished).await.is_err() {
        tracing::warn!(cut = connections.len(), "requests outlived the grace of the stop");
        connections.shutdown().await;
    }
}

/// Serves HTTP on one connection that was accepted and proved elsewhere, until it ends.
///
/// After the stop the request in flight is finished, and no other is taken.
pub async fn serve_one<I, S, B>(stream: I, peer: Peer, service: S, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    connection::Server::new(Limits::default(), None, stop).requests(stream, peer, service).await;
}

/// One connection, and its place among those allowed; none when the connection broke at once.
async fn accept_within(
    listener: &Listener,
    room: &Arc<Semaphore>,
) -> Option<(accept::Stream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok(stream) => Some((stream, permit)),
        Err(source) => {
            let broken = matches!(
                source.kind(),
                io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionRefused
            );
            if !broken {
                tracing::warn!(%source, "could not accept a connection, waiting");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None
        }
    }
}

/// How long to wait when there is no file descriptor for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
