//! Reaching an agent's functions: itself where it is in this process, its socket where it is on this
//! host, else its data port.
//!
//! Always true: an agent is asked the same and answers the same by every way; a host is named, where
//! a URI has a host, by the hex of its socket and data address, so that connections are kept by
//! where they lead.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use api::internal::functions::FunctionHost;
use api::internal::functions::near::Near;
use axum::body::Body;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::RwLock;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;

use crate::backends::{Empty, Preamble, through_agent};
use crate::stream::Stream;

/// Stands between the socket and the data address; no path has it.
const BETWEEN: char = '\0';

/// Idle connections are closed before agents close them, so that none breaks as it is used.
const IDLE: Duration = Duration::from_secs(15);

/// The ways to agents.
pub(crate) struct Calls {
    /// Agents in this process, by their sockets.
    near: RwLock<HashMap<String, Arc<dyn Near>>>,
    /// Connections to others; kept and used again.
    far: Client<Dial, Full<Bytes>>,
}

/// Why an agent has not answered.
#[derive(Debug, thiserror::Error)]
#[error("no answer of an agent")]
pub(super) struct Unanswered {
    /// Whether not a byte was sent.
    pub(super) unreached: bool,
    #[source]
    cause: hyper_util::client::legacy::Error,
}

impl Calls {
    /// A connection has `connect_ms_max` milliseconds to be made.
    pub(crate) fn new(tls: Option<TlsConnector>, connect_ms_max: u64) -> Self {
        let far = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(Dial { tls, connect_ms_max });
        Self { near: RwLock::default(), far }
    }

    /// From now on the agent with this socket is asked without a connection.
    pub(crate) fn add_near(&self, socket: String, agent: Arc<dyn Near>) {
        self.near.write().insert(socket, agent);
    }

    /// The host's agent, where it is in this process.
    pub(super) fn near(&self, host: &FunctionHost) -> Option<Arc<dyn Near>> {
        self.near.read().get(&host.socket).cloned()
    }

    /// Asks an agent over a connection. Whoever drops this no longer waits for the answer, and the agent is told so.
    ///
    /// # Errors
    ///
    /// [`Unanswered`].
    pub(super) async fn ask(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Body>, Unanswered> {
        match self.far.request(request).await {
            Ok(answer) => Ok(answer.map(Body::new)),
            Err(cause) => Err(Unanswered { unreached: cause.is_connect(), cause }),
        }
    }
}

/// Connects to agents.
#[derive(Clone)]
pub(crate) struct Dial {
    /// How those on other hosts are reached; none where only this host is.
    tls: Option<TlsConnector>,
    connect_ms_max: u64,
}

/// What stands for a host in the URI of a call.
pub(super) fn authority(host: &FunctionHost) -> String {
    let address = host.data_address.as_deref().unwrap_or_default();
    hex::encode(format!("{}{BETWEEN}{address}", host.socket))
}

impl Dial {
    async fn connect(self, uri: Uri) -> io::Result<TokioIo<Stream>> {
        let named = hex::decode(uri.host().unwrap_or_default()).map_err(io::Error::other)?;
        let named = String::from_utf8(named).map_err(io::Error::other)?;
        let (socket, address) =
            named.split_once(BETWEEN).ok_or_else(|| io::Error::other("this names no host"))?;
        let here = match UnixStream::connect(socket).await {
            Ok(stream) => return Ok(TokioIo::new(Stream::new(Box::new(stream)))),
            Err(error) => error,
        };
        let Some(tls) = self.tls.filter(|_| !address.is_empty()) else { return Err(here) };
        let wanted = Preamble::Functions { functions: Empty {} };
        let stream = through_agent(address, &tls, &wanted).await?;
        Ok(TokioIo::new(Stream::new(stream)))
    }
}

impl tower::Service<Uri> for Dial {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (dial, limit) = (self.clone(), Duration::from_millis(self.connect_ms_max));
        Box::pin(async move {
            let connected = tokio::time::timeout(limit, dial.connect(uri)).await;
            connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        })
    }
}
