//! Sealing by and by: what the log's full files have, and what has lain in the log for an hour.
//!
//! Always true: a stream that nobody holds is not kept open by this; a sealing that fails is told,
//! and tried again later. Absent on purpose: how to seal.

use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, watch};
use workflow::{CancellationToken, Clock};

use super::{Ask, Shared, blocking, roll};
use crate::error::Error;
use crate::log;

/// For how long events lie in the log at most before they are sealed, while their file is not full.
const LOG_AGE_US_MAX: u64 = 3_600_000_000;
/// How often it is looked at how old they are, in milliseconds.
const LOOK_MS: u64 = 60_000;

/// Who seals.
pub(super) struct Keeper {
    shared: Weak<Shared>,
    asks: mpsc::WeakSender<Ask>,
    begun: watch::Receiver<u64>,
}

impl Keeper {
    pub(super) fn new(
        shared: &Arc<Shared>,
        asks: mpsc::WeakSender<Ask>,
        begun: watch::Receiver<u64>,
    ) -> Self {
        Self { shared: Arc::downgrade(shared), asks, begun }
    }

    /// Seals until nobody holds the stream, or all is to stop.
    pub(super) async fn run(mut self, clock: Clock, stopping: CancellationToken) {
        loop {
            match self.seal(&clock).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "events were not sealed: they stay in the log");
                }
            }
            tokio::select! {
                changed = self.begun.changed() => if changed.is_err() { return },
                () = clock.sleep_ms(LOOK_MS) => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    /// Seals once; false where nobody holds the stream any more.
    async fn seal(&self, clock: &Clock) -> Result<bool, Error> {
        let Some(shared) = self.shared.upgrade() else { return Ok(false) };
        let now_us = clock.now_us();
        let look = Arc::clone(&shared);
        let is_old = blocking(move || {
            let last = log::parts(&look.folder.path)?.pop();
            let key = look.folder.key.as_ref();
            let first_us = last.map_or(Ok(None), |part| log::first_us(&part, key))?;
            Ok(first_us.is_some_and(|at_us| now_us.saturating_sub(at_us) > LOG_AGE_US_MAX))
        });
        if is_old.await? {
            let Some(asks) = self.asks.upgrade() else { return Ok(false) };
            roll(&asks).await?;
        }
        let sealed = blocking(move || shared.segments.seal()).await?;
        if sealed.events > 0 {
            tracing::info!(
                events = sealed.events,
                segments = sealed.segments,
                "events were sealed"
            );
        }
        Ok(true)
    }
}
