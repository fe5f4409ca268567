//! Functions on this host: an instance is made when a call needs one, or ahead of a call that is
//! expected, kept for the next, and ended when none comes.
//!
//! States of an instance: starting → busy ⇄ idle (frozen after a moment) → ended; of a call: waiting → running → over.
//! Always true: an instance has one call at a time and is never another revision's; code is fetched
//! once however many calls wait; an instance that broke, or ran past a deadline, is not used again.
//! Absent on purpose: what a call may cost, who may call (the gateway has looked), what a function
//! is (control says).

mod deploy;
mod http;
mod instance;
pub(crate) mod journal;
mod keeping;
mod parked;
mod pool;
mod sizes;
mod sizing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use api::internal::functions::sizes::SettledSize;
use api::internal::functions::{Call, Called, HostLeft, Revision};
use bytes::Bytes;
use parking_lot::Mutex;
use policy::dispatch::Dispatch;
use tokio::sync::{OnceCell, oneshot};
use types::{InstanceId, RevisionId};

use crate::Agent;
use crate::control::ControlError;
use deploy::Chosen;
use instance::{Broken, Ran, Warm};
use pool::{Kept, Pool};
use sizes::Sizes;
use sizing::{Sized, asked_kib};

/// Revisions that are remembered, with the gaps between their calls: some kilobytes each.
const KNOWN_MAX: usize = 10_000;
/// How often it is looked for such instances, and how long a window of the parked sets is.
const SWEEP_MS: u64 = 1_000;
/// An instance that nobody has called for so long is frozen: longer than a caller needs between two
/// calls of a series, and short enough that nothing is done meanwhile at others' expense.
const FREEZE_MS: u64 = 100;

/// Why a call was not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("this function's instances are all busy, and enough calls wait; try again later")]
    Throttled,
    #[error("this host has no room for another instance, and enough calls wait; try again later")]
    Full,
    #[error("there is no such revision of a function")]
    Unknown,
    #[error("{0}")]
    Away(String),
}

/// How a call went, and its payload.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) called: Called,
    pub(crate) payload: Bytes,
}

/// The functions of this host.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    known: Mutex<BTreeMap<RevisionId, Arc<Known>>>,
    /// Memory that instances have, those in the making included.
    memory_bytes: Mutex<u64>,
    parked: parked::Sets,
    pub(crate) journal: journal::Journal,
}

/// A revision that was called here.
#[derive(Debug)]
struct Known {
    spec: OnceCell<Arc<Revision>>,
    pool: Mutex<Pool>,
    sizes: Sizes,
}

/// The memory of one instance, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Memory {
    agent: Agent,
    bytes: u64,
}

