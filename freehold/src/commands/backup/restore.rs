//! `freehold restore`: a data folder from a copy, checked file by file.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use formats::archive;
use types::Digest;

use super::seal::{self, SUMS, Seal, at};
use super::{MASTER_KEY, beside};
use crate::args::{Format, RestoreArguments};
use crate::exit::Failure;
use crate::output::{Output, note, time};

/// Longest list of digests that is read, in bytes: some millions of files.
const SUMS_BYTES_MAX: u64 = 1 << 30;

/// Makes a data folder of a copy.
///
/// # Errors
///
/// When the copy is not whole or was changed, or the data folder has something in it.
pub async fn restore(arguments: RestoreArguments) -> Result<(), Failure> {
    let RestoreArguments { from, data } = arguments;
    check_free(&data)?;
    let part = beside(&data)?;
    let seal = Seal::read(&from)?;
    // What an interrupted restoring left.
    let _ = fs::remove_dir_all(&part);
    let busy = Output::new(Format::Table).busy("checking and copying");
    let work = (from.clone(), part.clone(), seal.clone());
    let copied = tokio::task::spawn_blocking(move || put_back(&work.0, &work.1, &work.2)).await;
    busy.finish_and_clear();
    let copied = copied.map_err(|error| Failure::internal("could not copy", &error))?;
    if let Err(failure) = copied {
        let _ = fs::remove_dir_all(&part);
        return Err(failure);
    }
    // An empty folder of the name is replaced by the whole one.
    seal::rename(&part, &data)?;
    note(&format!(
        "{} is the cloud of {}; next: freehold up --data {}",
        data.display(),
        time(seal.made_at_ms),
        data.display()
    ))?;
    if seal.master_key {
        return Ok(());
    }
    note(&format!(
        "the master key was not in the copy: put it into {} or FREEHOLD_MASTER_KEY first",
        data.join(MASTER_KEY).display()
    ))
}

fn check_free(data: &Path) -> Result<(), Failure> {
    match fs::read_dir(data) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::usage(format!("{}: {error}", data.display()))),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Failure::usage(format!("{} is not empty", data.display()))
                .hint("name another folder with --data, or move this one away first")),
        },
    }
}

/// Copies every listed file, and holds each against its digest.
fn put_back(from: &Path, part: &Path, seal: &Seal) -> Result<(), Failure> {
    seal::make_folder(part)?;
    let sums = read_sums(from, part, seal)?;
    let mut files = 0;
    for line in sums.lines() {
        let (digest, name) = parse(line)?;
        let source = from.join(name);
        let mut file = File::open(&source).map_err(|error| at(&source, &error))?;
        let (actual, _) = seal::write(&mut file, &part.join(name))?;
        if actual != digest {
            return Err(changed(&source));
        }
        files += 1;
    }
    if files != seal.files {
        return Err(changed(&from.join(SUMS)));
    }
    Ok(())
}

fn read_sums(from: &Path, part: &Path, seal: &Seal) -> Result<String, Failure> {
    let path = from.join(SUMS);
    let mut file = File::open(&path).map_err(|error| at(&path, &error))?;
    let bytes = file.metadata().map_err(|error| at(&path, &error))?.len();
    if bytes > SUMS_BYTES_MAX {
        return Err(changed(&path));
    }
    let copy = part.join(SUMS);
    let (actual, _) = seal::write(&mut file, &copy)?;
    if actual != seal.sums_sha256 {
        return Err(changed(&path));
    }
    let text = fs::read_to_string(&copy).map_err(|error| at(&copy, &error))?;
    fs::remove_file(&copy).map_err(|error| at(&copy, &error))?;
    Ok(text)
}

/// A line of the list; a path that leads out of the folder is refused.
fn parse(line: &str) -> Result<(Digest, &str), Failure> {
    let refuse = || Failure::refused(format!("{SUMS}: {line:?} is no digest and path"));
    let (digest, name) = line.split_once("  ").ok_or_else(refuse)?;
    let digest = digest.parse().map_err(|_| refuse())?;
    archive::check_path(name, &archive::Limits::default()).map_err(|_| refuse())?;
    Ok((digest, name))
}

fn changed(path: &Path) -> Failure {
    Failure::refused(format!("{} is not what was copied", path.display()))
        .hint("nothing was restored; use another copy")
        .code("object_corrupt")
}
