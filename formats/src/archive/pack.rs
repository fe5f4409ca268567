//! Packing a folder.
//!
//! Always true: the bytes depend on nothing but the names, contents and run permission of the
//! files; what is packed passes `check`, within its limits.

use std::fs::{self, File};
use std::io::{Read as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use types::Digest;

use super::path::{Seen, check_path};
use super::read::{BLOCK_BYTES, padding};
use super::{Entry, Error, Limits, Problem};

/// Files and folders that never go into a package: they are made again, or are not part of it.
pub const SKIPPED: [&str; 5] = [".git", "target", "__pycache__", ".venv", ".DS_Store"];

/// Longest path that fits the header's field for it.
const HEADER_PATH_BYTES_MAX: usize = 100;

/// Packs a folder, without [`SKIPPED`], and returns its files in the order of the archive.
///
/// # Errors
///
/// [`Error::Entry`] on a link, a device, a name or a size that a package may not hold;
/// [`Error::Io`] when a file cannot be read or `out` written.
pub fn pack(folder: &Path, mut out: impl Write) -> Result<Vec<Entry>, Error> {
    let limits = Limits::default();
    let mut found = Vec::new();
    let mut seen = Seen::default();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((place, prefix)) = folders.pop() {
        for source in list(&place, &prefix, &limits)? {
            seen.add(&source.path, source.is_folder, &limits)
                .map_err(|problem| Error::entry(&source.path, problem))?;
            if source.is_folder {
                folders.push((source.place.clone(), format!("{}/", source.path)));
            }
            found.push(source);
        }
    }
    // A folder's name ends in `/` in the archive, so it is sorted as such.
    found.sort_by_cached_key(Source::name);
    let total_bytes = found.iter().fold(0_u64, |sum, source| sum.saturating_add(source.bytes));
    if let Some(last) = found.last()
        && total_bytes > limits.total_bytes_max
    {
        let bytes_max = limits.total_bytes_max;
        return Err(Error::entry(&last.path, Problem::TotalTooLarge { bytes_max }));
    }
    let mut entries = Vec::new();
    for source in &found {
        put(&mut out, &source.header())?;
        if !source.is_folder {
            entries.push(source.copy(&mut out)?);
        }
    }
    put(&mut out, &[0; 2 * BLOCK_BYTES])?;
    out.flush().map_err(|source| Error::io("write", "the archive", source))?;
    Ok(entries)
}

/// A file or folder to pack.
struct Source {
    place: PathBuf,
    path: String,
    is_folder: bool,
    bytes: u64,
    executable: bool,
}

/// What stands in one folder.
fn list(place: &Path, prefix: &str, limits: &Limits) -> Result<Vec<Source>, Error> {
    let shown = place.display().to_string();
    let read = fs::read_dir(place).map_err(|source| Error::io("list", &shown, source))?;
    let mut sources = Vec::new();
    for child in read {
        let child = child.map_err(|source| Error::io("list", &shown, source))?;
        let name = child.file_name();
        let Some(name) = name.to_str() else {
            let path = format!("{prefix}{}", name.to_string_lossy());
            return Err(Error::entry(&path, Problem::NotText));
        };
        if SKIPPED.contains(&name) {
            continue;
        }
        let path = format!("{prefix}{name}");
        sources.push(Source::look(child.path(), path, limits)?);
    }
    Ok(sources)
}

impl Source {
    fn look(place: PathBuf, path: String, limits: &Limits) -> Result<Self, Error> {
        let refuse = |problem| Error::entry(&path, problem);
        check_path(&path, limits).map_err(refuse)?;
        let metadata =
            fs::symlink_metadata(&place).map_err(|source| Error::io("look at", &path, source))?;
        let file_type = metadata.file_type();
        if file_type.is_symlink() {
            return Err(refuse(Problem::SymbolicLink));
        }
        if !file_type.is_dir() && !file_type.is_file() {
            return Err(refuse(Problem::Device));
        }
        let bytes = if file_type.is_dir() { 0 } else { metadata.len() };
        if bytes > limits.entry_bytes_max {
            let bytes_max = limits.entry_bytes_max;
            return Err(refuse(Problem::TooLarge { bytes, bytes_max }));
        }
        let executable = metadata.permissions().mode() & 0o111 != 0;
        Ok(Self { place, path, is_folder: file_type.is_dir(), bytes, executable })
    }

    /// The path in the archive.
    fn name(&self) -> String {
        format!("{}{}", self.path, if self.is_folder { "/" } else { "" })
    }

    /// The header, with a POSIX extension before it where the path is long.
    fn header(&self) -> Vec<u8> {
        let name = self.name();
        let mut blocks = Vec::new();
        if name.len() > HEADER_PATH_BYTES_MAX {
            let record = pax_record(&name);
            let kind = tar::EntryType::XHeader;
            let header = header_block("././@PaxHeader", kind, record.len() as u64, 0o644);
            blocks.extend_from_slice(header.as_bytes());
            blocks.extend_from_slice(record.as_bytes());
            blocks.resize(blocks.len() + padding(record.len() as u64), 0);
        }
        let (kind, mode) = match (self.is_folder, self.executable) {
            (true, _) => (tar::EntryType::Directory, 0o755),
            (false, true) => (tar::EntryType::Regular, 0o755),
            (false, false) => (tar::EntryType::Regular, 0o644),
        };
        blocks.extend_from_slice(header_block(&name, kind, self.bytes, mode).as_bytes());
        blocks
    }

    /// Copies the content, padded, and returns the entry.
    fn copy(&self, out: &mut impl Write) -> Result<Entry, Error> {
        let unreadable = |source| Error::io("read", &self.path, source);
        let mut file = File::open(&self.place).map_err(unreadable)?;
        let mut buffer = vec![0; 128 << 10];
        let mut hasher = Sha256::new();
        let mut left_bytes = self.bytes;
        loop {
            let count = match file.read(&mut buffer) {
                Err(source) if source.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.map_err(unreadable)?,
            };
            let enough = left_bytes.checked_sub(count as u64);
            left_bytes = enough.ok_or_else(|| Error::entry(&self.path, Problem::Changed))?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            put(out, &buffer[..count])?;
        }
        if left_bytes > 0 {
            return Err(Error::entry(&self.path, Problem::Changed));
        }
        put(out, &[0; BLOCK_BYTES][..padding(self.bytes)])?;
        let (path, sha256) = (self.path.clone(), Digest(hasher.finalize().into()));
        Ok(Entry { path, bytes: self.bytes, executable: self.executable, sha256 })
    }
}

/// A header whose path is cut to what fits; a long one stands in the extension before it.
fn header_block(path: &str, kind: tar::EntryType, bytes: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    let mut end = path.len().min(HEADER_PATH_BYTES_MAX);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    header.as_old_mut().name[..end].copy_from_slice(&path.as_bytes()[..end]);
    header.set_entry_type(kind);
    header.set_size(bytes);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    header
}

/// A `path` record, whose length counts its own digits.
fn pax_record(path: &str) -> String {
    let rest = format!(" path={path}\n");
    let mut length = rest.len();
    loop {
        let record = format!("{length}{rest}");
        if record.len() == length {
            return record;
        }
        length = record.len();
    }
}

fn put(out: &mut impl Write, bytes: &[u8]) -> Result<(), Error> {
    out.write_all(bytes).map_err(|source| Error::io("write", "the archive", source))
}
