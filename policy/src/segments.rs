//! Segments: how a stream's sorted events are cut into files, and which files go when.
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
