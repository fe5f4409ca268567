//! Plans: what a run is to do, and within what limits.
//!
//! Always true: whatever is beyond its limit is refused with the limit, before anything begins.
//! Absent on purpose: what comes of it.

use policy::replay::pace::CatchUp;
use policy::replay::schedule::{self, Schedule};
use policy::replay::validity::Needs;

use super::cells::VARIANTS_MAX;
use super::error::Error;
use super::target::Variant;
use crate::key::Folder;

/// Most requests under way to a variant that may be asked for: as many as there are ports.
pub const UNDER_WAY_MAX: usize = 60_000;
/// Longest time for an answer, in milliseconds: an hour, longer than anybody waits.
pub const TIMEOUT_MS_MAX: u64 = 3_600_000;
/// Most bytes of an answer's body that are kept to be judged.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// For how long it looks at the clock before a send, unless it is told otherwise, in nanoseconds:
/// what a sleep is late by on most machines.
pub const SPIN_NS: u64 = 100_000;
/// Longest time that may be asked for, in nanoseconds: beyond it a sleep is always in time.
const SPIN_NS_MAX: u64 = 10_000_000;

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name, which is told to targets.
    pub run: String,
    /// Where its records are kept, encrypted where it has a key; nothing else is there.
    pub folder: Folder,
    /// To whom each event is sent.
    pub variants: Vec<Variant>,
    /// When.
    pub schedule: schedule::Settings,
    /// What becomes of what is late.
    pub catch_up: CatchUp,
    /// Most requests under way to each variant; what is above is dropped.
    pub under_way_max: usize,
    /// For how long an answer is waited for, in milliseconds.
    pub timeout_ms: u64,
    /// The header in which services tell their own time, in microseconds; may be empty.
    pub service_header: String,
    /// The header in which answers tell what else they took ([`super::record::Took`]); may be empty.
    pub took_header: String,
    /// How much of an answer's body is kept to be judged, in bytes.
    pub body_bytes_max: usize,
    /// For how long it looks at the clock before a send, in nanoseconds; 0 where it only sleeps,
    /// which is for machines with one processor.
    pub spin_ns: u64,
    /// How many connections are opened to each variant before the first send.
    pub warm: usize,
    /// What the run has to come to.
    pub needs: Needs,
    /// Go on with the run whose records are in the folder.
    pub resume: bool,
}

impl Plan {
    /// A run with the usual limits.
    pub fn new(
        run: &str,
        folder: impl Into<Folder>,
        variants: Vec<Variant>,
        schedule: schedule::Settings,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            run: run.to_owned(),
            folder: folder.into(),
            variants,
            schedule,
            catch_up: CatchUp::Burst,
            under_way_max: 4_096,
            timeout_ms: 30_000,
            service_header: String::new(),
            took_header: String::new(),
            body_bytes_max: 64 << 10,
            spin_ns: if processors > 1 { SPIN_NS } else { 0 },
            warm: 8,
            needs: Needs::default(),
            resume: false,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let count = self.variants.len();
        if !(1..=VARIANTS_MAX).contains(&count) {
            return Err(Error::Variants { count });
        }
        let whole = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let settings = [
            ("the limit of requests under way", whole(self.under_way_max), 1, UNDER_WAY_MAX as u64),
            ("the time for an answer, in ms,", self.timeout_ms, 1, TIMEOUT_MS_MAX),
            (
                "the part of bodies that is kept",
                whole(self.body_bytes_max),
                0,
                BODY_BYTES_MAX as u64,
            ),
            ("the time of looking at the clock, in ns,", self.spin_ns, 0, SPIN_NS_MAX),
            ("the number of warm connections", whole(self.warm), 0, whole(self.under_way_max)),
        ];
        for (setting, value, least, most) in settings {
            if !(least..=most).contains(&value) {
                return Err(Error::Setting { setting, value, least, most });
            }
        }
        // What the schedule thinks of its settings is known before anything begins.
        Schedule::new(std::iter::empty(), &self.schedule)?;
        Ok(())
    }
}