impl Memory {
    /// Makes it so much, whether or not there is room.
    fn set(&mut self, bytes: u64) {
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
    /// Where gateways on this host send calls of functions. It is named after the host, so that one
    /// of another machine is never taken for it where folders have the same names.
    pub fn functions_socket(&self) -> PathBuf {
        let (_, end) = self.shared.settings.host.uuid().as_u64_pair();
        // Short, since the kernel takes only short paths; by chance equal for one in 2^32.
        self.shared.settings.folder.join(format!("functions-{:08x}", end & 0xFFFF_FFFF))
    }

    /// Runs a call on an instance of this revision.
    pub(crate) async fn call(
        &self,
        revision: RevisionId,
        call: Call,
        payload: Bytes,
    ) -> Result<Outcome, Refusal> {
        let began_us = self.shared.clock.now_us();
        let Chosen { revision, stale_ms } = self.choose(revision, call.fallback.as_ref());
        let mut call = call;
        if stale_ms.is_some()
            && let Some(sizing) = &mut call.sizing
        {
            // What was settled is of what was called, and not of what runs in its place.
            sizing.size = SettledSize::default();
        }
        let known = self.known(revision);
        let spec = self.spec(&known, revision).await?;
        known.sizes.follow(call.sizing.as_ref());
        let got = self.acquire(&known, &spec, call.burst).await?;
        let waited_us = self.shared.clock.now_us().saturating_sub(began_us);
        let mut turn = match got {
            Ok(turn) => turn,
            Err(broken) => return Ok(broken.outcome(call.log_tail, waited_us)),
        };
        let kib = turn.fit(&spec);
        let mut ran = turn.run(&spec, (call.clone(), payload.clone()), waited_us).await;
        known.pool.lock().ran(ran.outcome.called.duration_us, ran.reusable);
        turn.used = !ran.reusable;
        let sized = Sized { known: &known, spec: &spec, call: &call, payload: &payload };
        self.learn(&sized, &mut turn, &ran);
        drop(turn);
        if ran.killed
            && let Some(second) = self.run_again(&sized, kib, waited_us).await
        {
            ran = second;
        }
        let mut outcome = ran.outcome;
        outcome.called.stale_ms = stale_ms;
        outcome.called.left = Some(self.left(&known));
        Ok(outcome)
    }

    /// What a gateway is told of this host after a call.
    fn left(&self, known: &Known) -> HostLeft {
        let (idle, kept_ms) = known.pool.lock().idle_told(self.shared.clock.now_ms());
        HostLeft { free_kib: self.free_bytes() >> 10, idle, kept_ms }
    }

    fn known(&self, revision: RevisionId) -> Arc<Known> {
        let mut known = self.shared.functions.known.lock();
        let new = || {
            let (spec, pool, sizes) = (OnceCell::new(), Mutex::default(), Sizes::default());
            Arc::new(Known { spec, pool, sizes })
        };
        Arc::clone(known.entry(revision).or_insert_with(new))
    }

    /// What the revision is: asked once, also by many calls at a time.
    async fn spec(&self, known: &Known, id: RevisionId) -> Result<Arc<Revision>, Refusal> {
        let ask = async || match self.shared.control.revision(id).await {
            Ok(revision) => Ok(Arc::new(revision)),
            Err(ControlError::Refused { .. }) => Err(Refusal::Unknown),
            Err(error) => Err(Refusal::Away(error.to_string())),
        };
        known.spec.get_or_try_init(ask).await.map(Arc::clone)
    }

    /// An instance for one call: idle, or made, or waited for.
    async fn acquire(
        &self,
        known: &Arc<Known>,
        spec: &Arc<Revision>,
        burst: bool,
    ) -> Result<Result<Turn, Broken>, Refusal> {
        if self.room(known, spec) == 0 {
            self.make_room(known, spec);
        }
        let waiting = {
            let mut pool = known.pool.lock();
            let dispatched = pool.dispatch(self.room(known, spec));
            if matches!(dispatched, Dispatch::Use | Dispatch::Make) {
                pool.called(self.shared.clock.now_ms());
            }
            match dispatched {
                Dispatch::Use => {
                    let warm = pool.take();
                    return Ok(Ok(Turn::new(self, known, warm)));
                }
                Dispatch::Make => {
                    self.begin(&mut pool, (known, burst), spec);
                    pool.wait()
                }
                Dispatch::Wait => pool.wait(),
                Dispatch::Throttled => return Err(Refusal::Throttled),
                Dispatch::Full => return Err(Refusal::Full),
            }
        };
        waiting.await.map_err(|_| Refusal::Away("this host stops".to_owned()))
    }

    /// Has an instance made, whatever becomes of the call that it is made for.
    fn begin(&self, pool: &mut Pool, (known, burst): (&Arc<Known>, bool), spec: &Arc<Revision>) {
        pool.starting += 1;
        let memory = self.reserve(known.sizes.kib(asked_kib(spec)) << 10);
        let (agent, known, spec) = (self.clone(), Arc::clone(known), Arc::clone(spec));
        self.shared.tasks.spawn("function start", async move {
            agent.make((&known, burst), &spec, memory).await;
        });
    }

    /// Makes an instance, for whoever has waited the longest.
    async fn make(
        &self,
        (known, burst): (&Arc<Known>, bool),
        spec: &Arc<Revision>,
        memory: Memory,
    ) {
        let began_us = self.shared.clock.now_us();
        let id = InstanceId::new(self.shared.clock.uuid());
        let made = Warm::start(self, spec, id, memory).await;
        let took_us = self.shared.clock.now_us().saturating_sub(began_us);
        let mut pool = known.pool.lock();
        pool.starting -= 1;
        let made = made.map(|mut warm| {
            warm.counted = Some(pool.count());
            warm.burst = burst;
            Turn::new(self, known, Some(warm))
        });
        let failed = made.is_err();
        if failed && pool.failed() {
            let (function, version) = (&spec.function, &spec.version);
            tracing::info!(%function, version, "a version does not begin: one before it answers");
        } else if !failed {
            pool.started(took_us, spec.limits.memory_bytes);
        }
        let left = pool.give(made);
        drop(pool);
        drop(left);
        self.fill();
        if failed {
            // It is told to one call; others that waited for the same instance get a try of theirs.
            self.make_for_waiting(known);
        }
    }

    /// Whoever waited for an instance that has ended gets another.
    fn make_for_waiting(&self, known: &Arc<Known>) {
        let Some(spec) = known.spec.get() else { return };
        let mut pool = known.pool.lock();
        if pool.lacks() && self.room(known, spec) > 0 {
            self.begin(&mut pool, (known, false), spec);
        }
    }

    /// How many more instances of this size fit.
    fn room(&self, known: &Known, spec: &Revision) -> u32 {
        let bytes = known.sizes.kib(asked_kib(spec)) << 10;
        u32::try_from(self.free_bytes() / bytes.max(1)).unwrap_or(u32::MAX)
    }

    /// Memory for more instances, in bytes.
    fn free_bytes(&self) -> u64 {
        let used = *self.shared.functions.memory_bytes.lock();
        self.shared.settings.functions_memory_bytes.saturating_sub(used)
    }

    /// Ends the instances of other revisions that have been idle the longest, until one of this size
    /// fits. What they had is given to the next before they are wholly gone, some milliseconds later.
    fn make_room(&self, known: &Known, spec: &Revision) {
        let all = self.shared.functions.known.lock();
        while self.room(known, spec) == 0 {
            let others = all.iter().filter(|(id, _)| **id != spec.id);
            let idle =
                others.filter_map(|(_, known)| Some((known.pool.lock().idle_since_ms()?, known)));
            let Some((_, known)) = idle.min_by_key(|(since_ms, _)| *since_ms) else { return };
            let Some(mut warm) = known.pool.lock().take_longest_idle() else { return };
            warm.give_back_memory();
            self.shared.tasks.spawn("function end", warm.end());
        }
    }

    fn reserve(&self, bytes: u64) -> Memory {
        *self.shared.functions.memory_bytes.lock() += bytes;
        Memory { agent: self.clone(), bytes }
    }
}

/// An instance in the hands of one call. When this is dropped the instance goes to the next call,
/// unless it was given up in the middle of one: then it is ended.
#[derive(Debug)]
struct Turn {
    agent: Agent,
    known: Arc<Known>,
    /// None for one moment while it is handed on.
    warm: Option<Warm>,
    /// Whether it works on something, or broke, and so is of no use to another call.
    used: bool,
}

impl Turn {
    fn new(agent: &Agent, known: &Arc<Known>, warm: Option<Warm>) -> Self {
        Self { agent: agent.clone(), known: Arc::clone(known), warm, used: false }
    }

