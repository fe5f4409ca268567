//! The instances of one revision: idle ones, those in use with their calls, and who waits for one.
//!
//! Always true: whoever waited the longest is served first; an instance has no more calls at a time
//! than it may; a place that comes free is kept only where nobody waits; the fullest instance that
//! has a place is used next, and of idle ones the one that was used last, so that the others may end.

mod provisioned;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use policy::deploy::Health;
use policy::dispatch::{Dispatch, Instances, Limits, dispatch, fullest, retry_ms};
use policy::warmth::{FIXED_MS, HORIZON_MS};
use tokio::sync::oneshot;
use types::Concurrency;

use super::broken::Broken;
use super::deploy::Counts;
use super::instance::Warm;
use super::keeping::Keeping;
use super::{Origin, Turn, Waiter};
use provisioned::Provisioned;

/// Most instances of one revision on a host.
const INSTANCES_MAX: u32 = 1_000;
/// Most calls that wait for one.
const WAITING_MAX: u32 = 1_000;
/// How long an instance that was made for a burst is kept: as long as a burst may pause.
const BURST_KEEP_MS: u64 = 5_000;
/// Until when an instance is kept that stays until it is let go.
const KEPT_MS: u64 = u64::MAX;
/// Of how many measurements the usual time is the mean, later ones counting more.
const USUAL_OF: u64 = 8;

/// The instances of one revision.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// How many calls an instance may have at a time.
    concurrency: Concurrency,
    /// The longest idle first.
    idle: VecDeque<Idle>,
    /// Those with calls, but for those that were made for one alone.
    used: Vec<Used>,
    /// Those that have begun and not ended.
    live: Arc<AtomicU32>,
    /// In the making.
    pub(super) starting: u32,
    waiting: VecDeque<Waiter>,
    /// Whether somebody sees to it that idle instances are frozen.
    freezing: bool,
    call_us: Option<u64>,
    start_us: Option<u64>,
    /// Since when no call has found a place, or an instance was made for one that did not.
    full_since_us: Option<u64>,
    keeping: Keeping,
    counts: Counts,
    /// Whether somebody sees to it that an instance is made.
    preparing: bool,
    /// For how long an instance that was made ahead is kept, in milliseconds.
    ahead_keep_ms: Option<u64>,
    /// Those to be kept warm, and how many of the live ones are such.
    pub(super) provisioned: Provisioned,
    live_provisioned: Arc<AtomicU32>,
}

/// An instance without a call.
#[derive(Debug)]
struct Idle {
    since_ms: u64,
    until_ms: u64,
    warm: Arc<Warm>,
}

/// An instance with calls.
#[derive(Debug)]
struct Used {
    calls: u32,
    warm: Arc<Warm>,
}

/// What is to be seen to, now that an instance is idle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// It is to be frozen in a while, and nobody sees to it.
    pub(super) freeze: bool,
    /// When another is to be made ahead of a call.
    pub(super) ahead_ms: Option<u64>,
}

impl Pool {
    /// What becomes of a call, where so many more instances fit, and each may have so many calls.
    pub(super) fn dispatch(
        &mut self,
        room: u32,
        concurrency: Concurrency,
        now_us: u64,
    ) -> Dispatch {
        self.concurrency = concurrency;
        self.idle.retain(|idle| idle.warm.works());
        self.waiting.retain(|waiter| !waiter.is_closed());
        let limits = Limits { instances_max: INSTANCES_MAX, room, waiting_max: WAITING_MAX };
        let full_us = self.full_since_us.map_or(0, |since_us| now_us.saturating_sub(since_us));
        let dispatched = dispatch(&Instances { full_us, ..self.has() }, &limits);
        self.full_since_us = match dispatched {
            Dispatch::Use => None,
            Dispatch::Make => Some(now_us),
            Dispatch::Wait | Dispatch::Throttled | Dispatch::Full => {
                self.full_since_us.or(Some(now_us))
            }
        };
        dispatched
    }

    /// When a call that was refused may be tried again, in milliseconds.
    pub(super) fn retry_ms(&self) -> u64 {
        retry_ms(&self.has())
    }

    fn has(&self) -> Instances {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        Instances {
            concurrency: self.concurrency,
            places: self.places(),
            busy: self.busy(),
            starting: self.starting,
            waiting: count(self.waiting.len()),
            call_us: self.call_us,
            start_us: self.start_us,
            full_us: 0,
        }
    }

