//! Ranking: which items of the catalogue answer a wish, in which order, and why.
//!
//! A wish has hard parts, which exclude, and soft parts, which earn points. `rank` answers a
//! search; `suggest` also tells which items would answer but for one or two hard parts.
//!
//! Always true: a score is the sum of the points of its reasons; it depends on the one candidate
//! and the wish, so that no candidate changes the order of others; equal scores are ordered by
//! key. Absent on purpose: floats, text search, who may see what.

mod data;
mod points;
mod reasons;

use types::{Format, Grade, ItemKind};

pub use data::{Fit, fit};
pub use reasons::{Fact, Miss, Reason};

/// Most items that nearly answer a wish.
pub const NEAR_MAX: usize = 10;
/// Most hard parts that such an item misses.
pub const MISSES_MAX: usize = 2;

/// What the catalogue knows of one item version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Unique, and stable over time: orders candidates of equal score.
    pub key: String,
    /// What it is.
    pub kind: ItemKind,
    /// Its category.
    pub category: String,
    /// Its subcategory; empty for none.
    pub subcategory: String,
    /// What it takes; none where it does not say.
    pub input: Option<Format>,
    /// What it gives; for a data set, what it holds.
    pub output: Option<Format>,
    /// How well its text answers the wish, in thousandths of the index's score; 0 for not at all.
    pub text_score_milli: u64,
    /// Share of right answers, in parts per million.
    pub accuracy_ppm: Option<u64>,
    /// How far the accuracy is to be trusted; means nothing without one.
    pub accuracy_grade: Grade,
    /// Median time of one request, in microseconds.
    pub latency_p50_us: Option<u64>,
    /// Largest memory seen, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// Memory it asks for, in bytes.
    pub requires_memory_bytes: u64,
    /// Processor time it asks for, in thousandths of one processor.
    pub requires_cpu_milli: u32,
    /// How often it has been used by accounts other than its owner's.
    pub uses: u64,
}

/// What is looked for. An absent part excludes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// What it should be.
    pub kind: Option<ItemKind>,
    /// Its category, without regard to case.
    pub category: Option<String>,
    /// Its subcategory, without regard to case.
    pub subcategory: Option<String>,
    /// The data at hand, which it should take; a wanted data set should hold such data.
    pub data: Option<Format>,
    /// Least share of right answers, in parts per million.
    pub accuracy_ppm_min: Option<u64>,
    /// Longest median time of one request, in microseconds.
    pub latency_us_max: Option<u64>,
    /// Most memory, in bytes.
    pub memory_bytes_max: Option<u64>,
    /// Most processor time, in thousandths of one processor.
    pub cpu_milli_max: Option<u32>,
}

/// A candidate that answers the wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Its place in the slice given.
    pub index: usize,
    /// The sum of the points of its reasons, at most 100,000.
    pub score: u64,
    /// Why, most points first.
    pub reasons: Vec<Reason>,
}

/// A candidate that would answer the wish but for its misses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// The candidate as it would stand.
    pub ranked: Ranked,
    /// The hard parts that it misses, 1 to [`MISSES_MAX`].
    pub misses: Vec<Miss>,
}

/// Answers to a wish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suggestions {
    /// Those that answer it, best first.
    pub answers: Vec<Ranked>,
    /// Those that nearly do: fewest misses first, then best first; at most [`NEAR_MAX`].
    pub near: Vec<Near>,
}

/// The candidates that answer the wish, best first.
pub fn rank(candidates: &[Candidate], wish: &Wish) -> Vec<Ranked> {
    suggest(candidates, wish).answers
}

/// The candidates that answer the wish, best first, and those that nearly do.
///
/// A candidate of another kind is not near.
pub fn suggest(candidates: &[Candidate], wish: &Wish) -> Suggestions {
    let mut suggestions = Suggestions::default();
    for (index, candidate) in candidates.iter().enumerate() {
        let misses = misses(candidate, wish);
        if misses.len() > MISSES_MAX || misses.iter().any(Miss::is_kind) {
            continue;
        }
        let ranked = score(index, candidate, wish);
        if misses.is_empty() {
            suggestions.answers.push(ranked);
        } else {
            suggestions.near.push(Near { ranked, misses });
        }
    }
    suggestions.answers.sort_by(|one, other| {
        order(one)
            .cmp(&order(other))
            .then_with(|| candidates[one.index].key.cmp(&candidates[other.index].key))
    });
    suggestions.near.sort_by(|one, other| {
        let order = |near: &Near| (near.misses.len(), order(&near.ranked));
        let key = |near: &Near| &candidates[near.ranked.index].key;
        order(one).cmp(&order(other)).then_with(|| key(one).cmp(key(other)))
    });
    suggestions.near.truncate(NEAR_MAX);
    suggestions
}

