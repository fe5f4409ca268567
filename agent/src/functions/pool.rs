//! The instances of one revision: idle ones, counts of the others, and who waits for one.
//!
//! Always true: whoever waited the longest is served first; an instance that comes free is kept
//! only where nobody waits; the one that was used last is used next, so that the others may end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use policy::dispatch::{Dispatch, Instances, Limits, dispatch};
use tokio::sync::oneshot;

use super::instance::{Broken, Warm};
use super::{Turn, Waiter};

/// Most instances of one revision on a host.
const INSTANCES_MAX: u32 = 1_000;
/// Most calls that wait for one.
const WAITING_MAX: u32 = 1_000;
/// Of how many measurements the usual time is the mean, later ones counting more.
const USUAL_OF: u64 = 8;

/// The instances of one revision.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// With the time since when, the longest idle first.
    idle: VecDeque<(u64, Warm)>,
    /// Those that have begun and not ended.
    live: Arc<AtomicU32>,
    /// In the making.
    pub(super) starting: u32,
    waiting: VecDeque<Waiter>,
    /// Whether somebody sees to it that idle instances are frozen.
    freezing: bool,
    call_us: Option<u64>,
    start_us: Option<u64>,
}

impl Pool {
    /// What becomes of a call, where so many more instances fit.
    pub(super) fn dispatch(&mut self, room: u32) -> Dispatch {
        self.idle.retain(|(_, warm)| warm.works());
        self.waiting.retain(|waiter| !waiter.is_closed());
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let has = Instances {
            idle: count(self.idle.len()),
            busy: self.busy(),
            starting: self.starting,
            waiting: count(self.waiting.len()),
            call_us: self.call_us,
            start_us: self.start_us,
        };
        let limits = Limits { instances_max: INSTANCES_MAX, room, waiting_max: WAITING_MAX };
        dispatch(&has, &limits)
    }

    /// The instance that was used last.
    pub(super) fn take(&mut self) -> Option<Warm> {
        self.idle.pop_back().map(|(_, warm)| warm)
    }

    /// Since when the longest idle instance has been so.
    pub(super) fn idle_since_ms(&self) -> Option<u64> {
        self.idle.front().map(|(since_ms, _)| *since_ms)
    }

    /// The instance that has been idle the longest.
    pub(super) fn take_longest_idle(&mut self) -> Option<Warm> {
        self.idle.pop_front().map(|(_, warm)| warm)
    }

    /// Counts one more instance, for as long as what comes back lives.
    pub(super) fn count(&self) -> Counted {
        self.live.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(&self.live))
    }

    /// Instances that run a call, or are about to be given one.
    fn busy(&self) -> u32 {
        let idle = u32::try_from(self.idle.len()).unwrap_or(u32::MAX);
        self.live.load(Ordering::Relaxed).saturating_sub(idle)
    }

    /// Waits for an instance.
    pub(super) fn wait(&mut self) -> oneshot::Receiver<Result<Turn, Broken>> {
        let (waiter, waiting) = oneshot::channel();
        self.waiting.push_back(waiter);
        waiting
    }

    /// Gives an instance, or the word that none can be made, to whoever has waited the longest; an
    /// instance that nobody waits for comes back.
    ///
    /// What comes back must not be dropped while the pool is locked.
    pub(super) fn give(&mut self, made: Result<Turn, Broken>) -> Option<Turn> {
        let mut made = made;
        while let Some(waiter) = self.waiting.pop_front() {
            match waiter.send(made) {
                Ok(()) => return None,
                Err(back) => made = back,
            }
        }
        made.ok()
    }

    /// Keeps an instance as idle; says whether the caller has to see to it that it is frozen.
    pub(super) fn keep(&mut self, warm: Warm, now_ms: u64) -> bool {
        self.idle.push_back((now_ms, warm));
        !std::mem::replace(&mut self.freezing, true)
    }

    /// Freezes what has been idle since then or longer; says whether others are still to be frozen.
    pub(super) fn freeze_until(&mut self, until_ms: u64) -> bool {
        for (since_ms, warm) in &mut self.idle {
            if *since_ms <= until_ms {
                warm.freeze();
            }
        }
        self.freezing = self.idle.iter().any(|(since_ms, _)| *since_ms > until_ms);
        self.freezing
    }

    /// Whether calls wait for which no instance can come free and none is in the making.
    pub(super) fn lacks(&self) -> bool {
        let coming = self.busy().saturating_add(self.starting);
        coming == 0 && self.waiting.iter().any(|waiter| !waiter.is_closed())
    }

    /// Counts a call.
    pub(super) fn ran(&mut self, us: u64) {
        self.call_us = Some(usual(self.call_us, us));
    }

    /// Counts a start.
    pub(super) fn started(&mut self, us: u64) {
        self.start_us = Some(usual(self.start_us, us));
    }

    /// Takes out the instances that have been idle since then or longer.
    pub(super) fn idle_until(&mut self, until_ms: u64) -> Vec<Warm> {
        let old = self.idle.partition_point(|(since_ms, _)| *since_ms <= until_ms);
        self.idle.drain(..old).map(|(_, warm)| warm).collect()
    }

    /// Whether it has no instance, and nobody waits for one.
    pub(super) fn is_empty(&self) -> bool {
        self.live.load(Ordering::Relaxed) == 0 && self.starting == 0 && self.waiting.is_empty()
    }
}

/// One instance of a pool.
#[derive(Debug)]
pub(super) struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn usual(before: Option<u64>, us: u64) -> u64 {
    before.map_or(us, |before| before - before / USUAL_OF + us / USUAL_OF)
}
