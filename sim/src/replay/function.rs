//! One function on a virtual host: its running calls, and the instances that they left behind.
//!
//! Every call that ends leaves a slot, which says when an instance is warm there. The next call
//! takes the latest slot, warm or not, so that the time since it was left is the gap that the policy
//! learns; only if nothing is warm there, an earlier slot that is warm gives its instance.
//!
//! Always true: slots stand in the order in which they were left; idle time is counted once, when
//! the instance of a slot is taken or gone.
//! Absent on purpose: memory of the host, and when things happen.

use policy::warmth::eviction::{Place, Use};
use policy::warmth::least_cost::Stakes;
use policy::warmth::{Policy, Warmth, worth_ms};

use crate::report::Calls;
use crate::trace;

/// A function that is called.
pub(super) struct Function {
    warmth: Warmth,
    cold_ms: u64,
    running: u32,
    slots: Vec<Slot>,
    left: u64,
    pub(super) memory_kib: u64,
    pub(super) calls: Calls,
    /// Instances' time warm without a call, or starting ahead of one.
    pub(super) idle_ms: u128,
}

/// Where a call ended, and what is kept there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) number: u64,
    since_ms: u64,
    /// An instance begins to start here, or stays: then it is `since_ms`.
    pub(super) start_ms: u64,
    ready_ms: u64,
    pub(super) until_ms: u64,
    /// Nothing is kept any more.
    gone: bool,
    /// Where it stands among those that are to go when memory is short.
    pub(super) place: Option<Place>,
}

/// What a call finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// How long it waits for an instance to be ready.
    pub(super) wait_ms: u64,
    /// Where an instance stood that it takes.
    pub(super) place: Option<Place>,
    /// Where one stood that was starting ahead of it, and is not wanted.
    pub(super) dropped: Option<Place>,
}

impl Slot {
    fn is_warm(&self, now_ms: u64) -> bool {
        !self.gone && self.ready_ms <= now_ms && now_ms <= self.until_ms
    }

    fn is_starting(&self, now_ms: u64) -> bool {
        !self.gone && self.start_ms <= now_ms && now_ms < self.ready_ms
    }

    /// Ends what is kept, and says for how long there was an instance without a call.
    fn end(&mut self, now_ms: u64) -> u64 {
        if std::mem::replace(&mut self.gone, true) {
            return 0;
        }
        now_ms.min(self.until_ms).saturating_sub(self.start_ms)
    }
}

impl Function {
    pub(super) fn new(function: &trace::Function, policy: Policy, cold_ms: u64) -> Self {
        let worth_ms = worth_ms(cold_ms, function.memory_kib);
        Self {
            warmth: Warmth::new(policy, Stakes { worth_ms, start_ms: cold_ms }),
            cold_ms,
            running: 0,
            slots: Vec::new(),
            left: 0,
            memory_kib: function.memory_kib,
            calls: Calls::default(),
            idle_ms: 0,
        }
    }

    /// Whether a call that came now would need memory for a new instance.
    pub(super) fn needs_memory(&self, now_ms: u64) -> bool {
        let latest = self.slots.last().is_some_and(|slot| slot.is_starting(now_ms));
        !latest && !self.slots.iter().rev().any(|slot| slot.is_warm(now_ms))
    }

    /// Begins a call.
    pub(super) fn begin(&mut self, now_ms: u64) -> Taken {
        self.calls.all += 1;
        self.running += 1;
        let Some(mut slot) = self.slots.pop() else {
            return self.cold(self.cold_ms, None);
        };
        self.warmth.learn(self.running, now_ms - slot.since_ms);
        let (warm, starting) = (slot.is_warm(now_ms), slot.is_starting(now_ms));
        self.idle_ms += u128::from(slot.end(now_ms));
        if warm {
            return Taken { wait_ms: 0, place: slot.place, dropped: None };
        }
        if let Some(earlier) = self.slots.iter_mut().rev().find(|slot| slot.is_warm(now_ms)) {
            self.idle_ms += u128::from(earlier.end(now_ms));
            return Taken { wait_ms: 0, place: earlier.place.take(), dropped: slot.place };
        }
        if starting {
            return self.cold(slot.ready_ms - now_ms, slot.place);
        }
        self.cold(self.cold_ms, None)
    }

    fn cold(&mut self, wait_ms: u64, place: Option<Place>) -> Taken {
        self.calls.cold += 1;
        Taken { wait_ms, place, dropped: None }
    }

    /// Ends a call, and leaves a slot; `None` where nothing is ever kept in it.
    pub(super) fn end(&mut self, now_ms: u64) -> Option<&mut Slot> {
        let window = self.warmth.window(self.running);
        self.running = self.running.saturating_sub(1);
        self.left += 1;
        let ready_ms = now_ms.saturating_add(window.warm_ms);
        let start_ms = ready_ms.saturating_sub(self.cold_ms).max(now_ms);
        let until_ms = now_ms.saturating_add(window.end_ms());
        let gone = window.end_ms() == 0;
        self.slots.push(Slot {
            number: self.left,
            since_ms: now_ms,
            start_ms: if window.warm_ms == 0 { now_ms } else { start_ms },
            ready_ms,
            until_ms,
            gone,
            place: None,
        });
        self.slots.last_mut().filter(|slot| !slot.gone)
    }

    /// The slot of this number, if an instance is kept in it or will be.
    pub(super) fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        let place = self.slots.binary_search_by_key(&number, |slot| slot.number).ok()?;
        self.slots.get_mut(place).filter(|slot| !slot.gone)
    }

    /// Lets the instance of a slot go.
    pub(super) fn release(&mut self, number: u64, now_ms: u64) -> Option<Place> {
        let slot = self.slot(number)?;
        let place = slot.place.take();
        let idle_ms = slot.end(now_ms);
        self.idle_ms += u128::from(idle_ms);
        place
    }

    /// Counts what was idle until the end.
    pub(super) fn finish(&mut self, now_ms: u64) {
        let idle = self.slots.iter_mut().map(|slot| u128::from(slot.end(now_ms)));
        self.idle_ms += idle.sum::<u128>();
    }

    /// What its instances are worth keeping for.
    pub(super) fn used(&self) -> Use {
        Use { calls: self.calls.all, cold_ms: self.cold_ms, memory_kib: self.memory_kib }
    }
}
