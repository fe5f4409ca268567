//! What decisions about functions cost, how fast loads are simulated, and what ways of keeping
//! instances warm would have cost on a recorded load, where there is one beside the checkout, and on
//! loads by which no way of it was chosen.

use std::process::Command;

use serde_json::Value;

use super::Row;
use super::tools::{number, pointer, result};
use crate::places::Places;
use crate::{Failure, process};

const DECISION_NS_MAX: f64 = 5_000.0;
const CALLS_PER_S_MIN: f64 = 500_000.0;

/// The recorded load, beside the checkout.
const TRACES: &str = "../shared/data/traces";
const FILES: [&str; 3] = ["8h_invocations", "durations_ms", "memory_mb"];

/// Decisions that are measured, and how a row tells them.
const DECISIONS: [(&str, &str); 11] = [
    ("windows", "a call is learnt from and a window chosen, least cost over 200 gaps"),
    ("evictions", "an idle instance enters and another goes"),
    ("dispatches", "a call is dispatched"),
    ("fleets", "a function's rate is learnt and its fleet chosen"),
    ("hot_places", "a host of 100 is found by bounded-load hashing"),
    ("cold_places", "a host of 100 is found by best of two"),
    ("sizes", "a call is learnt from and a size decided on"),
    ("advice", "nine sizes are weighed"),
    ("aliases", "a version is chosen by its share"),
    ("deployments", "a deployment decides"),
    ("retries", "a retry decides"),
];

/// What policies are compared by: its name in the answer, in a row, and how it is written.
type Measure = (&'static str, &'static str, fn(f64) -> String);

/// Runs the program that measures.
pub(super) fn run(places: &Places) -> Result<Vec<Row>, Failure> {
    let words = ["build", "--release", "--locked", "--package=sim", "--bins"];
    process::run(&mut process::cargo(places, &words))?;
    let paths = FILES.map(|name| places.root.join(format!("{TRACES}/azure2019_500f_{name}.csv")));
    let recorded = paths.iter().all(|path| path.is_file());
    let mut command = Command::new(places.target.join("release/bench-simulate"));
    if recorded {
        command.args(&paths);
    } else {
        process::tell(&format!("SKIPPED: no recorded load in {TRACES}, so no rows of one"));
    }
    let told = result(&mut command)?;
    let mut rows = vec![speed(&told)?];
    for (name, work) in DECISIONS {
        rows.push(decision(&told, name, work)?);
    }
    if recorded {
        rows.extend(compared(&told, "grid", "minutes with a call")?);
        rows.extend(compared(&told, "call", "call by call")?);
    }
    let mut command = Command::new(places.target.join("release/bench-unseen"));
    if recorded {
        command.args(&paths);
    }
    let told = result(&mut command)?;
    let loads = told.as_array().into_iter().flatten();
    rows.extend(loads.map(unseen).collect::<Result<Vec<_>, _>>()?);
    Ok(rows)
}

/// Least cost on loads of a kind by which nothing was chosen. Nothing has to be reached: there are
/// kinds on which it spends more memory, or has more cold starts, and those are told as well.
fn unseen(told: &Value) -> Result<Row, Failure> {
    let of = |name| number(told, name);
    let (cold, share, idle) = (of("cold")?, of("share")?, of("idle")?);
    let percent = |name| of(name).map(|milli| milli / 10.0);
    let (cold_percent, idle_percent) = (percent("cold_milli")?, percent("idle_milli")?);
    Ok(Row {
        work: format!("unseen, {}: {}", pointer(told, "/counted")?, pointer(told, "/what")?),
        measured: format!(
            "better in all three in {} of {}, {} with an even share",
            of("all")?,
            of("of")?,
            of("all_or_even")?
        ),
        beside: format!(
            "of the hybrid's: cold starts {cold_percent:.0} %, idle memory {idle_percent:.0} %, \
             p75 {:+.1} points (medians); less in {cold}, {idle} and {share}",
            of("share_ppm")? / 1e4
        ),
        must: "told only".to_owned(),
        reached: true,
    })
}

fn speed(told: &Value) -> Result<Row, Failure> {
    let per_s = number(told, "simulated_per_s")?;
    let calls = number(told, "simulated_calls")?;
    Ok(Row {
        work: format!("{:.1} million calls of 1,000 functions simulated, 256 GiB", calls / 1e6),
        measured: format!("{:.2} million a second", per_s / 1e6),
        beside: String::new(),
        must: "≥ 500,000 a second of a processor".to_owned(),
        reached: per_s >= CALLS_PER_S_MIN,
    })
}

fn decision(told: &Value, name: &str, work: &str) -> Result<Row, Failure> {
    let ns = number(told, name)?;
    Ok(Row {
        work: format!("{work}, 10,000 functions"),
        measured: format!("{ns} ns"),
        beside: String::new(),
        must: "≤ 5 µs".to_owned(),
        reached: ns <= DECISION_NS_MAX,
    })
}

/// Least cost beside the hybrid and a fixed time, in its three measures.
fn compared(told: &Value, how: &str, work: &str) -> Result<Vec<Row>, Failure> {
    let measures: [Measure; 3] = [
        ("cold", "cold starts", |count| format!("{count}")),
        ("p75_ppm", "share of cold calls, p75 over functions", |ppm| format!("{:.1} %", ppm / 1e4)),
        ("idle_mib_minutes", "idle memory", |mib| format!("{:.1} GiB h", mib / 61_440.0)),
    ];
    let row = |(measure, what, write): Measure| {
        let of = |policy: &str| number(told, &format!("{how}_{policy}_{measure}"));
        let (fixed, hybrid, least) = (of("fixed")?, of("hybrid")?, of("least_cost")?);
        Ok(Row {
            work: format!("8 hours of 500 functions, {work}: {what}"),
            measured: write(least),
            beside: format!("hybrid {}, fixed 10 min {}", write(hybrid), write(fixed)),
            must: "less than the hybrid".to_owned(),
            reached: least < hybrid,
        })
    };
    measures.into_iter().map(row).collect()
}
