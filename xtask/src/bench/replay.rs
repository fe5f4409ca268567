//! How exactly the replay engine holds a rate, beside a loop that only waits; how many events one
//! processor sends in a second, beside other generators where they are installed; and what is
//! measured of each event costs.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::Row;
use super::tools::{number, pinned, pointer, result};
use crate::places::Places;
use crate::{Failure, process};

const RATES: [u64; 4] = [1_000, 5_000, 10_000, 20_000];
/// How far the rate may be off, in parts of it.
const RATE_OFF_MAX: f64 = 0.001;
const LAG_P50_NS_MAX: f64 = 50_000.0;
/// By how much 99 of 100 sends may be later than those of a loop that only waits.
const LAG_P99_MORE_NS_MAX: f64 = 200_000.0;
const SENT_PER_S_MIN: u64 = 50_000;
const COST_NS_MAX: f64 = 1_000.0;
/// For how long each rate is tried where the highest is looked for.
const TRY_SECONDS: u64 = 5;
/// How often a rate is tried, since other work on the machine makes runs invalid.
const TRIES: u32 = 5;
/// Rates that are tried, each a step above the one before.
const TRIED_MAX: u64 = 120_000;
const TRY_STEP: u64 = 10_000;
/// Connections of generators that send their next request when the last is answered.
const PEER_CONNECTIONS: &str = "64";

const PROGRAM: &str = "bench-replay";
/// An address of this machine, with a port that is free.
const LOOPBACK: &str = "127.0.0.1:0";

