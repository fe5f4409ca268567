//! Stats: how many events, of what, when and how fast.
//!
//! Always true: counts are exact; where there are more values than are counted one by one, those that
//! came first are, and the rest together. Absent on purpose: what is in the data.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Found, Selection};
use crate::error::Error;
use crate::log;
use crate::stream::Stream;

/// Most values of a field that are counted one by one: bounds the memory.
const VALUES_MAX: usize = 10_000;
/// Most values of a field that are told, those with the most events.
pub const TOP_MAX: usize = 20;
/// Nanoseconds of a second.
const SECOND_NS: u64 = 1_000_000_000;
/// Microhertz of a hertz.
const UHZ: u128 = 1_000_000;

/// What is known of a selection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// How many events.
    pub events: u64,
    /// When the first happened, in Unix nanoseconds; none where there is none.
    pub first_ns: Option<u64>,
    /// When the last did.
    pub last_ns: Option<u64>,
    /// Events per second from the first to the last, in microhertz; none where no time is between.
    pub rate_mean_uhz: Option<u64>,
    /// Most events within one second of the clock.
    pub rate_peak_per_s: u64,
    /// The beginning of the first such second, in Unix nanoseconds.
    pub peak_ns: Option<u64>,
    /// By types.
    pub kinds: Counted,
    /// By regions; the empty text is for none.
    pub regions: Counted,
    /// By groups; the empty text is for none.
    pub groups: Counted,
    /// How many events of the whole stream happened before the one that was accepted before them.
    pub stream_disordered: u64,
    /// What the whole stream takes on the disk, in bytes.
    pub stream_bytes: u64,
    /// Segments of the whole stream.
    pub stream_segments: u64,
    /// The number of the whole stream's next event.
    pub stream_next: u64,
}

/// Events by a field's values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// The values with the most events, the most first.
    pub top: Vec<(String, u64)>,
    /// Events of all other values.
    pub others: u64,
    /// How many values there are; with `is_more`, at least so many.
    pub values: u64,
    /// Whether there are more values than were counted one by one.
    pub is_more: bool,
}

#[derive(Default)]
struct Counts {
    by_value: BTreeMap<String, u64>,
    others: u64,
}

impl Counts {
    fn count(&mut self, value: &str) {
        if let Some(count) = self.by_value.get_mut(value) {
            *count += 1;
        } else if self.by_value.len() < VALUES_MAX {
            self.by_value.insert(value.to_owned(), 1);
        } else {
            self.others += 1;
        }
    }

    fn counted(self) -> Counted {
        let (values, is_more) = (self.by_value.len() as u64, self.others > 0);
        let mut top: Vec<(String, u64)> = self.by_value.into_iter().collect();
        top.sort_by(|one, next| next.1.cmp(&one.1).then_with(|| one.0.cmp(&next.0)));
        let rest = top.split_off(top.len().min(TOP_MAX));
        let others = self.others + rest.iter().map(|(_, count)| count).sum::<u64>();
        Counted { top, others, values, is_more }
    }
}

impl Stream {
    /// Counts what is selected, and tells how much of the segments was read for it. Waits for the
    /// disk.
    ///
    /// # Errors
    ///
    /// As [`Stream::select`].
    pub fn stats(&self, selection: &Selection) -> Result<(Stats, Found), Error> {
        let mut selecting = self.selecting(selection, Some(&["type", "region", "group"]))?;
        let (mut stats, mut second) = (Stats::default(), (0, 0));
        let [mut kinds, mut regions, mut groups] = <[Counts; 3]>::default();
        while selecting.step()? {
            let Some(row) = selecting.row() else { break };
            if !selecting.wants_label_of(row) {
                continue;
            }
            let time_ns = row.time_ns();
            stats.events += 1;
            stats.first_ns.get_or_insert(time_ns);
            stats.last_ns = Some(time_ns);
            kinds.count(row.kind());
            regions.count(row.region());
            groups.count(row.group());
            let at = time_ns / SECOND_NS;
            second = if second.0 == at { (at, second.1 + 1) } else { (at, 1) };
            if second.1 > stats.rate_peak_per_s {
                stats.rate_peak_per_s = second.1;
                stats.peak_ns = Some(at * SECOND_NS);
            }
        }
        (stats.kinds, stats.regions) = (kinds.counted(), regions.counted());
        stats.groups = groups.counted();
        stats.rate_mean_uhz = mean_uhz(&stats);
        self.whole(&mut stats)?;
        Ok((stats, selecting.found()))
    }

    fn whole(&self, stats: &mut Stats) -> Result<(), Error> {
        let sealed = self.shared.segments.current();
        stats.stream_segments = sealed.held.len() as u64;
        stats.stream_bytes = sealed.held.iter().map(|held| held.segment.bytes).sum();
        for part in log::parts(&self.shared.folder.path)? {
            // It may be sealed and gone by now.
            stats.stream_bytes += std::fs::metadata(&part.path).map_or(0, |it| it.len());
        }
        stats.stream_next = *self.committed().borrow();
        stats.stream_disordered = sealed.disordered;
        let (mut reader, mut last_ns) = (self.reader(sealed.sealed_until), sealed.last_time_ns);
        loop {
            let events = reader.read(stats.stream_next, super::READ_MAX)?;
            if events.is_empty() {
                return Ok(());
            }
            for stored in events {
                stats.stream_disordered += u64::from(stored.event.time_ns < last_ns);
                last_ns = stored.event.time_ns;
            }
        }
    }
}

/// The events after the first by the time from it to the last.
fn mean_uhz(stats: &Stats) -> Option<u64> {
    let span_ns = stats.last_ns?.checked_sub(stats.first_ns?).filter(|span_ns| *span_ns > 0)?;
    let after = u128::from(stats.events - 1) * UHZ * u128::from(SECOND_NS);
    u64::try_from(after / u128::from(span_ns)).ok()
}
