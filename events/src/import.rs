//! Import: files of events, as others write them, taken line by line.
//!
//! JSON Lines (of `CloudEvents`, or of any objects), CSV with a header, Parquet (segments, or any
//! table), web logs in the common and the combined format, and sign-ins of OpenSSH's server.
//!
//! Always true: every line is counted: it became events, was passed over, or was refused with its
//! number and a reason; a line without an id has the same one whenever it is imported; memory does
//! not grow with the file.
//! Absent on purpose: other encodings than UTF-8, compressed files, and where files come from.

mod csv;
mod json;
mod lines;
mod logs;
mod mapping;
mod parquet;
mod time;

use std::io::{self, Read};

use ::parquet::file::reader::ChunkReader;
use bytes::Bytes;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event::Event;
use crate::frame;
use crate::stream::Stream;

pub use mapping::{Mapping, MappingFault};

/// Most refused lines that are told; the others are counted.
pub const REFUSALS_MAX: usize = 100;
/// Longest line, in bytes; as the largest event.
pub const LINE_BYTES_MAX: usize = crate::event::EVENT_BYTES_MAX;
/// Most events that are handed over at once.
pub const HANDED_EVENTS_MAX: usize = 2_000;
/// How many bytes of events are handed over at once, about: one more event may come to them.
const HANDED_BYTES: usize = 1 << 20;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A JSON object on each line: of `CloudEvents` where it has a `specversion`, else any.
    JsonLines,
    /// A table with a header.
    Csv,
    /// A Parquet file; only from a file, since its end is read first.
    Parquet,
    /// A web log in the common or the combined format.
    WebLog,
    /// A system's log with lines of OpenSSH's server.
    Sshd,
}

/// How a file is taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The source of events that name none; empty for one after the format, such as `/import/csv`.
    pub source: String,
    /// The type of events that name none; empty for one after the format.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where in a line or row an event's parts are.
    pub mapping: Mapping,
    /// The year of lines that say none.
    pub year: i16,
    /// The zone of times that say none, such as `Europe/Berlin`.
    pub zone: String,
    /// When events of `CloudEvents` happened that do not say it, in Unix microseconds; where it is 0,
    /// [`Stream::import`] takes the present. Rows and other objects are refused without a time.
    pub accepted_us: u64,
}

impl Default for Options {
    fn default() -> Self {
        let (source, kind, mapping) = (String::new(), String::new(), Mapping::default());
        Self { source, kind, mapping, year: 1970, zone: "UTC".to_owned(), accepted_us: 0 }
    }
}

/// A line that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Its number, from 1; of a row of Parquet, that of the row.
    pub line: u64,
    /// Why, and what to do.
    pub why: String,
}

/// What became of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Lines or rows that were read, without empty ones and a header.
    pub read: u64,
    /// Events that they are.
    pub events: u64,
    /// Lines that are no events and need not be, such as others than sign-ins in a system's log.
    pub passed_over: u64,
    /// Lines that were refused.
    pub refused: u64,
    /// The first of them.
    pub refusals: Vec<Refusal>,
    /// Columns that cannot be taken, and why.
    pub left_out: Vec<String>,
    /// Events that were stored, where they were to be.
    pub stored: u64,
    /// Events that were stored before.
    pub known: u64,
}

/// Hands over some events.
pub type Sink<'a> = dyn FnMut(Vec<Event>) -> Result<(), Error> + 'a;

/// Reads all events of a file, and hands them over some at a time.
///
/// # Errors
///
/// [`Error::Import`] where the file as a whole cannot be taken, [`Error::Input`] where it cannot be
/// read, and those of the sink. What was handed over by then stays handed over.
pub fn read(
    format: Format,
    input: impl Read,
    options: &Options,
    sink: &mut Sink<'_>,
) -> Result<Summary, Error> {
    let mut taking = Taking::new(format, options, sink)?;
    match format {
        Format::JsonLines => lines::each(input, &mut taking, json::take)?,
        Format::Csv => csv::read(input, &mut taking)?,
        Format::WebLog => lines::each(input, &mut taking, logs::take_answered)?,
        Format::Sshd => lines::each(input, &mut taking, logs::take_sign_in)?,
        Format::Parquet => {
            return Err(Error::Import {
                message: "the end of a Parquet file is read first: it has to be a file".to_owned(),
            });
        }
    }
    taking.end()
}

