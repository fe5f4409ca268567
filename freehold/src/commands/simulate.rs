//! `freehold simulate`: what ways of keeping instances warm would have cost on a recorded load.
//!
//! Always true: nothing is asked of a cloud; counts follow from the files, the seed and the settings
//! alone, and only the time that it took does not.

use std::fs;
use std::path::Path;
use std::time::Instant;

use policy::warmth::Policy;
use serde::Serialize;
use sim::report::Report;
use sim::trace::{MINUTE_MS, Trace};
use sim::{grid, replay};

use crate::args::{Format, PolicyWord, SimulateArguments};
use crate::exit::Failure;
use crate::output::{Output, share, table};

/// Larger files do not fit the memory of common machines beside what is made of them.
const FILE_BYTES_MAX: u64 = 2 << 30;

/// What every policy would have cost.
#[derive(Serialize)]
struct Simulated {
    functions: usize,
    minutes: usize,
    calls: u64,
    /// Nothing was drawn where this is absent: minutes were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    policies: Vec<Row>,
}

/// What one policy would have cost.
#[derive(Serialize)]
struct Row {
    policy: &'static str,
    /// Calls that waited for an instance to be made.
    cold_starts: u64,
    /// The 75th percentile over functions of the share of calls that were cold.
    cold_share_p75_ppm: u64,
    /// Memory of instances without a call, times the time.
    idle_mib_minutes: u64,
    /// Calls that found no memory free.
    queued: u64,
    /// Time that calls waited for a start or for memory.
    waited_ms: u64,
    /// Instances that went early for want of memory.
    evicted: u64,
    /// Windows that were chosen.
    decisions: u64,
    /// How long this simulation took.
    elapsed_ms: u64,
    /// Calls that it got through in a second.
    calls_per_s: u64,
}

/// Carries out the command.
pub fn run(arguments: &SimulateArguments, out: &Output) -> Result<(), Failure> {
    let trace = read(arguments)?;
    let settings = replay::Settings {
        seed: arguments.seed,
        cold_ms: arguments.cold,
        memory_kib_max: arguments.memory,
    };
    enough_memory(&trace, &settings)?;
    let bar = out.busy("simulating");
    let rows = policies(arguments).into_iter().map(|(name, policy)| {
        let watch = |minute: usize| {
            if minute.is_multiple_of(60) {
                bar.set_message(format!("{name}: minute {minute} of {}", trace.length()));
            }
        };
        let began = Instant::now();
        let report = if arguments.grid {
            grid::play(&trace, policy)
        } else {
            replay::replay_watched(&trace, policy, &settings, watch)
        };
        row(name, &report, began.elapsed().as_micros())
    });
    let policies: Vec<Row> = rows.collect();
    bar.finish_and_clear();
    let counts = trace.functions.iter().flat_map(|function| &function.calls);
    let simulated = Simulated {
        functions: trace.functions.len(),
        minutes: trace.length(),
        calls: counts.map(|count| u64::from(*count)).sum(),
        seed: (!arguments.grid).then_some(arguments.seed),
        policies,
    };
    let json = Output::new(Format::Json);
    let out = if arguments.json { &json } else { out };
    out.text(&simulated, people)
}

/// The policies that were asked for, in one order and once each.
fn policies(arguments: &SimulateArguments) -> Vec<(&'static str, Policy)> {
    let fixed = Policy::Fixed { keep_ms: u64::from(arguments.keep) * MINUTE_MS };
    let all = [
        (PolicyWord::Fixed, "fixed", fixed),
        (PolicyWord::Hybrid, "hybrid", Policy::Hybrid),
        (PolicyWord::LeastCost, "least-cost", Policy::LeastCost),
    ];
    let wanted = |word| arguments.policy.is_empty() || arguments.policy.contains(&word);
    let chosen = all.into_iter().filter(|(word, ..)| wanted(*word));
    chosen.map(|(_, name, policy)| (name, policy)).collect()
}

