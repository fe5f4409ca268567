//! One connection: handshake, requests, orderly end.
//!
//! States: handshake, silent (no request yet), serving, draining (after the stop, or when the
//! client's certificate is over), closed.
//! Always true: handshake and silence end by themselves; a broken connection is the client's
//! business and is logged at DEBUG only.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls_pki_types::UnixTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::util::Oneshot;

use super::accept::Stream;
use super::{Limits, Peer, Tls};

/// What all connections of one listener share.
pub(super) struct Server {
    http: auto::Builder<TokioExecutor>,
    tls: Option<Tls>,
    stop: CancellationToken,
    limits: Limits,
}

/// HTTP/2 flow control: large enough that a tensor of some MiB does not wait for round trips.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// A silent HTTP/2 peer is asked whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// The first buffer grows up to this while a request head is read; hyper wants at least 8 KiB.
const BUFFER_BYTES_MIN: usize = 8 << 10;

impl Server {
    pub(super) fn new(limits: Limits, tls: Option<Tls>, stop: CancellationToken) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(limits.header_read_ms))
            .max_buf_size((limits.head_bytes_max as usize).max(BUFFER_BYTES_MIN));
        http.http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(limits.streams_max)
            .max_header_list_size(limits.head_bytes_max)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        Self { http, tls, stop, limits }
    }

    /// Serves one connection to its end.
    pub(super) async fn serve<S, B>(&self, stream: Stream, service: S)
    where
        S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match (stream, &self.tls) {
            (Stream::Unix(stream), _) => self.requests(stream, Peer::Local, service).await,
            (Stream::Tcp(stream, from), None) => {
                self.requests(stream, Peer::Remote(from), service).await;
            }
            (Stream::Tcp(stream, from), Some(tls)) => {
                let limit = Duration::from_millis(self.limits.handshake_ms);
                match tokio::time::timeout(limit, tls.accept(stream, from)).await {
                    Ok(Ok((stream, peer))) => self.requests(stream, peer, service).await,
                    Ok(Err(cause)) => tracing::debug!(%from, %cause, "tls handshake failed"),
                    Err(_) => tracing::debug!(%from, "tls handshake took too long"),
                }
            }
        }
    }

    /// Serves requests over a connection whose other end is known.
    pub(super) async fn requests<I, S, B>(&self, stream: I, peer: Peer, service: S)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let spoke = Arc::new(AtomicBool::new(false));
        let mut over = pin!(over(&peer));
        let service = WithPeer { service, peer: peer.clone(), spoke: Arc::clone(&spoke) };
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(stream), service));
        let silence = Duration::from_millis(self.limits.header_read_ms);
        let mut silence = pin!(tokio::time::sleep(silence));
        let (mut silent, mut draining) = (true, false);
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(cause) = ended {
                        tracing::debug!(%cause, "connection broke");
                    }
                    return;
                }
                () = self.stop.cancelled(), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = over.as_mut(), if !draining => {
                    // The client comes back with its next certificate, where it has one.
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = silence.as_mut(), if silent => {
                    silent = false;
                    if !spoke.load(Ordering::Relaxed) {
                        tracing::debug!("connection closed: no request came");
                        return;
                    }
                }
            }
        }
    }
}

/// Waits until the client's certificate is over; for ever, where it showed none.
async fn over(peer: &Peer) {
    let Peer::Certificate(subject) = peer else { return pending().await };
    let now = Duration::from_secs(UnixTime::now().as_secs());
    let end = Duration::from_millis(subject.expires_at_ms);
    tokio::time::sleep(end.saturating_sub(now)).await;
}

/// The service, and who is at the other end of this connection.
struct WithPeer<S> {
    service: S,
    peer: Peer,
    spoke: Arc<AtomicBool>,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for WithPeer<S>
where
    S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Oneshot<S, Request<Incoming>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.spoke.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(self.peer.clone());
        Oneshot::new(self.service.clone(), request)
    }
}
