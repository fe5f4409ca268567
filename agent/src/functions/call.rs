//! One call on an instance: given to its program, and seen to its end.
//!
//! States of a call: running → answering in pieces → over, or running → over.
//! Always true: after a deadline nothing of the instance is left, and its other calls are told so; an
//! instance whose answer is read slowly is held no longer than the call may take; whoever gives up a
//! call ends its instance, unless others may have calls there: then it runs to its end.
//! Source of the words: Lambda's Runtime Interface Emulator.

use std::sync::Arc;

use api::internal::functions::near::{Answered, Outcome};
use api::internal::functions::pieces::Piece;
use api::internal::functions::sizes::CallSizing;
use api::internal::functions::{Call, Called, Revision, StartTimes, shown};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use executor::runtime_api::{self, Failure, Invocation, Shutdown, Streamed};
use executor::{Ending, Exit};
use tokio::sync::mpsc;

use super::instance::{Warm, how};
use super::sizes::Measured;
use super::{Turn, journal};
use crate::Agent;

/// Pieces that are held for a slow gateway, beside those that the program's side holds.
const PIECES_HELD: usize = 1;

/// What came of giving a call to an instance.
pub(super) enum Ran {
    Answered(Answered),
    /// Its program has ended before it took the call, which another instance can run then.
    Untouched,
    /// It was killed for memory, of which it had so much, in KiB; with what its caller is told.
    Killed(Box<Outcome>, u64),
}

/// A call under way.
struct Course {
    /// What is learned from.
    input_bytes: u64,
    sizing: Option<CallSizing>,
    /// Processor time that its instance had used before, where that is measured.
    cpu_before_us: Option<u64>,
    /// How its instance was started, where it is the first there.
    start: Option<StartTimes>,
    id: String,
    began_us: u64,
    waited_us: u64,
    log_tail: bool,
    stale_ms: Option<u64>,
    timeout_ms: u64,
}

/// Why a call cannot go on.
enum Broke {
    /// The program has ended, and has seen nothing of it.
    Untouched,
    /// With whether it was killed for memory.
    Failed(Failure, bool),
}

/// How a call ended.
struct End {
    error: Option<String>,
    media_type: Option<String>,
    payload: Bytes,
    /// Whether the instance can run another.
    reusable: bool,
    /// Whether it was killed for memory.
    killed: bool,
}

impl End {
    fn answered(payload: Bytes, media_type: Option<String>) -> Self {
        Self { error: None, media_type, payload, reusable: true, killed: false }
    }

    fn failed(failure: Failure, reusable: bool) -> Self {
        let Failure { kind, payload } = failure;
        Self { error: Some(kind), media_type: None, payload, reusable, killed: false }
    }
}

