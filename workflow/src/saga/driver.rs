//! The saga driver: finds due records and advances each until it waits or ends.
//!
//! Before it runs a step the driver claims the record, and renews the claim while the step runs;
//! when it dies the claim runs out, or its next life releases it, and the step is run again.
//!
//! Always true: a result is stored only over the generation it was claimed at; a record cancelled
//! while its step runs is undone only after that step has stopped.
//! Absent on purpose: deciding how a record moves (see [`super::machine`]).

mod advance;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use types::SagaId;

use super::log::Log;
use super::machine::{self, Event};
use super::record::{Phase, Record};
use super::{Error, Limits, Registry};
use crate::{Clock, Tasks, chain};

/// How often a cancellation is tried against a record that others keep changing.
const CANCEL_TRIES: u32 = 16;
/// How long a record of a kind that this process does not know is left alone, in milliseconds.
const UNKNOWN_KIND_MS: u64 = 60_000;
/// Most due times the loop remembers; past that it finds records by polling.
const DUES_MAX: usize = 10_000;

/// How a driver works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Names this driver in the records it advances. The same in its next life, and different
    /// from every other driver over the same log.
    pub owner: String,
    /// How often to look for records that others made due, in milliseconds.
    pub poll_ms: u64,
    /// How long a claim holds without renewal, in milliseconds: how long another driver waits
    /// before it takes over from a dead one.
    pub lease_ms: u64,
    /// Most records advanced at once.
    pub parallel_max: usize,
}

impl Default for Settings {
    /// For one control plane.
    fn default() -> Self {
        Self { owner: "local".to_owned(), poll_ms: 500, lease_ms: 15_000, parallel_max: 64 }
    }
}

/// What one activation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Activation {
    /// Records that were claimed and advanced.
    pub advanced: usize,
    /// Events stored: steps done, waits, failures, undos.
    pub events: usize,
    /// The soonest time one of them is due again, in Unix milliseconds.
    pub next_due_ms: Option<u64>,
}

/// Advances the records of one log. Cheap to clone; clones are the same driver.
#[derive(Clone)]
pub struct Driver {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    log: Arc<dyn Log>,
    registry: Registry,
    settings: Settings,
    wake: Notify,
    nudged: Mutex<BTreeSet<SagaId>>,
    /// Counts cancellations, so that running steps look whether theirs is meant.
    cancels: watch::Sender<u64>,
}

