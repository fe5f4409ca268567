//! The laws of a saga, tried on a world that a test makes afresh for every trial.
//!
//! A trial runs the saga event by event, with a new driver before each, as if the process had
//! been restarted, and puts one fault in its way: a step or an undo that fails before or after its
//! effects, whose answer is lost, or that is dropped at one of its awaits.
//!
//! Always true: without a fault in the way forward, the saga ends done; with a step failed for
//! good, it ends undone; the test's own check of the world holds at either end.

mod faulty;

use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use types::SagaId;

use super::driver::{Driver, Settings};
use super::log::MemoryLog;
use super::record::{Phase, Record, begin};
use super::{Registry, Saga};
use crate::{Clock, ManualHandle};
pub(crate) use faulty::dropped_at;
use faulty::{Fault, Faulty, When};

/// Most events in one trial; a saga that needs more waits for something that never comes.
const EVENTS_MAX: u32 = 2_000;
/// Most awaits of one step at which it is dropped.
const AWAITS_MAX: u32 = 12;
/// When every trial begins, in Unix milliseconds.
const START_MS: u64 = 1_700_000_000_000;

/// A saga in a world of its own.
pub struct Trial<S: Saga> {
    saga: S,
    state: S::State,
    wait: Wait,
    check: Check<S::State>,
}

type Wait = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;
type Check<T> = Box<dyn Fn(Ending, T) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// How a trial ended, as the check is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every step is done.
    Done,
    /// Every step is undone: the world should look as if the saga had never been.
    Undone,
}

/// A law that a saga broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("saga {kind}, when {fault}: {message}")]
pub struct Broken {
    /// The saga.
    pub kind: &'static str,
    /// What was put in its way.
    pub fault: String,
    /// What then went wrong.
    pub message: String,
}

impl<S: Saga> Trial<S> {
    /// A trial whose world needs no help while the saga waits, and whose end is not checked.
    pub fn new(saga: S, state: S::State) -> Self {
        let wait = Box::new(|| async {}.boxed());
        let check = Box::new(|_, _| async { Ok(()) }.boxed());
        Self { saga, state, wait, check }
    }

    /// Moves the world on whenever the saga waits, as an agent or another saga would.
    #[must_use]
    pub fn on_wait(
        mut self,
        wait: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        self.wait = Box::new(wait);
        self
    }

    /// Checks the world at the end, given the saga's last state.
    #[must_use]
    pub fn on_end(
        mut self,
        check: impl Fn(Ending, S::State) -> BoxFuture<'static, Result<(), String>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.check = Box::new(check);
        self
    }
}

impl<S: Saga> fmt::Debug for Trial<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial").field("kind", &S::KIND).finish_non_exhaustive()
    }
}

/// Fails, repeats, loses and drops each step and each undo of a saga, one per trial; `fresh`
/// makes a new world each time. Returns the number of trials.
///
/// # Errors
///
/// The first law broken.
pub async fn uphold<S, F, Fut>(fresh: F) -> Result<u32, Broken>
where
    S: Saga,
    F: Fn() -> Fut,
    Fut: Future<Output = Trial<S>>,
{
    let mut trials = 0;
    for fault in faults(S::steps().len()) {
        tried(fresh().await, fault).await?;
        trials += 1;
    }
    for step in 0..S::steps().len() {
        for undoing in [false, true] {
            for awaits in 1..=AWAITS_MAX {
                let fault = Fault::Drop { step, awaits, undoing };
                trials += 1;
                if tried(fresh().await, fault).await? {
                    break;
                }
            }
        }
    }
    Ok(trials)
}

/// Like [`uphold`], for tests that want the panic.
///
/// # Panics
///
/// With the first law broken.
pub async fn assert_upheld<S, F, Fut>(fresh: F)
where
    S: Saga,
    F: Fn() -> Fut,
    Fut: Future<Output = Trial<S>>,
{
    if let Err(broken) = uphold(fresh).await {
        panic!("{broken}");
    }
}

/// Every fault but the drops, whose number depends on the awaits there are.
fn faults(steps: usize) -> Vec<Fault> {
    let mut faults = vec![Fault::None];
    for step in 0..steps {
        for when in [When::Before, When::After, When::AfterUnsaved] {
            faults.push(Fault::Fail { step, when });
            faults.push(Fault::UndoFail { step, when });
        }
        faults.push(Fault::Repeat { step, undoing: false });
        faults.push(Fault::Repeat { step, undoing: true });
    }
    faults
}

/// Runs one trial; true when a fault that drops at an await found the step already at its end.
async fn tried<S: Saga>(trial: Trial<S>, fault: Fault) -> Result<bool, Broken> {
    let broken = |message: String| Broken { kind: S::KIND, fault: fault.tell(S::steps()), message };
    let (clock, handle) = Clock::manual(START_MS);
    let id = SagaId::new(clock.uuid());
    let record = begin::<S>(id, "trial", &trial.state, START_MS);
    let log = Arc::new(MemoryLog::new());
    log.insert(record.map_err(|error| broken(error.to_string()))?);
    let faulty = Faulty::new(trial.saga, fault);
    let course = Course { clock, handle, log, faulty };
    let record = course.run(&trial.wait).await.map_err(broken)?;
    let ending = if record.phase == Phase::Done { Ending::Done } else { Ending::Undone };
    if ending != fault.ending() {
        let why = record.error.as_ref().map(ToString::to_string).unwrap_or_default();
        return Err(broken(format!("ended {}, not {:?}: {why}", record.phase, fault.ending())));
    }
    let state = record.state::<S>().map_err(|error| broken(error.to_string()))?;
    (trial.check)(ending, state)
        .await
        .map_err(|message| broken(format!("{ending:?}: {message}")))?;
    Ok(course.faulty.ran_to_end())
}

/// One trial under way.
struct Course<S: Saga> {
    clock: Clock,
    handle: ManualHandle,
    log: Arc<MemoryLog>,
    faulty: Faulty<S>,
}

impl<S: Saga> Course<S> {
    async fn run(&self, wait: &Wait) -> Result<Record, String> {
        let stopped = CancellationToken::new();
        stopped.cancel();
        for _ in 0..EVENTS_MAX {
            let record = self.record()?;
            if record.phase.ended() {
                return Ok(record);
            }
            if record.phase == Phase::Stuck {
                let undo = record.error.and_then(|problem| problem.undo).unwrap_or_default();
                let step = S::steps().get(record.step as usize).copied().unwrap_or("end");
                return Err(format!("stuck undoing {step}: {undo}"));
            }
            let now_ms = self.clock.now_ms();
            if record.due_at_ms > now_ms {
                wait().await;
                self.handle.advance_ms(record.due_at_ms - now_ms);
            }
            let registry = Registry::new().with(self.faulty.clone());
            let log = Arc::clone(&self.log);
            let driver = Driver::new(self.clock.clone(), log, registry, Settings::default());
            driver.activate_until(&stopped).await.map_err(|error| error.to_string())?;
        }
        Err(format!("did not end within {EVENTS_MAX} events; give the trial an on_wait"))
    }

    fn record(&self) -> Result<Record, String> {
        self.log.records().pop().ok_or_else(|| "the record is gone".to_owned())
    }
}

#[cfg(test)]
mod tests;
