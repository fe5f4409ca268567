//! Kinds: of items, and of errors.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an item is.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    Algorithm,
    Dataset,
    Model,
    Pipeline,
    Notebook,
}

impl ItemKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Algorithm, Self::Dataset, Self::Model, Self::Pipeline, Self::Notebook];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Algorithm => "algorithm",
            Self::Dataset => "dataset",
            Self::Model => "model",
            Self::Pipeline => "pipeline",
            Self::Notebook => "notebook",
        }
    }
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no kind of item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a kind: use algorithm, dataset, model, pipeline or notebook")]
pub struct UnknownKind {
    /// What was given, cut to 80 characters.
    pub text: String,
}

impl FromStr for ItemKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| UnknownKind { text: text.chars().take(80).collect() })
    }
}

/// What an error means to the caller. One function in each server turns it into a status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ErrorKind {
    /// The request is wrong; the same request will be wrong again.
    BadRequest = 1,
    /// The caller did not say who it is, or the proof is not valid.
    Unauthenticated = 2,
    /// The caller may not do this.
    Forbidden = 3,
    /// The thing is not there, or the caller may not know that it is.
    NotFound = 4,
    /// The thing is not in the state the request supposes.
    Conflict = 5,
    /// The request is larger than its limit.
    TooLarge = 6,
    /// The caller asks too often, or there is no room now.
    Busy = 7,
    /// The time allowed for the request has passed.
    Timeout = 8,
    /// What is needed to answer cannot be reached now; the same request may work later.
    Unavailable = 9,
    /// The fault is ours.
    Internal = 10,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::BadRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::Busy,
        Self::Timeout,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The kind with this number in the worker's wire frame.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}
