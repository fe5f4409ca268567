//! A saga with one fault put in its way.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use super::Ending;
use crate::saga::record::Problem;
use crate::saga::{Failure, Limits, Outcome, Saga};

/// What is put in a saga's way. Faults of an undo come with a failure of the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// A step fails for good.
    Fail {
        step: usize,
        when: When,
    },
    /// An undo fails once and works later.
    UndoFail {
        step: usize,
        when: When,
    },
    /// The answer of a step or undo is lost, and it runs again.
    Repeat {
        step: usize,
        undoing: bool,
    },
    /// A step or undo is dropped at its n-th await, and runs again.
    Drop {
        step: usize,
        awaits: u32,
        undoing: bool,
    },
}

/// When a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Before,
    /// Its effects are there, and what it wrote into the state.
    After,
    /// Its effects are there, and the state is as before: a crash came between.
    AfterUnsaved,
}

impl Fault {
    pub(super) fn ending(self) -> Ending {
        match self {
            Self::None
            | Self::Repeat { undoing: false, .. }
            | Self::Drop { undoing: false, .. } => Ending::Done,
            _ => Ending::Undone,
        }
    }

    pub(super) fn tell(self, steps: &[&str]) -> String {
        let act = |step: usize, undoing| {
            let name = steps.get(step).copied().unwrap_or("?");
            if undoing { format!("the undo of {name}") } else { format!("step {name}") }
        };
        let when_text = |when| match when {
            When::Before => "before its effects",
            When::After => "after its effects",
            When::AfterUnsaved => "after its effects, its state lost",
        };
        match self {
            Self::None => "nothing fails".to_owned(),
            Self::Fail { step, when } => {
                format!("{} fails {}", act(step, false), when_text(when))
            }
            Self::UndoFail { step, when } => {
                format!("{} fails once {}", act(step, true), when_text(when))
            }
            Self::Repeat { step, undoing } => format!("{} is repeated", act(step, undoing)),
            Self::Drop { step, awaits, undoing } => {
                format!("{} is dropped at await {awaits}", act(step, undoing))
            }
        }
    }
}

/// A saga and its fault. Clones share both, as lives of one process share a world.
pub(super) struct Faulty<S> {
    saga: Arc<S>,
    fault: Fault,
    fired: Arc<AtomicBool>,
    ran_to_end: Arc<AtomicBool>,
}

impl<S> Clone for Faulty<S> {
    fn clone(&self) -> Self {
        Self {
            saga: Arc::clone(&self.saga),
            fault: self.fault,
            fired: Arc::clone(&self.fired),
            ran_to_end: Arc::clone(&self.ran_to_end),
        }
    }
}

impl<S: Saga> Faulty<S> {
    pub(super) fn new(saga: S, fault: Fault) -> Self {
        let (fired, ran_to_end) = (Arc::default(), Arc::default());
        Self { saga: Arc::new(saga), fault, fired, ran_to_end }
    }

    /// Whether a step that was to be dropped at an await had fewer awaits than that.
    pub(super) fn ran_to_end(&self) -> bool {
        self.ran_to_end.load(Ordering::SeqCst)
    }

    /// True the first time.
    fn fire(&self) -> bool {
        !self.fired.swap(true, Ordering::SeqCst)
    }

    /// How this step fails for good, if it is to.
    fn fails(&self, step: usize) -> Option<When> {
        let last = step + 1 == S::steps().len();
        match self.fault {
            Fault::Fail { step: at, when } => (at == step).then_some(when),
            Fault::UndoFail { .. }
            | Fault::Repeat { undoing: true, .. }
            | Fault::Drop { undoing: true, .. } => last.then_some(When::After),
            _ => None,
        }
    }
}

impl<S: Saga> Saga for Faulty<S> {
    const KIND: &'static str = S::KIND;
    type State = S::State;

    fn steps() -> &'static [&'static str] {
        S::steps()
    }

    fn limits() -> Limits {
        S::limits()
    }

    async fn run(&self, step: usize, state: &mut S::State) -> Result<Outcome, Failure> {
        if let Some(when) = self.fails(step) {
            let mut after = state.clone();
            if when != When::Before {
                let outcome = self.saga.run(step, &mut after).await?;
                if outcome != Outcome::Done || when == When::After {
                    *state = after;
                }
                if outcome != Outcome::Done {
                    return Ok(outcome);
                }
            }
            return Err(Failure::permanent("internal", "failed on purpose"));
        }
        match self.fault {
            Fault::Repeat { step: at, undoing: false } if at == step => {
                self.saga.run(step, &mut state.clone()).await.ok();
            }
            Fault::Drop { step: at, awaits, undoing: false } if at == step && self.fire() => {
                let mut lost = state.clone();
                let ended = dropped_at(awaits, self.saga.run(step, &mut lost)).await;
                self.ran_to_end.store(ended, Ordering::SeqCst);
                return Err(Failure::transient("dropped on purpose"));
            }
            _ => {}
        }
        self.saga.run(step, state).await
    }

    async fn undo(&self, step: usize, state: &mut S::State) -> Result<(), Failure> {
        match self.fault {
            Fault::UndoFail { step: at, when } if at == step && self.fire() => {
                let mut after = state.clone();
                if when != When::Before {
                    self.saga.undo(step, &mut after).await?;
                }
                if when == When::After {
                    *state = after;
                }
                return Err(Failure::transient("failed on purpose"));
            }
            Fault::Repeat { step: at, undoing: true } if at == step => {
                self.saga.undo(step, &mut state.clone()).await.ok();
            }
            Fault::Drop { step: at, awaits, undoing: true } if at == step && self.fire() => {
                let mut lost = state.clone();
                let ended = dropped_at(awaits, self.saga.undo(step, &mut lost)).await;
                self.ran_to_end.store(ended, Ordering::SeqCst);
                return Err(Failure::transient("dropped on purpose"));
            }
            _ => {}
        }
        self.saga.undo(step, state).await
    }

    fn failed(state: &mut S::State, problem: &Problem) {
        S::failed(state, problem);
    }
}

/// Drops the work the n-th time it waits; true when it ended before.
pub(crate) async fn dropped_at(awaits: u32, work: impl Future) -> bool {
    let mut work = pin!(work);
    let mut left = awaits;
    poll_fn(|context| {
        if work.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        left = left.saturating_sub(1);
        if left == 0 { Poll::Ready(false) } else { Poll::Pending }
    })
    .await
}
