//! What agents and gateways say about functions.
//!
//! A gateway sends a call to an agent's functions socket: `POST /revisions/{revision}/calls`, the
//! payload as the body and a [`Call`] as JSON in the header [`CALL_HEADER`]. The answer has the
//! handler's or the error's payload as its body and a [`Called`] in the header [`CALLED_HEADER`];
//! a call that was not run is answered by a problem, as everywhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use types::{
    AccountId, FunctionId, FunctionName, FunctionRuntime, HostId, Limits, Name, RevisionId,
};

use super::ObjectGrant;

/// Largest event. Source: Lambda's limit of a synchronous call, 6 MiB, and a little.
pub const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;
/// Carries a [`Call`].
pub const CALL_HEADER: &str = "freehold-call";
/// Carries a [`Called`].
pub const CALLED_HEADER: &str = "freehold-called";

/// What an agent runs for a function: `GET /internal/v1/revisions/{revision}`. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    pub id: RevisionId,
    pub account: AccountId,
    pub account_name: Name,
    pub function: FunctionName,
    /// `$LATEST`, or a number.
    pub version: String,
    pub runtime: FunctionRuntime,
    /// What is called in the package; unused by some runtimes.
    pub handler: String,
    pub package: ObjectGrant,
    pub limits: Limits,
    /// The owner's variables.
    pub env: BTreeMap<String, String>,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The request's id, as its caller sees it.
    pub id: String,
    /// What was called, with its qualifier.
    pub function_arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Base64 of JSON, as the caller sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_context: Option<String>,
    /// Whether the end of its log is wanted.
    #[serde(default)]
    pub log_tail: bool,
}

/// How a call went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Called {
    /// What failed, such as `Function.ValueError`; absent where the handler answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The answer's media type, where the program told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// How long the handler took, in microseconds.
    pub duration_us: u64,
    /// How long the call waited for an instance, in microseconds.
    pub waited_us: u64,
    /// How the instance was started, where this call is its first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartTimes>,
    /// The largest memory of its instance so far, in bytes.
    pub memory_peak_bytes: u64,
    /// Base64 of the end of the log, where it was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_tail: Option<String>,
}

/// Where the time of a start went, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartTimes {
    /// Fetching and unpacking its code.
    pub code_us: u64,
    /// Making its sandbox.
    pub sandbox_us: u64,
    /// Its own beginning, until it asked for work.
    pub init_us: u64,
}

/// A function as a gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionRoute {
    pub function: FunctionId,
    pub account: AccountId,
    pub account_name: Name,
    pub name: FunctionName,
    /// By the version: `$LATEST`, or a number.
    pub versions: BTreeMap<String, VersionRoute>,
}

/// A version of a function as a gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRoute {
    pub revision: RevisionId,
    pub timeout_ms: u64,
}

/// A host that runs functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionHost {
    pub host: HostId,
    /// Its functions socket, for a gateway on the same host.
    pub socket: String,
    /// Its data address, for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_address: Option<String>,
}
