//! How a run went over its time.

use serde::{Deserialize, Serialize};

/// Which series of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct SeriesQuery {
    /// What a line is of; a variant where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub by: Option<SeriesBy>,
    /// How long a point is: `500ms`, `10s`, `5m`, `1h`. What gives some 60 points where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// By the hour of the day at which events happened, in `zone`, and not by the time of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<bool>,
    /// The time zone of hours, such as `Europe/Oslo`; UTC where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Of this variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Of this region, and of this group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// From so many milliseconds after the start of the run on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// And before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<u64>,
}

/// What a line is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeriesBy {
    #[default]
    Variant,
    Region,
    Group,
}

/// How a run went, as lines of points.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunSeries {
    pub by: SeriesBy,
    /// How long a point is, in milliseconds: as was asked, or more where the run is long.
    pub step_ms: u64,
    /// When the run began, in milliseconds since 1970; absent before its first request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at_ms: Option<u64>,
    /// The zone of the hours of the day, where points are such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Those with the most requests first; at most 25.
    pub lines: Vec<SeriesLine>,
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SeriesLine {
    /// The variant, region or group; `(others)` is all that have no line.
    pub key: String,
    /// In the order of their times; where nothing was sent there is none.
    pub points: Vec<SeriesPoint>,
}

/// What was sent within a step, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SeriesPoint {
    /// When it begins, in milliseconds after the start of the run, or of the day.
    pub at_ms: u64,
    /// Requests that were intended in it.
    pub requests: u64,
    /// Those that did not end well.
    pub not_ok: u64,
    /// Those with a label, each event once.
    pub judged: u64,
    /// Those of them whose prediction was right; what has no good answer, or no prediction in it, was not.
    pub right: u64,
    /// From when a request was intended until its good answer, of those that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<SeriesTimes>,
    /// What the variant told of its own time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<SeriesTimes>,
    /// How long requests waited for an instance or a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<SeriesTimes>,
    /// How much too late requests went, 99 of 100 of them at most, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_p99_ns: Option<u64>,
    /// How many requests were worked on at a time, in thousandths, where it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_milli: Option<u64>,
    /// Requests that had to wait for the start of an instance, where it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_starts: Option<u64>,
    /// Time of processors for a request, on average, in microseconds, where it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// The most memory of an instance, in bytes, where it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// Times of a point, in nanoseconds, to half a percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SeriesTimes {
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub max_ns: u64,
}
