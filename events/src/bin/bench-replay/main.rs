//! What the replay engine is measured with: a server that answers at once, and runs against it.
//!
//! Usage: `bench-replay serve ADDRESS`, which says its address on one line and serves until it is
//! killed; `bench-replay run ADDRESS KEY=VALUE...` with the fields of [`Plan`]; `bench-replay wait
//! KEY=VALUE...`, which only waits; `bench-replay costs`. Results are one JSON object on one line.
//!
//! Always true: a run is judged as any other is. Absent on purpose: thresholds.
#![expect(clippy::print_stdout, reason = "a program for benchmarks")]

mod costs;
mod run;
mod serve;
mod wait;

use std::error::Error;
use std::path::PathBuf;

/// That of the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failed = Box<dyn Error>;

fn main() -> Result<(), Failed> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", address] => serve::serve(address),
        ["run", address, pairs @ ..] => run::run(&Plan::read(pairs)?, address),
        ["wait", pairs @ ..] => wait::wait(&Plan::read(pairs)?),
        ["costs"] => {
            costs::costs();
            Ok(())
        }
        _ => Err("usage: bench-replay serve ADDRESS | run ADDRESS KEY=VALUE... | \
            wait KEY=VALUE... | costs"
            .into()),
    }
}

/// What to send, and for how long.
#[derive(Clone, Debug)]
struct Plan {
    /// Events in a second.
    rate: u64,
    seconds: u64,
    /// For how long it looks at the clock before a send, in nanoseconds.
    spin_ns: u64,
    /// Bytes of an event.
    bytes: usize,
    /// Keep to this processor, where it is said.
    processor: Option<usize>,
    /// Where records are kept; in a folder that is removed where it is not said.
    folder: Option<PathBuf>,
    /// Go on with the run in the folder.
    resume: bool,
}

impl Plan {
    fn read(pairs: &[&str]) -> Result<Self, Failed> {
        let mut plan = Self {
            rate: 1_000,
            seconds: 5,
            spin_ns: 100_000,
            bytes: 100,
            processor: None,
            folder: None,
            resume: false,
        };
        for pair in pairs {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?}: no value"))?;
            match key {
                "rate" => plan.rate = value.parse()?,
                "seconds" => plan.seconds = value.parse()?,
                "spin_ns" => plan.spin_ns = value.parse()?,
                "bytes" => plan.bytes = value.parse()?,
                "processor" => plan.processor = Some(value.parse()?),
                "folder" => plan.folder = Some(value.into()),
                "resume" => plan.resume = value.parse()?,
                _ => return Err(format!("{key:?} is no key").into()),
            }
        }
        if let Some(processor) = plan.processor {
            let mut set = rustix::thread::CpuSet::new();
            set.set(processor);
            rustix::thread::sched_setaffinity(None, &set)?;
        }
        Ok(plan)
    }
}
