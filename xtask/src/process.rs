//! Running other programs, and saying so.
//!
//! Always true: a program that fails is named with its words; its output is shown as it comes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::places::Places;

/// Says a line to the person, apart from what programs print.
pub(crate) fn tell(line: &str) {
    // Where standard error is gone, nobody listens.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A cargo command in the checkout, building into the target folder of `places`.
pub(crate) fn cargo(places: &Places, words: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(words).current_dir(&places.root).env("CARGO_TARGET_DIR", &places.target);
    command
}

/// The command as a person would type it.
pub(crate) fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Runs a command and lets it print.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    tell(&format!("$ {}", words(command)));
    let status = command.stdin(Stdio::null()).status();
    let status = status.map_err(|error| Failure::at(words(command), error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::at(words(command), status))
}

/// Runs a command and lets it print; returns what it printed to both streams, and whether it
/// succeeded. Each stream's lines are shown on the same stream, as they come.
pub(crate) fn run_and_read(command: &mut Command) -> Result<(String, bool), Failure> {
    tell(&format!("$ {}", words(command)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| Failure::at(words(command), error))?;
    let errors = child.stderr.take();
    let errors = errors.map(|stream| thread::spawn(move || show(stream, tell)));
    let answer = child.stdout.take();
    let mut text = answer.map(|stream| show(stream, |line| println!("{line}"))).unwrap_or_default();
    if let Some(errors) = errors {
        text += &errors.join().unwrap_or_default();
    }
    let status = child.wait().map_err(|error| Failure::at(words(command), error))?;
    Ok((text, status.success()))
}

fn show(stream: impl Read, say: fn(&str)) -> String {
    let mut text = String::new();
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        say(&line);
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// What a command prints to standard output, with nothing shown; none where it fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The phases of a long chore, each with the time it took.
#[derive(Default)]
pub(crate) struct Phases(Vec<(&'static str, Duration)>);

impl Phases {
    /// Runs one phase; its failure names it.
    pub(crate) fn run<T>(
        &mut self,
        name: &'static str,
        act: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        tell(&format!("\n== {name}"));
        let start = Instant::now();
        let outcome = act();
        self.0.push((name, start.elapsed()));
        outcome.map_err(|failure| {
            tell(&self.table());
            Failure::at(format!("phase {name:?} failed"), failure)
        })
    }

    /// Every phase so far with its seconds.
    pub(crate) fn table(&self) -> String {
        let row =
            |(name, took): &(&str, Duration)| format!("  {name:<12} {:>6} s\n", took.as_secs());
        let total: Duration = self.0.iter().map(|(_, took)| *took).sum();
        let rows: String = self.0.iter().map(row).collect();
        format!("\n{rows}  {:<12} {:>6} s", "total", total.as_secs())
    }
}
