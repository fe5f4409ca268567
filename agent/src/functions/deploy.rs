//! Deployment: which of two versions answers, while an alias that was moved finds the new one being
//! started here.
//!
//! Always true: `policy::deploy` decides; the new version is started beside the old one at the first
//! call that means it, once however many come; an answer of the old one says for how long it had
//! been replaced.

use std::sync::Arc;

use api::internal::functions::Fallback;
use policy::deploy::{Decision, FAILED_STARTS_MAX, Freshness, Health, Old, Situation, decide};

use super::{Known, Origin, Use};
use crate::Agent;

/// Where the version before is kept warm, the new one may be about to be: this host has heard of it
/// so long after the alias was moved, in milliseconds.
const HEARD_MS: u64 = 5_000;

/// What answers a call.
pub(super) struct Chosen {
    pub(super) of: Use,
    /// For how long it had been replaced, where it is the call's fallback.
    pub(super) stale_ms: Option<u64>,
}

impl Agent {
    /// Says which version answers a call, and has the other started where it is wanted.
    pub(super) fn choose(&self, of: Use, fallback: Option<&Fallback>) -> Chosen {
        let new = Chosen { of, stale_ms: None };
        let Some(fallback) = fallback else { return new };
        let known = self.known(of);
        let before = Use { revision: fallback.revision, ..of };
        let age_ms = self.shared.clock.now_ms().saturating_sub(fallback.changed_at_ms);
        let (old_is_warm, old_is_kept) = {
            let known = self.known(before);
            let pool = known.pool.lock();
            (pool.is_live(), pool.is_provisioned())
        };
        let (new_is_warm, new_is_kept, health) = {
            let pool = known.pool.lock();
            let kept = pool.is_provisioned() || old_is_kept && age_ms < HEARD_MS;
            // What is to be kept warm is warm once all of it is there.
            let warm = pool.is_live() && (!kept || pool.has_all_provisioned());
            (warm, kept, pool.health())
        };
        let decided = decide(&Situation {
            freshness: Freshness::StaleWhileDeploy { max_stale_ms: fallback.max_stale_ms },
            pinned: false,
            old: if old_is_warm { Old::Warm } else { Old::Cold },
            new_is_warm,
            published_ago_ms: age_ms,
            health,
        });
        let old = Chosen { of: before, stale_ms: Some(age_ms) };
        match decided {
            Decision::Switch(_) | Decision::Wait(_) => new,
            Decision::ServeOld { .. } => {
                // What is kept warm is started without a call.
                if !new_is_kept {
                    self.prepare(known);
                }
                old
            }
            Decision::RollBack { .. } => old,
        }
    }

    /// Has an instance of a revision made, unless one is there or in the making.
    fn prepare(&self, known: Arc<Known>) {
        if !known.pool.lock().begin_preparing() {
            return;
        }
        let agent = self.clone();
        self.shared.tasks.spawn("function prepare", async move {
            let spec = agent.spec(&known).await;
            let mut pool = known.pool.lock();
            pool.end_preparing();
            match spec {
                Ok(spec)
                    if !pool.is_live() && pool.starting == 0 && agent.room(&known, &spec) > 0 =>
                {
                    agent.begin(&mut pool, (&known, Origin::Call), &spec);
                }
                Ok(_) => {}
                Err(error) => {
                    let revision = known.of.revision;
                    tracing::info!(%revision, %error, "a new version could not be prepared");
                }
            }
        });
    }
}

/// Health of a revision's starts and calls, as `policy` weighs it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts(Health);

impl Counts {
    pub(super) fn answered(&mut self, well: bool) {
        self.0.healthy_calls = self.0.healthy_calls.saturating_add(u32::from(well));
    }

    /// Counts a start; says whether it is the one after which a version is given up.
    pub(super) fn started(&mut self, well: bool) -> bool {
        self.0.failed_starts = if well { 0 } else { self.0.failed_starts.saturating_add(1) };
        self.0.failed_starts == FAILED_STARTS_MAX
    }

    pub(super) fn health(self) -> Health {
        self.0
    }
}
