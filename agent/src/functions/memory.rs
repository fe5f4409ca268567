//! Memory: what instances have of this host's, and what is left.

use api::internal::functions::Revision;

use super::Known;
use super::sizing::asked_kib;
use crate::Agent;

/// The memory of one instance, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Memory {
    agent: Agent,
    bytes: u64,
}

impl Memory {
    /// Makes it so much, whether or not there is room.
    pub(super) fn set(&mut self, bytes: u64) {
        let mut all = self.agent.shared.functions.memory_bytes.lock();
        *all = (*all).saturating_sub(self.bytes).saturating_add(bytes);
        self.bytes = bytes;
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        *self.agent.shared.functions.memory_bytes.lock() -= self.bytes;
    }
}

impl Agent {
    /// How many more instances of this size fit.
    pub(super) fn room(&self, known: &Known, spec: &Revision) -> u32 {
        let bytes = known.sizes.kib(asked_kib(spec)) << 10;
        u32::try_from(self.free_bytes() / bytes.max(1)).unwrap_or(u32::MAX)
    }

    /// Memory for more instances, in bytes.
    pub(super) fn free_bytes(&self) -> u64 {
        let used = *self.shared.functions.memory_bytes.lock();
        self.shared.settings.functions_memory_bytes.saturating_sub(used)
    }

    /// Ends the instances of other revisions that have been idle the longest, until one of this size
    /// fits. What they had is given to the next before they are wholly gone, some milliseconds later.
    pub(super) fn make_room(&self, known: &Known, spec: &Revision) {
        let all = self.shared.functions.known.lock();
        while self.room(known, spec) == 0 {
            let others = all.iter().filter(|(other, _)| **other != known.of);
            let idle =
                others.filter_map(|(_, known)| Some((known.pool.lock().idle_since_ms()?, known)));
            let Some((_, known)) = idle.min_by_key(|(since_ms, _)| *since_ms) else { return };
            let Some(warm) = known.pool.lock().take_longest_idle() else { return };
            warm.give_back_memory();
            let agent = self.clone();
            self.shared.tasks.spawn("function end", async move { warm.end(&agent).await });
        }
    }

    /// Takes so much, whether or not there is room.
    pub(super) fn reserve(&self, bytes: u64) -> Memory {
        *self.shared.functions.memory_bytes.lock() += bytes;
        Memory { agent: self.clone(), bytes }
    }
}
