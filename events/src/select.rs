//! Selecting: events of a stream by time, place, what they say, or by a share of their keys.
//!
//! What is sealed is merged with what is not, in the order of event time and number. Segments and row
//! groups that can have nothing are not read: their lowest and highest values say so.
//!
//! Always true: a selection with an `until_sequence` gives the same events whenever it is made;
//! memory is bounded by what is not sealed and by some thousand rows of each segment that overlaps;
//! nobody who appends waits for it.
//! Absent on purpose: changes, cursors of consumers, and how fast events are used.

mod filter;
mod lately;
mod merge;
mod prune;
mod row;
mod stats;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event::Event;
use crate::log::Reader;
use crate::stream::Stream;

pub(crate) use filter::value;
pub use filter::{FILTER_BYTES_MAX, Fault, Filter, TERMS_MAX};
pub use lately::{Most, Recent};
pub use merge::{Found, Selecting};
pub use stats::{Counted, Stats, TOP_MAX};

/// Most numbers or ids that a selection names, and most values of a field: more are a share or a time.
pub const NAMED_MAX: usize = 100_000;
/// The whole, of which a share is told.
const WHOLE_BP: u32 = 10_000;

/// Which events. What is left empty asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// Those that happened at this time or later, in Unix nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ns: Option<u64>,
    /// Those that happened before this time, in Unix nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ns: Option<u64>,
    /// Those with this number or a higher one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_sequence: Option<u64>,
    /// Those with lower numbers, so that a stream that grows gives the same ones again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_sequence: Option<u64>,
    /// Those of one of these regions; the empty text is for none.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub regions: BTreeSet<String>,
    /// Those of one of these groups; the empty text is for none.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// Those of one of these types.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub kinds: BTreeSet<String>,
    /// Those of one of these subjects; the empty text is for none.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub subjects: BTreeSet<String>,
    /// Those with one of these numbers.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub sequences: BTreeSet<u64>,
    /// Those with one of these ids.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub ids: BTreeSet<String>,
    /// Those of which all this holds.
    #[serde(rename = "where", skip_serializing_if = "Filter::is_empty")]
    pub filter: Filter,
    /// Those whose keys belong to a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
}

/// A share of all keys. Shares of one salt are nested; see [`policy::replay::share`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// What the key is.
    pub key: Key,
    /// Another salt draws anew.
    #[serde(default)]
    pub salt: String,
    /// How much of all keys, in ten-thousandths.
    pub share_bp: u32,
}

/// What events are told apart by. Events without it are all of the empty key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Each event for itself.
    Id,
    /// All events of a subject together.
    Subject,
    /// All events together that have the same value of an attribute.
    Attribute(String),
}

/// An event that was selected.
#[derive(Clone, Debug, PartialEq)]
pub struct Selected {
    /// Its number in the stream.
    pub sequence: u64,
    /// When it was accepted, in Unix microseconds.
    pub accepted_us: u64,
    /// The event.
    pub event: Event,
    /// What came of it, where that is known: the label that was told of it last, or else its
    /// attribute `label`.
    pub label: Option<Arc<str>>,
}

impl Selection {
    /// What is wrong with it, and what to do.
    fn fault(&self) -> Option<String> {
        let texts = [&self.regions, &self.groups, &self.kinds, &self.subjects, &self.ids]
            .map(BTreeSet::len);
        if texts.into_iter().chain([self.sequences.len()]).any(|count| count > NAMED_MAX) {
            return Some(format!("name at most {NAMED_MAX} values of a field, or select by time"));
        }
        let is_share = |sample: &Sample| (1..=WHOLE_BP).contains(&sample.share_bp);
        if !self.sample.as_ref().is_none_or(is_share) {
            return Some(format!("a share is 1 to {WHOLE_BP} ten-thousandths"));
        }
        let is_backwards = |since: Option<u64>, until: Option<u64>| {
            since.zip(until).is_some_and(|(since, until)| since > until)
        };
        if is_backwards(self.since_ns, self.until_ns) {
            return Some("it ends before it begins: exchange the two times".to_owned());
        }
        is_backwards(self.from_sequence, self.until_sequence)
            .then(|| "it ends before it begins: exchange the two numbers".to_owned())
    }

    /// The numbers that it allows, the last one with them.
    fn numbers(&self) -> (u64, u64) {
        let named = self.sequences.first().zip(self.sequences.last());
        let (first, last) = named.map_or((1, u64::MAX), |(first, last)| (*first, *last));
        let until = self.until_sequence.unwrap_or(u64::MAX);
        (first.max(self.from_sequence.unwrap_or(1)), last.min(until.saturating_sub(1)))
    }

    /// The times that it allows, the last one with them.
    fn times_ns(&self) -> (u64, u64) {
        match self.until_ns {
            // Nothing is before it.
            Some(0) => (1, 0),
            until_ns => (self.since_ns.unwrap_or(0), until_ns.map_or(u64::MAX, |it| it - 1)),
        }
    }
}

/// Most events that are taken from the log at a time.
const READ_MAX: usize = 4_096;

impl Stream {
    /// Selects events, in the order of their times and numbers, of those that are safe now.
    ///
    /// Reads files: call it, and go through what it gives, where one may wait for a disk.
    ///
    /// # Errors
    ///
    /// [`Error::Selection`] where it cannot be meant, [`Error::Io`], [`Error::Parquet`],
    /// [`Error::Damaged`].
    pub fn select(&self, selection: &Selection) -> Result<Selecting, Error> {
        self.selecting(selection, None)
    }

    /// The first events of all, at most so many, in the order of their times. Waits for the disk.
    ///
    /// # Errors
    ///
    /// As [`Stream::select`].
    pub fn head(&self, most: usize) -> Result<Vec<Selected>, Error> {
        self.select(&Selection::default())?.take(most).collect()
    }

    /// Selects, and reads all columns or those that are named beside those that are asked about.
    fn selecting(
        &self,
        selection: &Selection,
        columns: Option<&[&'static str]>,
    ) -> Result<Selecting, Error> {
        if let Some(message) = selection.fault() {
            return Err(Error::Selection { message });
        }
        // What is left in the log then is no more than what is sorted in memory. Where the disk is full
        // there may be more: it can be read all the same.
        if let Err(error) = self.shared.segments.seal() {
            tracing::warn!(%error, "events were not sealed: they stay in the log");
        }
        let sealed = self.shared.segments.current();
        let committed = *self.committed().borrow();
        let labels = self.shared.labels.known()?;
        let mut selecting = Selecting::new(selection, &sealed, labels, columns)?;
        let (from, last) = selection.numbers();
        let mut reader = Reader::new(self.shared.folder.clone(), sealed.sealed_until.max(from));
        let until = committed.min(last.saturating_add(1));
        loop {
            let stored = reader.read(until, READ_MAX)?;
            if stored.is_empty() {
                break;
            }
            selecting.add(&stored);
        }
        selecting.begin();
        Ok(selecting)
    }
}

#[cfg(test)]
mod tests;
