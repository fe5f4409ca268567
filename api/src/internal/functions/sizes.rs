//! What gateways and agents say about sizes of functions' instances.

use serde::{Deserialize, Serialize};
use types::{HostId, RevisionId};

use crate::functions::sizes::{InputUse, SizeChange};

/// How the size of a revision's instances is chosen, as a gateway tells with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallSizing {
    /// Never less, in KiB.
    pub kib_min: u64,
    /// Never more, in KiB.
    pub kib_max: u64,
    #[serde(default)]
    pub size: SettledSize,
}

/// Where the size of a revision's instances stands, across hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettledSize {
    /// The step that it stands after; a smaller one is older.
    pub number: u64,
    /// What instances have; where absent, what the revision asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kib: Option<u64>,
    /// The size that was rolled back last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_kib: Option<u64>,
}

/// Tells of a step, or asks whether a trial may begin: `POST
/// /internal/v1/revisions/{revision}/sizes`, answered by [`SizeAnswer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SizeReport {
    pub host: HostId,
    pub change: SizeChange,
}

/// What control makes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeAnswer {
    /// Whether it was written down; a trial is not while another host has one.
    pub taken: bool,
    pub size: SettledSize,
}

/// What calls on a host took lately: `POST /internal/v1/hosts/{host}/functions-usage`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionsUsage {
    pub revisions: Vec<RevisionUsage>,
}

/// What calls of a revision took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevisionUsage {
    pub revision: RevisionId,
    /// The size that its instances have, in KiB.
    pub kib: u64,
    /// Calls that count: half as much after a day.
    pub calls: u64,
    /// How long one in the middle took, in microseconds.
    pub call_us: u64,
    /// Processor time of one in the middle, in microseconds.
    pub cpu_us: u64,
    /// Memory that 98 of 100 did not exceed, in KiB.
    pub memory_kib: u64,
    pub inputs: Vec<InputUse>,
}

/// Most revisions of one report.
pub const USAGE_REVISIONS_MAX: usize = 200;
