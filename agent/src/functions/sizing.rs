//! Sizing: what `sizes` says is done: instances get their size, control hears of each step, and a
//! call that was killed for memory is run once more.
//!
//! Always true: a call waits for none of it but its own second run; a step is told until control has
//! it; a trial begins once control has written it down.

use std::sync::Arc;

use api::functions::sizes::SizeChange;
use api::internal::functions::near::Answered;
use api::internal::functions::sizes::{
    CallSizing, FunctionsUsage, SizeReport, USAGE_REVISIONS_MAX,
};
use api::internal::functions::{Call, Revision};
use bytes::Bytes;
use policy::resize::cpu_milli;
use types::InstanceId;

use super::call::Ran;
use super::instance::Warm;
use super::sizes::{Measured, again};
use super::{Known, Origin, Turn};
use crate::Agent;
use crate::control::ControlError;
use crate::retry::Pauses;

/// How often it is told what calls took.
const TELL_MS: u64 = 5_000;

/// What a revision asks for, in KiB.
pub(super) fn asked_kib(spec: &Revision) -> u64 {
    spec.limits.memory_bytes >> 10
}

/// A call, until it is known how it went.
pub(super) struct Sized<'a> {
    pub(super) known: &'a Arc<Known>,
    pub(super) spec: &'a Arc<Revision>,
    pub(super) call: &'a Call,
    pub(super) payload: &'a Bytes,
}

impl Agent {
    /// Learns from a call, and has done what is to be done about its instance's size.
    pub(super) fn learn(
        &self,
        (known, spec): (&Arc<Known>, &Revision),
        warm: &Warm,
        (measured, sizing): (&Measured, Option<&CallSizing>),
    ) {
        let asked = (asked_kib(spec), sizing);
        let now_ms = self.shared.clock.now_ms();
        let Some(change) = known.sizes.learn(&warm.token, measured, asked, now_ms) else { return };
        if let SizeChange::Grown { to_kib, .. } = change {
            if !self.resize(known, warm, to_kib) {
                return;
            }
            warm.has_grown(to_kib);
        }
        self.tell(known, spec, change);
    }

    /// Gives an instance the size that it is to have for its next call.
    pub(super) fn fit(&self, known: &Known, spec: &Revision, warm: &Warm) {
        let wanted_kib = known.sizes.wanted_kib(&warm.token, asked_kib(spec));
        self.resize(known, warm, wanted_kib.max(warm.grown_kib()));
    }

    /// Changes the size of an instance, and says whether it has it now. One that uses more than that
    /// keeps what it has.
    fn resize(&self, known: &Known, warm: &Warm, kib: u64) -> bool {
        if kib != warm.kib() && self.has_room(warm, kib) {
            match warm.resize(kib, cpu_milli(kib)) {
                Ok(()) => {}
                Err(executor::Error::Refused { feature, why, .. }) => {
                    tracing::info!(feature, why, "sizes of functions cannot be changed here");
                    known.sizes.cannot_change();
                }
                Err(error) => tracing::debug!(%error, "an instance keeps its size"),
            }
        }
        warm.reserve();
        warm.kib() == kib
    }

    fn has_room(&self, warm: &Warm, kib: u64) -> bool {
        let more_bytes = kib.saturating_sub(warm.kib()) << 10;
        more_bytes == 0 || self.free_bytes() >= more_bytes
    }

    /// Tells control of a step, until it has it.
    fn tell(&self, known: &Arc<Known>, spec: &Revision, change: SizeChange) {
        let (agent, known, id) = (self.clone(), Arc::clone(known), spec.id);
        let report = SizeReport { host: self.shared.settings.host, change };
        self.shared.tasks.spawn("function size", async move {
            let stopping = agent.shared.tasks.stopping();
            let mut pauses = Pauses::new();
            loop {
                match agent.shared.control.revision_size(id, &report).await {
                    Ok(answer) => return known.sizes.answered(&change, &answer),
                    Err(ControlError::Refused { message }) => {
                        return tracing::debug!(%id, message, "control does not want this step");
                    }
                    Err(_) => {}
                }
                if !pauses.wait(&agent.shared.clock, &stopping).await {
                    return;
                }
            }
        });
    }

    /// Runs a call once more that was killed for memory, at twice the size, on an instance of its
    /// own; none where that is not allowed, or there is no room.
    pub(super) async fn run_again(
        &self,
        sized: &Sized<'_>,
        kib: u64,
        times: (u64, Option<u64>),
    ) -> Option<Answered> {
        let Sized { known, spec, call, payload } = *sized;
        let sizing = call.sizing.as_ref();
        let to_kib = again(kib, call.idempotent, sizing)?;
        if self.free_bytes() < to_kib << 10 {
            return None;
        }
        let memory = self.reserve(to_kib << 10);
        let id = InstanceId::new(self.shared.clock.uuid());
        let told = (id, known.of.payer, Origin::Call);
        let mut warm = Warm::start(self, spec, told, memory).await.ok()?;
        warm.count(known.pool.lock().count(Origin::Call));
        if !self.resize(known, &warm, to_kib) {
            warm.end(self).await;
            return None;
        }
        let mut turn = Turn::new(self, known, Some(Arc::new(warm)));
        // It is larger than others.
        turn.once = true;
        let ran = turn.run(spec, (call.clone(), payload.clone()), times).await;
        let mut again = match ran {
            Ran::Answered(answered) => answered,
            Ran::Killed(outcome, _) => Answered::Whole(outcome),
            Ran::Untouched => return None,
        };
        let called = again.called_mut();
        called.again = true;
        let answered = called.error.is_none();
        self.tell(known, spec, SizeChange::RunAgain { from_kib: kib, to_kib, answered });
        Some(again)
    }
}

/// Tells what calls took, every few seconds, until the tasks stop.
pub(crate) async fn tell_usage(agent: Agent) {
    let stopping = agent.shared.tasks.stopping();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = agent.shared.clock.sleep_ms(TELL_MS) => {}
        }
        let mut told = Vec::new();
        let mut revisions = Vec::new();
        {
            let all = agent.shared.functions.known.lock();
            for (id, known) in all.iter() {
                if revisions.len() == USAGE_REVISIONS_MAX {
                    break;
                }
                let Some(spec) = known.spec.get() else { continue };
                let Some(usage) = known.sizes.untold(id.revision, asked_kib(spec)) else {
                    continue;
                };
                revisions.push(usage);
                told.push(Arc::clone(known));
            }
        }
        if revisions.is_empty() {
            continue;
        }
        let (host, usage) = (agent.shared.settings.host, FunctionsUsage { revisions });
        if let Err(error) = agent.shared.control.functions_usage(host, &usage).await {
            tracing::debug!(%error, "what calls took could not be told of yet");
            for known in told {
                known.sizes.tell_again();
            }
        }
    }
}
