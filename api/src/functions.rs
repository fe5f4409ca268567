//! Functions: code that is called.
//!
//! Paths: `GET|POST /v1/functions`, `GET|PUT|DELETE /v1/functions/{name}`,
//! `GET|POST /v1/functions/{name}/versions`, `GET|POST /v1/functions/{name}/aliases`,
//! `PUT|DELETE /v1/functions/{name}/aliases/{alias}`, `GET /v1/functions/{name}/dead-events`,
//! `POST|DELETE /v1/functions/{name}/dead-events/{event}`, `GET /v1/functions/{name}/log`,
//! `GET|PUT /v1/functions/{name}/sizing` and others of [`sizes`], those of [`urls`] and of
//! [`provisioned`],
//! `GET|POST /v1/functions/{name}/schedules`, `DELETE /v1/functions/{name}/schedules/{schedule}`, and,
//! answered by the gateway, `POST /v1/functions/{name}/invocations?qualifier=&mode=`.

pub mod events;
pub mod provisioned;
pub mod sizes;
pub mod sources;
pub mod urls;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use types::{
    AliasName, Concurrency, EventId, FunctionId, FunctionName, FunctionRuntime, Name, ObjectId,
};

pub use types::functions::LATEST;

/// Says which version ran.
pub const VERSION_HEADER: &str = "freehold-version";
/// Says for how long the version that ran had been replaced, in milliseconds, where it had.
pub const STALE_HEADER: &str = "freehold-stale-ms";
/// Says what failed; absent where the function answered.
pub const ERROR_HEADER: &str = "freehold-function-error";
/// Sent with a call, says that it may be run twice without harm. Source: the Idempotency-Key header
/// of the IETF's HTTPAPI working group. Its value is not looked at: nothing is remembered by it.
pub const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// Says where the time went, as `Server-Timing` does: `name;dur=MILLISECONDS`.
pub const TIMING_HEADER: &str = "server-timing";

/// Makes a function of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateFunction {
    pub name: FunctionName,
    pub runtime: FunctionRuntime,
    /// `module.function` for Python; may be empty for `provided`.
    #[serde(default)]
    pub handler: String,
    /// The package: a tar, as it was uploaded.
    pub object: ObjectId,
    /// From 32 to 10240; 128 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// Longest call, from 1 to 900000; 3000 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Variables of its environment, at most 4 KiB in all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Where it may connect to, each as `host:port`; nowhere where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub egress: Vec<String>,
    /// How many calls an instance may have at a time, where its program asks for as many; 1 where
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl CreateFunction {
    /// A function of a package, with everything else as it usually is.
    pub fn new(name: FunctionName, runtime: FunctionRuntime, object: ObjectId) -> Self {
        Self {
            name,
            runtime,
            handler: String::new(),
            object,
            memory_mib: None,
            timeout_ms: None,
            environment: BTreeMap::new(),
            egress: Vec::new(),
            concurrency: None,
            description: String::new(),
        }
    }
}

/// Changes a function; what is absent stays. Calls without a qualifier run the new at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateFunction {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<BTreeMap<String, String>>,
    /// Where it may connect to, each as `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 50)]
    pub egress: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The generation this change was made for; refused when there is a newer one.
    pub generation: u64,
}

/// Makes a numbered version of what is the latest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishVersion {
    /// The function's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The generation this was asked for; refused when there is a newer one.
    pub generation: u64,
}

/// A function, or a version of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Function {
    pub id: FunctionId,
    pub account: Name,
    pub name: FunctionName,
    /// `$LATEST`, or a number.
    pub version: String,
    pub runtime: FunctionRuntime,
    pub handler: String,
    pub object: ObjectId,
    pub memory_mib: u32,
    pub timeout_ms: u64,
    pub environment: BTreeMap<String, String>,
    /// Where it may connect to.
    #[serde(default)]
    pub egress: Vec<String>,
    /// How many calls an instance may have at a time.
    #[serde(default)]
    pub concurrency: Concurrency,
    pub description: String,
    /// Grows with every change of the function.
    pub generation: u64,
    /// When this version was made.
    pub created_at_ms: u64,
}

/// A name of one or two versions of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Alias {
    pub name: AliasName,
    /// `$LATEST`, or a number.
    pub version: String,
    /// Another version that answers a share of the calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Share>,
    /// How long after a change what was before it may still answer, while the new starts, in
    /// milliseconds; 0 for not at all.
    pub max_stale_ms: u64,
    pub description: String,
    /// Grows with every change.
    pub generation: u64,
}

/// A version's share of an alias's calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// A number.
    pub version: String,
    /// In ten-thousandths.
    #[schema(maximum = 10000)]
    pub share: u32,
}

/// Makes an alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAlias {
    pub name: AliasName,
    /// `$LATEST`, or a number.
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Share>,
    /// 60000 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_stale_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Changes an alias; what is absent stays, but for `other`, which is taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAlias {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Share>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_stale_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The generation this change was made for; refused when there is a newer one.
    pub generation: u64,
}

/// Has a function run at times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSchedule {
    pub name: AliasName,
    /// `rate(5 minutes)`, `cron(0 9 ? * MON-FRI *)` or `at(2026-11-22T09:00:00)`.
    #[schema(max_length = 256)]
    pub expression: String,
    /// Whose clock is meant, such as `Europe/Berlin`; UTC where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// A version or alias; empty for the latest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub qualifier: String,
    /// What the function is given; where absent, the schedule's name and the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
    #[serde(default)]
    pub missed: MissedRuns,
}

/// What becomes of runs that were missed while the cloud was down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissedRuns {
    /// They are left out.
    Skip,
    /// One stands for all.
    #[default]
    Once,
    /// All of them run, at most 100.
    All,
}

/// When a function runs without being called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Schedule {
    pub name: AliasName,
    pub expression: String,
    pub zone: String,
    pub qualifier: String,
    pub payload: Option<serde_json::Value>,
    pub missed: MissedRuns,
    /// The next run; none where there is no further one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at_ms: Option<u64>,
}

/// An event that is kept, and will run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AcceptedEvent {
    pub event: EventId,
}

/// An event that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeadEvent {
    pub id: EventId,
    /// A version or alias; empty for the latest.
    pub qualifier: String,
    /// The webhook that could not be told, or the stream, as `stream:NAME`; absent where the function
    /// was to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// What the function, or the webhook, would have been given.
    pub payload: serde_json::Value,
    /// How each of its runs failed, in order.
    pub failures: Vec<EventFailure>,
    pub accepted_at_ms: u64,
    pub given_up_at_ms: u64,
}

/// How one run of an event failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EventFailure {
    pub at_ms: u64,
    /// Such as `Function.ValueError`; `Throttled` or `Fault` where the function did not run.
    pub error: String,
    /// What is told of it, cut to 2048 bytes.
    pub message: String,
    /// The version that ran, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}
