//! Everything a change must pass: formatting, lints, tidy, the console, tests, and the demo.
//!
//! Always true: one profile only, so nothing is built twice; the first failing phase ends the run.

use std::process::Command;

use crate::places::Places;
use crate::{Failure, console, process, test, tidy};

/// Runs every phase and says how long each took.
pub(crate) fn run(places: &Places, _words: &[String]) -> Result<(), Failure> {
    let mut phases = process::Phases::default();
    process::tell(&format!("building into {}", places.target.display()));
    phases.run("format", || {
        process::run(&mut process::cargo(places, &["fmt", "--all", "--check"]))
    })?;
    phases.run("tidy", || tidy::run(places, &[]))?;
    // Before anything is compiled: the program holds it.
    phases.run("console", || console::build_where_possible(places))?;
    phases.run("clippy", || {
        let words = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        process::run(&mut process::cargo(places, &words))
    })?;
    let counts = phases.run("test", || test::everything(places, &[]))?;
    let counts = phases.run("pages", || console::tested(places))?.and(counts);
    phases.run("demo", || demo(places))?;
    process::tell(&phases.table());
    test::close(counts);
    Ok(())
}

/// The demos on the embedded default, with the programs that the tests were run with.
fn demo(places: &Places) -> Result<(), Failure> {
    for words in [&["demo"][..], &["demo", "functions"], &["demo", "replay"]] {
        let program = places.built("freehold");
        process::run(Command::new(program).args(words).current_dir(&places.root))?;
    }
    Ok(())
}
