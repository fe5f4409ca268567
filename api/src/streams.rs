//! Streams: recorded events of an application, in order.
//!
//! `GET, POST /v1/streams`, `GET, PUT, DELETE /v1/streams/{name}`. Gateways, which hold the events,
//! answer `GET, POST /v1/streams/{name}/events`, `GET /v1/streams/{name}/stats`,
//! `GET /v1/streams/{name}/drift`, `POST /v1/streams/{name}/imports`, and `POST /v1/streams/{name}/labels`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use types::{FunctionName, Name, StreamId};

/// For how long events that come again are known, where nothing is said: a day.
pub const DEDUPE_WINDOW_MS: u64 = 24 * 3_600_000;

/// Recorded events, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Stream {
    pub id: StreamId,
    pub account: Name,
    pub name: Name,
    pub spec: StreamSpec,
    /// The gateway that holds its events; absent before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Whether that gateway keeps its events encrypted; absent before it has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// Grows with every change.
    pub generation: u64,
    pub created_at_ms: u64,
    /// Endpoints whose requests it takes, a hundred at most; told of one stream, not of a list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takes: Vec<Name>,
    /// Functions that are fed from it, a hundred at most; told likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feeds: Vec<FunctionName>,
}

/// How a stream is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StreamSpec {
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 1024)]
    pub description: String,
    /// For how long an event that comes again is stored once, in milliseconds; a week at most.
    pub dedupe_window_ms: u64,
    /// How long events are kept, in milliseconds; for ever where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain_ms: Option<u64>,
    /// How much of it is kept, in bytes, the newest; all where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain_bytes: Option<u64>,
}

impl Default for StreamSpec {
    fn default() -> Self {
        let description = String::new();
        let dedupe_window_ms = DEDUPE_WINDOW_MS;
        Self { description, dedupe_window_ms, retain_ms: None, retain_bytes: None }
    }
}

/// Makes a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateStream {
    pub name: Name,
    #[serde(default)]
    pub spec: StreamSpec,
}

/// Changes how a stream is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateStream {
    pub spec: StreamSpec,
    /// The generation this change was made for; refused when there is a newer one.
    pub generation: u64,
}

/// Which events of a stream. What is left out does not narrow it.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    utoipa::IntoParams,
)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct SelectionQuery {
    /// From this time on: `2026-11-23T08:00:00Z`, or a date, perhaps with a time, of `zone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Up to, and without, this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The time zone of times that do not say theirs, such as `Europe/Oslo`; UTC where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Conditions that all hold, such as `region=no,data.status!=500`.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// A part by key, such as `subject:5%` or `attribute.user:0.5%`: all events of a key or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// These events exactly, by their numbers in the stream, with commas between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequences: Option<String>,
}

/// What became of events that were sent. All of them are safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AppendedEvents {
    /// How many were stored.
    pub stored: u64,
    /// How many were known already.
    pub known: u64,
    /// The number of the first that was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
}

/// What became of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportedEvents {
    /// Records that were read.
    pub records: u64,
    /// Events that were stored.
    pub stored: u64,
    /// Events that were known already.
    pub known: u64,
    /// Records that are no event.
    pub refused: u64,
    /// Records that tell of nothing that is wanted, such as other programs' lines.
    pub passed_over: u64,
    /// Why, of the first of them: the line, and what is wrong.
    pub faults: Vec<ImportFault>,
}

/// A record that is no event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportFault {
    /// Its line or row, from 1.
    pub record: u64,
    pub problem: String,
}

/// How a file is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct ImportQuery {
    /// `jsonl`, `csv`, `parquet`, `weblog` or `sshd`.
    pub format: String,
    /// Which fields are what, such as `time=TIMESTAMP,id=request_id,region=site`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// The source of events that do not say theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The type of events that do not say theirs.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The year of times that do not say theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<i16>,
    /// The time zone of times that do not say theirs; UTC where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// Sums of a selection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StreamStats {
    pub events: u64,
    /// The times of the first and the last event, in Unix nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ns: Option<u64>,
    /// Events per second over that time, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_mean_uhz: Option<u64>,
    /// The most events of one second.
    pub rate_peak_per_s: u64,
    /// Events by type, region and group, the most frequent ones.
    pub types: BTreeMap<String, u64>,
    pub regions: BTreeMap<String, u64>,
    pub groups: BTreeMap<String, u64>,
    /// Of the whole stream: events whose time is before that of the event accepted before them.
    pub stream_disordered: u64,
    /// Of the whole stream: bytes on the disk.
    pub stream_bytes: u64,
    /// Segments that were read, and those that their statistics alone excluded.
    pub segments_read: u64,
    pub segments_pruned: u64,
}

