//! Merging: segments and what is not sealed, as one sequence of events in the order of time.
//!
//! A segment is opened when the time has come for its first event, and closed after its last.
//!
//! Always true: what is given is in the order of time and number; each event once.
//! Absent on purpose: going back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use super::filter::Of;
use super::row::Row;
use super::{Selected, Selection, prune};
use crate::error::Error;
use crate::event::LABEL;
use crate::labels::Known;
use crate::log::Stored;
use crate::packed::Packed;
use crate::segment::read::{Reading, Rows, TAKEN_BYTES};
use crate::segment::{Held, Snapshot};

/// Most segments that may be open at once: of more, some files could not be opened.
const OPEN_MAX: usize = 256;
/// About how many bytes of rows are held at once, of all segments that are open.
const HELD_BYTES: usize = 64 << 20;

/// What was read to find what was selected, until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Segments of which rows were read.
    pub segments_read: u64,
    /// Segments that were ruled out by what the manifest or their own statistics say of them.
    pub segments_pruned: u64,
    /// Row groups that were read, wholly or in part.
    pub groups_read: u64,
    /// Row groups that were ruled out, of segments that were opened.
    pub groups_pruned: u64,
    /// Events that were looked at, sealed or not.
    pub events_read: u64,
}

/// Events that are being selected, in the order of time and number.
pub struct Selecting {
    selection: Selection,
    columns: Option<Vec<&'static str>>,
    /// Segments that were not opened yet, the next one last.
    waiting: Vec<Arc<Held>>,
    /// The places of sources, by their next events.
    order: BinaryHeap<Reverse<(u64, u64, usize)>>,
    sources: Vec<Source>,
    /// The source of the event that was given last: it has to go on.
    given: Option<usize>,
    found: Found,
    labels: Arc<Known>,
    /// About how many bytes of rows are taken of a segment at a time.
    taken_bytes: usize,
}

/// Where events come from.
enum Source {
    Log(Box<Unsealed>),
    Segment(Box<Segment>),
    /// From nowhere any more.
    Done,
}

/// Events that are wanted and not sealed.
#[derive(Default)]
struct Unsealed {
    events: Packed,
    /// The present one, and its place in the order.
    row: Option<Stored>,
    at: usize,
}

struct Segment {
    reading: Reading,
    rows: Option<Rows>,
    row: usize,
}

impl std::fmt::Debug for Selecting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Selecting").field("found", &self.found).finish_non_exhaustive()
    }
}

impl Selecting {
    pub(super) fn new(
        selection: &Selection,
        sealed: &Snapshot,
        labels: Arc<Known>,
        columns: Option<&[&'static str]>,
    ) -> Result<Self, Error> {
        let may = |held: &&Arc<Held>| prune::may_have(selection, &held.segment);
        let mut waiting: Vec<Arc<Held>> = sealed.held.iter().filter(may).cloned().collect();
        waiting.sort_by_key(|held| Reverse((held.segment.first_ns, held.segment.first)));
        let segments_pruned = (sealed.held.len() - waiting.len()) as u64;
        let times: Vec<(u64, u64)> =
            waiting.iter().map(|it| (it.segment.first_ns, it.segment.last_ns)).collect();
        let open = most_open(&times);
        if open > OPEN_MAX {
            let message = format!(
                "{open} segments have events of the same time, and at most {OPEN_MAX} are read at once: \
                 select a shorter time, or fewer numbers at a time"
            );
            return Err(Error::Selection { message });
        }
        Ok(Self {
            taken_bytes: (HELD_BYTES / open.max(1)).min(TAKEN_BYTES),
            columns: columns.map(|columns| needed(selection, columns)),
            selection: selection.clone(),
            waiting,
            order: BinaryHeap::new(),
            sources: vec![Source::Log(Box::default())],
            given: None,
            found: Found { segments_pruned, ..Found::default() },
            labels,
        })
    }

    /// Adds events that are not sealed.
    pub(super) fn add(&mut self, events: &[Stored]) {
        self.found.events_read += events.len() as u64;
        let selection = &self.selection;
        if let Some(Source::Log(all)) = self.sources.first_mut() {
            for stored in events.iter().filter(|stored| selection.wants(Row::Stored(stored))) {
                all.events.push(stored);
            }
        }
    }

    /// Ends the adding.
    pub(super) fn begin(&mut self) {
        if let Some(Source::Log(all)) = self.sources.first_mut() {
            all.events.by_time();
            if let Some((time_ns, sequence)) = all.show(0) {
                self.order.push(Reverse((time_ns, sequence, 0)));
            }
        }
    }

    /// What was read until now.
    pub fn found(&self) -> Found {
        self.found
    }

    /// Goes to the next event, which [`Self::row`] then tells; false at the end.
    pub(super) fn step(&mut self) -> Result<bool, Error> {
        if let Some(place) = self.given.take() {
            self.go_on(place)?;
        }
        while let Some(held) = self.waiting.last() {
            let first = (held.segment.first_ns, held.segment.first, 0);
            if self.order.peek().is_some_and(|next| next.0 < first) {
                break;
            }
            if let Some(held) = self.waiting.pop() {
                self.open(&held)?;
            }
        }
        self.given = self.order.peek().map(|next| next.0.2);
        Ok(self.given.is_some())
    }

    /// The event that it went to.
    pub(super) fn row(&self) -> Option<Row<'_>> {
        self.sources[self.given?].row()
    }

