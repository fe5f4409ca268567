//! The search index: every listing in memory, by its words.
//!
//! The caller feeds it from the store's changes and asks it for what an account may see. Text is
//! scored here, in integers; facts are judged and everything is ordered by `policy::ranking`.
//!
//! Always true: what a viewer may not see is never in an answer, nor counted in a score. The same
//! entries give the same answers, in whatever order they came.
//! Absent on purpose: storage; a restart reads the items again.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::RwLock;

use policy::ranking::{self, Candidate, Ranked, Wish};
use types::{AccountId, Figure, FigureName, Format, Grade, ItemId, ItemKind, Name};

use crate::listing::Listing;

mod words;

use words::{Weighted, tokens};

/// Who may see an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
    Owner,
    Accounts(BTreeSet<AccountId>),
    Everybody,
}

/// An item as the index holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub item: ItemId,
    pub account: AccountId,
    pub account_name: Name,
    pub name: Name,
    pub kind: ItemKind,
    pub newest: u32,
    pub generation: u64,
    pub created_at_ms: u64,
    pub visibility: Visibility,
    pub listing: Listing,
    /// Requests and trainings so far.
    pub uses: u64,
}

impl Entry {
    /// Whether this account may see the item.
    pub fn visible_to(&self, viewer: AccountId) -> bool {
        self.account == viewer
            || match &self.visibility {
                Visibility::Owner => false,
                Visibility::Accounts(accounts) => accounts.contains(&viewer),
                Visibility::Everybody => true,
            }
    }
}

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Words, in any order; everything where empty.
    pub text: String,
    /// The input must be of this kind or media type.
    pub format: Option<String>,
    /// Facts that must hold, and wishes that rank.
    pub wish: Wish,
    /// Most results, and most of what is near them.
    pub limit: usize,
}

/// One result.
#[derive(Clone, Debug)]
pub struct Hit {
    pub entry: Entry,
    pub score_milli: u64,
    pub reasons: Vec<String>,
}

/// An item that would be a result but for what it misses.
#[derive(Clone, Debug)]
pub struct Near {
    pub hit: Hit,
    /// The facts that do not hold, 1 to [`ranking::MISSES_MAX`].
    pub misses: Vec<String>,
}

/// What answers a query, and what nearly does.
#[derive(Clone, Debug, Default)]
pub struct Suggestions {
    /// Best first.
    pub hits: Vec<Hit>,
    /// Fewest misses first, then best first; at most [`ranking::NEAR_MAX`].
    pub near: Vec<Near>,
}

/// Every listing, by its words. Cheap to read from many threads.
#[derive(Debug, Default)]
pub struct Index {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<ItemId, (Entry, Weighted)>,
    /// In how many entries each word stands.
    holders: BTreeMap<String, u32>,
}

impl Index {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an item in, or its newer state in place of the older.
    pub fn put(&self, entry: Entry) {
        let words = Weighted::of(&entry);
        let mut state = self.state.write();
        state.remove(entry.item);
        for word in words.words() {
            *state.holders.entry(word.to_owned()).or_default() += 1;
        }
        state.entries.insert(entry.item, (entry, words));
    }

    /// Takes an item out.
    pub fn remove(&self, item: ItemId) {
        self.state.write().remove(item);
    }

    /// Puts these items in and takes all others out.
    pub fn replace(&self, entries: Vec<Entry>) {
        let mut state = State::default();
        for entry in entries {
            let words = Weighted::of(&entry);
            for word in words.words() {
                *state.holders.entry(word.to_owned()).or_default() += 1;
            }
            state.entries.insert(entry.item, (entry, words));
        }
        *self.state.write() = state;
    }

    /// How many items there are.
    pub fn count(&self) -> usize {
        self.state.read().entries.len()
    }

    /// The best items for a query that `viewer` may see, best first.
    pub fn find(&self, viewer: AccountId, query: &Query) -> Vec<Hit> {
        self.suggest(viewer, query).hits
    }

