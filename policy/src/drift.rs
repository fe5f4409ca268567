//! Drift: whether events still come from where those before came from, field by field.
//!
//! [`Watch`] learns the fields of reference events and is then shown others, one after the other. How
//! an event's value ranks among all before is as good as a draw from 0 to 1 while nothing changes; a
//! bet against that grows where it does. With the bets of all horizons restarted at each event, the
//! sum of what they come to is, without a change, expected to be the number of events.
//!
//! Always true: without a change a false alarm of any field comes once in [`Settings::alarm_every`]
//! events, or more seldom; the same events and seed give the same answer; memory is that of the bins.
//! Absent on purpose: what a change means, and events that depend on each other.

mod bins;

use serde::Serialize;

use crate::accuracy::deviations;
use crate::backoff::mix;
use crate::evidence::float;

use bins::Bins;
pub use bins::Value;

/// Most fields that are watched: each makes the others' alarms later.
pub const FIELDS_MAX: usize = 64;
/// Parts of 0 to 1 that are bet on.
const CELLS: usize = 16;
/// How many events bets remember: for changes that are large, and for those that are slow.
const HORIZONS: [f64; 3] = [64.0, 512.0, 4_096.0];
/// Groups of values by which distributions are told apart in sum.
const GROUPS: u64 = 10;
/// Bets are kept below this, far above any threshold.
const SUM_MAX: f64 = 1e300;
/// With what confidence two samples of the same are no further apart than is told: of 100, 99. Both
/// tails of a normal variable are left out, so these are 98 of 100.
const CHANCE_PPM: u32 = 980_000;

/// How changes are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// At most one false alarm in so many events.
    pub alarm_every: u64,
    /// Where chance begins, which breaks ties.
    pub seed: u64,
}

/// Fields, watched together.
#[derive(Clone, Debug)]
pub struct Watch {
    settings: Settings,
    fields: Vec<Field>,
    events: u64,
}

/// One field, watched.
#[derive(Clone, Debug)]
struct Field {
    bins: Bins,
    /// Of the counted half of the reference, by bin.
    before: Vec<u64>,
    /// Of events since, by bin.
    since: Vec<u64>,
    bets: [Bet; HORIZONS.len()],
    most: f64,
    alarm: Option<u64>,
}

/// Bets of one horizon.
#[derive(Clone, Copy, Debug)]
struct Bet {
    seen: [f64; CELLS],
    all: f64,
    /// What bets begun at each event so far have come to together (Shiryaev and Roberts).
    sum: f64,
}

/// What is said of a field.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Told {
    /// The event at which it was clear that it has changed, from 1; none where it is not.
    pub alarm: Option<u64>,
    /// How far the evidence has come on its way to an alarm, at its most; 1 is an alarm.
    pub evidence: f64,
    /// How far both distributions are apart: the population stability index of up to ten groups of
    /// values. None where there are not two groups, or no events.
    pub distance: Option<f64>,
    /// What that is of two samples as large of the same, at most, 99 times of 100.
    pub by_chance: Option<f64>,
    /// Events that have a value: of the half of the reference that is counted, and since.
    pub before: u64,
    /// See above.
    pub since: u64,
}

impl Watch {
    /// Learns fields, each from its values in the reference events; the first [`FIELDS_MAX`] of them.
    pub fn new<'a>(
        reference: impl IntoIterator<Item = &'a [Value<'a>]>,
        settings: Settings,
    ) -> Self {
        let field = |values: &'a [Value<'a>]| Field::new(values, settings.seed);
        let fields = reference.into_iter().take(FIELDS_MAX).map(field).collect();
        Self { settings, fields, events: 0 }
    }

    /// Shows it an event: its values, in the order of the fields. Gives the fields, by their places,
    /// of which it is clear by this event that they have changed. Fields that are not known are passed
    /// over.
    pub fn learn(&mut self, values: &[Value<'_>]) -> Vec<usize> {
        self.events += 1;
        let mut alarms = Vec::new();
        let threshold = float(self.settings.alarm_every) * float(self.fields.len() as u64);
        for (number, (field, value)) in self.fields.iter_mut().zip(values).enumerate() {
            if matches!(value, Value::Unknown) {
                continue;
            }
            let draw = mix(self.settings.seed ^ mix(self.events ^ (number as u64) << 48));
            field.learn(value, float(draw >> 11) / float(1 << 53));
            if field.alarm.is_none() && field.sum() >= threshold {
                field.alarm = Some(self.events);
                alarms.push(number);
            }
        }
        alarms
    }

    /// What is said of each field, in their order.
    pub fn told(&self) -> Vec<Told> {
        let threshold = float(self.settings.alarm_every) * float(self.fields.len() as u64);
        self.fields.iter().map(|field| field.told(threshold)).collect()
    }

    /// Events that it was shown.
    pub fn events(&self) -> u64 {
        self.events
    }
}

