//! Sign-ins to learn from and to ask about: generated, or from an sshd log and where that has only
//! one kind of sign-in, some generated ones beside it.
//!
//! Always true: the sign-ins asked about are those that the trainer holds out, the newest fifth, so
//! that the model never saw them; where a log is given, those of the log are preferred.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use formats::table;

use super::program::Program;
use super::teller::say;
use crate::exit::Failure;

/// Generated sign-ins, and what makes them the same every time.
const ROWS: &str = "4000";
const SEED: &str = "11";
/// Most sign-ins that are asked about at once: the largest batch of the example's model.
const ASKED_MAX: usize = 64;
/// As the example's trainer does it: too few sign-ins teach nothing, one in five is held out.
const ROWS_MIN: usize = 50;
const HELD_OUT: usize = 5;

/// Sign-ins, as a file and as what the model eats.
#[derive(Debug)]
pub struct SignIns {
    /// All of them, as CSV.
    pub file: PathBuf,
    /// How many of them are from the reader's log.
    pub from_log: usize,
    pub generated: usize,
    /// The newest that the model will not have seen, oldest first.
    pub asked: Vec<SignIn>,
    /// Which of `asked` is told about as the risky one, and which as the ordinary one.
    pub risky: usize,
    pub ordinary: usize,
}

/// One sign-in.
#[derive(Clone, Debug, Serialize)]
pub struct SignIn {
    /// In words.
    pub words: String,
    /// Whether it is labelled as an attack.
    pub risky: bool,
    #[serde(skip)]
    pub features: Vec<f32>,
}

/// A line of `signin-risk features`.
#[derive(Debug, Deserialize)]
struct Row {
    index: usize,
    features: Vec<f32>,
    risky: bool,
}

impl SignIns {
    /// Gathers sign-ins into a file below `scratch`.
    pub async fn make(
        program: &Program,
        log: Option<&Path>,
        scratch: &Path,
    ) -> Result<Self, Failure> {
        let file = scratch.join("events.csv");
        let mut events = Events::default();
        if let Some(log) = log {
            let read = program.run(&[OsStr::new("read-sshd"), log.as_os_str()]).await?;
            events.add(&text(read)?);
            say(&format!("{} in {}", count(events.lines.len()), log.display()))?;
        }
        let from_log = events.lines.len();
        events.write(&file)?;
        let mut rows = if from_log == 0 { Vec::new() } else { features(program, &file).await? };
        if let Some(why) = unusable(&rows) {
            if log.is_some() {
                say(&format!("{why}, so {ROWS} generated sign-ins are added to learn from"))?;
            }
            let words = ["generate", "--seed", SEED, "--rows", ROWS].map(OsStr::new);
            events.add(&text(program.run(&words).await?)?);
            events.write(&file)?;
            rows = features(program, &file).await?;
        }
        let generated = events.lines.len() - from_log;
        say(&format!("{} sign-ins to learn from and to judge by, labelled", events.lines.len()))?;
        let asked = asked(&rows, from_log);
        let newest = |risky: bool| asked.iter().rposition(|row| row.risky == risky);
        let (Some(risky), Some(ordinary)) = (newest(true), newest(false)) else {
            return Err(Failure::refused("the newest sign-ins are all of one kind")
                .hint("give a longer log, or none"));
        };
        let told = |row: &&Row| {
            let words = events.describe(row.index);
            words.map(|words| SignIn { words, risky: row.risky, features: row.features.clone() })
        };
        let asked = asked.iter().map(told).collect::<Result<_, _>>()?;
        Ok(Self { file, from_log, generated, asked, risky, ordinary })
    }
}

/// Sign-ins as lines of CSV.
#[derive(Default)]
struct Events {
    head: String,
    /// Without their first cell, the index.
    lines: Vec<String>,
}

impl Events {
    /// Adds the lines of a CSV file. Cells of sign-ins hold no line breaks.
    fn add(&mut self, csv: &str) {
        let mut lines = csv.lines();
        lines.next().unwrap_or_default().clone_into(&mut self.head);
        let rest = lines.filter_map(|line| line.split_once(',').map(|(_, rest)| rest.to_owned()));
        self.lines.extend(rest);
    }

