//! Series: how a run went over its time, or over the hours of the day at which its events happened.
//!
//! Always true: each cell, or record, is in one window of one line, and windows that are added up are
//! all that was asked for; there are at most [`WINDOWS_MAX`] windows and [`LINES_MAX`] lines, and what
//! is beyond is one line more. Absent on purpose: words for times and zones.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cells::{self, Cell, Cells, OTHERS, Of};
use super::error::Error;
use super::files;
use super::record::Record;
use crate::key::Folder;

/// Most windows of a line: as many as a wide screen has room for.
pub const WINDOWS_MAX: u64 = 1_000;
/// Most lines but that of all others: more than anybody tells apart.
pub const LINES_MAX: usize = 24;
/// Hours of a day, each a window.
pub const HOURS: u64 = 24;
const HOUR_MS: u64 = 3_600_000;

/// What a line is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// One variant.
    Variant,
    /// One region.
    Region,
    /// One group.
    Group,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// How long a window is, in milliseconds; whole stretches of cells, where that is more.
    pub step_ms: u64,
    /// What lines are of.
    pub by: By,
    /// Of the run, from and before these milliseconds.
    pub from_ms: u64,
    /// See above.
    pub to_ms: u64,
    /// The variant's place; all where none is said.
    pub variant: Option<u16>,
    /// The region; all where none is said.
    pub region: Option<String>,
    /// The group; all where none is said.
    pub group: Option<String>,
}

/// Windows by line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// How long a window is, in milliseconds.
    pub step_ms: u64,
    /// When the run began, in nanoseconds since 1970.
    pub began_ns: Option<u64>,
    /// The lines, those with the most requests first.
    pub lines: Vec<Line>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The variant's place, the region or the group; none of all others.
    pub key: Option<Key>,
    /// By the milliseconds at which a window begins; windows without a request are left out.
    pub windows: BTreeMap<u64, Cell>,
}

/// Whose line it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A variant, by its place.
    Variant(u16),
    /// A region or a group, by its name.
    Name(Arc<str>),
}

impl Asked {
    fn wants(&self, variant: u16, region: &str, group: &str) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|it| it == name);
        self.variant.is_none_or(|wanted| wanted == variant)
            && is(&self.region, region)
            && is(&self.group, group)
    }

    fn key(&self, variant: u16, region: &Arc<str>, group: &Arc<str>) -> Key {
        match self.by {
            By::Variant => Key::Variant(variant),
            By::Region => Key::Name(Arc::clone(region)),
            By::Group => Key::Name(Arc::clone(group)),
        }
    }
}

/// The cells of a run that is over: as they were kept, or made again of its records.
///
/// # Errors
///
/// As [`files::read`].
pub fn cells(folder: impl Into<Folder>) -> Result<Cells, Error> {
    let folder = folder.into();
    if let Some(kept) = cells::kept::read(&folder) {
        return Ok(kept);
    }
    let mut cells = Cells::default();
    for record in files::read(folder)? {
        cells.add(&record?);
    }
    Ok(cells)
}

/// How it went over its time.
pub fn by_time(cells: &Cells, asked: &Asked) -> Series {
    let wanted = |of: &Of| {
        let from_ms = of.from_ms.saturating_add(of.for_ms) > asked.from_ms;
        from_ms && of.from_ms < asked.to_ms && asked.wants(of.variant, &of.region, &of.group)
    };
    let last_ms = cells.iter().filter(|(of, _)| wanted(of)).map(|(of, _)| of.from_ms).max();
    let span_ms = last_ms.unwrap_or(0).saturating_sub(asked.from_ms);
    let wanted_ms = (span_ms / WINDOWS_MAX + 1).max(asked.step_ms.max(1));
    let step_ms = wanted_ms.div_ceil(cells.width_ms()) * cells.width_ms();
    let mut lines = Lines::default();
    for (of, cell) in cells.iter().filter(|(of, _)| wanted(of)) {
        let key = asked.key(of.variant, &of.region, &of.group);
        lines.merge(key, of.from_ms / step_ms * step_ms, cell);
    }
    Series { step_ms, began_ns: cells.began_ns(), lines: lines.ended() }
}

/// How it went by the hour of the day, of `hour_of` a time in nanoseconds since 1970: when the event
/// happened, or was sent where that is not known. Reads all records.
///
/// # Errors
///
/// As [`files::read`].
pub fn by_hour(
    folder: impl Into<Folder>,
    asked: &Asked,
    hour_of: impl Fn(u64) -> u64,
) -> Result<Series, Error> {
    let mut lines = Lines::default();
    let mut began_ns = None;
    for record in files::read(folder)? {
        let record = record?;
        let Record { variant, region, group, offset_ns, intended_ns, .. } = &record;
        began_ns.get_or_insert(intended_ns.saturating_sub(*offset_ns));
        let offset_ms = offset_ns / 1_000_000;
        let is_then = (asked.from_ms..asked.to_ms).contains(&offset_ms);
        if is_then && asked.wants(*variant, region, group) {
            let hour = hour_of(record.happened_ns.unwrap_or(*intended_ns)) % HOURS;
            lines.add(asked.key(*variant, region, group), hour * HOUR_MS, &record);
        }
    }
    Ok(Series { step_ms: HOUR_MS, began_ns, lines: lines.ended() })
}

/// Lines as they grow.
#[derive(Default)]
struct Lines {
    by_key: BTreeMap<Option<Key>, BTreeMap<u64, Cell>>,
}

/// Most keys that are kept apart until it is known which have the most.
const KEYS_MAX: usize = cells::PLACES_MAX + 1;

impl Lines {
    fn window(&mut self, key: Key, at_ms: u64) -> &mut Cell {
        let is_known = self.by_key.len() < KEYS_MAX || self.by_key.contains_key(&Some(key.clone()));
        let is_one = is_known && !matches!(&key, Key::Name(name) if **name == *OTHERS);
        let line = self.by_key.entry(is_one.then_some(key)).or_default();
        line.entry(at_ms).or_default()
    }

    fn merge(&mut self, key: Key, at_ms: u64, cell: &Cell) {
        self.window(key, at_ms).merge(cell);
    }

    fn add(&mut self, key: Key, at_ms: u64, record: &Record) {
        self.window(key, at_ms).add(record);
    }

    /// Those with the most requests, and all others together as the last.
    fn ended(self) -> Vec<Line> {
        let mut others: BTreeMap<u64, Cell> = BTreeMap::new();
        let mut lines = Vec::new();
        for (key, windows) in self.by_key {
            match key {
                None => others = windows,
                key => lines.push(Line { key, windows }),
            }
        }
        let size = |line: &Line| -> u64 { line.windows.values().map(|it| it.counts.all()).sum() };
        lines.sort_by_cached_key(|line| (std::cmp::Reverse(size(line)), line.key.clone()));
        for line in lines.split_off(LINES_MAX.min(lines.len())) {
            for (at_ms, cell) in line.windows {
                others.entry(at_ms).or_default().merge(&cell);
            }
        }
        if !others.is_empty() {
            lines.push(Line { key: None, windows: others });
        }
        lines
    }
}

#[cfg(test)]
mod tests;
