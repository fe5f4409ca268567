//! `freehold events-key`: the file with the key by which streams are encrypted, and what it opens.
//!
//! Always true: a file that is there is never overwritten; a fresh key is put before older ones, which
//! stay until they are removed by hand.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use objects::Vault;

use crate::args::EventsKeyCommand;
use crate::exit::Failure;
use crate::output::{Output, note};

/// A key as other programs take it.
#[derive(Serialize)]
struct Shown {
    base64: String,
}

/// `freehold events-key`.
pub fn run(command: EventsKeyCommand, out: &Output) -> Result<(), Failure> {
    match command {
        EventsKeyCommand::New { file } => make(&file),
        EventsKeyCommand::Rotate { file } => rotate(&file),
        EventsKeyCommand::Show { folder, events_key } => {
            let vault =
                Vault::of_file(&events_key).map_err(|error| refused(&events_key, &error))?;
            let key = gateway::keys::of_tables(&vault, &folder);
            let key = key.map_err(|error| Failure::refused(error.to_string()))?;
            let shown = Shown { base64: BASE64_STANDARD.encode(key) };
            out.text(&shown, |shown| format!("{}\n", shown.base64))
        }
    }
}

fn make(file: &Path) -> Result<(), Failure> {
    if file.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!("{} is there already", file.display()))
            .hint("`freehold events-key rotate` puts a fresh key into it"));
    }
    let vault = Vault::from_file(file).map_err(|error| refused(file, &error))?;
    note(&format!(
        "{} holds a fresh key, {}: keep it, and a copy of it, apart from the data and its backups; \
         what is encrypted by it is lost without it\nnext: freehold up --events-key {}",
        file.display(),
        vault.key_id(),
        file.display()
    ))
}

fn rotate(file: &Path) -> Result<(), Failure> {
    let vault = Vault::rotate_file(file).map_err(|error| refused(file, &error))?;
    note(&format!(
        "{} holds a fresh key, {}, and the old ones\nnext: start the gateways again; once each says that \
         keys were sealed by the key in use, and no backup needs them, remove the lines after the first",
        file.display(),
        vault.key_id()
    ))
}

fn refused(file: &Path, error: &objects::Error) -> Failure {
    Failure::usage(format!("{}: {}", file.display(), workflow::chain(error)))
}
