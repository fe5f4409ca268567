//! How fast a stream takes events that are safe once they are acknowledged, beside NATS with
//! `JetStream` on the same disk; and how fast they are read back.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Row;
use super::tools::{Server, number};
use crate::places::Places;
use crate::{Failure, process};

const PROGRAM: &str = "bench-events";
/// Events of a run: some seconds of it.
const EVENTS: u64 = 1_000_000;
/// Events that are appended or published one by one, and how many are under way at a time.
const SINGLE_EVENTS: u64 = 100_000;
const CALLERS: u64 = 256;
/// Messages that NATS has not acknowledged at a time, as batches of ours.
const AHEAD: u64 = 2_000;
/// How often each is measured, in turn; medians are told.
const TIMES: usize = 3;
const BATCHED_PER_S_MIN: f64 = 100_000.0;
const SINGLE_PER_S_MIN: f64 = 10_000.0;
const SINGLE_P99_US_MAX: f64 = 20_000.0;
const READ_PER_S_MIN: f64 = 500_000.0;
/// How long a server may take to be there.
const START_MAX: Duration = Duration::from_secs(10);

/// Lines of the program's runs, by what was measured.
type Lines = HashMap<String, Vec<Value>>;

/// Runs all of it.
pub(super) fn run(places: &Places) -> Result<Vec<Row>, Failure> {
    let words = ["build", "--release", "--locked", "--package=events", "--bin", PROGRAM];
    process::run(&mut process::cargo(places, &words))?;
    let (mut lines, mut sealed) = (Lines::new(), Lines::new());
    let mut nats = None;
    for _ in 0..TIMES {
        // On the disk of what is built: where temporary files are may be memory.
        let folder = places.target.join(PROGRAM);
        let failed = |error| Failure::at(folder.display(), error);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(failed)?;
        }
        fs::create_dir_all(&folder).map_err(failed)?;
        let path = folder.display().to_string();
        let all = path.clone() + "/all";
        measured(places, &["all", &all, &EVENTS.to_string()], &mut lines)?;
        let all = path.clone() + "/encrypted";
        measured(places, &["all", &all, &EVENTS.to_string(), "encrypted"], &mut sealed)?;
        let single = path.clone() + "/single";
        let counts = [SINGLE_EVENTS.to_string(), CALLERS.to_string()];
        measured(places, &["single", &single, &counts[0], &counts[1]], &mut lines)?;
        nats = Some(beside(places, &path, &mut lines)?);
        fs::remove_dir_all(&folder).map_err(failed)?;
    }
    let mut rows = rows(&lines, &nats.unwrap_or_default())?;
    rows.push(encrypted(&sealed, &lines)?);
    Ok(rows)
}

/// What encryption costs, beside the same without it.
fn encrypted(sealed: &Lines, plain: &Lines) -> Result<Row, Failure> {
    let (taken, back) =
        (median(sealed, "append", "per_s")?, median(sealed, "select all", "per_s")?);
    let part = |one: f64, what: &str| Ok(100.0 * one / median(plain, what, "per_s")?);
    let (taken_part, back_part) = (part(taken, "append")?, part(back, "select all")?);
    Ok(Row {
        work: "the same in calls of 2,000, of a stream that is encrypted; and read back".to_owned(),
        measured: format!("{taken:.0} /s, {back:.0} /s"),
        beside: format!("{taken_part:.0} % and {back_part:.0} % of the same in plain"),
        must: format!("≥ {BATCHED_PER_S_MIN} /s, ≥ {READ_PER_S_MIN} /s"),
        reached: taken >= BATCHED_PER_S_MIN && back >= READ_PER_S_MIN,
    })
}

