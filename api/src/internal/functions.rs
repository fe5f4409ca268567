//! What agents and gateways say about functions.
//!
//! A gateway sends a call to an agent's functions socket: `POST /revisions/{revision}/calls`, the
//! payload as the body and a [`Call`] as JSON in the header [`CALL_HEADER`]. The answer has the
//! handler's or the error's payload as its body and a [`Called`] in the header [`CALLED_HEADER`];
//! a call that was not run is answered by a problem, as everywhere. Where the call says so, the
//! answer may come in [`pieces`].

pub mod near;
pub mod pieces;
pub mod provisioned;
pub mod sizes;
pub mod sources;
pub mod urls;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use types::{
    AccountId, AliasName, CallLimits, Concurrency, Digest, EventId, Fleet, FunctionId,
    FunctionName, FunctionRuntime, GrantId, HostId, Limits, Name, RequestId, RevisionId, ServiceId,
    ServiceKeyId, TokenId,
};

use super::ObjectGrant;
use crate::functions::sizes::Sizing;
use crate::grants::ErrorDetail;
use crate::pages::LogLine;
use crate::services::ServiceSpec;
use crate::usage::Consumption;
use sizes::{CallSizing, SettledSize};
use urls::UrlRoute;

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
    /// Where it may connect to, each as `host:port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<String>,
    /// How many calls an instance may have at a time.
    #[serde(default, skip_serializing_if = "Concurrency::is_one")]
    pub concurrency: Concurrency,
}

/// One call.
#[expect(clippy::struct_excessive_bools, reason = "each is said by another, and none excludes one")]
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
    /// Whether the answer may come in pieces, while it is made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// What may run in its place, while what was called is being started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// For whom it runs, where that is not the function's owner: no other's call comes to the same
    /// instance, and what it writes is kept nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<AccountId>,
    /// Whether its instance is to end with the burst that it is one of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub burst: bool,
    /// Whether it may be run twice without harm.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idempotent: bool,
    /// How the size of its instance is chosen, where that is not what the revision asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizing: Option<CallSizing>,
}

/// What an alias named before its last change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// `$LATEST`, or a number.
    pub version: String,
    pub revision: RevisionId,
    /// When the alias changed.
    pub changed_at_ms: u64,
    /// How long after that it may still answer, in milliseconds.
    pub max_stale_ms: u64,
}

/// How a call went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The time of processors that it took, in microseconds, where its host asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Base64 of the end of the log, where it was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_tail: Option<String>,
    /// For how long what ran had been replaced, where it was the call's fallback, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_ms: Option<u64>,
    /// Whether its first run was killed for memory, and this is what came of the second.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// What its host has after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<HostLeft>,
}

/// What a host has after a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLeft {
    /// Memory for more instances, in KiB.
    pub free_kib: u64,
    /// Calls that instances of what was called can take at once.
    pub idle: u32,
    /// For how long the one of them that stays the longest is kept, in milliseconds.
    pub kept_ms: u64,
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
    /// Fetching what it shares with others, apart from its code; 0 where its code brings all of it.
    #[serde(default)]
    pub dependencies_us: u64,
}

impl StartTimes {
    /// All of it together.
    pub fn all_us(self) -> u64 {
        let sum = self.code_us.saturating_add(self.sandbox_us).saturating_add(self.init_us);
        sum.saturating_add(self.dependencies_us)
    }
}

impl Called {
    /// How the line about a call begins, in a function's log as in a link's. Source: Lambda's
    /// `REPORT` line.
    pub fn report(&self, id: &str) -> String {
        let billed_ms = self.duration_us.div_ceil(1_000);
        format!(
            "REPORT RequestId: {}\tDuration: {}\tBilled Duration: {billed_ms} ms",
            shown(id),
            milliseconds(self.duration_us),
        )
    }
}

/// A call's id as Lambda's users look for it in logs.
pub fn shown(id: &str) -> String {
    id.parse::<RequestId>().map_or_else(|_| id.to_owned(), |id| id.uuid().to_string())
}

/// Microseconds as logs tell them.
pub fn milliseconds(us: u64) -> String {
    format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10)
}

impl StartTimes {
    /// Where the time went of a call that waited so long for this start, by the names that operators
    /// know, in microseconds: scheduling is what is left of the wait, such as until others are ended
    /// to make room. Together they are the wait, unless the start began before the call.
    pub fn explained(&self, waited_us: u64) -> [(&'static str, u64); 5] {
        let Self { code_us, sandbox_us, init_us, dependencies_us } = *self;
        let known_us = [code_us, sandbox_us, init_us, dependencies_us].iter().sum();
        [
            ("allocation", sandbox_us),
            ("code", code_us),
            ("dependencies", dependencies_us),
            ("scheduling", waited_us.saturating_sub(known_us)),
            ("initialisation", init_us),
        ]
    }
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
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<AliasName, AliasRoute>,
    /// Most calls at one time, where its owner has set one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_max: Option<u32>,
    /// Which other accounts may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    /// What it is a link to; then it has no versions of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkRoute>,
    /// How the size of its instances is chosen, where its owner has set that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizing: Option<Sizing>,
    /// Its URLs, of one qualifier each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<UrlRoute>,
}

/// A link as a gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRoute {
    /// What is called, and by what right; in words why it cannot be where it cannot.
    pub to: Result<LinkedFunction, String>,
    /// Members of every call's event.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    pub limits: CallLimits,
    /// Calls of this day, where the limits say how many there may be.
    #[serde(default)]
    pub calls_today: u64,
    /// Who of its account may call it; everybody who may call functions where this is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenId>,
}

