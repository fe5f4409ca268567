//! Warmth: how long an idle instance of a function is kept, and when one is warmed ahead.
//!
//! Each end of a call opens a window: the instance goes at once or stays, may be made warm again
//! shortly before the next call is expected, and goes when the window ends. The lengths come from
//! the gaps between calls that were seen before, by a fixed time, a histogram or least cost.
//!
//! Always true: a window is bounded ([`HORIZON_MS`]); it follows from the gaps in their order, and
//! nothing else.
//! Absent on purpose: clocks, and whether there is memory for it ([`eviction`]).

pub mod eviction;
pub mod hybrid;
pub mod least_cost;

use hybrid::Histogram;
use least_cost::{Gaps, Stakes};

/// Longest time that a window looks ahead: a weekly call can be expected, with a day to spare.
pub const HORIZON_MS: u64 = 8 * 24 * 60 * MINUTE_MS;

/// Idle memory of the usual size, in MiB, that is worth holding while somebody waits: 900 GiB.
///
/// At the usual price of a function's memory, 1/60,000 of a dollar a GiB and second, that is one
/// and a half cents a second, or 54 dollars an hour: about what people's work costs. A cold start of
/// a second is then worth two idle hours of 128 MiB.
pub const WAIT_WORTH_MIB: u64 = 900 * 1024;

/// The usual size of an instance, in MiB: the smallest that functions are commonly given.
const USUAL_MIB: u64 = 128;

/// Windows of a fixed time keep an instance for so long where nobody says otherwise.
pub const FIXED_MS: u64 = 10 * MINUTE_MS;

const MINUTE_MS: u64 = 60_000;
const KIB_PER_MIB: u128 = 1024;

/// When an idle instance is there, counted from the end of its last call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// It is warm from here on. 0: it stays; else it goes at once, and one is warm again by then.
    pub warm_ms: u64,
    /// For how long it is then kept.
    pub keep_ms: u64,
}

/// How a call found the window of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing was warm yet.
    Early,
    /// It was warm, and had been idle for so long.
    Warm {
        /// Idle time, in milliseconds.
        idle_ms: u64,
    },
    /// It had been idle for all of the window, and was gone.
    Late {
        /// Idle time, in milliseconds.
        idle_ms: u64,
    },
}

impl Window {
    /// Keeps for so long, and warms nothing ahead.
    pub fn keep(keep_ms: u64) -> Self {
        Self { warm_ms: 0, keep_ms: keep_ms.min(HORIZON_MS) }
    }

    /// Is warm from the one time to the other, where they come in this order; within the horizon.
    pub fn between(warm_ms: u64, end_ms: u64) -> Self {
        let end_ms = end_ms.min(HORIZON_MS);
        let warm_ms = warm_ms.min(end_ms);
        Self { warm_ms, keep_ms: end_ms - warm_ms }
    }

    /// When it ends.
    pub fn end_ms(&self) -> u64 {
        self.warm_ms.saturating_add(self.keep_ms)
    }

    /// What a call finds that comes so long after the last one ended.
    pub fn found(&self, gap_ms: u64) -> Found {
        if gap_ms < self.warm_ms {
            Found::Early
        } else if gap_ms <= self.end_ms() {
            Found::Warm { idle_ms: gap_ms - self.warm_ms }
        } else {
            Found::Late { idle_ms: self.keep_ms }
        }
    }
}

/// How many milliseconds of an idle instance one cold start is worth.
///
/// Who waits for `cold_ms` loses what [`WAIT_WORTH_MIB`] cost in that time; the instance costs its
/// memory. Of an instance that is larger than usual only the square root of that counts: its callers
/// wait as long as others do, and by its whole size it would never be kept. At least 1, at most the
/// horizon.
pub fn worth_ms(cold_ms: u64, memory_kib: u64) -> u64 {
    let value = u128::from(cold_ms) * u128::from(WAIT_WORTH_MIB) * KIB_PER_MIB;
    let usual_kib = u128::from(USUAL_MIB) * KIB_PER_MIB;
    let shared_kib = (usual_kib * u128::from(memory_kib)).isqrt();
    let worth_ms = value / shared_kib.max(1);
    u64::try_from(worth_ms).unwrap_or(u64::MAX).clamp(1, HORIZON_MS)
}

/// How windows are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The same window after every call.
    Fixed {
        /// For how long an instance is kept.
        keep_ms: u64,
    },
    /// A histogram of a function's gaps.
    Hybrid,
    /// The window that would have cost least.
    LeastCost,
}

/// What a policy knows of one function.
#[derive(Clone, Debug)]
pub struct Warmth {
    stakes: Stakes,
    known: Known,
}

#[derive(Clone, Debug)]
enum Known {
    Fixed(Window),
    Hybrid(Box<Histogram>),
    /// By class of how many calls ran at once, since the second of two instances has longer gaps
    /// than the first: 1, 2, 3 to 4, 5 to 8, and so on.
    LeastCost(Vec<Gaps>),
}

impl Warmth {
    /// Nothing is known yet.
    pub fn new(policy: Policy, stakes: Stakes) -> Self {
        let known = match policy {
            Policy::Fixed { keep_ms } => Known::Fixed(Window::keep(keep_ms)),
            Policy::Hybrid => Known::Hybrid(Box::default()),
            Policy::LeastCost => Known::LeastCost(Vec::new()),
        };
        Self { stakes, known }
    }

    /// Learns that the call that makes `running` run at once came so long after the end of the
    /// last one that was the same number.
    pub fn learn(&mut self, running: u32, gap_ms: u64) {
        match &mut self.known {
            Known::Fixed(_) => {}
            Known::Hybrid(histogram) if running <= 1 => histogram.learn(gap_ms),
            Known::Hybrid(_) => {}
            Known::LeastCost(classes) => gaps(classes, running).learn(gap_ms),
        }
    }

    /// The window of an instance whose call ends, when it was one of `running` calls.
    pub fn window(&mut self, running: u32) -> Window {
        match &mut self.known {
            Known::Fixed(window) => *window,
            Known::Hybrid(histogram) => histogram.window(),
            Known::LeastCost(classes) => {
                let worth_ms = gaps(classes, 1).worth_ms(self.stakes.worth_ms);
                let stakes = Stakes { worth_ms, ..self.stakes };
                gaps(classes, running).window(shared(stakes, running))
            }
        }
    }
}

/// The stakes of an instance that is one of `running`.
///
/// A cold start beside others is one call of so many that come together: the more of them are
/// served, the less it is worth, so that bursts of one function do not outbid rare calls of others.
/// How seldom the function is called its first instance knows: the tenth is seldom wanted even of
/// one that is called all the time.
fn shared(stakes: Stakes, running: u32) -> Stakes {
    Stakes { worth_ms: (stakes.worth_ms >> class(running)).max(1), ..stakes }
}

fn gaps(classes: &mut Vec<Gaps>, running: u32) -> &mut Gaps {
    let class = class(running) as usize;
    if classes.len() <= class {
        classes.resize_with(class + 1, Gaps::default);
    }
    &mut classes[class]
}

/// The class of so many calls: the power of the smallest power of two that is not less.
fn class(running: u32) -> u32 {
    u32::BITS - running.saturating_sub(1).leading_zeros()
}

#[cfg(test)]
mod tests;
