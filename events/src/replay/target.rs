//! Variants: where events are sent, and what is said with every one.
//!
//! Always true: what is shown of a variant has no values of headers, which may be secrets.
//! Absent on purpose: names of hosts, which whoever starts a run has resolved and judged; TLS.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt,
};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// On a port.
    Tcp(SocketAddr),
    /// On a socket of the file system.
    Unix(PathBuf),
}

/// One of those that are compared.
#[derive(Clone, PartialEq, Eq)]
pub struct Variant {
    /// What it is called.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// The `Host` that it is asked as.
    pub host: String,
    /// The path that it is asked by, where a request has none of its own.
    pub path: String,
    /// Headers of every request, such as an `Authorization`.
    pub headers: Vec<(String, String)>,
}

impl fmt::Debug for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Variant")
            .field("name", &self.name)
            .field("address", &self.address)
            .field("host", &self.host)
            .field("path", &self.path)
            .field("headers", &names)
            .finish()
    }
}

impl Address {
    /// Begins to connect; whether it has is told when the socket can be written.
    pub(super) fn connect(&self) -> io::Result<OwnedFd> {
        let family = match self {
            Self::Tcp(SocketAddr::V4(_)) => AddressFamily::INET,
            Self::Tcp(SocketAddr::V6(_)) => AddressFamily::INET6,
            Self::Unix(_) => AddressFamily::UNIX,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        let connected = match self {
            Self::Tcp(address) => {
                sockopt::set_tcp_nodelay(&socket, true)?;
                connect(&socket, address)
            }
            Self::Unix(path) => connect(&socket, &SocketAddrUnix::new(path)?),
        };
        match connected {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(error.into()),
        }
    }
}
