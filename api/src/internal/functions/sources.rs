//! Sources of functions, between control and the gateways that hold their streams.

use serde::{Deserialize, Serialize};

use types::{AccountId, EventId, FunctionId, Name, SourceId, StreamId};

use crate::functions::sources::SourceSpec;

/// A source as a gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRoute {
    pub source: SourceId,
    pub account: AccountId,
    pub account_name: Name,
    pub function: FunctionId,
    pub qualifier: String,
    pub stream: StreamId,
    pub spec: SourceSpec,
    pub generation: u64,
    pub created_at_ms: u64,
    /// The number of the first event that is not done, as control was told last; 0 before. It counts
    /// only where the gateway has lost its own.
    #[serde(default)]
    pub next_event: u64,
}

/// The types of events that a stream gets as a destination: of what a function answered, what it
/// failed, and what a source gave up.
pub const TELLING_TYPES: [&str; 3] =
    ["freehold.function.answered", "freehold.function.failed", "freehold.source.given-up"];
/// The attribute of these that says how many destinations were told one after the other, this one
/// with them.
pub const TOLD: &str = "told";

/// How far a source is: part of a usage report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceCount {
    pub source: SourceId,
    /// Since the last report.
    pub delivered: u64,
    pub filtered: u64,
    pub given_up: u64,
    /// The number of the first event that is not done.
    pub next_event: u64,
    /// `OK`, or what went wrong.
    pub result: String,
}

/// Events of a source that are given up: `POST /internal/v1/sources/{source}/given-up`. Whoever is to
/// be told of it is an event of control's before the answer. Repeating it changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenUp {
    /// The same for the same events of the same source.
    pub id: EventId,
    /// `RetryAttemptsExhausted` or `RecordAgeExceeded`.
    pub condition: String,
    /// Numbers of the first and the last of them, and how many they are.
    pub first: u64,
    pub last: u64,
    pub count: u64,
    /// When the first and the last were accepted, in milliseconds.
    pub first_at_ms: u64,
    pub last_at_ms: u64,
    /// How often the function was called with the first of them.
    pub attempts: u32,
    /// What the function failed with last, such as `Function.ValueError`; absent where it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was said of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How many destinations were told one after the other before these events came, at most.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub told: u32,
    /// What the function was given, where that is no larger than an event that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives it so")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}
