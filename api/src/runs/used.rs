//! What a variant took while a run was sent to it.

use serde::{Deserialize, Serialize};

/// What a variant took, as far as its answers, or the gateway, tell; what is not known is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VariantUsed {
    /// How many requests it worked on at a time, on average over the run, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_milli: Option<u64>,
    /// The same of the busiest stretch, which is an eighth of a second or as long as the course tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_most_milli: Option<u64>,
    /// Instances that were ready when this was told; of a pipeline, of the stage with the fewest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u64>,
    /// Requests that had to wait for the start of an instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_starts: Option<u64>,
    /// How long such a start took, on average, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_start_us: Option<u64>,
    /// Time of processors of a model's instances while the run lasted, whoever asked them, in
    /// microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processors_us: Option<u64>,
    /// Time of processors for a request, on average, in microseconds. Of a model it is that of its
    /// instances by the run's requests, where nobody else asked them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Requests of which that is known: a host asks for it now and then, since asking costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_measured: Option<u64>,
    /// Processors in use on average, in thousandths; of a function if all requests took as much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_milli: Option<u64>,
    /// The most memory that an instance had, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}
