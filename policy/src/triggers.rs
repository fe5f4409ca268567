//! Triggers: whether what is watched of a variant has come to be so, and whether something is done.
//!
//! A condition is one of a gate ([`crate::gates`]), or that an error budget burns ([`Burn`]). States:
//! armed, fired, and blocked: it is so, and what is to be done could not be yet.
//!
//! Always true: nothing is done on what is not known surely; once something was done, nothing is
//! again until the condition was surely not so; the value is told with its threshold beside it.
//! Absent on purpose: clocks, counting, and what is done.

mod arms;
mod burn;
pub mod change;
mod right;
mod seen;
mod worse;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::gates::{self, Judgement, Snapshot};

pub use arms::arms;
pub use burn::{Burn, Burning};
pub use right::{ACCURACY, LABELS_MIN, PRECISION, RECALL, RIGHT, Right};
pub use seen::{
    CONFIDENCE_PPM, ERRORS, EVENTS_MIN, LIVE, REQUESTS, RESPONSE_P50, RESPONSE_P99, Seen,
};
pub use worse::{Beside, Worse, worse};

/// Triggers of one endpoint: each of them is judged every second.
pub const TRIGGERS_MAX: usize = 20;
/// The shortest window, in milliseconds: gateways tell what they counted every second.
pub const WINDOW_MS_MIN: u64 = 10_000;
/// The longest one: three days, the longest that the rules of burning budgets have.
pub const WINDOW_MS_MAX: u64 = 3 * 24 * 3_600_000;

/// What has to be so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// What is measured is on this side of a value.
    Is(gates::Condition),
    /// Too much of an error budget is spent.
    Burns(Burn),
}

/// Where a trigger stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is watched for its condition to be so.
    Armed,
    /// What is to be done was done.
    Fired,
    /// It is to be done, and could not be yet.
    Blocked,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Armed, Self::Fired, Self::Blocked];
}

/// What is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Stay,
    /// The condition was surely not so: it is armed again.
    Arm,
    /// It fires: what is to be done is tried, for the first time.
    Fire,
    /// What could not be done is tried again.
    Again,
}

/// What is next of a trigger whose condition was judged.
pub const fn step(state: State, judgement: Judgement) -> Step {
    match (state, judgement) {
        (State::Armed, Judgement::Holds) => Step::Fire,
        (State::Blocked, Judgement::Holds) => Step::Again,
        (State::Fired | State::Blocked, Judgement::Fails) => Step::Arm,
        (State::Armed, Judgement::NotKnown | Judgement::Fails)
        | (State::Fired, Judgement::Holds | Judgement::NotKnown)
        | (State::Blocked, Judgement::NotKnown) => Step::Stay,
    }
}

/// A condition, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Whether it is so.
    pub judgement: Judgement,
    /// What was judged, the place that decided it.
    pub subject: Subject,
}

/// What was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A metric, or a verdict.
    Is(gates::Subject),
    /// A budget.
    Burns(Burning),
    /// A variant beside others.
    Worse(Worse),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(gates::Subject::Metric { metric, place, value, threshold, limit }) => {
                write!(f, "{metric}{place} {value}; ")?;
                match threshold {
                    Some(threshold) => write!(f, "{threshold} is watched for"),
                    None => write!(f, "{limit} is watched for, which is not known"),
                }
            }
            Self::Is(other) => other.fmt(f),
            Self::Burns(burning) => burning.fmt(f),
            Self::Worse(worse) => worse.fmt(f),
        }
    }
}

/// Judges a condition of a gate: it is so where it is for one of the regions or groups that it is of.
pub fn judge(condition: &gates::Condition, snapshot: &Snapshot) -> Judged {
    let lines = gates::subjects(condition, snapshot);
    // One region that is surely so is enough, and for it not to be so all have to be known.
    let rank = |judgement: Judgement| match judgement {
        Judgement::Fails => 0,
        Judgement::NotKnown => 1,
        Judgement::Holds => 2,
    };
    let best = lines.into_iter().rev().max_by_key(|(_, judgement)| rank(*judgement));
    let Some((subject, judgement)) = best else { unreachable!("a condition has a line") };
    Judged { judgement, subject: Subject::Is(subject) }
}

#[cfg(test)]
mod tests;
