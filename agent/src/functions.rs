//! Functions on this host: an instance is made when a call needs one, or ahead of a call that is
//! expected, kept for the next, and ended when none comes.
//!
//! States of an instance: starting → busy ⇄ idle (frozen after a moment) → ended; of a call: waiting → running → over.
//! Always true: an instance has no more calls at a time than its revision says, one where that says
//! nothing, and is never another revision's nor comes to calls of two accounts; code is fetched once
//! however many calls wait; an instance that broke, or ran past a deadline, is not used again.
//! Absent on purpose: what a call may cost, who may call (the gateway has looked), what a function
//! is (control says).

mod call;
mod deploy;
mod egress;
mod http;
mod instance;
pub(crate) mod journal;
mod keeping;
mod lines;
mod near;
mod parked;
mod pool;
pub(crate) mod provisioned;
mod sizes;
mod sizing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use api::internal::functions::near::Answered;
use api::internal::functions::sizes::SettledSize;
use api::internal::functions::{Call, HostLeft, Revision};
use bytes::Bytes;
use parking_lot::Mutex;
use policy::dispatch::Dispatch;
use tokio::sync::{OnceCell, oneshot};
use types::{AccountId, InstanceId, RevisionId};

use crate::Agent;
use crate::control::ControlError;
use call::Ran;
use deploy::Chosen;
use instance::{Broken, Warm};
use pool::{Kept, Pool};
use sizes::Sizes;
use sizing::{Sized, asked_kib};

/// Revisions that are remembered, with the gaps between their calls: some kilobytes each.
const KNOWN_MAX: usize = 10_000;
/// How often it is looked for such instances, and how long a window of the parked sets is.
const SWEEP_MS: u64 = 1_000;
/// Instances that may end one after the other before they take a call, until it is given up. An idle
/// one may have ended unnoticed; more than a few in a row are no chance.
const UNTOUCHED_MAX: usize = 5;
/// An instance that nobody has called for so long is frozen: longer than a caller needs between two
/// calls of a series, and short enough that nothing is done meanwhile at others' expense.
const FREEZE_MS: u64 = 100;

/// Why a call was not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("this function's instances are all busy, and enough calls wait; try again later")]
    Throttled { retry_ms: u64 },
    #[error("this host has no room for another instance, and enough calls wait; try again later")]
    Full { retry_ms: u64 },
    #[error("there is no such revision of a function")]
    Unknown,
    #[error("{0}")]
    Away(String),
}

/// The functions of this host.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    known: Mutex<BTreeMap<Use, Arc<Known>>>,
    /// Memory that instances have, those in the making included.
    memory_bytes: Mutex<u64>,
    parked: parked::Sets,
    provisioned: provisioned::Keepings,
    pub(crate) journal: journal::Journal,
}

/// What an instance is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A call, or one that is expected.
    Call,
    /// A burst, with which it ends.
    Burst,
    /// To be kept warm, whether or not it is called.
    Provisioned,
}

/// What calls have in common that may come to one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    revision: RevisionId,
    /// For whom it runs, where that is not its owner.
    payer: Option<AccountId>,
}

/// A revision that was called here, for one account.
#[derive(Debug)]
struct Known {
    of: Use,
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
    pub(crate) async fn run_call(
        &self,
        revision: RevisionId,
        call: Call,
        payload: Bytes,
    ) -> Result<Answered, Refusal> {
        let began_us = self.shared.clock.now_us();
        let called = Use { revision, payer: call.payer };
        let Chosen { of, stale_ms } = self.choose(called, call.fallback.as_ref());
        let mut call = call;
        if stale_ms.is_some()
            && let Some(sizing) = &mut call.sizing
        {
            // What was settled is of what was called, and not of what runs in its place.
            sizing.size = SettledSize::default();
        }
        let known = self.known(of);
        let spec = self.spec(&known).await?;
        if spec.concurrency.is_several() {
            // What a call takes of an instance is not known where it shares it.
            call.sizing = None;
        }
        known.sizes.follow(call.sizing.as_ref());
        for _ in 0..UNTOUCHED_MAX {
            let got = self.acquire(&known, &spec, call.burst).await?;
            let waited_us = self.shared.clock.now_us().saturating_sub(began_us);
            let turn = match got {
                Ok(turn) => turn,
                Err(broken) => {
                    return Ok(Answered::Whole(Box::new(broken.outcome(call.log_tail, waited_us))));
                }
            };
            turn.fit(&spec);
            let times = (waited_us, stale_ms);
            let ran = self.run_in(turn, &spec, (call.clone(), payload.clone()), times).await;
            let mut answered = match ran {
                Ran::Untouched => continue,
                Ran::Answered(answered) => answered,
                Ran::Killed(outcome, kib) => {
                    let sized =
                        Sized { known: &known, spec: &spec, call: &call, payload: &payload };
                    let again = self.run_again(&sized, kib, times).await;
                    again.unwrap_or(Answered::Whole(outcome))
                }
            };
            answered.called_mut().left = Some(self.left(&known));
            return Ok(answered);
        }
        Err(Refusal::Away("this function's instances end before they take the call".to_owned()))
    }

