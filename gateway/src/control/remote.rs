//! Control in another process, or behind its Unix socket in this one.
//!
//! Always true: connections are kept and used again; bodies are streamed, so an upload of any size
//! passes through in little memory.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::client::Client;
use api::internal::functions::sources::GivenUp;
use api::internal::functions::{
    EventOutcome, KeepEvents, NewEvent, TakeEvents, TakenEvents, UsageTaken,
};
use api::internal::{ClaimStream, Routes, RunReport, RunTaken, StreamClaimed, UsageReport, Watch};
use api::listen::Address;
use axum::body::Body;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use types::{EventId, RunId, SourceId, StreamId};
use workflow::BoxFuture;

use super::{Control, Unreachable};
use crate::backends::Duplex;
use crate::stream::Stream;
use crate::trust::{self, Proof};

/// Idle connections are closed before control closes them, so that none breaks as it is used.
const IDLE: std::time::Duration = std::time::Duration::from_secs(15);

/// Control, reached by the typed client for our own calls and by plain HTTP for callers'.
pub struct Remote {
    client: Client,
    upstream: legacy::Client<Connector, Body>,
}

/// How control is reached.
#[derive(Clone)]
pub enum Upstream {
    /// Its socket on this host.
    Local(std::path::PathBuf),
    /// Its address and the name its certificate is valid for, by mutual TLS.
    Tls {
        /// `host:port`.
        address: String,
        /// The host name or IP in control's certificate.
        name: String,
        /// How this gateway proves itself.
        proof: Proof,
    },
}

impl Upstream {
    /// The upstream of a listener's address on this machine.
    pub fn local(address: &Address) -> Option<Self> {
        match address {
            Address::Unix(path) => Some(Self::Local(path.clone())),
            Address::Tcp(_) => None,
        }
    }
}

impl Remote {
    /// Control as `client` and `upstream` reach it. Connects at the first call.
    ///
    /// # Errors
    ///
    /// [`trust::Error`] when the certificate or the name cannot be used.
    pub fn new(client: Client, upstream: Upstream) -> Result<Self, trust::Error> {
        let connector = match upstream {
            Upstream::Local(path) => Connector::Local(path.into()),
            Upstream::Tls { address, name, proof } => Connector::Tls {
                address: address.into(),
                name: ServerName::try_from(name)
                    .map_err(|cause| trust::Error::Tls(cause.to_string()))?,
                tls: TlsConnector::from(trust::of_control(&proof)?),
            },
        };
        let upstream = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self { client, upstream })
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Unreachable> {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(Authority::from_static("control"));
        *request.uri_mut() = Uri::from_parts(parts).map_err(Unreachable::new)?;
        let answer = self.upstream.request(request).await;
        let answer = answer.map_err(|error| Unreachable::caused(&error))?;
        Ok(answer.map(Body::new))
    }
}

impl Control for Remote {
    fn watch_routes(&self, after: u64, wait_ms: u64) -> BoxFuture<'_, Result<Routes, Unreachable>> {
        let watch = Watch { after, wait_ms };
        Box::pin(async move { self.client.routes_watch(watch).await.map_err(Unreachable::new) })
    }

    fn report_usage(&self, report: UsageReport) -> BoxFuture<'_, Result<UsageTaken, Unreachable>> {
        Box::pin(async move { self.client.usage_report(&report).await.map_err(Unreachable::from) })
    }

    fn accept_event(&self, event: NewEvent) -> BoxFuture<'_, Result<(), Unreachable>> {
        Box::pin(async move { self.client.event_accept(&event).await.map_err(Unreachable::new) })
    }

    fn take_events(&self, wanted: TakeEvents) -> BoxFuture<'_, Result<TakenEvents, Unreachable>> {
        Box::pin(async move { self.client.events_take(wanted).await.map_err(Unreachable::new) })
    }

    fn keep_events(&self, wanted: KeepEvents) -> BoxFuture<'_, Result<(), Unreachable>> {
        Box::pin(async move { self.client.events_keep(&wanted).await.map_err(Unreachable::new) })
    }

    fn settle_event(
        &self,
        id: EventId,
        outcome: EventOutcome,
    ) -> BoxFuture<'_, Result<(), Unreachable>> {
        Box::pin(
            async move { self.client.event_outcome(id, &outcome).await.map_err(Unreachable::new) },
        )
    }

    fn claim_stream(
        &self,
        id: StreamId,
        said: ClaimStream,
    ) -> BoxFuture<'_, Result<StreamClaimed, Unreachable>> {
        Box::pin(async move { self.client.stream_claim(id, said).await.map_err(Unreachable::new) })
    }

    fn give_up(&self, id: SourceId, given_up: GivenUp) -> BoxFuture<'_, Result<(), Unreachable>> {
        Box::pin(async move {
            self.client.source_given_up(id, &given_up).await.map_err(Unreachable::from)
        })
    }

    fn report_run(
        &self,
        id: RunId,
        report: RunReport,
    ) -> BoxFuture<'_, Result<RunTaken, Unreachable>> {
        Box::pin(async move { self.client.run_report(id, &report).await.map_err(Unreachable::new) })
    }

    fn forward(
        &self,
        request: Request<Body>,
    ) -> BoxFuture<'_, Result<Response<Body>, Unreachable>> {
        Box::pin(self.send(request))
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("client", &self.client).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(path) => write!(f, "Local({})", path.display()),
            Self::Tls { address, .. } => write!(f, "Tls({address})"),
        }
    }
}

/// Makes connections to control, whatever the address of a request says.
#[derive(Clone)]
enum Connector {
    Local(Arc<std::path::Path>),
    Tls { address: Arc<str>, name: ServerName<'static>, tls: TlsConnector },
}

impl Connector {
    async fn connect(self) -> io::Result<TokioIo<Stream>> {
        let stream: Box<dyn Duplex> = match self {
            Self::Local(path) => Box::new(UnixStream::connect(path).await?),
            Self::Tls { address, name, tls } => {
                let stream = TcpStream::connect(&*address).await?;
                stream.set_nodelay(true)?;
                Box::new(tls.connect(name, stream).await?)
            }
        };
        Ok(TokioIo::new(Stream::new(stream)))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}
