//! The seal of a copy: which files it has, and their digests.
//!
//! Always true: `backup.toml` is written last and names the digest of the list, which names those
//! of all other files; a file appears in the list with what was really written.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use types::Digest;

use crate::exit::Failure;

/// The list of digests, as `sha256sum` writes it.
pub(super) const SUMS: &str = "SHA256SUMS";
/// What makes a copy whole.
pub(super) const SEAL: &str = "backup.toml";
/// What this release writes and reads.
const FORMAT: u32 = 1;
const BUFFER_BYTES: usize = 1 << 20;

/// What a copy says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seal {
    pub(super) format: u32,
    /// The release that wrote it.
    pub(super) version: String,
    pub(super) made_at_ms: u64,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) sums_sha256: Digest,
    /// Whether the master key is in it.
    pub(super) master_key: bool,
}

impl Seal {
    /// Reads the seal of a copy.
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(SEAL);
        let text = fs::read_to_string(&path).map_err(|error| {
            Failure::usage(format!("{}: {error}", path.display()))
                .hint("name a folder that `freehold backup` wrote, whole")
        })?;
        let seal: Self = toml::from_str(&text)
            .map_err(|error| Failure::refused(format!("{}: {error}", path.display())))?;
        if seal.format != FORMAT {
            let message = format!("{}: format {} is not known", path.display(), seal.format);
            return Err(Failure::refused(message)
                .hint(format!("restore with freehold {} or later", seal.version)));
        }
        Ok(seal)
    }
}

/// A copy that is being made.
pub(super) struct Copying {
    folder: PathBuf,
    sums: String,
    files: u64,
    bytes: u64,
    master_key: bool,
}

impl Copying {
    /// Copies into a folder that is there.
    pub(super) fn into(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            sums: String::new(),
            files: 0,
            bytes: 0,
            master_key: false,
        }
    }

    /// Counts a file that is in the folder already.
    pub(super) fn count(&mut self, name: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let mut file = File::open(&path).map_err(|error| at(&path, &error))?;
        let (digest, bytes) =
            transfer(&mut file, &mut io::sink()).map_err(|error| at(&path, &error))?;
        self.list(Path::new(name), digest, bytes);
        Ok(())
    }

    /// Copies a file under a name; one that is not there is passed over.
    pub(super) fn copy(&mut self, from: &Path, name: &Path) -> Result<(), Failure> {
        let mut source = match File::open(from) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(at(from, &error)),
        };
        let (digest, bytes) = write(&mut source, &self.folder.join(name))?;
        self.list(name, digest, bytes);
        Ok(())
    }

    /// Copies the files of a folder and of those in it; what goes away meanwhile is passed over.
    pub(super) fn copy_folder(&mut self, from: &Path, name: &Path) -> Result<(), Failure> {
        let mut left = vec![(from.to_owned(), name.to_owned())];
        while let Some((from, name)) = left.pop() {
            let entries = match fs::read_dir(&from) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(at(&from, &error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| at(&from, &error))?;
                let name = name.join(entry.file_name());
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => left.push((entry.path(), name)),
                    Ok(kind) if kind.is_file() => self.copy(&entry.path(), &name)?,
                    // A blob is a file: anything else is none of ours.
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn list(&mut self, name: &Path, digest: Digest, bytes: u64) {
        self.sums += &format!("{digest}  {}\n", name.display());
        self.files += 1;
        self.bytes += bytes;
        self.master_key |= name == Path::new(super::MASTER_KEY);
    }

    /// Ends the copy: writes the list, and the seal last.
    pub(super) fn seal(self, made_at_ms: u64) -> Result<Seal, Failure> {
        let (sums_sha256, _) = write(&mut self.sums.as_bytes(), &self.folder.join(SUMS))?;
        let seal = Seal {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at_ms,
            files: self.files,
            bytes: self.bytes,
            sums_sha256,
            master_key: self.master_key,
        };
        let text = toml::to_string(&seal)
            .map_err(|error| Failure::internal("could not write the seal", &error))?;
        write(&mut text.as_bytes(), &self.folder.join(SEAL))?;
        Ok(seal)
    }
}

/// Writes a new file that only its owner can read, to the disk, and gives its digest and size.
pub(super) fn write(from: &mut impl Read, path: &Path) -> Result<(Digest, u64), Failure> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|error| at(path, &error))?;
    let written = transfer(from, &mut file).map_err(|error| at(path, &error))?;
    file.sync_all().map_err(|error| at(path, &error))?;
    Ok(written)
}

fn transfer(from: &mut impl Read, to: &mut impl io::Write) -> io::Result<(Digest, u64)> {
    let (mut hasher, mut total) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
        total += count as u64;
    }
    Ok((Digest(hasher.finalize().into()), total))
}

/// Makes a folder that only its owner can open, and those above it.
pub(super) fn make_folder(folder: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| at(folder, &error))
}

/// Gives a whole folder its name.
pub(super) fn rename(part: &Path, to: &Path) -> Result<(), Failure> {
    let sync = |path: &Path| File::open(path).and_then(|folder| folder.sync_all());
    let above = part.parent().unwrap_or(Path::new("/"));
    let moved = sync(part).and_then(|()| fs::rename(part, to)).and_then(|()| sync(above));
    moved.map_err(|error| at(to, &error))
}

/// What failed on which path.
pub(super) fn at(path: &Path, error: &io::Error) -> Failure {
    Failure::refused(format!("{}: {error}", path.display()))
}
