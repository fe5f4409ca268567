//! Watches triggers: judges what variants answered lately and what replays came to, and does what is
//! to be done.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use workflow::reconciler::{Reconciler, Status};

use crate::Control;
use crate::operations::endpoints::triggers::watch;

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
        watch(&self.control).boxed()
    }
}
