//! State: what a run is resumed by, in a small file beside its records.
//!
//! Always true: the file is whole or the one before it; it never says that more was sent than was.
//! Absent on purpose: records, from which all that was measured is read again.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::Error;

const NAME: &str = "run.json";
/// What is written now; another form has another number.
const FORM: u32 = 1;

/// How far a run has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) form: u32,
    pub(super) run: String,
    pub(super) variants: Vec<String>,
    /// Sends that were decided about.
    pub(super) issued: u64,
    /// Their digest, as hexadecimal digits.
    pub(super) digest: String,
    /// The time that they took, without gaps.
    pub(super) took_ns: u64,
    /// When this was so, in nanoseconds since 1970.
    pub(super) at_ns: u64,
    pub(super) resumed: u32,
    pub(super) gap_ns: u64,
    pub(super) busy_milli: u32,
    pub(super) is_over: bool,
}

impl State {
    /// A run that has sent nothing.
    pub(super) fn new(run: &str, variants: Vec<String>, at_ns: u64) -> Self {
        Self {
            form: FORM,
            run: run.to_owned(),
            variants,
            issued: 0,
            digest: String::new(),
            took_ns: 0,
            at_ns,
            resumed: 0,
            gap_ns: 0,
            busy_milli: 0,
            is_over: false,
        }
    }

    /// What was written last, if anything was.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(NAME);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let state: Self = serde_json::from_slice(&text).map_err(|_| Error::damaged(&path))?;
        if state.form == FORM { Ok(Some(state)) } else { Err(Error::damaged(&path)) }
    }

    /// Writes it in place of the one before.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        let (path, unfinished) = (folder.join(NAME), folder.join("run.tmp"));
        let text = serde_json::to_vec(self).unwrap_or_default();
        File::create(&unfinished)
            .and_then(|mut file| {
                file.write_all(&text)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&unfinished, &path))
            .map_err(Error::io("write", path))
    }

    /// The digest as bytes, if there is one.
    pub(super) fn digest_bytes(&self) -> Option<[u8; 32]> {
        blake3::Hash::from_hex(&self.digest).ok().map(|hash| *hash.as_bytes())
    }
}
