//! One record, from its claim until it waits, ends, or is lost to somebody else.

use std::pin::pin;
use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Driver;
use crate::chain;
use crate::saga::erased::Erased;
use crate::saga::machine::{self, Event};
use crate::saga::record::{Phase, Record};
use crate::saga::{Error, Outcome};

/// How an advance ended.
#[derive(Default)]
pub(super) struct Rest {
    /// Events stored.
    pub(super) events: usize,
    /// When the record is due again; none when it ended or was lost.
    pub(super) due_at_ms: Option<u64>,
}

/// How one run of one step ended.
enum Attempt {
    Over {
        state: Value,
        event: Event,
    },
    /// Somebody else changed the record while the step ran; the step was dropped.
    Lost,
}

impl Driver {
    /// Advances a claimed record until it waits, ends, is lost, or the driver stops.
    pub(super) async fn advance(&self, mut record: Record, stopping: &CancellationToken) -> Rest {
        let mut rest = Rest::default();
        let Some(saga) = self.shared.registry.get(&record.kind).map(Arc::clone) else {
            return rest;
        };
        loop {
            let (state, next) = match self.attempt(&mut record, &*saga).await {
                Attempt::Lost => (None, None),
                Attempt::Over { state, event } => {
                    let next = self.next(&record, &event, &state, &*saga);
                    (Some(state), next)
                }
            };
            let saved = match next {
                None => Ok(None),
                Some(next) => self.save(next, stopping).await,
            };
            match saved {
                Ok(Some(next)) => {
                    rest.events += 1;
                    tell(&next, saga.steps());
                    if next.owner.is_none() {
                        rest.due_at_ms = (!next.phase.ended()).then_some(next.due_at_ms);
                        return rest;
                    }
                    record = next;
                }
                Ok(None) => match self.adopt(&record, state).await {
                    Ok(Some(cancelled)) => record = cancelled,
                    Ok(None) => return rest,
                    Err(error) => return unsaved(&record, &error, rest),
                },
                Err(error) => return unsaved(&record, &error, rest),
            }
        }
    }

    fn next(
        &self,
        record: &Record,
        event: &Event,
        state: &Value,
        saga: &dyn Erased,
    ) -> Option<Record> {
        let now_ms = self.shared.clock.now_ms();
        let next = machine::after(record, event, saga.steps(), &saga.limits(), now_ms)?;
        Some(Record { state: state.clone(), ..next })
    }

    /// Stores an advance, and keeps the claim when there is more to do at once; none when the
    /// stored record is no longer the one that was claimed.
    async fn save(
        &self,
        mut next: Record,
        stopping: &CancellationToken,
    ) -> Result<Option<Record>, Error> {
        let shared = &self.shared;
        let now_ms = shared.clock.now_ms();
        if !next.phase.ended() && next.due_at_ms <= now_ms && !stopping.is_cancelled() {
            next.owner = Some(shared.settings.owner.clone());
            next.due_at_ms = now_ms.saturating_add(shared.settings.lease_ms);
        }
        Ok(shared.log.save(&next).await?.then_some(next))
    }

    /// Runs one step or undo, and renews the claim while it runs.
    async fn attempt(&self, record: &mut Record, saga: &dyn Erased) -> Attempt {
        let shared = &self.shared;
        let (step, state) = (record.step as usize, record.state.clone());
        let (phase, problem) = (record.phase, record.error.clone());
        let work = async {
            if phase == Phase::Forward && step >= saga.steps().len() {
                return (state, Ok(Outcome::Done));
            }
            if phase == Phase::Forward {
                return saga.run(step, state).await;
            }
            let (state, undone) = saga.undo(step, state, problem).await;
            (state, undone.map(|()| Outcome::Done))
        };
        let mut work = pin!(shared.clock.within_ms(saga.limits().step_ms_max, work));
        let mut cancels = shared.cancels.subscribe();
        loop {
            tokio::select! {
                biased;
                done = &mut work => return match done {
                    Ok((state, result)) => Attempt::Over { state, event: result.into() },
                    Err(late) => {
                        let event = Event::Transient { message: late.to_string() };
                        Attempt::Over { state: record.state.clone(), event }
                    }
                },
                _ = cancels.changed() => {
                    if self.changed_by_others(record).await {
                        return Attempt::Lost;
                    }
                }
                () = shared.clock.sleep_ms((shared.settings.lease_ms / 3).max(1)) => {
                    if !self.renew(record).await {
                        return Attempt::Lost;
                    }
                }
            }
        }
    }

    async fn changed_by_others(&self, record: &Record) -> bool {
        let stored = self.shared.log.fetch(record.id).await;
        stored.is_ok_and(|stored| stored.is_none_or(|one| one.generation != record.generation))
    }

    /// Renews the claim; false when the record is somebody else's now. A log that does not answer
    /// leaves the claim as it is.
    async fn renew(&self, record: &mut Record) -> bool {
        let now_ms = self.shared.clock.now_ms();
        let next = Record {
            due_at_ms: now_ms.saturating_add(self.shared.settings.lease_ms),
            generation: record.generation + 1,
            ..record.clone()
        };
        match self.shared.log.save(&next).await {
            Ok(true) => *record = next,
            Ok(false) => return false,
            Err(_) => {}
        }
        true
    }

    /// Goes on with a record that was cancelled while this driver ran its step; none when the
    /// record is not this driver's any more.
    async fn adopt(&self, mine: &Record, state: Option<Value>) -> Result<Option<Record>, Error> {
        let shared = &self.shared;
        let Some(stored) = shared.log.fetch(mine.id).await? else { return Ok(None) };
        let own = stored.owner.as_ref() == Some(&shared.settings.owner);
        let next_after_mine = stored.generation == mine.generation + 1;
        if !own || !next_after_mine || stored.phase != Phase::Undoing {
            return Ok(None);
        }
        let next = Record {
            state: state.unwrap_or_else(|| stored.state.clone()),
            due_at_ms: shared.clock.now_ms().saturating_add(shared.settings.lease_ms),
            generation: stored.generation + 1,
            ..stored
        };
        Ok(shared.log.save(&next).await?.then_some(next))
    }
}

/// The claim runs out by itself, and the step is run again.
fn unsaved(record: &Record, error: &Error, mut rest: Rest) -> Rest {
    let error = chain(error);
    tracing::warn!(saga = %record.id, error, "saga step not stored, will run again");
    rest.due_at_ms = Some(record.due_at_ms);
    rest
}

/// Logs what became of a record.
fn tell(record: &Record, steps: &[&str]) {
    let Record { id, kind, subject, phase, attempts, error, .. } = record;
    let step = steps.get(record.step as usize).copied().unwrap_or("end");
    let code = error.as_ref().map(|problem| problem.code.as_str());
    let reason = error.as_ref().map(ToString::to_string);
    let undo = error.as_ref().and_then(|problem| problem.undo.as_deref());
    match phase {
        Phase::Stuck => {
            tracing::error!(saga = %id, kind, subject, step, code, reason, undo, "saga stuck");
        }
        Phase::Done => tracing::info!(saga = %id, kind, subject, "saga done"),
        Phase::Undone => tracing::info!(saga = %id, kind, subject, code, reason, "saga undone"),
        Phase::Forward | Phase::Undoing if *attempts > 0 => {
            tracing::warn!(saga = %id, kind, subject, step, attempts, reason, undo, "step failed");
        }
        Phase::Forward | Phase::Undoing => {
            tracing::debug!(saga = %id, kind, subject, %phase, step, "saga advanced");
        }
    }
}
