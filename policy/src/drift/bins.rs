//! Bins: the values of a field, in as few places as their reference fills.
//!
//! Always true: every value has a place, also one that the reference never had; there are at most
//! [`NUMBERS_MAX`] places of numbers and [`WORDS_MAX`] of words, and three more.

use std::collections::BTreeMap;

/// Most places of numbers: each has about as many of the reference as the others.
const NUMBERS_MAX: usize = 32;
/// Most words with a place of their own, the most frequent ones.
const WORDS_MAX: usize = 32;
/// The place of events that have no value.
pub(super) const MISSING: usize = 0;

/// The value of a field in an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// It has none, or one that is neither.
    Missing,
    /// A number; what is no number is as good as missing.
    Number(f64),
    /// A word.
    Word(&'a str),
    /// What it is may be found out later: the event is passed over.
    Unknown,
}

/// Where values have their places: what is missing, then numbers, then words, then other words.
#[derive(Clone, Debug, Default)]
pub(super) struct Bins {
    /// The largest number of each place but the last, which has no end.
    numbers: Vec<f64>,
    /// In their order.
    words: Vec<String>,
}

impl Bins {
    /// Places that these values fill.
    pub(super) fn of<'a>(values: impl IntoIterator<Item = Value<'a>>) -> Self {
        let mut numbers = Vec::new();
        let mut words: BTreeMap<&str, u64> = BTreeMap::new();
        for value in values {
            match value {
                Value::Number(number) if !number.is_nan() => numbers.push(number),
                Value::Word(word) => *words.entry(word).or_default() += 1,
                _ => {}
            }
        }
        numbers.sort_unstable_by(f64::total_cmp);
        let at = |part: usize| (numbers.len() * part).div_ceil(NUMBERS_MAX).max(1) - 1;
        let mut ends: Vec<f64> =
            (1..=NUMBERS_MAX).filter_map(|part| numbers.get(at(part)).copied()).collect();
        ends.dedup_by(|one, other| one.total_cmp(other).is_eq());
        let mut frequent: Vec<(&str, u64)> = words.into_iter().collect();
        frequent.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), *word));
        let mut words: Vec<String> =
            frequent.iter().take(WORDS_MAX).map(|(word, _)| (*word).to_owned()).collect();
        words.sort_unstable();
        Self { numbers: ends, words }
    }

    /// How many places there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len() + self.words.len() + 3
    }

    /// The place of a value.
    pub(super) fn place(&self, value: &Value<'_>) -> usize {
        match value {
            Value::Number(number) if !number.is_nan() => {
                MISSING + 1 + self.numbers.partition_point(|end| end < number)
            }
            Value::Word(word) => {
                let first = MISSING + 2 + self.numbers.len();
                let known = self.words.binary_search_by(|known| known.as_str().cmp(word));
                first + known.unwrap_or(self.words.len())
            }
            _ => MISSING,
        }
    }
}

/// In which of so many equal parts of 0 to 1 a rank lies.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a few parts of a whole"
)]
pub(super) fn cell(rank: f64, cells: usize) -> usize {
    ((rank * cells as f64) as usize).min(cells - 1)
}
