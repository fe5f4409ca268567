//! Burn: an error budget that is spent too fast, over a long window and still over a short one.
//!
//! An objective of 99.9 % leaves a budget of one bad event in a thousand over its period. A trigger
//! fires where the events of the long window alone have spent so much of it, which takes a rate of
//! bad events so many times the budget's; the short window says that it goes on.
//! Source: Site Reliability Workbook (2018), chapter 5: windows and burn rates by several windows.
//!
//! Always true: the long window decides with bounds, as any rate; thresholds follow from the formula.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Seen, WINDOW_MS_MAX, WINDOW_MS_MIN};
use crate::evidence::{Percent, WHOLE_PPM};
use crate::gates::{Bounds, Judgement, Threshold, Value};

/// The short window is this part of the long one.
const SHORT_PART: u64 = 12;
/// The longest period of an objective, in milliseconds: a quarter of a year.
const PERIOD_MS_MAX: u64 = 92 * 24 * 3_600_000;

/// How much of which budget is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burn {
    /// The part of events that is to go well, in parts per million.
    pub objective_ppm: u32,
    /// The time that it is for, in milliseconds.
    pub period_ms: u64,
    /// The part of the whole period's budget that the long window must not spend.
    pub budget_ppm: u32,
    /// The long window, in milliseconds.
    pub window_ms: u64,
}

/// Why a budget cannot be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing may go badly, or everything.
    #[error("an objective is above nothing and below everything, such as 99.9 %")]
    Objective,
    /// No part of a budget.
    #[error("the part of the budget is above nothing and at most all of it, such as 2 %")]
    Budget,
    /// Windows out of their limits.
    #[error(
        "a window of {window_ms} ms cannot be watched for a burning budget: its twelfth part has to \
         be {WINDOW_MS_MIN} ms or more, and it {WINDOW_MS_MAX} ms and its period at most"
    )]
    Window {
        /// The long one.
        window_ms: u64,
    },
    /// It would never fire.
    #[error(
        "even if all events went badly, the window would not spend that part of the budget: take a \
         longer window, a smaller part, or a higher objective"
    )]
    Never,
}

/// What was seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burning {
    burn: Burn,
    long: Value,
    short: Value,
}

impl Burn {
    /// The short window, in milliseconds.
    pub const fn short_ms(&self) -> u64 {
        self.window_ms / SHORT_PART
    }

    /// How many times as fast as the budget allows it is spent at the threshold, in thousandths.
    pub fn rate_milli(&self) -> u64 {
        let parts = u128::from(self.budget_ppm) * u128::from(self.period_ms);
        let milli = parts / (u128::from(self.window_ms.max(1)) * 1_000);
        u64::try_from(milli).unwrap_or(u64::MAX)
    }

    /// The rate of bad events at the threshold, in parts per million, rounded up.
    pub fn bad_ppm(&self) -> u64 {
        let allowed = u128::from(WHOLE_PPM.saturating_sub(self.objective_ppm));
        let spent = allowed * u128::from(self.budget_ppm) * u128::from(self.period_ms);
        let ppm = spent.div_ceil(u128::from(self.window_ms.max(1)) * u128::from(WHOLE_PPM));
        u64::try_from(ppm).unwrap_or(u64::MAX)
    }

    /// Says whether it can be watched.
    ///
    /// # Errors
    ///
    /// [`Refusal`], with the first reason.
    pub fn check(&self) -> Result<(), Refusal> {
        let Self { objective_ppm, period_ms, budget_ppm, window_ms } = *self;
        if objective_ppm == 0 || objective_ppm >= WHOLE_PPM {
            return Err(Refusal::Objective);
        }
        if budget_ppm == 0 || budget_ppm > WHOLE_PPM {
            return Err(Refusal::Budget);
        }
        let long = WINDOW_MS_MIN * SHORT_PART..=WINDOW_MS_MAX.min(period_ms);
        if !long.contains(&window_ms) || period_ms > PERIOD_MS_MAX {
            return Err(Refusal::Window { window_ms });
        }
        if self.bad_ppm() > u64::from(WHOLE_PPM) { Err(Refusal::Never) } else { Ok(()) }
    }

    /// Judges what both windows have seen.
    ///
    /// The long one has to be over with bounds, so that few events alarm nobody; of the short one it
    /// is enough that more went badly than may, which says that it is not over yet.
    pub fn judge(&self, long: &Seen, short: &Seen) -> (Judgement, Burning) {
        let bad_ppm = i64::try_from(self.bad_ppm()).unwrap_or(i64::MAX);
        let least = Threshold::AtLeast(Bounds::exactly(bad_ppm));
        let (long, short) = (long.rate(), part(short));
        let judged =
            |value: Value| value.bounds().map_or(Judgement::NotKnown, |bounds| least.judge(bounds));
        let judgement = match (judged(long), judged(short)) {
            (Judgement::Fails, _) | (_, Judgement::Fails) => Judgement::Fails,
            (Judgement::Holds, Judgement::Holds) => Judgement::Holds,
            _ => Judgement::NotKnown,
        };
        (judgement, Burning { burn: *self, long, short })
    }
}

/// The part of a window's events that went badly, as it was seen.
fn part(seen: &Seen) -> Value {
    if seen.events == 0 {
        return Value::NotEnough { events: 0, events_needed: 1 };
    }
    let ppm = u128::from(seen.bad) * u128::from(WHOLE_PPM) / u128::from(seen.events);
    Value::Within(Bounds::exactly(i64::try_from(ppm).unwrap_or(i64::MAX)))
}

impl Burning {
    /// What is known of the long window's rate of bad events, in parts per million.
    pub const fn value(&self) -> Value {
        self.long
    }
}

impl fmt::Display for Burning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { burn, long, short } = self;
        let (whole, rest) = (burn.rate_milli() / 1_000, burn.rate_milli() % 1_000);
        write!(
            f,
            "errors_ppm {long} over {} s, and {short} over {} s; at least {} in both is watched \
             for: {whole}.{rest:03} times what an objective of {} allows, which spends {} of its \
             budget",
            burn.window_ms / 1_000,
            burn.short_ms() / 1_000,
            burn.bad_ppm(),
            Percent(burn.objective_ppm),
            Percent(burn.budget_ppm),
        )
    }
}
