//! Functions on this host: an instance is made when a call needs one, or ahead of a call that is
//! expected, kept for the next, and ended when none comes.
//!
//! States of an instance: starting → busy ⇄ idle (frozen after a moment) → ended; of a call: waiting → running → over.
//! Always true: an instance has no more calls at a time than its revision says, one where that says
//! nothing, and is never another revision's nor comes to calls of two accounts; code is fetched once
//! however many calls wait; an instance that broke, or ran past a deadline, is not used again.
//! Absent on purpose: what a call may cost, who may call (the gateway has looked), what a function
//! is (control says).

mod broken;
mod call;
mod deploy;
mod egress;
mod http;
mod instance;
pub(crate) mod journal;
mod keeping;
mod lines;
mod memory;
mod near;
mod parked;
mod pool;
pub(crate) mod provisioned;
mod sizes;
mod sizing;
mod sweep;
mod turn;

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
use broken::{Broken, Unrun};
use call::Ran;
use deploy::Chosen;
use instance::Warm;
use memory::Memory;
use pool::Pool;
use sizes::Sizes;
use sizing::{Sized, asked_kib};
use turn::Turn;

/// Instances that may end one after the other before they take a call, until it is given up. An idle
/// one may have ended unnoticed; more than a few in a row are no chance.
const UNTOUCHED_MAX: usize = 5;

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
                    let unrun = Unrun {
                        id: &call.id,
                        log_tail: call.log_tail,
                        waited_us,
                        stale_ms,
                        memory_mib: spec.limits.memory_bytes >> 20,
                        now_ms: self.shared.clock.now_ms(),
                    };
                    let outcome = broken.outcome(&self.shared.functions.journal, &unrun);
                    return Ok(Answered::Whole(Box::new(outcome)));
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
            let dispatched =
                pool.dispatch(self.room(known, spec), spec.concurrency, self.shared.clock.now_us());
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
}

/// Who waits for an instance.
type Waiter = oneshot::Sender<Result<Turn, Broken>>;

pub(crate) use http::router;
pub(crate) use sizing::tell_usage;
pub(crate) use sweep::sweep;
