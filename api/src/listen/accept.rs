//! The socket that is listened on.
//!
//! Always true: a Unix socket is readable by its owner only, a stale one is replaced, a living one
//! never, and the file goes with the listener.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::{Address, Error, Limits, SOCKET_PATH_BYTES_MAX};

/// A socket that clients may connect to from the moment it is bound.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    limits: Limits,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// An accepted connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    /// Binds an address, with the default [`Limits`].
    pub async fn bind(address: &Address) -> Result<Self, Error> {
        let refused = |source| Error::Bind { address: address.clone(), source };
        let (socket, address) = match address {
            Address::Tcp(wanted) => {
                let socket = TcpListener::bind(wanted).await.map_err(refused)?;
                let actual = socket.local_addr().map_err(refused)?;
                (Socket::Tcp(socket), Address::Tcp(actual))
            }
            Address::Unix(path) => {
                make_way(path).await?;
                let socket = UnixListener::bind(path).map_err(refused)?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(refused)?;
                (Socket::Unix(socket), address.clone())
            }
        };
        Ok(Self { socket, address, limits: Limits::default() })
    }

    /// The same listener with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        // The file of a Unix socket goes with the listener, so no field is moved out of it.
        let mut listener = self;
        listener.limits = limits;
        listener
    }

    /// Where it listens, with the port that was taken.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The port that was taken; none for a Unix socket.
    pub fn port(&self) -> Option<u16> {
        match &self.address {
            Address::Tcp(address) => Some(address.port()),
            Address::Unix(_) => None,
        }
    }

    /// What it allows each client.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, from) = socket.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream, from))
            }
            Socket::Unix(socket) => Ok(Stream::Unix(socket.accept().await?.0)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address {
            // Nothing is lost when it stays: the next start replaces it.
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes a socket that nobody listens on any more.
async fn make_way(path: &Path) -> Result<(), Error> {
    let bytes = path.as_os_str().as_bytes().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        return Err(Error::PathTooLong { path: path.to_owned(), bytes });
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(Error::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
        Err(_) => return Ok(()),
    }
    if UnixStream::connect(path).await.is_ok() {
        let address = Address::Unix(path.to_owned());
        return Err(Error::Bind { address, source: io::ErrorKind::AddrInUse.into() });
    }
    fs::remove_file(path).map_err(|source| Error::File {
        action: "remove the stale socket",
        path: path.to_owned(),
        source,
    })
}