/// A server that answers at once, killed when it is dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Serves at an address, at a socket of the file system where that is a path.
    fn start(places: &Places, at: &str, processor: Option<usize>) -> Result<Self, Failure> {
        let mut command = pinned(&places.target.join("release").join(PROGRAM), processor);
        let spawned = command.args(["serve", at]).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| Failure::at(PROGRAM, error))?;
        let mut address = String::new();
        if let Some(told) = child.stdout.take() {
            let read = BufReader::new(told).read_line(&mut address);
            read.map_err(|error| Failure::at(PROGRAM, error))?;
        }
        Ok(Self { child, address: address.trim().to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs all of it; each rate is held for so many seconds.
pub(super) fn run(places: &Places, seconds: u64) -> Result<Vec<Row>, Failure> {
    let words = ["build", "--release", "--locked", "--package=events", "--bin", PROGRAM];
    process::run(&mut process::cargo(places, &words))?;
    let mut rows = Vec::new();
    for rate in RATES {
        rows.extend(pacing(places, rate, seconds)?);
    }
    rows.extend(highest(places)?);
    rows.extend(costs(places)?);
    Ok(rows)
}

fn asked(places: &Places, words: &[&str], more: &[String]) -> Result<Value, Failure> {
    let program = places.target.join("release").join(PROGRAM);
    result(Command::new(program).args(words).args(more))
}

/// A percentile of times, in nanoseconds.
fn seen(times: &Value, name: &str) -> Result<f64, Failure> {
    number(&times[name], "seen_ns")
}

/// One rate, beside the same waits without sending.
fn pacing(places: &Places, rate: u64, seconds: u64) -> Result<Vec<Row>, Failure> {
    let settings = [format!("rate={rate}"), format!("seconds={seconds}")];
    let server = Server::start(places, LOOPBACK, None)?;
    let bare = asked(places, &["wait"], &settings)?;
    let told = asked(places, &["run", &server.address], &settings)?;
    let of = |path: &str| number(&told, path);
    let (sent, took, wanted, in_ns) = (of("sent")?, of("took_ns")?, of("asked")?, of("asked_ns")?);
    let off = ((sent / took) / (wanted / in_ns) - 1.0).abs();
    let (p50, p99) = (seen(&told["lag"], "p50")?, seen(&told["lag"], "p99")?);
    let late = &bare["late"];
    let (bare_p50, bare_p99) = (seen(late, "p50")?, seen(late, "p99")?);
    let verdict = pointer(&told, "/why")?.replace("\n ", ";");
    process::tell(&format!("{rate}/s: {verdict}"));
    let us = |ns: f64| format!("{:.1} µs", ns / 1e3);
    Ok(vec![
        Row {
            work: format!("{rate} events a second for {seconds} s: rate"),
            measured: format!("{:.4} % off, {verdict}", off * 100.0),
            beside: String::new(),
            must: format!("≤ {} % off", RATE_OFF_MAX * 100.0),
            reached: off <= RATE_OFF_MAX,
        },
        Row {
            work: format!("{rate} events a second for {seconds} s: late by, p50 and p99"),
            measured: format!("{}, {}", us(p50), us(p99)),
            beside: format!("only waiting: {}, {}", us(bare_p50), us(bare_p99)),
            must: format!(
                "p50 ≤ {}, p99 ≤ the other's and {} more",
                us(LAG_P50_NS_MAX),
                us(LAG_P99_MORE_NS_MAX)
            ),
            reached: p50 <= LAG_P50_NS_MAX && p99 <= bare_p99 + LAG_P99_MORE_NS_MAX,
        },
    ])
}

/// The highest rate of a valid run where all of the sender is on one processor: to a socket of the
/// file system, as replays are sent to the gateway, and over TCP, as other generators send.
fn highest(places: &Places) -> Result<Vec<Row>, Failure> {
    let folder = std::env::temp_dir().join(format!("{PROGRAM}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| Failure::at(PROGRAM, error))?;
    let socket = folder.join("socket");
    let local = Server::start(places, &socket.display().to_string(), Some(1))?;
    let unix = highest_to(places, &local.address)?;
    drop(local);
    // What is left of it is in a folder of temporary files.
    let _ = std::fs::remove_dir_all(&folder);
    let server = Server::start(places, LOOPBACK, Some(1))?;
    let tcp = highest_to(places, &server.address)?;
    let peers: Vec<String> = PEERS.iter().map(|peer| peer.told(&server.address)).collect();
    let row = |how: &str, (best, why): (u64, String), beside: String| Row {
        work: format!(
            "highest rate of a valid run, sender on one processor, HTTP/1.1 kept alive, {how}"
        ),
        measured: format!("{best} /s; beyond it: {why}"),
        beside,
        must: format!("≥ {SENT_PER_S_MIN} /s"),
        reached: best >= SENT_PER_S_MIN,
    };
    Ok(vec![
        row("to a socket of the file system, as replays are sent", unix, String::new()),
        row("over TCP", tcp, peers.join("; ")),
    ])
}

/// The highest rate of a valid run to a server, and why a higher one was not valid.
fn highest_to(places: &Places, address: &str) -> Result<(u64, String), Failure> {
    let (mut best, mut why) = (0, String::new());
    for rate in (TRY_STEP..=TRIED_MAX).step_by(usize::try_from(TRY_STEP).unwrap_or(1)) {
        let mut is_valid = false;
        for _ in 0..TRIES {
            let fixed = ["spin_ns=0".to_owned(), "processor=0".to_owned()];
            let timed = [format!("rate={rate}"), format!("seconds={TRY_SECONDS}")];
            let told = asked(places, &["run", address], &[fixed, timed].concat())?;
            let verdict = pointer(&told, "/why")?.replace("\n ", ";");
            process::tell(&format!("{rate}/s on one processor to {address}: {verdict}"));
            is_valid = told["valid"] == Value::Bool(true);
            if is_valid {
                break;
            }
            why = verdict;
        }
        if !is_valid {
            break;
        }
        best = rate;
    }
    Ok((best, why))
}

/// Another generator, of which only the throughput compares: it waits for answers.
struct Peer {
    name: &'static str,
    words: &'static [&'static str],
    /// What stands before its number.
    before: &'static str,
}

const PEERS: [Peer; 3] = [
    Peer { name: "wrk", words: &["-t1", "-c", PEER_CONNECTIONS, "-d5s"], before: "Requests/sec:" },
    Peer {
        name: "oha",
        words: &["--no-tui", "-c", PEER_CONNECTIONS, "-z", "5s"],
        before: "Requests/sec:",
    },
    Peer { name: "hey", words: &["-c", PEER_CONNECTIONS, "-z", "5s"], before: "Requests/sec:" },
];

impl Peer {
    /// What it sends in a second on the same processor, or that it is not there.
    fn told(&self, address: &str) -> String {
        let url = format!("http://{address}/");
        let words = ["--cpu-list", "0", self.name];
        let mut command = Command::new("taskset");
        let output = command.args(words).args(self.words).arg(url).stdin(Stdio::null()).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let found = text.ok().and_then(|text| {
            let line = text
                .lines()
                .find_map(|line| line.trim().strip_prefix(self.before).map(str::to_owned));
            line?.trim().parse::<f64>().ok()
        });
        match found {
            Some(per_second) => format!("{} {per_second:.0} /s, closed loop", self.name),
            None => format!("{} is not installed", self.name),
        }
    }
}

fn costs(places: &Places) -> Result<Vec<Row>, Failure> {
    let told = asked(places, &["costs"], &[])?;
    let row = |work: &str, name: &str| -> Result<Row, Failure> {
        let cost_ns = number(&told, name)?;
        Ok(Row {
            work: work.to_owned(),
            measured: format!("{cost_ns:.0} ns"),
            beside: String::new(),
            must: format!("≤ {COST_NS_MAX} ns"),
            reached: cost_ns <= COST_NS_MAX,
        })
    };
    Ok(vec![
        row("a time is added to a sketch", "sketch_ns")?,
        row("a record is counted, with its cell's four sketches", "cells_ns")?,
        row("an event is counted for paired evidence", "judge_ns")?,
    ])
}
