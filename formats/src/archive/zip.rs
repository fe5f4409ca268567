//! Zip files: the form in which Lambda's clients send code, read under the rules of packages.
//!
//! Always true: what a zip file says of an entry is believed only within the limits, and an entry
//! that is larger than it says ends the reading.
//! Absent on purpose: encrypted entries, links, compression other than deflate.

use std::io::{Read, Seek};

use sha2::{Digest as _, Sha256};
use zip::ZipArchive;
use zip::read::ZipFile;

use types::Digest;

use super::path::{Seen, check_path};
use super::read::Sink;
use super::{Entry, Error, Limits, Problem};

/// The type of a file in a Unix mode, and that of a symbolic link.
const TYPE: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
/// Read at a time.
const PIECE_BYTES: usize = 128 << 10;

/// Reads the whole file into `sink`.
pub(super) fn each(
    zip: impl Read + Seek,
    limits: &Limits,
    sink: &mut impl Sink,
) -> Result<Vec<Entry>, Error> {
    let mut archive = ZipArchive::new(zip).map_err(|cause| broken("", &cause.to_string()))?;
    if archive.len() > limits.entries_max {
        let problem = Problem::TooMany { entries_max: limits.entries_max };
        return Err(Error::entry("", problem));
    }
    let mut reading = Reading { limits, seen: Seen::default(), left_bytes: limits.total_bytes_max };
    let mut entries = Vec::new();
    for place in 0..archive.len() {
        let file = archive.by_index(place);
        let file = file.map_err(|cause| broken(&format!("entry {place}"), &cause.to_string()))?;
        entries.extend(reading.entry(file, sink)?);
    }
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(entries)
}

struct Reading<'l> {
    limits: &'l Limits,
    seen: Seen,
    left_bytes: u64,
}

impl Reading<'_> {
    /// Takes one entry; none for a folder.
    fn entry<R: Read>(
        &mut self,
        mut file: ZipFile<'_, R>,
        sink: &mut impl Sink,
    ) -> Result<Option<Entry>, Error> {
        let raw = file.name_raw();
        let Ok(name) = std::str::from_utf8(raw).map(str::to_owned) else {
            return Err(Error::entry(&String::from_utf8_lossy(raw), Problem::NotText));
        };
        let is_folder = name.ends_with('/');
        let path = name.strip_prefix("./").unwrap_or(&name);
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() && is_folder {
            return Ok(None);
        }
        let refuse = |problem| Error::entry(&name, problem);
        let mode = file.unix_mode().unwrap_or(0o644);
        if mode & TYPE == LINK {
            return Err(refuse(Problem::SymbolicLink));
        }
        check_path(path, self.limits).map_err(refuse)?;
        self.seen.add(path, is_folder, self.limits).map_err(refuse)?;
        if is_folder {
            sink.folder(path)?;
            return Ok(None);
        }
        let executable = mode & 0o111 != 0;
        sink.open(path, executable)?;
        let (bytes, sha256) = self.content(&name, &mut file, |piece| sink.write(path, piece))?;
        Ok(Some(Entry { path: path.to_owned(), bytes, executable, sha256 }))
    }

    fn content(
        &mut self,
        name: &str,
        file: &mut impl Read,
        mut write: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(u64, Digest), Error> {
        let mut hasher = Sha256::new();
        let mut piece = vec![0; PIECE_BYTES];
        let mut bytes = 0;
        loop {
            let count = file.read(&mut piece).map_err(|cause| broken(name, &cause.to_string()))?;
            if count == 0 {
                return Ok((bytes, Digest(hasher.finalize().into())));
            }
            bytes += count as u64;
            let bytes_max = self.limits.entry_bytes_max;
            if bytes > bytes_max {
                return Err(Error::entry(name, Problem::TooLarge { bytes, bytes_max }));
            }
            let left = self.left_bytes.checked_sub(count as u64);
            self.left_bytes = left.ok_or_else(|| {
                let bytes_max = self.limits.total_bytes_max;
                Error::entry(name, Problem::TotalTooLarge { bytes_max })
            })?;
            hasher.update(&piece[..count]);
            write(&piece[..count])?;
        }
    }
}

fn broken(entry: &str, cause: &str) -> Error {
    let cause = cause.chars().take(200).collect();
    Error::Zip { entry: entry.chars().take(200).collect(), cause }
}

#[cfg(test)]
mod tests;