/// As [`read`], from a file; of any format.
///
/// # Errors
///
/// As [`read`].
pub fn read_file(
    format: Format,
    file: impl ChunkReader + 'static,
    options: &Options,
    sink: &mut Sink<'_>,
) -> Result<Summary, Error> {
    if format != Format::Parquet {
        let from = file.get_read(0).map_err(|error| Error::Input(io::Error::other(error)))?;
        return read(format, from, options, sink);
    }
    let mut taking = Taking::new(format, options, sink)?;
    parquet::read(file, &mut taking)?;
    taking.end()
}

impl Stream {
    /// Imports a file into this stream; returns once its events are safe. What is known already is
    /// not stored again.
    ///
    /// Blocks: call it from a thread of its own within a runtime, such as `spawn_blocking` gives.
    ///
    /// # Errors
    ///
    /// As [`read`] and [`Stream::append`]: what was stored by then stays, and to import the file again
    /// goes on within the window in which events are known again.
    pub fn import(
        &self,
        format: Format,
        file: impl ChunkReader + 'static,
        options: &Options,
    ) -> Result<Summary, Error> {
        let runtime = tokio::runtime::Handle::current();
        let mut options = options.clone();
        if options.accepted_us == 0 {
            options.accepted_us = self.shared.clock.now_us();
        }
        let (mut stored, mut known) = (0, 0);
        let summary = read_file(format, file, &options, &mut |events| {
            let appended = runtime.block_on(self.append(events))?;
            stored += appended.stored;
            known += appended.known;
            Ok(())
        })?;
        Ok(Summary { stored, known, ..summary })
    }
}

/// A file that is being taken.
struct Taking<'a, 'b> {
    options: &'a Options,
    zone: TimeZone,
    source: String,
    kind: String,
    sink: &'a mut Sink<'b>,
    gathered: Vec<Event>,
    bytes: usize,
    summary: Summary,
}

impl<'a, 'b> Taking<'a, 'b> {
    fn new(format: Format, options: &'a Options, sink: &'a mut Sink<'b>) -> Result<Self, Error> {
        let zone = TimeZone::get(&options.zone).map_err(|_| Error::Import {
            message: format!("there is no zone {:?}: use one like Europe/Berlin", options.zone),
        })?;
        let (source, kind) = match format {
            Format::JsonLines => ("/import/json-lines", "record"),
            Format::Csv => ("/import/csv", "record"),
            Format::Parquet => ("/import/parquet", "record"),
            Format::WebLog => ("/import/web-log", "http.request"),
            Format::Sshd => ("", "sign-in"),
        };
        let or = |text: &str, other: &str| if text.is_empty() { other } else { text }.to_owned();
        let (source, kind) = (or(&options.source, source), or(&options.kind, kind));
        let (gathered, summary) = (Vec::new(), Summary::default());
        Ok(Self { options, zone, source, kind, sink, gathered, bytes: 0, summary })
    }

    /// Takes an event of a line; refuses the line where it is none.
    fn push(&mut self, line: u64, event: Event) -> Result<(), Error> {
        if let Some(why) = event.fault() {
            self.refuse(line, why);
            return Ok(());
        }
        self.summary.events += 1;
        self.bytes += frame::length(&event);
        self.gathered.push(event);
        if self.gathered.len() >= HANDED_EVENTS_MAX || self.bytes >= HANDED_BYTES {
            self.hand_over()?;
        }
        Ok(())
    }

    fn refuse(&mut self, line: u64, why: impl Into<String>) {
        self.summary.refused += 1;
        if self.summary.refusals.len() < REFUSALS_MAX {
            self.summary.refusals.push(Refusal { line, why: why.into() });
        }
    }

    fn hand_over(&mut self) -> Result<(), Error> {
        self.bytes = 0;
        (self.sink)(std::mem::take(&mut self.gathered))
    }

    fn end(mut self) -> Result<Summary, Error> {
        if !self.gathered.is_empty() {
            self.hand_over()?;
        }
        Ok(self.summary)
    }

    /// An event of a line that is no event by itself.
    fn blank(&self, line: u64, text: &[u8]) -> Event {
        Event {
            id: id(line, text),
            source: self.source.clone(),
            kind: self.kind.clone(),
            content_type: "application/json".to_owned(),
            data: Bytes::new(),
            ..Event::default()
        }
    }
}

/// The id of a line that has none: the same whenever the file is imported, and another for a line
/// that is there twice.
fn id(line: u64, text: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&line.to_le_bytes()).update(text);
    hasher.finalize().to_hex()[..32].to_owned()
}

// What is handed over is taken by one call of a stream.
const _: () = assert!(HANDED_BYTES + frame::FRAME_BYTES_MAX <= crate::log::GROUP_BYTES_MAX);

#[cfg(test)]
mod tests;
