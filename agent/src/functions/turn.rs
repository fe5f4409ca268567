//! Turns: a place in an instance, in the hands of one call.
//!
//! Always true: a place goes to who has waited the longest, else its instance is kept as idle; an
//! instance that broke, or was given up in the middle of a call, is ended.

use std::sync::Arc;

use api::internal::functions::Revision;

use super::Known;
use super::instance::Warm;
use super::pool::Kept;
use super::sweep::{freeze_idle, make_ahead};
use crate::Agent;

/// A place in an instance, in the hands of one call. When this is dropped the place goes to the next
/// call, unless it was given up in the middle of one: then the instance is ended.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) agent: Agent,
    pub(super) known: Arc<Known>,
    /// None for one moment while it is handed on.
    warm: Option<Arc<Warm>>,
    /// Whether it works on something, or broke, and so is of no use to another call.
    pub(super) used: bool,
    /// Whether it was made for this call alone.
    pub(super) once: bool,
}

impl Turn {
    pub(super) fn new(agent: &Agent, known: &Arc<Known>, warm: Option<Arc<Warm>>) -> Self {
        Self { agent: agent.clone(), known: Arc::clone(known), warm, used: false, once: false }
    }

    /// Gives the instance the size that it is to have.
    pub(super) fn fit(&self, spec: &Revision) {
        self.agent.fit(&self.known, spec, self.warm());
    }

    pub(super) fn warm(&self) -> &Arc<Warm> {
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
