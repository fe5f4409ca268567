//! Cells: what a run measured, by time, variant, region and group.
//!
//! A cell is a stretch of time of a variant, region and group: counts by outcome, and sketches of
//! times. Where cells become too many, stretches are made twice as long.
//!
//! Always true: cells that are added up are what all their records come to; there are never more than
//! [`CELLS_MAX`], however long a run is and whatever regions and groups it meets.
//! Absent on purpose: single records ([`super::files`]).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use policy::sketch::Sketch;
use serde::Serialize;

use super::record::{Outcome, Record};

/// Most cells of a run: over four hours of one variant by the second.
pub const CELLS_MAX: usize = 16_384;
/// Most pairs of region and group that have cells of their own: the first that come, among which
/// those are that have a larger part than one in so many. The others have one together.
pub const PLACES_MAX: usize = 512;
/// Most variants of a run.
pub const VARIANTS_MAX: usize = 8;
/// What those without cells of their own are called; no region or group of an event can be.
pub const OTHERS: &str = "(others)";

const SECOND_NS: u64 = 1_000_000_000;

/// How many sends had each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// By outcome.
    pub counts: Counts,
    /// Those that were sent and are the first of their event: what is evidence.
    pub firsts: u64,
    /// How much too late sends were, in nanoseconds.
    pub lag: Sketch,
    /// From when a send was intended until it was answered or given up, in nanoseconds.
    pub response: Sketch,
    /// From when it was sent until it was answered or given up, in nanoseconds.
    pub latency: Sketch,
    /// What services told of their own time, in nanoseconds.
    pub service: Sketch,
    /// Bytes of requests.
    pub bytes_out: u64,
    /// Bytes of answers.
    pub bytes_in: u64,
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
        self.response.add(response);
        self.latency.add(latency);
        if let Some(service_us) = record.service_us {
            self.service.add(service_us.saturating_mul(1_000));
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
        self.bytes_out += other.bytes_out;
        self.bytes_in += other.bytes_in;
    }
}

/// Which records a cell is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Of {
    /// From which second of the run on, by intended times.
    pub from_s: u64,
    /// For how many seconds.
    pub for_s: u64,
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
    width_s: u64,
    /// By stretch, variant, and place among those below.
    by_place: BTreeMap<(u64, u16, u16), Cell>,
    places: Vec<(Arc<str>, Arc<str>)>,
    known: HashMap<(Arc<str>, Arc<str>), u16>,
}

impl Default for Cells {
    fn default() -> Self {
        let others: (Arc<str>, Arc<str>) = (OTHERS.into(), OTHERS.into());
        let (by_place, known) = (BTreeMap::new(), HashMap::new());
        Self { width_s: 1, by_place, places: vec![others], known }
    }
}

impl Cells {
    /// Adds a record.
    pub fn add(&mut self, record: &Record) {
        let place = self.place(record);
        let slot = record.offset_ns / SECOND_NS / self.width_s;
        self.by_place.entry((slot, record.variant, place)).or_default().add(record);
        while self.by_place.len() > CELLS_MAX {
            self.widen();
        }
    }

    /// All cells, in the order of time, variant, and when their places came first.
    pub fn iter(&self) -> impl Iterator<Item = (Of, &Cell)> {
        self.by_place.iter().map(|((slot, variant, place), cell)| {
            let (region, group) = self.places[usize::from(*place)].clone();
            let (from_s, for_s) = (slot * self.width_s, self.width_s);
            (Of { from_s, for_s, variant: *variant, region, group }, cell)
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

    /// The seconds of each stretch.
    pub fn width_s(&self) -> u64 {
        self.width_s
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
        self.width_s *= 2;
        for ((slot, variant, place), cell) in std::mem::take(&mut self.by_place) {
            let wider = self.by_place.entry((slot / 2, variant, place)).or_default();
            wider.merge(&cell);
        }
    }
}

// One stretch always has room, and so has the one after it: to widen ends.
const _: () = assert!(2 * VARIANTS_MAX * (PLACES_MAX + 1) <= CELLS_MAX);

#[cfg(test)]
mod tests;
