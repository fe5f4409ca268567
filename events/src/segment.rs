//! Segments: what was sealed of a stream, as Parquet files that others read too.
//!
//! A file has the events of an hour of event time, or of some quiet ones, sorted by time and number.
//! Its columns: `sequence`, `time`, `accepted`, `id`, `source`, `type`, `subject`, `region`, `group`,
//! `attributes`, `content_type`, and the data: as `data` where it is UTF-8, else as `data_bytes`.
//! What is empty is null.
//!
//! Always true: a segment is never changed; one that is in the manifest is whole and on the disk.
//! Absent on purpose: what is selected, and when to seal.

mod faults;
mod folder;
pub(crate) mod manifest;
pub(crate) mod read;
mod seal;
pub(crate) mod table;

use serde::{Deserialize, Serialize};

pub use folder::Forgotten;
pub(crate) use folder::{Held, Segments, Snapshot};
pub(crate) use manifest::Manifest;

/// A segment, as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The name of its file in the folder `segments`.
    pub file: String,
    /// The number of the first event that was sealed with it, whichever segment it is in.
    pub batch: u64,
    /// The number of the last one.
    pub batch_last: u64,
    /// The lowest number of an event in it.
    pub first: u64,
    /// The highest.
    pub last: u64,
    /// When the first of its events happened, in Unix nanoseconds.
    pub first_ns: u64,
    /// When the last did.
    pub last_ns: u64,
    /// When the first was accepted, in Unix microseconds.
    pub accepted_first_us: u64,
    /// When the last was.
    pub accepted_us: u64,
    /// Its events.
    pub rows: u64,
    /// The bytes of its events, as they lay in the log.
    pub unpacked_bytes: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// The BLAKE3 digest of the file, in hexadecimal digits.
    pub blake3: String,
}

#[cfg(test)]
pub(crate) mod tests;
