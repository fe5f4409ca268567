//! The signals that ask for an orderly stop.

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Failure;

/// Waits for SIGINT or SIGTERM.
pub(super) async fn wait() -> Result<(), Failure> {
    let refused = |error| Failure::internal("could not wait for signals", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