    /// Writes them, numbered anew.
    fn write(&self, file: &Path) -> Result<(), Failure> {
        let mut csv = format!("{}\n", self.head);
        for (index, line) in self.lines.iter().enumerate() {
            csv += &format!("{index},{line}\n");
        }
        let written = std::fs::write(file, csv);
        written.map_err(|error| Failure::refused(format!("{}: {error}", file.display())))
    }

    /// A sign-in in words.
    fn describe(&self, index: usize) -> Result<String, Failure> {
        let line = self.lines.get(index).map(String::as_str).unwrap_or_default();
        let csv = format!("{}\n{index},{line}\n", self.head);
        let table = table::preview(csv.as_bytes(), 1)
            .map_err(|error| Failure::internal("could not read a sign-in", &error))?;
        let cell = |name: &str| {
            let at = table.columns.iter().position(|column| column.name == name);
            let cell = at.and_then(|at| table.rows.first()?.get(at));
            cell.map(|cell| cell.trim()).filter(|cell| !matches!(*cell, "" | "-"))
        };
        let user = cell("User ID").unwrap_or("nobody known");
        let from = cell("IP Address").unwrap_or("an unknown address");
        let mut words = cell("Login Timestamp").unwrap_or("some time").replace(".000", "");
        words += &format!(" user {user} from {from}");
        for (name, before) in [("Country", " in "), ("Browser Name and Version", ", ")] {
            if let Some(cell) = cell(name) {
                words += &format!("{before}{cell}");
            }
        }
        let success = cell("Login Successful").is_some_and(|it| it.eq_ignore_ascii_case("true"));
        words += if success { ", accepted" } else { ", refused" };
        Ok(words)
    }
}

async fn features(program: &Program, file: &Path) -> Result<Vec<Row>, Failure> {
    let lines = text(program.run(&[OsStr::new("features"), file.as_os_str()]).await?)?;
    let parse = |line: &str| {
        serde_json::from_str(line)
            .map_err(|error| Failure::internal("could not read features", &error))
    };
    lines.lines().map(parse).collect()
}

/// Why the trainer would refuse these sign-ins, if it would.
fn unusable(rows: &[Row]) -> Option<String> {
    if rows.len() < ROWS_MIN {
        return Some(format!("{} teach too little", count(rows.len())));
    }
    let learnt = &rows[..rows.len() - rows.len() / HELD_OUT];
    let held_out = &rows[learnt.len()..];
    for (some, which) in [(learnt, "oldest"), (held_out, "newest")] {
        let risky = some.iter().filter(|row| row.risky).count();
        if risky == 0 || risky == some.len() {
            let kind = if risky == 0 { "ordinary" } else { "attacks" };
            return Some(format!("the {which} are all {kind}"));
        }
    }
    None
}

/// The newest held-out sign-ins, those of the log where it has both kinds among them.
fn asked(rows: &[Row], from_log: usize) -> Vec<&Row> {
    let held_out = &rows[rows.len() - rows.len() / HELD_OUT..];
    let of_log: Vec<&Row> = held_out.iter().filter(|row| row.index < from_log).collect();
    let both =
        |rows: &[&Row]| rows.iter().any(|row| row.risky) && rows.iter().any(|row| !row.risky);
    let all = if both(&of_log) { of_log } else { held_out.iter().collect() };
    let newest = all[all.len().saturating_sub(ASKED_MAX)..].to_vec();
    if both(&newest) { newest } else { spread(&all) }
}

/// The newest of each kind, for logs that end with a long run of one kind.
fn spread<'r>(all: &[&'r Row]) -> Vec<&'r Row> {
    let mut some = Vec::new();
    for kind in [false, true] {
        let of_kind: Vec<&Row> = all.iter().copied().filter(|row| row.risky == kind).collect();
        some.extend_from_slice(&of_kind[of_kind.len().saturating_sub(ASKED_MAX / 2)..]);
    }
    some
}

fn count(sign_ins: usize) -> String {
    if sign_ins == 1 { "1 sign-in".to_owned() } else { format!("{sign_ins} sign-ins") }
}

fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes)
        .map_err(|error| Failure::internal("the example's program wrote no text", &error))
}
