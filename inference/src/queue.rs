//! The queue: what waits, what runs, who still wants an answer, and when to look again.
//!
//! Always true: a request is in one place: waiting, running, or answered; it is answered by
//! whoever takes it out of the first two. The timer goes off no later than the first moment at
//! which something has to be decided though nothing has come.
//! Absent on purpose: what runs together and when; `policy::batching` and `policy::batch_size`
//! decide it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use policy::batch_size::Costs;
use policy::batching::{self, Decision, Settings, Waiting};
use types::ErrorKind;

use crate::batch;
use crate::check::Request;
use crate::connection::Connection;
use crate::engine::{Description, Stop};
use crate::fault::Fault;
use crate::task::Task;
use crate::timer::Timer;

/// Most bytes of inputs that wait.
const QUEUE_BYTES_MAX: usize = 512 << 20;
/// Set in the shape key of requests that run alone.
const ALONE: u64 = 1 << 63;

/// A request that waits or runs.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) to: Arc<Connection>,
    /// The caller's number.
    pub(crate) number: u64,
    pub(crate) request: Request,
    pub(crate) arrived: Instant,
    /// Rows of the first dimension, 1 where it is not a batch.
    pub(crate) rows: u32,
    deadline_us: u64,
    limit_us: u64,
}

/// A request that runs, as the deadline's keeper sees it.
#[derive(Debug)]
struct Member {
    to: Arc<Connection>,
    number: u64,
    deadline_us: u64,
    limit_us: u64,
    answered: bool,
}

struct Run {
    members: Vec<Member>,
    stop: Option<Stop>,
    /// Since when nobody waits for it.
    abandoned_us: Option<u64>,
}

#[derive(Default)]
struct State {
    order: Vec<Waiting>,
    waiting: BTreeMap<u64, Pending>,
    next: u64,
    bytes: usize,
    run: Option<Run>,
    /// When the timer goes off; none while it is not set.
    timer_us: Option<u64>,
    /// Set once the model turned out not to keep rows apart.
    never_joins: bool,
    /// What runs have cost.
    costs: Costs,
}

/// The queue.
pub(crate) struct Queue {
    state: Mutex<State>,
    timer: Timer,
    settings: Settings,
    timeout_us: u64,
    stuck_us_max: u64,
    started: Instant,
    model: Description,
}

impl Queue {
    pub(crate) fn new(model: Description, task: &Task) -> io::Result<Self> {
        let settings = Settings {
            rows_max: model.batch_max.max(1),
            delay_us_max: task.delay_us,
            queue_rows_max: task.queue_rows,
        };
        let us = |ms: u64| ms.saturating_mul(1_000);
        let (timeout_us, stuck_us_max) = (us(task.timeout_ms), us(task.stuck_ms));
        let (state, timer, started) = (Mutex::default(), Timer::watched()?, Instant::now());
        Ok(Self { state, timer, settings, timeout_us, stuck_us_max, started, model })
    }

    /// What tells that [`Queue::expire`] is due.
    pub(crate) fn timer(&self) -> impl AsFd {
        &self.timer
    }

    /// What is served.
    pub(crate) fn model(&self) -> &Description {
        &self.model
    }

    /// Microseconds since the start.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Puts a request in line.
    ///
    /// # Errors
    ///
    /// Busy where too much waits already.
    pub(crate) fn push(
        &self,
        to: &Arc<Connection>,
        number: u64,
        budget_us: u64,
        request: Request,
    ) -> Result<(), Fault> {
        let (arrived, now_us) = (Instant::now(), self.now_us());
        let limit_us =
            if budget_us == 0 { self.timeout_us } else { budget_us.min(self.timeout_us) };
        let deadline_us = now_us.saturating_add(limit_us);
        let mut state = self.state.lock();
        let free = batch::rows(&request, &self.model);
        let joins = free.filter(|_| self.model.batch_max > 0 && !state.never_joins);
        let (rows, bytes) = (free.unwrap_or(1), bytes(&request));
        state.admit(rows, bytes, &self.settings)?;
        let own = state.next;
        state.next += 1;
        let shape_key = joins.map_or(ALONE | own, |_| batch::shape_key(&request));
        state.order.push(Waiting { number: own, rows, shape_key, arrived_us: now_us, deadline_us });
        state.bytes += bytes;
        let to = Arc::clone(to);
        let pending = Pending { to, number, request, arrived, rows, deadline_us, limit_us };
        state.waiting.insert(own, pending);
        self.look_by(&mut state, deadline_us);
        Ok(())
    }

    /// The next batch, noted as running; none where one runs already, or nothing may run yet.
    pub(crate) fn take(&self) -> Option<Vec<Pending>> {
        let mut state = self.state.lock();
        if state.run.is_some() {
            return None;
        }
        let rows_max = state.costs.rows_max(self.settings.rows_max);
        let settings = Settings { rows_max, ..self.settings };
        let decided = batching::decide(&state.order, self.now_us(), false, &settings);
        for own in decided.expired {
            state.refuse_late(own);
        }
        match decided.decision {
            Decision::Run { numbers } => {
                let batch: Vec<Pending> =
                    numbers.iter().filter_map(|&own| state.remove(own)).collect();
                let members = batch.iter().map(Member::of).collect();
                state.run = Some(Run { members, stop: None, abandoned_us: None });
                Some(batch)
            }
            Decision::WaitUntil { us } => {
                self.look_by(&mut state, us);
                None
            }
            Decision::Idle => None,
        }
    }

    /// Whether the model runs.
    pub(crate) fn runs(&self) -> bool {
        self.state.lock().run.is_some()
    }

