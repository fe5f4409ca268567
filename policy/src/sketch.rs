//! Sketch: how whole numbers are distributed, in little room and to half a percent.
//!
//! A `DDSketch` (Masson, Rim and Lee, VLDB 2019) whose bounds are integers: numbers go into buckets
//! that are as wide as the error allows, and only those are kept that have some.
//!
//! Always true: what stands for a number is off by at most [`ERROR_MILLI`] thousandths of it; merged
//! sketches are that of all numbers together; there are at most [`BUCKETS`] buckets, and no floats.
//! Absent on purpose: what the numbers are, and which rank is asked for ([`crate::evidence`]).

use serde::{Deserialize, Serialize};

use crate::evidence::percentile::{self, Rank};

/// What stands for a number is off by at most so many thousandths of it.
pub const ERROR_MILLI: u64 = 5;
/// Buckets for all numbers of 64 bits.
pub const BUCKETS: usize = count();

/// The largest number that the one in the middle of a bucket stands for, by its bucket.
static BOUNDS: [u64; BUCKETS] = bounds();
/// The bucket of the smallest number with so many bits.
static FIRST_OF_BITS: [u16; 66] = first_of_bits();

/// Numbers, by how large they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Sketch {
    /// Buckets that have a number, in rising order.
    buckets: Vec<u16>,
    /// How many each of them has.
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    max: u64,
}

/// What a sketch is read from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    buckets: Vec<u16>,
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    max: u64,
}

impl TryFrom<Stored> for Sketch {
    type Error = &'static str;

    /// Refuses what no sketch is written as.
    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let Stored { buckets, counts, count, sum, max } = stored;
        let rises = buckets.is_sorted_by(|one, other| one < other);
        let exist = buckets.last().is_none_or(|last| usize::from(*last) < BUCKETS);
        if !rises || !exist || buckets.len() != counts.len() {
            return Err("these are no buckets of a sketch");
        }
        Ok(Self { buckets, counts, count, sum, max })
    }
}

/// At or below what a part of what is measured lies, as far as there is enough to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// It is at or below this number.
    AtMost(u64),
    /// There are too few to say so.
    NotEnough {
        /// How many events are needed.
        events_needed: u64,
    },
    /// It may be beyond all numbers, among events of which some have none.
    Beyond,
}

/// Numbers among events of which some have none, and count as beyond all: answers among requests.
#[derive(Clone, Copy, Debug)]
pub struct Among<'s> {
    sketch: &'s Sketch,
    events: u64,
}

/// What is kept of a sketch, or sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// Each bucket with how many numbers it has, in rising order.
    pub buckets: Vec<(u16, u64)>,
    /// Of all numbers.
    pub sum: u64,
    /// The largest.
    pub max: u64,
}

impl Sketch {
    /// Adds a number.
    pub fn add(&mut self, number: u64) {
        self.add_to(bucket(number), 1);
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(number.into());
        self.max = self.max.max(number);
    }

    /// Adds all numbers of another one.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.clone_from(other);
            return;
        }
        for (bucket, count) in other.buckets.iter().zip(&other.counts) {
            self.add_to(*bucket, *count);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest, exactly; 0 of none.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// All of them together.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// Their mean, rounded down; 0 of none.
    pub fn mean(&self) -> u64 {
        u64::try_from(self.sum / u128::from(self.count.max(1))).unwrap_or(u64::MAX)
    }

    /// What stands for the number of this rank, from 1, in rising order; none beyond the last.
    pub fn of_rank(&self, rank: u64) -> Option<u64> {
        self.bucket_of_rank(rank).map(|bucket| middle(bucket).min(self.max))
    }

    /// Its numbers among so many events; among themselves, where those are fewer.
    pub fn among(&self, events: u64) -> Among<'_> {
        Among { sketch: self, events: events.max(self.count) }
    }

    /// What stands for the smallest number at or below which this part of all is; none of none.
    pub fn quantile(&self, part_ppm: u32) -> Option<u64> {
        self.among(self.count).quantile(part_ppm)
    }

    /// At or below what a percentile lies, whatever the distribution, with that confidence.
    ///
    /// As [`percentile::upper_rank`]: for a number of events that was fixed before.
    pub fn upper(&self, percentile_ppm: u32, confidence_ppm: u32) -> Bound {
        self.among(self.count).upper(percentile_ppm, confidence_ppm)
    }

    /// At or above what a percentile lies, as [`Self::upper`]; none where there are too few to say so.
    pub fn lower(&self, percentile_ppm: u32, confidence_ppm: u32) -> Option<u64> {
        self.among(self.count).lower(percentile_ppm, confidence_ppm)
    }

    /// Its buckets that have a number, each with how many, in rising order; and the sum of all, and
    /// the largest: all there is to keep of it.
    pub fn parts(&self) -> Parts {
        let buckets = self.buckets.iter().copied().zip(self.counts.iter().copied()).collect();
        Parts { buckets, sum: u64::try_from(self.sum).unwrap_or(u64::MAX), max: self.max }
    }

    /// A sketch of what was kept; none where this can be no sketch.
    pub fn of_parts(parts: &Parts) -> Option<Self> {
        let rises = parts.buckets.is_sorted_by(|one, next| one.0 < next.0);
        let known = |(bucket, count): &(u16, u64)| usize::from(*bucket) < BUCKETS && *count > 0;
        if !rises || !parts.buckets.iter().all(known) {
            return None;
        }
        let mut count = 0_u64;
        for (_, more) in &parts.buckets {
            count = count.checked_add(*more)?;
        }
        let (buckets, counts) = parts.buckets.iter().copied().unzip();
        Some(Self { buckets, counts, count, sum: parts.sum.into(), max: parts.max })
    }

    /// How many numbers there are at most as large as what stands for this one.
    pub fn at_most(&self, number: u64) -> u64 {
        let until = self.buckets.partition_point(|at| *at <= bucket(number));
        self.counts[..until].iter().sum()
    }

    fn add_to(&mut self, bucket: u16, count: u64) {
        match self.buckets.binary_search(&bucket) {
            Ok(at) => self.counts[at] = self.counts[at].saturating_add(count),
            Err(at) => {
                self.buckets.insert(at, bucket);
                self.counts.insert(at, count);
            }
        }
    }

    fn bucket_of_rank(&self, rank: u64) -> Option<u16> {
        let mut below = 0_u64;
        let mut kept = self.buckets.iter().zip(&self.counts);
        let found = kept.find(|(_, count)| {
            below = below.saturating_add(**count);
            below >= rank.max(1)
        });
        found.map(|(bucket, _)| *bucket)
    }
}

