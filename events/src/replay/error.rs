//! What can go wrong with a run as a whole; what goes wrong with a send is its outcome.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use policy::replay::schedule::Refusal;

use super::cells::VARIANTS_MAX;

/// A failure of a run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The schedule is none.
    #[error(transparent)]
    Schedule(#[from] Refusal),
    /// There is nothing to send to, or too much.
    #[error("{count} variants: send to at least one and at most {VARIANTS_MAX}")]
    Variants {
        /// How many were asked for.
        count: usize,
    },
    /// A setting is out of its limits.
    #[error("{setting} is {value}: ask for {least} to {most}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What it is.
        value: u64,
        /// The least that it may be.
        least: u64,
        /// The most that it may be.
        most: u64,
    },
    /// The folder has another run's records.
    #[error(
        "{} already has records: resume the run that they are of, or use another folder",
        folder.display()
    )]
    Taken {
        /// The folder.
        folder: PathBuf,
    },
    /// There is nothing to resume.
    #[error("{} has no run to resume: begin it without resuming", folder.display())]
    Nothing {
        /// The folder.
        folder: PathBuf,
    },
    /// What is to be resumed is another run.
    #[error(
        "the run in {} was begun with another {what}: resume it with what it was begun with", folder.display()
    )]
    Changed {
        /// The folder.
        folder: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// Events could not be read.
    #[error("the events could not be read")]
    Events(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The disk or the kernel refused.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file of records could not be written or read.
    #[error("could not {action} the records in {}", path.display())]
    Records {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: Box<ParquetError>,
    },
    /// A file has no records of a run.
    #[error("{} has no records of a run, or another program's: move it away", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A fault of ours ended a part of the run.
    #[error("the run's {part} ended before it should: this is a fault of the program")]
    Broken {
        /// Which part.
        part: &'static str,
    },
}

impl Error {
    /// Makes an error of a failed call, for `map_err`.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(super) fn parquet(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(ParquetError) -> Self {
        let path = path.into();
        move |source| Self::Records { action, path, source: Box::new(source) }
    }

    pub(super) fn damaged(path: &Path) -> Self {
        Self::Damaged { path: path.to_path_buf() }
    }
}
