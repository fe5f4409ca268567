//! Gates: what must hold before a candidate may go on, condition by condition.
//!
//! A value is known within bounds. A condition holds where all of what is possible does, fails where
//! none does, and is not known yet in between, or without a value.
//!
//! Always true: every condition is told with its value and its threshold beside it; a run that is
//! invalid opens no gate; nothing opens while anything is not known; exact integers.
//! Absent on purpose: how values come about, and carrying the outcome out.

mod bounds;
pub mod paired;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evidence::verdict::Answer;

pub use bounds::{Bounds, Threshold, Value};

/// Conditions of one gate: as many as one page shows.
pub const CONDITIONS_MAX: usize = 50;

/// What must hold, and what happens then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// All of them must.
    pub conditions: Vec<Condition>,
    /// Who promotes then.
    pub promotion: Promotion,
}

/// Who promotes a candidate whose conditions hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promotion {
    /// The cloud, by itself.
    Automatic,
    /// A person, after review.
    ByHand,
}

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// A metric has a limit.
    Metric {
        /// Its name.
        metric: String,
        /// Of which events.
        scope: Scope,
        /// Its limit.
        limit: Limit,
    },
    /// The verdict is to promote.
    Verdict,
}

/// Of which events a metric is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All of them.
    All,
    /// Those of one region.
    Region(String),
    /// Those of each region that has any, one by one; there has to be one.
    EachRegion,
    /// Those of one group.
    Group(String),
    /// Those of each group that has any, as of regions.
    EachGroup,
}

/// Of which events a value is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// All of them.
    All,
    /// Those of a region.
    Region(String),
    /// Those of a group.
    Group(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Region(region) => write!(f, " in {region}"),
            Self::Group(group) => write!(f, " of the group {group}"),
        }
    }
}

/// What a metric is held against, in its own unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// No more than this.
    AtMost(i64),
    /// No less.
    AtLeast(i64),
    /// No more than so many parts per million of the incumbent's: 1,100,000 for a tenth more.
    AtMostOfIncumbent(u32),
    /// No less than so many.
    AtLeastOfIncumbent(u32),
}

/// Why a gate cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would let everything pass.
    #[error("a gate without conditions would let everything pass: name at least one")]
    Open,
    /// More than [`CONDITIONS_MAX`].
    #[error("the gate has {count} conditions, and may have {CONDITIONS_MAX}: leave some out")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The same one twice.
    #[error("condition {number} is there twice: leave one out")]
    Twice {
        /// The second one's number, from 1.
        number: usize,
    },
}

impl Gate {
    /// Says whether it can be.
    ///
    /// # Errors
    ///
    /// [`Refusal`], with the first reason.
    pub fn check(&self) -> Result<(), Refusal> {
        let count = self.conditions.len();
        if count == 0 {
            return Err(Refusal::Open);
        }
        if count > CONDITIONS_MAX {
            return Err(Refusal::TooMany { count });
        }
        let twice = |place: &usize| self.conditions[..*place].contains(&self.conditions[*place]);
        match (1..count).find(twice) {
            Some(place) => Err(Refusal::Twice { number: place + 1 }),
            None => Ok(()),
        }
    }
}

/// Whether a run may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Run {
    /// It held its rate, lost nothing and lasted long enough.
    Valid,
    /// It did not.
    Invalid {
        /// In words.
        reasons: Vec<String>,
    },
}

/// Which value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The metric's name.
    pub metric: String,
    /// Of which events.
    pub place: Place,
}

/// What is known of one metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The candidate's value.
    pub candidate: Value,
    /// The incumbent's.
    pub incumbent: Value,
}

/// All that a gate judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The run that the values are of.
    pub run: Run,
    /// The values.
    pub values: BTreeMap<Key, Pair>,
    /// The verdict on the candidate; `None` where nothing was judged.
    pub verdict: Option<Answer>,
    /// How many more events like those so far it takes to promote; `None` where they would not.
    pub events_more: Option<u64>,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It does.
    Holds,
    /// It may.
    NotKnown,
    /// It does not.
    Fails,
}

/// A condition, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The condition's number in the gate, from 1.
    pub number: usize,
    /// What was judged.
    pub subject: Subject,
    /// How.
    pub judgement: Judgement,
}

/// What was judged, with value and threshold beside each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A metric.
    Metric {
        /// Its name.
        metric: String,
        /// Of which events.
        place: Place,
        /// What is known of the candidate's value.
        value: Value,
        /// What it was held against; `None` where the incumbent's value is not known.
        threshold: Option<Threshold>,
        /// As it was set.
        limit: Limit,
    },
    /// A condition on each region or group, of which there is none.
    NoPlace {
        /// The metric's name.
        metric: String,
        /// Whether groups are meant, and not regions.
        groups: bool,
    },
    /// The verdict, which has to be to promote.
    Verdict {
        /// What it is; `None` where nothing was judged.
        value: Option<Answer>,
        /// How many more events like those so far it takes; `None` where they would not do.
        events_more: Option<u64>,
    },
}

