//! Provisioned concurrency on this host: instances of revisions that are kept warm, called or not.
//!
//! Always true: `policy::provision` decides how many are started and let go; what is to be kept is
//! ended by nothing but a program's own end, a call that leaves it of no use, and the host's; what
//! has ended is made up for; control is told what is there, and why there is less.
//! Absent on purpose: which revisions and how many (control says), instances for calls of other
//! accounts, which are never kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::internal::functions::provisioned::{Provisioned, ProvisionedHere, ProvisionedReport};
use parking_lot::Mutex;
use policy::backoff::pause_ms;
use policy::provision::{Here, Step, step};
use tokio::sync::Notify;
use types::RevisionId;

use super::broken::Broken;
use super::instance::{Warm, how};
use super::pool::Pool;
use super::{Known, Refusal, Use};
use crate::Agent;

/// How often it is looked whether all are there that are to be.
const LOOK_MS: u64 = 1_000;
/// How often control is told also where nothing has changed: it may have lost what it was told.
const TELL_MS: u64 = 5_000;
/// Pauses after starts that failed, and instances that ended without a call, in milliseconds: from one
/// that nobody notices to one that costs nothing.
const PAUSE_MS_MIN: u64 = 1_000;
const PAUSE_MS_MAX: u64 = 60_000;

/// What this host is to keep.
#[derive(Debug, Default)]
pub(crate) struct Keepings {
    revisions: Mutex<BTreeMap<RevisionId, Keeping>>,
    /// Told when something is to be looked at.
    changed: Notify,
}

/// What is to be kept of one revision.
#[derive(Debug, Default)]
struct Keeping {
    instances: u32,
    /// Starts that failed, and instances that ended without a call, since that was last so for long.
    failures: u32,
    /// Before then no other one is tried.
    rests_until_ms: u64,
    /// Why there are fewer, in words.
    trouble: Option<String>,
}

impl Agent {
    /// Keeps these instances warm from now on, and no others.
    pub(crate) fn keep_provisioned(&self, wanted: &[Provisioned]) {
        let keepings = &self.shared.functions.provisioned;
        let mut revisions = keepings.revisions.lock();
        let mut before = std::mem::take(&mut *revisions);
        let mut changed = false;
        for &Provisioned { revision, instances } in wanted {
            let mut keeping = before.remove(&revision).unwrap_or_default();
            changed |= std::mem::replace(&mut keeping.instances, instances) != instances;
            revisions.insert(revision, keeping);
        }
        changed |= !before.is_empty();
        drop(revisions);
        for revision in before.into_keys() {
            let known = self.known(Use { revision, payer: None });
            known.pool.lock().provisioned.wanted = 0;
        }
        if changed {
            keepings.changed.notify_one();
        }
    }

    /// Has it looked at once whether all are there that are to be.
    pub(super) fn look_at_provisioned(&self) {
        self.shared.functions.provisioned.changed.notify_one();
    }

    /// Notes how a start went that was to be kept.
    pub(super) fn kept(&self, known: &Known, pool: &mut Pool, failure: Option<&Broken>) {
        pool.provisioned.starting -= 1;
        let keepings = &self.shared.functions.provisioned;
        if let Some(keeping) = keepings.revisions.lock().get_mut(&known.of.revision) {
            match failure {
                Some(failure) => self.rest(keeping, failure.told()),
                None => keeping.trouble = None,
            }
        }
        self.look_at_provisioned();
    }

    /// Has no other one started for a while, the longer the more often that was so lately.
    fn rest(&self, keeping: &mut Keeping, trouble: String) {
        let now_ms = self.shared.clock.now_ms();
        let lately = now_ms.saturating_sub(keeping.rests_until_ms) < PAUSE_MS_MAX;
        keeping.failures = if lately { keeping.failures.saturating_add(1) } else { 1 };
        let seed = self.shared.clock.uuid().as_u64_pair().0;
        let rest_ms = pause_ms(keeping.failures, PAUSE_MS_MIN, PAUSE_MS_MAX, seed);
        keeping.rests_until_ms = now_ms.saturating_add(rest_ms);
        keeping.trouble = Some(trouble);
    }

    /// Ends what is idle and has ended by itself; one that was kept is not followed by another at once.
    fn see_to_ended(&self, known: &Arc<Known>) {
        let ended = known.pool.lock().take_out_ended();
        if let Some(kept) = ended.iter().find(|warm| warm.is_provisioned()) {
            let how =
                kept.running.exit().map_or_else(|| "with no reason".to_owned(), |it| how(&it));
            let mut revisions = self.shared.functions.provisioned.revisions.lock();
            if let Some(keeping) = revisions.get_mut(&known.of.revision) {
                self.rest(keeping, format!("an instance ended without a call, {how}"));
            }
        }
        self.end_all(known, ended);
    }

