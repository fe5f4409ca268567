//! Ends the runs of gateways that tell nothing of them any more.
//!
//! A gateway that comes back in time goes on with what it had begun; one that comes too late is told
//! that the run is over.
//!
//! Always true: a run counts as lost only after control could have heard of it all that time.

use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use store::runs::runs_lose;
use workflow::reconciler::{Reconciler, Status};

use crate::{Control, Error};

/// How long a gateway may tell nothing of a run that it sends, of which it tells every second: a
/// machine is started anew within it.
pub(crate) const RUN_LOST_MS: u64 = 15 * 60_000;
/// Why such a run ends.
const LOST: &str = "the gateway that sent it was not heard of for 15 minutes: replay again, once it \
                    runs or its stream is elsewhere";

/// Ends lost runs.
#[derive(Debug)]
pub struct LostRuns {
    control: Control,
}

impl LostRuns {
    /// For this control plane.
    pub fn new(control: Control) -> Self {
        Self { control }
    }

    async fn close(&self) -> Result<Status, Error> {
        let shared = &self.control.shared;
        let now_ms = self.control.now_ms();
        let silent_since_ms = now_ms.saturating_sub(RUN_LOST_MS);
        if shared.hears_since_ms.load(Ordering::Relaxed) > silent_since_ms {
            return Ok(Status::default());
        }
        let lose = shared.store.transact("lose runs", |tx| {
            Box::pin(async move { runs_lose(tx, silent_since_ms, LOST, now_ms).await })
        });
        Ok(Status { steps_done: lose.await?, ..Status::default() })
    }
}

impl Reconciler for LostRuns {
    fn name(&self) -> &'static str {
        "runs"
    }

    fn period_ms(&self) -> u64 {
        60_000
    }

    fn activate(&self) -> BoxFuture<'_, Status> {
        async { self.close().await.unwrap_or_else(|error| Status::failed(workflow::chain(&error))) }
            .boxed()
    }
}