impl Turn {
    /// Runs a call: to its end, or to where it begins to answer in pieces and its caller takes such.
    pub(super) async fn run(
        mut self,
        spec: &Arc<Revision>,
        (call, payload): (Call, Bytes),
        (waited_us, stale_ms): (u64, Option<u64>),
    ) -> Ran {
        self.used = true;
        let (agent, warm) = (self.agent.clone(), Arc::clone(self.warm()));
        let clock = &agent.shared.clock;
        let (timeout_ms, stream) = (spec.limits.timeout_ms, call.stream);
        // What is learned from is told to the owner: so nothing is of another's calls. And it is of
        // one call, so of none that could share its instance.
        let learned = self.known.of.payer.is_none() && spec.concurrency.is_one();
        let measured = learned && self.known.sizes.measures(call.sizing.is_some(), clock.now_ms());
        let course = Course {
            input_bytes: payload.len() as u64,
            sizing: call.sizing,
            cpu_before_us: measured.then(|| warm.running.cpu_us()),
            start: warm.take_start(),
            // The program's own lines, and its errors, name the call as the log does.
            id: shown(&call.id),
            began_us: clock.now_us(),
            waited_us,
            log_tail: call.log_tail,
            stale_ms,
            timeout_ms,
        };
        let invocation = Invocation {
            id: course.id.clone(),
            deadline_ms: clock.now_ms().saturating_add(timeout_ms),
            payload,
            function_arn: call.function_arn,
            trace_id: call.trace_id,
            client_context: context(call.client_context.as_deref()),
        };
        let begun = (course.id.as_str(), course.began_us / 1_000);
        warm.lines.lock().begin(begun, course.log_tail);
        warm.thaw();
        let runtime = warm.runtime.clone();
        // Extensions see to one call before they are told of the next, within this one's time.
        let invoke = async {
            runtime.ready().await;
            match runtime.invoke(invocation).await {
                runtime_api::Outcome::Streamed(pieces) if !stream => {
                    let media_type = pieces.media_type.clone();
                    match pieces.whole().await {
                        Ok(payload) => runtime_api::Outcome::Answered { payload, media_type },
                        Err(failure) => runtime_api::Outcome::Failed(failure),
                    }
                }
                outcome => outcome,
            }
        };
        let end = tokio::select! {
            biased;
            outcome = invoke => match outcome {
                runtime_api::Outcome::Answered { payload, media_type } => {
                    End::answered(payload, media_type)
                }
                runtime_api::Outcome::Failed(failure) => End::failed(failure, true),
                runtime_api::Outcome::Streamed(pieces) => {
                    return Ran::Answered(self.stream(Arc::clone(spec), course, pieces));
                }
            },
            broke = course.breaks(&warm, &agent) => match broke {
                Broke::Untouched => {
                    warm.lines.lock().forget(&course.id);
                    return Ran::Untouched;
                }
                Broke::Failed(failure, killed) => End { killed, ..End::failed(failure, false) },
            },
        };
        let killed = end.killed.then(|| warm.kib());
        let outcome = Box::new(self.over(spec, &course, end));
        match killed {
            Some(kib) => Ran::Killed(outcome, kib),
            None => Ran::Answered(Answered::Whole(outcome)),
        }
    }

    /// Hands on the pieces of an answer, in a task of their own, which has the place.
    fn stream(self, spec: Arc<Revision>, course: Course, pieces: Streamed) -> Answered {
        let (agent, warm) = (self.agent.clone(), Arc::clone(self.warm()));
        let media_type = pieces.media_type.clone();
        let called = Called {
            error: None,
            media_type: media_type.clone(),
            duration_us: agent.shared.clock.now_us().saturating_sub(course.began_us),
            waited_us: course.waited_us,
            start: course.start,
            memory_peak_bytes: warm.running.usage().memory_peak_bytes,
            stale_ms: course.stale_ms,
            ..Called::default()
        };
        let (hand_on, read) = mpsc::channel(PIECES_HELD);
        agent.shared.tasks.clone().spawn("function stream", async move {
            let end = tokio::select! {
                biased;
                end = pump(pieces, &hand_on, spec.concurrency.is_several()) => end,
                broke = course.breaks(&warm, &agent) => match broke {
                    Broke::Untouched => None,
                    Broke::Failed(failure, killed) => {
                        Some(End { killed, ..End::failed(failure, false) })
                    }
                },
            };
            // Where its reader has gone, so has the call: the instance is ended with the turn.
            let Some(end) = end else { return };
            let Outcome { mut called, payload } = self.over(&spec, &course, end);
            called.media_type = media_type;
            let error = if called.error.is_some() { payload } else { Bytes::new() };
            // Nobody has to be there to hear it.
            let _ = hand_on.send(Piece::Ended(Box::new(called), error)).await;
        });
        Answered::InPieces(Box::new(called), read)
    }

    /// Notes the end of a call, and gives its place back.
    fn over(mut self, spec: &Revision, course: &Course, end: End) -> Outcome {
        let (agent, warm) = (self.agent.clone(), Arc::clone(self.warm()));
        let clock = &agent.shared.clock;
        let duration_us = clock.now_us().saturating_sub(course.began_us);
        let since = |before_us| warm.running.measure().cpu_us.saturating_sub(before_us);
        let cpu_us = course.cpu_before_us.map(since);
        let mut called = Called {
            error: end.error,
            media_type: end.media_type,
            duration_us,
            waited_us: course.waited_us,
            start: course.start,
            memory_peak_bytes: warm.running.usage().memory_peak_bytes,
            cpu_us,
            stale_ms: course.stale_ms,
            ..Called::default()
        };
        let kib = warm.kib();
        let report = || journal::report(&course.id, &called, kib >> 10);
        let now = (course.id.as_str(), clock.now_ms());
        let tail = warm.lines.lock().end(&agent.shared.functions.journal, now, report);
        called.log_tail = tail.map(|tail| BASE64_STANDARD.encode(tail));
        self.known.pool.lock().ran(called.duration_us, end.reusable);
        if let Some(cpu_us) = cpu_us {
            let measured = Measured {
                kib,
                input_bytes: course.input_bytes,
                call_us: called.duration_us,
                cpu_us,
                peak_kib: called.memory_peak_bytes >> 10,
                killed: end.killed,
            };
            agent.learn((&self.known, spec), &warm, (&measured, course.sizing.as_ref()));
        }
        self.used = self.once || !end.reusable;
        Outcome { called, payload: end.payload }
    }
}

