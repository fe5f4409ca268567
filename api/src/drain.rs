//! Bodies that nobody read: refused requests are read to their end before they are answered.
//!
//! An HTTP/1.1 connection on which a body was left unread has to be closed with the answer: then
//! whoever is still sending may never see it, and whoever sends the next request on it at that
//! moment is told that the server is gone.
//!
//! Always true: no more than the limit is read for nothing, and nobody is waited for longer than
//! [`WAIT`]; past either the connection is given up.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// Most that [`to_end`] reads for nothing: above any request but those that carry data.
const BYTES_MAX: u64 = 256 << 10;
/// Longest wait for a client that is still sending.
const WAIT: Duration = Duration::from_secs(1);

/// Answers, then reads what the handler left of the body.
pub async fn to_end(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let (body, rest) = Rest::of(body);
    let response = next.run(Request::from_parts(parts, body)).await;
    // What is given up is dropped, and the server closes the connection.
    rest.read(BYTES_MAX).await;
    response
}

/// What a handler leaves of a body.
#[derive(Clone)]
pub struct Rest(Arc<Mutex<Body>>);

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rest")
    }
}

impl Rest {
    /// The body for the handler, and what it will leave of it.
    pub fn of(body: Body) -> (Body, Self) {
        let rest = Self(Arc::new(Mutex::new(body)));
        (Body::new(rest.clone()), rest)
    }

    /// Reads what is left; false where it is given up: it is longer than `bytes_max`, or whoever
    /// sends it is too slow.
    pub async fn read(mut self, bytes_max: u64) -> bool {
        let read = async {
            let mut bytes = 0;
            while !self.is_end_stream() {
                if bytes > bytes_max || self.size_hint().lower() > bytes_max {
                    return false;
                }
                let Some(frame) = self.frame().await else { return true };
                let Ok(frame) = frame else { return false };
                bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            true
        };
        tokio::time::timeout(WAIT, read).await.unwrap_or(false)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Body) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl http_body::Body for Rest {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::post;
    use futures::stream;
    use http::StatusCode;
    use tower::ServiceExt as _;

    use super::*;

    /// A body in pieces of 1 KiB; says how many of them were taken.
    fn body(pieces: usize) -> (Body, Arc<Mutex<usize>>) {
        let taken = Arc::new(Mutex::new(0));
        let count = Arc::clone(&taken);
        let pieces = (0..pieces).map(move |_| {
            *count.lock().unwrap() += 1;
            Ok::<_, std::io::Error>(Bytes::from(vec![0; 1 << 10]))
        });
        (Body::from_stream(stream::iter(pieces)), taken)
    }

    async fn taken(pieces: usize) -> usize {
        let refuse = || async { StatusCode::UNAUTHORIZED };
        let router = Router::new().route("/", post(refuse)).layer(from_fn(to_end));
        let (body, taken) = body(pieces);
        let response = router.oneshot(Request::post("/").body(body).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        *taken.lock().unwrap()
    }

    #[tokio::test]
    async fn what_was_refused_is_read_to_its_end_unless_it_is_long() {
        assert_eq!(taken(100).await, 100);
        assert_eq!(taken(10_000).await, 257);
    }

    #[tokio::test]
    async fn nobody_is_waited_for_for_long() {
        let refuse = || async { StatusCode::UNAUTHORIZED };
        let router = Router::new().route("/", post(refuse)).layer(from_fn(to_end));
        let silent = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let response = router.oneshot(Request::post("/").body(silent).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
}
