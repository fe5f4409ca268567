//! Traces: how often functions were called in each minute, how long calls took, and their memory.
//!
//! The files are those of the public traces of serverless platforms: comma-separated, with a head,
//! without quotes. Calls are `HashOwner,HashApp,HashFunction,Trigger` and a column for each minute;
//! durations and memory join them by the three hashes, in columns found by their names.
//!
//! Always true: every function has a column for each minute; percentiles rise.
//! Absent on purpose: opening files, and formats with one line a call.

use std::collections::BTreeMap;

/// A minute.
pub const MINUTE_MS: u64 = 60_000;
/// Memory of a function that no file tells about: the usual smallest size.
pub const MEMORY_KIB: u64 = 128 * 1024;
/// Duration of calls that no file tells about.
pub const DURATION_MS: u64 = 1_000;
/// Functions of a trace: each is numbered in 20 bits.
pub const FUNCTIONS_MAX: usize = 1 << 20;

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
    #[error("line {line}: {value:?} in column {column:?} is not a number from 0")]
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
}

impl Trace {
    /// Reads a file of calls. Durations and memory are the usual ones until a file tells them.
    pub fn read(text: &str) -> Result<Self, Error> {
        let table = Table::read(text)?;
        let minutes: Vec<usize> =
            (0..table.heads.len()).filter(|place| is_minute(table.heads[*place])).collect();
        if minutes.is_empty() {
            return Err(Error::Column { name: "1 (a minute)".to_owned() });
        }
        let mut functions = Vec::with_capacity(table.rows.len());
        let mut seen = BTreeMap::new();
        for row in &table.rows {
            let name = row.name();
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
        let table = Table::read(text)?;
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
        let table = Table::read(text)?;
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
            table.rows.iter().map(|row| (row.name(), row)).collect();
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

/// The lines of a file, taken apart.
struct Table<'text> {
    heads: Vec<&'text str>,
    rows: Vec<Row<'text>>,
}

struct Row<'text> {
    line: usize,
    values: Vec<&'text str>,
    names: [usize; NAMES.len()],
}

impl Row<'_> {
    fn name(&self) -> String {
        self.names.map(|place| self.values[place]).join(",")
    }
}

impl<'text> Table<'text> {
    fn read(text: &'text str) -> Result<Self, Error> {
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let (_, heads) = lines.next().ok_or(Error::Empty)?;
        let mut table = Self { heads: heads.split(',').map(str::trim).collect(), rows: Vec::new() };
        let mut names = [0; NAMES.len()];
        for (place, name) in names.iter_mut().zip(NAMES) {
            *place = table.column(name)?;
        }
        for (line, text) in lines {
            let values: Vec<&str> = text.split(',').map(str::trim).collect();
            let (has, expected) = (values.len(), table.heads.len());
            if has != expected {
                return Err(Error::Width { line, has, expected });
            }
            table.rows.push(Row { line, values, names });
        }
        Ok(table)
    }

    fn column(&self, name: &str) -> Result<usize, Error> {
        let place = self.heads.iter().position(|head| *head == name);
        place.ok_or_else(|| Error::Column { name: name.to_owned() })
    }

    /// A count; an empty value is none.
    fn count(&self, row: &Row<'_>, place: usize) -> Result<u32, Error> {
        let value = row.values[place];
        if value.is_empty() {
            return Ok(0);
        }
        value.parse().map_err(|_| self.no_number(row, place))
    }

    /// A decimal number in thousandths, what is smaller being cut off.
    fn thousandths(&self, row: &Row<'_>, place: usize) -> Result<u64, Error> {
        let value = row.values[place];
        let (whole, part) = value.split_once('.').unwrap_or((value, "0"));
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let part: String = part.chars().chain("000".chars()).take(3).collect();
        let number = (digits(whole) && digits(&part)).then(|| whole.parse::<u64>().ok());
        let thousands = number.flatten().and_then(|whole| whole.checked_mul(1_000));
        let number = thousands.zip(part.parse::<u64>().ok());
        number
            .and_then(|(thousands, part)| thousands.checked_add(part))
            .ok_or_else(|| self.no_number(row, place))
    }

    fn no_number(&self, row: &Row<'_>, place: usize) -> Error {
        Error::Number {
            line: row.line,
            column: self.heads[place].to_owned(),
            value: row.values[place].to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
