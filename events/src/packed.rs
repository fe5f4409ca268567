//! Packed: events held in memory as they lie in the log, and put into an order.
//!
//! Always true: an event takes about as much memory as its frame; what is given back is what was put
//! in. Absent on purpose: files.

use crate::frame::{self, Read};
use crate::log::Stored;

/// How much is reserved at a time, in bytes.
const CHUNK_BYTES: usize = 4 << 20;

/// Some events.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    chunks: Vec<Vec<u8>>,
    places: Vec<Place>,
    bytes: u64,
}

/// Where an event is.
#[derive(Clone, Copy, Debug)]
struct Place {
    time_ns: u64,
    sequence: u64,
    chunk: u32,
    offset: u32,
}

impl Packed {
    pub(crate) fn push(&mut self, stored: &Stored) {
        let length = frame::length(&stored.event);
        let is_full = |chunk: &Vec<u8>| chunk.len() + length > chunk.capacity();
        if self.chunks.last().is_none_or(is_full) {
            self.chunks.push(Vec::with_capacity(CHUNK_BYTES.max(length)));
        }
        let number = self.chunks.len() - 1;
        let Some(chunk) = self.chunks.last_mut() else { return };
        // Both are far below what numbers of 32 bits can tell: chunks are a few mebibytes.
        let narrow = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let (chunk_number, offset) = (narrow(number), narrow(chunk.len()));
        frame::write(chunk, &stored.event, stored.accepted_us);
        let (time_ns, sequence) = (stored.event.time_ns, stored.sequence);
        self.places.push(Place { time_ns, sequence, chunk: chunk_number, offset });
        self.bytes += length as u64;
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The bytes of their frames.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts them into the order of time and number.
    pub(crate) fn by_time(&mut self) {
        self.places.sort_unstable_by_key(|place| (place.time_ns, place.sequence));
    }

    /// Puts them into the order of number.
    pub(crate) fn by_number(&mut self) {
        self.places.sort_unstable_by_key(|place| place.sequence);
    }

    /// Their times, in their order.
    pub(crate) fn times_ns(&self) -> Vec<u64> {
        self.places.iter().map(|place| place.time_ns).collect()
    }

    /// The number of the event at a place of the order; none behind the last.
    pub(crate) fn sequence(&self, at: usize) -> Option<u64> {
        self.places.get(at).map(|place| place.sequence)
    }

    /// The event at a place of the order; none behind the last.
    pub(crate) fn get(&self, at: usize) -> Option<Stored> {
        let place = self.places.get(at)?;
        let chunk = self.chunks.get(place.chunk as usize)?;
        match frame::read(chunk.get(place.offset as usize..)?) {
            Read::Frame { event, accepted_us, .. } => {
                Some(Stored { sequence: place.sequence, accepted_us, event })
            }
            Read::Part | Read::Bad => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Event;
    use crate::log::tests::{any_event, event};

    proptest! {
        #[test]
        fn what_is_given_back_is_what_was_put_in(
            events in prop::collection::vec((any_event(), 0_u64..9), 0..20),
        ) {
            let mut packed = Packed::default();
            let stored = |((event, at), sequence)| Stored { sequence, accepted_us: at, event };
            let mut all: Vec<Stored> = events.into_iter().zip(1..).map(stored).collect();
            for stored in &all {
                packed.push(stored);
            }
            let told = |packed: &Packed| -> Vec<Stored> {
                (0..packed.len()).map(|at| packed.get(at).unwrap()).collect()
            };
            prop_assert_eq!(told(&packed), all.clone());
            all.sort_by_key(|stored| (stored.event.time_ns, stored.sequence));
            packed.by_time();
            prop_assert_eq!(told(&packed), all.clone());
            prop_assert_eq!(packed.times_ns(), all.iter().map(|it| it.event.time_ns).collect::<Vec<_>>());
            packed.by_number();
            prop_assert!(told(&packed).is_sorted_by_key(|it| it.sequence));
            prop_assert_eq!(packed.get(packed.len()), None);
        }
    }

    #[test]
    fn large_events_take_chunks_of_their_own() {
        let mut packed = Packed::default();
        let large = Event { data: vec![7; 900_000].into(), ..event(1) };
        for sequence in 1..12 {
            packed.push(&Stored { sequence, accepted_us: 3, event: large.clone() });
        }
        assert!(packed.chunks.len() > 2 && packed.bytes() > 9_900_000);
        assert_eq!(packed.get(10).unwrap().event, large);
    }
}
