//! Holds the sources against the rules of the house that no compiler knows.
//!
//! Always true: every check runs, and every finding names its file, before the verb fails; a check
//! reads only what git tracks or would track.
//! Absent on purpose: what rustfmt and clippy already check (widths, long functions, unwraps).

mod codes;
mod imports;
mod licences;
mod links;
mod numbers;
mod registries;
mod sources;
mod specification;
mod sql;
mod traces;

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::places::Places;
use crate::{Failure, process};

/// Larger files are data, and not read.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// What git tracks or would track.
pub(crate) struct Tree {
    /// Every path, relative to the checkout.
    paths: BTreeSet<String>,
    /// The files that are text.
    files: Vec<File>,
}

struct File {
    path: String,
    text: String,
}

/// Something that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1; 0 where the finding is about the whole file.
    line: usize,
    text: String,
}

impl Finding {
    fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, text } = self;
        if *line == 0 { write!(f, "{path}: {text}") } else { write!(f, "{path}:{line}: {text}") }
    }
}

/// Runs every check.
pub(crate) fn run(places: &Places, _words: &[String]) -> Result<(), Failure> {
    let tree = Tree::read(&places.root)?;
    let mut findings = Vec::new();
    findings.extend(sources::check(&tree));
    findings.extend(imports::check(&tree, &metadata(places, &["--no-deps"])?)?);
    findings.extend(codes::check(&tree));
    findings.extend(sql::check(&tree));
    findings.extend(registries::check(&tree));
    findings.extend(specification::check(&tree));
    findings.extend(links::check(&tree));
    findings.extend(traces::check(&tree));
    let host = host()?;
    let whole = metadata(places, &["--filter-platform", &host])?;
    findings.extend(licences::check(&tree, &whole));
    findings.extend(licences::check_console(&tree));
    for finding in &findings {
        process::tell(&finding.to_string());
    }
    for note in sources::long(&tree) {
        process::tell(&format!("note: {note}"));
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files, nothing to say", tree.paths.len());
            Ok(())
        }
        count => Err(Failure::new(format!("{count} findings"))),
    }
}

/// What cargo knows about the workspace.
fn metadata(places: &Places, words: &[&str]) -> Result<serde_json::Value, Failure> {
    let mut command = process::cargo(places, &["metadata", "--format-version", "1", "--locked"]);
    let text = process::output(command.args(words));
    let text = text.ok_or_else(|| Failure::new("cargo metadata failed: is Cargo.lock current?"))?;
    serde_json::from_str(&text).map_err(|error| Failure::at("cargo metadata", error))
}

/// The platform this runs on, so that no other platform's crates are fetched.
fn host() -> Result<String, Failure> {
    let text = process::output(Command::new("rustc").arg("-vV")).unwrap_or_default();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::new("rustc -vV names no host"))
}

impl Tree {
    fn read(root: &Path) -> Result<Self, Failure> {
        let words = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
        let listed = process::output(Command::new("git").args(words).current_dir(root));
        let listed = listed.ok_or_else(|| Failure::new("git ls-files failed"))?;
        let there = |path: &&str| !path.is_empty() && root.join(path).exists();
        let paths: BTreeSet<String> = listed.split('\0').filter(there).map(str::to_owned).collect();
        let text = |path: &String| {
            let place = root.join(path);
            let small = fs::metadata(&place).is_ok_and(|facts| facts.len() <= TEXT_BYTES_MAX);
            let text = small.then(|| fs::read_to_string(&place).ok()).flatten()?;
            Some(File { path: path.clone(), text })
        };
        Ok(Self { files: paths.iter().filter_map(text).collect(), paths })
    }

    /// The text files whose names end so.
    fn ending(&self, end: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// A tree of these files, for tests of checks.
    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        Self {
            paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
            files: files.iter().map(file).collect(),
        }
    }
}

/// Whether a source file holds tests only.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.starts_with("testkit/")
}

/// A source without the tests that stand at its end.
fn without_tests(text: &str) -> &str {
    let starts = text.match_indices("\n#[cfg(test)]\nmod ");
    let inline = |at: usize| text[at..].lines().nth(2).is_some_and(|line| line.ends_with('{'));
    let end = starts.map(|(at, _)| at).find(|at| inline(*at));
    &text[..end.unwrap_or(text.len())]
}

/// The rows of every table of a Markdown text: line number, then cells without their borders.
fn rows(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    text.lines().zip(1..).filter_map(|(line, number)| {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        Some((number, inner.split('|').map(str::trim).collect()))
    })
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
