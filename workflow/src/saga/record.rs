//! Records: where one run of a saga stands, as it is stored.
//!
//! Always true: the generation grows by one with every save; `Done` and `Undone` never change
//! again; a record with an owner is being advanced by that driver until `due_at_ms`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use types::SagaId;

use super::{Error, Saga};

/// One run of a saga.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: SagaId,
    /// Which saga.
    pub kind: String,
    /// What it is about: an id or a name that people and queries look for.
    pub subject: String,
    /// The saga's state.
    pub state: serde_json::Value,
    /// The step that runs or is undone next; the number of steps when done.
    pub step: u32,
    /// Where it stands.
    pub phase: Phase,
    /// How often the current step, or its undo, has failed in a row.
    pub attempts: u32,
    /// When it began, in Unix milliseconds.
    pub started_at_ms: u64,
    /// When it is next looked at, in Unix milliseconds; while it has an owner, when that owner's
    /// claim ends.
    pub due_at_ms: u64,
    /// The driver that is advancing it now.
    pub owner: Option<String>,
    /// Why it is or was undone; while going forward, why the last try failed.
    pub error: Option<Problem>,
    /// Counts saves.
    pub generation: u64,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Its steps are being run.
    Forward,
    /// Its steps are being undone.
    Undoing,
    /// Every step is done.
    Done,
    /// Every step is undone.
    Undone,
    /// A step could not be undone. A person must look; it is tried again slowly.
    Stuck,
}

/// Why a saga is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The stable code people look up.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
    /// The step that failed.
    pub step: String,
    /// Why the last undo failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.message)
    }
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 5] =
        [Self::Forward, Self::Undoing, Self::Done, Self::Undone, Self::Stuck];

    /// The word for it, as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Undoing => "undoing",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Stuck => "stuck",
        }
    }

    /// Whether nothing will change any more.
    pub const fn ended(self) -> bool {
        matches!(self, Self::Done | Self::Undone)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no phase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a phase of a saga")]
pub struct UnknownPhase {
    /// What was given.
    pub text: String,
}

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, UnknownPhase> {
        let found = Self::ALL.into_iter().find(|phase| phase.as_str() == text);
        found.ok_or_else(|| UnknownPhase { text: text.to_owned() })
    }
}

/// The first record of a new run of saga `S`, due at once. The caller stores it in the
/// transaction that makes what the saga is about, then wakes the driver.
///
/// # Errors
///
/// [`Error::State`] when the state cannot be written as JSON.
pub fn begin<S: Saga>(
    id: SagaId,
    subject: impl Into<String>,
    state: &S::State,
    now_ms: u64,
) -> Result<Record, Error> {
    let state =
        serde_json::to_value(state).map_err(|source| Error::State { kind: S::KIND, source })?;
    Ok(Record {
        id,
        kind: S::KIND.to_owned(),
        subject: subject.into(),
        state,
        step: 0,
        phase: Phase::Forward,
        attempts: 0,
        started_at_ms: now_ms,
        due_at_ms: now_ms,
        owner: None,
        error: None,
        generation: 0,
    })
}

impl Record {
    /// The typed state.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when the stored state is not one of saga `S`.
    pub fn state<S: Saga>(&self) -> Result<S::State, Error> {
        S::State::deserialize(&self.state).map_err(|source| Error::State { kind: S::KIND, source })
    }
}
