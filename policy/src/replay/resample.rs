//! Resample: how often an event is sent, so that a recording has another rate and keeps its mix.
//!
//! Error diffusion: a send is owed when a whole one has come together. Each stratum is held by
//! itself; where its own limits leave a choice, the account of all events together decides.
//!
//! Always true: of every stratum, after every event, less than one send is owed or in advance; of
//! all together less than half a send for each stratum and half a one more, so less than one where
//! there is one stratum. No rule that never looks ahead can do without a part for each stratum:
//! whoever orders events can ask for what it has left out. Absent on purpose: times.

use std::collections::BTreeMap;

use super::Ratio;
use super::pattern::WHOLE_PPM;

/// Most strata that have an account of their own, 2 MiB of them; the others share one.
pub const STRATA_MAX: usize = 65_536;

/// The accounts of a resampling.
#[derive(Clone, Debug)]
pub struct Resample {
    /// What an event adds, in parts of a send.
    parts: u128,
    /// The parts that make a send.
    of: i128,
    /// What is owed to each stratum, in parts; negative where it is in advance.
    strata: BTreeMap<u32, i128>,
    others: i128,
    whole: i128,
}

impl Resample {
    /// Sends each event so many times on average.
    pub fn new(factor: Ratio) -> Self {
        let (parts, of) = (u128::from(factor.parts()), i128::from(factor.of()));
        let of = of * i128::from(WHOLE_PPM);
        Self { parts, of, strata: BTreeMap::new(), others: 0, whole: 0 }
    }

    /// How often the next event is sent, which is of this stratum.
    ///
    /// The factor may be another one for each event: it is multiplied by `times_ppm` millionths.
    /// Where there is one stratum and one factor k, event i is sent floor((i+1)k) - floor(ik) times.
    pub fn copies(&mut self, stratum: u32, times_ppm: u32) -> u64 {
        let parts = i128::try_from(self.parts * u128::from(times_ppm)).unwrap_or(i128::MAX);
        let (copies, rest) = (parts / self.of, parts % self.of);
        let own = self.strata.len() < STRATA_MAX || self.strata.contains_key(&stratum);
        let account = if own { self.strata.entry(stratum).or_default() } else { &mut self.others };
        *account += rest;
        self.whole += rest;
        // Between its limits the stratum may have one more or not.
        let one_more = *account >= self.of || *account > 0 && self.whole >= self.of;
        if one_more {
            *account -= self.of;
            self.whole -= self.of;
        }
        u64::try_from(copies).unwrap_or(u64::MAX).saturating_add(u64::from(one_more))
    }
}

#[cfg(test)]
mod tests;
