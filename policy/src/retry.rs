//! Retry: when an asynchronous call runs again, and when it is given up.
//!
//! A call that the function itself failed runs again after a minute and after two more, as often as
//! its owner wants. A call that never reached the function, since nothing was free or a host failed,
//! is no try: it comes again with growing pauses for as long as its event is young enough.
//!
//! Always true: nothing runs beyond its age; retries of the function's own errors are counted, and
//! others are not; trying ends. Absent on purpose: clocks, chance (the seed), queues, and where
//! events go that are given up.

use crate::backoff;

/// Most retries after errors of the function. Source: Lambda's `MaximumRetryAttempts`.
pub const RETRIES_MAX: u32 = 2;
/// Youngest age, in milliseconds, at which an event may be given up. Source: Lambda's
/// `MaximumEventAgeInSeconds`, as the next one.
pub const AGE_MS_MIN: u64 = 60_000;
/// Oldest age of an event, in milliseconds: six hours.
pub const AGE_MS_MAX: u64 = 6 * 60 * 60_000;
/// The shortest pause after a throttle or a fault of a host, in milliseconds; it doubles with each.
pub const PAUSE_MS_MIN: u64 = 1_000;
/// The longest such pause, in milliseconds: five minutes.
pub const PAUSE_MS_MAX: u64 = 5 * 60_000;
/// Most destinations that are told one after the other, each of what became of the one before; a
/// destination may lead back to where it began. Source: Lambda ends such a loop after about as many.
pub const TOLD_MAX: u32 = 16;

/// Waits before the retries of a function's own errors, in milliseconds.
const WAITS_MS: [u64; RETRIES_MAX as usize] = [60_000, 120_000];
/// The part of such a wait by which it may be longer, so that events that failed together do not
/// come back together.
const SPREAD: u64 = 10;

/// What the owner of a function wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    retries: u32,
    age_ms: u64,
}

/// Settings that are out of their limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More retries than are ever made.
    #[error("{retries} retries are too many: ask for 0 to {RETRIES_MAX}")]
    Retries {
        /// What was asked for.
        retries: u32,
    },
    /// An age that is too young or too old.
    #[error(
        "an event of {age_ms} ms is too young or too old to be given up: \
         ask for {AGE_MS_MIN} to {AGE_MS_MAX} ms"
    )]
    Age {
        /// What was asked for, in milliseconds.
        age_ms: u64,
    },
}

impl Settings {
    /// So many retries after errors of the function, and none once the event is so old.
    ///
    /// # Errors
    ///
    /// When one of them is out of its limits.
    pub fn new(retries: u32, age_ms: u64) -> Result<Self, Refusal> {
        if retries > RETRIES_MAX {
            return Err(Refusal::Retries { retries });
        }
        if !(AGE_MS_MIN..=AGE_MS_MAX).contains(&age_ms) {
            return Err(Refusal::Age { age_ms });
        }
        Ok(Self { retries, age_ms })
    }

    /// Retries after errors of the function.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// Age at which an event is given up, in milliseconds.
    pub fn age_ms(&self) -> u64 {
        self.age_ms
    }
}

impl Default for Settings {
    /// As often and as long as can be asked for.
    fn default() -> Self {
        Self { retries: RETRIES_MAX, age_ms: AGE_MS_MAX }
    }
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The function answered with an error, crashed, or took too long.
    Function,
    /// Nothing was free for it.
    Throttled,
    /// A host failed before the function could answer.
    Host,
}

/// What happened to an event so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Time since it was accepted, in milliseconds.
    pub age_ms: u64,
    /// Times that the function failed it, the last one included.
    pub failed: u32,
    /// Times in a row, up to now, that it did not reach the function.
    pub missed: u32,
}

/// Why an event is given up, as it is told to its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The function failed it as often as it may be tried.
    RetriesExhausted,
    /// It would be too old by the time of its next try.
    EventAgeExceeded,
}

impl Condition {
    /// The word that stands in records about it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetriesExhausted => "RetriesExhausted",
            Self::EventAgeExceeded => "EventAgeExceeded",
        }
    }
}

/// What becomes of an event that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It runs again.
    Again {
        /// After so many milliseconds.
        after_ms: u64,
    },
    /// It does not.
    GiveUp(Condition),
}

/// Says what becomes of an event whose last try failed in that way; the seed is the event's own.
///
/// A pause after a throttle or a fault is cut so that the last try comes at the end of the event's
/// age, where a whole shortest pause still fits.
pub fn next(failure: Failure, tries: &Tries, settings: &Settings, seed: u64) -> Outcome {
    let left_ms = settings.age_ms.saturating_sub(tries.age_ms);
    let after_ms = match failure {
        Failure::Function if tries.failed > settings.retries => {
            return Outcome::GiveUp(Condition::RetriesExhausted);
        }
        Failure::Function => wait_ms(tries.failed, seed),
        Failure::Throttled | Failure::Host => {
            // A pause may be as short as half of what it is drawn from.
            let ms = backoff::pause_ms(tries.missed, 2 * PAUSE_MS_MIN, PAUSE_MS_MAX, seed);
            ms.min(left_ms.max(PAUSE_MS_MIN))
        }
    };
    if after_ms > left_ms {
        return Outcome::GiveUp(Condition::EventAgeExceeded);
    }
    Outcome::Again { after_ms }
}

/// Whether an event that waited so long for a try, in milliseconds since it was accepted, is not to
/// be tried any more; its condition is then [`Condition::EventAgeExceeded`].
pub fn is_too_old(age_ms: u64, settings: &Settings) -> bool {
    age_ms > settings.age_ms
}

/// The wait after so many errors of the function, longer by up to a tenth.
fn wait_ms(failed: u32, seed: u64) -> u64 {
    let place = usize::try_from(failed.saturating_sub(1)).unwrap_or(usize::MAX);
    let whole_ms = WAITS_MS[place.min(WAITS_MS.len() - 1)];
    let mixed = backoff::mix(seed.wrapping_add(u64::from(failed)));
    whole_ms + mixed % (whole_ms / SPREAD + 1)
}

#[cfg(test)]
mod tests;
