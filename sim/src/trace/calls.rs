//! Traces of single calls: `app,func,end_timestamp,duration`, in seconds, one line a call.
//!
//! Always true: a call counts in the minute in which it began; its duration is one of its function's.
//! Absent on purpose: the moment within the minute, which a replay draws.

use std::collections::BTreeMap;

use super::table::Table;
use super::{Durations, Error, FUNCTIONS_MAX, Function, MINUTE_MS, MINUTES_MAX, Trace, unknown};

/// Columns that name a function.
const NAMES: [&str; 2] = ["app", "func"];
const END: &str = "end_timestamp";
const DURATION: &str = "duration";

/// Whether a file is of single calls: its head names their end.
pub(super) fn is_of_calls(text: &str) -> bool {
    let head = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    head.split(',').any(|name| name.trim() == END)
}

/// Reads a file of single calls, functions in the order in which they are first named.
pub(super) fn read(text: &str) -> Result<Trace, Error> {
    let table = Table::read(text, &NAMES)?;
    let (end, duration) = (table.column(END)?, table.column(DURATION)?);
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let mut functions: Vec<Function> = Vec::new();
    let mut durations: Vec<Vec<u64>> = Vec::new();
    let mut length = 0;
    for row in &table.rows {
        let name = table.name(row);
        let number = *numbers.entry(name).or_insert_with_key(|name| {
            functions.push(unknown(name.clone()));
            durations.push(Vec::new());
            functions.len() - 1
        });
        let (end_ms, ms) = (table.thousandths(row, end)?, table.thousandths(row, duration)?);
        let minute = usize::try_from(end_ms.saturating_sub(ms) / MINUTE_MS).unwrap_or(usize::MAX);
        if minute >= MINUTES_MAX {
            return Err(Error::TooLate { line: row.line });
        }
        length = length.max(minute + 1);
        let calls = &mut functions[number].calls;
        calls.resize(calls.len().max(minute + 1), 0);
        calls[minute] = calls[minute].saturating_add(1);
        durations[number].push(ms);
    }
    if functions.len() > FUNCTIONS_MAX {
        return Err(Error::TooMany);
    }
    for (function, ms) in functions.iter_mut().zip(durations) {
        function.calls.resize(length, 0);
        function.durations = Durations::of(ms);
    }
    Ok(Trace { functions })
}