/// What the lines come to.
fn rows(lines: &Lines, nats: &str) -> Result<Vec<Row>, Failure> {
    let of = |what: &str, name: &str| median(lines, what, name);
    let per_s = |value: f64| format!("{value:.0} /s");
    let peer = |what: &str| {
        let (rate, p99) = (of(what, "per_s").ok()?, of(what, "p99_us").ok()?);
        Some(format!("{nats}: {rate:.0} /s, p99 {:.1} ms", p99 / 1e3))
    };
    let none = || format!("nats-server: {nats}");
    let batched = of("append", "per_s")?;
    let callers = format!("append of {CALLERS} callers");
    let (single, p99) = (of(&callers, "per_s")?, of(&callers, "p99_us")?);
    let (back, hour) = (of("select all", "per_s")?, &lines["segments"][0]);
    Ok(vec![
        Row {
            work: format!(
                "events of 300 bytes appended, 2,000 a call, on the disk before each answer; {EVENTS} of them"
            ),
            measured: format!(
                "{}, p99 of a call {:.1} ms",
                per_s(batched),
                of("append", "p99_us")? / 1e3
            ),
            beside: peer(&format!("published {AHEAD} ahead")).unwrap_or_else(none),
            must: format!("≥ {BATCHED_PER_S_MIN} /s"),
            reached: batched >= BATCHED_PER_S_MIN,
        },
        Row {
            work: format!("the same one a call, of {CALLERS} callers at a time"),
            measured: format!("{}, p99 {:.1} ms", per_s(single), p99 / 1e3),
            beside: peer(&format!("published {CALLERS} ahead")).unwrap_or_else(none),
            must: format!("≥ {SINGLE_PER_S_MIN} /s, p99 ≤ {} ms", SINGLE_P99_US_MAX / 1e3),
            reached: single >= SINGLE_PER_S_MIN && p99 <= SINGLE_P99_US_MAX,
        },
        Row {
            work: "read back in the order of their times, from segments".to_owned(),
            measured: per_s(back),
            beside: String::new(),
            must: format!("≥ {READ_PER_S_MIN} /s"),
            reached: back >= READ_PER_S_MIN,
        },
        Row {
            work: "one hour selected of 30 days".to_owned(),
            measured: format!(
                "{:.1} ms; {} segments of {} read, the others excluded by statistics",
                of("select an hour", "us")? / 1e3,
                number(hour, "read")?,
                number(hour, "segments")?,
            ),
            beside: String::new(),
            must: "by statistics only".to_owned(),
            reached: number(hour, "read")? < number(hour, "segments")?,
        },
    ])
}

fn measured(places: &Places, words: &[&str], lines: &mut Lines) -> Result<(), Failure> {
    let mut command = Command::new(places.target.join("release").join(PROGRAM));
    let output = command.args(words).stdin(Stdio::null()).output();
    let output = output.map_err(|error| Failure::at(PROGRAM, error))?;
    if !output.status.success() {
        return Err(Failure::at(PROGRAM, String::from_utf8_lossy(&output.stderr)));
    }
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let line: Value =
            serde_json::from_str(line).map_err(|error| Failure::at(PROGRAM, error))?;
        let what = line["what"].as_str().unwrap_or("segments").to_owned();
        process::tell(&line.to_string());
        lines.entry(what).or_default().push(line);
    }
    Ok(())
}

/// The same bytes to a NATS server with `JetStream`, on the same disk; what it is, or why it was not.
fn beside(places: &Places, folder: &str, lines: &mut Lines) -> Result<String, Failure> {
    let Some(program) = places.program("nats-server") else {
        return Ok("not installed".to_owned());
    };
    let version = process::output(Command::new(&program).arg("--version")).unwrap_or_default();
    for (ahead, count) in [(AHEAD, EVENTS), (CALLERS, SINGLE_EVENTS)] {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr());
        let address = free.map_err(|error| Failure::at("a port", error))?;
        let mut command = Command::new(&program);
        command.args(["-a", "127.0.0.1", "-p", &address.port().to_string(), "-js", "-sd"]);
        command.arg(format!("{folder}/nats-{ahead}")).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let _server = Server(child.map_err(|error| Failure::at("nats-server", error))?);
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > START_MAX {
                return Err(Failure::new("nats-server did not start"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let address = address.to_string();
        measured(places, &["nats", &address, &count.to_string(), &ahead.to_string()], lines)?;
    }
    let version = version.trim().trim_start_matches("nats-server: ").to_owned();
    Ok(format!("NATS JetStream {version}, files, acknowledged before they are synced"))
}

/// The median of what was measured.
fn median(lines: &Lines, what: &str, name: &str) -> Result<f64, Failure> {
    let missing = || Failure::new(format!("{what} was not measured"));
    let found = lines.get(what).ok_or_else(missing)?;
    let mut values = found.iter().map(|line| number(line, name)).collect::<Result<Vec<_>, _>>()?;
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().ok_or_else(missing)
}
