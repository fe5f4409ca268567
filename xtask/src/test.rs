//! Every test: set up what they need, build the programs they start, run them, and count.
//!
//! Always true: tests learn where things are from `FREEHOLD_TEST_*` variables alone; no test run
//! changes a golden file.

use std::process::Command;

use crate::places::Places;
use crate::{Failure, console, process, setup};

/// How many tests passed, failed, and were passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

/// Runs every test; `words` go to the test runner, so a part of them can be chosen.
pub(crate) fn run(places: &Places, words: &[String]) -> Result<(), Failure> {
    // The console is packed into the program, and so is built before.
    if words.is_empty() {
        console::build_where_possible(places)?;
    }
    let mut counts = everything(places, words)?;
    if words.is_empty() {
        counts = counts.and(console::tested(places)?);
    }
    close(counts);
    Ok(())
}

/// Says the counts as the last line.
pub(crate) fn close(counts: Counts) {
    let Counts { passed, failed, skipped } = counts;
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
}

/// Sets up, builds, and runs the tests and the documentation's examples.
pub(crate) fn everything(places: &Places, words: &[String]) -> Result<Counts, Failure> {
    let tools = setup::everything(places)?;
    process::run(&mut process::cargo(places, &["build", "--workspace", "--bins", "--locked"]))?;
    let found = places.program("cargo-nextest").is_some();
    let runner: &[&str] = if found {
        &["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]
    } else {
        &["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"]
    };
    let mut command = process::cargo(places, runner);
    let mut counts = counted(command.args(words).envs(tools.variables(places)))?;
    if words.is_empty() {
        let mut command = process::cargo(places, &["test", "--workspace", "--locked", "--doc"]);
        counts = counts.and(counted(command.envs(tools.variables(places)))?);
    }
    Ok(counts)
}

/// Runs tests and counts them; a failed test is a failure.
pub(crate) fn counted(command: &mut Command) -> Result<Counts, Failure> {
    counted_by(command.env("INSTA_UPDATE", "no"), count)
}

/// The same for a runner whose closing lines are read by `count`.
pub(crate) fn counted_by(
    command: &mut Command,
    count: fn(&str) -> Option<Counts>,
) -> Result<Counts, Failure> {
    let (text, succeeded) = process::run_and_read(command)?;
    let counts = text.lines().filter_map(count).fold(Counts::default(), Counts::and);
    if !succeeded || counts.failed > 0 {
        close(counts);
        return Err(Failure::at(process::words(command), "not every test passed"));
    }
    Ok(counts)
}

impl Counts {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// The counts in a closing line of nextest or of the built-in test runner.
pub(crate) fn count(line: &str) -> Option<Counts> {
    let line = without_colour(line);
    let line = line.trim();
    let (_, rest) = line
        .split_once("tests run: ")
        .filter(|(before, _)| before.starts_with("Summary"))
        .or_else(|| {
            line.split_once("test run: ").filter(|(before, _)| before.starts_with("Summary"))
        })
        .or_else(|| {
            line.split_once(". ").filter(|(before, _)| before.starts_with("test result"))
        })?;
    let mut counts = Counts::default();
    for part in rest.split([',', ';']) {
        let mut words = part.split_whitespace();
        let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match what {
            "passed" => counts.passed += number,
            "failed" | "timed" => counts.failed += number,
            "skipped" | "ignored" => counts.skipped += number,
            _ => {}
        }
    }
    Some(counts)
}

/// The line without terminal escapes of the form `ESC [ … letter`.
fn without_colour(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line.chars();
    while let Some(next) = rest.next() {
        if next == '\u{1b}' {
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(next);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64, skipped: u64) -> Counts {
        Counts { passed, failed, skipped }
    }

    #[test]
    fn closing_lines_of_both_runners_are_counted() {
        let line = "     Summary [   1.254s] 27 tests run: 25 passed (1 slow), 2 failed, 3 skipped";
        assert_eq!(count(line), Some(counts(25, 2, 3)));
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [ 0.1s] \u{1b}[1m1\u{1b}[0m test run: \u{1b}[1m1\u{1b}[0m passed, 0 skipped";
        assert_eq!(count(line), Some(counts(1, 0, 0)));
        let line = "test result: ok. 4 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out";
        assert_eq!(count(line), Some(counts(4, 1, 2)));
        assert_eq!(count("test summary ... ok"), None);
    }
}
