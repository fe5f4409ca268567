//! Traces: how often functions were called in each minute, how long calls took, and their memory.
//!
//! The files are those of the public traces of serverless platforms: comma-separated, with a head,
//! without quotes. Calls are `HashOwner,HashApp,HashFunction,Trigger` and a column for each minute,
//! or single calls ([`calls`]); durations and memory join the first ones by the three hashes, in
//! columns found by their names.
//!
//! Always true: every function has a count for each minute; percentiles rise.
//! Absent on purpose: opening files.

mod calls;
mod table;

use std::collections::BTreeMap;

use table::{Row, Table};

/// A minute.
pub const MINUTE_MS: u64 = 60_000;
/// Memory of a function that no file tells about: the usual smallest size.
pub const MEMORY_KIB: u64 = 128 * 1024;
/// Duration of calls that no file tells about.
pub const DURATION_MS: u64 = 1_000;
/// Functions of a trace: each is numbered in 20 bits.
pub const FUNCTIONS_MAX: usize = 1 << 20;

/// Minutes of a trace of single calls: two months, as long as public ones last.
pub const MINUTES_MAX: usize = 62 * 24 * 60;

/// Columns that name a function.
const NAMES: [&str; 3] = ["HashOwner", "HashApp", "HashFunction"];
/// Percentiles of durations that a file tells, in hundredths, with their columns.
const PERCENTILES: [(u64, &str); 7] = [
    (0, "percentile_Average_0"),
    (1, "percentile_Average_1"),
    (25, "percentile_Average_25"),
    (50, "percentile_Average_50"),
    (75, "percentile_Average_75"),
    (99, "percentile_Average_99"),
    (100, "percentile_Average_100"),
];
const MEMORY: &str = "AverageAllocatedMb";

/// A recorded load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// In the order of the file.
    pub functions: Vec<Function>,
}

/// What is known of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Owner, application and function, with commas between.
    pub name: String,
    /// Calls in each minute.
    pub calls: Vec<u32>,
    /// How long they take.
    pub durations: Durations,
    /// Memory of an instance, in KiB.
    pub memory_kib: u64,
}

/// Durations, by their percentiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durations {
    /// Milliseconds at each of the percentiles, rising.
    ms: [u64; PERCENTILES.len()],
}

/// Why a file is no trace, or does not belong to one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing is in it.
    #[error("it has no line with the names of columns")]
    Empty,
    /// A column is missing.
    #[error("it has no column {name:?}")]
    Column {
        /// Its name.
        name: String,
    },
    /// A line has too few or too many values.
    #[error("line {line} has {has} values where {expected} columns are named")]
    Width {
        /// From 1.
        line: usize,
        /// Values there.
        has: usize,
        /// Columns.
        expected: usize,
    },
    /// A value is no number that can stand there.
    #[error("line {line}: {value:?} in column {column:?} is no number from 0, or too large")]
    Number {
        /// From 1.
        line: usize,
        /// The column's name.
        column: String,
        /// What is there.
        value: String,
    },
    /// A function comes twice.
    #[error("line {line} names a function that came before")]
    Twice {
        /// From 1.
        line: usize,
    },
    /// No function of the file is one of the trace.
    #[error("none of its functions is in the trace")]
    Foreign,
    /// There are more functions than can be numbered.
    #[error("it has more than {FUNCTIONS_MAX} functions")]
    TooMany,
    /// A call came too long after the first minute.
    #[error("line {line} is of a call later than {MINUTES_MAX} minutes: times count from 0")]
    TooLate {
        /// From 1.
        line: usize,
    },
}

impl Trace {
    /// Reads a file of calls. What it does not tell of durations and memory is the usual.
    pub fn read(text: &str) -> Result<Self, Error> {
        if calls::is_of_calls(text) {
            return calls::read(text);
        }
        let table = Table::read(text, &NAMES)?;
        let minutes: Vec<usize> =
            (0..table.heads.len()).filter(|place| is_minute(table.heads[*place])).collect();
        if minutes.is_empty() {
            return Err(Error::Column { name: "1 (a minute)".to_owned() });
        }
        let mut functions = Vec::with_capacity(table.rows.len());
        let mut seen = BTreeMap::new();
        for row in &table.rows {
            let name = table.name(row);
            if seen.insert(name.clone(), row.line).is_some() {
                return Err(Error::Twice { line: row.line });
            }
            let calls = minutes.iter().map(|place| table.count(row, *place));
            functions.push(Function { calls: calls.collect::<Result<_, _>>()?, ..unknown(name) });
        }
        if functions.len() > FUNCTIONS_MAX {
            return Err(Error::TooMany);
        }
        Ok(Self { functions })
    }

