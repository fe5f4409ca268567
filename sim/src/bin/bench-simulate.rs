//! Measures the decisions and the simulation: how long one takes, and what policies would have cost.
//!
//! `bench-simulate [CALLS DURATIONS SIZES]` prints a JSON object with a number for each thing that
//! was measured. Times are those on the processor, so that others on the machine change them little.
//! Always true: counts are the same on every machine. Absent on purpose: threads.

#![allow(clippy::print_stdout, reason = "a program that tells numbers")]

use std::hint::black_box;
use std::time::Instant;
use std::{env, fs};

use policy::advise;
use policy::alias::{Additional, Routing, Version};
use policy::deploy::{self, Old, Situation};
use policy::dispatch::{self, Instances};
use policy::fleet::heat::Heat;
use policy::fleet::{self, Call, Code, Fleet, Host};
use policy::resize::usage::{Taken, Usage};
use policy::resize::{self, Bounds, Size};
use policy::retry::{self, Failure, Tries};
use policy::warmth::eviction::{Idle, Use};
use policy::warmth::least_cost::Stakes;
use policy::warmth::{FIXED_MS, Policy, Warmth};
use sim::chance::Chance;
use sim::report::Report;
use sim::trace::{Durations, Function, Trace, unknown};
use sim::{grid, replay};

/// Functions that decisions are about.
const FUNCTIONS: usize = 10_000;
/// Decisions of each kind.
const DECISIONS: usize = 1_000_000;
/// Hosts of a fleet.
const HOSTS: u64 = 100;

fn main() {
    let paths: Vec<String> = env::args().skip(1).collect();
    let mut numbers = decisions();
    numbers.extend(speed());
    if let [calls, durations, sizes] = &paths[..] {
        let read = |path: &String| fs::read_to_string(path).expect("the trace can be read");
        let mut trace = Trace::read(&read(calls)).expect("it is a trace");
        trace.tell_durations(&read(durations)).expect("they are its durations");
        trace.tell_memory(&read(sizes)).expect("they are its sizes");
        let settings = replay::Settings::default();
        for (name, policy) in policies() {
            numbers.extend(counts("grid", name, &grid::play(&trace, policy)));
            numbers.extend(counts("call", name, &replay::replay(&trace, policy, &settings)));
        }
    }
    let lines: Vec<String> =
        numbers.iter().map(|(name, number)| format!("  \"{name}\": {number}")).collect();
    println!("{{\n{}\n}}", lines.join(",\n"));
}

