//! Benchmarks: what is measured, beside what, and the page that says so.
//!
//! Always true: a row of `docs/benchmarks.md` was measured on the machine the page names, by the
//! program of one build; a benchmark that could not run leaves no row, and fails the verb.

mod cloud;
mod engine;
mod events;
mod functions;
mod mlserver;
mod protocol;
mod replay;
mod seal;
mod simulate;
mod start;
mod tools;

use std::fs;
use std::process::Command;

use crate::places::Places;
use crate::{Failure, process};

use tools::Tools;

const PAGE: &str = "docs/benchmarks.md";

/// A benchmark: its name, what it measures, and the function that does.
type Benchmark = (&'static str, &'static str, Measure);

/// What a benchmark is done with.
#[derive(Clone, Copy)]
enum Measure {
    /// The program of a release, and what asks it.
    Cloud(fn(&Places, &Tools) -> Result<Vec<Row>, Failure>),
    /// A program of its own.
    Alone(fn(&Places) -> Result<Vec<Row>, Failure>),
    /// A program of its own, for so many seconds.
    Timed(fn(&Places, u64) -> Result<Vec<Row>, Failure>),
}

use Measure::{Alone, Cloud, Timed};

/// For how long something is done that is timed, unless `--seconds=N` says otherwise.
const SECONDS: u64 = 60;

const ENGINE: &str = "what serving leaves of the engine's samples in a second (Triton's server \
    comes in no package that installs beside it)";

const FUNCTIONS: &str = "how functions start from parked sandboxes, and what these weigh; what a \
    call of one that runs costs, and how calls fare while one version follows another";

const REPLAY: &str = "how exactly a replay holds its rate, how many events one processor sends, and \
    what measuring costs";

const EVENTS: &str = "how fast streams take events that are safe once acknowledged, beside NATS, and \
    give them back";

const BENCHMARKS: [Benchmark; 8] = [
    ("protocol", "what REST and the way to a model that does nothing cost", Cloud(protocol::run)),
    ("engine", ENGINE, Cloud(engine::run)),
    ("seal", "receiving a package, cutting, encrypting and storing it", Cloud(seal::run)),
    (
        "start",
        "from exec to readiness on an existing data folder, and idle memory",
        Cloud(start::run),
    ),
    ("functions", FUNCTIONS, Cloud(functions::run)),
    ("simulate", SIMULATE, Alone(simulate::run)),
    ("events", EVENTS, Alone(events::run)),
    ("replay", REPLAY, Timed(replay::run)),
];

const SIMULATE: &str = "decisions about functions at 10,000 of them, how fast loads are simulated, \
    and what keeping warm would have cost on a recorded one and on unseen ones";

/// One measured line of the page.
#[derive(Debug)]
pub(crate) struct Row {
    /// What was done.
    pub(crate) work: String,
    /// What was measured, with its unit.
    pub(crate) measured: String,
    /// What it was measured beside, in the same run; empty where there is nothing like it.
    pub(crate) beside: String,
    /// What must be reached, and whether it was.
    pub(crate) must: String,
    pub(crate) reached: bool,
}

/// The names of the benchmarks.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BENCHMARKS.iter().map(|(name, ..)| *name)
}

/// Runs the benchmarks named, or all of them, and writes the page.
pub(crate) fn run(places: &Places, words: &[String]) -> Result<(), Failure> {
    if words.iter().any(|word| word == "--list") {
        for (name, what, _) in BENCHMARKS {
            println!("{name:<10} {what}");
        }
        return Ok(());
    }
    let told = words.iter().find_map(|word| word.strip_prefix("--seconds="));
    let seconds = told.map_or(Some(SECONDS), |text| text.parse().ok().filter(|count| *count > 0));
    let seconds = seconds.ok_or_else(|| Failure::new("--seconds takes a whole number above 0"))?;
    let words: Vec<&String> = words.iter().filter(|word| !word.starts_with("--seconds=")).collect();
    if let Some(word) = words.iter().find(|word| !names().any(|name| name == word.as_str())) {
        return Err(Failure::new(format!(
            "{word:?} is no benchmark: see cargo xtask bench --list"
        )));
    }
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| word.as_str() == name);
    let chosen: Vec<Benchmark> = BENCHMARKS.into_iter().filter(|(name, ..)| wanted(name)).collect();
    let cloud = chosen.iter().any(|(.., measure)| matches!(measure, Cloud(_)));
    let tools = cloud.then(|| Tools::build(places)).transpose()?;
    let mut sections = Vec::new();
    let mut short = Vec::new();
    for (name, what, measure) in chosen {
        process::tell(&format!("\n== {name}: {what}"));
        let load = load();
        let rows = match (measure, &tools) {
            (Cloud(measure), Some(tools)) => measure(places, tools),
            (Cloud(_), None) => Err(Failure::new("nothing was built for it")),
            (Alone(measure), _) => measure(places),
            (Timed(measure), _) => measure(places, seconds),
        };
        let rows = rows.map_err(|failure| Failure::at(name, failure))?;
        short.extend(rows.iter().filter(|row| !row.reached).map(|row| row.work.clone()));
        sections.push(section(name, &format!("{what}. {load}"), &rows));
    }
    let page = format!("{}\n{}", head(tools.as_ref()), sections.join("\n"));
    println!("{page}");
    if words.is_empty() && told.is_none() {
        let path = places.root.join(PAGE);
        fs::write(&path, page).map_err(|error| Failure::at(path.display(), error))?;
    }
    if short.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("not reached: {}", short.join("; "))))
}

fn section(name: &str, what: &str, rows: &[Row]) -> String {
    let mut text = format!("## {name}\n\n{what}\n\n");
    text +=
        "| work | measured | beside it | must reach | reached |\n| --- | --- | --- | --- | --- |\n";
    for Row { work, measured, beside, must, reached } in rows {
        let beside = if beside.is_empty() { "–" } else { beside };
        let reached = if *reached { "yes" } else { "no" };
        text += &format!("| {work} | {measured} | {beside} | {must} | {reached} |\n");
    }
    text
}

/// What else the machine was doing.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let minute = text.split_whitespace().next().unwrap_or("unknown");
    format!("Load of the machine in the minute before: {minute}.")
}

/// What the numbers were measured on.
fn head(tools: Option<&Tools>) -> String {
    let facts = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = facts.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = facts.lines().filter(|line| line.starts_with("processor")).count();
    let said = |program: &str, word: &str| {
        process::output(Command::new(program).arg(word)).unwrap_or_default().trim().to_owned()
    };
    let engine = tools.and_then(|tools| tools.setup.python.onnxruntime.as_ref()?.file_name());
    format!(
        "# Benchmarks\n\nWritten by `cargo xtask bench`; medians of runs that take turns with \
         what they are measured beside, all on loopback. What must be reached is also in the \
         specification.\n\n\
         - date: {}\n- machine: {}, {cores} processors, Linux {}\n\
         - compiler: {}, release profile\n- engine: {}\n",
        said("date", "+%Y-%m-%d"),
        model.unwrap_or("unknown processor"),
        said("uname", "-r"),
        said("rustc", "--version"),
        engine.map_or("none but the built-in one".into(), |name| name.to_string_lossy()),
    )
}

/// The middle one, of an odd number; 0 of none.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}
