//! Resize: how much memory the next instance of a function has, and the one that runs.
//!
//! A size is settled until enough calls ask for another one. That is tried on one instance, and is
//! settled after enough calls, or rolled back where the instance was killed or calls took longer.
//!
//! Always true: sizes stay within the owner's limits; what is tried is tried on one instance; what
//! is rolled back is not tried again before what was seen asks for another size.
//! Absent on purpose: clocks, cgroups, and who may be killed.

pub mod usage;

use crate::advise::PROCESSOR_KIB;
use usage::Usage;

/// Calls before a size is judged, that of a function as well as that of a trial.
pub const CALLS_MIN: u64 = 20;
/// A trial is rolled back where calls take longer than before by more than so many thousandths.
pub const SLOWER_MILLI_MAX: u64 = 50;

/// Least processor time, in thousandths of a processor, however little memory.
const CPU_MILLI_MIN: u32 = 100;
/// The part of calls, in hundredths, whose memory a size holds, before the margin.
pub const PERCENT: u64 = 98;
/// What is put on top of that, in hundredths: what was not seen yet may be larger.
const MARGIN_PERCENT: u64 = 115;
/// A size that differs by less than this part is left as it is.
const WORTH_TRYING: u64 = 8;
/// An instance that has used so many hundredths of its memory is given more.
const FULL_PERCENT: u64 = 90;
/// Sizes are whole pieces of so much, in KiB.
const PIECE_KIB: u64 = 1024;

/// What the owner of a function allows, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Never less.
    pub kib_min: u64,
    /// Never more.
    pub kib_max: u64,
}

impl Bounds {
    fn hold(&self, kib: u64) -> u64 {
        kib.next_multiple_of(PIECE_KIB).clamp(self.kib_min, self.kib_max.max(self.kib_min))
    }
}

/// A size that one instance tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The size, in KiB.
    pub kib: u64,
    /// Calls that it answered.
    pub calls: u64,
    /// It was killed for memory.
    pub killed: bool,
    /// How long its calls took in the middle, in microseconds.
    pub call_us: u64,
    /// The same of instances of the old size meanwhile.
    pub before_us: u64,
}

/// Where the size of a function stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// What instances have, in KiB; at first what the owner asked for.
    pub kib: u64,
    /// What one of them tries, if any does.
    pub trial: Option<Trial>,
    /// The size that was rolled back last, in KiB.
    pub refused_kib: Option<u64>,
}

/// Processor time that comes with so much memory, in thousandths of a processor: a whole one with
/// [`PROCESSOR_KIB`], and a tenth at least.
pub fn cpu_milli(kib: u64) -> u32 {
    let milli = kib.saturating_mul(1_000) / PROCESSOR_KIB;
    u32::try_from(milli).unwrap_or(u32::MAX).max(CPU_MILLI_MIN)
}

/// Memory that instances need whose calls take so much, in KiB: that, and a margin for what was not
/// seen yet.
pub fn needs_kib(used_kib: u64) -> u64 {
    used_kib.saturating_mul(MARGIN_PERCENT) / 100
}

/// What to do about a size, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep(Kept),
    /// The next instance, one alone, has this size.
    Try {
        /// In KiB.
        kib: u64,
        /// What calls took, in KiB, before the margin.
        used_kib: u64,
    },
    /// All next instances have the size of the trial.
    Settle {
        /// In KiB.
        kib: u64,
    },
    /// The trial ends, and the old size stays.
    RollBack {
        /// The old size, in KiB.
        kib: u64,
        /// What was wrong.
        reason: Worse,
    },
}

/// Why a size stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Too few calls were seen.
    FewCalls {
        /// So many.
        calls: u64,
    },
    /// It is about right.
    Fits,
    /// Another one is on trial.
    OnTrial,
    /// The better one was rolled back before.
    Refused {
        /// In KiB.
        kib: u64,
    },
}

/// Why a trial is rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worse {
    /// The instance was killed for memory.
    Killed,
    /// Calls took longer.
    Slower {
        /// By so many thousandths.
        milli: u64,
    },
}

/// Says what to do about the size of a function, for inputs up to a size, in bytes.
pub fn decide(size: &Size, usage: &Usage, input_bytes: u64, bounds: &Bounds) -> Step {
    if let Some(trial) = &size.trial {
        return judge(size.kib, trial);
    }
    let calls = usage.calls(input_bytes);
    let Some(used_kib) = usage.memory_kib(PERCENT, input_bytes).filter(|_| calls >= CALLS_MIN)
    else {
        return Step::Keep(Kept::FewCalls { calls });
    };
    let kib = bounds.hold(needs_kib(used_kib));
    if is_about(kib, size.kib) && size.kib == bounds.hold(size.kib) {
        return Step::Keep(Kept::Fits);
    }
    match size.refused_kib {
        Some(refused) if is_about(kib, refused) => Step::Keep(Kept::Refused { kib: refused }),
        Some(_) | None => Step::Try { kib, used_kib },
    }
}

fn judge(kib: u64, trial: &Trial) -> Step {
    if trial.killed {
        return Step::RollBack { kib, reason: Worse::Killed };
    }
    if trial.calls < CALLS_MIN {
        return Step::Keep(Kept::OnTrial);
    }
    let more_us = trial.call_us.saturating_sub(trial.before_us);
    let milli = more_us.saturating_mul(1_000) / trial.before_us.max(1);
    if milli > SLOWER_MILLI_MAX {
        return Step::RollBack { kib, reason: Worse::Slower { milli } };
    }
    Step::Settle { kib: trial.kib }
}

fn is_about(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= one.max(other) / WORTH_TRYING
}

/// What a running instance's limit becomes, in KiB, when it has used so much of it; none where it
/// stays. It only grows: what a program has once touched it may need again.
pub fn grown_kib(used_kib: u64, limit_kib: u64, bounds: &Bounds) -> Option<u64> {
    let full = u128::from(used_kib) * 100 >= u128::from(limit_kib) * u128::from(FULL_PERCENT);
    let kib = bounds.hold(limit_kib.saturating_add(limit_kib / 2));
    (full && kib > limit_kib).then_some(kib)
}

/// The size in KiB at which a call that was killed for memory runs once more: twice as much, where
/// that is allowed, the call may be repeated without harm, and this was its first run.
pub fn again_kib(kib: u64, idempotent: bool, runs: u32, bounds: &Bounds) -> Option<u64> {
    let twice = bounds.hold(kib.saturating_mul(2));
    (idempotent && runs <= 1 && twice > kib).then_some(twice)
}

#[cfg(test)]
mod tests;