fn policies() -> [(&'static str, Policy); 3] {
    [
        ("fixed", Policy::Fixed { keep_ms: FIXED_MS }),
        ("hybrid", Policy::Hybrid),
        ("least_cost", Policy::LeastCost),
    ]
}

fn counts(how: &str, name: &str, report: &Report) -> [(String, u64); 3] {
    [
        (format!("{how}_{name}_cold"), report.cold),
        (format!("{how}_{name}_p75_ppm"), report.cold_share_p75_ppm),
        (format!("{how}_{name}_idle_mib_minutes"), report.idle_mib_minutes()),
    ]
}

/// Calls a second that are simulated, of 1,000 functions on a host with too little memory for all.
fn speed() -> Vec<(String, u64)> {
    let mut chance = Chance::new(1, "speed");
    let functions = (0..1_000).map(|number| {
        // From a call in an hour to some 1,000 in a minute.
        let mean = (1_u64 << chance.below(17)).div_ceil(64);
        let calls = (0..60).map(|_| u32::try_from(chance.below(2 * mean)).unwrap_or(0));
        let calls = calls.collect();
        let durations = Durations::always(10 + chance.below(2_000));
        Function { calls, durations, ..unknown(number.to_string()) }
    });
    let trace = Trace { functions: functions.collect() };
    let settings =
        replay::Settings { memory_kib_max: Some(256 << 20), ..replay::Settings::default() };
    let watch = Watch::start();
    let report = replay::replay(&trace, Policy::LeastCost, &settings);
    let per_s = u128::from(report.calls) * 1_000_000_000 / watch.ns().max(1);
    let per_s = u64::try_from(per_s).unwrap_or(u64::MAX);
    vec![("simulated_calls".to_owned(), report.calls), ("simulated_per_s".to_owned(), per_s)]
}

/// Mean time of one decision of each kind, in nanoseconds.
fn decisions() -> Vec<(String, u64)> {
    let mut told = vec![("windows".to_owned(), windows()), ("evictions".to_owned(), evictions())];
    told.extend(placing());
    told.extend(sizing());
    let mut time = |name: &str, one: &dyn Fn(u64)| {
        told.push((name.to_owned(), mean_ns(one)));
    };
    time("dispatches", &|number| {
        let has = Instances { busy: 3, call_us: Some(number), ..Instances::default() };
        let limits = dispatch::Limits { instances_max: 100, room: 10, waiting_max: 100 };
        black_box(dispatch::dispatch(&has, &limits));
    });
    let second = Additional { version: Version::Numbered(2), share_bp: 1_000 };
    let routing = Routing::new(Version::Numbered(1), &[second], |_| true).expect("two versions");
    time("aliases", &|number| {
        black_box(black_box(&routing).choose(number));
    });
    time("deployments", &|number| {
        let at = Situation { old: Old::Warm, published_ago_ms: number, ..Situation::default() };
        black_box(deploy::decide(&at));
    });
    time("retries", &|number| {
        let tries = Tries { age_ms: number, missed: 3, ..Tries::default() };
        black_box(retry::next(Failure::Throttled, &tries, &retry::Settings::default(), number));
    });
    time("advice", &|number| {
        let kib = 512 * 1024;
        let measured = advise::Measured { kib, call_us: number, cpu_us: number / 2, needs_kib: 1 };
        black_box(advise::advise(&measured));
    });
    told
}

/// A call is learnt from and the next window chosen, of functions that all have 200 gaps.
fn windows() -> u64 {
    let stakes = Stakes { worth_ms: 7_200_000, start_ms: 1_000 };
    let mut chance = Chance::new(1, "gaps");
    let mut gap_ms = || chance.below(1 << chance.clone().below(24));
    let mut known: Vec<Warmth> = (0..FUNCTIONS)
        .map(|_| {
            let mut warmth = Warmth::new(Policy::LeastCost, stakes);
            for _ in 0..200 {
                warmth.learn(1, gap_ms());
            }
            warmth
        })
        .collect();
    let mut number = 0;
    mean_ns(|_| {
        number = (number + 1) % FUNCTIONS;
        known[number].learn(1, gap_ms());
        black_box(known[number].window(1));
    })
}

/// An instance becomes idle and another one goes, where 10,000 are idle.
fn evictions() -> u64 {
    let mut idle = Idle::default();
    let used = |number: u64| Use { calls: number % 97, cold_ms: 500, memory_kib: 1 << 17 };
    for number in 0..FUNCTIONS as u64 {
        idle.enter(number, used(number));
    }
    mean_ns(|number| {
        idle.enter(number, used(number));
        black_box(idle.evict());
    })
}

fn placing() -> Vec<(String, u64)> {
    let host = |id| Host { id, calls: id % 7, free_kib: 1 << (20 + id % 5), idle: id % 9 == 0 };
    let hosts: Vec<Host> = (0..HOSTS).map(host).collect();
    let place = |fleet| {
        let hosts = &hosts;
        move |number| {
            let call = Call { key: number % FUNCTIONS as u64, memory_kib: 1 << 17, seed: number };
            black_box(fleet::place(fleet, &call, hosts, hosts));
        }
    };
    let mut codes = vec![Heat::default(); FUNCTIONS];
    let chosen = mean_ns(|number| {
        let heat = &mut codes[usize::try_from(number).unwrap_or(0) % FUNCTIONS];
        *heat = heat.called(number * 10);
        let code = Code { heat: *heat, cold_ms: 500, dedicated: false };
        black_box(fleet::fleet(&code, Fleet::Cold, number * 10));
    });
    vec![
        ("fleets".to_owned(), chosen),
        ("hot_places".to_owned(), mean_ns(place(Fleet::Hot))),
        ("cold_places".to_owned(), mean_ns(place(Fleet::Cold))),
    ]
}

/// A call is learnt from and a size decided on, at 10,000 functions.
fn sizing() -> Vec<(String, u64)> {
    let mut usages = vec![Usage::new(0); FUNCTIONS];
    let bounds = Bounds { kib_min: 32 << 10, kib_max: 1 << 20 };
    let size = Size { kib: 1 << 19, trial: None, refused_kib: None };
    let ns = mean_ns(|number| {
        let usage = &mut usages[usize::try_from(number).unwrap_or(0) % FUNCTIONS];
        let memory_kib = 50_000 + number % 50_000;
        usage.learn(Taken { input_bytes: number % 100_000, memory_kib, cpu_milli: 300 }, number);
        black_box(resize::decide(&size, usage, 100_000, &bounds));
    });
    vec![("sizes".to_owned(), ns)]
}

fn mean_ns(mut one: impl FnMut(u64)) -> u64 {
    let watch = Watch::start();
    for number in 0..DECISIONS as u64 {
        one(number);
    }
    u64::try_from(watch.ns() / DECISIONS as u128).unwrap_or(u64::MAX)
}

/// Time on the processor; on the wall where the system does not tell.
struct Watch {
    processor_ns: Option<u128>,
    wall: Instant,
}

impl Watch {
    fn start() -> Self {
        Self { processor_ns: processor_ns(), wall: Instant::now() }
    }

    fn ns(&self) -> u128 {
        let spent = self.processor_ns.zip(processor_ns()).map(|(before, now)| now - before);
        spent.unwrap_or_else(|| self.wall.elapsed().as_nanos())
    }
}

/// Time that this program has had a processor for.
fn processor_ns() -> Option<u128> {
    fs::read_to_string("/proc/self/schedstat").ok()?.split(' ').next()?.parse().ok()
}
