//! The long fault runs, for a closing note rather than for every change.
//!
//! Kills: the stories that kill the cloud, and agents with calls under way, at random points, 1,000
//! times instead of CI's 100.
//! Contract: `schemathesis` asks every operation 300 times instead of 20.
//! Guest: the executor's tests on another kernel, where QEMU is found.
//! Fuzzing: every target of `fuzz/`, for a while each, where `cargo fuzz` is found.

use std::fs;

use crate::places::Places;
use crate::{Failure, guest, process, setup, test};

/// Kills in one run, unless told otherwise.
const KILLS: u64 = 1_000;

/// Requests per operation of the API, unless told otherwise.
const EXAMPLES: u64 = 300;

/// Seconds of fuzzing per target, unless told otherwise.
const FUZZ_SECONDS: u64 = 300;

/// Runs the kills, the contract, the guest, then the fuzzing, and says what each came to.
pub(crate) fn run(places: &Places, words: &[String]) -> Result<(), Failure> {
    let kills = number(words, "--kills")?.unwrap_or(KILLS);
    let examples = number(words, "--examples")?.unwrap_or(EXAMPLES);
    let fuzz_seconds = number(words, "--fuzz-seconds")?.unwrap_or(FUZZ_SECONDS);
    let mut phases = process::Phases::default();
    phases.run("kills", || stories(places, "kill", ("FREEHOLD_TEST_KILLS", kills)))?;
    phases.run("contract", || stories(places, "contract", ("FREEHOLD_TEST_EXAMPLES", examples)))?;
    phases.run("guest", || guest::run(places, &[]))?;
    phases.run("fuzz", || fuzz(places, fuzz_seconds))?;
    process::tell(&phases.table());
    Ok(())
}

/// Runs the integration tests with this word in their names, told to do so much.
fn stories(places: &Places, word: &str, (variable, times): (&str, u64)) -> Result<(), Failure> {
    let tools = setup::everything(places)?;
    process::run(&mut process::cargo(places, &["build", "--workspace", "--bins", "--locked"]))?;
    // The whole workspace, so that nothing is built again with other features.
    let words = ["test", "--workspace", "--locked", "--test", "it", word, "--", "--nocapture"];
    let mut command = process::cargo(places, &words);
    command.envs(tools.variables(places)).env(variable, times.to_string());
    let counts = test::counted(&mut command)?;
    if counts.passed == 0 {
        return Err(Failure::new(format!("no integration test has {word:?} in its name")));
    }
    test::close(counts);
    Ok(())
}

fn fuzz(places: &Places, seconds: u64) -> Result<(), Failure> {
    if places.program("cargo-fuzz").is_none() {
        process::tell("passed over: cargo-fuzz is not installed (cargo install cargo-fuzz)");
        return Ok(());
    }
    let folder = places.root.join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|error| Failure::at(folder.display(), error))?;
    let mut targets: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .collect();
    targets.sort();
    let nightly = process::output(&mut process::cargo(places, &["+nightly", "--version"]));
    for target in targets {
        let limit = format!("-max_total_time={seconds}");
        // A sanitizer needs a nightly compiler; without one the checks are the code's own.
        let words: Vec<&str> = if nightly.is_some() {
            vec!["+nightly", "fuzz", "run", &target, "--", &limit]
        } else {
            vec!["fuzz", "run", "--sanitizer", "none", &target, "--", &limit]
        };
        let mut command = process::cargo(places, &words);
        process::run(command.env("CARGO_TARGET_DIR", places.cache.join("fuzz-target")))?;
    }
    Ok(())
}

fn number(words: &[String], name: &str) -> Result<Option<u64>, Failure> {
    let Some(at) = words.iter().position(|word| word == name) else { return Ok(None) };
    let text = words.get(at + 1).map_or("", String::as_str);
    text.parse().map(Some).map_err(|_| Failure::new(format!("{name} needs a number")))
}
