//! Segments: how a stream's sorted events are cut into files, which of them are merged, and which go.
//!
//! A busy hour has files of its own, so that a question about an hour reads that hour; quiet hours
//! share one, so that events spread over years do not become a file for every hour of them.
//!
//! Always true: the cuts hold every event once and in order; an hour with [`HOUR_EVENTS_MIN`] events
//! or more shares a file with no other; the oldest files go first.
//! Absent on purpose: reading, writing and removing them.

use std::ops::Range;

/// An hour with as many events has files of its own: fewer are not worth opening a file for.
pub const HOUR_EVENTS_MIN: usize = 4_096;
/// Nanoseconds of an hour.
pub const HOUR_NS: u64 = 3_600_000_000_000;

/// Cuts events, by their times in ascending order, into files.
pub fn cuts(times_ns: &[u64]) -> Vec<Range<usize>> {
    let mut cuts: Vec<Range<usize>> = Vec::new();
    let mut is_open = false;
    let mut from = 0;
    for hour in times_ns.chunk_by(|one, next| one / HOUR_NS == next / HOUR_NS) {
        let until = from + hour.len();
        let is_busy = hour.len() >= HOUR_EVENTS_MIN;
        match cuts.last_mut().filter(|_| is_open && !is_busy) {
            Some(last) => last.end = until,
            None => cuts.push(from..until),
        }
        is_open = !is_busy && cuts.last().is_some_and(|last| last.len() < HOUR_EVENTS_MIN);
        from = until;
    }
    cuts
}

/// Most events that are sealed or merged at once: what is sorted in memory.
pub const SEALED_EVENTS_MAX: u64 = 256 * 1024;
/// Most bytes of events, as they lie in the log, that are sealed or merged at once.
pub const SEALED_BYTES_MAX: u64 = 64 << 20;
/// Longest time in which what is merged was accepted, in microseconds: a day, so that what is kept
/// for some days goes by days.
pub const MERGED_US_MAX: u64 = 24 * 3_600_000_000;
/// A batch is merged with what was sealed after it when it has at most as many times its events.
const MERGED_TIMES: u64 = 2;

/// What was sealed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its events.
    pub events: u64,
    /// Their bytes, as they lay in the log.
    pub bytes: u64,
    /// When the first of them was accepted, in Unix microseconds.
    pub first_us: u64,
    /// When the last was.
    pub last_us: u64,
}

/// How many of the last batches are to be merged; 0 where none are.
///
/// Small ones grow together, each event a few times, so that their number grows with the logarithm of
/// their events and with the days only.
pub fn merged(batches: &[Batch]) -> usize {
    let Some((last, earlier)) = batches.split_last() else { return 0 };
    let (mut events, mut bytes, mut count) = (last.events, last.bytes, 1);
    for batch in earlier.iter().rev() {
        let is_small = batch.events <= events.saturating_mul(MERGED_TIMES);
        events = events.saturating_add(batch.events);
        bytes = bytes.saturating_add(batch.bytes);
        let has_room = events <= SEALED_EVENTS_MAX && bytes <= SEALED_BYTES_MAX;
        if !is_small || !has_room || last.last_us.saturating_sub(batch.first_us) > MERGED_US_MAX {
            break;
        }
        count += 1;
    }
    if count > 1 { count } else { 0 }
}

/// How long what is sealed is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// A file goes when all its events were accepted longer ago than this, in milliseconds.
    pub age_ms_max: Option<u64>,
    /// The oldest files go until there are no more bytes than this.
    pub bytes_max: Option<u64>,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its length.
    pub bytes: u64,
    /// When the last of its events was accepted, in Unix microseconds.
    pub accepted_us: u64,
    /// When the last of its events happened, in Unix nanoseconds.
    pub time_ns: u64,
}

/// Which files go, by their places in the list; in ascending order.
pub fn expired(files: &[Held], retention: &Retention, now_us: u64) -> Vec<usize> {
    let mut places: Vec<usize> = (0..files.len()).collect();
    places.sort_by_key(|&place| (files[place].accepted_us, files[place].time_ns, place));
    let mut left_bytes = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
    let mut gone: Vec<usize> = Vec::new();
    for place in places {
        let file = files[place];
        let age_us = now_us.saturating_sub(file.accepted_us);
        let is_old = retention.age_ms_max.is_some_and(|most| age_us / 1_000 > most);
        let is_over = retention.bytes_max.is_some_and(|most| left_bytes > most);
        if is_old || is_over {
            left_bytes -= file.bytes;
            gone.push(place);
        }
    }
    gone.sort_unstable();
    gone
}

#[cfg(test)]
mod tests;
