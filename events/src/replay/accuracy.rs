//! Accuracy of a run's predictions, and how two variants agree, from its records.
//!
//! Always true: only the first copy of an event counts, once for each variant; what has no answer or
//! no label is told and not counted; memory does not grow with records.
//! Absent on purpose: verdicts.

use std::collections::BTreeMap;

use policy::accuracy::{Calibration, Classes, Scores};
use policy::evidence::paired::Pairs;
use serde::Serialize;

use super::record::{Outcome, Record};

/// Most records that wait for that of the other variant: more are never under way.
const WAITING_MAX: usize = 131_072;

/// How right a variant is.
#[derive(Clone, Debug, Default)]
pub struct Accuracy {
    /// The class that scores speak for.
    positive: String,
    /// Which class was predicted where which one was right.
    pub classes: Classes,
    /// How well scores tell the class from others.
    pub scores: Scores,
    /// Whether scores are chances.
    pub calibration: Calibration,
    /// Events that count.
    pub events: u64,
    /// Events with a label whose answer has neither a class nor a score, or did not come.
    pub unanswered: u64,
    /// Events without a label.
    pub unlabelled: u64,
}

impl Accuracy {
    /// Nothing yet; scores are those of this class.
    pub fn new(positive: &str) -> Self {
        Self { positive: positive.to_owned(), ..Self::default() }
    }

    /// Counts a record of the variant.
    pub fn add(&mut self, record: &Record) {
        if record.copy > 0 || !record.outcome.is_sent() {
            return;
        }
        let answered = record.outcome == Outcome::Ok;
        let predicted = record.class.is_some() || record.score.is_some();
        let Some(label) = record.label.as_deref() else {
            // Labels are told with answers; what has none of either is unanswered.
            let count = if answered { &mut self.unlabelled } else { &mut self.unanswered };
            *count += 1;
            return;
        };
        if !answered || !predicted {
            self.unanswered += 1;
            return;
        }
        self.events += 1;
        if let Some(class) = record.class.as_deref() {
            self.classes.learn(label, class);
        }
        if let Some(score) = record.score {
            self.scores.learn(score, label == self.positive);
            self.calibration.learn(score, label == self.positive);
        }
    }

    /// Adds what was counted elsewhere, of the same class.
    pub fn merge(&mut self, other: &Self) {
        self.classes.merge(&other.classes);
        self.scores.merge(&other.scores);
        self.calibration.merge(&other.calibration);
        self.events += other.events;
        self.unanswered += other.unanswered;
        self.unlabelled += other.unlabelled;
    }
}

/// How two variants agree on the same events.
#[derive(Clone, Debug)]
pub struct Agreement {
    incumbent: u16,
    candidate: u16,
    waiting: BTreeMap<u64, Record>,
    /// What was counted.
    pub counts: Agreed,
    /// Which class the candidate predicted where which one the incumbent did.
    pub classes: Classes,
}

/// Counts of events that both had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Agreed {
    /// Both answered, and told a class or a body.
    pub both: u64,
    /// Their bodies were the same.
    pub same_bodies: u64,
    /// Only one of both answered.
    pub one: u64,
    /// Neither did.
    pub neither: u64,
    /// The other's record did not come.
    pub alone: u64,
    /// Which of both was wrong, of events with a label: what paired evidence is made of. An answer
    /// that did not come is wrong.
    pub pairs: Pairs,
}

impl Agreement {
    /// Nothing yet, of these two variants' places.
    pub fn new(incumbent: u16, candidate: u16) -> Self {
        let (waiting, counts) = (BTreeMap::new(), Agreed::default());
        Self { incumbent, candidate, waiting, counts, classes: Classes::default() }
    }

    /// Takes a record of any variant.
    pub fn add(&mut self, record: &Record) {
        let is_one = record.variant == self.incumbent || record.variant == self.candidate;
        if record.copy > 0 || !is_one {
            return;
        }
        match self.waiting.remove(&record.number) {
            Some(other) if other.variant == self.incumbent => self.pair(&other, record),
            Some(other) => self.pair(record, &other),
            None => {
                self.waiting.insert(record.number, record.clone());
                if self.waiting.len() > WAITING_MAX {
                    self.waiting.pop_first();
                    self.counts.alone += 1;
                }
            }
        }
    }

    fn pair(&mut self, incumbent: &Record, candidate: &Record) {
        let is_ok = |record: &Record| record.outcome == Outcome::Ok;
        match (is_ok(incumbent), is_ok(candidate)) {
            (true, true) => {
                self.counts.both += 1;
                let same = incumbent.answer_crc == candidate.answer_crc;
                self.counts.same_bodies += u64::from(same);
                if let (Some(one), Some(other)) = (&incumbent.class, &candidate.class) {
                    self.classes.learn(one, other);
                }
            }
            (false, false) => self.counts.neither += 1,
            _ => self.counts.one += 1,
        }
        if let Some(label) = incumbent.label.as_ref().or(candidate.label.as_ref()) {
            let is_wrong = |record: &Record| record.class.as_ref() != Some(label);
            self.counts.pairs.learn(is_wrong(candidate), is_wrong(incumbent));
        }
    }
}

#[cfg(test)]
mod tests;