/// Reads the trace, and what joins it.
fn read(arguments: &SimulateArguments) -> Result<Trace, Failure> {
    let mut trace = Trace::read(&text(&arguments.trace)?)
        .map_err(|error| wrong(&arguments.trace, "is no trace", &error))?;
    if let Some(path) = &arguments.durations {
        let told = trace.tell_durations(&text(path)?);
        told.map_err(|error| wrong(path, "tells no durations", &error))?;
    }
    if let Some(path) = &arguments.sizes {
        let told = trace.tell_memory(&text(path)?);
        told.map_err(|error| wrong(path, "tells no memory", &error))?;
    }
    Ok(trace)
}

fn text(path: &Path) -> Result<String, Failure> {
    let unread = |error: std::io::Error| {
        Failure::usage(format!("could not read {}: {error}", path.display()))
    };
    let bytes = fs::metadata(path).map_err(unread)?.len();
    if bytes > FILE_BYTES_MAX {
        let message = format!("{} has {bytes} bytes: the most is 2 GiB", path.display());
        return Err(Failure::usage(message).hint("take some of its functions or minutes"));
    }
    fs::read_to_string(path).map_err(unread)
}

fn wrong(path: &Path, what: &str, error: &sim::trace::Error) -> Failure {
    Failure::usage(format!("{} {what}: {error}", path.display()))
        .hint("docs/simulate.md says what the files look like")
}

/// An instance of every function has to fit alone, or its calls would wait for ever.
fn enough_memory(trace: &Trace, settings: &replay::Settings) -> Result<(), Failure> {
    let largest_kib = trace.functions.iter().map(|function| function.memory_kib).max();
    let (Some(largest_kib), Some(kib_max)) = (largest_kib, settings.memory_kib_max) else {
        return Ok(());
    };
    if largest_kib <= kib_max {
        return Ok(());
    }
    let mib = largest_kib.div_ceil(1024);
    Err(Failure::usage(format!("the largest function has {mib} MiB, more than --memory"))
        .hint(format!("ask for --memory {mib}MiB or more")))
}

fn row(policy: &'static str, report: &Report, elapsed_us: u128) -> Row {
    let per_s = u128::from(report.calls) * 1_000_000 / elapsed_us.max(1);
    Row {
        policy,
        cold_starts: report.cold,
        cold_share_p75_ppm: report.cold_share_p75_ppm,
        idle_mib_minutes: report.idle_mib_minutes(),
        queued: report.queued,
        waited_ms: report.waited_ms,
        evicted: report.evicted,
        decisions: report.decisions,
        elapsed_ms: u64::try_from(elapsed_us / 1_000).unwrap_or(u64::MAX),
        calls_per_s: u64::try_from(per_s).unwrap_or(u64::MAX),
    }
}

fn people(simulated: &Simulated) -> String {
    let Simulated { functions, minutes, calls, .. } = simulated;
    let heads = ["policy", "cold starts", "cold p75", "idle memory", "queued", "waited"];
    let rows = simulated.policies.iter().map(|row| {
        vec![
            row.policy.to_owned(),
            row.cold_starts.to_string(),
            share(row.cold_share_p75_ppm),
            // A GiB and hour are 61,440 MiB and minutes.
            format!("{} GiB h", tenths(row.idle_mib_minutes / 6_144)),
            row.queued.to_string(),
            format!("{} s", tenths(row.waited_ms / 100)),
        ]
    });
    let table = table(&heads, rows);
    format!("{calls} calls of {functions} functions in {minutes} minutes\n\n{table}")
}

/// A number of tenths as a decimal.
fn tenths(number: u64) -> String {
    format!("{}.{}", number / 10, number % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenths_are_written_as_decimals() {
        assert_eq!([0, 9, 10, 1_234].map(tenths), ["0.0", "0.9", "1.0", "123.4"]);
    }
}