    /// Runs a call in its place: for as long as its caller waits where it has its instance for itself,
    /// which ends with it else; and to its end where others have calls there too.
    async fn run_in(
        &self,
        turn: Turn,
        spec: &Arc<Revision>,
        (call, payload): (Call, Bytes),
        times: (u64, Option<u64>),
    ) -> Ran {
        if spec.concurrency.is_one() {
            return turn.run(spec, (call, payload), times).await;
        }
        let spec = Arc::clone(spec);
        let running = self
            .shared
            .tasks
            .spawn("function call", async move { turn.run(&spec, (call, payload), times).await });
        // It may have run, so it is no refusal: nobody gives it to another host.
        running.await.unwrap_or_else(|_| Ran::Answered(call::cut_short(times.0)))
    }

    /// What a gateway is told of this host after a call.
    fn left(&self, known: &Known) -> HostLeft {
        let (idle, kept_ms) = known.pool.lock().places_told(self.shared.clock.now_ms());
        HostLeft { free_kib: self.free_bytes() >> 10, idle, kept_ms }
    }

    fn known(&self, of: Use) -> Arc<Known> {
        let mut known = self.shared.functions.known.lock();
        let new = || {
            let (spec, pool, sizes) = (OnceCell::new(), Mutex::default(), Sizes::default());
            Arc::new(Known { of, spec, pool, sizes })
        };
        Arc::clone(known.entry(of).or_insert_with(new))
    }

    /// What the revision is: asked once, also by many calls at a time.
    async fn spec(&self, known: &Known) -> Result<Arc<Revision>, Refusal> {
        let ask = async || match self.shared.control.revision(known.of.revision).await {
            Ok(revision) => Ok(Arc::new(revision)),
            Err(ControlError::Refused { .. }) => Err(Refusal::Unknown),
            Err(error) => Err(Refusal::Away(error.to_string())),
        };
        known.spec.get_or_try_init(ask).await.map(Arc::clone)
    }

    /// A place for one call: in an instance that has one, or is made, or waited for.
    async fn acquire(
        &self,
        known: &Arc<Known>,
        spec: &Arc<Revision>,
        burst: bool,
    ) -> Result<Result<Turn, Broken>, Refusal> {
        if self.room(known, spec) == 0 {
            self.make_room(known, spec);
        }
        let waiting = loop {
            let mut pool = known.pool.lock();
            let dispatched = pool.dispatch(self.room(known, spec), spec.concurrency);
            if matches!(dispatched, Dispatch::Use | Dispatch::Make) {
                pool.called(dispatched == Dispatch::Make, self.shared.clock.now_ms());
            }
            match dispatched {
                Dispatch::Use => {
                    if let Some(warm) = pool.take() {
                        return Ok(Ok(Turn::new(self, known, Some(warm))));
                    }
                    // It has ended since it was looked at: what is there is looked at anew.
                }
                Dispatch::Make => {
                    let origin = if burst { Origin::Burst } else { Origin::Call };
                    self.begin(&mut pool, (known, origin), spec);
                    break pool.wait();
                }
                Dispatch::Wait => break pool.wait(),
                Dispatch::Throttled => {
                    return Err(Refusal::Throttled { retry_ms: pool.retry_ms() });
                }
                Dispatch::Full => return Err(Refusal::Full { retry_ms: pool.retry_ms() }),
            }
        };
        waiting.await.map_err(|_| Refusal::Away("this host stops".to_owned()))
    }

    /// Has an instance made, whatever becomes of the call that it is made for.
    fn begin(&self, pool: &mut Pool, (known, origin): (&Arc<Known>, Origin), spec: &Arc<Revision>) {
        pool.starting += 1;
        let memory = self.reserve(known.sizes.kib(asked_kib(spec)) << 10);
        let (agent, known, spec) = (self.clone(), Arc::clone(known), Arc::clone(spec));
        self.shared.tasks.spawn("function start", async move {
            agent.make((&known, origin), &spec, memory).await;
        });
    }