    /// Sets the timer to go off by then.
    fn look_by(&self, state: &mut State, us: u64) {
        if us < u64::MAX && state.timer_us.is_none_or(|set_us| us < set_us) {
            self.timer.set_us(us.saturating_sub(self.now_us()));
            state.timer_us = Some(us);
        }
    }

    /// Notes what stops the run; stops it at once where nobody waits for it any more.
    pub(crate) fn stop_by(&self, stop: Option<Stop>) {
        let mut state = self.state.lock();
        let Some(run) = &mut state.run else { return };
        run.stop = stop;
        if run.abandoned_us.is_some()
            && let Some(stop) = &run.stop
        {
            stop();
        }
    }

    /// Whether the answer to the run's member is still wanted; it counts as given from here on.
    pub(crate) fn wanted(&self, index: usize) -> bool {
        let mut state = self.state.lock();
        let member = state.run.as_mut().and_then(|run| run.members.get_mut(index));
        member.is_some_and(|member| !std::mem::replace(&mut member.answered, true))
    }

    /// Counts what a run has cost.
    pub(crate) fn count(&self, batch: &[Pending], ns: u64) {
        let rows = batch.iter().map(|pending| pending.rows).sum();
        let bytes: usize = batch.iter().map(|pending| bytes(&pending.request)).sum();
        self.state.lock().costs.ran(rows, bytes as u64, ns);
    }

    /// Notes that nothing runs.
    pub(crate) fn finish(&self) {
        self.state.lock().run = None;
    }

    /// Notes that the model mixes the rows it is given.
    pub(crate) fn never_join(&self) {
        self.state.lock().never_joins = true;
    }

    /// Forgets what a caller does not want any more: one number, or all of a connection.
    pub(crate) fn cancel(&self, token: u64, number: Option<u64>) {
        let meant = |to: &Connection, its: u64| {
            to.token == token && number.is_none_or(|number| number == its)
        };
        let now_us = self.now_us();
        let mut state = self.state.lock();
        let waiting: Vec<u64> = state
            .waiting
            .iter()
            .filter(|(_, pending)| meant(&pending.to, pending.number))
            .map(|(&own, _)| own)
            .collect();
        for own in waiting {
            state.remove(own);
        }
        if let Some(run) = &mut state.run {
            for member in &mut run.members {
                member.answered |= meant(&member.to, member.number);
            }
            let stuck_us = run.abandon(now_us).map(|us| us.saturating_add(self.stuck_us_max));
            self.look_by(&mut state, stuck_us.unwrap_or(u64::MAX));
        }
    }

    /// Answers whatever has waited or run for too long, and sets the timer anew. True when a run
    /// that nobody waits for could not be stopped in time.
    pub(crate) fn expire(&self) -> bool {
        let now_us = self.now_us();
        let mut state = self.state.lock();
        state.timer_us = None;
        let late = |one: &&Waiting| one.deadline_us <= now_us;
        let expired: Vec<u64> = state.order.iter().filter(late).map(|one| one.number).collect();
        for own in expired {
            state.refuse_late(own);
        }
        let mut next_us = state.order.iter().map(|one| one.deadline_us).min().unwrap_or(u64::MAX);
        if let Some(run) = &mut state.run {
            for member in run.members.iter_mut().filter(|member| !member.answered) {
                if member.deadline_us <= now_us {
                    member.answered = true;
                    member.to.send(member.number, &Fault::timeout(member.limit_us).frame());
                } else {
                    next_us = next_us.min(member.deadline_us);
                }
            }
            if let Some(since_us) = run.abandon(now_us) {
                let stuck_us = since_us.saturating_add(self.stuck_us_max);
                if stuck_us <= now_us {
                    return true;
                }
                next_us = next_us.min(stuck_us);
            }
        }
        self.look_by(&mut state, next_us);
        false
    }
}

impl State {
    fn admit(&self, rows: u32, bytes: usize, settings: &Settings) -> Result<(), Fault> {
        let busy = |message| Err(Fault { kind: ErrorKind::Busy, message });
        let waiting: u32 = self.order.iter().map(|one| one.rows.max(1)).sum();
        if let Err(full) = batching::admit(waiting, rows, settings) {
            return busy(full.to_string());
        }
        if self.bytes > 0 && self.bytes + bytes > QUEUE_BYTES_MAX {
            return busy(format!("{} bytes of inputs wait; try again later", self.bytes));
        }
        Ok(())
    }

    fn refuse_late(&mut self, own: u64) {
        if let Some(pending) = self.remove(own) {
            pending.to.send(pending.number, &Fault::timeout(pending.limit_us).frame());
        }
    }

    fn remove(&mut self, own: u64) -> Option<Pending> {
        let pending = self.waiting.remove(&own)?;
        self.order.retain(|one| one.number != own);
        self.bytes -= bytes(&pending.request);
        Some(pending)
    }
}

impl Run {
    /// Stops the run where every answer has been given; since when that is so.
    fn abandon(&mut self, now_us: u64) -> Option<u64> {
        if self.abandoned_us.is_none() && self.members.iter().all(|member| member.answered) {
            self.abandoned_us = Some(now_us);
            if let Some(stop) = &self.stop {
                stop();
            }
        }
        self.abandoned_us
    }
}

impl Member {
    fn of(pending: &Pending) -> Self {
        Self {
            to: Arc::clone(&pending.to),
            number: pending.number,
            deadline_us: pending.deadline_us,
            limit_us: pending.limit_us,
            answered: false,
        }
    }
}

fn bytes(request: &Request) -> usize {
    request.inputs.iter().map(|tensor| tensor.data.len()).sum()
}
