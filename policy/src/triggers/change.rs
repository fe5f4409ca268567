//! Change: another rate, time or pattern of a replay, and how often one may follow the other.
//!
//! A replay that is sent anew with a change follows the one before it; triggers judge it as any
//! other, and may change it again.
//!
//! Always true: what a change does not name stays; a change that would change nothing is none; after
//! [`CHANGES_MAX`] changes in a row nothing follows, whatever is judged. Absent on purpose: what
//! rates a replay may have, and what was judged.

use std::fmt;

use crate::replay::UHZ;

/// Replays that follow each other by changes, at most: enough for a rate that is doubled each time to
/// come to 256 times what it was, and few enough to be looked through.
pub const CHANGES_MAX: u32 = 8;
/// By so many thousandths a rate is multiplied at least, and at most.
pub const TIMES_MILLI_MIN: u64 = 100;
/// See [`TIMES_MILLI_MIN`].
pub const TIMES_MILLI_MAX: u64 = 10_000;

/// When events are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// As they happened.
    AsRecorded,
    /// So many times as fast, in thousandths.
    Speed {
        /// The thousandths.
        milli: u64,
    },
    /// At a rate, in millionths of an event per second.
    Rate {
        /// The millionths.
        uhz: u64,
    },
    /// At a rate on average, at random.
    Poisson {
        /// The millionths.
        uhz: u64,
    },
    /// By a pattern: its text.
    Pattern(String),
}

/// What of a replay can be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// When events are sent.
    pub load: Load,
    /// For how long, in milliseconds; until there are no more events where none.
    pub for_ms: Option<u64>,
}

/// What is changed of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// When events are sent instead.
    pub load: Option<Load>,
    /// So many times as fast as before, in thousandths.
    pub times_milli: Option<u64>,
    /// For how long instead, in milliseconds.
    pub for_ms: Option<u64>,
    /// For as long as so many sends take at its rate, rounded down to a millisecond.
    pub events: Option<u64>,
}

/// Why a replay is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A change of nothing.
    #[error("say what of the replay is changed: its rate, its pattern, or for how long it is sent")]
    Nothing,
    /// Two rates.
    #[error("say a rate or by how much it is multiplied, and not both")]
    Both,
    /// A factor that is none.
    #[error(
        "a rate is multiplied by {} to {}, and not by 1",
        Milli(TIMES_MILLI_MIN),
        Milli(TIMES_MILLI_MAX)
    )]
    Times,
    /// No time.
    #[error("a replay is sent for some time, such as 5m, or for some events")]
    Time,
    /// Two lengths.
    #[error("say for how long or how many events, and not both")]
    Lengths,
    /// No rate to tell a time by.
    #[error("how many events are sent can be said of a replay at a rate only: say for how long")]
    Events,
    /// A pattern has no one rate.
    #[error("a pattern has no rate that could be multiplied: name another pattern, or a rate")]
    Pattern,
    /// It is so.
    #[error("it was sent so already")]
    Same,
    /// The end of the row.
    #[error(
        "it is the last of {CHANGES_MAX} changes in a row, and no more follow by themselves: begin \
         a replay by hand"
    )]
    Last,
}

impl Change {
    /// Refuses what could change no replay.
    pub fn check(&self) -> Result<(), Refusal> {
        match self {
            Self { load: None, times_milli: None, for_ms: None, events: None } => {
                Err(Refusal::Nothing)
            }
            Self { for_ms: Some(_), events: Some(_), .. } => Err(Refusal::Lengths),
            Self { load: Some(_), times_milli: Some(_), .. } => Err(Refusal::Both),
            Self { for_ms: Some(0), .. } | Self { events: Some(0), .. } => Err(Refusal::Time),
            Self { load: Some(load), events: Some(_), .. } if load.rate_uhz().is_none() => {
                Err(Refusal::Events)
            }
            Self { times_milli: Some(milli), .. }
                if !(TIMES_MILLI_MIN..=TIMES_MILLI_MAX).contains(milli) || *milli == 1_000 =>
            {
                Err(Refusal::Times)
            }
            _ => Ok(()),
        }
    }

    /// The replay that follows one which itself is the `changes`-th of its row.
    pub fn of(&self, test: &Test, changes: u32) -> Result<Test, Refusal> {
        self.check()?;
        if changes >= CHANGES_MAX {
            return Err(Refusal::Last);
        }
        let load = match (&self.load, self.times_milli) {
            (Some(load), _) => load.clone(),
            (None, Some(milli)) => test.load.times(milli)?,
            (None, None) => test.load.clone(),
        };
        let for_ms = match (self.for_ms, self.events) {
            (None, Some(events)) => Some(load.time_ms(events)?),
            (for_ms, _) => for_ms.or(test.for_ms),
        };
        let next = Test { load, for_ms };
        if next == *test { Err(Refusal::Same) } else { Ok(next) }
    }
}

impl Load {
    fn rate_uhz(&self) -> Option<u64> {
        match self {
            Self::Rate { uhz } | Self::Poisson { uhz } => Some(*uhz),
            Self::AsRecorded | Self::Speed { .. } | Self::Pattern(_) => None,
        }
    }

    /// How long so many sends take, a millisecond at least.
    fn time_ms(&self, events: u64) -> Result<u64, Refusal> {
        let uhz = self.rate_uhz().ok_or(Refusal::Events)?;
        let ms = u128::from(events) * u128::from(UHZ) * 1_000 / u128::from(uhz.max(1));
        Ok(u64::try_from(ms).unwrap_or(u64::MAX).max(1))
    }

    /// So many times as fast, in thousandths, rounded down.
    fn times(&self, by_milli: u64) -> Result<Self, Refusal> {
        let times = |it: u64| {
            let it = u128::from(it) * u128::from(by_milli) / 1_000;
            u64::try_from(it).unwrap_or(u64::MAX)
        };
        match self {
            Self::AsRecorded => Ok(Self::Speed { milli: by_milli }),
            Self::Speed { milli } => Ok(Self::Speed { milli: times(*milli) }),
            Self::Rate { uhz } => Ok(Self::Rate { uhz: times(*uhz) }),
            Self::Poisson { uhz } => Ok(Self::Poisson { uhz: times(*uhz) }),
            Self::Pattern(_) => Err(Refusal::Pattern),
        }
    }
}

/// In words, as behind `it is sent`.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.load {
            Load::AsRecorded => f.write_str("as recorded")?,
            Load::Speed { milli } => write!(f, "{} times as fast as recorded", Milli(*milli))?,
            Load::Rate { uhz } => write!(f, "at {}/s", Milli(*uhz / (UHZ / 1_000)))?,
            Load::Poisson { uhz } => write!(f, "at {}/s at random", Milli(*uhz / (UHZ / 1_000)))?,
            Load::Pattern(_) => f.write_str("by a pattern")?,
        }
        match self.for_ms {
            Some(ms) => write!(f, ", for {} s", Milli(ms)),
            None => Ok(()),
        }
    }
}

/// Thousandths, as a decimal without zeros at its end.
struct Milli(u64);

impl fmt::Display for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000, self.0 % 1_000);
        let digits = format!("{rest:03}");
        match digits.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            digits => write!(f, "{whole}.{digits}"),
        }
    }
}

#[cfg(test)]
mod tests;
