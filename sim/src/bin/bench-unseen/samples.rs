//! Samples: what least cost and the hybrid cost on loads that are put together from another.
//!
//! Always true: the cost of a function is counted once, and that of a sample is the sum of its
//! functions', which know nothing of each other while memory is enough.
//! Absent on purpose: limits of memory.

use std::fmt::{self, Display};

use policy::warmth::Policy;
use sim::report::Report;
use sim::trace::{Function, Trace};
use sim::{grid, replay};

use super::load::Draw;

/// How the cost of a function is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// By minutes with a call.
    OnGrid,
    /// Call by call.
    ByCall,
}

/// What each function of a load costs.
pub(crate) struct Costs {
    hybrid: Vec<Report>,
    least_cost: Vec<Report>,
}

/// What a load costs.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) hybrid: Report,
    pub(crate) least_cost: Report,
}

impl Costs {
    pub(crate) fn of(trace: &Trace, counted: Counted) -> Self {
        let one = |function: &Function, policy| {
            let alone = Trace { functions: vec![function.clone()] };
            match counted {
                Counted::OnGrid => grid::play(&alone, policy),
                Counted::ByCall => replay::replay(&alone, policy, &replay::Settings::default()),
            }
        };
        let each = |policy| trace.functions.iter().map(|function| one(function, policy)).collect();
        Self { hybrid: each(Policy::Hybrid), least_cost: each(Policy::LeastCost) }
    }

    /// How many functions there are.
    pub(crate) fn len(&self) -> usize {
        self.hybrid.len()
    }

    /// That of all functions together.
    pub(crate) fn all(&self) -> Compared {
        self.sample(&(0..self.len()).collect::<Vec<_>>())
    }

    /// Those of samples of so many functions, each drawn from all of them.
    pub(crate) fn samples(&self, seed: u64, samples: usize, functions: usize) -> Vec<Compared> {
        let mut draw = Draw::new(seed, "samples", 0);
        let mut sample = || (0..functions).map(|_| draw.below(self.len())).collect::<Vec<_>>();
        (0..samples).map(|_| self.sample(&sample())).collect()
    }

    /// Those of both halves of the functions, divided by chance so often.
    pub(crate) fn halves(&self, seed: u64, divisions: usize) -> Vec<Compared> {
        let mut draw = Draw::new(seed, "halves", 0);
        let divided = (0..divisions).flat_map(|_| {
            let first = |_: &usize| draw.below(2) == 0;
            let (one, other): (Vec<usize>, Vec<usize>) = (0..self.len()).partition(first);
            [one, other]
        });
        divided.map(|half| self.sample(&half)).collect()
    }

    fn sample(&self, places: &[usize]) -> Compared {
        let of = |reports: &[Report]| Report::together(places.iter().map(|place| &reports[*place]));
        Compared { hybrid: of(&self.hybrid), least_cost: of(&self.least_cost) }
    }
}

/// How many of some loads least cost won, and by how much.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Loads.
    pub(crate) of: usize,
    /// Those with fewer cold starts than the hybrid's.
    pub(crate) cold: usize,
    /// Those with a smaller share of cold calls, p75 over functions; and with the same one.
    pub(crate) share: usize,
    pub(crate) share_even: usize,
    /// Those with less idle memory.
    pub(crate) idle: usize,
    /// Those that were better in all three, and those in which only the share was even.
    pub(crate) all: usize,
    pub(crate) all_or_even: usize,
    /// Medians: cold starts and idle memory of 1,000 of the hybrid's; the share less the hybrid's.
    pub(crate) cold_milli: i128,
    pub(crate) share_ppm: i128,
    pub(crate) idle_milli: i128,
}

