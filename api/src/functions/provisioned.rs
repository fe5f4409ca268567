//! Provisioned concurrency: instances of a version or an alias that are kept warm at all times.
//!
//! Paths: `GET /v1/functions/{name}/provisioned`,
//! `GET|PUT|DELETE /v1/functions/{name}/provisioned/{qualifier}`.

use serde::{Deserialize, Serialize};

/// How many instances are to be kept warm, as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvisionedSettings {
    /// An alias that divides its calls divides them too.
    #[schema(minimum = 1, maximum = 1000)]
    pub instances: u32,
}

/// How many are wanted, and how many hosts have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProvisionedConcurrency {
    /// A version's number, or an alias.
    pub qualifier: String,
    pub settings: ProvisionedSettings,
    /// Instances that hosts have or are starting.
    pub allocated: u32,
    /// Instances that wait for calls or run them.
    pub available: u32,
    pub status: ProvisionedStatus,
    /// Why hosts have fewer, where they cannot have more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub changed_at_ms: u64,
}

/// Where provisioned concurrency stands, by what hosts report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProvisionedStatus {
    /// Instances are being started.
    InProgress,
    /// All are there.
    Ready,
    /// Some are not, and hosts say why; they go on trying.
    Failed,
}
