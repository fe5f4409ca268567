//! Endpoints: names that callers invoke.
//!
//! Paths: `GET|POST /v1/endpoints`, `GET|PUT|DELETE /v1/endpoints/{name}`,
//! `PUT /v1/endpoints/{name}/sharing`, `GET /v1/endpoints/{name}/log`.
//! Invocations do not pass here: they are answered by the gateway.

use serde::{Deserialize, Serialize};

use types::{EndpointId, Format, Name, Reference};

use crate::items::Sharing;

/// Makes an endpoint of a model or pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    pub name: Name,
    /// The model or pipeline.
    pub source: Reference,
    /// Such as `small`; the smallest that fits where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
}

/// Changes what an endpoint runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateEndpoint {
    pub source: Reference,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// The generation this change was made for; refused when there is a newer one.
    pub generation: u64,
}

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// Instances are being started.
    Starting,
    /// Every stage has a healthy instance.
    Ready,
    /// It cannot be started; `error` says why.
    Failed,
    /// It is being removed.
    Deleting,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Endpoint {
    pub id: EndpointId,
    pub account: Name,
    pub name: Name,
    pub state: EndpointState,
    /// What it runs, with the version that was resolved.
    pub source: Reference,
    pub instance_type: String,
    pub sharing: Sharing,
    pub stages: Vec<StageStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub generation: u64,
    pub created_at_ms: u64,
}

/// One stage of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StageStatus {
    pub source: Reference,
    /// `waiting`, `starting`, `ready`, `failed` or `ended`.
    pub state: String,
    /// The engine that runs it, once it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
}
