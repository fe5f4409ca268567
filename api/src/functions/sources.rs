//! Sources: streams that functions are fed from.
//!
//! `GET|POST /v1/functions/{name}/sources`, `GET|PUT|DELETE /v1/functions/{name}/sources/{source}`.

use serde::{Deserialize, Serialize};

use types::{FunctionName, Name, SourceId};

/// Events of a batch where nothing is said.
pub const SOURCE_BATCH: u32 = 100;

/// How events of a stream are given to a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SourceSpec {
    /// With which event it begins; not changed later.
    pub start: SourceStart,
    /// Most events of a batch.
    #[schema(minimum = 1, maximum = 10000)]
    pub batch: u32,
    /// How long a batch waits to become full, in milliseconds.
    #[schema(maximum = 300_000)]
    pub window_ms: u64,
    /// Which events it is for: those that one of these patterns matches, as `EventBridge` has them;
    /// all where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
    /// Whether the function says which events it failed: `{"batchItemFailures": [...]}`.
    pub reports_failures: bool,
    /// Whether a batch that fails comes again in halves.
    pub bisect: bool,
    /// How often a batch that failed comes again; for ever where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 10000)]
    pub retries: Option<u32>,
    /// Age at which an event is given up, in seconds; none where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 60, maximum = 604_800)]
    pub age_s: Option<u64>,
    /// Who is told of events that were given up: a function, a webhook or a stream, as of events, but
    /// not the stream that feeds; they are dead events of the function where absent, or gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// Whether it feeds now.
    pub enabled: bool,
}

impl Default for SourceSpec {
    fn default() -> Self {
        Self {
            start: SourceStart::default(),
            batch: SOURCE_BATCH,
            window_ms: 0,
            filters: Vec::new(),
            reports_failures: false,
            bisect: false,
            retries: None,
            age_s: None,
            on_failure: None,
            enabled: true,
        }
    }
}

/// With which event a source begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceStart {
    /// With the oldest that is kept.
    #[default]
    Oldest,
    /// With the first that is accepted after the source was made, once the gateway that holds the
    /// stream knows of it.
    Next,
    /// With the first that was accepted at this time or later, in milliseconds since 1970; it may be
    /// one to come.
    AtMs(u64),
}

/// Feeds a function from a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSource {
    pub stream: Name,
    /// A version or alias; empty for the latest.
    #[serde(default)]
    pub qualifier: String,
    #[serde(default)]
    pub spec: SourceSpec,
}

/// Changes how a function is fed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSource {
    pub spec: SourceSpec,
    /// The generation this change was made for; refused when there is a newer one.
    pub generation: u64,
}

/// A stream that a function is fed from, and how far that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Source {
    pub id: SourceId,
    pub function: FunctionName,
    /// A version or alias; empty for the latest.
    pub qualifier: String,
    pub stream: Name,
    pub spec: SourceSpec,
    /// Grows with every change.
    pub generation: u64,
    /// Events that the function took.
    pub delivered: u64,
    /// Events that no filter lets through.
    pub filtered: u64,
    /// Events that were given up.
    pub given_up: u64,
    /// The number of the first event that is not done, as was told last; 0 before.
    pub next_event: u64,
    /// How it went last: `OK`, or `PROBLEM: ` with what went wrong; empty before the first time.
    pub result: String,
    pub created_at_ms: u64,
    pub changed_at_ms: u64,
}
