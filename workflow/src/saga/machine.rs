//! The saga machine: how a record moves. Pure.
//!
//! States: `Forward` (steps run in order), `Undoing` (the failed step and those before it are
//! undone in reverse order), `Stuck` (an undo failed for good or too often), `Done`, `Undone`.
//!
//! Always true: `Done` and `Undone` are final; a saga past its age is undone as soon as it would
//! wait or try again; every retry lies in the future.

use super::backoff::pause_ms;
use super::record::{Phase, Problem, Record};
use super::{Failure, Limits, Outcome};

/// The code of a saga whose step failed too often.
pub const GAVE_UP: &str = "saga_gave_up";
/// The code of a saga that grew too old.
pub const TOO_OLD: &str = "saga_too_old";
/// The code of a step that failed and is tried again.
pub const TRANSIENT: &str = "transient";
/// The code of a saga that somebody cancelled.
pub const CANCELLED: &str = "cancelled";

/// What happened to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The step, or its undo, is done.
    Done,
    /// The step waits.
    Wait {
        /// When to look again, in milliseconds.
        retry_after_ms: u64,
    },
    /// The step, or its undo, failed and may work later.
    Transient {
        /// What happened.
        message: String,
    },
    /// The step, or its undo, failed for good.
    Permanent {
        /// The stable code.
        code: &'static str,
        /// What happened and what to do.
        message: String,
    },
    /// Somebody wants it undone.
    Cancelled,
}

impl From<Result<Outcome, Failure>> for Event {
    fn from(result: Result<Outcome, Failure>) -> Self {
        match result {
            Ok(Outcome::Done) => Self::Done,
            Ok(Outcome::Wait { retry_after_ms }) => Self::Wait { retry_after_ms },
            Err(Failure::Transient { message }) => Self::Transient { message },
            Err(Failure::Permanent { code, message }) => Self::Permanent { code, message },
        }
    }
}

/// The record after `event` at `now_ms`, with no owner and the next generation, or none when the
/// event cannot happen to it.
pub fn after(
    record: &Record,
    event: &Event,
    steps: &[&str],
    limits: &Limits,
    now_ms: u64,
) -> Option<Record> {
    let mut next = Record {
        generation: record.generation + 1,
        owner: None,
        due_at_ms: now_ms,
        ..record.clone()
    };
    match record.phase {
        Phase::Forward => forward(&mut next, event, steps, limits),
        Phase::Undoing | Phase::Stuck => undoing(&mut next, event, limits)?,
        Phase::Done | Phase::Undone => return None,
    }
    Some(next)
}

fn forward(next: &mut Record, event: &Event, steps: &[&str], limits: &Limits) {
    let now_ms = next.due_at_ms;
    let old = now_ms.saturating_sub(next.started_at_ms) > limits.age_ms_max;
    let name = steps.get(next.step as usize).copied().unwrap_or("end");
    match event {
        Event::Done => {
            next.step += 1;
            next.attempts = 0;
            next.error = None;
            if next.step as usize >= steps.len() {
                next.phase = Phase::Done;
            }
        }
        Event::Wait { .. } if old => {
            undo(next, name, TOO_OLD, "waited longer than this may take".to_owned());
        }
        Event::Wait { retry_after_ms } => {
            next.attempts = 0;
            next.error = None;
            next.due_at_ms = now_ms.saturating_add((*retry_after_ms).max(1));
        }
        Event::Transient { message } if old => undo(next, name, TOO_OLD, message.clone()),
        Event::Transient { message } => {
            next.attempts = next.attempts.saturating_add(1);
            if next.attempts >= limits.attempts_max {
                let message = format!("gave up after {} tries: {message}", next.attempts);
                undo(next, name, GAVE_UP, message);
                return;
            }
            next.error = Some(problem(name, TRANSIENT, message.clone()));
            next.due_at_ms = now_ms.saturating_add(retry_ms(next, limits));
        }
        Event::Permanent { code, message } => undo(next, name, code, message.clone()),
        Event::Cancelled => undo(next, name, CANCELLED, "cancelled on request".to_owned()),
    }
}

fn undoing(next: &mut Record, event: &Event, limits: &Limits) -> Option<()> {
    let now_ms = next.due_at_ms;
    let (message, hopeless) = match event {
        Event::Done => {
            next.attempts = 0;
            match next.step.checked_sub(1) {
                Some(step) => (next.phase, next.step) = (Phase::Undoing, step),
                None => next.phase = Phase::Undone,
            }
            if let Some(problem) = &mut next.error {
                problem.undo = None;
            }
            return Some(());
        }
        Event::Transient { message } => (message, false),
        Event::Permanent { message, .. } => (message, true),
        Event::Wait { .. } | Event::Cancelled => return None,
    };
    next.attempts = next.attempts.saturating_add(1);
    if let Some(problem) = &mut next.error {
        problem.undo = Some(message.clone());
    }
    let stuck = hopeless || next.phase == Phase::Stuck;
    if stuck || next.attempts >= limits.undo_attempts_max {
        next.phase = Phase::Stuck;
        next.due_at_ms = now_ms.saturating_add(limits.stuck_retry_ms.max(1));
    } else {
        next.due_at_ms = now_ms.saturating_add(retry_ms(next, limits));
    }
    Some(())
}

fn undo(next: &mut Record, step: &str, code: &str, message: String) {
    next.phase = Phase::Undoing;
    next.attempts = 0;
    next.error = Some(problem(step, code, message));
}

fn problem(step: &str, code: &str, message: String) -> Problem {
    Problem { code: code.to_owned(), message, step: step.to_owned(), undo: None }
}

fn retry_ms(record: &Record, limits: &Limits) -> u64 {
    let (_, seed) = record.id.uuid().as_u64_pair();
    pause_ms(record.attempts, limits.backoff_ms_min, limits.backoff_ms_max, seed).max(1)
}

#[cfg(test)]
mod tests;