/// What a link leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedFunction {
    pub grant: GrantId,
    pub function: FunctionId,
    /// A version or alias; empty for the latest.
    pub qualifier: String,
    /// For all who were given the grant together.
    pub limits: CallLimits,
    #[serde(default)]
    pub calls_today: u64,
    pub errors: ErrorDetail,
}

/// A service as a gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRoute {
    pub service: ServiceId,
    pub account: AccountId,
    pub account_name: Name,
    pub name: Name,
    /// The version that answers where none is named.
    pub newest: u32,
    pub versions: BTreeMap<u32, ServiceSpec>,
    pub keys: Vec<ServiceKeyRoute>,
}

/// A service's key as a gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceKeyRoute {
    pub key: ServiceKeyId,
    /// SHA-256 of the secret.
    pub secret_sha256: Digest,
    pub limits: CallLimits,
    /// Calls of this day.
    #[serde(default)]
    pub calls_today: u64,
}

/// What calls came to that have all of this in common, in an hour: part of a usage report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionCount {
    /// When the hour began.
    pub hour_ms: u64,
    /// Whose call it was.
    pub payer: AccountId,
    /// What ran, and whose it is.
    pub owner: AccountId,
    pub function: FunctionId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<FunctionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ServiceKeyId>,
    pub consumption: Consumption,
}

/// Lines of a link's log: part of a usage report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkLog {
    pub link: FunctionId,
    pub lines: Vec<LogLine>,
}

/// How much of a day's limits is used, after a usage report: of what the report counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageTaken {
    pub days: Vec<DayCalls>,
}

/// Calls of one day by one link, grant or key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCalls {
    /// The id of the link, grant or key.
    pub of: String,
    /// Days since 1970, UTC.
    pub day: u64,
    pub calls: u64,
}

/// An alias as a gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasRoute {
    /// `$LATEST`, or a number.
    pub version: String,
    /// Another version, and its share of the calls in ten-thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<(String, u32)>,
    /// How long after a change what was before it may still answer, in milliseconds.
    pub max_stale_ms: u64,
    /// When it last changed.
    pub changed_at_ms: u64,
}

/// That others may call a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// What names it: a version or alias; empty for the function without one.
    pub qualifier: String,
    /// The number of an account; `*` for every one.
    pub account: String,
}

/// An event to be kept and run: `POST /internal/v1/events`. It is committed before the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEvent {
    pub id: EventId,
    pub function: FunctionId,
    /// A version or alias; empty for the latest.
    pub qualifier: String,
    /// JSON.
    pub payload: String,
}

/// Asks for events that are due: `POST /internal/v1/events/take`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeEvents {
    /// At most so many.
    pub limit: u32,
    /// Waits so long for one, in milliseconds.
    pub wait_ms: u64,
}

/// Events to be run now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenEvents {
    pub events: Vec<TakenEvent>,
}

/// An event to be run now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenEvent {
    pub id: EventId,
    pub account: AccountId,
    pub account_name: Name,
    /// None where only somebody is to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    pub qualifier: String,
    pub payload: String,
    /// Which run of it this is, from 1.
    pub attempt: u32,
    /// Who is to be told the payload, in place of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// The stream of the account that is to have the payload, an event as JSON of `CloudEvents`, in
    /// place of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Name>,
    /// To whom the payload is to be written, in place of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
}

/// An e-mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// One address.
    pub to: String,
    /// One line.
    pub subject: String,
}

/// A webhook, and what it knows by that it was told by this cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    pub url: String,
    /// When the payload was signed, in seconds since 1970.
    pub signed_at_s: u64,
    /// Of the header `webhook-signature`.
    pub signature: String,
}

/// Keeps events that still run: `POST /internal/v1/events/keep`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepEvents {
    /// Each with the attempt that runs.
    pub events: Vec<(EventId, u32)>,
}

/// How long an event is kept for whoever took it, in milliseconds; it is to be kept anew in time.
pub const EVENT_LEASE_MS: u64 = 60_000;
/// Largest event that nobody waits for, in bytes. Source: Lambda's limit of asynchronous calls.
pub const EVENT_KEPT_BYTES_MAX: usize = 1024 * 1024;

/// What became of a run: `PUT /internal/v1/events/{event}/outcome`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventOutcome {
    pub attempt: u32,
    pub ended: EventEnded,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how", deny_unknown_fields)]
pub enum EventEnded {
    /// The function answered.
    Answered {
        /// The version that ran.
        version: String,
        payload: String,
    },
    /// The function failed.
    Failed {
        version: String,
        /// Such as `Function.ValueError`.
        error: String,
        payload: String,
    },
    /// It did not get to run.
    NotRun {
        /// Whether there was too much to do, and no fault.
        throttled: bool,
        reason: String,
    },
}

/// A version of a function as a gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRoute {
    pub revision: RevisionId,
    pub timeout_ms: u64,
    /// What the revision asks for.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Where the size of its instances stands.
    #[serde(default)]
    pub size: SettledSize,
    /// Its provisioned instances that hosts have ready.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provisioned: BTreeMap<HostId, u32>,
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
    pub name: Name,
    /// What it is there for.
    #[serde(default)]
    pub fleet: Fleet,
}
