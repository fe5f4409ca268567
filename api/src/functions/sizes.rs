//! Sizes of functions: how the memory of their instances is chosen, what became of it, and advice.
//!
//! Paths: `GET|PUT /v1/functions/{name}/sizing`, `GET /v1/functions/{name}/sizes`,
//! `GET /v1/functions/{name}/advice?qualifier=`.

use serde::{Deserialize, Serialize};
use types::Name;

/// How the memory of a function's instances is chosen. What a revision asks for is where it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sizing {
    #[serde(default)]
    pub mode: SizingMode,
    /// Never less, in MiB; 32 where absent.
    #[schema(minimum = 32, maximum = 10240)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib_min: Option<u32>,
    /// Never more, in MiB; twice what the revision asks for where absent.
    #[schema(minimum = 32, maximum = 10240)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib_max: Option<u32>,
    /// Whether a call may be run twice without harm: then one that was killed for memory is run
    /// once more, at twice the size. A call with the header `Idempotency-Key` says so for itself.
    #[serde(default)]
    pub idempotent: bool,
}

/// Who chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SizingMode {
    /// The owner: instances have what the revision asks for.
    #[default]
    Off,
    /// The cloud, by what calls use, within the owner's bounds.
    Auto,
}

/// Something that was done about the size of a version's instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SizeStep {
    /// Counts a revision's steps, from 1.
    pub number: u64,
    pub at_ms: u64,
    /// `$LATEST`, or a number.
    pub version: String,
    /// The host where it was done.
    pub host: Name,
    pub change: SizeChange,
}

/// What was done, and why. Sizes are in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "what", deny_unknown_fields)]
pub enum SizeChange {
    /// One instance tries a size, since that is what calls took and a margin.
    Tried { from_kib: u64, to_kib: u64, used_kib: u64, calls: u64 },
    /// All have it from now on, since calls of the trial took no longer.
    Settled { from_kib: u64, to_kib: u64, calls: u64, call_us: u64, before_us: u64 },
    /// The trial ended, since its instance was killed for memory.
    RolledBackKilled { from_kib: u64, to_kib: u64 },
    /// The trial ended, since its calls took longer.
    RolledBackSlower { from_kib: u64, to_kib: u64, slower_milli: u64 },
    /// One instance that runs was given more, since it had used nearly all.
    Grown { from_kib: u64, to_kib: u64, used_kib: u64 },
    /// An idempotent call that was killed for memory was run once more.
    RunAgain { from_kib: u64, to_kib: u64, answered: bool },
}

/// Of which version advice is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AdviceQuery {
    /// A version or an alias; the latest where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<String>,
}

/// What a function would cost, and how long its calls would take, at other sizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Advice {
    /// `$LATEST`, or a number.
    pub version: String,
    pub measured: MeasuredCalls,
    /// What calls with inputs of each size took, smallest first.
    pub inputs: Vec<InputUse>,
    /// What is expected, smallest first.
    pub sizes: Vec<AdvisedSize>,
}

/// What calls took, at the size that they had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MeasuredCalls {
    pub memory_mib: u64,
    /// How many were measured.
    pub calls: u64,
    /// How long one in the middle took, in microseconds.
    pub call_us: u64,
    /// Processor time of one in the middle, in microseconds.
    pub cpu_us: u64,
    /// Memory that 98 of 100 did not exceed, in KiB.
    pub memory_kib: u64,
    pub measured_at_ms: u64,
}

/// What calls with inputs up to a size took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InputUse {
    /// Inputs up to so many bytes; the last one has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_bytes_max: Option<u64>,
    /// How many there were, with those of smaller inputs.
    pub calls: u64,
    /// Memory that 98 of 100 did not exceed, in KiB.
    pub memory_kib: u64,
    /// Share of a processor that 98 of 100 did not exceed, in thousandths.
    pub cpu_milli: u64,
}

/// What is expected at a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdvisedSize {
    pub memory_mib: u64,
    /// How long a call would take, in microseconds.
    pub call_us: u64,
    /// Memory times time of a call, in MiB and microseconds: prices are in proportion to it.
    pub cost_mib_us: u64,
    /// Whether it is the one that is advised: nearly the cheapest, and the fastest of those.
    pub advised: bool,
}
