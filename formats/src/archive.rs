//! Packages: a folder as one POSIX tar, packed the same way every time and read with suspicion.
//!
//! A package holds regular files and folders only, sorted by path, modes 0644 and 0755, no owner
//! and no times, so equal folders have equal bytes. Reading takes any plain tar (POSIX or GNU) that
//! keeps to the [`Limits`] and to the rule of [`check_path`].
//!
//! Always true: memory is bounded by the limits, not by the archive; extraction writes only below
//! its folder and follows no link; `check` and `extract` take the same archives.
//! Absent on purpose: compression but for zip files (objects are deduplicated plain), links, devices, sparse files.

mod extract;
mod pack;
mod path;
mod read;
mod zip;

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use types::{Digest, ErrorKind};

pub use self::pack::{SKIPPED, pack};
pub use self::path::check_path;

/// The code of a package that breaks a rule.
pub const CODE_INVALID: &str = "invalid_package";
/// The code of a package that passes a limit.
pub const CODE_LIMIT: &str = "too_large";
/// The code of a file or stream that could not be read or written.
pub const CODE_IO: &str = "internal";

/// What a zip file that holds something begins with.
const ZIP_MAGIC: [u8; 4] = [b'P', b'K', 3, 4];

/// What an archive may hold. Every limit guards memory, disk or time of the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most files and folders, folders that are only implied by a path included.
    pub entries_max: usize,
    /// Largest file, in bytes.
    pub entry_bytes_max: u64,
    /// Largest sum of files, in bytes.
    pub total_bytes_max: u64,
    /// Longest path, in bytes.
    pub path_bytes_max: usize,
    /// Most components of a path.
    pub depth_max: usize,
}

impl Default for Limits {
    /// Room for the largest models and data sets that one machine serves; at most some 64 MiB of
    /// memory for paths.
    fn default() -> Self {
        Self {
            entries_max: 65_536,
            entry_bytes_max: 16 << 30,
            total_bytes_max: 32 << 30,
            path_bytes_max: 512,
            depth_max: 32,
        }
    }
}

/// One file of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its path below the package's folder, with `/` between components.
    pub path: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Whether it may be run.
    pub executable: bool,
    /// SHA-256 of its content.
    pub sha256: Digest,
}

/// What is wrong with one entry, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The path starts at the root of a disk.
    #[error("the path is absolute; pack paths relative to the package's folder")]
    Absolute,
    /// The path has a `..`.
    #[error("the path leaves the package by \"..\"; move the file into the folder and pack again")]
    Escape,
    /// The path has an empty component or a `.`.
    #[error("the path has an empty or \".\" component; write it plainly, like a/b.txt")]
    Component,
    /// The path has a backslash.
    #[error("the path has a backslash; use / between folders")]
    Backslash,
    /// The path has a character that cannot be seen.
    #[error("the path has the invisible character U+{code:04X}; rename the file")]
    Invisible {
        /// The character.
        code: u32,
    },
    /// The path is not text.
    #[error("the path is not UTF-8; rename the file")]
    NotText,
    /// The path is too long.
    #[error("the path has {bytes} bytes, above the limit of {bytes_max}; shorten it")]
    PathTooLong {
        /// Bytes in the path.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The path has too many components.
    #[error("the path is more than {depth_max} folders deep; flatten the folder")]
    TooDeep {
        /// The limit.
        depth_max: usize,
    },
    /// The path was there before.
    #[error("the path occurs twice; pack each file once")]
    Duplicate,
    /// Another path differs only in case.
    #[error("the path differs only in case from {other:?}; rename one of them")]
    Case {
        /// The earlier path.
        other: String,
    },
    /// A file stands where this path needs a folder.
    #[error("{file:?} is a file, so nothing can be below it; rename one of them")]
    BelowFile {
        /// The file.
        file: String,
    },
    /// A symbolic link.
    #[error("a symbolic link; put the file it points to in its place")]
    SymbolicLink,
    /// A hard link.
    #[error(
        "a hard link; pack each file as itself (GNU tar: --hard-dereference), or use freehold \
        publish"
    )]
    HardLink,
    /// A device, pipe or socket.
    #[error("a device, pipe or socket; remove it, only files and folders go in a package")]
    Device,
    /// Another kind of entry.
    #[error("an entry of kind {kind:?}; pack plain files and folders, without sparse files")]
    Kind {
        /// The kind byte in the header, as a character.
        kind: char,
    },
    /// The file is too large.
    #[error("the file has {bytes} bytes, above the limit of {bytes_max}; split it")]
    TooLarge {
        /// Bytes the header declares.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The files together are too large.
    #[error("with this file the package has more than {bytes_max} bytes; split the package")]
    TotalTooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// There are too many entries.
    #[error(
        "the package has more than {entries_max} files and folders; pack many small files as one"
    )]
    TooMany {
        /// The limit.
        entries_max: usize,
    },
    /// The header is damaged.
    #[error("the {field} in the header is damaged; pack again")]
    Header {
        /// The field of the header.
        field: &'static str,
    },
    /// The file was not the same size to the end.
    #[error("the file changed while it was packed; try again when nothing writes to it")]
    Changed,
}

impl Problem {
    const fn is_limit(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::TotalTooLarge { .. } | Self::TooMany { .. })
    }
}

