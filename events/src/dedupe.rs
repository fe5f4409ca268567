//! Dedupe: which events were accepted lately, so that one that comes again is stored once.
//!
//! Always true: memory is bounded by [`REMEMBERED_MAX`] events; within that, an event is known again
//! for the whole window.

use std::collections::{HashMap, VecDeque};

/// Most events that are remembered: about 60 MiB. What is accepted faster than this in a window is
/// forgotten before the window is over, the oldest first.
pub const REMEMBERED_MAX: usize = 1 << 20;

/// The events of a window, by the digests of their sources and ids.
#[derive(Debug)]
pub struct Dedupe {
    window_us: u64,
    max: usize,
    /// When each was accepted.
    known: HashMap<u128, u64>,
    order: VecDeque<(u128, u64)>,
    /// How many were forgotten before their time.
    forgotten: u64,
}

impl Dedupe {
    /// Remembers events for so long, in microseconds.
    pub fn new(window_us: u64) -> Self {
        let (known, order) = (HashMap::new(), VecDeque::new());
        Self { window_us, max: REMEMBERED_MAX, known, order, forgotten: 0 }
    }

    /// Remembers for so long from now on, in microseconds: a longer window has what it had when it was
    /// set, and what came since.
    pub fn set_window(&mut self, window_us: u64) {
        self.window_us = window_us;
    }

    /// Whether it was accepted within the window that ends now.
    pub fn knows(&self, identity: u128, now_us: u64) -> bool {
        let accepted_us = self.known.get(&identity);
        accepted_us.is_some_and(|at_us| now_us.saturating_sub(*at_us) < self.window_us)
    }

    /// Remembers what was accepted, in the order in which it was.
    pub fn remember(&mut self, identity: u128, accepted_us: u64) {
        self.known.insert(identity, accepted_us);
        self.order.push_back((identity, accepted_us));
        while let Some(&(identity, at_us)) = self.order.front() {
            let is_over = accepted_us.saturating_sub(at_us) >= self.window_us;
            if !is_over && self.order.len() <= self.max {
                break;
            }
            self.order.pop_front();
            // One that has come again since is remembered by its later place.
            if self.known.get(&identity) == Some(&at_us) {
                self.known.remove(&identity);
                self.forgotten += u64::from(!is_over);
            }
        }
    }

    /// How many events were forgotten before the window was over, for want of room.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list of everything.
        #[test]
        fn an_event_is_known_for_the_window_and_no_longer(
            window_us in 1_u64..50,
            steps in prop::collection::vec((0_u128..8, 0_u64..20), 1..200),
        ) {
            let mut dedupe = Dedupe::new(window_us);
            let (mut all, mut now_us) = (Vec::new(), 0);
            for (identity, later_us) in steps {
                now_us += later_us;
                let known = all.iter().any(|&(one, at_us)| {
                    one == identity && now_us - at_us < window_us
                });
                prop_assert_eq!(dedupe.knows(identity, now_us), known);
                if !known {
                    dedupe.remember(identity, now_us);
                    all.push((identity, now_us));
                }
            }
            prop_assert_eq!(dedupe.forgotten(), 0);
        }
    }

    #[test]
    fn what_is_forgotten_for_want_of_room_is_the_oldest_and_is_counted() {
        let mut dedupe = Dedupe { max: 3, ..Dedupe::new(1_000) };
        (0..5).for_each(|identity| dedupe.remember(identity, 10));
        let known: Vec<u128> = (0..5).filter(|identity| dedupe.knows(*identity, 10)).collect();
        assert_eq!((known, dedupe.forgotten()), (vec![2, 3, 4], 2));
    }
}
