//! Turns: who sends next, where more want to than can.
//!
//! Whoever has the fewest places is next, and of those whoever has waited longest.
//!
//! Always true: no place stays empty while anybody waits; nobody gets more than an even part of the
//! places while another waits who has less. Absent on purpose: taking a place away.

use std::collections::BTreeMap;

/// Which of those who wait are next, as their places in the list, for so many places that are free.
///
/// Both lists name owners: of each who waits, in the order in which they came, and of each place that is
/// taken.
pub fn next<O: Ord>(waiting: &[O], taken: &[O], free: usize) -> Vec<usize> {
    let mut held: BTreeMap<&O, usize> = BTreeMap::new();
    for owner in taken {
        *held.entry(owner).or_default() += 1;
    }
    let mut left: Vec<usize> = (0..waiting.len()).collect();
    let mut chosen = Vec::new();
    while chosen.len() < free {
        let fewest = |place: &usize| held.get(&waiting[*place]).copied().unwrap_or(0);
        let Some(at) = (0..left.len()).min_by_key(|at| fewest(&left[*at])) else { break };
        let place = left.remove(at);
        *held.entry(&waiting[place]).or_default() += 1;
        chosen.push(place);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_has_the_fewest_places_is_next() {
        assert_eq!(next(&["a", "a", "a", "b"], &["a", "a"], 2), [3, 0]);
        assert_eq!(next(&["a", "a", "b", "a"], &[], 4), [0, 2, 1, 3]);
        assert_eq!(next(&["a"; 9], &["a"], 3), [0, 1, 2]);
        assert_eq!(next::<&str>(&[], &["a"], 3), [0_usize; 0]);
    }

    proptest! {
        /// No place stays empty; who is next has no more than anybody who still waits.
        #[test]
        fn places_are_shared(
            waiting in vec(0..4_u16, 0..12),
            taken in vec(0..4_u16, 0..4),
            free in 0..6_usize,
        ) {
            let chosen = next(&waiting, &taken, free);
            prop_assert_eq!(chosen.len(), free.min(waiting.len()));
            let mut held = taken;
            for (number, place) in chosen.iter().enumerate() {
                let count = |owner: u16| held.iter().filter(|it| **it == owner).count();
                for (other, owner) in waiting.iter().enumerate() {
                    if !chosen[..=number].contains(&other) {
                        prop_assert!(count(waiting[*place]) <= count(*owner));
                        prop_assert!(waiting[*place] != *owner || *place < other);
                    }
                }
                held.push(waiting[*place]);
            }
        }
    }
}
