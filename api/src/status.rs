//! What runs, what this machine gives, and what is missing.
//!
//! Paths: `GET /v1/health` (anybody), `GET /v1/status`, `GET /v1/instance-types`,
//! `GET /v1/tasks` (operators), `POST /v1/enrolments` (operators), `GET /v1/errors/{code}` (anybody),
//! `GET /v1/openapi.json` (anybody).

use serde::{Deserialize, Serialize};

use types::{Fleet, HostId, Name};

/// That the control plane answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Health {
    /// `ok`, or what is wrong.
    pub status: String,
    pub version: String,
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Status {
    pub version: String,
    /// `sqlite` or `postgresql`.
    pub database: String,
    /// `folder` or `s3`.
    pub objects: String,
    pub hosts: Vec<HostStatus>,
    pub items: u64,
    pub endpoints: u64,
    pub instances: u64,
}

/// A host, and what it gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HostStatus {
    pub id: HostId,
    pub name: Name,
    /// What it is there for, among those that run functions: `hot`, `cold` or `dedicated=ACCOUNT`.
    #[serde(default)]
    pub fleet: Fleet,
    /// Whether it reported within the last 15 seconds.
    pub alive: bool,
    pub cpu_milli: u32,
    pub cpu_milli_free: u32,
    pub memory_bytes: u64,
    pub memory_bytes_free: u64,
    pub instances: u32,
    pub features: Vec<Feature>,
}

/// Something a machine may give, such as a namespace or an inference engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Feature {
    pub name: String,
    /// Whether this machine gives it.
    pub held: bool,
    /// Why it matters.
    pub matters: String,
    /// What was found, or what is missing and how to get it.
    pub detail: String,
}

/// A token with which one host may enrol, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Enrolment {
    pub token: String,
    pub expires_at_ms: u64,
}

/// Asks for an enrolment token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEnrolment {
    /// What enrols: `agent` or `gateway`.
    #[schema(pattern = "^(agent|gateway)$")]
    pub process: String,
    pub name: Name,
}

/// A size of instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InstanceTypeInfo {
    pub name: String,
    pub cpu_milli: u32,
    pub memory_bytes: u64,
}

/// A saga or reconciler, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskStatus {
    pub name: String,
    /// `reconciler` or `saga`.
    pub kind: String,
    #[schema(value_type = Object)]
    pub status: serde_json::Value,
}
