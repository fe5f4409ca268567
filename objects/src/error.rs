//! What can go wrong with objects, and what each means to a caller.
//!
//! Always true: an error names what was attempted and on what. The causes of a kind are told
//! apart here, once: a full disk and a store that cannot be reached pass by themselves; a missing
//! or altered blob does not.

use std::io;

use types::{AccountId, ErrorKind, ObjectId};

use crate::blobs::Key;
use crate::chunk::PlainHash;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A failure of this room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A blob that should be there is not.
    #[error("{what} is missing")]
    Missing {
        /// Which blob.
        what: Key,
    },
    /// A blob is not the one that was sealed.
    #[error("{what} does not match its seal")]
    Corrupt {
        /// Which blob.
        what: Key,
    },
    /// The disk or its quota is full. Passes when room is made.
    #[error("no room left to {action} {what}")]
    Full {
        /// What was attempted, a verb.
        action: &'static str,
        /// On what.
        what: String,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The store of blobs does not answer. Passes when it does.
    #[error("the object store cannot be reached to {action} {what}")]
    Unreachable {
        /// What was attempted, a verb.
        action: &'static str,
        /// On what.
        what: String,
        /// The client's word.
        #[source]
        source: Cause,
    },
    /// The store of blobs answers, and refuses.
    #[error("the object store refuses to {action} {what}; check its bucket, key and rights")]
    Refused {
        /// What was attempted, a verb.
        action: &'static str,
        /// On what.
        what: String,
        /// The client's word.
        #[source]
        source: Cause,
    },
    /// The file system failed in another way.
    #[error("could not {action} {what}")]
    Io {
        /// What was attempted, a verb.
        action: &'static str,
        /// On what.
        what: String,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The sender's stream broke off.
    #[error("the body broke off after {bytes} bytes")]
    Body {
        /// How many bytes had come.
        bytes: u64,
        /// The stream's word.
        #[source]
        source: io::Error,
    },
    /// An object was committed of chunks that are not there.
    #[error("{} of the chunks were not received; send them, then commit again", missing.len())]
    NotSent {
        /// Which, each once.
        missing: Vec<PlainHash>,
    },
    /// A chunk or an object is beyond its limit.
    #[error("{what} is above the limit of {limit}")]
    TooLarge {
        /// What, with its unit.
        what: &'static str,
        /// The limit in that unit.
        limit: u64,
    },
    /// A chunk of no bytes.
    #[error("a chunk must have at least one byte")]
    EmptyChunk,
    /// The object exists with other content. Objects never change.
    #[error("{object} exists with other content")]
    Exists {
        /// Which object.
        object: ObjectId,
    },
    /// A range outside the object.
    #[error("bytes {start} to {end} are outside an object of {bytes} bytes")]
    Range {
        /// First byte wanted.
        start: u64,
        /// The byte after the last wanted.
        end: u64,
        /// How many the object has.
        bytes: u64,
    },
    /// Sealed by a master key that this vault does not hold.
    #[error("sealed by master key {id}, which is not at hand; add it to the key file")]
    UnknownMasterKey {
        /// The short public name of that key.
        id: String,
    },
    /// Sealed by a version of the account's key that was retired.
    #[error("version {version} of the key of {account} is not at hand")]
    UnknownKeyVersion {
        /// Whose key.
        account: AccountId,
        /// Which version.
        version: u32,
    },
    /// A sealed secret does not open: it was altered, or belongs elsewhere.
    #[error("the sealed {what} does not open")]
    Unsealable {
        /// What it is.
        what: String,
    },
    /// A setting cannot be used.
    #[error("{what}")]
    Settings {
        /// What is wrong and what to do.
        what: String,
    },
}

impl Error {
    /// What this means to a caller. A blob missing or altered below us is our fault.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } | Self::Corrupt { .. } | Self::Io { .. } => ErrorKind::Internal,
            Self::Refused { .. } | Self::Settings { .. } => ErrorKind::Internal,
            Self::UnknownMasterKey { .. } | Self::UnknownKeyVersion { .. } => ErrorKind::Internal,
            Self::Unsealable { .. } => ErrorKind::Internal,
            Self::Full { .. } | Self::Unreachable { .. } => ErrorKind::Unavailable,
            Self::Body { .. } | Self::EmptyChunk | Self::Range { .. } => ErrorKind::BadRequest,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::NotSent { .. } | Self::Exists { .. } => ErrorKind::Conflict,
        }
    }

    /// The word clients match on. Never changed once released.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "storage_full",
            Self::Missing { .. } | Self::Corrupt { .. } => "object_corrupt",
            Self::Unreachable { .. } => "storage_unavailable",
            Self::Body { .. } => "object_incomplete",
            Self::EmptyChunk => "bad_request",
            Self::Range { .. } => "range_not_satisfiable",
            Self::TooLarge { .. } => "too_large",
            Self::NotSent { .. } => "missing_chunks",
            Self::Exists { .. } => "conflict",
            _ => "internal",
        }
    }

    /// The error for a failed call of the file system.
    pub(crate) fn io(action: &'static str, what: &impl ToString, source: io::Error) -> Self {
        let what = what.to_string();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { action, what, source }
            }
            _ => Self::Io { action, what, source },
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::BadRequest => io::ErrorKind::InvalidInput,
            ErrorKind::Unavailable => io::ErrorKind::HostUnreachable,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_from_other_failures() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let full = Error::io("write", &"chunk 1", full);
        assert_eq!((full.code(), full.kind()), ("storage_full", ErrorKind::Unavailable));
        assert_eq!(full.to_string(), "no room left to write chunk 1");

        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let denied = Error::io("write", &"chunk 1", denied);
        assert_eq!((denied.code(), denied.kind()), ("internal", ErrorKind::Internal));
    }
}
