//! Forgets what nobody needs any more: old answers, ended instances and sagas, taken enrolments.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use store::Topic;
use store::enrolments::enrolments_trim;
use store::feeds::changes_trim;
use store::functions::events::events_trim;
use store::functions::revisions_trim;
use store::idempotency::idempotency_trim;
use store::instances::instances_prune;
use store::runs::runs_prune;
use store::sagas::sagas_prune;
use store::streams::streams_removed_trim;
use store::usage::usage_trim;
use workflow::reconciler::{Reconciler, Status};

use crate::operations::endpoints::triggers::{right, seen};
use crate::{Control, Error};

const DAY_MS: u64 = 86_400_000;
/// How long answers of creating calls are kept for their repetition.
const ANSWERS_MS: u64 = DAY_MS;
/// How long ended instances and sagas can be looked at.
const ENDED_MS: u64 = 7 * DAY_MS;
/// How long a replaced revision of a function can still be fetched: gateways and agents that have
/// not heard of the next one yet run it.
const REPLACED_MS: u64 = DAY_MS;
/// How long an event that was given up can be looked at and run again. Source: what queues of AWS
/// keep at most.
const DEAD_MS: u64 = 14 * DAY_MS;
/// How long it can be looked up what a replay came to: a year, by which models are compared. Its
/// records go before, at the gateway that has them.
const RUNS_MS: u64 = 366 * DAY_MS;
/// How long gateways are told of a removed stream: longer than one is away and comes back.
const REMOVED_MS: u64 = 30 * DAY_MS;
/// Changes of items that a follower may be behind; beyond it takes a snapshot.
const CHANGES_KEPT: u32 = 10_000;

/// Forgets what is old.
#[derive(Debug)]
pub struct Trimming {
    control: Control,
}

impl Trimming {
    /// For this control plane.
    pub fn new(control: Control) -> Self {
        Self { control }
    }

    async fn close(&self) -> Result<Status, Error> {
        let now_ms = self.control.now_ms();
        let forgotten = self
            .control
            .shared
            .store
            .transact("forget what is old", |tx| {
                Box::pin(async move {
                    let ended_ms = now_ms.saturating_sub(ENDED_MS);
                    let mut rows = idempotency_trim(tx, now_ms.saturating_sub(ANSWERS_MS)).await?;
                    rows += instances_prune(tx, ended_ms).await?;
                    rows += sagas_prune(tx, ended_ms).await?;
                    rows += revisions_trim(tx, now_ms.saturating_sub(REPLACED_MS)).await?;
                    rows += events_trim(tx, now_ms.saturating_sub(DEAD_MS)).await?;
                    rows += runs_prune(tx, now_ms.saturating_sub(RUNS_MS)).await?;
                    rows += streams_removed_trim(tx, now_ms.saturating_sub(REMOVED_MS)).await?;
                    rows += seen::trim(tx, now_ms).await?;
                    rows += right::trim(tx, now_ms).await?;
                    rows += usage_trim(tx, ended_ms).await?;
                    rows += enrolments_trim(tx, ended_ms).await?;
                    rows += changes_trim(tx, Topic::Items, CHANGES_KEPT).await?;
                    Ok::<_, store::Error>(rows)
                })
            })
            .await?;
        Ok(Status { steps_done: forgotten, ..Status::default() })
    }
}

impl Reconciler for Trimming {
    fn name(&self) -> &'static str {
        "trimming"
    }

    fn period_ms(&self) -> u64 {
        30 * 60_000
    }

    fn activate(&self) -> BoxFuture<'_, Status> {
        async { self.close().await.unwrap_or_else(|error| Status::failed(workflow::chain(&error))) }
            .boxed()
    }
}
