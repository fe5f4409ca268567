//! Sealing: a stretch of the log becomes segments.
//!
//! Always true: what is written has another name until it is whole and on the disk.
//! Absent on purpose: the manifest, by which alone a segment counts.

use std::fs::{self, File};
use std::io::{self, Write};

use jiff::Timestamp;
use policy::segments::{SEALED_BYTES_MAX, SEALED_EVENTS_MAX, cuts};

use super::faults::pass;
use super::table::Writer;
use super::{Segment, manifest, read};
use crate::error::Error;
use crate::frame;
use crate::key::Folder;
use crate::log::{Reader, Stored};
use crate::packed::Packed;

/// A stretch of the log, at most as long as is sealed at once.
pub(super) struct Batch {
    pub(super) events: Packed,
    /// The number of the first event, and of the one after the last.
    pub(super) first: u64,
    pub(super) until: u64,
    /// How many happened before the one that was accepted before them.
    pub(super) disordered: u64,
    /// When the last one happened, in the order of acceptance.
    pub(super) last_time_ns: u64,
}

/// Most events that are taken from the log at a time.
const READ_MAX: usize = 4_096;

impl Batch {
    /// Reads from this number on, below `until`.
    pub(super) fn read(
        stream: &Folder,
        first: u64,
        until: u64,
        mut last_time_ns: u64,
    ) -> Result<Self, Error> {
        let mut reader = Reader::new(stream.clone(), first);
        let (mut events, mut disordered) = (Packed::default(), 0);
        let events_max = usize::try_from(SEALED_EVENTS_MAX).unwrap_or(usize::MAX);
        while events.len() < events_max && events.bytes() < SEALED_BYTES_MAX {
            let more = reader.read(until, READ_MAX.min(events_max - events.len()))?;
            if more.is_empty() {
                break;
            }
            for stored in &more {
                events.push(stored);
                disordered += u64::from(stored.event.time_ns < last_time_ns);
                last_time_ns = stored.event.time_ns;
            }
        }
        Ok(Self { events, first, until: reader.next(), disordered, last_time_ns })
    }

    /// What was sealed as several, as one.
    pub(super) fn merged(stream: &Folder, segments: &[&Segment]) -> Result<Self, Error> {
        let events = read::from(stream, segments, 0)?;
        let first = segments.iter().map(|it| it.batch).min().unwrap_or(0);
        let until = segments.iter().map(|it| it.batch_last + 1).max().unwrap_or(0);
        Ok(Self { events, first, until, disordered: 0, last_time_ns: 0 })
    }

    /// Sorts the events and writes them; gives the segments.
    pub(super) fn write(mut self, folder: &Folder) -> Result<Vec<Segment>, Error> {
        self.events.by_time();
        let times_ns = self.events.times_ns();
        let mut segments = Vec::new();
        for (number, cut) in cuts(&times_ns).into_iter().enumerate() {
            let hour = hour(times_ns[cut.start]);
            let batch = (self.first, self.until - 1);
            let name = format!("{hour}-{:020}-{:020}-{number:04}.parquet", batch.0, batch.1);
            let events = cut.filter_map(|place| self.events.get(place)).map(Ok);
            segments.extend(write(folder, name, batch, events)?);
        }
        Ok(segments)
    }
}

/// An hour as files are named by it: `2015-05-17T10`, in UTC.
fn hour(time_ns: u64) -> String {
    let time = Timestamp::from_nanosecond(time_ns.into()).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H").to_string()
}

/// Writes a segment of events in their order; none where there are no events.
pub(super) fn write(
    folder: &Folder,
    file: String,
    (batch, batch_last): (u64, u64),
    events: impl Iterator<Item = Result<Stored, Error>>,
) -> Result<Option<Segment>, Error> {
    let path = folder.path.join(&file);
    let unfinished = folder.path.join(manifest::unfinished(&file));
    pass(&unfinished)?;
    let told = File::create(&unfinished).map_err(Error::io("make", &unfinished))?;
    let sealed = folder.key.as_ref().map(|key| (key, file.as_str()));
    let writer = Writer::new(Told::new(told), false, sealed);
    let mut writer = writer.map_err(Error::parquet("write", &path))?;
    let (first, last) = (u64::MAX, 0);
    let (first_ns, last_ns, accepted_first_us, accepted_us) = (u64::MAX, 0, u64::MAX, 0);
    let (rows, unpacked_bytes, bytes, blake3) = (0, 0, 0, String::new());
    let mut segment = Segment {
        file,
        batch,
        batch_last,
        first,
        last,
        first_ns,
        last_ns,
        accepted_first_us,
        accepted_us,
        rows,
        unpacked_bytes,
        bytes,
        blake3,
    };
    for stored in events {
        let stored = stored?;
        segment.first = segment.first.min(stored.sequence);
        segment.last = segment.last.max(stored.sequence);
        segment.first_ns = segment.first_ns.min(stored.event.time_ns);
        segment.last_ns = segment.last_ns.max(stored.event.time_ns);
        segment.accepted_first_us = segment.accepted_first_us.min(stored.accepted_us);
        segment.accepted_us = segment.accepted_us.max(stored.accepted_us);
        segment.rows += 1;
        segment.unpacked_bytes += frame::length(&stored.event) as u64;
        writer.push(&stored, None).map_err(Error::parquet("write", &path))?;
    }
    pass(&unfinished)?;
    let told = writer.finish().map_err(Error::parquet("write", &path))?;
    if segment.rows == 0 {
        fs::remove_file(&unfinished).map_err(Error::io("remove", &unfinished))?;
        return Ok(None);
    }
    told.file.sync_all().map_err(Error::io("sync", &unfinished))?;
    segment.bytes = told.bytes;
    segment.blake3 = told.hasher.finalize().to_hex().to_string();
    pass(&unfinished)?;
    fs::rename(&unfinished, &path).map_err(Error::io("rename", &unfinished))?;
    pass(&path)?;
    Ok(Some(segment))
}

/// A file of which length and digest are known once it is written.
struct Told {
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Told {
    fn new(file: File) -> Self {
        Self { file, hasher: blake3::Hasher::new(), bytes: 0 }
    }
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
