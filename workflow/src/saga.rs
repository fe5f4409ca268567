//! Sagas: fixed sequences of steps that someone waits for, each of which can be repeated and
//! undone.
//!
//! A saga's state is stored after every step. When a step fails for good, the steps done so far
//! and the failed one are undone in reverse order.
//!
//! Always true: a record moves only as [`machine`] says; two drivers never both store an advance
//! of one generation; a record that cannot be undone is `Stuck`, logged as an error, and tried
//! again slowly. Absent on purpose: what the steps do, and where records are stored.

pub mod backoff;
mod driver;
mod erased;
pub mod laws;
mod log;
pub mod machine;
mod record;

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::chain;
pub use driver::{Activation, Driver, Settings};
pub use erased::Registry;
pub use log::{Log, MemoryLog};
pub use record::{Phase, Problem, Record, begin};

/// A fixed sequence of steps over a typed state.
///
/// A step may run again after it ran wholly or partly: a crash loses its answer, not its effects.
/// So a step draws ids into the state in one step and uses them in the next, and asks whether
/// something is already there before making it. [`laws::uphold`] tests this.
pub trait Saga: Send + Sync + 'static {
    /// What runs of this saga are called in the store. Never changed once released.
    const KIND: &'static str;

    /// What the steps hand on to each other.
    type State: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;

    /// The names of the steps in order; at least one.
    fn steps() -> &'static [&'static str];

    /// How long the saga tries.
    fn limits() -> Limits {
        Limits::default()
    }

    /// Runs one step. `step` is its place in [`Saga::steps`].
    ///
    /// The state is stored after the step, whatever its outcome, unless the process dies first.
    ///
    /// # Errors
    ///
    /// [`Failure::Transient`] when the same step may work later, [`Failure::Permanent`] otherwise.
    fn run(
        &self,
        step: usize,
        state: &mut Self::State,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send;

    /// Undoes one step, which ran wholly, partly or not at all, perhaps more than once.
    ///
    /// # Errors
    ///
    /// As for [`Saga::run`]; after too many the record is `Stuck`.
    fn undo(
        &self,
        step: usize,
        state: &mut Self::State,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Tells the state why its steps are going to be undone, before each undo.
    fn failed(_state: &mut Self::State, _problem: &Problem) {}
}

/// What a step that did not fail came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The step is done; go on with the next.
    Done,
    /// What the step waits for is not there yet; run it again.
    Wait {
        /// When to look again, in milliseconds; a nudge comes sooner.
        retry_after_ms: u64,
    },
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Trying again will fail again.
    #[error("{message}")]
    Permanent {
        /// The stable code people look up.
        code: &'static str,
        /// What happened and what to do.
        message: String,
    },
    /// The same step may work later.
    #[error("{message}")]
    Transient {
        /// What happened.
        message: String,
    },
}

impl Failure {
    /// A failure that trying again will not cure.
    pub fn permanent(code: &'static str, message: impl Into<String>) -> Self {
        Self::Permanent { code, message: message.into() }
    }

    /// A failure that may be over later: a text, or an error with its causes.
    pub fn transient(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Transient { message: chain(&*cause.into()) }
    }
}

/// How long a saga tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How often one step may fail in a row before the saga is undone.
    pub attempts_max: u32,
    /// How often one undo may fail in a row before the saga is stuck.
    pub undo_attempts_max: u32,
    /// How old a saga may grow before it is undone instead of tried or waited for again.
    pub age_ms_max: u64,
    /// How long one run of one step may take; then it is dropped and counts as failed. A longer
    /// wait is an [`Outcome::Wait`].
    pub step_ms_max: u64,
    /// The pause before a second try; it doubles with each further one.
    pub backoff_ms_min: u64,
    /// The longest pause between tries.
    pub backoff_ms_max: u64,
    /// The pause between tries of a stuck undo.
    pub stuck_retry_ms: u64,
}

impl Default for Limits {
    /// Minutes for a hiccup, a day for the whole.
    fn default() -> Self {
        Self {
            attempts_max: 8,
            undo_attempts_max: 12,
            age_ms_max: 24 * 3_600_000,
            step_ms_max: 15 * 60_000,
            backoff_ms_min: 200,
            backoff_ms_max: 60_000,
            stuck_retry_ms: 10 * 60_000,
        }
    }
}

/// What went wrong around the steps.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log of records did not answer.
    #[error("could not {action} saga records")]
    Log {
        /// What was attempted.
        action: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A state that cannot be written as JSON.
    #[error("could not write the state of saga {kind}")]
    State {
        /// The saga.
        kind: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// No record has this id.
    #[error("there is no saga record {id}")]
    NotFound {
        /// The id.
        id: types::SagaId,
    },
    /// The record has ended or is already being undone.
    #[error("saga record {id} is {phase} and can no longer be cancelled")]
    TooLate {
        /// The record.
        id: types::SagaId,
        /// Where it stands.
        phase: Phase,
    },
    /// Others changed the record at every try.
    #[error("saga record {id} changed too often to be cancelled; try again")]
    Contended {
        /// The record.
        id: types::SagaId,
    },
}

impl Error {
    /// A log's error, with what was attempted.
    pub fn log(
        action: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Log { action, source: source.into() }
    }
}
