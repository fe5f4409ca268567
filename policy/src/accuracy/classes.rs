//! Classes: which of some words was predicted where which one was right.
//!
//! The same table tells how two candidates agree, where the words of one stand for what is right.
//!
//! Always true: counts are exact; there are never more than [`CLASSES_MAX`] classes; what is told of
//! classes is of these, and not of all others together, nor of what was not predicted; how often the
//! prediction was right is of all. Absent on purpose: what the words mean.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ratio;
use crate::evidence::float;

/// Most classes that are told apart: a table of more has no use to anybody who reads it.
pub const CLASSES_MAX: usize = 256;
/// Stands for every class beyond.
pub const OTHERS: &str = "(others)";
/// What is predicted where nothing is: no class, whatever words there are.
pub const UNPREDICTED: &str = "(none)";

/// Counts of pairs of words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Classes {
    /// Words that are told apart, in the order in which they came.
    words: Vec<String>,
    /// By what was right, and by what was predicted; places among the words, and the two below.
    #[serde(skip)]
    places: BTreeMap<String, u16>,
    cells: BTreeMap<u16, BTreeMap<u16, u64>>,
    /// Events whose prediction was right, of whichever class.
    #[serde(skip)]
    right: u64,
}

/// The place of all words that have none of their own.
const OTHERS_PLACE: u16 = u16::MAX;
/// The place of what was not predicted.
const UNPREDICTED_PLACE: u16 = u16::MAX - 1;

/// How one class is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// It was right and predicted.
    pub both: u64,
    /// It was predicted.
    pub predicted: u64,
    /// It was right.
    pub right: u64,
}

impl Found {
    /// How often it was right where it was predicted.
    pub fn precision(self) -> Option<f64> {
        ratio(self.both, self.predicted)
    }

    /// How often it was predicted where it was right.
    pub fn recall(self) -> Option<f64> {
        ratio(self.both, self.right)
    }

    /// The harmonic mean of both; none where it was neither right nor predicted anywhere.
    pub fn f1(self) -> Option<f64> {
        ratio(self.both.saturating_mul(2), self.predicted.saturating_add(self.right))
    }
}

impl Classes {
    /// Counts an event.
    pub fn learn(&mut self, right: &str, predicted: &str) {
        self.right += u64::from(right == predicted);
        let (right, predicted) = (self.place(right), self.place(predicted));
        self.add(right, predicted, 1);
    }

    /// Counts so many events of a class of which nothing was predicted.
    pub fn learn_unpredicted(&mut self, right: &str, events: u64) {
        if events > 0 {
            let right = self.place(right);
            self.add(right, UNPREDICTED_PLACE, events);
        }
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.right += other.right;
        for (right, row) in &other.cells {
            let right = self.place(other.word(*right));
            for (predicted, count) in row {
                let predicted = match *predicted {
                    UNPREDICTED_PLACE => UNPREDICTED_PLACE,
                    place => self.place(other.word(place)),
                };
                self.add(right, predicted, *count);
            }
        }
    }

    /// What was right, what was predicted, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        let rows = self.cells.iter();
        rows.flat_map(|(right, row)| {
            row.iter().map(|(at, count)| (self.word(*right), self.word(*at), *count))
        })
    }

    /// Words that are told apart.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Events of which nothing was predicted, of classes that are asked for.
    pub fn unpredicted(&self, of: impl Fn(&str) -> bool) -> u64 {
        let rows = self.cells.iter().filter(|(right, _)| of(self.word(**right)));
        rows.filter_map(|(_, row)| row.get(&UNPREDICTED_PLACE)).sum()
    }

    /// All events.
    pub fn events(&self) -> u64 {
        self.cells.values().flat_map(BTreeMap::values).sum()
    }

    /// Those whose prediction was right, of all classes, however many there are.
    pub fn right(&self) -> u64 {
        self.right
    }

    /// How often the prediction was right.
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.right(), self.events())
    }

    /// How one class is found.
    pub fn found(&self, word: &str) -> Found {
        let Some(place) = self.places.get(word) else { return Found::default() };
        let of = |row: &BTreeMap<u16, u64>| row.get(place).copied().unwrap_or(0);
        let row = self.cells.get(place);
        Found {
            both: row.map_or(0, of),
            predicted: self.cells.values().map(of).sum(),
            right: row.map_or(0, |row| row.values().sum()),
        }
    }

    /// The mean F1 of all classes that were right or predicted anywhere, each with the same weight.
    pub fn macro_f1(&self) -> Option<f64> {
        let all: Vec<f64> = self.words.iter().filter_map(|word| self.found(word).f1()).collect();
        let sum: f64 = all.iter().sum();
        (!all.is_empty()).then(|| sum / float(all.len() as u64))
    }

    /// By how much both agree beyond what they would by chance: 1 always, 0 as often as by chance.
    ///
    /// None where chance alone would always agree. Source: Cohen's kappa, 1960.
    pub fn kappa(&self) -> Option<f64> {
        let events = float(self.events());
        let by_chance: f64 = self
            .words
            .iter()
            .map(|word| self.found(word))
            .map(|found| float(found.predicted) / events * (float(found.right) / events))
            .sum();
        // Of classes that are not told apart it is not known what chance would come to.
        let told = self.cells.iter().filter(|(at, _)| **at != OTHERS_PLACE);
        let same = told.map(|(at, row)| row.get(at).copied().unwrap_or(0)).sum();
        let agree = ratio(same, self.events())?;
        (by_chance < 1.0).then(|| (agree - by_chance) / (1.0 - by_chance))
    }

    fn place(&mut self, word: &str) -> u16 {
        if let Some(place) = self.places.get(word) {
            return *place;
        }
        if self.words.len() >= CLASSES_MAX || word == OTHERS {
            return OTHERS_PLACE;
        }
        let place = u16::try_from(self.words.len()).unwrap_or(OTHERS_PLACE);
        self.words.push(word.to_owned());
        self.places.insert(word.to_owned(), place);
        place
    }

    fn word(&self, place: u16) -> &str {
        if place == UNPREDICTED_PLACE {
            return UNPREDICTED;
        }
        self.words.get(usize::from(place)).map_or(OTHERS, String::as_str)
    }

    fn add(&mut self, right: u16, predicted: u16, count: u64) {
        let cell = self.cells.entry(right).or_default().entry(predicted).or_default();
        *cell = cell.saturating_add(count);
    }
}

#[cfg(test)]
mod tests;