    /// Moves the first source on behind its event.
    fn go_on(&mut self, place: usize) -> Result<(), Error> {
        let Self { sources, selection, found, order, .. } = self;
        let next = sources[place].go_on(selection, found)?;
        let Some(mut top) = order.peek_mut() else { return Ok(()) };
        if let Some((time_ns, sequence)) = next {
            *top = Reverse((time_ns, sequence, place));
        } else {
            PeekMut::pop(top);
            sources[place] = Source::Done;
        }
        Ok(())
    }

    fn open(&mut self, held: &Held) -> Result<(), Error> {
        let opened = held.open()?;
        let groups = prune::groups(&self.selection, &opened)?;
        self.found.groups_read += groups.len() as u64;
        self.found.groups_pruned += (opened.groups().len() - groups.len()) as u64;
        if groups.is_empty() {
            self.found.segments_pruned += 1;
            return Ok(());
        }
        self.found.segments_read += 1;
        let reading = opened.read_by(groups, self.columns.as_deref(), self.taken_bytes)?;
        let mut source = Source::Segment(Box::new(Segment { reading, rows: None, row: 0 }));
        if let Some((time_ns, sequence)) = source.go_on(&self.selection, &mut self.found)? {
            let free = self.sources.iter().position(|source| matches!(source, Source::Done));
            let place = free.unwrap_or(self.sources.len());
            match self.sources.get_mut(place) {
                Some(slot) => *slot = source,
                None => self.sources.push(source),
            }
            self.order.push(Reverse((time_ns, sequence, place)));
        }
        Ok(())
    }

    /// What came of an event, where that is known.
    pub(super) fn label_of(&self, row: Row<'_>) -> Option<Arc<str>> {
        let told = self.labels.of(row.source(), row.id());
        told.or_else(|| row.attribute(LABEL).map(Arc::from))
    }

    /// Whether the label of an event is one that is wanted.
    pub(super) fn wants_label_of(&self, row: Row<'_>) -> bool {
        let asks = self.selection.filter.asks_of(|of| *of == Of::Label);
        !asks || self.selection.wants_label(self.label_of(row).as_deref())
    }

    fn selected(&mut self) -> Result<Option<Selected>, Error> {
        while self.step()? {
            let Some(row) = self.row() else { break };
            let label = self.label_of(row);
            if self.selection.wants_label(label.as_deref()) {
                let Stored { sequence, accepted_us, event } = row.stored();
                return Ok(Some(Selected { sequence, accepted_us, event, label }));
            }
        }
        Ok(None)
    }
}

impl Iterator for Selecting {
    type Item = Result<Selected, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.selected().transpose()
    }
}

