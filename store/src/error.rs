//! What can go wrong with the database, and what it means to the caller.
//!
//! Always true: every error says what was attempted; none prints a database URL, which may hold a
//! password; which database it was does not show in the variant.

use std::path::PathBuf;

use types::{Digest, ErrorKind};

/// A cause of any type.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such row.
    #[error("no {what} {id}")]
    NotFound {
        /// Such as `item`.
        what: &'static str,
        /// Its id or name.
        id: String,
    },
    /// There is one with this name already.
    #[error("could not {action}: there is one already")]
    Unique {
        /// What was attempted.
        action: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// A row that this one refers to is missing, or one that is referred to would go.
    #[error("could not {action}: something it refers to is missing, or something refers to it")]
    Reference {
        /// What was attempted.
        action: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The change was made for an older generation than the stored one.
    #[error("{what} {id} has changed since: it is at generation {stored}")]
    Stale {
        /// Such as `item`.
        what: &'static str,
        /// Its id.
        id: String,
        /// The stored generation.
        stored: u64,
    },
    /// The row is not in the state the change supposes.
    #[error("{what} {id} {why}")]
    Conflict {
        /// Such as `publishing`.
        what: &'static str,
        /// Its id.
        id: String,
        /// What stands against it.
        why: &'static str,
    },
    /// The object needs chunks that are being deleted; they have to be sent again.
    #[error("{} of the object's chunks are being deleted", chunks.len())]
    ChunksDeleting {
        /// The chunks.
        chunks: Vec<Digest>,
    },
    /// The database cannot be reached now; the same call may work later.
    #[error("could not {action}: the database cannot be reached")]
    Unavailable {
        /// What was attempted.
        action: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// The database has no room left on its disk.
    #[error("could not {action}: the disk of the database is full")]
    Full {
        /// What was attempted.
        action: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// Others changed the same rows at every try.
    #[error("could not {name}: others were quicker {attempts} times in a row")]
    Contention {
        /// The transaction.
        name: &'static str,
        /// How often it was tried.
        attempts: u32,
    },
    /// A transaction went on after a statement had failed. Nothing of it was stored.
    #[error("the transaction {name:?} went on after a statement had failed")]
    Spoiled {
        /// The transaction.
        name: &'static str,
    },
    /// A value that the database cannot hold.
    #[error("could not {action}: a value cannot be stored")]
    Value {
        /// What was attempted.
        action: &'static str,
        /// Which, and why.
        source: Cause,
    },
    /// A stored value is not what it must be.
    #[error("could not {action}: the stored {column} is not valid")]
    Stored {
        /// What was attempted.
        action: &'static str,
        /// The column.
        column: &'static str,
        /// Why.
        source: Cause,
    },
    /// Any other failure of the database.
    #[error("could not {action}")]
    Database {
        /// What was attempted.
        action: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The database's address is of no kind that is known.
    #[error("a database is named sqlite:///path/file.db or postgres://user@host/name")]
    Address,
    /// A file of the database could not be made or written.
    #[error("could not {action} {}", path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The schema was made by a newer release.
    #[error("the database has migration {found}, and this release knows {known}: use a newer one")]
    Newer {
        /// The newest migration in the database.
        found: u64,
        /// The newest one in this release.
        known: u64,
    },
    /// A migration that was applied is not the one this release knows by its number.
    #[error("migration {number} of the database is not the one this release knows")]
    Migrated {
        /// Its number.
        number: u64,
    },
    /// This database has a tool of its own for that.
    #[error("back up PostgreSQL with pg_dump, and restore it with pg_restore")]
    NotEmbedded,
}

impl Error {
    /// What this means to the caller of the store.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Unique { .. }
            | Self::Reference { .. }
            | Self::Stale { .. }
            | Self::Conflict { .. }
            | Self::ChunksDeleting { .. } => ErrorKind::Conflict,
            Self::Unavailable { .. } | Self::Full { .. } | Self::Contention { .. } => {
                ErrorKind::Unavailable
            }
            Self::Address | Self::NotEmbedded => ErrorKind::BadRequest,
            Self::Spoiled { .. }
            | Self::Value { .. }
            | Self::Stored { .. }
            | Self::Database { .. }
            | Self::File { .. }
            | Self::Newer { .. }
            | Self::Migrated { .. } => ErrorKind::Internal,
        }
    }

    /// What the database said, told apart by what can be done about it.
    pub(crate) fn from_database(action: &'static str, source: sqlx::Error) -> Self {
        match failure_of(&source) {
            Failure::Unique => Self::Unique { action, source },
            Failure::Reference => Self::Reference { action, source },
            Failure::Full => Self::Full { action, source },
            Failure::Gone => Self::Unavailable { action, source },
            Failure::Raced | Failure::Other => Self::Database { action, source },
        }
    }
}

/// Kinds of failure of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A row of this key exists.
    Unique,
    /// A foreign key does not hold.
    Reference,
    /// Another transaction was quicker; the same one may succeed now.
    Raced,
    /// No room on the disk.
    Full,
    /// No connection, or one that broke.
    Gone,
    /// Anything else.
    Other,
}

/// Tells failures apart.
///
/// Source: PostgreSQL manual, appendix A (five characters); SQLite result codes (a number, whose
/// lowest byte is the primary code).
pub(crate) fn failure_of(error: &sqlx::Error) -> Failure {
    let database = match error {
        sqlx::Error::Database(database) => database,
        // A server that goes away within a message shows as a breach of the protocol.
        sqlx::Error::Protocol(_)
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => return Failure::Gone,
        _ => return Failure::Other,
    };
    if database.is_unique_violation() {
        return Failure::Unique;
    }
    if database.is_foreign_key_violation() {
        return Failure::Reference;
    }
    let code = database.code().unwrap_or_default();
    match &*code {
        "40001" | "40P01" => Failure::Raced,
        "53100" => Failure::Full,
        "57P01" | "57P02" | "57P03" | "53300" | "25P03" | "55P03" | "57014" => Failure::Gone,
        code if code.len() == 5 && code.starts_with("08") => Failure::Gone,
        code if code.len() == 5 => Failure::Other,
        number => match number.parse::<u32>().unwrap_or(0) & 0xff {
            5 | 6 => Failure::Gone, // SQLITE_BUSY, SQLITE_LOCKED: another process writes
            13 => Failure::Full,    // SQLITE_FULL
            8 | 10 | 14 => Failure::Gone, // SQLITE_READONLY, SQLITE_IOERR, SQLITE_CANTOPEN
            _ => Failure::Other,
        },
    }
}
