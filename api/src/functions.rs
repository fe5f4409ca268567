//! Functions: code that is called.
//!
//! Paths: `GET|POST /v1/functions`, `GET|PUT|DELETE /v1/functions/{name}`,
//! `GET|POST /v1/functions/{name}/versions`, and, answered by the gateway,
//! `POST /v1/functions/{name}/invocations?qualifier=`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use types::{FunctionId, FunctionName, FunctionRuntime, Name, ObjectId};

/// What a call without a qualifier runs.
pub const LATEST: &str = "$LATEST";

/// Says which version ran.
pub const VERSION_HEADER: &str = "freehold-version";
/// Says what failed; absent where the function answered.
pub const ERROR_HEADER: &str = "freehold-function-error";
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
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
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
    pub description: String,
    /// Grows with every change of the function.
    pub generation: u64,
    /// When this version was made.
    pub created_at_ms: u64,
}
