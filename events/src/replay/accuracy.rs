//! Accuracy of a run's predictions, and how two variants agree, from its records.
//!
//! Always true: only the first copy of an event counts, once for each variant; what has a label and
//! no good answer, or no prediction in it, is wrong; what has no label is told and not counted; memory
//! does not grow with records.
//! Absent on purpose: verdicts.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::accuracy::{Calibration, Classes, Estimate, Scores};
use policy::evidence::paired::Pairs;
use serde::Serialize;

use super::record::{Outcome, Record};

/// Most records that wait for that of the other variant: more are never under way.
const WAITING_MAX: usize = 131_072;
/// The class that scores speak for, where none is said; tables write it in several ways.
const POSITIVE: &str = "true";
const POSITIVE_TOO: [&str; 2] = ["1", "1.0"];
/// Parts per million of the whole.
const WHOLE_PPM: f64 = 1_000_000.0;
/// From where on a score says the positive class, where nothing is said.
const THRESHOLD: f64 = 0.5;

/// What predictions and labels mean to each other.
#[derive(Clone, Debug)]
pub struct Terms {
    threshold: f64,
    positive: Arc<str>,
    negative: Arc<str>,
    /// The positive class, where its word is a number: models and tables write one in several ways.
    number: Option<f64>,
    /// Words are of two classes too.
    is_two: bool,
    /// Numbers are classes, as that one is, and no scores.
    by_class: bool,
}

impl Terms {
    /// A score from the threshold on, or from a half, says the positive class. Where that one is named,
    /// all other words are one class; else each is its own. Where it is a number and no threshold is
    /// said, numbers are classes.
    pub fn new(threshold: Option<f64>, positive: Option<&str>) -> Self {
        let word = positive.unwrap_or(POSITIVE);
        let negative = if word == POSITIVE { "false".into() } else { format!("not {word}").into() };
        let number = positive.and_then(number);
        let by_class = threshold.is_none() && number.is_some();
        let (threshold, is_two) = (threshold.unwrap_or(THRESHOLD), positive.is_some());
        Self { threshold, positive: word.into(), negative, number, is_two, by_class }
    }

    /// As [`Self::new`], with the threshold in parts per million.
    pub fn of_ppm(threshold_ppm: Option<i64>, positive: Option<&str>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "parts per million of a score")]
        let threshold = threshold_ppm.map(|ppm| ppm as f64 / WHOLE_PPM);
        Self::new(threshold, positive)
    }

    /// The class that scores speak for.
    pub fn positive(&self) -> &str {
        &self.positive
    }

    /// The class that is predicted, if any is.
    pub fn predicted<'a>(&'a self, score: Option<f64>, class: Option<&'a str>) -> Option<&'a str> {
        match (self.score(score), class) {
            (Some(score), _) => Some(self.one_of_two(score >= self.threshold)),
            (None, Some(class)) if self.is_two => Some(self.one_of_two(self.is_positive(class))),
            (None, class) => class,
        }
    }

    /// A number, where numbers are scores.
    fn score(&self, score: Option<f64>) -> Option<f64> {
        score.filter(|_| !self.by_class)
    }

    /// Whether a label, or a word that was predicted, is the positive class.
    pub fn is_positive(&self, word: &str) -> bool {
        let means_it = || word.eq_ignore_ascii_case(POSITIVE) || POSITIVE_TOO.contains(&word);
        let is_number = || self.number.is_some() && number(word) == self.number;
        *word == *self.positive || (*self.positive == *POSITIVE && means_it()) || is_number()
    }

    /// The class of a label, beside such a prediction.
    pub fn class_of<'a>(&'a self, label: &'a str, score: Option<f64>) -> &'a str {
        let is_two = self.is_two || self.score(score).is_some();
        if is_two { self.one_of_two(self.is_positive(label)) } else { label }
    }

    /// Whether a prediction is right; none where there is no prediction.
    pub fn is_right(&self, score: Option<f64>, class: Option<&str>, label: &str) -> Option<bool> {
        let predicted = self.predicted(score, class)?;
        Some(predicted == self.class_of(label, score))
    }

    fn one_of_two(&self, is_positive: bool) -> &str {
        if is_positive { &self.positive } else { &self.negative }
    }
}

