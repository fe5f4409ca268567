//! What control and agents say about provisioned concurrency.

use serde::{Deserialize, Serialize};
use types::RevisionId;

/// Instances of a revision that a host is to keep warm, among its assignments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioned {
    pub revision: RevisionId,
    pub instances: u32,
}

/// What a host has of them: `PUT /internal/v1/hosts/{host}/provisioned`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvisionedReport {
    /// The start of the agent that says so, as in its host's report.
    pub generation: u64,
    /// All revisions that it is to keep.
    pub revisions: Vec<ProvisionedHere>,
}

/// What a host has of a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvisionedHere {
    pub revision: RevisionId,
    /// Instances that are being started.
    pub starting: u32,
    /// Instances that wait for calls or run them.
    pub ready: u32,
    /// Why there are not as many as there are to be; absent where nothing is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Longest word about a trouble, in bytes: a sentence and the name of an error.
pub const TROUBLE_BYTES_MAX: usize = 500;
/// Most revisions of one report: more than a host has memory for.
pub const PROVISIONED_REVISIONS_MAX: usize = 10_000;