fn order(ranked: &Ranked) -> std::cmp::Reverse<u64> {
    std::cmp::Reverse(ranked.score)
}

/// The hard parts of the wish that the candidate misses, in the order of the wish's fields.
fn misses(candidate: &Candidate, wish: &Wish) -> Vec<Miss> {
    let mut misses = Vec::new();
    if let Some(wanted) = wish.kind.filter(|kind| *kind != candidate.kind) {
        misses.push(Miss::Kind { wanted, is: candidate.kind });
    }
    let differs = |wanted: &&String, is: &str| !wanted.eq_ignore_ascii_case(is);
    if let Some(wanted) = wish.category.as_ref().filter(|one| differs(one, &candidate.category)) {
        misses.push(Miss::Category { wanted: wanted.clone(), is: candidate.category.clone() });
    }
    let sub = wish.subcategory.as_ref().filter(|one| differs(one, &candidate.subcategory));
    if let Some(wanted) = sub {
        let is = candidate.subcategory.clone();
        misses.push(Miss::Subcategory { wanted: wanted.clone(), is });
    }
    if let Some(data) = &wish.data
        && let Fit::Differs { mismatches } = fit(data, data::wanted_format(candidate))
    {
        misses.push(Miss::Data { mismatches });
    }
    if let Some(min_ppm) = wish.accuracy_ppm_min {
        match candidate.accuracy_ppm {
            None => misses.push(Miss::AccuracyUnknown { min_ppm }),
            Some(ppm) if ppm < min_ppm => misses.push(Miss::Accuracy { ppm, min_ppm }),
            Some(_) => {}
        }
    }
    if let Some(max_us) = wish.latency_us_max {
        match candidate.latency_p50_us {
            None => misses.push(Miss::LatencyUnknown { max_us }),
            Some(us) if us > max_us => misses.push(Miss::Latency { us, max_us }),
            Some(_) => {}
        }
    }
    let bytes = memory_bytes(candidate);
    if let Some(max_bytes) = wish.memory_bytes_max.filter(|max_bytes| bytes > *max_bytes) {
        misses.push(Miss::Memory { bytes, max_bytes });
    }
    let milli = candidate.requires_cpu_milli;
    if let Some(max_milli) = wish.cpu_milli_max.filter(|max_milli| milli > *max_milli) {
        misses.push(Miss::Cpu { milli, max_milli });
    }
    misses
}

/// What an instance of it must have: the larger of what it asks for and what was seen.
fn memory_bytes(candidate: &Candidate) -> u64 {
    candidate.requires_memory_bytes.max(candidate.memory_peak_bytes.unwrap_or(0))
}

fn score(index: usize, candidate: &Candidate, wish: &Wish) -> Ranked {
    let mut reasons = Vec::with_capacity(6);
    let mut earn = |fact, points| reasons.push(Reason { fact, points });
    if candidate.text_score_milli > 0 {
        let score_milli = candidate.text_score_milli;
        earn(Fact::Text { score_milli }, points::text(score_milli));
    }
    if let Some(data) = &wish.data {
        let fit = fit(data, data::wanted_format(candidate));
        let points = points::data(&fit);
        earn(Fact::Data { fit }, points);
    }
    if let Some(ppm) = candidate.accuracy_ppm {
        let grade = candidate.accuracy_grade;
        earn(Fact::Accuracy { ppm, grade }, points::accuracy(ppm, grade));
    }
    if let Some(us) = candidate.latency_p50_us {
        earn(Fact::Latency { us }, points::latency(us));
    }
    let bytes = memory_bytes(candidate);
    if bytes > 0 {
        earn(Fact::Memory { bytes }, points::memory(bytes));
    }
    if candidate.uses > 0 {
        earn(Fact::Uses { uses: candidate.uses }, points::uses(candidate.uses));
    }
    // The sort is stable, so equal points stay in the order above.
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.points));
    Ranked { index, score: reasons.iter().map(|reason| reason.points).sum(), reasons }
}

#[cfg(test)]
mod tests;
