//! Reports: what a run has come to, while it goes on and when it is over.
//!
//! Always true: a run's sums are those of its records; a percentile comes with a bound, or with how
//! many events one needs. Absent on purpose: wire types of other rooms.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::replay::schedule::Proof;
use policy::replay::validity::{Facts, Validity};
use policy::sketch::{Bound, Sketch};
use serde::Serialize;

use super::cells::{Cell, Cells};
use super::record::Outcome;

/// With what confidence bounds of percentiles hold, in parts per million.
pub const CONFIDENCE_PPM: u32 = 990_000;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It sends.
    Sending,
    /// It stands still until it is to go on.
    Paused,
    /// All is sent, and some is not answered.
    Draining,
    /// It is over.
    Over,
}

/// A run as it is now.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// The run's name.
    pub run: String,
    /// Where it stands.
    pub stage: Stage,
    /// Sends of the schedule that were decided about.
    pub issued: u64,
    /// By variant.
    pub variants: Vec<Summary>,
}

/// What a variant has come to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// Sends under way.
    pub under_way: u64,
    /// Sends that were recorded.
    pub recorded: u64,
    /// Those that went.
    pub sent: u64,
    /// Those that were answered, with whatever status.
    pub answered: u64,
    /// How many had each outcome, by its word.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// How much too late sends went.
    pub lag: Times,
    /// From when a send was intended until its good answer, among all that were recorded.
    pub response: Times,
    /// From when it was sent until then.
    pub latency: Times,
    /// What the service told of its own time.
    pub service: Times,
    /// What of the latency it did not account for.
    pub overhead: Times,
    /// How long sends waited for the service, as it told.
    pub queue: Times,
    /// Bytes of requests.
    pub bytes_out: u64,
    /// Bytes of answers.
    pub bytes_in: u64,
}

/// How times are distributed, in nanoseconds, to half a percent.
#[derive(Clone, Debug, Serialize)]
pub struct Times {
    /// How many there are.
    pub count: u64,
    /// Their mean; 0 of none.
    pub mean_ns: u64,
    /// The longest; 0 of none.
    pub max_ns: u64,
    /// What half of them took at most.
    pub p50: Percentile,
    /// What nine of ten took at most.
    pub p90: Percentile,
    /// What 99 of 100 took at most.
    pub p99: Percentile,
    /// What 999 of 1,000 took at most.
    pub p999: Percentile,
}

/// What a part of times is at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Percentile {
    /// Of those that were measured; none of none, or where it is one of those that have no time.
    pub seen_ns: Option<u64>,
    /// At or above what it is of as many like them as one likes, as below; none where that is not known,
    /// or beyond all.
    pub lower_ns: Option<u64>,
    /// Of as many like them as one likes, with [`CONFIDENCE_PPM`]; or how many it takes to say so.
    pub bound_ns: Bound,
}

impl Times {
    /// What a sketch of times says.
    pub fn of(sketch: &Sketch) -> Self {
        Self::among(sketch, sketch.count())
    }

    /// What it says among so many events, of which those without a time are longer than any.
    pub fn among(sketch: &Sketch, events: u64) -> Self {
        let all = sketch.among(events);
        let at = |part_ppm| Percentile {
            seen_ns: all.quantile(part_ppm),
            lower_ns: all.lower(part_ppm, CONFIDENCE_PPM),
            bound_ns: all.upper(part_ppm, CONFIDENCE_PPM),
        };
        Self {
            count: sketch.count(),
            mean_ns: sketch.mean(),
            max_ns: sketch.max(),
            p50: at(500_000),
            p90: at(900_000),
            p99: at(990_000),
            p999: at(999_000),
        }
    }
}

impl Summary {
    /// What a cell says of a variant.
    pub fn of(name: &str, under_way: u64, cell: &Cell) -> Self {
        let counted = |outcome: Outcome| (outcome.word(), cell.counts.of(outcome));
        Self {
            name: name.to_owned(),
            under_way,
            recorded: cell.counts.all(),
            sent: cell.counts.sent(),
            answered: cell.counts.answered(),
            outcomes: Outcome::ALL.into_iter().map(counted).collect(),
            lag: Times::of(&cell.lag),
            response: Times::among(&cell.response, cell.counts.all()),
            latency: Times::of(&cell.latency),
            service: Times::of(&cell.service),
            overhead: Times::of(&cell.overhead),
            queue: Times::of(&cell.queue),
            bytes_out: cell.bytes_out,
            bytes_in: cell.bytes_in,
        }
    }
}

/// The processors' time that each thread of a leg used, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Used {
    /// Making requests.
    pub ahead_ns: u64,
    /// Sending them, without looking at the clock.
    pub issue_ns: u64,
    /// Reading answers.
    pub receive_ns: u64,
    /// Judging and storing them.
    pub keep_ns: u64,
}

impl Used {
    /// All of them together.
    pub fn all_ns(self) -> u64 {
        self.ahead_ns + self.issue_ns + self.receive_ns + self.keep_ns
    }
}

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The run's name.
    pub run: String,
    /// Names of variants, in their order.
    pub names: Vec<Arc<str>>,
    /// What its schedule came to, up to where it ended or was stopped.
    pub proof: Proof,
    /// What it came to.
    pub facts: Facts,
    /// Whether it may be believed.
    pub validity: Validity,
    /// Sends of which nothing is known, since an earlier leg was killed.
    pub lost: u64,
    /// How often answers had to wait for those who keep them, which made them seem later.
    pub waits: u64,
    /// What sending and measuring took.
    pub used: Used,
    /// Of each variant.
    pub totals: Vec<Cell>,
    /// By time, variant, region and group.
    pub cells: Cells,
}

impl Finished {
    /// By variant.
    pub fn summaries(&self) -> Vec<Summary> {
        let pairs = self.names.iter().zip(&self.totals);
        pairs.map(|(name, cell)| Summary::of(name, 0, cell)).collect()
    }
}