/// Hands on every piece; none where nobody reads them any more, unless the answer is to be read to
/// its end all the same.
async fn pump(
    mut pieces: Streamed,
    hand_on: &mpsc::Sender<Piece>,
    to_its_end: bool,
) -> Option<End> {
    let media_type = pieces.media_type.clone();
    loop {
        let piece = tokio::select! {
            piece = pieces.next() => piece,
            () = hand_on.closed(), if !to_its_end => return None,
        };
        match piece {
            Ok(Some(data)) => {
                let left = hand_on.send(Piece::Data(data)).await.is_err();
                if left && !to_its_end {
                    return None;
                }
            }
            Ok(None) => return Some(End::answered(Bytes::new(), media_type)),
            Err(failure) => return Some(End::failed(failure, true)),
        }
    }
}

impl Course {
    /// Waits until the call cannot go on, and says why.
    async fn breaks(&self, warm: &Warm, agent: &Agent) -> Broke {
        let clock = &agent.shared.clock;
        let spent_ms = clock.now_us().saturating_sub(self.began_us) / 1_000;
        let runtime = &warm.runtime;
        let ended = async {
            let exit = warm.running.wait().await;
            (runtime.is_untouched(&self.id), exit)
        };
        let failure = tokio::select! {
            biased;
            (untouched, exit) = ended => {
                if untouched {
                    return Broke::Untouched;
                }
                // Who ends an instance for its own call has heard of it before it ends.
                if let Some(failure) = by_another(&self.id, warm.ending()) {
                    return Broke::Failed(failure, false);
                }
                let killed = exit.ending == Ending::OutOfMemory;
                return Broke::Failed(exited(&self.id, &exit), killed);
            }
            failure = runtime.broken() => {
                warm.ends_for(Shutdown::Failure);
                failure
            }
            () = clock.sleep_ms(self.timeout_ms.saturating_sub(spent_ms)) => {
                warm.ends_for(Shutdown::Timeout);
                timed_out(&self.id, self.timeout_ms)
            }
        };
        Broke::Failed(failure, false)
    }
}

/// What a call is told that its host gave up in the middle of it.
pub(super) fn cut_short(waited_us: u64) -> Answered {
    let message = "the host of this call stopped in the middle of it";
    let Failure { kind, payload } = Failure::new("Sandbox.Failure", message);
    let called = Called { error: Some(kind), waited_us, ..Called::default() };
    Answered::Whole(Box::new(Outcome { called, payload }))
}

/// The caller's context as JSON; what is none is left out.
fn context(base64: Option<&str>) -> Option<String> {
    let text = BASE64_STANDARD.decode(base64?).ok()?;
    String::from_utf8(text).ok()
}

fn exited(id: &str, exit: &Exit) -> Failure {
    let message = format!("RequestId: {id} Error: Runtime exited {}", how(exit));
    Failure::new("Runtime.ExitError", &message)
}

/// What a call is told whose instance was ended for what another of its calls did.
fn by_another(id: &str, ending: Shutdown) -> Option<Failure> {
    let why = match ending {
        Shutdown::Spindown => return None,
        Shutdown::Timeout => "another call there ran past its deadline",
        Shutdown::Failure => "it could not go on",
    };
    let message = format!("RequestId: {id} Error: the instance of this call was ended: {why}");
    Some(Failure::new("Sandbox.Ended", &message))
}

fn timed_out(id: &str, timeout_ms: u64) -> Failure {
    let (s, hundredths) = (timeout_ms / 1_000, timeout_ms % 1_000 / 10);
    let message =
        format!("RequestId: {id} Error: Task timed out after {s}.{hundredths:02} seconds");
    Failure::new("Sandbox.Timedout", &message)
}
