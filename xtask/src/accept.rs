//! The long fault runs, for a closing note rather than for every change.
//!
//! Kills: the story that kills the cloud at random points, 1,000 times instead of CI's 100.
//! Fuzzing: every target of `fuzz/`, for a while each, where `cargo fuzz` is found.

use std::fs;

use crate::places::Places;
use crate::{Failure, process, setup, test};

/// Kills in one run, unless told otherwise.
const KILLS: u64 = 1_000;

/// Seconds of fuzzing per target, unless told otherwise.
const FUZZ_SECONDS: u64 = 300;

/// Runs the kills, then the fuzzing, and says what each came to.
pub(crate) fn run(places: &Places, words: &[String]) -> Result<(), Failure> {
    let kills = number(words, "--kills")?.unwrap_or(KILLS);
    let fuzz_seconds = number(words, "--fuzz-seconds")?.unwrap_or(FUZZ_SECONDS);
    let mut phases = process::Phases::default();
    phases.run("kills", || kill(places, kills))?;
    phases.run("fuzz", || fuzz(places, fuzz_seconds))?;
    process::tell(&phases.table());
    Ok(())
}

fn kill(places: &Places, kills: u64) -> Result<(), Failure> {
    let tools = setup::everything(places)?;
    process::run(&mut process::cargo(places, &["build", "--workspace", "--bins", "--locked"]))?;
    // The whole workspace, so that nothing is built again with other features.
    let words = ["test", "--workspace", "--locked", "--test", "it", "kill", "--", "--nocapture"];
    let mut command = process::cargo(places, &words);
    command.envs(tools.variables(places)).env("FREEHOLD_TEST_KILLS", kills.to_string());
    let counts = test::counted(&mut command)?;
    if counts.passed == 0 {
        return Err(Failure::new("no integration test has \"kill\" in its name"));
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
