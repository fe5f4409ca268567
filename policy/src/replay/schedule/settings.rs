//! Settings: what is wanted of a schedule, and what of that is refused.
//!
//! Always true: every mode is a pattern, of one piece where it is no pattern of somebody's.
//! Absent on purpose: events.

use super::super::curve::Shape;
use super::super::pattern::{Pattern, RATE_UHZ_MAX, RUN_MS_MAX, RUN_NS_MAX, WHOLE_PPM};
use super::super::{Ratio, decimal};

/// Largest factor by which a recording is resampled or quickened, and the inverse of the smallest: a
/// recording of once a minute then fills the fastest machine.
pub const FACTOR_MAX: u64 = 1_000_000;

/// When sends come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// At equal distances.
    Constant {
        /// The rate, in microhertz.
        rate_uhz: u64,
    },
    /// At random ones, as of many independent users.
    Poisson {
        /// The rate, in microhertz.
        rate_uhz: u64,
        /// Where chance begins.
        seed: u64,
    },
    /// As they were recorded.
    Recorded {
        /// How much quicker.
        speed: Ratio,
    },
    /// As a pattern says.
    Pattern {
        /// Which one.
        pattern: Pattern,
        /// At equal distances, stretched by the rate, or at random ones.
        arrivals: Arrivals,
    },
}

/// How sends come at a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly.
    Even,
    /// With exponential gaps.
    Poisson {
        /// Where chance begins.
        seed: u64,
    },
}

/// What is wanted of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When sends come.
    pub mode: Mode,
    /// For how long, in nanoseconds.
    pub duration_ns: u64,
    /// How often each event is sent on average.
    pub factor: Ratio,
}

/// Settings that make no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The rate is none, or too high.
    #[error(
        "a rate of {}/s cannot be held: ask for more than 0/s and at most {}/s",
        decimal(*.rate_uhz), decimal(RATE_UHZ_MAX)
    )]
    Rate {
        /// What was asked for, in microhertz.
        rate_uhz: u64,
    },
    /// The duration is nothing, or too long.
    #[error(
        "a run of {duration_ns} ns is too short or too long: ask for more than nothing and at most \
         {} days",
        RUN_MS_MAX / 86_400_000
    )]
    Duration {
        /// What was asked for, in nanoseconds.
        duration_ns: u64,
    },
    /// A factor is too small or too large.
    #[error("a factor of {factor} is out of bounds: ask for 1/{FACTOR_MAX} to {FACTOR_MAX}")]
    Factor {
        /// What was asked for.
        factor: Ratio,
    },
    /// A speed is too small or too large.
    #[error("a speed of {speed} is out of bounds: ask for 1/{FACTOR_MAX} to {FACTOR_MAX}")]
    Speed {
        /// What was asked for.
        speed: Ratio,
    },
}

/// The settings as a pattern, a speed, and a seed where chance has a part.
pub(super) fn checked(settings: &Settings) -> Result<(Pattern, Ratio, Option<u64>), Refusal> {
    let duration_ns = settings.duration_ns;
    if !(1..=RUN_NS_MAX).contains(&duration_ns) {
        return Err(Refusal::Duration { duration_ns });
    }
    if !settings.factor.is_within(FACTOR_MAX) {
        return Err(Refusal::Factor { factor: settings.factor });
    }
    let constant = |rate_uhz: u64| match rate_uhz {
        1..=RATE_UHZ_MAX => Ok(Pattern::of(Shape::Step { rate_uhz }, duration_ns)),
        _ => Err(Refusal::Rate { rate_uhz }),
    };
    Ok(match &settings.mode {
        Mode::Constant { rate_uhz } => (constant(*rate_uhz)?, Ratio::ONE, None),
        Mode::Poisson { rate_uhz, seed } => (constant(*rate_uhz)?, Ratio::ONE, Some(*seed)),
        Mode::Recorded { speed } if !speed.is_within(FACTOR_MAX) => {
            return Err(Refusal::Speed { speed: *speed });
        }
        Mode::Recorded { speed } => {
            let shape = Shape::Recorded { times_ppm: WHOLE_PPM };
            (Pattern::of(shape, duration_ns), *speed, None)
        }
        Mode::Pattern { pattern, arrivals } => {
            let seed = match arrivals {
                Arrivals::Even => None,
                Arrivals::Poisson { seed } => Some(*seed),
            };
            (pattern.clone(), Ratio::ONE, seed)
        }
    })
}
