//! Packages: the folders to publish, written by the program itself from templates within it.
//!
//! Always true: a folder that is not empty is left alone; what is written is the folder beside the
//! sources of this program, completed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::Failure;

/// The name of the program in its package, as the manifest's `task.entry` says it.
const PROGRAM: &str = "signin-risk";

/// The texts of the algorithm's package.
const ALGORITHM: [(&str, &str); 3] = [
    ("freehold.toml", include_str!("../package/freehold.toml")),
    ("README.md", include_str!("../package/README.md")),
    ("tests/training.csv", include_str!("../package/tests/training.csv")),
];

const DATASET: &str = include_str!("../dataset/freehold.toml");

/// Writes the algorithm's package: its texts, and this very program.
pub(crate) fn write_algorithm(into: &Path) -> Result<(), Failure> {
    make_empty(into)?;
    for (name, text) in ALGORITHM {
        write(&into.join(name), text.as_bytes())?;
    }
    let program = std::env::current_exe()
        .map_err(|error| Failure(format!("could not find this program: {error}")))?;
    let copy = into.join(PROGRAM);
    fs::copy(&program, &copy).map_err(|error| Failure::at(&copy, error))?;
    let runnable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&copy, runnable).map_err(|error| Failure::at(&copy, error))
}

/// Writes a data set's package with these events in it.
pub(crate) fn write_dataset(into: &Path, events: &[u8]) -> Result<(), Failure> {
    make_empty(into)?;
    write(&into.join("freehold.toml"), DATASET.as_bytes())?;
    write(&into.join("events.csv"), events)
}

fn make_empty(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::at(folder, error))?;
    let mut there = fs::read_dir(folder).map_err(|error| Failure::at(folder, error))?;
    match there.next() {
        None => Ok(()),
        Some(_) => Err(Failure::at(folder, "something is in it; name a new or empty folder")),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| Failure::at(folder, error))?;
    fs::write(path, bytes).map_err(|error| Failure::at(path, error))
}
