//! Tasks: everything that runs beside a request has a name and an end.
//!
//! Always true: a task is listed from its start to its end; after [`Tasks::stop`] none of them
//! runs; a panic is logged with the name of its task.
//! Absent on purpose: restarting. What must go on is a loop in a saga or reconciler driver.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// How long an aborted task may take to notice, in milliseconds; it notices at its next await.
const ABORT_MS_MAX: u64 = 1_000;

/// The tasks of one process or one test. Cheap to clone; clones share the tasks.
#[derive(Clone, Default)]
pub struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stopping: CancellationToken,
    list: Mutex<List>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct List {
    last_number: u64,
    running: BTreeMap<u64, Entry>,
}

struct Entry {
    name: &'static str,
    /// None for the moment between listing the task and starting it.
    abort: Option<AbortHandle>,
}

/// A task that had not ended when the grace was over, and was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leftover {
    /// The name it was spawned with.
    pub name: &'static str,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. Its name stands in logs, in [`Tasks::running`], and in the list of those
    /// that did not end in time.
    ///
    /// Dropping the handle leaves the task running. Panics outside a Tokio runtime.
    pub fn spawn<F>(&self, name: &'static str, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let number = self.enter(name);
        let listed = Listed { shared: Arc::clone(&self.shared), number };
        let work = async move {
            let _listed = listed;
            match AssertUnwindSafe(work).catch_unwind().await {
                Ok(output) => output,
                Err(panic) => {
                    tracing::error!(task = name, panic = panic_text(&*panic), "task panicked");
                    resume_unwind(panic)
                }
            }
        };
        #[expect(clippy::disallowed_methods, reason = "the one place that starts tasks")]
        let handle = tokio::spawn(work.instrument(tracing::info_span!("task", name)));
        if let Some(entry) = self.shared.list.lock().running.get_mut(&number) {
            entry.abort = Some(handle.abort_handle());
        }
        handle
    }

    /// Cancelled when the stop begins. A task that loops watches it, finishes what it has
    /// accepted, and ends.
    pub fn stopping(&self) -> CancellationToken {
        self.shared.stopping.clone()
    }

    /// The names of the tasks that run now, and how many of each.
    pub fn running(&self) -> BTreeMap<&'static str, usize> {
        let mut names = BTreeMap::new();
        for entry in self.shared.list.lock().running.values() {
            *names.entry(entry.name).or_default() += 1;
        }
        names
    }

    /// Stops: cancels [`Tasks::stopping`], waits up to `grace_ms` milliseconds of real time for
    /// the tasks to end, aborts the others, and names them in order.
    ///
    /// A task that calls this waits for itself; only the outside may stop. May be called again.
    pub async fn stop(&self, grace_ms: u64) -> Vec<Leftover> {
        self.shared.stopping.cancel();
        if self.empty_within(grace_ms).await {
            return Vec::new();
        }
        let mut left = Vec::new();
        let mut aborts = Vec::new();
        for entry in self.shared.list.lock().running.values() {
            left.push(Leftover { name: entry.name });
            aborts.extend(entry.abort.clone());
        }
        for abort in aborts {
            abort.abort();
        }
        left.sort();
        let gone = self.empty_within(ABORT_MS_MAX).await;
        if !left.is_empty() {
            tracing::warn!(tasks = ?left, grace_ms, gone, "tasks aborted after their grace");
        }
        left
    }

    async fn empty_within(&self, ms: u64) -> bool {
        let mut count = self.shared.count.subscribe();
        let empty = count.wait_for(|count| *count == 0);
        tokio::time::timeout(Duration::from_millis(ms), empty).await.is_ok()
    }

    fn enter(&self, name: &'static str) -> u64 {
        let mut list = self.shared.list.lock();
        list.last_number += 1;
        let number = list.last_number;
        list.running.insert(number, Entry { name, abort: None });
        self.shared.count.send_replace(list.running.len());
        number
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("running", &self.running()).finish()
    }
}

/// A task's place in the list, given up when the task ends, panics or is aborted.
struct Listed {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut list = self.shared.list.lock();
        list.running.remove(&self.number);
        self.shared.count.send_replace(list.running.len());
    }
}

/// The text of a panic, where it has one.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

#[cfg(test)]
mod tests;