    /// Calls that could be taken at once.
    fn places(&self) -> u32 {
        let each = self.concurrency.get();
        let idle = u32::try_from(self.idle.len()).unwrap_or(u32::MAX).saturating_mul(each);
        let used = self.used.iter().filter(|used| used.warm.works());
        used.fold(idle, |places, used| places.saturating_add(each.saturating_sub(used.calls)))
    }

    /// Counts a call that is about to get a place; `anew` where none is there and an instance is made.
    pub(super) fn called(&mut self, anew: bool, now_ms: u64) {
        // One that joins others asks nothing of how many instances there are.
        if anew || self.open().is_none() {
            let running = self.busy().saturating_add(self.starting).saturating_add(1);
            self.keeping.called(running, now_ms);
        } else {
            self.keeping.joined(now_ms);
        }
    }

    /// Where the fullest instance is that has a place, of those in use.
    fn open(&self) -> Option<usize> {
        // One that has ended is as good as full.
        let calls = |used: &Used| if used.warm.works() { used.calls } else { u32::MAX };
        fullest(self.used.iter().map(calls), self.concurrency)
    }

    /// A place in an instance.
    pub(super) fn take(&mut self) -> Option<Arc<Warm>> {
        if let Some(at) = self.open() {
            let used = &mut self.used[at];
            used.calls += 1;
            return Some(Arc::clone(&used.warm));
        }
        let warm = self.take_idle()?;
        self.use_new(Arc::clone(&warm));
        Some(warm)
    }

    /// Takes in an instance that has a call from now on.
    pub(super) fn use_new(&mut self, warm: Arc<Warm>) {
        self.used.push(Used { calls: 1, warm });
    }

    /// Takes an instance out, so that no call comes to it any more.
    pub(super) fn take_out(&mut self, warm: &Arc<Warm>) {
        self.used.retain(|used| !Arc::ptr_eq(&used.warm, warm));
    }

    /// Gives a place back; says whether the instance is without calls now, and in nobody's hands.
    pub(super) fn leave(&mut self, warm: &Arc<Warm>) -> bool {
        let Some(at) = self.used.iter().position(|used| Arc::ptr_eq(&used.warm, warm)) else {
            return false;
        };
        self.used[at].calls -= 1;
        let empty = self.used[at].calls == 0;
        if empty {
            self.used.remove(at);
        }
        empty
    }

    /// Since when the longest idle instance has been so.
    /// Of those that may be ended for others.
    pub(super) fn idle_since_ms(&self) -> Option<u64> {
        self.idle.iter().find(|idle| !idle.warm.is_provisioned()).map(|idle| idle.since_ms)
    }

    /// The instance that has been idle the longest, of those that may be ended for others.
    pub(super) fn take_longest_idle(&mut self) -> Option<Arc<Warm>> {
        let at = self.idle.iter().position(|idle| !idle.warm.is_provisioned())?;
        self.idle.remove(at).map(|idle| idle.warm)
    }

    /// Counts one more instance, for as long as what comes back lives.
    pub(super) fn count(&self, origin: Origin) -> Counted {
        let kept = (origin == Origin::Provisioned).then(|| Arc::clone(&self.live_provisioned));
        let counts = std::iter::once(Arc::clone(&self.live)).chain(kept);
        Counted(counts.inspect(|count| _ = count.fetch_add(1, Ordering::Relaxed)).collect())
    }

    /// Instances that run a call, or are about to be given one.
    fn busy(&self) -> u32 {
        let idle = u32::try_from(self.idle.len()).unwrap_or(u32::MAX);
        self.live.load(Ordering::Relaxed).saturating_sub(idle)
    }