    /// Gives the instance the size that it is to have, and says which it has, in KiB.
    fn fit(&mut self, spec: &Revision) -> u64 {
        let warm = self.warm.as_mut().expect("a turn has its instance until it is dropped");
        self.agent.fit(&self.known, spec, warm);
        warm.kib
    }

    async fn run(&mut self, spec: &Revision, call: (Call, Bytes), waited_us: u64) -> Ran {
        self.used = true;
        let warm = self.warm.as_mut().expect("a turn has its instance until it is dropped");
        let measured = self.known.sizes.measures(call.0.sizing.is_some());
        warm.run(&self.agent, (spec, measured), call, waited_us).await
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(warm) = self.warm.take() else { return };
        if self.used || self.agent.shared.tasks.stopping().is_cancelled() {
            self.agent.shared.tasks.spawn("function end", warm.end());
            self.agent.make_for_waiting(&self.known);
            return;
        }
        let turn = Self::new(&self.agent, &self.known, Some(warm));
        let now_ms = self.agent.shared.clock.now_ms();
        let mut pool = self.known.pool.lock();
        if let Some(mut left) = pool.give(Ok(turn))
            && let Some(warm) = left.warm.take()
        {
            let kept = pool.keep(warm, now_ms);
            drop(pool);
            self.see_to(kept);
        }
    }
}

impl Turn {
    /// Has done what is to be done for an instance that is idle now.
    fn see_to(&self, kept: Kept) {
        let tasks = &self.agent.shared.tasks;
        if kept.freeze {
            let (agent, known) = (self.agent.clone(), Arc::clone(&self.known));
            tasks.spawn("function freeze", async move { freeze_idle(&agent, &known).await });
        }
        if let Some(at_ms) = kept.ahead_ms {
            let (agent, known) = (self.agent.clone(), Arc::clone(&self.known));
            tasks.spawn("function ahead", async move { make_ahead(&agent, &known, at_ms).await });
        }
    }
}

/// Makes an instance ahead of a call that is expected, unless one is there by then.
async fn make_ahead(agent: &Agent, known: &Arc<Known>, at_ms: u64) {
    let stopping = agent.shared.tasks.stopping();
    let pause_ms = at_ms.saturating_sub(agent.shared.clock.now_ms());
    tokio::select! {
        () = stopping.cancelled() => return,
        () = agent.shared.clock.sleep_ms(pause_ms) => {}
    }
    let Some(spec) = known.spec.get() else { return };
    let mut pool = known.pool.lock();
    // A call that came meanwhile has its own expectation.
    let expected = pool.called_ms() < at_ms && !pool.is_live() && pool.starting == 0;
    if expected && agent.room(known, spec) > 0 {
        agent.begin(&mut pool, (known, false), spec);
    }
}

/// Freezes the instances of a revision that nobody calls, for as long as there are some to freeze.
async fn freeze_idle(agent: &Agent, known: &Known) {
    let clock = &agent.shared.clock;
    loop {
        clock.sleep_ms(FREEZE_MS).await;
        let until_ms = clock.now_ms().saturating_sub(FREEZE_MS);
        if !known.pool.lock().freeze_until(until_ms) {
            return;
        }
    }
}

/// Ends instances that nobody calls, until the tasks stop; then all of them.
pub(crate) async fn sweep(agent: Agent) {
    let stopping = agent.shared.tasks.stopping();
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            () = agent.shared.clock.sleep_ms(SWEEP_MS) => {}
        }
        agent.parking_window_over();
        end_idle(&agent, agent.shared.clock.now_ms()).await;
    }
    agent.parking_over();
    end_idle(&agent, u64::MAX).await;
}

