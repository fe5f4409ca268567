//! Triggers: what is watched of an endpoint's variants, and what is done once it is so.
//!
//! Paths: `GET|POST /v1/endpoints/{name}/triggers`,
//! `DELETE /v1/endpoints/{name}/triggers/{trigger}`, `GET /v1/endpoints/{name}/firings`.

use serde::{Deserialize, Serialize};

use types::{Mode, Name, RunId};

use crate::endpoints::GateCondition;
use crate::runs::{Judged, Load};

/// Watches something of an endpoint's variants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerSpec {
    /// No other trigger of the endpoint has it.
    pub name: Name,
    /// Of which variant; where absent, of whatever is in production, or of a replay's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Name>,
    /// Of which events.
    #[serde(default)]
    pub on: TriggerOn,
    /// What has to be so.
    pub when: TriggerCondition,
    /// Over how long of live events, in milliseconds, up to now; of a budget it is the long window.
    /// A window reaches back to the beginning of ten seconds, and one of more than an hour to that of
    /// five minutes. Absent for replays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// How predictions are read out of captured answers, where it is watched how right answers to live
    /// events are. A replay says so itself.
    #[serde(default, skip_serializing_if = "Judged::is_default")]
    pub judged: Judged,
    /// What is done, in this order; at most one of them changes how variants are used.
    pub then: Vec<TriggerAction>,
}

/// Of which events a trigger is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TriggerOn {
    /// Those that customers send, within a window.
    #[default]
    Live,
    /// Those of a replay, once it has come to its end and may be believed.
    Replay,
}

/// What has to be so for a trigger to fire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerCondition {
    /// What is measured is at most or at least so much, as in a gate.
    Is(GateCondition),
    /// An error budget is spent too fast.
    Burns(TriggerBurn),
    /// By right and wrong answers to the same events of a replay the variant is surely worse than what
    /// is in production, or, where it is that, than another one: by mistake in one replay of twenty at
    /// most.
    Worse {},
}

/// How much of which error budget is too much: judged over the window and over its twelfth part, in
/// both of which more has to go badly than the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerBurn {
    /// The part of events that is to go well, in millionths.
    pub objective_ppm: u32,
    /// The time that the objective is for, in milliseconds.
    pub period_ms: u64,
    /// The part of the whole period's budget that the window must not spend, in millionths.
    pub budget_ppm: u32,
}

/// What a trigger does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TriggerAction {
    /// Tells a URL, by a signed request with what was seen.
    Webhook { url: String },
    /// Tells an address, by an e-mail.
    Email { to: String },
    /// Has the variants used again as they were before the newest change.
    Revert {},
    /// Puts the trigger's variant into test.
    Out {},
    /// Uses a variant in production, or by a share.
    Deploy {
        variant: Name,
        mode: Mode,
        #[serde(default)]
        share_bp: u32,
        /// How long it bakes, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        for_ms: Option<u64>,
    },
    /// Sends the window's events of a stream to variants, beside no customer.
    Replay {
        stream: Name,
        /// The candidate the first; all that are ready where none is named.
        #[serde(default)]
        variants: Vec<Name>,
        /// Evenly, in millionths of an event per second; as recorded where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate_uhz: Option<u64>,
    },
    /// Has the model trained anew that the variant answers with which was seen: as it was trained last,
    /// by the newest versions of its algorithm and data sets.
    Retrain {},
    /// Has a replay sent anew with another rate, pattern or time: the one that was judged, or, of live
    /// events, those of the endpoint that are under way, which are stopped. At most eight follow each
    /// other by such changes, with the same seed.
    Change {
        /// When events are sent instead.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "crate::document::optional"
        )]
        load: Option<Load>,
        /// So many times as fast as before, in thousandths: 100 to 10,000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        times_milli: Option<u64>,
        /// For how long instead, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        for_ms: Option<u64>,
        /// For as long as so many events take, of a replay that is sent at a rate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        events: Option<u64>,
    },
}

/// Where a trigger stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TriggerState {
    /// It is watched for its condition to be so.
    Armed,
    /// What is to be done was done; it is armed again once the condition is surely not so, or the use
    /// of variants was changed.
    Fired,
    /// It is to be done, and could not be yet: it is tried again.
    Blocked,
}

/// A trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Trigger {
    pub spec: TriggerSpec,
    pub state: TriggerState,
    /// What is seen now; absent for replays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<TriggerSeen>,
    pub created_by: String,
    pub created_at_ms: u64,
}

/// The triggers of an endpoint, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Triggers {
    pub triggers: Vec<Trigger>,
    /// By what receivers check that this cloud has told them; for those who may change triggers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<String>,
}

/// What a trigger saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TriggerSeen {
    /// Of which variant; absent where none could be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Name>,
    /// `holds`, `fails` or `not_known`.
    pub judgement: String,
    /// The metric, its value and the threshold, in words.
    pub words: String,
    /// The value is no less than this, in the metric's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<i64>,
    /// And no more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper: Option<i64>,
    /// Requests that came to an end within the window, or in the replay; of how right answers to live
    /// events are, those whose label is known.
    pub requests: u64,
    /// Those without a good answer; of how right answers are, those without a right one.
    pub failures: u64,
}

/// A trigger that fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Firing {
    /// Counts the endpoint's firings from 1.
    pub number: u64,
    pub trigger: Name,
    pub at_ms: u64,
    /// The replay that it was of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    pub saw: TriggerSeen,
    pub did: Vec<TriggerDid>,
}

/// What a firing did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TriggerDid {
    pub action: TriggerAction,
    pub outcome: TriggerOutcome,
    /// What came of it, in words.
    pub words: String,
}

/// What became of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TriggerOutcome {
    /// It was done.
    Done,
    /// It is to be done, and is tried again.
    Waiting,
    /// It was given up.
    Failed,
}
