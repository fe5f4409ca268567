//! Endpoints: names that callers invoke.
//!
//! Paths: `GET|POST /v1/endpoints`, `GET|PUT|DELETE /v1/endpoints/{name}`,
//! `PUT /v1/endpoints/{name}/sharing`, `GET /v1/endpoints/{name}/log`,
//! `POST /v1/endpoints/{name}/variants`, `DELETE /v1/endpoints/{name}/variants/{variant}`,
//! `PUT /v1/endpoints/{name}/variants/{variant}/mode`, `GET /v1/endpoints/{name}/modes`,
//! `POST /v1/endpoints/{name}/modes/{number}/restore`, `GET|PUT|DELETE /v1/endpoints/{name}/gate`,
//! `POST /v1/endpoints/{name}/variants/{variant}/promotion`, `POST /v1/endpoints/{name}/gate/judgement`.
//! Invocations do not pass here: they are answered by the gateway.

pub mod captures;

use serde::{Deserialize, Serialize};

use types::{EndpointId, Format, Mode, Name, Reference, RunId, TaskReference, Used};

use crate::items::Sharing;

/// What the variant is called that an endpoint began with.
pub const MAIN: &str = "main";
/// Carries what an event belongs to, such as a customer: the same key is answered by the same variant.
pub const KEY_HEADER: &str = "freehold-key";

/// Tells how long a variant itself took for an answer, in microseconds.
pub const SERVICE_HEADER: &str = "freehold-service-us";
/// Tells a replay what else an answer took, such as `queue=120, start=3000, cpu=900, memory=41943040`:
/// microseconds and bytes. Nobody else is told.
pub const TOOK_HEADER: &str = "freehold-took";

/// Makes an endpoint of a model, a pipeline or a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    pub name: Name,
    /// The model or pipeline, or a function of the account.
    pub source: TaskReference,
    /// Such as `small`; the smallest that fits where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
}

/// Changes what an endpoint runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateEndpoint {
    pub source: TaskReference,
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
    /// What it runs, with the version that was resolved; of its variants, `main`.
    pub source: TaskReference,
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
    /// What it has to answer with, `main` the first.
    pub variants: Vec<Variant>,
    /// The number of the change since which they are used so; 0 before the first.
    pub modes_number: u64,
}

/// Something that an endpoint can answer with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Variant {
    #[serde(flatten)]
    pub used: Used,
    pub source: TaskReference,
    pub state: EndpointState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Adds a variant to an endpoint, in mode `test`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateVariant {
    pub variant: Name,
    /// The model or pipeline, or a function of the account.
    pub source: TaskReference,
    /// Such as `small`; the smallest that fits where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
}

/// Changes how a variant is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMode {
    pub mode: Mode,
    /// The keys that it answers or is shown, in ten-thousandths; for shadow, canary and bake.
    #[serde(default)]
    pub share_bp: u32,
    /// How long it bakes, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// Why, for those who look later.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 1024)]
    pub reason: String,
    /// The number of the change that this one was made for; refused when there is a newer one.
    pub modes_number: u64,
}

/// How the variants of an endpoint were used from some time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Modes {
    /// Counts the endpoint's changes from 1.
    pub number: u64,
    pub modes: Vec<Used>,
    /// Who or what decided it.
    pub decided_by: String,
    pub reason: String,
    pub at_ms: u64,
}

/// What has to hold of a run before its candidate is promoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GateSpec {
    /// All of them have to.
    pub conditions: Vec<GateCondition>,
    /// Whether the cloud promotes a candidate by itself once a run of it has ended; else a person
    /// does, and may only where all holds.
    #[serde(default)]
    pub automatic: bool,
}

/// One thing that has to hold; with one limit, or none for the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GateCondition {
    pub metric: GateMetric,
    /// Of which of the run's events.
    #[serde(default, skip_serializing_if = "GateScope::is_all")]
    pub scope: GateScope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<i64>,
    /// So many millionths of what is in production: 1,100,000 for a tenth more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most_of_incumbent_ppm: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least_of_incumbent_ppm: Option<u32>,
}

impl GateCondition {
    /// A condition on a metric, which still needs its limit; the verdict needs none.
    pub const fn of(metric: GateMetric) -> Self {
        Self {
            metric,
            scope: GateScope::All,
            at_most: None,
            at_least: None,
            at_most_of_incumbent_ppm: None,
            at_least_of_incumbent_ppm: None,
        }
    }
}

/// Of which of a run's events a condition is. Agreement and the verdict are of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateScope {
    /// All of them.
    #[default]
    All,
    /// Those of a region.
    Region(String),
    /// Those of each region there is, one by one.
    EachRegion,
    /// Those of a group.
    Group(String),
    /// Those of each group there is, one by one.
    EachGroup,
}

impl GateScope {
    /// Whether all events are meant.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }
}

/// What is measured of a run. Times are in microseconds, parts in millionths.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum GateMetric {
    /// Requests that came to an end.
    Requests,
    /// From when a request was intended until its answer, of half of them.
    ResponseP50Us,
    /// Of 99 of 100, at most: with a confidence of 99 %.
    ResponseP99Us,
    /// What the variant told of its own time, of half of them.
    ServiceP50Us,
    /// Requests without a good answer.
    ErrorsPpm,
    AccuracyPpm,
    PrecisionPpm,
    RecallPpm,
    /// The area under the curve, known within its interval of 95 %.
    AucPpm,
    /// The expected error of scores as chances.
    CalibrationPpm,
    /// The longest time until a drill's variant was well again.
    RecoveryUs,
    /// Events to which it says what production says.
    AgreementPpm,
    /// Whether the evidence of both on the same events is to promote: right answers.
    Verdict,
}

/// Promotes a variant by what a run of it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    /// The run, in which the variant was the first.
    pub run: RunId,
    /// Canary, bake or production.
    pub mode: Mode,
    #[serde(default)]
    pub share_bp: u32,
    /// How long it bakes, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

/// Asks a gate about a run, and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskGate {
    /// The run; its first variant is the candidate.
    pub run: RunId,
}

/// What a gate says of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GateJudgement {
    /// The candidate.
    pub variant: Name,
    /// Whether it may be promoted by this run.
    pub holds: bool,
    /// Why not; empty where it may.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Each condition, with its value and its threshold beside it.
    pub lines: Vec<GateLine>,
}

/// What the gate said of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Promotion {
    /// Whether the variant was promoted.
    pub promoted: bool,
    /// Why it was not; empty where it was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Each condition, with its value and its threshold beside it.
    pub lines: Vec<GateLine>,
}

/// A condition, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GateLine {
    /// Its number, from 1.
    pub condition: u64,
    /// `holds`, `fails` or `not_known`.
    pub judgement: String,
    /// The metric, its value and the threshold, in words.
    pub words: String,
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
