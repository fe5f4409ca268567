//! The registry: every saga of the process, by kind, with its state as JSON.
//!
//! Always true: one saga per kind; a panic in a step is that step's failure.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Deserialize as _;
use serde_json::Value;

use super::record::Problem;
use super::{Failure, Limits, Outcome, Saga};
use crate::tasks::panic_text;

/// A saga whose state type is forgotten.
pub(super) trait Erased: Send + Sync {
    fn steps(&self) -> &'static [&'static str];
    fn limits(&self) -> Limits;
    /// Runs a step; the state that comes back is what to store.
    fn run(&self, step: usize, state: Value) -> BoxFuture<'_, (Value, Result<Outcome, Failure>)>;
    fn undo(
        &self,
        step: usize,
        state: Value,
        problem: Option<Problem>,
    ) -> BoxFuture<'_, (Value, Result<(), Failure>)>;
}

impl<S: Saga> Erased for S {
    fn steps(&self) -> &'static [&'static str] {
        S::steps()
    }

    fn limits(&self) -> Limits {
        S::limits()
    }

    fn run(&self, step: usize, stored: Value) -> BoxFuture<'_, (Value, Result<Outcome, Failure>)> {
        async move {
            let mut state = match read::<S>(&stored) {
                Ok(state) => state,
                Err(failure) => return (stored, Err(failure)),
            };
            let work = AssertUnwindSafe(Saga::run(self, step, &mut state)).catch_unwind();
            match work.await {
                Ok(result) => write::<S, _>(stored, &state, result),
                Err(panic) => (stored, Err(panicked(&*panic))),
            }
        }
        .boxed()
    }

    fn undo(
        &self,
        step: usize,
        stored: Value,
        problem: Option<Problem>,
    ) -> BoxFuture<'_, (Value, Result<(), Failure>)> {
        async move {
            let mut state = match read::<S>(&stored) {
                Ok(state) => state,
                Err(failure) => return (stored, Err(failure)),
            };
            let work = async {
                if let Some(problem) = problem {
                    S::failed(&mut state, &problem);
                }
                Saga::undo(self, step, &mut state).await
            };
            match AssertUnwindSafe(work).catch_unwind().await {
                Ok(result) => write::<S, _>(stored, &state, result),
                Err(panic) => (stored, Err(panicked(&*panic))),
            }
        }
        .boxed()
    }
}

fn read<S: Saga>(stored: &Value) -> Result<S::State, Failure> {
    S::State::deserialize(stored).map_err(|error| {
        let message = format!("the stored state of saga {} cannot be read: {error}", S::KIND);
        Failure::Permanent { code: "internal", message }
    })
}

fn write<S: Saga, T>(
    stored: Value,
    state: &S::State,
    result: Result<T, Failure>,
) -> (Value, Result<T, Failure>) {
    match serde_json::to_value(state) {
        Ok(value) => (value, result),
        Err(error) => {
            let message = format!("the state of saga {} cannot be stored: {error}", S::KIND);
            (stored, Err(Failure::Permanent { code: "internal", message }))
        }
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    Failure::transient(format!("the step panicked: {}", panic_text(panic)))
}

/// Every saga of the process, by kind.
#[derive(Clone, Default)]
pub struct Registry {
    sagas: BTreeMap<&'static str, Arc<dyn Erased>>,
}

impl Registry {
    /// No sagas yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a saga.
    ///
    /// # Panics
    ///
    /// When its kind is taken or it has no step: a mistake in the program, found at its start.
    #[must_use]
    pub fn with<S: Saga>(mut self, saga: S) -> Self {
        assert!(!S::steps().is_empty(), "saga {} has no step", S::KIND);
        let before = self.sagas.insert(S::KIND, Arc::new(saga));
        assert!(before.is_none(), "two sagas of kind {}", S::KIND);
        self
    }

    /// The kinds, in order.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.sagas.keys().copied()
    }

    /// The names of the steps of a kind, in order.
    pub fn steps(&self, kind: &str) -> Option<&'static [&'static str]> {
        self.sagas.get(kind).map(|saga| saga.steps())
    }

    pub(super) fn get(&self, kind: &str) -> Option<&Arc<dyn Erased>> {
        self.sagas.get(kind)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kinds()).finish()
    }
}