    /// Takes durations from a file, in milliseconds at percentiles.
    pub fn tell_durations(&mut self, text: &str) -> Result<(), Error> {
        let table = Table::read(text, &NAMES)?;
        let mut places = [0; PERCENTILES.len()];
        for (place, (_, column)) in places.iter_mut().zip(PERCENTILES) {
            *place = table.column(column)?;
        }
        self.tell(&table, |function, row| {
            let mut highest = 0;
            for (ms, place) in function.durations.ms.iter_mut().zip(places) {
                highest = table.thousandths(row, place)?.div_ceil(1_000).max(highest);
                *ms = highest;
            }
            Ok(())
        })
    }

    /// Takes memory from a file, in MiB on average.
    pub fn tell_memory(&mut self, text: &str) -> Result<(), Error> {
        let table = Table::read(text, &NAMES)?;
        let place = table.column(MEMORY)?;
        self.tell(&table, |function, row| {
            let thousandths = u128::from(table.thousandths(row, place)?);
            function.memory_kib =
                u64::try_from(thousandths * 1024 / 1_000).unwrap_or(u64::MAX).max(1);
            Ok(())
        })
    }

    fn tell(
        &mut self,
        table: &Table<'_>,
        mut told: impl FnMut(&mut Function, &Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let rows: BTreeMap<String, &Row<'_>> =
            table.rows.iter().map(|row| (table.name(row), row)).collect();
        let mut any = self.functions.is_empty();
        for function in &mut self.functions {
            if let Some(row) = rows.get(&function.name) {
                told(function, row)?;
                any = true;
            }
        }
        if any { Ok(()) } else { Err(Error::Foreign) }
    }

    /// The trace of some of its minutes.
    #[must_use]
    pub fn minutes(&self, minutes: std::ops::Range<usize>) -> Self {
        let cut = |function: &Function| {
            let calls = function.calls.get(minutes.clone()).unwrap_or_default().to_vec();
            Function { calls, ..function.clone() }
        };
        Self { functions: self.functions.iter().map(cut).collect() }
    }

    /// Minutes that it lasts.
    pub fn length(&self) -> usize {
        self.functions.first().map_or(0, |function| function.calls.len())
    }
}

/// A function of which only its name is known.
pub fn unknown(name: String) -> Function {
    let durations = Durations::always(DURATION_MS);
    Function { name, calls: Vec::new(), durations, memory_kib: MEMORY_KIB }
}

impl Durations {
    /// Calls that all take as long.
    pub fn always(ms: u64) -> Self {
        Self { ms: [ms; PERCENTILES.len()] }
    }

    /// Those of calls that took so long; the usual one where there are none.
    fn of(mut ms: Vec<u64>) -> Self {
        ms.sort_unstable();
        let Some(last) = ms.len().checked_sub(1) else {
            return Self::always(DURATION_MS);
        };
        let rank = |percent: u64| usize::try_from(percent).unwrap_or(0) * last / 100;
        Self { ms: PERCENTILES.map(|(percent, _)| ms[rank(percent)]) }
    }

    /// The duration below which the given share of calls is, in parts of 2^32: on a straight line
    /// between percentiles.
    pub fn at(&self, share: u32) -> u64 {
        let share = u64::from(share);
        let parts = |percent: u64| (percent << 32) / 100;
        let above = PERCENTILES.iter().position(|(percent, _)| parts(*percent) > share);
        let above = above.unwrap_or(PERCENTILES.len() - 1).max(1);
        let (from, to) = (parts(PERCENTILES[above - 1].0), parts(PERCENTILES[above].0));
        let (low, high) = (self.ms[above - 1], self.ms[above]);
        let rise = u128::from(high - low) * u128::from(share - from) / u128::from(to - from);
        low + u64::try_from(rise).unwrap_or(0)
    }
}

/// Columns of minutes have numbers for names.
fn is_minute(head: &str) -> bool {
    !head.is_empty() && head.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