impl Among<'_> {
    /// As [`Sketch::quantile`] of the events; none where that is beyond the numbers.
    pub fn quantile(self, part_ppm: u32) -> Option<u64> {
        let parts = u128::from(self.events) * u128::from(part_ppm);
        let rank = parts.div_ceil(u128::from(crate::evidence::WHOLE_PPM)).max(1);
        self.sketch.of_rank(u64::try_from(rank).unwrap_or(u64::MAX))
    }

    /// As [`Sketch::upper`] of the events.
    pub fn upper(self, percentile_ppm: u32, confidence_ppm: u32) -> Bound {
        match percentile::upper_rank(self.events, percentile_ppm, confidence_ppm) {
            Rank::NotEnough { events_needed } => Bound::NotEnough { events_needed },
            Rank::Of(rank) => match self.sketch.bucket_of_rank(rank) {
                Some(bucket) => Bound::AtMost(upper_bound(bucket).min(self.sketch.max)),
                None => Bound::Beyond,
            },
        }
    }

    /// As [`Sketch::lower`] of the events; none also where that is beyond the numbers.
    pub fn lower(self, percentile_ppm: u32, confidence_ppm: u32) -> Option<u64> {
        match percentile::lower_rank(self.events, percentile_ppm, confidence_ppm) {
            Rank::NotEnough { .. } => None,
            Rank::Of(rank) => self.sketch.bucket_of_rank(rank).map(lower_bound),
        }
    }
}

/// The bucket of a number.
fn bucket(number: u64) -> u16 {
    let bits = (u64::BITS - number.leading_zeros()) as usize;
    let first = usize::from(FIRST_OF_BITS[bits]);
    let last = usize::from(FIRST_OF_BITS[bits + 1]);
    let inside = BOUNDS[first..=last].partition_point(|bound| *bound < number);
    u16::try_from(first + inside).unwrap_or(u16::MAX)
}

/// What stands for the numbers of a bucket.
fn middle(bucket: u16) -> u64 {
    match bucket {
        0 => 0,
        _ => middle_above(lower_bound(bucket)),
    }
}

/// The smallest number of a bucket.
fn lower_bound(bucket: u16) -> u64 {
    match usize::from(bucket) {
        0 => 0,
        at => BOUNDS[at - 1] + 1,
    }
}

fn upper_bound(bucket: u16) -> u64 {
    BOUNDS[usize::from(bucket)]
}

/// The largest number that is off by no more than the error from the lowest of a bucket.
const fn middle_above(lowest: u64) -> u64 {
    at_most(lowest as u128 * (1_000 + ERROR_MILLI) as u128 / 1_000)
}

/// The largest number from which the middle of a bucket is off by no more than the error.
const fn bound_above(lowest: u64) -> u64 {
    at_most(middle_above(lowest) as u128 * 1_000 / (1_000 - ERROR_MILLI) as u128)
}

#[expect(clippy::cast_possible_truncation, reason = "it fits, or is not taken")]
const fn at_most(number: u128) -> u64 {
    if number > u64::MAX as u128 { u64::MAX } else { number as u64 }
}

const fn count() -> usize {
    let (mut count, mut bound) = (1, 0);
    while bound < u64::MAX {
        bound = bound_above(bound + 1);
        count += 1;
    }
    count
}

#[expect(clippy::large_stack_arrays, reason = "only a compiler's stack ever has it")]
const fn bounds() -> [u64; BUCKETS] {
    let mut bounds = [0; BUCKETS];
    let mut at = 1;
    while at < BUCKETS {
        bounds[at] = bound_above(bounds[at - 1] + 1);
        at += 1;
    }
    bounds
}

#[expect(clippy::cast_possible_truncation, reason = "there are fewer buckets than 2^16")]
const fn first_of_bits() -> [u16; 66] {
    let bounds = bounds();
    let mut firsts = [BUCKETS as u16 - 1; 66];
    let (mut bits, mut at) = (0, 0);
    while bits < 65 {
        let smallest = if bits == 0 { 0 } else { 1 << (bits - 1) };
        while bounds[at] < smallest {
            at += 1;
        }
        firsts[bits] = at as u16;
        bits += 1;
    }
    firsts
}

const _: () = assert!(BUCKETS < u16::MAX as usize);

#[cfg(test)]
mod tests;