/// The number that a word is.
fn number(word: &str) -> Option<f64> {
    word.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// How right a variant is.
#[derive(Clone, Debug)]
pub struct Accuracy {
    terms: Arc<Terms>,
    /// Which class was predicted where which one was right, where one was.
    predicted: Classes,
    /// Labels where none was. Only when all is counted it is known what classes they are of.
    unpredicted: Classes,
    /// How many of them are the positive class.
    unpredicted_positives: u64,
    /// How well scores tell the class from others.
    pub scores: Scores,
    /// Whether scores are chances.
    pub calibration: Calibration,
    /// Scores of events without a label.
    pub estimate: Estimate,
    /// Events that count.
    pub events: u64,
    /// Events whose answer did not come, or was not good.
    pub unanswered: u64,
    /// Events with a good answer that has neither a class nor a score.
    pub unread: u64,
    /// Events with a prediction and without a label.
    pub unlabelled: u64,
}

impl Accuracy {
    /// Nothing yet, in these terms.
    pub fn new(terms: Arc<Terms>) -> Self {
        Self {
            terms,
            predicted: Classes::default(),
            unpredicted: Classes::default(),
            unpredicted_positives: 0,
            scores: Scores::default(),
            calibration: Calibration::default(),
            estimate: Estimate::default(),
            events: 0,
            unanswered: 0,
            unread: 0,
            unlabelled: 0,
        }
    }

    /// The terms that it counts in.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Which class was predicted where which one was right.
    pub fn classes(&self) -> Classes {
        let mut all = self.predicted.clone();
        // Labels of scored variants are of two classes, whoever did not score.
        if self.terms.is_two || self.scores.events() != (0, 0) {
            let (events, positives) = (self.unpredicted.events(), self.unpredicted_positives);
            all.learn_unpredicted(&self.terms.positive, positives);
            all.learn_unpredicted(&self.terms.negative, events - positives);
        } else {
            all.merge(&self.unpredicted);
        }
        all
    }

    /// Counts a record of the variant.
    pub fn add(&mut self, record: &Record) {
        if record.copy > 0 || !record.outcome.is_sent() {
            return;
        }
        let is_ok = record.outcome == Outcome::Ok;
        self.learn(is_ok, (record.score, record.class.as_deref()), record.label.as_deref());
    }

    /// Counts an event that was answered well or not: what the answer predicted, as a number and as a
    /// word, and what was right.
    pub fn learn(&mut self, is_ok: bool, said: (Option<f64>, Option<&str>), label: Option<&str>) {
        let terms = Arc::clone(&self.terms);
        let predicted = terms.predicted(said.0, said.1);
        let Some(predicted) = predicted.filter(|_| is_ok) else {
            self.unanswered += u64::from(!is_ok);
            self.unread += u64::from(is_ok);
            if let Some(label) = label {
                self.events += 1;
                self.unpredicted.learn_unpredicted(label, 1);
                self.unpredicted_positives += u64::from(terms.is_positive(label));
            }
            return;
        };
        let score = terms.score(said.0);
        let Some(label) = label else {
            self.unlabelled += 1;
            if let Some(score) = score {
                self.estimate.learn(score, predicted == terms.positive());
            }
            return;
        };
        self.events += 1;
        self.predicted.learn(terms.class_of(label, score), predicted);
        if let Some(score) = score {
            let is_positive = terms.is_positive(label);
            self.scores.learn(score, is_positive);
            self.calibration.learn(score, is_positive);
        }
    }

    /// Adds what was counted elsewhere, in the same terms.
    pub fn merge(&mut self, other: &Self) {
        self.predicted.merge(&other.predicted);
        self.unpredicted.merge(&other.unpredicted);
        self.unpredicted_positives += other.unpredicted_positives;
        self.scores.merge(&other.scores);
        self.calibration.merge(&other.calibration);
        self.estimate.merge(&other.estimate);
        self.events += other.events;
        self.unanswered += other.unanswered;
        self.unread += other.unread;
        self.unlabelled += other.unlabelled;
    }
}

/// How two variants agree on the same events.
#[derive(Clone, Debug)]
pub struct Agreement {
    terms: Arc<Terms>,
    incumbent: u16,
    candidate: u16,
    waiting: BTreeMap<u64, (u16, Said)>,
    /// What was counted.
    pub counts: Agreed,
    /// Which class the candidate predicted where which one the incumbent did.
    pub classes: Classes,
}

/// What is kept of a record until the other one comes.
#[derive(Clone, Debug)]
struct Said {
    is_sent: bool,
    is_ok: bool,
    crc: Option<u32>,
    class: Option<Arc<str>>,
    /// Whether it was right, of an event with a label; what has no prediction was not.
    right: Option<bool>,
}

/// Counts of events that both had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Agreed {
    /// Both answered.
    pub both: u64,
    /// Their bodies were the same.
    pub same_bodies: u64,
    /// Only one of both answered.
    pub one: u64,
    /// Neither did.
    pub neither: u64,
    /// The other's record did not come, or it was not sent: no variant's fault.
    pub alone: u64,
    /// Which of both was wrong, of events with a label: what paired evidence is made of. Where only
    /// one answered well, the other was wrong.
    pub pairs: Pairs,
    /// Both were wrong.
    pub both_wrong: u64,
}

