//! Has functions run at the times of their schedules.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use workflow::reconciler::{Reconciler, Status};

use crate::Control;
use crate::operations::functions::schedules::make_due;

/// Makes the runs that are due.
#[derive(Debug)]
pub struct Schedules {
    control: Control,
}

impl Schedules {
    /// For this control plane.
    pub fn new(control: Control) -> Self {
        Self { control }
    }
}

impl Reconciler for Schedules {
    fn name(&self) -> &'static str {
        "schedules"
    }

    /// A schedule's finest unit is a minute; a run is late by no more than this.
    fn period_ms(&self) -> u64 {
        1_000
    }

    fn activate(&self) -> BoxFuture<'_, Status> {
        async {
            match make_due(&self.control).await {
                Ok(steps_done) => Status { steps_done, ..Status::default() },
                Err(error) => Status::failed(workflow::chain(&error)),
            }
        }
        .boxed()
    }
}
