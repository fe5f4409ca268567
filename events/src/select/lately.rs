//! Lately: what a stream holds of the last while, as far back as so many events reach.
//!
//! Always true: about so many events are read at most, beside those that are not sealed yet, which
//! are bounded too; what is left out is the oldest, and from when on there is all is told; each event
//! comes with the label that is known now.
//! Absent on purpose: what is counted of events.

use super::Selection;
use super::row::Row;
use crate::error::Error;
use crate::stream::Stream;

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
    /// data; where there are more than about `events_max`, through the newest. Gives since when, in
    /// Unix nanoseconds. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Stream::select`].
    pub fn lately(
        &self,
        kind: &str,
        (since_ns, events_max): (u64, u64),
        mut each: impl FnMut(Recent<'_>),
    ) -> Result<u64, Error> {
        let current = self.shared.segments.current();
        let unsealed = self.committed().borrow().saturating_sub(current.sealed_until);
        let segments = current.held.iter().map(|held| (held.segment.last_ns, held.segment.rows));
        let left = events_max.saturating_sub(unsealed);
        let since_ns = reach(segments.collect(), left).max(since_ns);
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

/// From when on segments, by the times of their last events and how many they have, hold so many
/// events at most.
fn reach(mut segments: Vec<(u64, u64)>, events_max: u64) -> u64 {
    segments.sort_unstable_by(|one, other| other.cmp(one));
    let mut events = 0_u64;
    let over = segments.into_iter().find(|(_, rows)| {
        events = events.saturating_add(*rows);
        events > events_max
    });
    over.map_or(0, |(last_ns, _)| last_ns.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_the_oldest() {
        let segments = vec![(10, 5), (30, 5), (20, 5)];
        assert_eq!(reach(segments.clone(), 15), 0);
        assert_eq!(reach(segments.clone(), 14), 11);
        assert_eq!(reach(segments.clone(), 9), 21);
        assert_eq!(reach(segments, 4), 31);
        assert_eq!(reach(Vec::new(), 0), 0);
    }
}