impl Driver {
    /// A driver at rest; [`Driver::run`] or [`Driver::activate`] moves it.
    pub fn new(clock: Clock, log: Arc<dyn Log>, registry: Registry, settings: Settings) -> Self {
        let shared = Shared {
            clock,
            log,
            registry,
            settings,
            wake: Notify::new(),
            nudged: Mutex::default(),
            cancels: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Starts the loop: first takes back what its former life had claimed, then advances whatever
    /// comes due until the tasks stop. Steps that are running then may finish.
    pub fn run(&self, tasks: &Tasks) -> JoinHandle<()> {
        tasks.spawn("saga driver", self.clone().work(tasks.clone()))
    }

    /// Makes the loop look for due records now.
    pub fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// Advances one record soon, though it waits for a later time.
    pub fn nudge(&self, id: SagaId) {
        self.shared.nudged.lock().insert(id);
        self.wake();
    }

    /// Advances everything that is due now, each record until it waits, fails or ends, and
    /// returns when all have come to rest. For tests, and for those who want no loop.
    ///
    /// # Errors
    ///
    /// [`Error::Log`] when the log does not answer.
    pub async fn activate(&self) -> Result<Activation, Error> {
        self.activate_until(&CancellationToken::new()).await
    }

    /// Like [`Driver::activate`]; with `stopping` cancelled, one event of each record.
    pub(super) async fn activate_until(
        &self,
        stopping: &CancellationToken,
    ) -> Result<Activation, Error> {
        let claimed = self.claim_due(self.shared.settings.parallel_max).await?;
        let rests = claimed.into_iter().map(|record| self.advance(record, stopping));
        let mut done = Activation::default();
        for rest in futures::future::join_all(rests).await {
            done.advanced += 1;
            done.events += rest.events;
            done.next_due_ms = match (done.next_due_ms, rest.due_at_ms) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        Ok(done)
    }

    /// Has a record undone: at once where it rests, after its running step was dropped where one
    /// runs. Returns the record as stored.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::TooLate`] when it is no longer going forward,
    /// [`Error::Contended`], [`Error::Log`].
    pub async fn cancel(&self, id: SagaId) -> Result<Record, Error> {
        for _ in 0..CANCEL_TRIES {
            let record = self.fetch(id).await?;
            if record.phase != Phase::Forward {
                return Err(Error::TooLate { id, phase: record.phase });
            }
            let now_ms = self.shared.clock.now_ms();
            let next = self.cancelled(&record, now_ms);
            let next = next.ok_or(Error::TooLate { id, phase: record.phase })?;
            if self.shared.log.save(&next).await? {
                self.shared.cancels.send_modify(|count| *count += 1);
                self.wake();
                return Ok(next);
            }
        }
        Err(Error::Contended { id })
    }

    /// Gives up every claim under this driver's name, so that what its former life was advancing
    /// is due now; returns how many. The loop does this first.
    ///
    /// # Errors
    ///
    /// [`Error::Log`] when the log does not answer.
    pub async fn release(&self) -> Result<usize, Error> {
        let mut released = 0;
        for record in self.shared.log.owned(&self.shared.settings.owner).await? {
            let next = Record {
                owner: None,
                due_at_ms: self.shared.clock.now_ms(),
                generation: record.generation + 1,
                ..record
            };
            released += usize::from(self.shared.log.save(&next).await?);
        }
        Ok(released)
    }

    /// The sagas this driver knows.
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    async fn fetch(&self, id: SagaId) -> Result<Record, Error> {
        self.shared.log.fetch(id).await?.ok_or(Error::NotFound { id })
    }

    fn cancelled(&self, record: &Record, now_ms: u64) -> Option<Record> {
        let saga = self.shared.registry.get(&record.kind);
        let (steps, limits) =
            saga.map_or((&[][..], Limits::default()), |saga| (saga.steps(), saga.limits()));
        let mut next = machine::after(record, &Event::Cancelled, steps, &limits, now_ms)?;
        if record.owner.is_some() && record.due_at_ms > now_ms {
            next.owner.clone_from(&record.owner);
            next.due_at_ms = record.due_at_ms;
        }
        Some(next)
    }

    /// Claims up to `limit` records that are due or nudged. What is claimed before the log fails
    /// is advanced all the same.
    async fn claim_due(&self, limit: usize) -> Result<Vec<Record>, Error> {
        let mut ready = self.nudged_ready().await?;
        ready.extend(self.shared.log.due(self.shared.clock.now_ms(), limit).await?);
        let mut claimed: BTreeMap<SagaId, Record> = BTreeMap::new();
        for record in ready {
            let id = record.id;
            if claimed.len() >= limit {
                break;
            }
            if claimed.contains_key(&id) {
                continue;
            }
            match self.claim(record).await {
                Ok(Some(record)) => {
                    self.shared.nudged.lock().remove(&id);
                    claimed.insert(id, record);
                }
                Ok(None) => {}
                Err(error) if claimed.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(claimed.into_values().collect())
    }

    /// The nudged records that nobody is advancing. A nudge is kept until its record is claimed
    /// or has ended, so that none is lost while a step runs or the log is gone.
    async fn nudged_ready(&self) -> Result<Vec<Record>, Error> {
        let nudged = self.shared.nudged.lock().clone();
        let mut ready = Vec::new();
        for id in nudged {
            let record = self.shared.log.fetch(id).await?;
            let now_ms = self.shared.clock.now_ms();
            let known = |kind: &str| self.shared.registry.get(kind).is_some();
            match record.filter(|record| !record.phase.ended() && known(&record.kind)) {
                None => {
                    self.shared.nudged.lock().remove(&id);
                }
                Some(record) if record.owner.is_some() && record.due_at_ms > now_ms => {}
                Some(record) => ready.push(record),
            }
        }
        Ok(ready)
    }

    async fn claim(&self, record: Record) -> Result<Option<Record>, Error> {
        let shared = &self.shared;
        let now_ms = shared.clock.now_ms();
        let mut next = Record { generation: record.generation + 1, ..record };
        if shared.registry.get(&next.kind).is_none() {
            tracing::warn!(saga = %next.id, kind = next.kind, "saga of an unknown kind postponed");
            next.owner = None;
            next.due_at_ms = now_ms.saturating_add(UNKNOWN_KIND_MS);
            shared.log.save(&next).await?;
            return Ok(None);
        }
        next.owner = Some(shared.settings.owner.clone());
        next.due_at_ms = now_ms.saturating_add(shared.settings.lease_ms);
        Ok(shared.log.save(&next).await?.then_some(next))
    }

    async fn work(self, tasks: Tasks) {
        let stopping = tasks.stopping();
        let mut looks = Looks::default();
        let mut running = FuturesUnordered::new();
        let mut released = false;
        while !stopping.is_cancelled() {
            let free = self.shared.settings.parallel_max.saturating_sub(running.len());
            let found = async {
                if !released {
                    self.release().await?;
                    released = true;
                }
                if free == 0 { Ok(Vec::new()) } else { self.claim_due(free).await }
            };
            for record in looks.heard(found.await) {
                let (driver, stop) = (self.clone(), stopping.clone());
                let advance = async move { driver.advance(record, &stop).await.due_at_ms };
                running.push(tasks.spawn("saga step", advance));
            }
            let nap_ms = looks.nap_ms(self.shared.clock.now_ms(), self.shared.settings.poll_ms);
            tokio::select! {
                () = stopping.cancelled() => {}
                () = self.shared.wake.notified() => {}
                Some(rest) = running.next(), if !running.is_empty() => {
                    looks.expect(rest.ok().flatten());
                }
                () = self.shared.clock.sleep_ms(nap_ms) => {}
            }
        }
        while running.next().await.is_some() {}
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { registry, settings, .. } = &*self.shared;
        f.debug_struct("Driver").field("registry", registry).field("settings", settings).finish()
    }
}

/// When the loop looks at the log again.
#[derive(Default)]
struct Looks {
    dues_ms: BTreeSet<u64>,
    in_trouble: bool,
}

impl Looks {
    /// The records found, or none and a line in the log when trouble begins or ends.
    fn heard(&mut self, found: Result<Vec<Record>, Error>) -> Vec<Record> {
        let trouble = found.as_ref().err();
        if let (Some(error), false) = (trouble, self.in_trouble) {
            tracing::warn!(error = chain(error), "sagas rest until their log answers again");
        }
        if trouble.is_none() && self.in_trouble {
            tracing::info!("sagas go on, their log answers again");
        }
        self.in_trouble = trouble.is_some();
        found.unwrap_or_default()
    }

    fn expect(&mut self, due_at_ms: Option<u64>) {
        if self.dues_ms.len() < DUES_MAX {
            self.dues_ms.extend(due_at_ms);
        }
    }

    /// How long to nap, at least a millisecond.
    fn nap_ms(&mut self, now_ms: u64, poll_ms: u64) -> u64 {
        self.dues_ms = self.dues_ms.split_off(&(now_ms + 1));
        let next_ms = self.dues_ms.first().map_or(poll_ms, |due_ms| due_ms - now_ms);
        next_ms.min(poll_ms).max(1)
    }
}

#[cfg(test)]
mod tests;