impl Agreement {
    /// Nothing yet, of these two variants' places.
    pub fn new(incumbent: u16, candidate: u16, terms: Arc<Terms>) -> Self {
        let (waiting, counts) = (BTreeMap::new(), Agreed::default());
        Self { terms, incumbent, candidate, waiting, counts, classes: Classes::default() }
    }

    /// Takes a record of any variant.
    pub fn add(&mut self, record: &Record) {
        let is_one = record.variant == self.incumbent || record.variant == self.candidate;
        if record.copy > 0 || !is_one {
            return;
        }
        let said = self.said(record);
        match self.waiting.remove(&record.number) {
            Some((variant, other)) if variant == self.incumbent => self.pair(&other, &said),
            Some((_, other)) => self.pair(&said, &other),
            None => {
                self.waiting.insert(record.number, (record.variant, said));
                if self.waiting.len() > WAITING_MAX {
                    self.waiting.pop_first();
                    self.counts.alone += 1;
                }
            }
        }
    }

    fn said(&self, record: &Record) -> Said {
        let is_ok = record.outcome == Outcome::Ok;
        let (score, class) = (record.score, record.class.as_deref());
        let predicted = self.terms.predicted(score, class).filter(|_| is_ok);
        let right = record.label.as_deref().map(|label| {
            predicted.is_some_and(|predicted| predicted == self.terms.class_of(label, score))
        });
        let is_sent = record.outcome.is_sent();
        Said { is_sent, is_ok, crc: record.answer_crc, class: predicted.map(Arc::from), right }
    }

    fn pair(&mut self, incumbent: &Said, candidate: &Said) {
        if !incumbent.is_sent || !candidate.is_sent {
            self.counts.alone += 1;
            return;
        }
        match (incumbent.is_ok, candidate.is_ok) {
            (true, true) => {
                self.counts.both += 1;
                self.counts.same_bodies += u64::from(incumbent.crc == candidate.crc);
                if let (Some(one), Some(other)) = (&incumbent.class, &candidate.class) {
                    self.classes.learn(one, other);
                }
            }
            (false, false) => self.counts.neither += 1,
            _ => self.counts.one += 1,
        }
        // Both have the label; a record of a leg that told it with answers only is wrong without one.
        if incumbent.right.is_some() || candidate.right.is_some() {
            let is_wrong = |said: &Said| said.right != Some(true);
            let (candidate, incumbent) = (is_wrong(candidate), is_wrong(incumbent));
            self.counts.pairs.learn(candidate, incumbent);
            self.counts.both_wrong += u64::from(candidate && incumbent);
        }
    }
}

#[cfg(test)]
mod tests;
