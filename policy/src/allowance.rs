//! Allowances: how much somebody may call of what another has, and whether one more call fits.
//!
//! A day is one of UTC. Calls of a day are counted by whoever lets them through, and by those who
//! do so elsewhere, of whom it is heard now and then: what is let through of a day is at most its
//! limit and what others have let through since they were heard of.
//!
//! Always true: a call that was refused costs nothing; the wait that is told is long enough, where
//! nobody else calls. Absent on purpose: clocks, who calls, and where allowances are kept.

use types::CallLimits;

use crate::rate::{self, Bucket, Plan};

/// Microseconds of a day.
const DAY_US: u64 = 24 * 3_600 * 1_000_000;

/// How much may be called; without a limit where it is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How often.
    pub rate: Option<Plan>,
    /// Most calls at one time.
    pub concurrency_max: Option<u32>,
    /// Most calls of a day.
    pub calls_per_day_max: Option<u64>,
    /// When it ends, in milliseconds.
    pub ends_at_ms: Option<u64>,
}

/// What was made of limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    bucket: Option<Bucket>,
    under_way: u32,
    /// The day of the counts, since 1970.
    day: u64,
    /// Calls of the day of which was heard.
    heard: u64,
    /// Calls of the day let through here that are not among these.
    since: u64,
}

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The time is over.
    #[error("it has ended")]
    Ended,
    /// As many run as may.
    #[error("{max} calls run, as many as may at one time")]
    Busy {
        /// The limit.
        max: u32,
    },
    /// Too many in a short time.
    #[error("called too often; try again in {} ms", us.div_ceil(1_000))]
    TooFast {
        /// The shortest wait that works, in microseconds.
        us: u64,
    },
    /// Nothing is let through at this rate.
    #[error("its rate lets no call through")]
    Never,
    /// The day's calls are spent.
    #[error("the {max} calls of this day are spent")]
    Spent {
        /// The limit.
        max: u64,
        /// The time until the next day, in microseconds.
        us: u64,
    },
}

/// A limit that goes beyond the one around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} may be at most {most}, as the grant says")]
pub struct Excess {
    /// Which limit.
    pub what: &'static str,
    /// The limit around it.
    pub most: u64,
}

impl From<&CallLimits> for Limits {
    fn from(told: &CallLimits) -> Self {
        let plan = |per_min: u32| {
            let burst = told.burst.unwrap_or_else(|| per_min.div_ceil(60));
            Plan { burst, per_min }
        };
        Self {
            rate: told.rate_per_min.map(plan),
            concurrency_max: told.concurrency,
            calls_per_day_max: told.calls_per_day,
            ends_at_ms: told.ends_at_ms,
        }
    }
}

impl Limits {
    /// Whether these stay within others; what is absent here is limited by the others alone.
    ///
    /// # Errors
    ///
    /// [`Excess`], the first one.
    pub fn within(&self, outer: &Self) -> Result<(), Excess> {
        let plan = |limits: &Self| limits.rate.map(|plan| u64::from(plan.per_min));
        let burst = |limits: &Self| limits.rate.map(|plan| u64::from(plan.burst));
        let at_once = |limits: &Self| limits.concurrency_max.map(u64::from);
        let pairs = [
            ("the rate", plan(self), plan(outer)),
            ("the burst", burst(self), burst(outer)),
            ("the concurrency", at_once(self), at_once(outer)),
            ("the calls of a day", self.calls_per_day_max, outer.calls_per_day_max),
            ("the end", self.ends_at_ms, outer.ends_at_ms),
        ];
        for (what, inner, outer) in pairs {
            if let (Some(inner), Some(most)) = (inner, outer)
                && inner > most
            {
                return Err(Excess { what, most });
            }
        }
        Ok(())
    }
}

impl Allowance {
    /// One of which `heard` calls were let through this day.
    pub fn new(heard: u64, now_us: u64) -> Self {
        Self { day: now_us / DAY_US, heard, ..Self::default() }
    }

    /// Calls of this day that are known of.
    pub fn calls(&self, now_us: u64) -> u64 {
        let counted = self.heard.saturating_add(self.since);
        if self.day == now_us / DAY_US { counted } else { 0 }
    }

    /// Calls under way.
    pub fn under_way(&self) -> u32 {
        self.under_way
    }

    /// Whether nothing is lost when it is forgotten.
    pub fn is_idle(&self, now_us: u64, limits: &Limits) -> bool {
        let full = match (self.bucket, limits.rate) {
            (Some(bucket), Some(plan)) => bucket.is_full(now_us, plan),
            _ => true,
        };
        self.under_way == 0 && full && self.calls(now_us) == 0
    }

    /// Lets a call through.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; nothing has changed then.
    pub fn take(self, limits: &Limits, now_us: u64) -> Result<Self, Refusal> {
        let day = now_us / DAY_US;
        let calls = self.calls(now_us);
        let kept = if self.day == day { self } else { Self { day, heard: 0, since: 0, ..self } };
        if limits.ends_at_ms.is_some_and(|end_ms| end_ms <= now_us / 1_000) {
            return Err(Refusal::Ended);
        }
        if let Some(max) = limits.calls_per_day_max
            && calls >= max
        {
            return Err(Refusal::Spent { max, us: (day + 1).saturating_mul(DAY_US) - now_us });
        }
        if let Some(max) = limits.concurrency_max
            && kept.under_way >= max
        {
            return Err(Refusal::Busy { max });
        }
        let bucket = match limits.rate {
            None => None,
            Some(plan) => {
                let bucket = kept.bucket.unwrap_or_else(|| Bucket::full(plan, now_us));
                Some(rate::take(bucket, 1, now_us, plan).map_err(Refusal::from)?)
            }
        };
        let (under_way, since) = (kept.under_way + 1, kept.since + 1);
        Ok(Self { bucket, under_way, since, ..kept })
    }

    /// A call that was let through at this time is over. One that did not run is not counted for
    /// its day.
    #[must_use]
    pub fn give_back(self, taken_at_us: u64, ran: bool) -> Self {
        let counted = ran || taken_at_us / DAY_US != self.day;
        let since = if counted { self.since } else { self.since.saturating_sub(1) };
        Self { under_way: self.under_way.saturating_sub(1), since, ..self }
    }

    /// It was heard that `all` calls were let through on `day`, `own` of these here that were not
    /// heard of before.
    #[must_use]
    pub fn hear(self, day: u64, all: u64, own: u64) -> Self {
        if day != self.day {
            return self;
        }
        // What is told twice, or late, takes nothing away.
        Self { heard: self.heard.max(all), since: self.since.saturating_sub(own), ..self }
    }
}

impl From<rate::Refusal> for Refusal {
    fn from(refusal: rate::Refusal) -> Self {
        match refusal {
            rate::Refusal::Wait { us } => Self::TooFast { us },
            rate::Refusal::Never => Self::Never,
        }
    }
}

#[cfg(test)]
mod tests;
