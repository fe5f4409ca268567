//! Why a request has no answer.

use types::ErrorKind;
use types::frame::Frame;

/// Why a request has no answer, or a model cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What the error means to the caller.
    pub kind: ErrorKind,
    /// What happened and what to do.
    pub message: String,
}

impl Fault {
    /// The caller's mistake.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::BadRequest, message: message.into() }
    }

    /// Our mistake, or the model's.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Internal, message: message.into() }
    }

    pub(crate) fn timeout(limit_us: u64) -> Self {
        let ms = limit_us.div_ceil(1_000);
        let message = format!("no answer within {ms} ms");
        Self { kind: ErrorKind::Timeout, message }
    }

    pub(crate) fn frame(self) -> Frame {
        Frame::Failure { kind: self.kind, message: self.message }
    }
}
