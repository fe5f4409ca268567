//! Runs: replays of recorded events to an endpoint's variants.
//!
//! `GET, POST /v1/runs`, `GET /v1/runs/{run}`, `POST /v1/runs/{run}/stop`.
//! The gateway that sent a run answers `GET /v1/runs/{run}/records`, `GET /v1/runs/{run}/series` and
//! `GET /v1/runs/{run}/drift`.

mod accuracy;
mod drills;
mod series;
mod used;

use serde::{Deserialize, Serialize};

use types::{Name, RunId};

use crate::streams::SelectionQuery;

pub use accuracy::{
    Accuracy, AccuracyEstimate, Auc, CalibrationBin, ClassAccuracy, ConfusionCell, Pairs,
    RunCalibration,
};
pub use drills::{DRILLS_MAX, DrillKind, DrillOutcome, DrillState, RunDrill, recovery_us};
pub use series::{RunSeries, SeriesBy, SeriesLine, SeriesPoint, SeriesQuery, SeriesTimes};
pub use used::VariantUsed;

/// Replays events to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// The endpoint.
    pub endpoint: Name,
    /// Its variants that are sent the events, the candidate the first; what is in production where
    /// none is named. The same one twice shows how much it differs from itself.
    #[serde(default)]
    pub variants: Vec<Name>,
    /// Conditions that are asked of each event beside them, as a further variant called `rule`: what a
    /// candidate has to beat, such as `data.failures>=3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The stream.
    pub stream: Name,
    /// Which of its events.
    #[serde(default, deserialize_with = "crate::document::only")]
    pub selection: SelectionQuery,
    /// What keeps its part of the whole at any time: `region`, `group`, `type`, `label`.
    #[serde(default)]
    pub group_by: Vec<GroupBy>,
    /// When events are sent.
    #[serde(default)]
    pub load: Load,
    /// For how long, in milliseconds; until there are no more events where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// What becomes of sends that are late.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// Most requests under way at a time; more are dropped, and the run is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight_max: Option<u32>,
    /// How long an answer may take, in milliseconds; 30,000 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Where chance begins; drawn where absent, and told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What is read out of answers, and held against labels.
    #[serde(default, deserialize_with = "crate::document::only")]
    pub judged: Judged,
    /// What is done to its variants meanwhile: at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drills: Vec<RunDrill>,
    /// Whether that may be done to a variant that answers live events too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drill_production: bool,
}

/// By what events are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    Region,
    Group,
    Type,
    Label,
}

/// When events are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Load {
    /// As they happened.
    #[default]
    AsRecorded,
    /// As they happened, so many times as fast, in thousandths.
    Speed { milli: u64 },
    /// At a rate, evenly, in millionths of an event per second.
    Rate { uhz: u64 },
    /// At a rate on average, as independent callers come.
    Poisson { uhz: u64 },
    /// By a pattern: its text.
    Pattern { pattern: String },
}

/// What becomes of sends that are late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They are sent at once.
    #[default]
    Burst,
    /// They are sent at once while they are less than 10 ms late, else left out.
    Window,
    /// They are left out.
    Skip,
}

/// What is read out of answers, and held against labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Judged {
    /// Where in an answer the prediction stands, such as `/score`: a JSON pointer. The whole answer
    /// where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<String>,
    /// A number at or above it, in millionths, is positive; half where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_ppm: Option<i64>,
    /// The label, and the text of a prediction, that is positive; `true` where absent. Where it is
    /// named, all other words are one class; else each is its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
}

impl Judged {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// No gateway has begun it.
    Waiting,
    /// Events are being sent.
    Running,
    /// It came to its end.
    Succeeded,
    /// It was stopped before its end.
    Stopped,
    /// It could not go on; `error` says why.
    Failed,
}

impl RunState {
    /// Whether nothing changes any more.
    pub const fn ended(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// A replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Run {
    pub id: RunId,
    pub account: Name,
    pub spec: RunSpec,
    pub state: RunState,
    /// Whether it is to stop.
    pub stop_wanted: bool,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RunProgress>)]
    pub progress: Option<serde_json::Value>,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RunOutcome>)]
    pub outcome: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub created_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
    /// The replay that it follows, with a change by a trigger; absent where somebody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<RunFollows>,
}

/// Why a replay follows another one, once that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunFollows {
    /// The other one.
    pub run: RunId,
    /// The trigger of the endpoint that had it sent anew.
    pub trigger: Name,
    /// How many changes led to it, one after the other.
    pub changes: u32,
}

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunProgress {
    /// `sending`, `paused`, `draining` or `over`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Sends of the schedule that were decided about.
    pub issued: u64,
    pub variants: Vec<VariantOutcome>,
    /// The first variant against each other one.
    #[serde(default)]
    pub pairs: Vec<Pairs>,
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunOutcome {
    /// Whether it may be believed.
    pub valid: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// What else is to be known.
    pub disclosed: Vec<String>,
    pub schedule: RunSchedule,
    pub facts: RunFacts,
    /// Of the requests that were sent, the part of which it is known what became of them, in
    /// millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability_ppm: Option<u64>,
    pub variants: Vec<VariantOutcome>,
    /// The first variant against each other one.
    #[serde(default)]
    pub pairs: Vec<Pairs>,
}

/// What was sent: the same seed and events give the same digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunSchedule {
    /// Where chance began, where it had a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// BLAKE3 of every send, in hex.
    pub digest: String,
    pub sends: u64,
    /// Events that were read and decided about.
    pub events: u64,
    /// Of them, those that were not sent.
    pub omitted: u64,
    /// Sends that repeat an event: load, and no evidence.
    pub duplicates: u64,
    /// Events that happened before the one that was read before them.
    pub disordered: u64,
}