/// Why a package cannot be packed or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are of another kind of file.
    #[error("this is not a tar archive but {found}; {cure}")]
    NotTar {
        /// What the bytes look like.
        found: &'static str,
        /// What to do.
        cure: &'static str,
    },
    /// An entry breaks a rule or a limit.
    #[error("entry {entry:?}: {problem}")]
    Entry {
        /// The path of the entry, cut to 200 characters; what cannot be seen is escaped.
        entry: String,
        /// What is wrong, and the cure.
        problem: Problem,
    },
    /// A zip file is damaged, or of a kind that is not read.
    #[error("the zip file cannot be read, {}: {cause}; pack it again", behind(entry))]
    Zip {
        /// The entry, cut to 200 characters; empty for the whole.
        entry: String,
        /// Why not.
        cause: String,
    },
    /// The archive ends too early.
    #[error("the archive ends too early, {}; send it again, whole", behind(after))]
    Truncated {
        /// The last entry that was begun; empty before the first.
        after: String,
    },
    /// Something follows the end of the archive.
    #[error("something follows the end of the archive, {}; pack again", behind(after))]
    Trailing {
        /// The last entry.
        after: String,
    },
    /// A file, folder or stream cannot be read or written.
    #[error("could not {action} {path:?}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what; the stream itself is called `the archive`.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
}

fn behind(after: &str) -> String {
    if after.is_empty() { "before its first entry".to_owned() } else { format!("after {after:?}") }
}

impl Error {
    /// What the error means to a caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Entry { problem, .. } if problem.is_limit() => ErrorKind::TooLarge,
            Self::NotTar { .. }
            | Self::Zip { .. }
            | Self::Entry { .. }
            | Self::Truncated { .. }
            | Self::Trailing { .. } => ErrorKind::BadRequest,
            Self::Io { .. } => ErrorKind::Internal,
        }
    }

    /// The word clients match on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Entry { problem, .. } if problem.is_limit() => CODE_LIMIT,
            Self::NotTar { .. }
            | Self::Zip { .. }
            | Self::Entry { .. }
            | Self::Truncated { .. }
            | Self::Trailing { .. } => CODE_INVALID,
            Self::Io { .. } => CODE_IO,
        }
    }

    fn entry(path: &str, problem: Problem) -> Self {
        Self::Entry { entry: path.chars().take(200).collect(), problem }
    }

    fn io(action: &'static str, path: &str, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

/// Reads the whole archive and returns its files, in archive order; nothing is written.
///
/// # Errors
///
/// The first rule or limit that is broken, with the entry and the cure.
pub fn check(tar: impl Read, limits: &Limits) -> Result<Vec<Entry>, Error> {
    read::each(tar, limits, &mut read::Nothing)
}

/// Writes the archive's files and folders below `into`, which must exist, and returns the files.
///
/// Files become 0644 or 0755, folders 0755. Nothing that stands below `into` is overwritten, and no
/// link there is followed. After an error the files written so far remain: give a fresh folder, and
/// remove it then.
///
/// # Errors
///
/// As [`check`], and [`Error::Io`] when something cannot be written or stands there already.
pub fn extract(tar: impl Read, into: &Path, limits: &Limits) -> Result<Vec<Entry>, Error> {
    read::each(tar, limits, &mut extract::Below::open(into)?)
}

/// Like [`check`], for a tar or a zip file; a zip file, whose table is at its end, is put aside
/// first, as a temporary file.
///
/// # Errors
///
/// As [`check`], and [`Error::Zip`].
pub fn check_any(stream: impl Read, limits: &Limits) -> Result<Vec<Entry>, Error> {
    each_of_any(stream, limits, &mut read::Nothing)
}

/// Like [`extract`], for a tar or a zip file, as [`check_any`] reads it.
///
/// # Errors
///
/// As [`extract`], and [`Error::Zip`].
pub fn extract_any(stream: impl Read, into: &Path, limits: &Limits) -> Result<Vec<Entry>, Error> {
    each_of_any(stream, limits, &mut extract::Below::open(into)?)
}

fn each_of_any(
    mut stream: impl Read,
    limits: &Limits,
    sink: &mut impl read::Sink,
) -> Result<Vec<Entry>, Error> {
    let failed = |source| Error::io("read", "the archive", source);
    let mut start = Vec::new();
    (&mut stream).take(ZIP_MAGIC.len() as u64).read_to_end(&mut start).map_err(failed)?;
    let is_zip = start == ZIP_MAGIC;
    let whole = Cursor::new(start).chain(stream);
    if !is_zip {
        return read::each(whole, limits, sink);
    }
    let mut aside = tempfile::tempfile().map_err(failed)?;
    let mut bounded = whole.take(limits.total_bytes_max.saturating_add(1));
    let bytes = std::io::copy(&mut bounded, &mut aside).map_err(failed)?;
    if bytes > limits.total_bytes_max {
        let bytes_max = limits.total_bytes_max;
        return Err(Error::entry("", Problem::TotalTooLarge { bytes_max }));
    }
    aside.seek(SeekFrom::Start(0)).map_err(failed)?;
    zip::each(aside, limits, sink)
}

/// Reads one file out of an archive, within the default [`Limits`]; none where it has no such file.
///
/// Reading stops behind the file, so what follows is not checked.
///
/// # Errors
///
/// As [`check`] for all entries up to the file; [`Problem::TooLarge`] when it has more than
/// `bytes_max` bytes.
pub fn read_file(tar: impl Read, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
    let limits = Limits::default();
    let mut walk = read::Walk::new(tar, &limits);
    while let Some(header) = walk.next_header()? {
        let read::Header { path: found, kind: read::Kind::File { bytes, .. } } = header else {
            continue;
        };
        if found != path {
            continue;
        }
        if bytes > bytes_max {
            return Err(Error::entry(&found, Problem::TooLarge { bytes, bytes_max }));
        }
        let mut content = Vec::new();
        while let Some(piece) = walk.next_piece()? {
            content.extend_from_slice(piece);
        }
        return Ok(Some(content));
    }
    Ok(None)
}
