//! What can go wrong with a stream.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parquet::errors::ParquetError;

/// A failure of a stream: of its log, its segments or what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A Parquet file cannot be read or written.
    #[error("could not {action} {}", path.display())]
    Parquet {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: ParquetError,
    },
    /// What lies in a stream's folder is not what belongs there.
    #[error(
        "{} cannot be read: {problem}; restore it from a backup, or use the program that wrote it",
        path.display()
    )]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A stream's folder is open already.
    #[error("{} is held by another program, or by this one: close it there first", folder.display())]
    Held {
        /// The folder.
        folder: PathBuf,
    },
    /// Events that were acknowledged cannot be read any more, or are not there.
    #[error(
        "{} is damaged at byte {offset}, among events that were acknowledged: restore the file from a \
         backup, or move it away, and files of the log with lower numbers, to go on without their \
         events", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it the first unreadable event begins, or the first that is missing would.
        offset: u64,
    },
    /// What is encrypted cannot be read, or what is to be encrypted is not.
    #[error(
        "{} cannot be read: {problem}; nothing was changed: give the key that it was written with, or \
         restore the file from a backup", path.display()
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// An event that is not one.
    #[error("event {position} of {count}: {message}")]
    Invalid {
        /// Its place among those that came with it, from 1.
        position: usize,
        /// How many came.
        count: usize,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A selection that cannot be meant.
    #[error("the events cannot be selected: {message}")]
    Selection {
        /// What is wrong, and what to do.
        message: String,
    },
    /// A file that cannot be taken.
    #[error("the file cannot be taken: {message}")]
    Import {
        /// What is wrong, and what to do.
        message: String,
    },
    /// What is to be imported cannot be read.
    #[error("the file could not be read to its end")]
    Input(#[source] io::Error),
    /// What is exported cannot be written.
    #[error("the events could not be written to where they are to go")]
    Output(#[source] io::Error),
    /// Labels that cannot be kept.
    #[error("{message}")]
    Label {
        /// What is wrong, and what to do.
        message: String,
    },
    /// The disk would not say that earlier events are safe, so nothing can be promised of later ones.
    #[error(
        "the log of this stream could not be written safely, and takes nothing until it is opened again"
    )]
    Broken,
    /// The stream is being closed.
    #[error("the stream is closed")]
    Closed,
    /// They could not be kept, and none of them is.
    #[error("the events were not kept")]
    NotKept {
        /// Why, for all that were to be written together.
        source: Arc<Error>,
    },
}

impl Error {
    /// Makes an error of a failed call, for `map_err`.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Makes an error of a Parquet file, for `map_err`.
    pub(crate) fn parquet(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(ParquetError) -> Self {
        let path = path.into();
        move |source| Self::Parquet { action, path, source }
    }
}
