//! Control, as a gateway needs it: a watch over the routes, a place for usage reports and for events,
//! and somewhere to send management calls on to.
//!
//! Always true: the gateway calls; control never does.

mod remote;

use std::error::Error;
use std::fmt;

use api::internal::functions::sources::GivenUp;
use api::internal::functions::{
    EventOutcome, KeepEvents, NewEvent, TakeEvents, TakenEvents, UsageTaken,
};
use api::internal::{ClaimStream, Routes, RunReport, RunTaken, StreamClaimed, UsageReport};
use axum::body::Body;
use http::{Request, Response};
use types::{ErrorKind, EventId, RunId, SourceId, StreamId};
use workflow::BoxFuture;

pub use remote::{Remote, Upstream};

/// Control could not be reached, or refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unreachable {
    /// What happened, for the log.
    pub message: String,
    /// Whether control has read what it was told and will never take it, as it is.
    pub refused: bool,
}

impl Unreachable {
    /// With these words for the log.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), refused: false }
    }

    /// What control has read and will not take, with these words for the log.
    pub fn refusing(message: impl fmt::Display) -> Self {
        Self { refused: true, ..Self::new(message) }
    }

    /// With an error and its causes, on one line for the log.
    pub fn caused(error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            message = format!("{message}: {inner}");
            cause = inner.source();
        }
        Self::new(message)
    }
}

impl From<api::client::Error> for Unreachable {
    fn from(error: api::client::Error) -> Self {
        let is_bad = matches!(error.kind(), ErrorKind::BadRequest | ErrorKind::TooLarge);
        match error {
            api::client::Error::Problem(_) if is_bad => Self::refusing(error),
            error => Self::new(error),
        }
    }
}

/// The control plane, over the network or in the same process.
pub trait Control: Send + Sync + 'static {
    /// Answers with the routes when their generation has passed `after`, or after `wait_ms`.
    fn watch_routes(&self, after: u64, wait_ms: u64) -> BoxFuture<'_, Result<Routes, Unreachable>>;

    /// Takes a usage report, and tells what the day has of it; the same one twice counts once.
    fn report_usage(&self, report: UsageReport) -> BoxFuture<'_, Result<UsageTaken, Unreachable>>;

    /// Has an event kept; the same one twice is kept once.
    fn accept_event(&self, event: NewEvent) -> BoxFuture<'_, Result<(), Unreachable>>;

    /// Gives events that are due, when there are some or the wait is over.
    fn take_events(&self, wanted: TakeEvents) -> BoxFuture<'_, Result<TakenEvents, Unreachable>>;

    /// Keeps events that still run.
    fn keep_events(&self, wanted: KeepEvents) -> BoxFuture<'_, Result<(), Unreachable>>;

    /// Takes what became of an event's run.
    fn settle_event(
        &self,
        id: EventId,
        outcome: EventOutcome,
    ) -> BoxFuture<'_, Result<(), Unreachable>>;

    /// Asks to write a stream.
    fn claim_stream(
        &self,
        id: StreamId,
        said: ClaimStream,
    ) -> BoxFuture<'_, Result<StreamClaimed, Unreachable>>;

    /// Gives events of a source up; the same ones twice are given up once.
    fn give_up(&self, id: SourceId, given_up: GivenUp) -> BoxFuture<'_, Result<(), Unreachable>>;

    /// Tells of a replay.
    fn report_run(
        &self,
        id: RunId,
        report: RunReport,
    ) -> BoxFuture<'_, Result<RunTaken, Unreachable>>;

    /// Answers a management call. Both bodies are streamed.
    fn forward(&self, request: Request<Body>)
    -> BoxFuture<'_, Result<Response<Body>, Unreachable>>;
}