/// Ends what is not to be kept at this time, and forgets revisions of which nothing is of use.
async fn end_idle(agent: &Agent, now_ms: u64) {
    let mut ended = Vec::new();
    {
        let mut all = agent.shared.functions.known.lock();
        for known in all.values() {
            ended.extend(known.pool.lock().over(now_ms));
        }
        forget(&mut all, now_ms);
    }
    for warm in ended {
        warm.end().await;
    }
}

/// Forgets revisions that were not called for as long as anything is expected, and of those that
/// have nothing running the ones called the longest ago, where there are too many.
fn forget(all: &mut BTreeMap<RevisionId, Arc<Known>>, now_ms: u64) {
    all.retain(|_, known| Arc::strong_count(known) > 1 || !known.pool.lock().is_over(now_ms));
    if all.len() <= KNOWN_MAX {
        return;
    }
    let mut called: Vec<u64> = all.values().map(|known| known.pool.lock().called_ms()).collect();
    called.sort_unstable();
    let before_ms = called[called.len() - KNOWN_MAX];
    all.retain(|_, known| {
        let pool = known.pool.lock();
        Arc::strong_count(known) > 1 || !pool.is_empty() || pool.called_ms() >= before_ms
    });
}

/// Who waits for an instance.
type Waiter = oneshot::Sender<Result<Turn, Broken>>;

pub(crate) use http::router;
pub(crate) use sizing::tell_usage;
