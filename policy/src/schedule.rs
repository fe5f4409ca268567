//! Schedule: when something is to run next.
//!
//! `rate(5 minutes)` counts from a start; `cron(0 9 ? * MON-FRI *)` and `at(2026-11-22T09:00:00)`
//! are times on the clock of a zone. A time that clocks skip in spring has no run; one that they
//! show twice in autumn has one, the first, but where every hour has one: then both.
//!
//! Always true: the next run is later than what it is asked after, and there is none between; the
//! same zone gives the same answer. Absent on purpose: clocks, data of zones, and what runs.
//! Source: the expressions of Amazon's `EventBridge` Scheduler.

mod cron;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use cron::Cron;

/// Longest text of a schedule, in bytes. Source: `ScheduleExpression`.
pub const TEXT_BYTES_MAX: usize = 256;
/// Most missed runs that are made up for at once: as many as may wait without being a flood.
pub const MISSED_MAX: usize = 100;
/// Longest interval of a rate, in milliseconds: a year.
pub const RATE_MS_MAX: u64 = 366 * DAY_MS;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// When something runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(When);

#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    Rate { every_ms: u64 },
    At(DateTime),
    Cron(Cron),
}

/// A text that is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is none of the three forms, or far too long.
    #[error(
        "this is no schedule: write rate(5 minutes), cron(0 9 ? * MON-FRI *) \
         or at(2026-11-22T09:00:00)"
    )]
    Form,
    /// The rate is none.
    #[error(
        "{text:?} is no rate: write a number from 1 and minute, minutes, hour, hours, day or days, within a year"
    )]
    Rate {
        /// What stands in the parentheses.
        text: String,
    },
    /// The time is none.
    #[error("{text:?} is no time: write it as 2026-11-22T09:00:00, without a zone")]
    At {
        /// What stands in the parentheses.
        text: String,
    },
    /// There are not six fields.
    #[error(
        "cron has six fields, minutes hours day-of-month month day-of-week year: here are {fields}"
    )]
    Fields {
        /// How many there are.
        fields: usize,
    },
    /// A field has what cannot stand there.
    #[error("{text:?} cannot stand for the {field}: {cure}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What stands there.
        text: String,
        /// What can.
        cure: &'static str,
    },
    /// Both fields of days say something, or none does.
    #[error("one of day-of-month and day-of-week is ?, and the other is not")]
    Days,
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    ///
    /// When it is none, with what to write instead.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        let inside = |form: &str| text.strip_prefix(form)?.strip_prefix('(')?.strip_suffix(')');
        if text.len() > TEXT_BYTES_MAX {
            return Err(Refusal::Form);
        }
        if let Some(text) = inside("rate") {
            let wrong = || Refusal::Rate { text: text.to_owned() };
            return Ok(Self(When::Rate { every_ms: rate_ms(text).ok_or_else(wrong)? }));
        }
        if let Some(text) = inside("at") {
            // Nothing but a time: a zone is an argument.
            let plain = text.len() == "2026-11-22T09:00:00".len();
            let time = plain.then(|| text.parse().ok()).flatten();
            return Ok(Self(When::At(time.ok_or_else(|| Refusal::At { text: text.to_owned() })?)));
        }
        Ok(Self(When::Cron(Cron::parse(inside("cron").ok_or(Refusal::Form)?)?)))
    }

    /// The first run after a time, in milliseconds since 1970; none where there is no further one.
    ///
    /// A rate counts from `start_ms`, and its first run is then; the others mind only the zone.
    pub fn next_ms(&self, zone: &TimeZone, start_ms: u64, after_ms: u64) -> Option<u64> {
        match &self.0 {
            When::Rate { every_ms } => match after_ms.checked_sub(start_ms) {
                None => Some(start_ms),
                Some(past_ms) => start_ms.checked_add((past_ms / every_ms + 1) * every_ms),
            },
            // Of clocks that skip it, the time at which they would have shown it.
            When::At(time) => millis(zone.to_ambiguous_timestamp(*time).compatible().ok()?)
                .filter(|at_ms| *at_ms > after_ms),
            When::Cron(cron) => next_of_cron(cron, zone, after_ms),
        }
    }
}

/// What becomes of runs that were missed while nothing could run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// They are left out.
    Skip,
    /// One run stands for all of them: the first.
    Once,
    /// All of them run, the oldest ones first.
    All {
        /// At most so many; [`MISSED_MAX`] at most count.
        runs_max: usize,
    },
}

impl Schedule {
    /// The runs to be made up for, of those after `last_ms` and up to `now_ms`: their times.
    pub fn missed_ms(
        &self,
        zone: &TimeZone,
        start_ms: u64,
        (last_ms, now_ms): (u64, u64),
        missed: Missed,
    ) -> Vec<u64> {
        let runs_max = match missed {
            Missed::Skip => 0,
            Missed::Once => 1,
            Missed::All { runs_max } => runs_max.min(MISSED_MAX),
        };
        let next =
            |after_ms: u64| self.next_ms(zone, start_ms, after_ms).filter(|at_ms| *at_ms <= now_ms);
        std::iter::successors(next(last_ms), |at_ms| next(*at_ms)).take(runs_max).collect()
    }
}

/// `5 minutes`, `1 day`, in milliseconds.
fn rate_ms(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once(' ')?;
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    let unit_ms = match unit {
        "minute" | "minutes" => MINUTE_MS,
        "hour" | "hours" => HOUR_MS,
        "day" | "days" => DAY_MS,
        _ => return None,
    };
    number.checked_mul(unit_ms).filter(|every_ms| *every_ms <= RATE_MS_MAX)
}

/// The first run after a time by the clock of a zone.
///
/// Times of the clock are looked at in their order. Among those that the clock shows once, later
/// ones are later; so the first of them that is late enough ends the search.
fn next_of_cron(cron: &Cron, zone: &TimeZone, after_ms: u64) -> Option<u64> {
    let after = Timestamp::from_millisecond(i64::try_from(after_ms).ok()?).ok()?;
    let mut local = zone.to_datetime(after);
    if zone.to_ambiguous_timestamp(local).is_ambiguous() {
        // The clock is about to be turned back, or was: what it shows again is still to come.
        local = local.checked_sub(3.hours()).ok()?;
    }
    let mut first: Option<Timestamp> = None;
    let mut from = local;
    while let Some(time) = cron.at_or_after(from) {
        let found = zone.to_ambiguous_timestamp(time);
        let once = !found.is_ambiguous();
        let shown = !is_skipped(found);
        let earlier = found.earlier().ok().filter(|_| shown);
        let later = found.later().ok().filter(|_| shown && cron.is_hourly());
        let best = [earlier, later].into_iter().flatten().filter(|at| *at > after).min();
        first = [first, best].into_iter().flatten().min();
        if once && first.is_some() {
            break;
        }
        from = time.checked_add(1.minute()).ok()?;
    }
    millis(first?)
}

/// Whether clocks never show it.
fn is_skipped(time: jiff::tz::AmbiguousTimestamp) -> bool {
    matches!(time.offset(), jiff::tz::AmbiguousOffset::Gap { .. })
}

fn millis(at: Timestamp) -> Option<u64> {
    u64::try_from(at.as_millisecond()).ok()
}

#[cfg(test)]
mod tests;
