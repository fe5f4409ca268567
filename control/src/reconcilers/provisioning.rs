//! Has hosts keep as many instances warm as owners want: after a wish or an alias has changed, a
//! host was lost or has come, and once what replaces others is there.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use workflow::reconciler::{Reconciler, Status};

use crate::Control;
use crate::operations::functions::provisioned::carry_out;

/// What others wake it by.
pub const NAME: &str = "provisioning";

/// Places what is provisioned.
#[derive(Debug)]
pub struct Provisioning {
    control: Control,
}

impl Provisioning {
    /// For this control plane.
    pub fn new(control: Control) -> Self {
        Self { control }
    }
}

impl Reconciler for Provisioning {
    fn name(&self) -> &'static str {
        NAME
    }

    /// As often as it is looked for hosts that are lost.
    fn period_ms(&self) -> u64 {
        3_000
    }

    fn activate(&self) -> BoxFuture<'_, Status> {
        async {
            match carry_out(&self.control).await {
                Ok(steps_done) => Status { steps_done, ..Status::default() },
                Err(error) => Status::failed(workflow::chain(&error)),
            }
        }
        .boxed()
    }
}
