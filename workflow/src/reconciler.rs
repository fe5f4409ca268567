//! Reconcilers: each closes the gap between a wanted and an actual state, over and over.
//!
//! The driver activates each by its own timer and whenever somebody wakes it by name, and keeps
//! the last status of each for the task page.
//!
//! Always true: one activation of a reconciler runs at a time in a process; a panic ends the
//! activation, not the reconciler; a wake during an activation causes another one after it.
//! Absent on purpose: retries. The next activation is the retry.

pub mod laws;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

use crate::tasks::panic_text;
use crate::{Clock, Tasks, chain};

/// Closes one gap. Takes no input, keeps no memory, does not retry, and reports.
pub trait Reconciler: Send + Sync + 'static {
    /// Its name: how it is woken, logged and shown.
    fn name(&self) -> &'static str;

    /// How often it runs when nobody wakes it, in milliseconds.
    fn period_ms(&self) -> u64;

    /// Closes the gap as far as the world lets it.
    fn activate(&self) -> BoxFuture<'_, Status>;
}

/// What one activation did, shown as it is on the task page.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// Steps that changed something. Zero when there was no gap, so that tests know the rest.
    pub steps_done: u64,
    /// What did not work, one line each.
    pub failures: Vec<String>,
    /// More to show; null where there is none.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}

impl Status {
    /// One activation that could do nothing because of this failure.
    pub fn failed(failure: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { failures: vec![chain(&*failure.into())], ..Self::default() }
    }

    /// Counts a step that worked, or notes one that failed.
    pub fn note<T, E>(&mut self, result: Result<T, E>) -> Option<T>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match result {
            Ok(value) => {
                self.steps_done += 1;
                Some(value)
            }
            Err(error) => {
                self.failures.push(chain(&*error.into()));
                None
            }
        }
    }
}

/// The last activation of one reconciler.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The reconciler.
    pub name: &'static str,
    /// How often it runs by itself, in milliseconds.
    pub period_ms: u64,
    /// How often it has run in this process.
    pub activations: u64,
    /// When its last activation began, in Unix milliseconds; none before the first.
    pub activated_at_ms: Option<u64>,
    /// How long its last activation took, in microseconds.
    pub took_us: u64,
    /// What its last activation did.
    pub status: Status,
}

/// Wakes reconcilers by name. Cheap to clone; may be handed out before the driver exists.
#[derive(Clone, Debug, Default)]
pub struct Activator {
    bells: Arc<Mutex<BTreeMap<&'static str, Arc<Notify>>>>,
}

impl Activator {
    /// An activator that no driver listens to yet. Its wakes are kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the reconciler of this name run soon. Many wakes before it runs are one.
    pub fn wake(&self, name: &'static str) {
        self.bell(name).notify_one();
    }

    fn bell(&self, name: &'static str) -> Arc<Notify> {
        Arc::clone(self.bells.lock().entry(name).or_default())
    }
}

/// Activates reconcilers. Cheap to clone; clones are the same driver.
#[derive(Clone)]
pub struct Driver {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    activator: Activator,
    posts: Vec<Post>,
}

/// One reconciler and what is known of it.
struct Post {
    reconciler: Arc<dyn Reconciler>,
    /// Held through an activation.
    turn: tokio::sync::Mutex<()>,
    report: Mutex<Report>,
}

impl Driver {
    /// A driver at rest; [`Driver::run`] or [`Driver::activate`] moves it.
    ///
    /// # Panics
    ///
    /// When two reconcilers share a name: a mistake in the program, found at its start.
    pub fn new(clock: Clock, activator: Activator, reconcilers: Vec<Arc<dyn Reconciler>>) -> Self {
        let mut names = std::collections::BTreeSet::new();
        for one in &reconcilers {
            assert!(names.insert(one.name()), "two reconcilers named {}", one.name());
        }
        let posts = reconcilers.into_iter().map(Post::new).collect();
        Self { shared: Arc::new(Shared { clock, activator, posts }) }
    }

    /// Starts a task per reconciler: each runs at once, then by timer or wake, until the tasks
    /// stop. An activation that is running then may finish.
    pub fn run(&self, tasks: &Tasks) {
        for index in 0..self.shared.posts.len() {
            let name = self.shared.posts[index].reconciler.name();
            tasks.spawn(name, self.clone().work(index, tasks.clone()));
        }
    }

    /// The activator that wakes these reconcilers.
    pub fn activator(&self) -> Activator {
        self.shared.activator.clone()
    }

    /// The names, in the order given to [`Driver::new`].
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.shared.posts.iter().map(|post| post.reconciler.name())
    }

    /// Runs the reconciler of this name now, after its running activation; none when there is no
    /// such reconciler.
    pub async fn activate(&self, name: &str) -> Option<Status> {
        let post = self.shared.posts.iter().find(|post| post.reconciler.name() == name)?;
        Some(post.activate(&self.shared.clock).await)
    }

    /// Runs every reconciler in order, round after round, until a whole round changes nothing;
    /// true then, false when `rounds_max` rounds were not enough. For tests.
    pub async fn settle(&self, rounds_max: u32) -> bool {
        for _ in 0..rounds_max {
            let mut steps_done = 0;
            for post in &self.shared.posts {
                steps_done += post.activate(&self.shared.clock).await.steps_done;
            }
            if steps_done == 0 {
                return true;
            }
        }
        false
    }

    /// The last activation of each, in the order given to [`Driver::new`].
    pub fn reports(&self) -> Vec<Report> {
        self.shared.posts.iter().map(|post| post.report.lock().clone()).collect()
    }

    async fn work(self, index: usize, tasks: Tasks) {
        let stopping = tasks.stopping();
        let post = &self.shared.posts[index];
        let bell = self.shared.activator.bell(post.reconciler.name());
        while !stopping.is_cancelled() {
            post.activate(&self.shared.clock).await;
            tokio::select! {
                () = stopping.cancelled() => {}
                () = bell.notified() => {}
                () = self.shared.clock.sleep_ms(post.reconciler.period_ms().max(1)) => {}
            }
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Post {
    fn new(reconciler: Arc<dyn Reconciler>) -> Self {
        let report = Report {
            name: reconciler.name(),
            period_ms: reconciler.period_ms(),
            activations: 0,
            activated_at_ms: None,
            took_us: 0,
            status: Status::default(),
        };
        Self { reconciler, turn: tokio::sync::Mutex::default(), report: Mutex::new(report) }
    }

    async fn activate(&self, clock: &Clock) -> Status {
        let _turn = self.turn.lock().await;
        let (started_at_ms, started_us) = (clock.now_ms(), clock.now_us());
        // The call itself may panic, before there is a future.
        let work = AssertUnwindSafe(async { self.reconciler.activate().await }).catch_unwind();
        let status = work.await.unwrap_or_else(|panic| {
            let text = panic_text(&*panic);
            tracing::error!(reconciler = self.reconciler.name(), panic = text, "panicked");
            Status::failed(format!("panicked: {text}"))
        });
        let mut report = self.report.lock();
        if report.status.failures != status.failures {
            tell(self.reconciler.name(), &status);
        }
        report.activations += 1;
        report.activated_at_ms = Some(started_at_ms);
        report.took_us = clock.now_us().saturating_sub(started_us);
        report.status = status.clone();
        status
    }
}

/// Logs failures when they change, so that a lasting one is one line.
fn tell(reconciler: &'static str, status: &Status) {
    if status.failures.is_empty() {
        tracing::info!(reconciler, "failures are over");
    } else {
        tracing::warn!(reconciler, failures = ?status.failures, "could not close the gap");
    }
}

#[cfg(test)]
mod tests;
