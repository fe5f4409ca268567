//! Work that goes on: the clock, named tasks and their orderly stop, sagas, reconcilers.
//!
//! Always true: time and chance come from [`Clock`], so a test owns both; every task has a name
//! and an end; whatever a crash interrupts is finished by the next activation.
//! Absent on purpose: what the work is about, and where records are stored (see [`saga::Log`]).
#![forbid(unsafe_code)]

pub mod clock;
pub mod reconciler;
pub mod saga;
pub mod tasks;

pub use clock::{Clock, Elapsed, ManualHandle};
pub use futures::future::BoxFuture;
pub use reconciler::{Activator, Reconciler, Status};
pub use tasks::{Leftover, Tasks};
pub use tokio_util::sync::CancellationToken;

/// An error and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        line = format!("{line}: {inner}");
        cause = inner.source();
    }
    line
}
