//! Kept: the cells of a run that is over, in a file beside its records.
//!
//! Always true: the file is whole or is not used; without it the same cells are made of the records.
//! Absent on purpose: those of a run that goes on, which are in memory.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{CELLS_MAX, Cell, Cells, PLACES_MAX};
use crate::key::Folder;
use crate::replay::error::Error;

const NAME: &str = "cells.json.zst";
/// What is written now; another form has another number. In the first one responses were of all sends.
const FORM: u32 = 2;
/// How hard it is packed: as hard as files of records are.
const LEVEL: i32 = 1;

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    form: u32,
    width_ms: u64,
    began_ns: Option<u64>,
    places: Vec<(Arc<str>, Arc<str>)>,
    cells: Vec<((u64, u16, u16), Cell)>,
}

/// Writes them. What cannot be written is left out: they can be had again.
pub(in crate::replay) fn write(folder: &Folder, cells: &Cells) {
    if let Err(error) = try_write(folder, cells) {
        tracing::debug!(%error, folder = %folder.path.display(), "the cells of a run were not kept");
    }
}

fn try_write(folder: &Folder, cells: &Cells) -> io::Result<()> {
    let kept = Kept {
        form: FORM,
        width_ms: cells.width_ms,
        began_ns: cells.began_ns,
        places: cells.places.clone(),
        cells: cells.by_place.iter().map(|(at, cell)| (*at, Cell::clone(cell))).collect(),
    };
    let unfinished = folder.path.join("cells.tmp");
    let mut packed = zstd::Encoder::new(Vec::new(), LEVEL)?;
    serde_json::to_writer(&mut packed, &kept)?;
    let packed = packed.finish()?;
    let mut file = File::create(&unfinished)?;
    match &folder.key {
        Some(key) => file.write_all(&key.seal(NAME, &packed))?,
        None => file.write_all(&packed)?,
    }
    file.sync_all()?;
    fs::rename(&unfinished, path(&folder.path))
}

/// Reads them; none where there is no file, or one that is not what was written.
pub(in crate::replay) fn read(folder: &Folder) -> Option<Cells> {
    let mut packed = fs::read(path(&folder.path)).ok()?;
    if let Some(key) = &folder.key {
        packed = key.open(NAME, &packed)?;
    }
    let packed = zstd::Decoder::with_buffer(packed.as_slice()).ok()?;
    let kept: Kept = serde_json::from_reader(io::BufReader::new(packed)).ok()?;
    let Kept { form, width_ms, began_ns, places, cells } = kept;
    let exist = |place: u16| usize::from(place) < places.len();
    let is_good = form == FORM
        && width_ms > 0
        && places.len() <= PLACES_MAX + 1
        && cells.len() <= CELLS_MAX
        && cells.iter().all(|((_, _, place), _)| exist(*place));
    if !is_good {
        return None;
    }
    let known = places.iter().zip(0..).skip(1).map(|(pair, place)| (pair.clone(), place)).collect();
    let by_place = cells.into_iter().map(|(at, cell)| (at, Arc::new(cell))).collect();
    Some(Cells { width_ms, began_ns, by_place, places, known })
}

/// Removes them, since the run goes on.
pub(in crate::replay) fn forget(folder: &Path) -> Result<(), Error> {
    match fs::remove_file(path(folder)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", path(folder))(error))
        }
        _ => Ok(()),
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}
