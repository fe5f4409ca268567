//! The web console: built by Node.js into `console/dist/page`, which the gateway's build packs into
//! the program; and its tests in a real browser, over the real program.
//!
//! Always true: without Node.js the verb says what to install and fails, and nothing else needs it;
//! packages come as the lock file says, and none of them runs a program while it is installed; what
//! stands built of the same sources is not built again.

use std::fs;
use std::process::Command;

use crate::places::{Places, hash};
use crate::test::{self, Counts};
use crate::{Failure, process, setup};

/// The least version of Node.js: what the builder needs.
const NODE_MIN: (u32, u32) = (20, 19);

/// What a built console is of, beside it.
const STAMP: &str = "dist/stamp";

/// Builds it; with `--test`, builds the program too and tests it, and words after that go to the
/// test runner; with `--pictures`, the pictures that pages are held against are made anew.
pub(crate) fn run(places: &Places, words: &[String]) -> Result<(), Failure> {
    if !is_there(places) {
        return Err(Failure::new(told()));
    }
    let (own, rest): (Vec<&String>, Vec<&String>) =
        words.iter().partition(|word| matches!(word.as_str(), "--test" | "--pictures"));
    build(places)?;
    if own.is_empty() {
        println!("built: cargo build packs it into the program");
        return Ok(());
    }
    let tools = setup::everything(places)?;
    process::run(&mut process::cargo(places, &["build", "--workspace", "--bins", "--locked"]))?;
    let write = own.iter().any(|word| *word == "--pictures");
    let mut command = playwright(places, &tools);
    command.args(rest).env("FREEHOLD_TEST_PICTURES", if write { "write" } else { "" });
    test::close(counted(&mut command)?);
    Ok(())
}

/// What a change must pass: the console is built where Node.js is, before what packs it.
pub(crate) fn build_where_possible(places: &Places) -> Result<(), Failure> {
    if is_there(places) {
        return build(places);
    }
    process::tell(&format!("missing: {}", told()));
    Ok(())
}

/// Tests it with the programs that stand built, where Node.js and a browser are.
pub(crate) fn tested(places: &Places) -> Result<Counts, Failure> {
    let tools = setup::everything(places)?;
    if !is_there(places) || !tools.has_browser() {
        process::tell("missing: Node.js or Chromium (tests of the console)");
        return Ok(Counts::default());
    }
    counted(&mut playwright(places, &tools))
}

/// Whether a Node.js is here that is new enough, and its package manager.
fn is_there(places: &Places) -> bool {
    let version = process::output(Command::new("node").arg("--version"));
    places.program("npm").is_some() && version.is_some_and(|text| version_of(&text) >= NODE_MIN)
}

fn told() -> String {
    let (major, minor) = NODE_MIN;
    format!("Node.js {major}.{minor} or newer, with npm (the web console; the program says so too)")
}

/// The version that `node --version` says: `v20.19.2`.
fn version_of(text: &str) -> (u32, u32) {
    let mut numbers = text.trim().trim_start_matches('v').split('.').map(str::parse);
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    (next(), next())
}

fn build(places: &Places) -> Result<(), Failure> {
    let folder = places.root.join("console");
    let sources = sources(places)?;
    let stamp = folder.join(STAMP);
    let built = folder.join("dist/page/index.html").is_file();
    let modules = folder.join("node_modules/.package-lock.json").is_file();
    if built && modules && fs::read_to_string(&stamp).is_ok_and(|it| it == sources) {
        process::tell("the console stands built");
        return Ok(());
    }
    for words in [&["ci"][..], &["run", "types"], &["run", "check"], &["run", "build"]] {
        process::run(Command::new("npm").args(words).current_dir(&folder))?;
    }
    fs::write(&stamp, sources).map_err(|error| Failure::at(stamp.display(), error))
}

/// A digest of all that the console is built of.
fn sources(places: &Places) -> Result<String, Failure> {
    let words = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let mut command = Command::new("git");
    command.args(words).args(["console", "api/openapi.json"]).current_dir(&places.root);
    let listed = process::output(&mut command);
    let listed = listed.ok_or_else(|| Failure::new("git ls-files failed"))?;
    let mut all = Vec::new();
    for path in listed.split('\0').filter(|path| is_built_of(path)) {
        let place = places.root.join(path);
        let bytes = fs::read(&place).map_err(|error| Failure::at(place.display(), error))?;
        all.extend_from_slice(format!("{path} {:016x}\n", hash(&bytes)).as_bytes());
    }
    Ok(format!("{:016x}\n", hash(&all)))
}

/// Whether the page depends on this file: all but what only tests read.
fn is_built_of(path: &str) -> bool {
    !path.is_empty() && !path.starts_with("console/tests/") && !path.starts_with("console/dist/")
}

fn counted(command: &mut Command) -> Result<Counts, Failure> {
    test::counted_by(command, count)
}

/// The counts in a closing line of Playwright: `12 passed (3.4s)`, `1 failed`, `2 did not run`.
fn count(line: &str) -> Option<Counts> {
    let (number, rest) = line.trim().split_once(' ')?;
    let number = number.parse().ok()?;
    let mut counts = Counts::default();
    match rest.split(" (").next()? {
        "passed" => counts.passed = number,
        "failed" | "flaky" | "interrupted" => counts.failed = number,
        "skipped" | "did not run" => counts.skipped = number,
        _ => return None,
    }
    Some(counts)
}

/// The test runner, with what it is told of where things are.
fn playwright(places: &Places, tools: &setup::Tools) -> Command {
    let mut command = Command::new("npm");
    command.args(["run", "test", "--"]).current_dir(places.root.join("console"));
    command.envs(tools.variables(places)).env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_the_browsers_tests_are_counted() {
        let counts = |passed, failed, skipped| Some(Counts { passed, failed, skipped });
        assert_eq!(count("  31 passed (12.3s)"), counts(31, 0, 0));
        assert_eq!(count("  2 failed"), counts(0, 2, 0));
        assert_eq!(count("  1 flaky"), counts(0, 1, 0));
        assert_eq!(count("  3 did not run"), counts(0, 0, 3));
        for other in ["", "12 tests", "Running 31 tests using 2 workers", "a 2 passed"] {
            assert_eq!(count(other), None, "{other}");
        }
    }

    #[test]
    fn versions_of_node_are_compared_as_numbers() {
        assert!(version_of("v20.19.2\n") >= NODE_MIN && version_of("v22.1.0") >= NODE_MIN);
        assert!(version_of("v20.9.0") < NODE_MIN && version_of("v18.20.4") < NODE_MIN);
        assert!(version_of("") < NODE_MIN);
    }
}