/// How well it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunFacts {
    /// Requests that the schedule has.
    pub asked: u64,
    /// The time that they take, in nanoseconds.
    pub asked_ns: u64,
    /// Requests that went.
    pub sent: u64,
    /// The time that they took, in nanoseconds.
    pub took_ns: u64,
    /// Left out, since they were late.
    pub skipped: u64,
    /// Left out, since too many were under way.
    pub dropped: u64,
    /// Of which nothing is known, since the cloud was killed.
    pub lost: u64,
    /// 99 of 100 were no later than this, in nanoseconds.
    pub lag_p99_ns: u64,
    /// Events that count, each once.
    pub events: u64,
    /// The part of its processors' time that the sender used, in thousandths.
    pub busy_milli: u32,
}

/// What a variant came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VariantOutcome {
    pub name: String,
    pub under_way: u64,
    pub recorded: u64,
    pub sent: u64,
    /// With whatever status.
    pub answered: u64,
    /// How many had each outcome.
    pub outcomes: std::collections::BTreeMap<String, u64>,
    /// How much too late requests went: the sender's fault.
    pub lag: Times,
    /// From when a request was intended until its answer: what a user feels.
    pub response: Times,
    /// From when it was sent until its answer.
    pub latency: Times,
    /// What the variant told of its own time.
    pub service: Times,
    /// What of the latency it did not account for.
    #[serde(default)]
    pub overhead: Times,
    /// How long requests waited for an instance or a batch, as far as it tells.
    #[serde(default)]
    pub queue: Times,
    pub bytes_out: u64,
    pub bytes_in: u64,
    /// Of the requests that were sent, the part that was answered without a fault of its own, in
    /// millionths: with a status below 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_ppm: Option<u64>,
    /// What it took, as far as that is known.
    #[serde(default)]
    pub used: VariantUsed,
    pub accuracy: Accuracy,
    /// What drills of it came to, in the order of their times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drills: Vec<DrillOutcome>,
    /// By region and by group, those with the most requests; empty while it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<PlaceOutcome>,
}

/// What a variant came to in a region or a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlaceOutcome {
    /// One of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    pub recorded: u64,
    /// Those without a good answer.
    pub failures: u64,
    pub response: Times,
    pub service: Times,
    pub accuracy: Accuracy,
}

impl VariantOutcome {
    /// Requests without a good answer, in millionths of all; none where there are none.
    pub fn errors_ppm(&self) -> Option<u64> {
        let good = self.outcomes.get("ok").copied().unwrap_or(0);
        accuracy::part_ppm(self.recorded.saturating_sub(good), self.recorded)
    }
}

/// How times are distributed, in nanoseconds, to half a percent.
///
/// Responses are those of good answers, among all requests that were recorded: one without a good answer
/// is slower than any, so that a percentile is absent where it is one of those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Times {
    pub count: u64,
    pub mean_ns: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p999_ns: Option<u64>,
    pub max_ns: u64,
    /// At or above what 99 of 100 lie, with the same confidence; absent where there are too few, or where
    /// that is a request without a good answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_lower_ns: Option<u64>,
    /// At or below what 99 of 100 lie, of as many as one likes, with a confidence of 99 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_upper_ns: Option<u64>,
    /// How many requests it needs for that to be said, where there are too few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_needs: Option<u64>,
}

/// Which records of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct RecordsQuery {
    /// Of this variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Such as `ok` or `timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Whose prediction was right, or was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<bool>,
    /// Of this region, and of this group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Intended so many milliseconds after the start of the run, or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// And before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<u64>,
    /// Whose response took so many microseconds, or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_us_min: Option<u64>,
    /// And at most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_us_max: Option<u64>,
    /// At most so many; 100 where absent, 10,000 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Beside what a run's answers are watched for changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RunDriftQuery {
    /// The run whose answers are the reference; the same one where variants are set beside each other.
    pub against: RunId,
    /// The variant whose answers are watched; the first one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The variant of the reference; of the same name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against_variant: Option<String>,
    /// At most one false alarm in so many answers; 100,000 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_every: Option<u64>,
    /// Where chance begins, which breaks ties; 0 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// Records of a run, in the order in which they ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunRecords {
    pub records: Vec<RunRecord>,
    /// How many there are in all.
    pub matching: u64,
}

/// One request of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunRecord {
    /// The event, by its number in the stream.
    pub sequence: u64,
    /// 0 for the event itself, else which copy of it.
    pub copy: u64,
    pub variant: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// When it was intended, in nanoseconds from the start of the run.
    pub offset_ns: u64,
    /// How much too late it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether the prediction was right, of an event with a label; what has no good answer, or no prediction
    /// in it, was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<bool>,
    /// When the event happened, in Unix nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub happened_ns: Option<u64>,
    /// How long it waited for an instance or a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_us: Option<u64>,
    /// How long the start of the instance took that it had to wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_us: Option<u64>,
}
