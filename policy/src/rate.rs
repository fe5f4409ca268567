//! Rate: how often somebody may ask.
//!
//! A bucket holds tokens up to a burst and refills steadily. A token is sixty million units, so
//! that a rate in tokens per minute is the same number of units per microsecond, and every refill
//! is exact.
//!
//! Always true: a bucket never holds more than its burst; asking often earns nothing extra; a
//! refused request costs nothing. Absent on purpose: clocks, and where buckets are kept.

/// Units in one token.
const TOKEN_UNITS: u64 = 60_000_000;

/// How often somebody may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Tokens in a full bucket: most requests at once.
    pub burst: u32,
    /// Tokens that come back each minute.
    pub per_min: u32,
}

/// What is left of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    units: u64,
    filled_at_us: u64,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The tokens are there after this time.
    #[error("asked too often; try again in {} ms", us.div_ceil(1_000))]
    Wait {
        /// The time, in microseconds.
        us: u64,
    },
    /// No wait is long enough.
    #[error("asks for more at once than its limit ever allows")]
    Never,
}

impl Plan {
    fn units_max(self) -> u64 {
        u64::from(self.burst) * TOKEN_UNITS
    }
}

impl Bucket {
    /// A full bucket.
    pub fn full(plan: Plan, now_us: u64) -> Self {
        Self { units: plan.units_max(), filled_at_us: now_us }
    }

    /// Whole tokens that could be taken at `now_us`.
    pub fn tokens(self, now_us: u64, plan: Plan) -> u64 {
        self.refilled(now_us, plan).units / TOKEN_UNITS
    }

    /// Whether it is full at `now_us`, so that it need not be kept.
    pub fn is_full(self, now_us: u64, plan: Plan) -> bool {
        self.refilled(now_us, plan).units == plan.units_max()
    }

    /// A time earlier than the last refill counts as no time passed. A plan that shrank takes the
    /// excess away.
    fn refilled(self, now_us: u64, plan: Plan) -> Self {
        let elapsed_us = now_us.saturating_sub(self.filled_at_us);
        let earned = elapsed_us.saturating_mul(u64::from(plan.per_min));
        Self {
            units: self.units.saturating_add(earned).min(plan.units_max()),
            filled_at_us: self.filled_at_us.max(now_us),
        }
    }
}

/// Takes `tokens` from a bucket at `now_us`, and returns the bucket after it.
///
/// Source: token bucket, RFC 2697, section 3.
///
/// # Errors
///
/// [`Refusal::Wait`] when they are not there yet, [`Refusal::Never`] when they are more than the
/// burst or the plan does not refill.
pub fn take(bucket: Bucket, tokens: u32, now_us: u64, plan: Plan) -> Result<Bucket, Refusal> {
    let bucket = bucket.refilled(now_us, plan);
    let cost = u64::from(tokens) * TOKEN_UNITS;
    if let Some(units) = bucket.units.checked_sub(cost) {
        return Ok(Bucket { units, ..bucket });
    }
    if tokens > plan.burst || plan.per_min == 0 {
        return Err(Refusal::Never);
    }
    Err(Refusal::Wait { us: (cost - bucket.units).div_ceil(u64::from(plan.per_min)) })
}

#[cfg(test)]
mod tests;
