//! The manifest: which segments a stream has, and up to where they reach.
//!
//! Always true: it is replaced as a whole, after what it lists is on the disk and before what it
//! replaces is removed; so whoever reads it finds every sealed event in one place.
//! Absent on purpose: removing files.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::faults::pass;
use super::{Segment, Snapshot};
use crate::error::Error;
use crate::key::{Folder, Key};
use crate::log;

/// The folder of a stream's segments, within the stream's.
pub(super) const FOLDER: &str = "segments";
/// The manifest's name: those who read all of a folder as a table pass over what begins so.
pub(crate) const NAME: &str = "_manifest.json";
/// What names end with while files are written.
pub(super) const UNFINISHED: &str = "unfinished";
/// How manifests are written now.
const VERSION: u32 = 1;
/// The same of streams that are encrypted, which programs that know no keys must not touch.
const ENCRYPTED_VERSION: u32 = 2;

/// What is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(super) version: u32,
    /// What its key says of itself ([`Key::check`]), where all that the stream has is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_check: Option<u64>,
    /// Every event with a lower number is in a segment, or was removed.
    pub(crate) sealed_until: u64,
    /// How many sealed events happened before the one that was accepted before them.
    pub(crate) disordered: u64,
    /// When the last sealed event happened, in Unix nanoseconds.
    pub(crate) last_time_ns: u64,
    pub(crate) segments: Vec<Segment>,
}

impl Default for Manifest {
    fn default() -> Self {
        let (version, key_check, segments) = (VERSION, None, Vec::new());
        let (sealed_until, disordered, last_time_ns) = (1, 0, 0);
        Self { version, key_check, sealed_until, disordered, last_time_ns, segments }
    }
}

const fn version(key_check: Option<u64>) -> u32 {
    if key_check.is_some() { ENCRYPTED_VERSION } else { VERSION }
}

/// What a file is named while it is written.
pub(super) fn unfinished(name: &str) -> String {
    format!("_{name}.{UNFINISHED}")
}

/// Where a stream's segments lie.
pub(crate) fn folder(stream: &Path) -> PathBuf {
    stream.join(FOLDER)
}

impl Manifest {
    /// Reads the manifest of the stream in this folder; an empty one where nothing was sealed yet.
    pub(crate) fn read(stream: &Path) -> Result<Self, Error> {
        let path = folder(stream).join(NAME);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        Self::parse(&text, &path)
    }

    /// As [`Self::read`], and sees that the stream is encrypted where it has a key and not where it has
    /// none. A stream that begins with a key says so from then on, before anything else is there.
    pub(crate) fn open(stream: &Folder) -> Result<Self, Error> {
        let path = folder(&stream.path).join(NAME);
        let manifest = Self::read(&stream.path)?;
        let check = stream.key.as_ref().map(Key::check);
        let problem = match (check, manifest.key_check) {
            (given, wanted) if given == wanted => return Ok(manifest),
            (Some(_), Some(_)) => "its stream is encrypted by another key",
            (None, _) => "its stream is encrypted, and there is no key for it",
            (Some(_), None) if path.exists() || !log::parts(&stream.path)?.is_empty() => {
                "its stream is not encrypted, and has a key"
            }
            (Some(_), None) => {
                let begun = Self { version: ENCRYPTED_VERSION, key_check: check, ..manifest };
                let folder = folder(&stream.path);
                fs::create_dir_all(&folder).map_err(Error::io("make", &folder))?;
                begun.write(&stream.path)?;
                sync(&stream.path)?;
                return Ok(begun);
            }
        };
        Err(Error::Key { path, problem })
    }

    /// Reads what a manifest at that path says.
    pub(crate) fn parse(text: &[u8], path: &Path) -> Result<Self, Error> {
        let path = path.to_owned();
        let read = serde_json::from_slice(text).map_err(|error| error.to_string());
        let manifest: Self =
            read.map_err(|problem| Error::Manifest { path: path.clone(), problem })?;
        if manifest.version != version(manifest.key_check) {
            let problem = format!("it has version {}, of a later program", manifest.version);
            return Err(Error::Manifest { path, problem });
        }
        Ok(manifest)
    }

    /// What a snapshot has.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let Snapshot { ref held, key_check, sealed_until, disordered, last_time_ns } = *snapshot;
        let segments = held.iter().map(|held| held.segment.clone()).collect();
        let version = version(key_check);
        Self { version, key_check, sealed_until, disordered, last_time_ns, segments }
    }

    /// As it is written.
    pub(crate) fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Replaces the manifest; returns once it is on the disk.
    pub(crate) fn write(&self, stream: &Path) -> Result<(), Error> {
        let folder = folder(stream);
        let (path, unfinished) = (folder.join(NAME), folder.join(unfinished(NAME)));
        let text = self.text();
        pass(&path)?;
        let written = File::create(&unfinished).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.map_err(Error::io("write", &unfinished))?;
        pass(&unfinished)?;
        fs::rename(&unfinished, &path).map_err(Error::io("rename", &unfinished))?;
        pass(&path)?;
        sync(&folder)
    }

    /// The segments of the first batch that has events from this number on.
    pub(crate) fn batch_from(&self, next: u64) -> Vec<&Segment> {
        let reaching = self.segments.iter().filter(|segment| segment.batch_last >= next);
        let Some(batch) = reaching.clone().map(|segment| segment.batch).min() else {
            return Vec::new();
        };
        reaching.filter(|segment| segment.batch == batch).collect()
    }
}

/// Sees that the names in a folder outlive the power.
pub(super) fn sync(folder: &Path) -> Result<(), Error> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(Error::io("sync", folder))
}
