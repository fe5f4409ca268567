//! The house's own chores: `cargo xtask VERB` is the one door to all of them.
//!
//! Always true: a verb that fails says which phase failed and exits non-zero; what is built or
//! installed for tests stays in a cache folder outside the checkout.
//! Absent on purpose: a dependency on any room, so that the chores build in seconds.

#![expect(clippy::print_stdout, reason = "a chore talks to the person who ran it")]

mod accept;
mod bench;
mod ci;
mod console;
mod guest;
mod openapi;
mod places;
mod process;
mod setup;
mod test;
mod tidy;

use std::fmt::{self, Display};
use std::process::ExitCode;

use places::Places;

/// A verb: its name, what it does, and the function that does it with the words after it.
type Verb = (&'static str, &'static str, fn(&Places, &[String]) -> Result<(), Failure>);

const VERBS: [Verb; 9] = [
    ("tidy", "hold the sources against the rules of the house", tidy::run),
    ("setup", "install what the tests need, where that may be done", setup::run),
    ("test", "set up, build and run every test; words after it go to the test runner", test::run),
    (
        "console",
        "build the web console, which cargo build packs into the program; --test: and test it",
        console::run,
    ),
    ("ci", "formatting, lints, tidy, the console, tests, and the demo", ci::run),
    (
        "guest",
        "run the executor's tests in a virtual machine, with control groups of version 2 and of both",
        guest::run,
    ),
    (
        "accept",
        "the long runs: kills, contract, guest, fuzzing; --kills N, --examples N, --fuzz-seconds N",
        accept::run,
    ),
    (
        "bench",
        "measure against peers and write docs/benchmarks.md; name some, or --list; --seconds=N",
        bench::run,
    ),
    ("openapi", "write the OpenAPI document anew", openapi::run),
];

/// Why a chore stopped, as a sentence for people.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure that these words tell.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What could not be done with `what`, and why.
    pub(crate) fn at(what: impl Display, cause: impl Display) -> Self {
        Self(format!("{what}: {cause}"))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.split_first() {
        None => Err(Failure::new(format!("say what to do\n\n{}", help()))),
        Some((word, _)) if matches!(word.as_str(), "help" | "--help" | "-h") => {
            println!("{}", help());
            Ok(())
        }
        Some((word, rest)) => match VERBS.iter().find(|(name, ..)| name == word) {
            None => Err(Failure::new(format!("{word:?} is no verb\n\n{}", help()))),
            Some((_, _, act)) => Places::find().and_then(|places| act(&places, rest)),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            process::tell(&format!("xtask: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let lines = VERBS.iter().map(|(name, what, _)| format!("  cargo xtask {name:<8} {what}\n"));
    lines.collect()
}
