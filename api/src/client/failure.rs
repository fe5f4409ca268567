//! What can go wrong with a call.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use types::{Digest, ErrorKind};

use crate::problem::Problem;
use crate::{errors, identity};

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cloud answered that it could not or would not.
    #[error("{}", told(.0))]
    Problem(Box<Problem>),
    #[error("could not reach {address}: {hint}")]
    Unreachable { address: String, hint: String, source: reqwest::Error },
    #[error(
        "the connection to {address} broke before the whole answer was here: ask again; if it \
         stays so, look at the server's log"
    )]
    Broken { address: String, source: reqwest::Error },
    #[error(
        "{address} did not answer within {wait_ms} ms: ask again, or look at what it is busy with"
    )]
    Silent { address: String, wait_ms: u64 },
    #[error(
        "{address} answered in words this program does not know: is it a Freehold cloud, of the \
         same release?"
    )]
    Answer { address: String, source: serde_json::Error },
    #[error("{address} sent more than {bytes_max} bytes where no answer has so many")]
    AnswerTooLarge { address: String, bytes_max: usize },
    #[error("{what}")]
    Settings { what: String },
    #[error("could not {action} {path:?}")]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{path:?} changed while it was being sent: send it again when nobody writes to it")]
    Changed { path: PathBuf },
    #[error("{path:?} is larger than an object can be: split it")]
    TooLarge { path: PathBuf },
    #[error("what arrived has SHA-256 {actual} and not {wanted}: fetch it again")]
    Damaged { wanted: Digest, actual: Digest },
    #[error("the certificate or its key cannot be used")]
    Identity(#[from] identity::Error),
}

fn told(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{problem}: {hint}"),
        None => problem.to_string(),
    }
}

impl Error {
    /// The stable code; of our own failures the nearest.
    pub fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => &problem.code,
            Self::Unreachable { .. } | Self::Broken { .. } => "unavailable",
            Self::Silent { .. } => "timeout",
            Self::Answer { .. } | Self::AnswerTooLarge { .. } => "internal",
            Self::Settings { .. } | Self::File { .. } | Self::Identity(_) => "bad_request",
            Self::Changed { .. } => "object_incomplete",
            Self::TooLarge { .. } => "too_large",
            Self::Damaged { .. } => "object_corrupt",
        }
    }

    /// What it means to whoever called.
    pub fn kind(&self) -> ErrorKind {
        errors::find(self.code()).map_or(ErrorKind::Internal, |known| known.kind)
    }

    /// The HTTP status, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            _ => None,
        }
    }

    /// Whether the same call may well work a little later.
    pub fn passes(&self) -> bool {
        use ErrorKind::{Busy, Timeout, Unavailable};
        matches!(self.kind(), Busy | Timeout | Unavailable)
            || self.code() == "idempotency_in_progress"
    }
}

/// Names the address and the cure of a call that did not come through.
pub(super) fn transport(address: &super::Address, source: reqwest::Error) -> Error {
    let address = address.to_string();
    if !source.is_connect() {
        return Error::Broken { address, source };
    }
    let cause = chain(&source).to_lowercase();
    let has = |word: &str| cause.contains(word);
    let hint = if has("certificate") || has("tls") || has("invalid peer") {
        "its certificate is not trusted; name the authority with --authority FILE or its fingerprint, \
         and compare the clocks"
    } else if has("refused") {
        "nothing listens there; start it with `freehold up`, or name another address"
    } else if has("no such file") {
        "the socket is not there; start the cloud on this machine, or name another data folder"
    } else if has("permission denied") {
        "the socket belongs to another user; run this as the user the cloud runs as"
    } else if has("dns") || has("resolve") || has("lookup") {
        "its name is not known; check the spelling and the network"
    } else {
        "check the address, the network and whether the cloud runs"
    };
    Error::Unreachable { address, hint: hint.to_owned(), source }
}

/// An error and its causes on one line.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        line = format!("{line}: {inner}");
        cause = inner.source();
    }
    line
}
