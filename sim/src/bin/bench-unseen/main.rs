//! Measures what least cost is worth on loads that nobody has looked at.
//!
//! `bench-unseen [CALLS DURATIONS SIZES [SEED]]` compares it with the hybrid on samples of the
//! recorded load, on parts of its time, on what it may have gone on like, and on made loads; and
//! prints an array of JSON objects, one for each kind. The seed that is taken where none is given
//! is none by which windows were chosen.
//! Always true: one seed gives the same counts on one machine. Absent on purpose: threads.

#![allow(clippy::print_stdout, reason = "a program that tells numbers")]

mod load;
mod samples;

use std::{env, fs};

use sim::trace::Trace;

use samples::{Compared, Costs, Counted, Tally, gone_on};

const SEED: u64 = 9_001;
/// Samples of each load, and how many functions each has.
const SAMPLES: usize = 200;
const SAMPLED: usize = 250;
/// Loads of each made kind, and functions of one that is like a platform's.
const LOADS: u64 = 10;
const FUNCTIONS: usize = 500;
/// Calls of a function that goes on for days and is counted call by call: what is called more would
/// take most of the time, and is warm anyway.
const CALLS_MAX: u64 = 30_000;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let seed = words.get(3).map_or(SEED, |word| word.parse().expect("the seed is a number"));
    let trace = words.get(..3).map(recorded);
    let mut told = Told::default();
    for counted in [Counted::OnGrid, Counted::ByCall] {
        told.counted = match counted {
            Counted::OnGrid => "minutes with a call",
            Counted::ByCall => "call by call",
        };
        if let Some(trace) = &trace {
            of_recorded(&mut told, trace, counted, seed);
        }
        of_made(&mut told, counted, seed);
    }
    println!("[\n{}\n]", told.lines.join(",\n"));
}

/// What is told, a line for each kind of loads.
#[derive(Default)]
struct Told {
    counted: &'static str,
    lines: Vec<String>,
}

impl Told {
    fn tell(&mut self, what: &str, loads: &[Compared]) {
        let names = format!("\"counted\": \"{}\", \"what\": \"{what}\"", self.counted);
        self.lines.push(format!("  {{{names}, {}}}", Tally::of(loads)));
    }

    /// Tells of loads, and of samples of their functions.
    fn tell_loads(&mut self, what: &str, costs: &[Costs], seed: u64) {
        self.tell(what, &costs.iter().map(Costs::all).collect::<Vec<_>>());
        self.tell(&format!("{what}, samples"), &sampled(costs, seed));
    }
}

fn sampled(costs: &[Costs], seed: u64) -> Vec<Compared> {
    let samples = SAMPLES / costs.len().max(1);
    costs.iter().flat_map(|costs| costs.samples(seed, samples, SAMPLED)).collect()
}

fn recorded(paths: &[String]) -> Trace {
    let read = |place: usize| fs::read_to_string(&paths[place]).expect("the trace can be read");
    let mut trace = Trace::read(&read(0)).expect("it is a trace");
    trace.tell_durations(&read(1)).expect("they are its durations");
    trace.tell_memory(&read(2)).expect("they are its sizes");
    trace
}

fn of_recorded(told: &mut Told, trace: &Trace, counted: Counted, seed: u64) {
    let whole = Costs::of(trace, counted);
    told.tell("500 recorded functions, samples of as many", &whole.samples(seed, SAMPLES, 500));
    told.tell("500 recorded functions, samples of 100", &whole.samples(seed, SAMPLES, 100));
    told.tell("500 recorded functions, halves", &whole.halves(seed, SAMPLES / 2));
    for hours in [2, 4, 6] {
        let starts = (0..).step_by(60).take_while(|start| start + hours * 60 <= trace.length());
        let windows = starts.map(|start| trace.minutes(start..start + hours * 60));
        let costs: Vec<Costs> = windows.map(|window| Costs::of(&window, counted)).collect();
        told.tell(&format!("{hours} h of what was recorded, samples"), &sampled(&costs, seed));
    }
    let days: &[u32] = if counted == Counted::OnGrid { &[1, 3, 7] } else { &[1] };
    for days in days {
        let calls = |calls: &[u32]| calls.iter().map(|count| u64::from(*count)).sum::<u64>();
        let gone = (0..LOADS).map(|number| {
            let mut gone = gone_on(trace, seed + number, *days);
            if counted == Counted::ByCall {
                gone.functions.retain(|function| calls(&function.calls) <= CALLS_MAX);
            }
            Costs::of(&gone, counted)
        });
        let what = format!("what was recorded, gone on for {}", days_of(*days));
        told.tell_loads(&what, &gone.collect::<Vec<_>>(), seed);
    }
}

fn of_made(told: &mut Told, counted: Counted, seed: u64) {
    let costs = |make: &dyn Fn(u64) -> Trace| {
        (0..LOADS).map(|number| Costs::of(&make(seed + number), counted)).collect::<Vec<_>>()
    };
    let days: &[u32] = if counted == Counted::OnGrid { &[1, 3] } else { &[1] };
    for days in days {
        let made = costs(&|seed| load::platform(seed, *days, FUNCTIONS));
        told.tell_loads(&format!("made like a platform, {}", days_of(*days)), &made, seed);
    }
    for (name, way) in load::WAYS {
        let made = costs(&|seed| load::make(name, way, seed));
        told.tell(&format!("made: {name}"), &made.iter().map(Costs::all).collect::<Vec<_>>());
    }
}

fn days_of(days: u32) -> String {
    if days == 1 { "a day".to_owned() } else { format!("{days} days") }
}
