//! What gateways ask of agents about instances of models: over an agent's functions socket, its data
//! port, or directly where both are in one process.
//!
//! Always true: an instance is named with its generation, so that another one is never meant.

use serde::{Deserialize, Serialize};
use types::{InstanceId, RunId};

/// Most instances that are asked about at once: eight variants of a run, of as many stages.
pub const INSTANCES_ASKED_MAX: usize = 1_024;

/// Has an instance ended at once, as by a crash: `POST /instances/{instance}/drill`; answered by
/// [`InstanceUsed`] once nothing of it is left: what it had used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    pub generation: u64,
    /// The run that it is a drill of.
    pub run: RunId,
}

/// Asks what instances use: `POST /instances/used`; answered by [`InstancesUsed`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstancesAsked {
    /// With their generations; at most [`INSTANCES_ASKED_MAX`].
    pub instances: Vec<(InstanceId, u64)>,
}

/// What instances use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstancesUsed {
    /// Of those that serve here.
    pub instances: Vec<InstanceUsed>,
}

/// What an instance uses, as far as its host tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceUsed {
    pub instance: InstanceId,
    pub generation: u64,
    /// Time of processors since it began, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Memory now, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The most since it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
}
