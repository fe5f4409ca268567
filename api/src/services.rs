//! Services: APIs made of functions and links, for users with keys.
//!
//! `GET, POST /v1/services`, `GET, PUT, DELETE /v1/services/{name}`,
//! `GET /v1/services/{name}/versions`, `DELETE /v1/services/{name}/versions/{version}`,
//! `GET, POST /v1/services/{name}/keys`, `DELETE /v1/services/{name}/keys/{key}`.
//! It is called under `/services/{account}/{name}`.

use serde::{Deserialize, Serialize};

use types::{CallLimits, FunctionName, Name, ServiceId, ServiceKeyId};

/// Carries a key; `Authorization: Bearer KEY` does too.
pub const KEY_HEADER: &str = "x-api-key";
/// Tells which version of a service answered.
pub const SERVICE_VERSION_HEADER: &str = "freehold-service-version";

/// An API made of functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Service {
    pub id: ServiceId,
    pub account: Name,
    pub name: Name,
    /// The newest version, which answers where none is named.
    pub version: u32,
    /// Where it is called, from the cloud's address on.
    pub path: String,
    #[serde(flatten)]
    pub spec: ServiceSpec,
    /// Grows with every change.
    pub generation: u64,
    pub created_at_ms: u64,
}

/// What a version of a service is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 1024)]
    pub description: String,
    /// Whether it can be called without a key.
    #[serde(default)]
    pub open: bool,
    /// At most 100.
    pub operations: Vec<Operation>,
}

/// One thing that a service does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    #[serde(default)]
    pub method: OperationMethod,
    /// Such as `/customers/{customer}/score`; what stands in braces becomes a member of the event.
    pub path: String,
    /// A function or link of the service's account.
    pub function: FunctionName,
    /// A version or alias; empty for the latest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub qualifier: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// The JSON Schema of the event: the request's body, with its parameters as members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub input: Option<serde_json::Value>,
    /// The JSON Schema of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub output: Option<serde_json::Value>,
}

/// How an operation is asked for.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum OperationMethod {
    Get,
    #[default]
    Post,
    Put,
    Patch,
    Delete,
}

impl OperationMethod {
    /// The method, as HTTP writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether a request of it has a body.
    pub const fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// Makes a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateService {
    pub name: Name,
    pub spec: ServiceSpec,
}

/// Makes a new version of a service, which answers from now on; those before it stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateService {
    pub spec: ServiceSpec,
    /// The generation this change was made for; refused when there is a newer one.
    pub generation: u64,
}

/// A version of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServiceVersion {
    pub version: u32,
    #[serde(flatten)]
    pub spec: ServiceSpec,
    pub created_at_ms: u64,
}

/// By what a service's user calls it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServiceKey {
    pub id: ServiceKeyId,
    pub name: Name,
    pub limits: CallLimits,
    pub created_at_ms: u64,
}

/// Makes a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateServiceKey {
    pub name: Name,
    #[serde(default)]
    pub limits: CallLimits,
}

/// A key that was made, with its secret, which is shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CreatedServiceKey {
    pub key: ServiceKey,
    pub secret: String,
}
