//! Cells: what a run measured, by time, variant, region and group.
//!
//! A cell is a stretch of time of a variant, region and group: counts by outcome, and sketches of
//! times. Where cells become too many, stretches are made twice as long.
//!
//! Always true: cells that are added up are what all their records come to; there are never more than
//! [`CELLS_MAX`], however long a run is and whatever regions and groups it meets; a copy of all of
//! them shares what does not change any more.
//! Absent on purpose: single records ([`super::files`]).

pub(super) mod kept;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use policy::sketch::Sketch;
use serde::{Deserialize, Serialize};

use super::record::{Outcome, Record, Took};

/// Most cells of a run: over four hours of one variant by the second, or half an hour by eighths.
pub const CELLS_MAX: usize = 16_384;
/// Most pairs of region and group that have cells of their own: the first that come, among which
/// those are that have a larger part than one in so many. The others have one together.
pub const PLACES_MAX: usize = 512;
/// Most variants of a run.
pub const VARIANTS_MAX: usize = 8;
/// What those without cells of their own are called; no region or group of an event can be.
pub const OTHERS: &str = "(others)";

/// How long a stretch is at first, in milliseconds: an eighth of a second, so that a run of some
/// seconds has a course, and whole seconds are whole stretches.
const WIDTH_MS: u64 = 125;
const MS_NS: u64 = 1_000_000;

/// How many sends had each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// By the outcomes' order in [`Outcome::ALL`].
    by_outcome: [u64; Outcome::ALL.len()],
}

impl Counts {
    /// How many had this one.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.by_outcome[outcome as usize]
    }

    /// Those that were sent.
    pub fn sent(&self) -> u64 {
        Outcome::ALL.iter().filter(|one| one.is_sent()).map(|one| self.of(*one)).sum()
    }

    /// Those that were answered.
    pub fn answered(&self) -> u64 {
        Outcome::ALL.iter().filter(|one| one.is_answered()).map(|one| self.of(*one)).sum()
    }

    /// All of them.
    pub fn all(&self) -> u64 {
        self.by_outcome.iter().sum()
    }

    /// Counts one.
    pub(super) fn add(&mut self, outcome: Outcome) {
        self.by_outcome[outcome as usize] += 1;
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.by_outcome.iter_mut().zip(other.by_outcome) {
            *count += more;
        }
    }
}

/// What some records come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// By outcome.
    pub counts: Counts,
    /// Those that were sent and are the first of their event: what is evidence.
    pub firsts: u64,
    /// How much too late sends were, in nanoseconds.
    pub lag: Sketch,
    /// From when a send was intended until its good answer, in nanoseconds. What has none has no time:
    /// it is slower than any, however quickly it failed.
    pub response: Sketch,
    /// From when it was sent until it was answered or given up, in nanoseconds.
    pub latency: Sketch,
    /// What services told of their own time, in nanoseconds.
    pub service: Sketch,
    /// What of their latency services did not account for, in nanoseconds.
    pub overhead: Sketch,
    /// How long they said that requests waited for them, in nanoseconds.
    pub queue: Sketch,
    /// What else they told.
    pub used: Used,
    /// Events with a label, each once.
    pub judged: u64,
    /// Those of them whose prediction was right.
    pub right: u64,
    /// Bytes of requests.
    pub bytes_out: u64,
    /// Bytes of answers.
    pub bytes_in: u64,
}

/// What answers told of what they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// Answers that told whether they waited.
    pub told: u64,
    /// Those of them that had to wait for the start of an instance.
    pub starts: u64,
    /// How long those starts took together, in microseconds.
    pub start_us: u64,
    /// Answers that told of their time of processors.
    pub cpu_told: u64,
    /// That time together, in microseconds.
    pub cpu_us: u64,
    /// The most memory of an instance, in bytes; 0 where none told.
    pub memory_bytes: u64,
}

impl Used {
    fn add(&mut self, took: &Took) {
        self.told += u64::from(took.queue_us.is_some());
        self.starts += u64::from(took.start_us.is_some());
        self.start_us = self.start_us.saturating_add(took.start_us.unwrap_or(0));
        self.cpu_told += u64::from(took.cpu_us.is_some());
        self.cpu_us = self.cpu_us.saturating_add(took.cpu_us.unwrap_or(0));
        self.memory_bytes = self.memory_bytes.max(took.memory_bytes.unwrap_or(0));
    }

    fn merge(&mut self, other: &Self) {
        self.told += other.told;
        self.starts += other.starts;
        self.start_us = self.start_us.saturating_add(other.start_us);
        self.cpu_told += other.cpu_told;
        self.cpu_us = self.cpu_us.saturating_add(other.cpu_us);
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
    }
}

