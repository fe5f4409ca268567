//! Renewal: when a process asks for its next certificate.
//!
//! From two thirds of its lifetime on a certificate is due, at a moment of each process's own, so
//! that those that began together do not come together. A try that failed is followed by another
//! after a pause that grows, and shrinks again towards the end.
//!
//! Always true: a certificate is due while a quarter of its lifetime is left at least; once it is
//! over there is nothing to wait for. Absent on purpose: clocks, chance (the seed), certificates.

use crate::backoff;

/// The part of a lifetime over which the moments of many processes are spread: a twelfth.
const SPREAD: u64 = 12;
/// Tries that fit at least into whatever time is left after a failure, down to the shortest pause.
const TRIES_LEFT: u64 = 4;

/// How to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The shortest pause after a failure, in milliseconds: even shortly before the end nobody is
    /// asked more often.
    pub pause_ms_floor: u64,
    /// The first pause where there is time, in milliseconds; it doubles with each failure.
    pub pause_ms_min: u64,
    /// The longest pause, in milliseconds.
    pub pause_ms_max: u64,
}

/// A certificate, and what became of renewing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// When it was made, in Unix milliseconds.
    pub made_at_ms: u64,
    /// When it is over, in Unix milliseconds.
    pub expires_at_ms: u64,
    /// Tries to renew it that failed, in a row.
    pub failures: u32,
    /// When the last of them failed; not looked at where there is none.
    pub failed_at_ms: u64,
}

/// What to do about a certificate now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing for this long, in milliseconds.
    Wait { ms: u64, reason: Reason },
    /// Ask for the next one; this one still holds for this long, in milliseconds.
    Renew { left_ms: u64 },
    /// Nobody takes it any more, for this long already, in milliseconds: it cannot be renewed.
    Over { since_ms: u64 },
}

/// Why to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is not due.
    Young,
    /// A try has just failed.
    Failed,
}

/// What to do about a certificate at `now_ms`. The seed is the process's own, and stays the same.
pub fn decide(held: &Certificate, now_ms: u64, settings: &Settings, seed: u64) -> Decision {
    if now_ms >= held.expires_at_ms {
        return Decision::Over { since_ms: now_ms - held.expires_at_ms };
    }
    let due_ms = due_ms(held, seed);
    if now_ms < due_ms {
        return Decision::Wait { ms: due_ms - now_ms, reason: Reason::Young };
    }
    let again_ms = again_ms(held, now_ms, settings, seed);
    if again_ms > now_ms {
        return Decision::Wait { ms: again_ms - now_ms, reason: Reason::Failed };
    }
    Decision::Renew { left_ms: held.expires_at_ms - now_ms }
}

/// When it is due: after two thirds of its lifetime, and up to a twelfth later.
fn due_ms(held: &Certificate, seed: u64) -> u64 {
    let lifetime_ms = held.expires_at_ms.saturating_sub(held.made_at_ms);
    let spread_ms = backoff::mix(seed) % (lifetime_ms / SPREAD + 1);
    held.made_at_ms.saturating_add(lifetime_ms - lifetime_ms / 3).saturating_add(spread_ms)
}

/// When it may be tried again after a failure. A failure that the clock says is still to come was
/// noted before the clock was set back: the pause then counts from now.
fn again_ms(held: &Certificate, now_ms: u64, settings: &Settings, seed: u64) -> u64 {
    if held.failures == 0 {
        return now_ms;
    }
    let failed_at_ms = held.failed_at_ms.min(now_ms);
    let Settings { pause_ms_floor, pause_ms_min, pause_ms_max } = *settings;
    let pause_ms = backoff::pause_ms(held.failures, pause_ms_min, pause_ms_max, seed);
    let left_ms = held.expires_at_ms.saturating_sub(failed_at_ms);
    failed_at_ms.saturating_add(pause_ms.min(left_ms / TRIES_LEFT).max(pause_ms_floor))
}

#[cfg(test)]
mod tests;
