//! Publishing: from a package to a listed version.
//!
//! Paths: `POST /v1/publishes`, `GET /v1/publishes`, `GET /v1/publishes/{publish}`,
//! `GET /v1/publishes/{publish}/log`.
//! Steps, in order: receive, package, test, check, unit-test, measure, version, list.

use serde::{Deserialize, Serialize};

use types::{Name, ObjectId, PublishId, Reference};

use crate::items::Sharing;

/// Publishes a package that is here as an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishRequest {
    /// The package: a tar with `freehold.toml` at its root.
    pub object: ObjectId,
    /// Who may see it once listed, where the item is new; nobody where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
}

/// Where a publishing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PublishState {
    Running,
    Published,
    Failed,
}

/// A publishing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Publish {
    pub id: PublishId,
    pub object: ObjectId,
    pub state: PublishState,
    /// The step it is at, or failed at.
    pub step: String,
    /// The item's name, once its manifest was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Reference>,
    /// Why it failed: step, file and cure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The word for it that programs match on; `freehold explain` has a page about each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    pub created_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
}
