//! The proxy that a program's connections go out through, on the listener of the Runtime API.
//!
//! `CONNECT host:port` gives a tunnel, a request for a whole URL of `http` is passed on; both go
//! where the instance's way out leads. Nothing of the Runtime API has such a form.
//!
//! Always true: a connection out ends with the program's own; headers that are meant for a proxy are
//! not passed on. Source: RFC 9110, 7.6 and 9.3.6.

use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::egress::Outlet;
use crate::plan::RUNTIME_API;
use egress::Refused;

/// An answer: ours, or one that is passed on.
pub(super) type Answer = Response<Either<Full<Bytes>, Incoming>>;

/// Headers that are for the next hop only.
const HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

/// What a connection of the program has open outside.
#[derive(Clone, Debug, Default)]
pub(super) struct Outside(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    tunnel: Option<(OnUpgrade, TcpStream)>,
    /// Drives connections to servers.
    driven: JoinSet<()>,
}

/// Whether a request is for the proxy. A client that asks a proxy for everything means the Runtime API
/// itself with its address.
pub(super) fn is_for_proxy(request: &Request<Incoming>) -> bool {
    let authority = request.uri().authority().map(Authority::as_str);
    request.method() == Method::CONNECT || authority.is_some_and(|it| it != RUNTIME_API)
}

impl Outside {
    /// Answers a request that is for the proxy.
    pub(super) async fn answer(&self, outlet: &Outlet, request: Request<Incoming>) -> Answer {
        let Some((host, port)) = target(request.method(), request.uri()) else {
            let message = "the proxy takes CONNECT host:port, and http://host:port/path";
            return told(StatusCode::BAD_REQUEST, message.to_owned());
        };
        let stream = match outlet.connect(&host, port).await {
            Ok(stream) => stream,
            Err(refused @ Refused::Forbidden(_)) => {
                return told(StatusCode::FORBIDDEN, format!("{host}:{port}: {refused}"));
            }
            Err(refused) => {
                return told(StatusCode::BAD_GATEWAY, format!("{host}:{port}: {refused}"));
            }
        };
        if request.method() == Method::CONNECT {
            self.0.lock().tunnel = Some((hyper::upgrade::on(request), stream));
            return told(StatusCode::OK, String::new());
        }
        match self.pass_on(stream, request).await {
            Ok(answer) => answer,
            Err(cause) => told(StatusCode::BAD_GATEWAY, format!("{host}:{port}: {cause}")),
        }
    }

    /// Gives a request to its server, and the answer back as it comes.
    async fn pass_on(
        &self,
        stream: TcpStream,
        mut request: Request<Incoming>,
    ) -> Result<Answer, hyper::Error> {
        let (mut server, connection) = http1::handshake(TokioIo::new(stream)).await?;
        self.0.lock().driven.spawn(async move {
            if let Err(cause) = connection.await {
                tracing::debug!(%cause, "a connection out broke");
            }
        });
        let authority = request.uri().authority().cloned();
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        without_hop(request.headers_mut());
        if let Some(host) = authority.and_then(|it| HeaderValue::try_from(it.as_str()).ok()) {
            request.headers_mut().insert(header::HOST, host);
        }
        let mut answer = server.send_request(request).await?;
        without_hop(answer.headers_mut());
        Ok(answer.map(Either::Right))
    }

    /// Carries bytes to and fro in the tunnel, where one was asked for, until both ends are done.
    pub(super) async fn carry(&self) {
        let Some((upgrade, mut stream)) = self.0.lock().tunnel.take() else { return };
        let upgraded: Upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(cause) => return tracing::debug!(%cause, "a tunnel was not begun"),
        };
        let carried = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut stream).await;
        if let Err(cause) = carried {
            tracing::debug!(%cause, "a tunnel broke");
        }
    }
}

/// The host, without brackets, and the port that a request wants to reach.
fn target(method: &Method, uri: &Uri) -> Option<(String, u16)> {
    let authority: &Authority = uri.authority()?;
    let plain = authority.port_u16().or((uri.scheme() == Some(&Scheme::HTTP)).then_some(80));
    let port = if *method == Method::CONNECT { authority.port_u16() } else { plain };
    let known = *method == Method::CONNECT || uri.scheme() == Some(&Scheme::HTTP);
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    // Nobody's name and password are handed on.
    let anonymous = !authority.as_str().contains('@');
    (known && anonymous).then_some((bare.to_owned(), port?))
}

/// Takes out what is for this hop, and what the connection's header names.
fn without_hop(headers: &mut HeaderMap) {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|value| value.split(',')).map(str::trim);
    let named: Vec<HeaderName> = named.filter_map(|name| name.parse().ok()).collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP {
        headers.remove(name);
    }
}

fn told(status: StatusCode, message: String) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from(message))));
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_wants_to_reach_is_read() {
        let read = |method: Method, uri: &str| target(&method, &uri.parse().unwrap());
        let some = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(read(Method::CONNECT, "example.org:443"), some("example.org", 443));
        assert_eq!(read(Method::CONNECT, "[::1]:443"), some("::1", 443));
        assert_eq!(read(Method::CONNECT, "example.org"), None);
        assert_eq!(read(Method::GET, "http://example.org/x"), some("example.org", 80));
        assert_eq!(read(Method::GET, "http://example.org:81/x"), some("example.org", 81));
        assert_eq!(read(Method::GET, "https://example.org/x"), None);
        assert_eq!(read(Method::GET, "http://me:secret@example.org/x"), None);
        assert_eq!(read(Method::GET, "/2018-06-01/ping"), None);
    }

    #[test]
    fn headers_of_this_hop_stay_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-mine"),
            ("x-mine", "1"),
            ("proxy-authorization", "Basic x"),
            ("te", "trailers"),
            ("accept", "text/plain"),
            ("authorization", "Bearer y"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        without_hop(&mut headers);
        let left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["accept", "authorization"]);
    }
}
