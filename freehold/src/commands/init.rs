//! `freehold init`: writes a manifest by looking at a folder.
//!
//! Always true: a manifest that is there is replaced only when that is asked for.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use formats::manifest::{self, Manifest};

use super::wording;
use crate::args::InitArguments;
use crate::exit::Failure;
use crate::output::{Output, note};

/// Carries out the command.
pub fn run(arguments: &InitArguments, out: &Output) -> Result<(), Failure> {
    let InitArguments { folder, force } = arguments;
    let path = folder.join(manifest::FILE_NAME);
    if !force && path.exists() {
        return Err(there_already(&path));
    }
    let drafted = manifest::draft(folder)
        .map_err(|error| Failure::refused(error.to_string()).code(error.code()))?;
    write(&path, &manifest::write(&drafted), *force)?;
    out.one(&drafted, |drafted| rows(drafted, &path))?;
    note(&format!(
        "look it over, then: freehold publish {}",
        if folder == Path::new(".") { String::new() } else { folder.display().to_string() }
    ))
}

fn there_already(path: &Path) -> Failure {
    Failure { exit: 5, ..Failure::refused(format!("{} is there already", path.display())) }
        .hint("--force replaces it")
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(!force).create(force).truncate(force);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => there_already(path),
        _ => Failure::refused(format!("{}: {error}", path.display())),
    })
}

fn rows(drafted: &Manifest, path: &Path) -> Vec<(String, String)> {
    let task = drafted.task.as_ref();
    let rows = [
        ("wrote", path.display().to_string()),
        ("kind", drafted.kind.to_string()),
        ("name", drafted.name.to_string()),
        ("title", drafted.title.clone()),
        ("summary", drafted.summary.clone()),
        (
            "runs",
            task.map(|task| format!("{} as {}", task.entry, task.runtime)).unwrap_or_default(),
        ),
        ("input", wording::format(drafted.input.as_ref())),
        ("output", wording::format(drafted.output.as_ref())),
        ("channels", drafted.channels.join(", ")),
        ("documentation", drafted.documentation.clone().unwrap_or_default()),
        ("license", drafted.license.clone()),
    ];
    let filled = rows.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(key, value)| (key.to_owned(), value)).collect()
}