impl Tally {
    pub(crate) fn of(loads: &[Compared]) -> Self {
        let count = |won: fn(&Compared) -> bool| loads.iter().filter(|load| won(load)).count();
        let middle = |number: fn(&Compared) -> i128| {
            let mut numbers: Vec<i128> = loads.iter().map(number).collect();
            numbers.sort_unstable();
            numbers.get(numbers.len() / 2).copied().unwrap_or_default()
        };
        Self {
            of: loads.len(),
            cold: count(Compared::is_less_cold),
            share: count(|load| load.share_ppm() < 0),
            share_even: count(|load| load.share_ppm() == 0),
            idle: count(Compared::is_less_idle),
            all: count(|load| load.is_less_cold() && load.share_ppm() < 0 && load.is_less_idle()),
            all_or_even: count(|load| {
                load.is_less_cold() && load.share_ppm() <= 0 && load.is_less_idle()
            }),
            cold_milli: middle(|load| {
                i128::from(load.least_cost.cold) * 1_000 / i128::from(load.hybrid.cold.max(1))
            }),
            share_ppm: middle(Compared::share_ppm),
            idle_milli: middle(|load| {
                let parts = load.least_cost.idle_kib_ms * 1_000 / load.hybrid.idle_kib_ms.max(1);
                i128::try_from(parts).unwrap_or(i128::MAX)
            }),
        }
    }
}

impl Display for Tally {
    /// Names and numbers, as within an object of JSON.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, cold, share, share_even, idle, all, all_or_even, .. } = self;
        let Self { cold_milli, share_ppm, idle_milli, .. } = self;
        write!(out, "\"of\": {of}, \"cold\": {cold}, \"share\": {share}, ")?;
        write!(out, "\"share_even\": {share_even}, \"idle\": {idle}, \"all\": {all}, ")?;
        write!(out, "\"all_or_even\": {all_or_even}, \"cold_milli\": {cold_milli}, ")?;
        write!(out, "\"share_ppm\": {share_ppm}, \"idle_milli\": {idle_milli}")
    }
}

impl Compared {
    fn is_less_cold(&self) -> bool {
        self.least_cost.cold < self.hybrid.cold
    }

    fn is_less_idle(&self) -> bool {
        self.least_cost.idle_kib_ms < self.hybrid.idle_kib_ms
    }

    /// The p75 of the share of cold calls, less the hybrid's.
    fn share_ppm(&self) -> i128 {
        i128::from(self.least_cost.cold_share_p75_ppm) - i128::from(self.hybrid.cold_share_p75_ppm)
    }
}

/// How the functions of a trace may have gone on for some days.
///
/// The gaps of each follow in runs of 20 on average, each begun at a place by chance; the gap from
/// its last call to its first one is from half as long as it looks around the clock to four times.
pub(crate) fn gone_on(trace: &Trace, seed: u64, days: u32) -> Trace {
    let mut draw = Draw::new(seed, "gone on", days);
    let functions = trace.functions.iter().map(|function| Function {
        calls: going_on(&function.calls, &mut draw, days),
        ..function.clone()
    });
    Trace { functions: functions.collect() }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes")]
#[expect(clippy::cast_precision_loss, reason = "minutes")]
fn going_on(calls: &[u32], draw: &mut Draw, days: u32) -> Vec<u32> {
    let minutes: Vec<usize> = (0..calls.len()).filter(|minute| calls[*minute] > 0).collect();
    let mut on = vec![0; days as usize * 1_440];
    let (Some(first), Some(last)) = (minutes.first(), minutes.last()) else {
        return on;
    };
    let around = (first + calls.len() - last) as f64;
    let mut place = draw.below(minutes.len());
    let mut now = draw.below(calls.len());
    while let Some(count) = on.get_mut(now) {
        *count = calls[minutes[place]];
        if draw.below(20) == 0 {
            place = draw.below(minutes.len());
        }
        now += match minutes.get(place + 1) {
            Some(next) => next - minutes[place],
            None => (around * draw.scale(0.5, 4.0)).max(1.0) as usize,
        };
        place = (place + 1) % minutes.len();
    }
    on
}