/// What becomes of the candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All holds, and the cloud promotes it.
    Promote,
    /// All holds, and a person is to look at it.
    Review,
    /// Something is not known yet, and nothing fails.
    Wait,
    /// Something fails.
    Closed,
    /// The run cannot be used, whatever its values.
    Refused {
        /// Why, in words.
        reasons: Vec<String>,
    },
}

/// A gate, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// What becomes of the candidate.
    pub outcome: Outcome,
    /// Each condition, in the gate's order, and in that of regions.
    pub lines: Vec<Line>,
}

/// Judges a gate. One without conditions never opens.
pub fn judge(gate: &Gate, snapshot: &Snapshot) -> Judged {
    let mut lines = Vec::new();
    for (place, condition) in gate.conditions.iter().enumerate() {
        for (subject, judgement) in subjects(condition, snapshot) {
            lines.push(Line { number: place + 1, subject, judgement });
        }
    }
    let worst = lines.iter().map(|line| line.judgement).max();
    let outcome = match (&snapshot.run, worst, gate.promotion) {
        (Run::Invalid { reasons }, _, _) => Outcome::Refused { reasons: reasons.clone() },
        (Run::Valid, Some(Judgement::Fails), _) => Outcome::Closed,
        (Run::Valid, Some(Judgement::NotKnown) | None, _) => Outcome::Wait,
        (Run::Valid, Some(Judgement::Holds), Promotion::Automatic) => Outcome::Promote,
        (Run::Valid, Some(Judgement::Holds), Promotion::ByHand) => Outcome::Review,
    };
    Judged { outcome, lines }
}

/// Judges one condition: a line for all events, or for each region or group.
pub fn subjects(condition: &Condition, snapshot: &Snapshot) -> Vec<(Subject, Judgement)> {
    let Condition::Metric { metric, scope, limit } = condition else {
        let value = snapshot.verdict;
        let judgement = match value {
            Some(Answer::Promote) => Judgement::Holds,
            Some(Answer::KeepSampling) | None => Judgement::NotKnown,
            Some(Answer::Revert | Answer::Inconclusive) => Judgement::Fails,
        };
        let events_more = snapshot.events_more;
        return vec![(Subject::Verdict { value, events_more }, judgement)];
    };
    let one = |place: Place| metric_line(metric, place, *limit, snapshot);
    let groups = *scope == Scope::EachGroup;
    match scope {
        Scope::All => vec![one(Place::All)],
        Scope::Region(region) => vec![one(Place::Region(region.clone()))],
        Scope::Group(group) => vec![one(Place::Group(group.clone()))],
        Scope::EachRegion | Scope::EachGroup => {
            let meant = |place: &Place| match place {
                Place::All => false,
                Place::Region(_) => !groups,
                Place::Group(_) => groups,
            };
            let of_it = snapshot.values.keys().filter(|key| key.metric == *metric);
            let places = of_it.map(|key| &key.place).filter(|place| meant(place));
            let lines: Vec<_> = places.map(|place| one(place.clone())).collect();
            if lines.is_empty() {
                let subject = Subject::NoPlace { metric: metric.clone(), groups };
                return vec![(subject, Judgement::NotKnown)];
            }
            lines
        }
    }
}

fn metric_line(
    metric: &str,
    place: Place,
    limit: Limit,
    snapshot: &Snapshot,
) -> (Subject, Judgement) {
    let key = Key { metric: metric.to_owned(), place };
    let Pair { candidate: value, incumbent } =
        snapshot.values.get(&key).copied().unwrap_or_default();
    let threshold = limit.threshold(incumbent);
    let judgement = match (value.bounds(), threshold) {
        (Some(value), Some(threshold)) => threshold.judge(value),
        _ => Judgement::NotKnown,
    };
    let Key { metric, place } = key;
    (Subject::Metric { metric, place, value, threshold, limit }, judgement)
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = match self.judgement {
            Judgement::Holds => "holds",
            Judgement::NotKnown => "is not known yet",
            Judgement::Fails => "fails",
        };
        write!(f, "condition {} {said}: {}", self.number, self.subject)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict { value, events_more } => {
                let told = value.map_or("missing".to_owned(), |answer| answer.to_string());
                write!(f, "the verdict is {told}; promote is wanted")?;
                match (value, events_more) {
                    (Some(Answer::KeepSampling), Some(events)) => {
                        write!(f, ", which takes about {events} more events like these")
                    }
                    (Some(Answer::KeepSampling), None) => {
                        f.write_str(", which more events like these would not reach")
                    }
                    _ => Ok(()),
                }
            }
            Self::NoPlace { metric, groups } => {
                let places = if *groups { "group" } else { "region" };
                write!(f, "{metric} has no value of any {places}")
            }
            Self::Metric { metric, place, value, threshold, limit } => {
                write!(f, "{metric}{place} {value}; ")?;
                match threshold {
                    Some(threshold) => write!(f, "{threshold} is wanted"),
                    None => write!(f, "{limit} is wanted, which is not known"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
