//! What can go wrong while an instance is started.

use std::io;
use std::path::PathBuf;

use types::{ErrorKind, InstanceId};

/// Why an instance was not started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, folder, socket or process could not be made.
    #[error("could not {action}")]
    Io {
        /// What was attempted, and on what.
        action: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The machine does not offer what this work cannot do without.
    #[error("this machine cannot hold {work}: it lacks a {feature} ({why}); {cure}")]
    Refused {
        /// What was to be started.
        work: &'static str,
        /// The feature that is missing, as in [`crate::features`].
        feature: &'static str,
        /// Why the machine does not offer it.
        why: String,
        /// What to do.
        cure: &'static str,
    },
    /// A step inside the new process failed.
    #[error("the sandbox could not be made: {message}")]
    Sandbox {
        /// The step and its cause, as the sandbox told them.
        message: String,
    },
    /// The sandbox did not become ready.
    #[error("the sandbox was not ready within {limit_ms} ms")]
    Slow {
        /// The time allowed.
        limit_ms: u64,
    },
    /// The start speaks of an older wanted state than the one that runs.
    #[error("instance {id} runs at generation {held}; {asked} is older")]
    Stale {
        /// The instance.
        id: InstanceId,
        /// The generation that runs.
        held: u64,
        /// The generation asked for.
        asked: u64,
    },
    /// A Unix socket's path has at most 107 bytes.
    #[error("the socket path {path:?} is too long; choose a data folder with a shorter path")]
    SocketPath {
        /// The path.
        path: PathBuf,
    },
    /// An OCI runtime is missing, or cannot do this.
    #[error("the sandbox {runtime:?} cannot be used: {why}")]
    Runtime {
        /// The runtime, by its name or path.
        runtime: PathBuf,
        /// Why not, and what to do.
        why: String,
    },
    /// A part of the start makes no sense.
    #[error("the start is not valid: {message}")]
    Invalid {
        /// What is wrong, and what would be right.
        message: String,
    },
}

impl Error {
    /// What the error means to the caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::Sandbox { .. } | Self::SocketPath { .. } => ErrorKind::Internal,
            Self::Refused { .. } | Self::Runtime { .. } => ErrorKind::Unavailable,
            Self::Slow { .. } => ErrorKind::Timeout,
            Self::Stale { .. } => ErrorKind::Conflict,
            Self::Invalid { .. } => ErrorKind::BadRequest,
        }
    }

    /// Makes an [`Error::Io`] for `map_err`.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