    /// Whether a call waits for an instance.
    pub(super) fn is_waited_for(&self) -> bool {
        self.waiting.iter().any(|waiter| !waiter.is_closed())
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

    /// Keeps an instance as idle; says what the caller has to see to.
    pub(super) fn keep(&mut self, warm: Arc<Warm>, now_ms: u64) -> Kept {
        let (until_ms, ahead_ms) = if warm.is_provisioned() {
            // No call has waited for its start, and none is told of it. What calls of it are like is of
            // use once it is kept no more.
            if warm.take_start().is_none() {
                self.keeping.ended(self.busy(), now_ms);
            }
            (KEPT_MS, None)
        } else if warm.origin == Origin::Burst {
            (now_ms.saturating_add(BURST_KEEP_MS), None)
        } else if warm.is_fresh() {
            // It was made ahead of a call, and none has come yet.
            (now_ms.saturating_add(self.ahead_keep_ms.take().unwrap_or(FIXED_MS)), None)
        } else {
            let window = self.keeping.ended(self.busy(), now_ms);
            let ahead_ms = self.keeping.ahead_ms(&window, now_ms);
            self.ahead_keep_ms = ahead_ms.map(|_| window.keep_ms).or(self.ahead_keep_ms);
            let stays_ms = if window.warm_ms == 0 { window.keep_ms } else { 0 };
            (now_ms.saturating_add(stays_ms), ahead_ms)
        };
        self.idle.push_back(Idle { since_ms: now_ms, until_ms, warm });
        Kept { freeze: !std::mem::replace(&mut self.freezing, true), ahead_ms }
    }

    /// How many calls could be taken at once, and for how long the instance that stays the longest is
    /// kept, of those that could take them: one in use for as long as a call usually takes.
    pub(super) fn places_told(&self, now_ms: u64) -> (u32, u64) {
        let until_ms = self.idle.iter().map(|idle| idle.until_ms).max().unwrap_or(now_ms);
        let used_ms = self.open().and(self.call_us).unwrap_or(0) / 1_000;
        (self.places(), until_ms.saturating_sub(now_ms).max(used_ms).min(HORIZON_MS))
    }

    /// Whether nobody else sees to it that an instance is made; then the caller does.
    pub(super) fn begin_preparing(&mut self) -> bool {
        let free = !self.preparing && !self.is_live() && self.starting == 0;
        self.preparing |= free;
        free
    }

    /// Whoever saw to it no longer does.
    pub(super) fn end_preparing(&mut self) {
        self.preparing = false;
    }

    /// Whether an instance is there.
    pub(super) fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed) > 0
    }

    /// How the revision does here.
    pub(super) fn health(&self) -> Health {
        self.counts.health()
    }

    /// Freezes what has been idle since then or longer; says whether others are still to be frozen.
    pub(super) fn freeze_until(&mut self, until_ms: u64) -> bool {
        for idle in &self.idle {
            if idle.since_ms <= until_ms {
                idle.warm.freeze();
            }
        }
        let later = |idle: &Idle| idle.since_ms > until_ms || idle.warm.is_finishing();
        self.freezing = self.idle.iter().any(later);
        self.freezing
    }

    /// Whether calls wait for which no instance can come free and none is in the making.
    pub(super) fn lacks(&self) -> bool {
        let coming = self.busy().saturating_add(self.starting);
        coming == 0 && self.is_waited_for()
    }

    /// Counts a call, which left its instance of use or not.
    pub(super) fn ran(&mut self, us: u64, well: bool) {
        self.call_us = Some(usual(self.call_us, us));
        self.counts.answered(well);
    }

    /// Counts a start.
    pub(super) fn started(&mut self, us: u64, memory_bytes: u64) {
        self.start_us = Some(usual(self.start_us, us));
        self.keeping.started(us, memory_bytes);
        self.counts.started(true);
    }

    /// Counts a start that failed; says whether it is the one after which a version that follows
    /// another is given up.
    pub(super) fn failed(&mut self) -> bool {
        self.counts.started(false)
    }

    /// Takes out the instances whose time is over.
    pub(super) fn over(&mut self, now_ms: u64) -> Vec<Arc<Warm>> {
        let (over, stay) =
            std::mem::take(&mut self.idle).into_iter().partition(|idle| idle.until_ms <= now_ms);
        self.idle = stay;
        let over: VecDeque<Idle> = over;
        over.into_iter().map(|idle| idle.warm).collect()
    }

    /// Whether it has no instance, nobody waits for one, and what is known of it is of no use.
    pub(super) fn is_over(&self, now_ms: u64) -> bool {
        self.is_empty() && self.keeping.is_stale(now_ms)
    }

    /// Whether it has no instance, and nobody waits for one.
    pub(super) fn is_empty(&self) -> bool {
        let idle = !self.is_live() && self.starting == 0 && !self.preparing;
        idle && self.waiting.is_empty()
    }

    /// When it was last called.
    pub(super) fn called_ms(&self) -> u64 {
        self.keeping.called_ms()
    }
}

/// One instance of a pool.
#[derive(Debug)]
pub(super) struct Counted(Vec<Arc<AtomicU32>>);

impl Drop for Counted {
    fn drop(&mut self) {
        for count in &self.0 {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn usual(before: Option<u64>, us: u64) -> u64 {
    before.map_or(us, |before| before - before / USUAL_OF + us / USUAL_OF)
}