impl Field {
    /// Bins that suit some events have more of those than of any others, which would look like a
    /// change: so one half of the reference, drawn by the seed, chooses them, and the other is counted.
    fn new(reference: &[Value<'_>], seed: u64) -> Self {
        let known = |value: &&Value<'_>| !matches!(value, Value::Unknown);
        let mut values: Vec<Value<'_>> = reference.iter().filter(known).copied().collect();
        shuffle(&mut values, seed);
        let (choosing, counted) = values.split_at(values.len() / 2);
        let bins = Bins::of(choosing.iter().copied());
        let mut before = vec![0; bins.len()];
        for value in counted {
            before[bins.place(value)] += 1;
        }
        let since = vec![0; bins.len()];
        let bet = Bet { seen: [0.0; CELLS], all: 0.0, sum: 0.0 };
        Self { bins, before, since, bets: [bet; HORIZONS.len()], most: 0.0, alarm: None }
    }

    /// The rank of a value among all so far is bet on, and then learnt; `draw` breaks ties.
    ///
    /// Source: online conformal testing (Vovk, Nouretdinov and Gammerman 2003): ranks of exchangeable
    /// events are independent and uniform.
    fn learn(&mut self, value: &Value<'_>, draw: f64) {
        let place = self.bins.place(value);
        let counts = self.before.iter().zip(&self.since).map(|(before, since)| before + since);
        let (mut below, mut all) = (0, 0);
        for (at, count) in counts.enumerate() {
            below += if at < place { count } else { 0 };
            all += count;
        }
        let equal = self.before[place] + self.since[place] + 1;
        let rank = (float(below) + draw * float(equal)) / float(all + 1);
        let cell = bins::cell(rank, CELLS);
        for (bet, horizon) in self.bets.iter_mut().zip(HORIZONS) {
            bet.learn(cell, horizon);
        }
        self.most = self.most.max(self.sum());
        self.since[place] += 1;
    }

    /// The mean over horizons: each is expected to be the number of events, and so is the mean.
    fn sum(&self) -> f64 {
        let sum: f64 = self.bets.iter().map(|bet| bet.sum).sum();
        sum / float(HORIZONS.len() as u64)
    }

    fn told(&self, threshold: f64) -> Told {
        let missing = bins::MISSING;
        let with_value = |counts: &[u64]| counts.iter().sum::<u64>() - counts[missing];
        let groups = self.groups();
        let (before, since) = (self.before.iter().sum(), self.since.iter().sum());
        let known = groups.len() > 1 && before > 0 && since > 0;
        Told {
            alarm: self.alarm,
            evidence: (self.most / threshold.max(1.0)).min(1.0),
            distance: known.then(|| distance(&groups)),
            by_chance: known.then(|| by_chance(groups.len() as u64, before, since)),
            before: with_value(&self.before),
            since: with_value(&self.since),
        }
    }

    /// Neighbouring bins together, so that each group has about a tenth of the reference or more.
    fn groups(&self) -> Vec<(u64, u64)> {
        let least = self.before.iter().sum::<u64>().div_ceil(GROUPS).max(1);
        let mut groups: Vec<(u64, u64)> = Vec::new();
        let (mut before, mut since) = (0, 0);
        for (more_before, more_since) in self.before.iter().zip(&self.since) {
            before += more_before;
            since += more_since;
            if before >= least {
                groups.push((std::mem::take(&mut before), std::mem::take(&mut since)));
            }
        }
        if let Some(last) = groups.last_mut() {
            *last = (last.0 + before, last.1 + since);
        }
        groups
    }
}

impl Bet {
    /// Bets as cells were seen before, half of it against any change, and then counts this one.
    fn learn(&mut self, cell: usize, horizon: f64) {
        let cells = float(CELLS as u64);
        let expected = (self.seen[cell] + 1.0) / (self.all + cells);
        let won = f64::midpoint(1.0, expected * cells);
        self.sum = ((self.sum + 1.0) * won).min(SUM_MAX);
        let keep = 1.0 - 1.0 / horizon;
        self.seen.iter_mut().for_each(|seen| *seen *= keep);
        self.seen[cell] += 1.0;
        self.all = self.all * keep + 1.0;
    }
}

/// Brings values into an order that only the seed knows (Fisher and Yates).
fn shuffle(values: &mut [Value<'_>], seed: u64) {
    // Ties are broken by the seed itself.
    let seed = mix(!seed);
    for at in (1..values.len()).rev() {
        let left = at as u64 + 1;
        let other = mix(seed ^ mix(left)) % left;
        values.swap(at, usize::try_from(other).unwrap_or(at));
    }
}

/// The population stability index, with half an event more in each group so that none is empty.
fn distance(groups: &[(u64, u64)]) -> f64 {
    let count = float(groups.len() as u64);
    let all = groups.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let part = |of: u64, all: u64| (float(of) + 0.5) / (float(all) + count / 2.0);
    let of = |group: &(u64, u64)| {
        let (before, since) = (part(group.0, all.0), part(group.1, all.1));
        (since - before) * libm::log(since / before)
    };
    groups.iter().map(of).sum()
}

/// What the index is by chance, at most, 99 times of 100.
///
/// Without a change it is that part of a chi-squared variable (Yurdakul and Naranjo 2020), whose
/// percentile is told by the cube of Wilson and Hilferty, 1931.
fn by_chance(groups: u64, before: u64, since: u64) -> f64 {
    let freedom = float(groups - 1);
    let part = 2.0 / (9.0 * freedom);
    let root = 1.0 - part + deviations(CHANCE_PPM) * part.sqrt();
    (1.0 / float(before) + 1.0 / float(since)) * freedom * root * root * root
}

#[cfg(test)]
mod tests;
