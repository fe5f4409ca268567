//! Eviction: which idle instance goes when memory is short.
//!
//! Greedy-dual by size and frequency: an instance's priority is the clock at its last use, plus
//! how often its function is called times what a cold start of it costs, by its size. The lowest
//! goes first, and the clock moves on to its priority, so that what is not used grows old.
//!
//! Always true: the lowest priority goes, of equal ones the one that is idle longest; the clock
//! never goes back; priorities are exact and saturate instead of turning over.
//! Absent on purpose: how much memory is to become free, and who is told.
//! Source: A. Fuerst and P. Sharma, on keeping functions alive by greedy-dual caching, 2021.

use std::collections::BTreeMap;

/// What an instance is worth keeping for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Calls of its function so far.
    pub calls: u64,
    /// What a cold start of it costs, in milliseconds.
    pub cold_ms: u64,
    /// Its memory, in KiB; 0 counts as 1.
    pub memory_kib: u64,
}

/// Idle instances in the order in which they go.
#[derive(Clone, Debug)]
pub struct Idle<T> {
    clock: u128,
    entered: u64,
    order: BTreeMap<Place, T>,
}

/// Where an idle instance stands: by its priority, then by when it became idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    priority: u128,
    entered: u64,
}

impl Place {
    /// The priority: a whole number of 2^-32 milliseconds of cold starts a KiB.
    pub fn priority(&self) -> u128 {
        self.priority
    }
}

impl<T> Default for Idle<T> {
    /// Nothing is idle.
    fn default() -> Self {
        Self { clock: 0, entered: 0, order: BTreeMap::new() }
    }
}

impl<T> Idle<T> {
    /// Enters an instance that has become idle, and says where it stands.
    pub fn enter(&mut self, instance: T, used: Use) -> Place {
        self.entered += 1;
        let place = Place { priority: priority(self.clock, used), entered: self.entered };
        self.order.insert(place, instance);
        place
    }

    /// Takes out an instance that is used again, or has gone by itself.
    pub fn leave(&mut self, place: Place) -> Option<T> {
        self.order.remove(&place)
    }

    /// Takes out the one that is to go now, if any is idle.
    pub fn evict(&mut self) -> Option<(Place, T)> {
        let (place, instance) = self.order.pop_first()?;
        self.clock = self.clock.max(place.priority);
        Some((place, instance))
    }
}

/// The priority of an instance that is used when the clock stands there.
pub fn priority(clock: u128, used: Use) -> u128 {
    let cost = u128::from(used.calls).saturating_mul(u128::from(used.cold_ms));
    // 32 bits of fraction, so that small costs of large instances still differ.
    let cost = cost.saturating_mul(1 << 32);
    clock.saturating_add(cost / u128::from(used.memory_kib.max(1)))
}

#[cfg(test)]
mod tests;