impl Source {
    fn row(&self) -> Option<Row<'_>> {
        match self {
            Self::Log(all) => all.row.as_ref().map(Row::Stored),
            Self::Segment(segment) => Some(Row::Sealed(segment.rows.as_ref()?, segment.row)),
            Self::Done => None,
        }
    }

    /// Goes to the next event that is wanted; gives its time and number.
    fn go_on(
        &mut self,
        selection: &Selection,
        found: &mut Found,
    ) -> Result<Option<(u64, u64)>, Error> {
        match self {
            Self::Log(all) => Ok(all.show(all.at + 1)),
            Self::Segment(segment) => segment.go_on(selection, found),
            Self::Done => Ok(None),
        }
    }
}

impl Unsealed {
    /// Shows the event at a place; gives its time and number.
    fn show(&mut self, at: usize) -> Option<(u64, u64)> {
        self.at = at;
        self.row = self.events.get(at);
        self.row.as_ref().map(|stored| (stored.event.time_ns, stored.sequence))
    }
}

impl Segment {
    fn go_on(
        &mut self,
        selection: &Selection,
        found: &mut Found,
    ) -> Result<Option<(u64, u64)>, Error> {
        self.row += 1;
        loop {
            if let Some(rows) = &self.rows {
                while self.row < rows.count() {
                    if selection.wants(Row::Sealed(rows, self.row)) {
                        return Ok(Some((rows.time_ns(self.row), rows.sequence(self.row))));
                    }
                    self.row += 1;
                }
            }
            let Some(rows) = self.reading.next().transpose()? else {
                self.rows = None;
                return Ok(None);
            };
            found.events_read += rows.count() as u64;
            (self.rows, self.row) = (Some(rows), 0);
        }
    }
}

/// How many segments are open at once when they are merged, at most, by their first and last times.
fn most_open(segments: &[(u64, u64)]) -> usize {
    let begins = segments.iter().map(|(first_ns, _)| (*first_ns, 0));
    let ends = segments.iter().map(|(_, last_ns)| (*last_ns, 1));
    let mut turns: Vec<(u64, u8)> = begins.chain(ends).collect();
    turns.sort_unstable();
    let mut open = 0_usize;
    let counts = turns.into_iter().map(|(_, turn)| {
        open = if turn == 0 { open + 1 } else { open - 1 };
        open
    });
    counts.max().unwrap_or(0)
}

/// The columns to read: these, and those that the selection asks about.
fn needed(selection: &Selection, columns: &[&'static str]) -> Vec<&'static str> {
    use super::{Key, Sample};
    let mut needed = vec!["sequence", "time", "accepted"];
    needed.extend(columns);
    let key = selection.sample.as_ref().map(|Sample { key, .. }| key);
    let filter = &selection.filter;
    let asked = [
        ("id", !selection.ids.is_empty() || key == Some(&Key::Id), Of::Id),
        ("source", false, Of::Source),
        ("type", !selection.kinds.is_empty(), Of::Kind),
        ("subject", !selection.subjects.is_empty() || key == Some(&Key::Subject), Of::Subject),
        ("region", !selection.regions.is_empty(), Of::Region),
        ("group", !selection.groups.is_empty(), Of::Group),
        ("content_type", false, Of::ContentType),
    ];
    for (name, is_asked, of) in asked {
        if is_asked || filter.asks_of(|it| *it == of) {
            needed.push(name);
        }
    }
    let of_attribute = |of: &Of| matches!(of, Of::Attribute(_) | Of::Label);
    if matches!(key, Some(Key::Attribute(_))) || filter.asks_of(of_attribute) {
        needed.push("attributes");
    }
    if filter.asks_of(|of| matches!(of, Of::Data(_))) {
        needed.extend(["data", "data_bytes"]);
    }
    if filter.asks_of(|of| *of == Of::Label) {
        needed.extend(["id", "source"]);
    }
    needed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::most_open;

    proptest! {
        /// Against a look at every moment.
        #[test]
        fn as_many_are_open_as_have_a_moment_in_common(
            segments in prop::collection::vec((0_u64..20, 0_u64..20), 0..12),
        ) {
            let segments: Vec<(u64, u64)> =
                segments.into_iter().map(|(first, more)| (first, first + more)).collect();
            let open = |at: u64| segments.iter().filter(|it| (it.0..=it.1).contains(&at)).count();
            let most = (0..50).map(open).max().unwrap_or(0);
            prop_assert_eq!(most_open(&segments), most);
        }
    }
}
