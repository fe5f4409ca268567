//! Which chunks a cache holds, and in what order they were used.
//!
//! Always true: the bytes of the entries never exceed the limit; every entry stands in the order
//! exactly once.

use std::collections::{BTreeMap, HashMap};

use types::AccountId;

use crate::chunk::ChunkId;

/// The name of an entry.
pub(super) type Name = (AccountId, ChunkId);

#[derive(Clone, Copy, Debug)]
struct Slot {
    bytes: u64,
    used: u64,
}

/// The entries and their order.
#[derive(Debug)]
pub(super) struct Index {
    bytes: u64,
    bytes_max: u64,
    /// Counts uses; the smallest number was used longest ago.
    uses: u64,
    slots: HashMap<Name, Slot>,
    order: BTreeMap<u64, Name>,
}

impl Index {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { bytes: 0, bytes_max, uses: 0, slots: HashMap::new(), order: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    pub(super) fn contains(&self, name: Name) -> bool {
        self.slots.contains_key(&name)
    }

    /// Marks an entry as used now. False when there is none.
    pub(super) fn touch(&mut self, name: Name) -> bool {
        let Some(slot) = self.slots.get_mut(&name) else { return false };
        self.order.remove(&slot.used);
        self.uses += 1;
        slot.used = self.uses;
        self.order.insert(self.uses, name);
        true
    }

    /// Removes an entry. False when there is none.
    pub(super) fn remove(&mut self, name: Name) -> bool {
        let Some(slot) = self.slots.remove(&name) else { return false };
        self.order.remove(&slot.used);
        self.bytes -= slot.bytes;
        true
    }

    /// Adds an entry as used now, and returns those that had to go: the ones used longest ago, or
    /// the new one itself when it alone is above the limit.
    pub(super) fn insert(&mut self, name: Name, bytes: u64) -> Vec<Name> {
        self.remove(name);
        if bytes > self.bytes_max {
            return vec![name];
        }
        let mut evicted = Vec::new();
        while self.bytes + bytes > self.bytes_max {
            let (_, oldest) = self.order.pop_first().expect("bytes are held by some entry");
            self.remove(oldest);
            evicted.push(oldest);
        }
        self.uses += 1;
        self.bytes += bytes;
        self.slots.insert(name, Slot { bytes, used: self.uses });
        self.order.insert(self.uses, name);
        evicted
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use types::Digest;
    use uuid::Uuid;

    use super::*;

    fn name(number: u8) -> Name {
        (AccountId::new(Uuid::from_u128(1)), ChunkId(Digest([number; 32])))
    }

    proptest! {
        /// Whatever is done, the limit holds, the counts agree, and what was just used stays.
        #[test]
        fn the_limit_holds(acts in vec((0..3u8, 0..8u8, 0..60u64), 0..80)) {
            let mut index = Index::new(100);
            for (act, number, bytes) in acts {
                match act {
                    0 => prop_assert!(!index.insert(name(number), bytes).contains(&name(number))),
                    1 => prop_assert_eq!(index.touch(name(number)), index.contains(name(number))),
                    _ => { index.remove(name(number)); }
                }
                let held: u64 = index.slots.values().map(|slot| slot.bytes).sum();
                prop_assert_eq!(held, index.bytes());
                prop_assert!(held <= 100);
                prop_assert_eq!(index.order.len(), index.slots.len());
            }
        }
    }

    #[test]
    fn the_entry_used_longest_ago_goes_first() {
        let mut index = Index::new(100);
        for number in 1..=3 {
            assert!(index.insert(name(number), 30).is_empty());
        }
        index.touch(name(1));
        assert_eq!(index.insert(name(4), 30), [name(2)]);
        assert_eq!(index.insert(name(5), 101), [name(5)]);
    }
}