impl Cell {
    /// Adds a record.
    pub fn add(&mut self, record: &Record) {
        self.counts.add(record.outcome);
        let (Some(lag), Some(response), Some(latency)) =
            (record.lag_ns(), record.response_ns(), record.latency_ns())
        else {
            return;
        };
        self.firsts += u64::from(record.copy == 0);
        self.lag.add(lag);
        if record.outcome == Outcome::Ok {
            self.response.add(response);
        }
        self.latency.add(latency);
        if let Some(service_us) = record.service_us {
            self.service.add(service_us.saturating_mul(1_000));
        }
        if let Some(overhead) = record.overhead_ns() {
            self.overhead.add(overhead);
        }
        if let Some(queue_us) = record.took.queue_us {
            self.queue.add(queue_us.saturating_mul(1_000));
        }
        self.used.add(&record.took);
        if let Some(right) = record.right.filter(|_| record.copy == 0) {
            self.judged += 1;
            self.right += u64::from(right);
        }
        self.bytes_out += record.bytes_out;
        self.bytes_in += record.bytes_in;
    }

    /// Adds another cell.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.firsts += other.firsts;
        self.lag.merge(&other.lag);
        self.response.merge(&other.response);
        self.latency.merge(&other.latency);
        self.service.merge(&other.service);
        self.overhead.merge(&other.overhead);
        self.queue.merge(&other.queue);
        self.used.merge(&other.used);
        self.judged += other.judged;
        self.right += other.right;
        self.bytes_out += other.bytes_out;
        self.bytes_in += other.bytes_in;
    }
}

/// Which records a cell is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Of {
    /// From which millisecond of the run on, by intended times.
    pub from_ms: u64,
    /// For how many milliseconds.
    pub for_ms: u64,
    /// The variant's place.
    pub variant: u16,
    /// The region.
    pub region: Arc<str>,
    /// The group.
    pub group: Arc<str>,
}

/// All cells of a run.
#[derive(Clone, Debug)]
pub struct Cells {
    width_ms: u64,
    /// When the run began, by its first record, in nanoseconds since 1970.
    began_ns: Option<u64>,
    /// By stretch, variant, and place among those below.
    by_place: BTreeMap<(u64, u16, u16), Arc<Cell>>,
    places: Vec<(Arc<str>, Arc<str>)>,
    known: HashMap<(Arc<str>, Arc<str>), u16>,
}

impl Default for Cells {
    fn default() -> Self {
        let others: (Arc<str>, Arc<str>) = (OTHERS.into(), OTHERS.into());
        let (by_place, known) = (BTreeMap::new(), HashMap::new());
        Self { width_ms: WIDTH_MS, began_ns: None, by_place, places: vec![others], known }
    }
}

impl Cells {
    /// Adds a record.
    pub fn add(&mut self, record: &Record) {
        self.began_ns.get_or_insert(record.intended_ns.saturating_sub(record.offset_ns));
        let place = self.place(record);
        let slot = record.offset_ns / MS_NS / self.width_ms;
        let cell = self.by_place.entry((slot, record.variant, place)).or_default();
        Arc::make_mut(cell).add(record);
        while self.by_place.len() > CELLS_MAX {
            self.widen();
        }
    }

    /// All cells, in the order of time, variant, and when their places came first.
    pub fn iter(&self) -> impl Iterator<Item = (Of, &Cell)> {
        self.by_place.iter().map(|((slot, variant, place), cell)| {
            let (region, group) = self.places[usize::from(*place)].clone();
            let (from_ms, for_ms) = (slot * self.width_ms, self.width_ms);
            (Of { from_ms, for_ms, variant: *variant, region, group }, &**cell)
        })
    }

    /// What those cells come to together that are asked for.
    pub fn together(&self, wanted: impl Fn(&Of) -> bool) -> Cell {
        let mut sum = Cell::default();
        for (_, cell) in self.iter().filter(|(of, _)| wanted(of)) {
            sum.merge(cell);
        }
        sum
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_place.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    /// The milliseconds of each stretch.
    pub fn width_ms(&self) -> u64 {
        self.width_ms
    }

    /// When the run began, in nanoseconds since 1970; none before its first record.
    pub fn began_ns(&self) -> Option<u64> {
        self.began_ns
    }

    fn place(&mut self, record: &Record) -> u16 {
        let pair = (Arc::clone(&record.region), Arc::clone(&record.group));
        if let Some(place) = self.known.get(&pair) {
            return *place;
        }
        if self.places.len() > PLACES_MAX {
            return 0;
        }
        let place = u16::try_from(self.places.len()).unwrap_or(0);
        self.places.push(pair.clone());
        self.known.insert(pair, place);
        place
    }

    /// Makes stretches twice as long.
    fn widen(&mut self) {
        self.width_ms *= 2;
        for ((slot, variant, place), cell) in std::mem::take(&mut self.by_place) {
            let wider = self.by_place.entry((slot / 2, variant, place));
            wider.and_modify(|wider| Arc::make_mut(wider).merge(&cell)).or_insert(cell);
        }
    }
}

// One stretch always has room, and so has the one after it: to widen ends.
const _: () = assert!(2 * VARIANTS_MAX * (PLACES_MAX + 1) <= CELLS_MAX);

#[cfg(test)]
mod tests;
