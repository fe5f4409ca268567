//! Lately: what a stream holds of the last while, as far back as so many events reach.
//!
//! Always true: of what is sealed no more is read than is allowed, in whole segments; beside it what is
//! not sealed yet, which is a file of the log at most while the disk has room; what is left out is the
//! oldest, and from when on there is all is told; each event comes with the label that is known now.
//! Absent on purpose: what is counted of events.

use std::cmp::Reverse;

use super::Selection;
use super::row::Row;
use crate::error::Error;
use crate::stream::Stream;

/// How much is read at most of what is sealed. Let it be twice what a segment may have, or more: the
/// newest is always read then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Events, of whatever kind.
    pub events: u64,
    /// Their bytes, as they were appended.
    pub bytes: u64,
}

/// An event that happened lately.
#[derive(Clone, Copy)]
pub struct Recent<'a> {
    row: Row<'a>,
    /// What came of it, where that is known.
    pub label: Option<&'a str>,
}

impl<'a> Recent<'a> {
    /// When it happened, in Unix nanoseconds.
    pub fn time_ns(&self) -> u64 {
        self.row.time_ns()
    }

    /// Its source.
    pub fn source(&self) -> &'a str {
        self.row.source()
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.row.attribute(name)
    }
}

impl std::fmt::Debug for Recent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recent").field("source", &self.source()).finish_non_exhaustive()
    }
}

impl Stream {
    /// Goes through the events of a kind since a time, in the order of their times, without their
    /// data; where there are more than are read, through the newest. Gives since when, in Unix
    /// nanoseconds. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Stream::select`].
    pub fn lately(
        &self,
        kind: &str,
        (since_ns, most): (u64, Most),
        mut each: impl FnMut(Recent<'_>),
    ) -> Result<u64, Error> {
        // Else what is sealed first when it is selected would be read beside what is allowed.
        if let Err(error) = self.shared.segments.seal() {
            tracing::warn!(%error, "events were not sealed: they stay in the log");
        }
        let current = self.shared.segments.current();
        let segments = current.held.iter().map(|held| {
            let segment = &held.segment;
            (segment.last_ns, Most { events: segment.rows, bytes: segment.unpacked_bytes })
        });
        let since_ns = reach(segments.collect(), most).max(since_ns);
        let selection = Selection {
            since_ns: Some(since_ns),
            kinds: [kind.to_owned()].into(),
            ..Selection::default()
        };
        let columns = ["id", "source", "attributes"];
        let mut selecting = self.selecting(&selection, Some(&columns))?;
        while selecting.step()? {
            let Some(row) = selecting.row() else { break };
            let label = selecting.label_of(row);
            each(Recent { row, label: label.as_deref() });
        }
        Ok(since_ns)
    }
}

/// From when on segments, by the times of their last events and how much they have, hold so much at
/// most. One that ends at the same moment as one that is left out is left out too.
fn reach(mut segments: Vec<(u64, Most)>, most: Most) -> u64 {
    segments.sort_unstable_by_key(|(last_ns, _)| Reverse(*last_ns));
    let mut sum = Most { events: 0, bytes: 0 };
    let over = segments.into_iter().find(|(_, has)| {
        sum.events = sum.events.saturating_add(has.events);
        sum.bytes = sum.bytes.saturating_add(has.bytes);
        sum.events > most.events || sum.bytes > most.bytes
    });
    over.map_or(0, |(last_ns, _)| last_ns.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_too_much_is_the_oldest() {
        let five = Most { events: 5, bytes: 50 };
        let segments = vec![(10, five), (30, five), (20, five)];
        for (events, bytes, from) in
            [(15, 150, 0), (14, 150, 11), (15, 149, 11), (9, 150, 21), (15, 50, 21), (4, 150, 31)]
        {
            assert_eq!(reach(segments.clone(), Most { events, bytes }), from, "{events} {bytes}");
        }
        assert_eq!(reach(Vec::new(), Most { events: 0, bytes: 0 }), 0);
    }

    proptest! {
        /// No more is read than is allowed, and where something is left out, no less than all that is
        /// allowed but for one segment: so the newest always, where twice the largest is allowed.
        #[test]
        fn what_is_read_is_all_that_is_allowed_but_for_a_segment(
            has in prop::collection::vec((1_u64..=100, 1_u64..=1_000), 0..20),
            events in 200_u64..600, bytes in 2_000_u64..6_000,
        ) {
            let has = has.into_iter().map(|(events, bytes)| Most { events, bytes });
            let segments: Vec<(u64, Most)> = (1..).zip(has).collect();
            let from = reach(segments.clone(), Most { events, bytes });
            let (read, left): (Vec<_>, Vec<_>) = segments.into_iter().partition(|it| it.0 >= from);
            let sum = |of: fn(&Most) -> u64| read.iter().map(|(_, has)| of(has)).sum::<u64>();
            let (read_events, read_bytes) = (sum(|it| it.events), sum(|it| it.bytes));
            prop_assert!(read_events <= events && read_bytes <= bytes);
            let is_full = read_events > events - 100 || read_bytes > bytes - 1_000;
            prop_assert!(left.is_empty() || is_full, "{read_events} {read_bytes}");
        }
    }
}
