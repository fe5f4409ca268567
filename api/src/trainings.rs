//! Training: an algorithm, data sets and an instance type give a private model.
//!
//! Paths: `GET|POST /v1/trainings`, `GET /v1/trainings/{training}`,
//! `GET /v1/trainings/{training}/log`, `POST /v1/trainings/{training}/cancel`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use types::{Name, Reference, TrainingId};

/// Starts a training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainRequest {
    pub algorithm: Reference,
    /// Which data set feeds each channel.
    pub data: BTreeMap<String, Reference>,
    /// Values of the algorithm's parameters.
    #[schema(value_type = Object)]
    #[serde(default)]
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Such as `small`; the smallest that fits where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// The item that the model becomes a version of.
    pub model: Name,
}

/// Where a training stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrainingState {
    Waiting,
    Running,
    /// The job is done; its model is being tested and measured.
    Publishing,
    Succeeded,
    Failed,
    Cancelled,
}

/// A training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Training {
    pub id: TrainingId,
    pub request: TrainRequest,
    pub state: TrainingState,
    /// How far the job says it is, in parts per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_ppm: Option<u32>,
    /// The model, once there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Reference>,
    /// Why it failed or was cancelled: step, reason and cure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The word for it that programs match on; `freehold explain` has a page about each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    pub created_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
}