    /// Brings one revision nearer to what is to be kept of it, and says what is there.
    async fn see_to_provisioned(&self, revision: RevisionId, wanted: u32) -> ProvisionedHere {
        let known = self.known(Use { revision, payer: None });
        self.see_to_ended(&known);
        let step = {
            let mut pool = known.pool.lock();
            pool.provisioned.wanted = wanted;
            step(&pool.provisioned_here())
        };
        match step {
            Step::Rest => {}
            Step::LetGo(fewer) => {
                let idle = known.pool.lock().take_provisioned(fewer);
                self.end_all(&known, idle);
            }
            Step::Start(more) => {
                if let Err(trouble) = self.start_provisioned(&known, more).await
                    && let Some(keeping) =
                        self.shared.functions.provisioned.revisions.lock().get_mut(&revision)
                {
                    keeping.trouble = Some(trouble);
                }
            }
        }
        let Here { ready, starting, .. } = known.pool.lock().provisioned_here();
        let mut revisions = self.shared.functions.provisioned.revisions.lock();
        let keeping = revisions.get_mut(&revision).filter(|_| ready < wanted);
        let trouble = keeping.and_then(|keeping| keeping.trouble.clone());
        ProvisionedHere { revision, starting, ready, trouble }
    }

    /// Starts so many more, or as many as have room; in words why not.
    async fn start_provisioned(&self, known: &Arc<Known>, more: u32) -> Result<(), String> {
        let revision = known.of.revision;
        let rests_until_ms = {
            let revisions = self.shared.functions.provisioned.revisions.lock();
            revisions.get(&revision).map_or(u64::MAX, |keeping| keeping.rests_until_ms)
        };
        if self.shared.clock.now_ms() < rests_until_ms {
            return Ok(());
        }
        let spec = self.spec(known).await.map_err(|refusal: Refusal| refusal.to_string())?;
        for _ in 0..more {
            if self.room(known, &spec) == 0 {
                self.make_room(known, &spec);
            }
            if self.room(known, &spec) == 0 {
                // One that was made for a call of the same revision: its memory is as good.
                let other = known.pool.lock().take_longest_idle();
                if let Some(other) = &other {
                    other.give_back_memory();
                }
                self.end_all(known, other.into_iter().collect());
            }
            if self.room(known, &spec) == 0 {
                return Err("calls take all of this host's memory for functions now".to_owned());
            }
            let mut pool = known.pool.lock();
            pool.provisioned.starting += 1;
            self.begin(&mut pool, (known, super::Origin::Provisioned), &spec);
        }
        Ok(())
    }

    /// Ends instances that are in nobody's hands any more.
    fn end_all(&self, known: &Arc<Known>, ended: Vec<Arc<Warm>>) {
        for warm in ended {
            warm.retire();
            let (agent, known) = (self.clone(), Arc::clone(known));
            self.shared.tasks.spawn("function end", async move {
                warm.end(&agent).await;
                drop(warm);
                agent.make_for_waiting(&known);
            });
        }
    }
}

/// Keeps what is to be kept, and tells control what is there, until the tasks stop.
pub(crate) async fn keep(agent: Agent) {
    let stopping = agent.shared.tasks.stopping();
    let keepings = &agent.shared.functions.provisioned;
    let generation = agent.shared.settings.generation;
    let (mut told, mut told_ms) = (ProvisionedReport::default(), 0);
    // What is to be kept no more is looked at until nothing of it is left.
    let mut leaving: Vec<RevisionId> = Vec::new();
    loop {
        let wanted: BTreeMap<RevisionId, u32> = {
            let revisions = keepings.revisions.lock();
            revisions.iter().map(|(revision, keeping)| (*revision, keeping.instances)).collect()
        };
        let mut left = Vec::new();
        for revision in leaving.into_iter().filter(|revision| !wanted.contains_key(revision)) {
            let here = agent.see_to_provisioned(revision, 0).await;
            if here.ready + here.starting > 0 {
                left.push(revision);
            }
        }
        let mut report = ProvisionedReport { generation, revisions: Vec::new() };
        for (revision, instances) in wanted {
            report.revisions.push(agent.see_to_provisioned(revision, instances).await);
            left.push(revision);
        }
        leaving = left;
        let now_ms = agent.shared.clock.now_ms();
        let due = report != told || now_ms.saturating_sub(told_ms) >= TELL_MS;
        if due && !report.revisions.is_empty() {
            let host = agent.shared.settings.host;
            match agent.shared.control.provisioned(host, &report).await {
                Ok(()) => (told, told_ms) = (report, now_ms),
                // It is told again with the next look.
                Err(error) => tracing::debug!(%error, "what is kept warm could not be told of yet"),
            }
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            () = keepings.changed.notified() => {}
            () = agent.shared.clock.sleep_ms(LOOK_MS) => {}
        }
    }
}
