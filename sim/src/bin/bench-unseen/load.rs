//! Made loads: functions that are called in ways known by name, from a seed.
//!
//! The rates and shares of [`platform`] are those published of the Azure Functions trace of 2019.
//! Always true: the same name and seed make the same load on one machine.
//! Absent on purpose: exactness across machines: logarithms are floats.

use sim::chance::Chance;
use sim::trace::{Durations, Function, Trace, unknown};

const DAY: f64 = 24.0 * 60.0;
const DAYS: u32 = 2;
const FUNCTIONS: usize = 150;
/// Minutes between two calls at the least: two of one function seldom come together.
const GAP_MIN: f64 = 0.000_1;
/// Periods of timers, in minutes, as often as they are here: the usual ones of platforms.
const TIMERS: [f64; 13] =
    [1.0, 1.0, 5.0, 5.0, 10.0, 15.0, 15.0, 30.0, 60.0, 60.0, 120.0, 360.0, DAY];
/// Most calls of a made function in a day, so that a load is counted in seconds.
const DAILY_MAX: f64 = 20_000.0;

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
    let mut draw = Draw::new(seed, name, DAYS);
    let functions =
        (0..FUNCTIONS).map(|number| function(format!("{name},{number}"), way, &mut draw));
    Trace { functions: functions.collect() }
}

/// A load as a platform published of its own: timers, most of them with a usual period; and
/// functions whose rates span many powers of ten, near half of them called once an hour or less,
/// which are called by chance, in bursts, with gaps of all lengths or more by day.
pub(crate) fn platform(seed: u64, days: u32, functions: usize) -> Trace {
    let mut draw = Draw::new(seed, "platform", days);
    let made = (0..).map(|number| function(format!("platform,{number}"), of_platform, &mut draw));
    let called = made.filter(|one| one.calls.iter().any(|count| *count > 0));
    Trace { functions: called.take(functions).collect() }
}

fn function(name: String, way: Way, draw: &mut Draw) -> Function {
    let mut calls = vec![0; (draw.days * 1_440) as usize];
    for minute in way(draw) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes")]
        if let Some(count) = calls.get_mut(minute as usize) {
            *count += 1;
        }
    }
    let duration_ms = 10 + draw.chance.below(10) * draw.chance.below(10) * draw.chance.below(100);
    let memory_kib = (32 << draw.chance.below(5)) * 1024;
    Function { calls, durations: Durations::always(duration_ms), memory_kib, ..unknown(name) }
}

/// Chance, in floats, for loads of some days.
pub(crate) struct Draw {
    chance: Chance,
    days: u32,
}

impl Draw {
    pub(crate) fn new(seed: u64, name: &str, days: u32) -> Self {
        Self { chance: Chance::new(seed, name), days }
    }

    /// From 0, below 1.
    pub(crate) fn even(&mut self) -> f64 {
        f64::from(u32::try_from(self.chance.any() >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0
    }

    /// A place below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.chance.below(end as u64)).unwrap_or(0)
    }

    /// As often in each power of ten from the one to the other.
    pub(crate) fn scale(&mut self, from: f64, to: f64) -> f64 {
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
        while now < DAY * f64::from(self.days) {
            times.push(now);
            now += gap(self, now).max(GAP_MIN);
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
    let jitter = period * [0.0, 0.01, 0.05, 0.2][draw.below(4)];
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
    more_by_day(draw, mean)
}

/// Calls at noon with this mean gap, none at midnight.
fn more_by_day(draw: &mut Draw, mean: f64) -> Vec<f64> {
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
            left = 20 + draw.chance.below(200);
            period = draw.scale(1.0, 150.0);
        }
        left -= 1;
        period * (0.98 + 0.04 * draw.even())
    })
}

/// A function of a platform. Of 100, 45 have at most 24 calls a day and 81 at most 1,440.
fn of_platform(draw: &mut Draw) -> Vec<f64> {
    let mean = DAY / (3.7 + 4.0 * draw.bell()).exp().clamp(0.2, DAILY_MAX);
    let start = draw.even() * mean.min(DAY);
    let mut times = match draw.below(100) {
        0..30 => return timer(draw),
        30..55 => draw.times(|draw, _| draw.gap(mean)),
        55..80 => {
            let (share, short) = (0.3 + 0.6 * draw.even(), draw.scale(0.05, 3.0));
            let long = ((mean - share * short) / (1.0 - share)).max(short);
            draw.times(|draw, _| {
                let mean = if draw.even() < share { short } else { long };
                draw.gap(mean)
            })
        }
        80..90 => {
            let spread = 0.3 + 1.7 * draw.even();
            let middle = mean.ln() - spread * spread / 2.0;
            draw.times(|draw, _| (middle + spread * draw.bell()).exp())
        }
        _ => return more_by_day(draw, mean / 2.0),
    };
    for time in &mut times {
        *time += start;
    }
    times
}

fn timer(draw: &mut Draw) -> Vec<f64> {
    let period = TIMERS[draw.below(TIMERS.len())];
    let jitter = [0.0, 0.0, 0.1, 1.0, period / 20.0][draw.below(5)];
    let first = draw.even() * period;
    let mut times = draw.times(|_, _| period);
    for time in &mut times {
        *time += first + jitter * draw.even();
    }
    times
}
