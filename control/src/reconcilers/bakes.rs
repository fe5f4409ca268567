//! Watches candidates that bake: takes one back when the evidence says so, and promotes it or takes
//! it back when its time is over.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use workflow::reconciler::{Reconciler, Status};

use crate::Control;
use crate::operations::endpoints::bakes::watch;

/// Watches bakes.
#[derive(Debug)]
pub struct Bakes {
    control: Control,
}

impl Bakes {
    /// For this control plane.
    pub fn new(control: Control) -> Self {
        Self { control }
    }
}

impl Reconciler for Bakes {
    fn name(&self) -> &'static str {
        "bakes"
    }

    /// As often as gateways tell what they counted.
    fn period_ms(&self) -> u64 {
        1_000
    }

    fn activate(&self) -> BoxFuture<'_, Status> {
        watch(&self.control).boxed()
    }
}
