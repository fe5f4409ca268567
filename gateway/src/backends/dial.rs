//! Reaching an instance: its Unix socket where it is on this host, else its host's agent over TCP
//! with mutual TLS, which splices the connection to that socket.
//!
//! Always true: an agent is told the instance and its generation before the first frame, so a
//! restarted instance is never mistaken for the one that was meant.

use std::io;

use api::internal::Backend;
use rustls_pki_types::ServerName;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// Both directions of a connection over anything but a Unix socket.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection to an instance.
pub(super) enum Wire {
    /// On this host.
    Local(OwnedReadHalf, OwnedWriteHalf),
    /// Through an agent.
    Remote(ReadHalf<Box<dyn Duplex>>, WriteHalf<Box<dyn Duplex>>),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The socket or the address does not answer.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It took too long.
    #[error("no connection within {0} ms")]
    Slow(u64),
    /// Neither a local socket nor a way to another host.
    #[error("its socket is not on this host, and {0}")]
    NoWay(&'static str),
}

/// What an agent is told first: two little-endian bytes of length, then this as JSON.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Preamble<'a> {
    /// An instance is wanted.
    Instance { instance: &'a types::InstanceId, generation: u64 },
    /// Its functions are.
    Functions { functions: Empty },
}

/// Nothing more is said.
#[derive(Serialize)]
pub(crate) struct Empty {}

/// Connects to an instance.
pub(super) async fn connect(
    backend: &Backend,
    tls: Option<&TlsConnector>,
) -> Result<Wire, Failure> {
    match UnixStream::connect(&backend.socket).await {
        Ok(stream) => {
            let (read, write) = stream.into_split();
            return Ok(Wire::Local(read, write));
        }
        Err(error) if backend.data_address.is_none() => return Err(error.into()),
        Err(_) => {}
    }
    let missing = "its host gives no data address";
    let address = backend.data_address.as_deref().ok_or(Failure::NoWay(missing))?;
    let missing = "this gateway has no certificate";
    let tls = tls.ok_or(Failure::NoWay(missing))?;
    let Backend { instance, generation, .. } = backend;
    let told = Preamble::Instance { instance, generation: *generation };
    let (read, write) = tokio::io::split(through_agent(address, tls, &told).await?);
    Ok(Wire::Remote(read, write))
}

/// Connects to an agent's data port, and says what is wanted.
pub(crate) async fn through_agent(
    address: &str,
    tls: &TlsConnector,
    wanted: &Preamble<'_>,
) -> io::Result<Box<dyn Duplex>> {
    let json = serde_json::to_vec(wanted)?;
    let length = u16::try_from(json.len()).map_err(io::Error::other)?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // Agents prove themselves by the cloud's own authority, not by where they are.
    let name = ServerName::try_from("agent.freehold.internal").map_err(io::Error::other)?;
    let mut stream = tls.connect(name, stream).await?;
    stream.write_all(&[&length.to_le_bytes(), json.as_slice()].concat()).await?;
    stream.flush().await?;
    Ok(Box::new(stream))
}
