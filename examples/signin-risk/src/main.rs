//! An algorithm that learns to tell risky sign-ins from ordinary ones, and writes the model as ONNX.
//!
//! `train` speaks the `/opt/ml` training contract, so any platform that knows it can run this
//! program; `generate` makes labelled events, `read-sshd` reads them from a server's log, and
//! `features` turns events into what the model eats, by the very code that trained it.
//! Always true: the same input, seed and settings give the same bytes.
//! Absent on purpose: every crate of the platform that runs it. It is an ordinary package.

mod contract;
mod event;
mod features;
mod generate;
mod learn;
mod manifest;
mod onnx;
mod package;
mod random;
mod request;
mod sshd;
mod time;
mod train;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
Learns to tell risky sign-ins from ordinary ones.

  signin-risk train [--root DIR]
      Trains by the /opt/ml contract: reads DIR/input, writes DIR/model; DIR is /opt/ml by default.
  signin-risk generate [--seed N] [--rows N]
      Writes labelled sign-in events as CSV: 1 and 5000 by default.
  signin-risk read-sshd LOG [--year YYYY]
      Writes the sign-ins of a server's log as CSV; - is standard input. A log that names no year
      ends in the year given, or in that of the file's last change.
  signin-risk features [EVENTS] [--request] [--last N]
      Writes each event's features as a line of JSON, or all of them as one inference request.
      --last keeps the newest N; the ones before still count as what was known. - or nothing is
      standard input.
  signin-risk package --into DIR
      Writes the package of this algorithm, the program included, into a new or empty folder.
  signin-risk dataset EVENTS --into DIR
      Writes the package of a data set with these events into a new or empty folder.
";

/// What stopped the program, as a sentence for people.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    /// What was attempted on `path`, and why it failed.
    pub(crate) fn at(path: &Path, cause: impl Display) -> Self {
        Self(format!("{}: {cause}", path.display()))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(format!("could not write the answer: {error}"))
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where even standard error is gone, the exit code still says it.
            let _ = writeln!(io::stderr().lock(), "signin-risk: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<(), Failure> {
    let Some((verb, rest)) = words.split_first() else {
        return Err(Failure(format!("say what to do\n\n{HELP}")));
    };
    let mut words = Words(rest.to_vec());
    match verb.as_str() {
        "train" => {
            let root = words.option("--root")?.unwrap_or_else(|| "/opt/ml".to_owned());
            words.end()?;
            train::run(Path::new(&root), &mut io::stdout().lock())
        }
        "generate" => {
            let seed = words.number("--seed")?.unwrap_or(1);
            let rows = words.number("--rows")?.unwrap_or(5_000);
            words.end()?;
            event::write(BufWriter::new(io::stdout().lock()), &generate::events(seed, rows)?)
        }
        "read-sshd" => {
            let year = words.number("--year")?;
            let Some(path) = words.next() else {
                return Err(Failure("name the log to read, or - for standard input".into()));
            };
            words.end()?;
            let (input, changed_year) = open(&path)?;
            let events = sshd::read(input, year.or(changed_year))?;
            event::write(BufWriter::new(io::stdout().lock()), &events)
        }
        "features" => {
            let as_request = words.flag("--request");
            let last = words.number("--last")?;
            let path = words.next().unwrap_or_else(|| "-".to_owned());
            words.end()?;
            let rows = features::of_events(event::read(open(&path)?.0)?);
            let keep = last.map_or(rows.len(), |last| usize::try_from(last).unwrap_or(usize::MAX));
            let newest = &rows[rows.len().saturating_sub(keep)..];
            request::write(BufWriter::new(io::stdout().lock()), newest, as_request)
        }
        "package" => {
            let into = words.needed("--into")?;
            words.end()?;
            package::write_algorithm(Path::new(&into))
        }
        "dataset" => {
            let into = words.needed("--into")?;
            let Some(path) = words.next() else {
                return Err(Failure("name the events to put in, or - for standard input".into()));
            };
            words.end()?;
            let mut events = Vec::new();
            let read = open(&path)?.0.read_to_end(&mut events);
            read.map_err(|error| Failure::at(Path::new(&path), error))?;
            event::read(events.as_slice())?;
            package::write_dataset(Path::new(&into), &events)
        }
        "help" | "--help" | "-h" => Ok(io::stdout().lock().write_all(HELP.as_bytes())?),
        other => Err(Failure(format!("{other:?} is not a command\n\n{HELP}"))),
    }
}

/// Opens a file, or standard input for `-`; with the year of the file's last change.
fn open(path: &str) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    if path == "-" {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let path = PathBuf::from(path);
    let file = File::open(&path).map_err(|error| Failure::at(&path, error))?;
    let changed = file.metadata().and_then(|facts| facts.modified()).ok();
    let year =
        changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).and_then(|at| {
            let ms = i64::try_from(at.as_millis()).ok()?;
            u64::try_from(time::civil(ms).year).ok()
        });
    Ok((Box::new(BufReader::new(file)), year))
}

/// The words after the verb, taken one by one.
struct Words(Vec<String>);

impl Words {
    fn flag(&mut self, name: &str) -> bool {
        let at = self.0.iter().position(|word| word == name);
        at.map(|at| self.0.remove(at)).is_some()
    }

    fn option(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let Some(at) = self.0.iter().position(|word| word == name) else { return Ok(None) };
        if at + 1 == self.0.len() {
            return Err(Failure(format!("{name} needs a value")));
        }
        self.0.remove(at);
        Ok(Some(self.0.remove(at)))
    }

    fn needed(&mut self, name: &str) -> Result<String, Failure> {
        self.option(name)?.ok_or_else(|| Failure(format!("{name} is missing\n\n{HELP}")))
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>, Failure> {
        let Some(text) = self.option(name)? else { return Ok(None) };
        let number = text.parse().map_err(|_| Failure(format!("{name} {text:?} is no number")))?;
        Ok(Some(number))
    }

    fn next(&mut self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    fn end(self) -> Result<(), Failure> {
        match self.0.first() {
            None => Ok(()),
            Some(word) => Err(Failure(format!("{word:?} was not expected\n\n{HELP}"))),
        }
    }
}
