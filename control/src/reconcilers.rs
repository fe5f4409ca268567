//! Reconcilers: what should simply become true.
//!
//! Always true: every reconciler is in [`registry`]; a second activation at rest does nothing.

pub mod bakes;
pub mod endpoints;
pub mod garbage;
pub mod hosts;
pub mod keys;
pub mod provisioning;
pub mod runs;
pub mod schedules;
pub mod triggers;
pub mod trimming;

use std::sync::Arc;

use workflow::reconciler::Reconciler;

use crate::Control;

/// Every reconciler.
pub fn registry(control: &Control) -> Vec<Arc<dyn Reconciler>> {
    vec![
        Arc::new(hosts::LostHosts::new(control.clone())),
        Arc::new(endpoints::Endpoints::new(control.clone())),
        Arc::new(bakes::Bakes::new(control.clone())),
        Arc::new(triggers::Triggers::new(control.clone())),
        Arc::new(runs::LostRuns::new(control.clone())),
        Arc::new(garbage::Garbage::new(control.clone())),
        Arc::new(keys::Keys::new(control.clone())),
        Arc::new(provisioning::Provisioning::new(control.clone())),
        Arc::new(schedules::Schedules::new(control.clone())),
        Arc::new(trimming::Trimming::new(control.clone())),
    ]
}