/// How events are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct EventsQuery {
    /// `jsonl`, `csv` or `parquet`; `jsonl` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// At most so many; all where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Against what events are watched for changes, beside which events are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct DriftQuery {
    /// The reference: events from this time on, as `since`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against_since: Option<String>,
    /// Up to, and without, this time; up to `since` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against_until: Option<String>,
    /// At most one false alarm in so many events; 100,000 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm_every: Option<u64>,
    /// Where chance begins, which breaks ties; 0 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// Whether events still are as those of a reference were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Drift {
    /// Events of the reference, and those of them that were learnt from: 10,000 at most, at random, and
    /// fewer where they take more than 64 MiB.
    pub reference_events: u64,
    pub learnt_events: u64,
    /// Events that were watched.
    pub events: u64,
    /// At most one false alarm in so many events, of all fields together.
    pub alarm_every: u64,
    /// Fields that have changed.
    pub changed: u64,
    /// By field, in the order of their names; at most 64.
    pub fields: Vec<FieldDrift>,
    /// Fields that the reference did not have, some of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_fields: Vec<String>,
}

/// Whether a field still is as it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldDrift {
    /// A path in the data, such as `data.amount`, or `type`, `region`, `group` or `label`.
    pub field: String,
    /// Whether it has changed.
    pub changed: bool,
    /// The event by which that was clear: its number in the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_sequence: Option<u64>,
    /// When that happened, in Unix nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ns: Option<u64>,
    /// How far the evidence came on its way to an alarm, in millionths.
    pub evidence_ppm: u64,
    /// How far both distributions are apart: the population stability index, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_ppm: Option<u64>,
    /// What that is by chance, at most, 99 times of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_chance_ppm: Option<u64>,
    /// Events that have it: of the half of those learnt from that is counted, the other of which said
    /// what is told apart, and of those watched.
    pub reference_events: u64,
    pub events: u64,
}

/// Labels of events: what they turned out to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelEvents {
    /// One by one.
    #[serde(default)]
    pub labels: Vec<EventLabel>,
    /// All that a rule selects, before those above.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::document::optional"
    )]
    pub rule: Option<LabelRule>,
}

/// A label for every event that is selected now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelRule {
    #[serde(deserialize_with = "crate::document::only")]
    pub selection: SelectionQuery,
    #[schema(max_length = 256)]
    pub label: String,
}

/// What an event turned out to be. The last one of an event counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventLabel {
    pub source: String,
    pub id: String,
    #[schema(max_length = 256)]
    pub label: String,
}

/// Makes events that are drawn from recorded ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeEvents {
    /// The stream from which they are drawn.
    pub from: Name,
    /// Which of its events.
    #[serde(default, deserialize_with = "crate::document::only")]
    pub selection: SelectionQuery,
    /// How many are made.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub events: u64,
    /// Where chance begins; drawn where absent, and told. The same one makes the same events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// When the first one happens; when the first recorded one did where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// By what part numbers in their data are moved at most, in millionths.
    #[serde(default)]
    #[schema(maximum = 1_000_000)]
    pub jitter_ppm: u32,
    /// Members of their data that are drawn apart from the rest, such as `amount` or `card.country`.
    #[serde(default)]
    pub apart: Vec<String>,
}

/// Events that were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MadeEvents {
    /// Where chance began.
    pub seed: u64,
    /// How many were stored.
    pub stored: u64,
    /// How many were known already.
    pub known: u64,
}

/// What a rule is, and where its answer is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RuleQuery {
    /// Conditions that all hold, such as `data.failures>=3`.
    #[serde(rename = "where")]
    pub rule: String,
    /// Where in the answer the prediction is, such as `/score`: a JSON pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// Whose events are to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetSubject {
    /// The subject, as events name it; events without one belong to nobody.
    #[schema(min_length = 1)]
    pub subject: String,
}

/// What was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ForgottenEvents {
    /// Events that are gone, with their labels.
    pub events: u64,
}

/// How many labels were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LabelledEvents {
    pub labels: u64,
}
