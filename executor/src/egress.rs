//! The way out: how a function's program connects to places outside, where it may.
//!
//! The program has a loopback and nothing else. It asks for a connection as one asks a proxy over
//! HTTP, at the address of its Runtime API; whoever has started it connects, or says why not.
//!
//! Always true: without a way out nothing is connected to; each attempt is a line in the instance's
//! log. Absent on purpose: which places are allowed, and resolving their names.

use std::fmt;
use std::sync::Arc;

use egress::Refused;
use tokio::net::TcpStream;
use workflow::{BoxFuture, Clock};

use crate::logs::{Logs, Stream};

/// Connects for a program.
pub trait Dial: Send + Sync + fmt::Debug {
    /// Connects to a port of a host: a name, or an address without brackets.
    ///
    /// # Errors
    ///
    /// [`Refused`], with what the program is told.
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<TcpStream, Refused>>;
}

/// A function's way out. Two are equal where they are the same.
#[derive(Clone, Debug)]
pub struct WayOut(Arc<dyn Dial>);

impl WayOut {
    /// The way out through this.
    pub fn new(dial: Arc<dyn Dial>) -> Self {
        Self(dial)
    }
}

impl PartialEq for WayOut {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for WayOut {}

/// An instance's way out, and where its attempts are told of.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    pub(crate) way: Option<WayOut>,
    pub(crate) logs: Logs,
    pub(crate) clock: Clock,
}

impl Outlet {
    /// Connects, or says why not, and writes it into the log.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Refused> {
        let none = || Refused::Forbidden("this function has no egress".to_owned());
        let dialled = match &self.way {
            Some(way) => way.0.dial(host, port).await,
            None => Err(none()),
        };
        let told = match &dialled {
            Ok(stream) => {
                let to = stream.peer_addr().map_or_else(|_| "?".to_owned(), |to| to.to_string());
                format!("EGRESS {host}:{port} connected to {to}")
            }
            Err(refused) => format!("EGRESS {host}:{port} {refused}"),
        };
        self.logs.push(vec![told], Stream::Platform, self.clock.now_ms());
        dialled
    }
}
