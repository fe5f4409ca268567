//! The laws of a reconciler, tried on a world that a test makes afresh for every trial.
//!
//! A trial lets one act on the world fail, or drops one activation at one of its awaits, and then
//! lets the reconciler run undisturbed.
//!
//! Always true: within a few activations it comes to rest; at rest it changes nothing and reports
//! no failure; the test's own check of the world holds there.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::Reconciler;
use crate::saga::laws::dropped_at;

/// Most activations until a reconciler rests.
const ACTIVATIONS_MAX: u32 = 50;
/// Most acts that are made to fail, and most awaits at which an activation is dropped.
const FAULTS_MAX: u32 = 40;

/// A reconciler in a world of its own.
pub struct Trial {
    reconciler: Arc<dyn Reconciler>,
    fail: Option<Fail>,
    check: Check,
}

type Fail = Box<dyn Fn(u32) -> bool + Send + Sync>;
type Check = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// A law that a reconciler broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reconciler {name}, when {fault}: {message}")]
pub struct Broken {
    /// The reconciler.
    pub name: &'static str,
    /// What was put in its way.
    pub fault: String,
    /// What then went wrong.
    pub message: String,
}

impl Trial {
    /// A trial whose acts cannot be made to fail, and whose end is not checked.
    pub fn new(reconciler: Arc<dyn Reconciler>) -> Self {
        Self { reconciler, fail: None, check: Box::new(|| async { Ok(()) }.boxed()) }
    }

    /// How to make the n-th act on the world, counted from 1 and from now, fail once. Called
    /// before the first activation; called again after the last with 0, it tells whether that act
    /// was reached.
    #[must_use]
    pub fn failing(mut self, fail: impl Fn(u32) -> bool + Send + Sync + 'static) -> Self {
        self.fail = Some(Box::new(fail));
        self
    }

    /// Checks the world at rest.
    #[must_use]
    pub fn at_rest(
        mut self,
        check: impl Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    ) -> Self {
        self.check = Box::new(check);
        self
    }

    async fn rest(&self) -> Result<(), String> {
        for _ in 0..ACTIVATIONS_MAX {
            let status = self.reconciler.activate().await;
            if status.steps_done == 0 && status.failures.is_empty() {
                return self.still().await;
            }
        }
        Err(format!("did not rest within {ACTIVATIONS_MAX} activations"))
    }

    async fn still(&self) -> Result<(), String> {
        (self.check)().await?;
        let status = self.reconciler.activate().await;
        if status.steps_done > 0 || !status.failures.is_empty() {
            return Err(format!("did not stay at rest: {status:?}"));
        }
        (self.check)().await
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial").field("name", &self.reconciler.name()).finish_non_exhaustive()
    }
}

/// Fails each act and drops the first activation at each await, one per trial; `fresh` makes a
/// new world each time. Returns the number of trials.
///
/// # Errors
///
/// The first law broken.
pub async fn uphold<F, Fut>(fresh: F) -> Result<u32, Broken>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Trial>,
{
    let trial = fresh().await;
    judge(&trial, "nothing fails", trial.rest().await)?;
    let mut trials = 1;
    for act in 1..=FAULTS_MAX {
        let trial = fresh().await;
        let Some(fail) = &trial.fail else { break };
        fail(act);
        trials += 1;
        judge(&trial, &format!("act {act} fails once"), trial.rest().await)?;
        if !fail(0) {
            break;
        }
    }
    for awaits in 1..=FAULTS_MAX {
        let trial = fresh().await;
        let ended = dropped_at(awaits, trial.reconciler.activate()).await;
        trials += 1;
        judge(&trial, &format!("dropped at await {awaits}"), trial.rest().await)?;
        if ended {
            break;
        }
    }
    Ok(trials)
}

/// Like [`uphold`], for tests that want the panic.
///
/// # Panics
///
/// With the first law broken.
pub async fn assert_upheld<F, Fut>(fresh: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Trial>,
{
    if let Err(broken) = uphold(fresh).await {
        panic!("{broken}");
    }
}

fn judge(trial: &Trial, fault: &str, verdict: Result<(), String>) -> Result<(), Broken> {
    verdict.map_err(|message| Broken {
        name: trial.reconciler.name(),
        fault: fault.to_owned(),
        message,
    })
}

#[cfg(test)]
mod tests;
