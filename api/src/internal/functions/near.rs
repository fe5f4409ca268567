//! An agent in the gateway's own process: the same is asked and answered as over HTTP, without a
//! connection, and without being written down and read again.

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use types::{ErrorKind, InstanceId, RevisionId};

use super::pieces::Piece;
use super::{Call, Called};
use crate::internal::instances::{Drill, InstanceUsed, InstancesAsked, InstancesUsed};

/// An agent that is asked directly.
pub trait Near: Send + Sync {
    /// Runs a call on an instance of this revision. Whoever drops this no longer waits for the
    /// answer. The payload has no more bytes than [`super::EVENT_BYTES_MAX`].
    ///
    /// # Errors
    ///
    /// [`NotRun`].
    fn call(
        &self,
        revision: RevisionId,
        call: Call,
        payload: Bytes,
    ) -> BoxFuture<'static, Result<Answered, NotRun>>;

    /// Ends an instance at once, as by a crash; returns what it had used once nothing of it is left.
    ///
    /// # Errors
    ///
    /// [`NotRun`], of the kind not found, where no such instance serves here.
    fn drill(
        &self,
        instance: InstanceId,
        drill: Drill,
    ) -> BoxFuture<'static, Result<InstanceUsed, NotRun>>;

    /// What instances use.
    fn used(&self, asked: InstancesAsked) -> BoxFuture<'static, InstancesUsed>;
}

/// How a call went, and what it answered.
#[derive(Debug)]
pub struct Outcome {
    /// How it went.
    pub called: Called,
    /// The handler's answer, or the error's payload.
    pub payload: Bytes,
}

/// What became of a call.
#[derive(Debug)]
pub enum Answered {
    /// It is over.
    Whole(Box<Outcome>),
    /// It answers in pieces; with what is known so far. The last piece says how it went; without
    /// it the answer broke off.
    InPieces(Box<Called>, mpsc::Receiver<Piece>),
}

impl Answered {
    /// What is known of the call by now.
    pub fn called_mut(&mut self) -> &mut Called {
        match self {
            Self::Whole(outcome) => &mut outcome.called,
            Self::InPieces(called, _) => called,
        }
    }
}

/// Why a call was not run. Where it is busy or unavailable, another host may run it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotRun {
    /// Busy, unavailable, or not found.
    pub kind: ErrorKind,
    /// What its caller is told.
    pub reason: String,
    /// When it may be tried again, in milliseconds.
    pub wait_ms: Option<u64>,
}
