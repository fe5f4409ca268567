//! Made loads: functions that are called in ways known by name, from a seed.
//!
//! Always true: the same name and seed make the same load on one machine.
//! Absent on purpose: exactness across machines: logarithms are floats.

use sim::chance::Chance;
use sim::trace::{Durations, Function, MINUTE_MS, Trace, unknown};

const DAY: f64 = 24.0 * 60.0;
const DAYS: usize = 2;
const FUNCTIONS: usize = 150;

/// A way to be called: given chance, the minutes at which calls come, rising.
pub(crate) type Way = fn(&mut Draw) -> Vec<f64>;

pub(crate) const WAYS: [(&str, Way); 6] = [
    ("poisson", poisson),
    ("periodic with jitter", periodic),
    ("bursts", bursts),
    ("by day", by_day),
    ("log-normal gaps", log_normal),
    ("periods that change", changing),
];

/// A load of functions that are called in one way.
pub(crate) fn make(name: &str, way: Way, seed: u64) -> Trace {
    let mut draw = Draw(Chance::new(seed, name));
    let functions =
        (0..FUNCTIONS).map(|number| function(format!("{name},{number}"), way, &mut draw));
    Trace { functions: functions.collect() }
}

fn function(name: String, way: Way, draw: &mut Draw) -> Function {
    let mut calls = vec![0; DAYS * 1_440];
    for minute in way(draw) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes")]
        if let Some(count) = calls.get_mut(minute as usize) {
            *count += 1;
        }
    }
    let duration_ms = 10 + draw.0.below(10) * draw.0.below(10) * draw.0.below(100);
    let memory_kib = (32 << draw.0.below(5)) * 1024;
    Function { calls, durations: Durations::always(duration_ms), memory_kib, ..unknown(name) }
}

/// Chance, in floats.
pub(crate) struct Draw(Chance);

impl Draw {
    /// From 0, below 1.
    fn even(&mut self) -> f64 {
        f64::from(u32::try_from(self.0.any() >> 32).unwrap()) / 4_294_967_296.0
    }

    /// As often in each power of ten from the one to the other.
    fn scale(&mut self, from: f64, to: f64) -> f64 {
        from * (to / from).powf(self.even())
    }

    /// Gaps of calls that know nothing of each other.
    fn gap(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.even()).ln()
    }

    fn bell(&mut self) -> f64 {
        (-2.0 * (1.0 - self.even()).ln()).sqrt() * (std::f64::consts::TAU * self.even()).cos()
    }

    /// Adds up gaps until the end.
    fn times(&mut self, mut gap: impl FnMut(&mut Self, f64) -> f64) -> Vec<f64> {
        let (mut now, mut times) = (self.even() * 10.0, Vec::new());
        #[expect(clippy::cast_precision_loss, reason = "two days")]
        while now < DAY * DAYS as f64 {
            times.push(now);
            // No more than a call in 6 ms: two of one function seldom come together.
            now += gap(self, now).max(0.000_1);
        }
        times
    }
}

fn poisson(draw: &mut Draw) -> Vec<f64> {
    let mean = draw.scale(0.3, 1_000.0);
    draw.times(|draw, _| draw.gap(mean))
}

fn periodic(draw: &mut Draw) -> Vec<f64> {
    let period = draw.scale(1.0, 1_000.0);
    let jitter = period * [0.0, 0.01, 0.05, 0.2][usize::try_from(draw.0.below(4)).unwrap()];
    let mut times = draw.times(|_, _| period);
    for time in &mut times {
        *time += jitter * draw.even();
    }
    times
}

fn bursts(draw: &mut Draw) -> Vec<f64> {
    let (within, between) = (draw.scale(0.01, 3.0), draw.scale(30.0, 1_000.0));
    let more = 1.0 - 1.0 / (1.0 + 30.0 * draw.even());
    draw.times(|draw, _| if draw.even() < more { draw.gap(within) } else { draw.gap(between) })
}

fn by_day(draw: &mut Draw) -> Vec<f64> {
    let mean = draw.scale(1.0, 100.0);
    let times = draw.times(|draw, _| draw.gap(mean));
    let light = |time: &f64| 0.5 - 0.5 * (std::f64::consts::TAU * time / DAY).cos();
    times.into_iter().filter(|time| draw.even() < light(time)).collect()
}

fn log_normal(draw: &mut Draw) -> Vec<f64> {
    let (middle, spread) = (draw.scale(1.0, 300.0).ln(), 0.3 + 2.0 * draw.even());
    draw.times(|draw, _| (middle + spread * draw.bell()).exp())
}

fn changing(draw: &mut Draw) -> Vec<f64> {
    let (mut left, mut period) = (0, 0.0);
    draw.times(|draw, _| {
        if left == 0 {
            left = 20 + draw.0.below(200);
            period = draw.scale(1.0, 150.0);
        }
        left -= 1;
        period * (0.98 + 0.04 * draw.even())
    })
}

#[test]
fn a_load_is_made_from_its_seed() {
    let (name, way) = WAYS[0];
    assert_eq!(make(name, way, 1), make(name, way, 1));
    assert_ne!(make(name, way, 1), make(name, way, 2));
    assert_eq!(make(name, way, 1).length() as u64 * MINUTE_MS, 2 * 86_400_000);
}
