//! Words: how text is cut, and how much a word's place counts.

use std::collections::BTreeMap;

use super::Entry;

/// Longest word that is kept; longer ones are cut.
const WORD_CHARS_MAX: usize = 40;
/// Most words of a query that are looked at.
const QUERY_WORDS_MAX: usize = 32;

/// What a word counts in each place, in thousandths.
const NAME: u64 = 4_000;
const TITLE: u64 = 3_000;
const TAG: u64 = 3_000;
const CATEGORY: u64 = 2_000;
const SUMMARY: u64 = 2_000;
const DOCUMENTATION: u64 = 500;

/// The words of an entry, each with the weight of its best place.
#[derive(Debug, Default)]
pub(super) struct Weighted(BTreeMap<String, u64>);

impl Weighted {
    pub(super) fn of(entry: &Entry) -> Self {
        let mut words = Self::default();
        let listing = &entry.listing;
        words.add(entry.name.as_str(), NAME);
        words.add(entry.account_name.as_str(), TAG);
        words.add(&listing.title, TITLE);
        words.add(&listing.tags.join(" "), TAG);
        words.add(&listing.category, CATEGORY);
        words.add(&listing.subcategory, CATEGORY);
        words.add(entry.kind.as_str(), SUMMARY);
        words.add(&listing.summary, SUMMARY);
        words.add(&listing.documentation, DOCUMENTATION);
        words
    }

    fn add(&mut self, text: &str, weight: u64) {
        for word in cut(text) {
            let slot = self.0.entry(word).or_default();
            *slot = weight.max(*slot);
        }
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The weight of a word; half of it where only the word's beginning stands there.
    pub(super) fn weight(&self, wanted: &str) -> u64 {
        if let Some(weight) = self.0.get(wanted) {
            return *weight;
        }
        if wanted.chars().count() < 3 {
            return 0;
        }
        let longer = self.0.range(wanted.to_owned()..);
        let longer = longer.take_while(|(word, _)| word.starts_with(wanted));
        longer.map(|(_, weight)| weight / 2).max().unwrap_or(0)
    }
}

/// The words of a query, without doubles.
pub(super) fn tokens(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in cut(text) {
        if words.len() < QUERY_WORDS_MAX && !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// Lower-case runs of letters and digits, singular as far as a final `s` tells.
fn cut(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(|word| {
        let word: String = word.to_lowercase().chars().take(WORD_CHARS_MAX).collect();
        match word.strip_suffix('s') {
            Some(stem) if stem.chars().count() >= 3 && !stem.ends_with('s') => stem.to_owned(),
            _ => word,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_into_lower_case_singular_words() {
        assert_eq!(tokens("Sign-in RISKS, risk; glass as"), ["sign", "in", "risk", "glass", "as"]);
    }
}
