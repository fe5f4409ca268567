//! Batch size: how many rows of a model run together, as its own runs tell.
//!
//! Rows that run together mostly cost less each than apart; of some models they cost more. Sizes
//! are put in classes (1, 2, 3 to 4, 5 to 8 rows, and so on); the cost of a byte of input in each is
//! the median of its latest runs. A class without enough of them is taken for as dear as the next
//! smaller one, so that larger batches are tried; now and then each has its turn.
//!
//! Always true: the limit is at least 1, and at most what the producer allows; what is not
//! measured does not lower it; it changes only by a run.
//! Absent on purpose: clocks, and which requests run ([`crate::batching`]).

/// Latest runs that count in a class.
const RUNS: usize = 5;
/// Runs after which the cost of a class counts as known.
const RUNS_MIN: usize = 3;
/// A class may cost more than the cheapest by one part of so many, and be preferred as larger.
const TOLERANCE: u128 = 32;
/// One run of so many is given to a class of which too little is known.
const TRIAL_UNKNOWN: u64 = 16;
/// Where all are known: one of so many to each class in turn.
const TRIAL_KNOWN: u64 = 64;
/// Classes of a row count of 32 bits.
const CLASSES: usize = 33;

/// What runs of each size have cost lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Costs {
    classes: [Class; CLASSES],
    runs: u64,
}

impl Default for Costs {
    /// Nothing has run yet.
    fn default() -> Self {
        Self { classes: [Class::default(); CLASSES], runs: 0 }
    }
}

/// Runs of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Class {
    /// The latest, the next place to be written being `runs % RUNS`.
    latest: [u64; RUNS],
    runs: usize,
    /// Their median, once it is known.
    cost: Option<u64>,
}

impl Costs {
    /// Counts a run of so many rows with so many bytes of input, which took so long.
    pub fn ran(&mut self, rows: u32, bytes: u64, ns: u64) {
        let cost = (u128::from(ns) << 20) / u128::from(bytes.max(1));
        self.runs = self.runs.wrapping_add(1);
        self.classes[class_of(rows)].count(u64::try_from(cost).unwrap_or(u64::MAX));
    }

    /// Most rows of the next run, where the producer allows `rows_max`.
    pub fn rows_max(&self, rows_max: u32) -> u32 {
        let rows_max = rows_max.max(1);
        let classes = &self.classes[..=class_of(rows_max)];
        let class = self.trial(classes).unwrap_or_else(|| best(classes));
        1_u32
            .checked_shl(u32::try_from(class).unwrap_or(u32::MAX))
            .unwrap_or(rows_max)
            .min(rows_max)
    }

    /// The class whose turn it is to be tried, if it is one's.
    fn trial(&self, classes: &[Class]) -> Option<usize> {
        let unknown = || (0..classes.len()).filter(|&class| classes[class].cost.is_none());
        let turn = |every: u64, of: usize| {
            let due = self.runs > 0 && self.runs.is_multiple_of(every) && of > 0;
            due.then(|| usize::try_from(self.runs / every % of as u64).unwrap_or(0))
        };
        match unknown().count() {
            0 => turn(TRIAL_KNOWN, classes.len()),
            count => turn(TRIAL_UNKNOWN, count).and_then(|turn| unknown().nth(turn)),
        }
    }
}

impl Class {
    fn count(&mut self, cost: u64) {
        self.latest[self.runs % RUNS] = cost;
        // Beyond this many only the place counts.
        self.runs = if self.runs + 1 == 2 * RUNS { RUNS } else { self.runs + 1 };
        if self.runs >= RUNS_MIN {
            let mut known = self.latest;
            let known = &mut known[..self.runs.min(RUNS)];
            known.sort_unstable();
            self.cost = Some(known[(known.len() - 1) / 2]);
        }
    }
}

/// The largest class that is about as cheap as the cheapest.
fn best(classes: &[Class]) -> usize {
    let Some(cheapest) = classes.iter().filter_map(|class| class.cost).min() else {
        return classes.len() - 1;
    };
    let enough = |cost: u64| u128::from(cost) * TOLERANCE <= u128::from(cheapest) * (TOLERANCE + 1);
    let mut best = classes.len() - 1;
    let mut below_is_enough = None;
    for (class, its) in classes.iter().enumerate() {
        let known = its.cost.map(enough);
        below_is_enough = known.or(below_is_enough);
        if below_is_enough == Some(true) {
            best = class;
        }
    }
    best
}

/// The class of a run of so many rows: the smallest power of two that is not less.
fn class_of(rows: u32) -> usize {
    (u32::BITS - rows.saturating_sub(1).leading_zeros()) as usize
}

#[cfg(test)]
mod tests;
