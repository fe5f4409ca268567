//! Where a source goes on: a number in a file of its own, beside the streams.
//!
//! Always true: what was written is there after the power went, or what was before it is.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use api::functions::sources::SourceStart;
use api::internal::functions::sources::SourceRoute;
use types::SourceId;

use crate::error::Error;
use crate::hub::Hub;
use crate::streams::blocking;

/// The number of the first event that is not done; that of the event with which it is to begin, where
/// it has not begun.
///
/// # Errors
///
/// Where the disk fails, or has something there that is no number.
pub(super) async fn read(
    hub: &Hub,
    told: &SourceRoute,
    stream: &events::Stream,
) -> Result<u64, Error> {
    let path = path(hub, told.source)?;
    let at_us = match told.spec.start {
        SourceStart::Oldest => 0,
        SourceStart::Next => told.created_at_ms.saturating_mul(1_000),
        SourceStart::AtMs(at_ms) => at_ms.saturating_mul(1_000),
    };
    let stream = stream.clone();
    blocking(move || match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|_| {
            failed(io::Error::other(format!("{} has no number of an event", path.display())))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let first = first_since(&stream, at_us)?;
            put(&path, first)?;
            Ok(first)
        }
        Err(error) => Err(failed(error)),
    })
    .await
}

/// The number of the first event that was accepted at this time or later. Numbers grow with time, so
/// it is found by halves.
fn first_since(stream: &events::Stream, at_us: u64) -> Result<u64, Error> {
    let committed = *stream.committed().borrow();
    let (mut low, mut high) = (1, committed);
    while at_us > 0 && low < high {
        let middle = low + (high - low) / 2;
        let found = stream.reader(middle).read(committed, 1)?;
        match found.first() {
            Some(event) if event.accepted_us < at_us => low = event.sequence + 1,
            _ => high = middle,
        }
    }
    // What is not kept any more was never its to have.
    let found = stream.reader(low).read(committed, 1)?;
    Ok(found.first().map_or(low, |event| event.sequence))
}

/// Keeps the number of the first event that is not done.
pub(super) async fn write(hub: &Hub, id: SourceId, next: u64) -> Result<(), Error> {
    let path = path(hub, id)?;
    blocking(move || put(&path, next)).await
}

fn put(path: &Path, next: u64) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(path);
    let written = || {
        fs::create_dir_all(folder)?;
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        writeln!(file, "{next}")?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(folder)?.sync_all()
    };
    written().map_err(failed)
}

/// Forgets where sources were that were removed since it was asked last.
pub(super) async fn forget(hub: &Hub, known: &mut HashSet<SourceId>) {
    let table = hub.table.load_full();
    // Before the first routes, and after the last ones, there is nothing in them.
    if table.generation() == 0 {
        return;
    }
    let now: HashSet<SourceId> = table.sources().iter().map(|told| told.source).collect();
    for gone in known.difference(&now) {
        let Ok(path) = path(hub, *gone) else { continue };
        let removed = blocking(move || match fs::remove_file(&path) {
            // One that was not there never began.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        });
        // What could not be removed was told, and is some bytes that nothing leads to.
        let _ = removed.await;
    }
    *known = now;
}

fn path(hub: &Hub, id: SourceId) -> Result<PathBuf, Error> {
    let missing = || Error::Stream {
        kind: types::ErrorKind::Unavailable,
        message: "this gateway has no folder for streams".to_owned(),
    };
    Ok(hub.streams.sources_folder().ok_or_else(missing)?.join(id.to_string()))
}

fn failed(error: io::Error) -> Error {
    Error::from(events::Error::Input(error))
}
