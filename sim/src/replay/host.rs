//! A virtual host: the functions on it, what happens when, and its memory.
//!
//! Always true: time never goes back; with a limit, every instance that has memory is counted until
//! its call ends or its slot does, and an instance of any function fits when no other is there.
//! Absent on purpose: drawing of arrivals; without a limit, events for instances that only go.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use policy::warmth::Policy;
use policy::warmth::eviction::Idle;

use super::Settings;
use super::arrivals::Arrival;
use super::function::Function;
use crate::report::{Report, cold_share_p75_ppm};
use crate::trace::Trace;

pub(super) struct Host {
    functions: Vec<Function>,
    events: BinaryHeap<Reverse<Event>>,
    memory: Option<Memory>,
    report: Report,
}

/// Something that is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at_ms: u64,
    what: What,
    function: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A call ends.
    End,
    /// An instance begins to start ahead of a call, in the slot of this number.
    Start(u64),
    /// The window of the slot has ended.
    Expire(u64),
}

/// Memory that is limited.
struct Memory {
    kib_max: u64,
    kib: u64,
    idle: Idle<(u32, u64)>,
    queue: VecDeque<Arrival>,
}

impl Host {
    pub(super) fn new(trace: &Trace, policy: Policy, settings: &Settings) -> Self {
        let function = |function| Function::new(function, policy, settings.cold_ms);
        let functions: Vec<Function> = trace.functions.iter().map(function).collect();
        let largest_kib = functions.iter().map(|function| function.memory_kib).max().unwrap_or(0);
        let memory = settings.memory_kib_max.map(|kib_max| Memory {
            kib_max: kib_max.max(largest_kib),
            kib: 0,
            idle: Idle::default(),
            queue: VecDeque::new(),
        });
        Self { functions, events: BinaryHeap::new(), memory, report: Report::default() }
    }

    /// A call comes, no earlier than the one before.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        self.advance(arrival.at_ms);
        self.report.calls += 1;
        let waits = self.memory.as_ref().is_some_and(|memory| !memory.queue.is_empty());
        if waits || !self.begin(arrival, arrival.at_ms) {
            self.report.queued += 1;
            if let Some(memory) = &mut self.memory {
                memory.queue.push_back(arrival);
            }
        }
    }

    /// What there is to tell at the end.
    pub(super) fn finish(mut self, now_ms: u64) -> Report {
        self.advance(now_ms);
        for arrival in self.memory.iter().flat_map(|memory| &memory.queue) {
            self.report.waited_ms += now_ms - arrival.at_ms;
        }
        for function in &mut self.functions {
            function.finish(now_ms);
            self.report.idle_kib_ms += function.idle_ms * u128::from(function.memory_kib);
            self.report.cold += function.calls.cold;
        }
        let calls = self.functions.iter().map(|function| function.calls);
        self.report.cold_share_p75_ppm = cold_share_p75_ppm(calls);
        self.report
    }

    /// Lets everything happen until then.
    fn advance(&mut self, now_ms: u64) {
        while let Some(Reverse(event)) = self.events.peek().copied()
            && event.at_ms <= now_ms
        {
            self.events.pop();
            match event.what {
                What::End => self.end(event.function, event.at_ms),
                What::Start(slot) => self.start(event.function, slot, event.at_ms),
                What::Expire(slot) => self.expire(event.function, slot, event.at_ms),
            }
            // What happens at one time happens before the queue is looked at.
            if self.events.peek().is_none_or(|Reverse(next)| next.at_ms > event.at_ms) {
                self.serve_queue(event.at_ms);
            }
        }
    }

    /// Begins a call if it needs no memory or there is some; idle instances make room.
    fn begin(&mut self, arrival: Arrival, now_ms: u64) -> bool {
        let function = &self.functions[arrival.function as usize];
        if self.memory.is_some() && function.needs_memory(now_ms) {
            let memory_kib = function.memory_kib;
            if !self.take(memory_kib, now_ms) {
                return false;
            }
        }
        let function = &mut self.functions[arrival.function as usize];
        let taken = function.begin(now_ms);
        if let Some(memory) = &mut self.memory {
            if let Some(place) = taken.place {
                memory.idle.leave(place);
            }
            if let Some(place) = taken.dropped {
                memory.idle.leave(place);
                memory.kib -= function.memory_kib;
            }
        }
        self.report.waited_ms += now_ms - arrival.at_ms + taken.wait_ms;
        let at_ms = now_ms.saturating_add(taken.wait_ms).saturating_add(arrival.duration_ms);
        self.tell(at_ms, What::End, arrival.function);
        true
    }

    fn end(&mut self, number: u32, now_ms: u64) {
        self.report.decisions += 1;
        let function = &mut self.functions[number as usize];
        let (memory_kib, used) = (function.memory_kib, function.used());
        let slot = function.end(now_ms);
        let Some(memory) = &mut self.memory else {
            return;
        };
        let Some(slot) = slot else {
            memory.kib -= memory_kib;
            return;
        };
        let (start_ms, until_ms, slot_number) = (slot.start_ms, slot.until_ms, slot.number);
        if start_ms == now_ms {
            slot.place = Some(memory.idle.enter((number, slot_number), used));
        } else {
            memory.kib -= memory_kib;
            self.tell(start_ms, What::Start(slot_number), number);
        }
        self.tell(until_ms.saturating_add(1), What::Expire(slot_number), number);
    }

    /// Starts an instance ahead of a call, where nothing else has to go for it.
    fn start(&mut self, number: u32, slot: u64, now_ms: u64) {
        let function = &mut self.functions[number as usize];
        let (memory_kib, used) = (function.memory_kib, function.used());
        let Some((memory, found)) = self.memory.as_mut().zip(function.slot(slot)) else {
            return;
        };
        if memory.kib + memory_kib <= memory.kib_max {
            memory.kib += memory_kib;
            found.place = Some(memory.idle.enter((number, slot), used));
        } else {
            function.release(slot, now_ms);
        }
    }

    fn expire(&mut self, number: u32, slot: u64, now_ms: u64) {
        let function = &mut self.functions[number as usize];
        let memory_kib = function.memory_kib;
        let place = function.release(slot, now_ms);
        if let Some((memory, place)) = self.memory.as_mut().zip(place) {
            memory.idle.leave(place);
            memory.kib -= memory_kib;
        }
    }

    /// Takes memory, of idle instances where there is no other.
    fn take(&mut self, memory_kib: u64, now_ms: u64) -> bool {
        let Some(memory) = &mut self.memory else {
            return true;
        };
        while memory.kib + memory_kib > memory.kib_max {
            let Some((_, (number, slot))) = memory.idle.evict() else {
                return false;
            };
            let function = &mut self.functions[number as usize];
            function.release(slot, now_ms);
            memory.kib -= function.memory_kib;
            self.report.evicted += 1;
        }
        memory.kib += memory_kib;
        true
    }

    /// Begins calls that queue, in their order, until one finds no memory.
    fn serve_queue(&mut self, now_ms: u64) {
        while let Some(arrival) = self.memory.as_mut().and_then(|memory| memory.queue.pop_front()) {
            if !self.begin(arrival, now_ms) {
                if let Some(memory) = &mut self.memory {
                    memory.queue.push_front(arrival);
                }
                return;
            }
        }
    }

    fn tell(&mut self, at_ms: u64, what: What, function: u32) {
        self.events.push(Reverse(Event { at_ms, what, function }));
    }
}
