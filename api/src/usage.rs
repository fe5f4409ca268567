//! Usage of functions: `GET /v1/usage`, what the account's calls came to, and `GET /v1/sold-usage`,
//! what others' calls of its functions did.
//!
//! Always true: an owner learns counts, durations and failures by grant, and never who called, by
//! which name, or what.

use serde::{Deserialize, Serialize};

use types::{FunctionName, Name};

/// Of which time usage is summed up.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams,
)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// From the hour of this time on; the last 30 days where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// Up to, and without, the hour of this time; up to now where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<u64>,
}

/// What calls came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Consumption {
    /// Calls that were run.
    pub calls: u64,
    /// Of these, those that the function answered with an error of its own.
    pub failures: u64,
    /// Of these, those that were ended: they crashed, or ran out of time or memory.
    pub faults: u64,
    /// Each call's rounded up.
    pub duration_ms: u64,
    /// Each call's duration by the memory it could use, in MiB.
    pub memory_mib_ms: u64,
}

/// What the account's calls came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FunctionUsage {
    pub from_ms: u64,
    pub to_ms: u64,
    pub lines: Vec<UsageLine>,
    pub total: Consumption,
}

/// What calls of one function or link came to, made in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageLine {
    /// By which it was called; its id where it is gone.
    pub name: String,
    /// Whose function it is.
    pub owner: Name,
    /// The owner's grant, where it is not the account's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// The service through which it was called, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The service's key with which it was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(flatten)]
    pub consumption: Consumption,
}

/// What others' calls of the account's functions came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SoldUsage {
    pub from_ms: u64,
    pub to_ms: u64,
    pub lines: Vec<SoldLine>,
    pub total: Consumption,
}

/// What others' calls by one grant came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SoldLine {
    /// Its id where it is gone.
    pub grant: String,
    /// Absent where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    #[serde(flatten)]
    pub consumption: Consumption,
}
