//! Watches triggers: judges what variants answered lately and what replays came to, and does what is
//! to be done; and asks gates about replays, where that could not be done at their end.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use workflow::reconciler::{Reconciler, Status};

use crate::Control;
use crate::operations::endpoints::{gates, triggers};

/// Watches triggers.
#[derive(Debug)]
pub struct Triggers {
    control: Control,
}

impl Triggers {
    /// For this control plane.
    pub fn new(control: Control) -> Self {
        Self { control }
    }
}

impl Reconciler for Triggers {
    fn name(&self) -> &'static str {
        "triggers"
    }

    /// As often as gateways tell what they counted.
    fn period_ms(&self) -> u64 {
        1_000
    }

    fn activate(&self) -> BoxFuture<'_, Status> {
        async {
            let mut status = gates::overdue(&self.control).await;
            let watched = triggers::watch(&self.control).await;
            status.steps_done += watched.steps_done;
            status.failures.extend(watched.failures);
            status
        }
        .boxed()
    }
}