    /// The best items for a query that `viewer` may see, and those that miss little of it.
    ///
    /// Words and the input's kind are not missed: an item without them is not near.
    pub fn suggest(&self, viewer: AccountId, query: &Query) -> Suggestions {
        let state = self.state.read();
        let wanted = tokens(&query.text);
        let mut kept: Vec<&Entry> = Vec::new();
        let mut candidates = Vec::new();
        for (entry, words) in state.entries.values() {
            let fits = query.format.as_deref().is_none_or(|format| takes(entry, format));
            if !entry.visible_to(viewer) || !fits {
                continue;
            }
            let text_score_milli = state.score(&wanted, words);
            if !wanted.is_empty() && text_score_milli == 0 {
                continue;
            }
            candidates.push(candidate(entry, text_score_milli));
            kept.push(entry);
        }
        let found = ranking::suggest(&candidates, &query.wish);
        let shape = |ranked: &Ranked| hit(kept[ranked.index], ranked);
        let near = found.near.iter().take(query.limit).map(|near| Near {
            hit: shape(&near.ranked),
            misses: near.misses.iter().map(ToString::to_string).collect(),
        });
        let hits = found.answers.iter().take(query.limit).map(shape);
        Suggestions { hits: hits.collect(), near: near.collect() }
    }
}

impl State {
    fn remove(&mut self, item: ItemId) {
        let Some((_, words)) = self.entries.remove(&item) else { return };
        for word in words.words() {
            if let Some(count) = self.holders.get_mut(word) {
                *count -= 1;
                if *count == 0 {
                    self.holders.remove(word);
                }
            }
        }
    }

    /// How well an entry's words answer the wanted ones, in thousandths.
    ///
    /// Each wanted word brings the weight of its best place times its rarity; what is missing
    /// lowers the whole by its share, so that an entry with all words stands before one with some.
    fn score(&self, wanted: &[String], words: &Weighted) -> u64 {
        if wanted.is_empty() {
            return 0;
        }
        let (mut sum, mut found) = (0_u64, 0_u64);
        for word in wanted {
            let weight = words.weight(word);
            if weight > 0 {
                found += 1;
                sum += weight * self.rarity(word);
            }
        }
        sum * found / (wanted.len() as u64 * wanted.len() as u64)
    }

    /// One and the number of halvings from all entries to those that hold the word.
    fn rarity(&self, word: &str) -> u64 {
        let all = self.entries.len() as u64 + 1;
        let holders = u64::from(self.holders.get(word).copied().unwrap_or(0)) + 1;
        u64::from((all / holders).max(1).ilog2()) + 1
    }
}

/// Whether an entry's input is of this kind (`tensors`, `table`, `json`) or media type.
fn takes(entry: &Entry, wanted: &str) -> bool {
    match &entry.listing.input {
        None => false,
        Some(Format::Tensors { .. }) => wanted == "tensors",
        Some(Format::Table { .. }) => wanted == "table" || wanted == "text/csv",
        Some(Format::Json { .. }) => wanted == "json" || wanted == "application/json",
        Some(Format::Media { media_type }) => wanted == media_type,
    }
}

/// The most trusted figure of a name; of equals, the worst, so that nothing is promised too much.
fn best(figures: &[Figure], name: FigureName) -> Option<&Figure> {
    let higher_is_better = name == FigureName::AccuracyPpm;
    figures.iter().filter(|figure| figure.name == name).max_by_key(|figure| {
        let value = if higher_is_better { u64::MAX - figure.value } else { figure.value };
        (figure.grade, value)
    })
}

fn candidate(entry: &Entry, text_score_milli: u64) -> Candidate {
    let figures = &entry.listing.figures;
    let value = |name| best(figures, name).map(|figure| figure.value);
    Candidate {
        key: format!("{}/{}", entry.account_name, entry.name),
        kind: entry.kind,
        category: entry.listing.category.clone(),
        subcategory: entry.listing.subcategory.clone(),
        input: entry.listing.input.clone(),
        output: entry.listing.output.clone(),
        text_score_milli,
        accuracy_ppm: value(FigureName::AccuracyPpm),
        accuracy_grade: best(figures, FigureName::AccuracyPpm)
            .map_or(Grade::Claimed, |figure| figure.grade),
        latency_p50_us: value(FigureName::LatencyP50Us),
        memory_peak_bytes: value(FigureName::MemoryPeakBytes),
        requires_memory_bytes: entry.listing.requires.memory_bytes,
        requires_cpu_milli: entry.listing.requires.cpu_milli,
        uses: entry.uses,
    }
}

fn hit(entry: &Entry, ranked: &Ranked) -> Hit {
    Hit {
        entry: entry.clone(),
        score_milli: ranked.score,
        reasons: ranked.reasons.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests;