    /// Makes an instance, for whoever has waited the longest.
    async fn make(
        &self,
        (known, origin): (&Arc<Known>, Origin),
        spec: &Arc<Revision>,
        memory: Memory,
    ) {
        let began_us = self.shared.clock.now_us();
        let id = InstanceId::new(self.shared.clock.uuid());
        let told = (id, known.of.payer, origin);
        let made = Warm::start(self, spec, told, memory).await;
        let took_us = self.shared.clock.now_us().saturating_sub(began_us);
        let mut pool = known.pool.lock();
        pool.starting -= 1;
        if origin == Origin::Provisioned {
            self.kept(known, &mut pool, made.as_ref().err());
        }
        let made = made.map(|mut warm| {
            warm.count(pool.count(origin));
            let warm = Arc::new(warm);
            pool.use_new(Arc::clone(&warm));
            Turn::new(self, known, Some(warm))
        });
        let failed = made.is_err();
        if failed && pool.failed() {
            let (function, version) = (&spec.function, &spec.version);
            tracing::info!(%function, version, "a version does not begin: one before it answers");
        } else if !failed {
            pool.started(took_us, spec.limits.memory_bytes);
        }
        let left = self.give_all(&mut pool, known, made);
        drop(pool);
        drop(left);
        self.fill();
        if failed {
            // It is told to one call; others that waited for the same instance get a try of theirs.
            self.make_for_waiting(known);
        }
    }

    /// Gives an instance, and every further place of it, to those who have waited the longest; what
    /// comes back is nobody's, and must not be dropped while the pool is locked.
    fn give_all(
        &self,
        pool: &mut Pool,
        known: &Arc<Known>,
        made: Result<Turn, Broken>,
    ) -> Option<Turn> {
        let mut left = pool.give(made);
        while left.is_none() && pool.is_waited_for() {
            let Some(warm) = pool.take() else { break };
            left = pool.give(Ok(Turn::new(self, known, Some(warm))));
        }
        left
    }

    /// Whoever waited for an instance that has ended gets another.
    fn make_for_waiting(&self, known: &Arc<Known>) {
        let Some(spec) = known.spec.get() else { return };
        let mut pool = known.pool.lock();
        if pool.lacks() && self.room(known, spec) > 0 {
            self.begin(&mut pool, (known, Origin::Call), spec);
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

    fn reserve(&self, bytes: u64) -> Memory {
        *self.shared.functions.memory_bytes.lock() += bytes;
        Memory { agent: self.clone(), bytes }
    }
}

/// A place in an instance, in the hands of one call. When this is dropped the place goes to the next
/// call, unless it was given up in the middle of one: then the instance is ended.
#[derive(Debug)]
struct Turn {
    agent: Agent,
    known: Arc<Known>,
    /// None for one moment while it is handed on.
    warm: Option<Arc<Warm>>,
    /// Whether it works on something, or broke, and so is of no use to another call.
    used: bool,
    /// Whether it was made for this call alone.
    once: bool,
}

impl Turn {
    fn new(agent: &Agent, known: &Arc<Known>, warm: Option<Arc<Warm>>) -> Self {
        Self { agent: agent.clone(), known: Arc::clone(known), warm, used: false, once: false }
    }

    /// Gives the instance the size that it is to have.
    fn fit(&self, spec: &Revision) {
        self.agent.fit(&self.known, spec, self.warm());
    }

    fn warm(&self) -> &Arc<Warm> {
        self.warm.as_ref().expect("a turn has its instance until it is dropped")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(warm) = self.warm.take() else { return };
        if self.used {
            return self.retire(&warm);
        }
        let stopping = self.agent.shared.tasks.stopping().is_cancelled();
        let mut pool = self.known.pool.lock();
        if !stopping {
            let turn = Self::new(&self.agent, &self.known, Some(Arc::clone(&warm)));
            // None where somebody has it now.
            let Some(mut left) = pool.give(Ok(turn)) else { return };
            left.warm = None;
        }
        if !pool.leave(&warm) {
            return;
        }
        if stopping {
            drop(pool);
            return self.retire(&warm);
        }
        let kept = pool.keep(warm, self.agent.shared.clock.now_ms());
        drop(pool);
        self.see_to(kept);
    }
}

impl Turn {
    /// Ends an instance that is nobody's any more, unless another of its calls has seen to that.
    /// Whoever waits gets another at once where one fits, and else when nothing is left of this one.
    fn retire(&self, warm: &Arc<Warm>) {
        self.known.pool.lock().take_out(warm);
        if !warm.retire() {
            return;
        }
        if warm.is_provisioned() {
            self.agent.look_at_provisioned();
        }
        self.agent.make_for_waiting(&self.known);
        let (agent, known, warm) = (self.agent.clone(), Arc::clone(&self.known), Arc::clone(warm));
        self.agent.shared.tasks.spawn("function end", async move {
            warm.end(&agent).await;
            drop(warm);
            agent.make_for_waiting(&known);
        });
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
        agent.begin(&mut pool, (known, Origin::Call), spec);
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
    // At the same time, since each may have a moment to see to its end.
    futures::future::join_all(ended.iter().map(|warm| warm.end(agent))).await;
}

/// Forgets revisions that were not called for as long as anything is expected, and of those that
/// have nothing running the ones called the longest ago, where there are too many.
fn forget(all: &mut BTreeMap<Use, Arc<Known>>, now_ms: u64) {
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
