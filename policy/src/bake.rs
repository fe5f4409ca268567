//! Bake: whether a candidate that answers a share of live events for a limited time stays.
//!
//! Before its time is over it can only be taken back, by evidence that may be looked at at any moment
//! ([`crate::evidence`]): a healthy one is taken back in one of twenty bakes at most, however often it
//! is judged. When its time is over it goes to production only where something speaks for it.
//!
//! Always true: a decision tells its reasons; too few events are no reason to go on.
//! Absent on purpose: clocks, counting, and what the share is.

use std::collections::BTreeMap;

use crate::evidence::counts::Counts;
use crate::evidence::verdict::{Answer, Deadline, Guardrail, Progress, Verdict};
use crate::evidence::{Evidence, Margins, Watch};

/// The chance that a healthy candidate is taken back, and that one worse by [`MARGINS`] stays.
const BOUND_PPM: u32 = 50_000;
/// A rate of bad events that is higher by a tenth is healthy, and by a half is not.
pub const MARGINS: Margins = Margins { tolerance_ppm: 100_000, margin_ppm: 500_000 };
/// Events that a candidate has to have answered, as few as tell one bad of a hundred.
pub const EVENTS_MIN: u64 = 100;
/// The part of live events of which [`crate::modes`] tells in ten-thousandths, in millionths.
const PPM_OF_BP: u32 = 100;

/// A bake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bake {
    /// The candidate's part of what both answer, in ten-thousandths.
    pub share_bp: u32,
    /// When it is over, in Unix milliseconds.
    pub until_ms: u64,
}

/// What becomes of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes on.
    GoOn,
    /// It goes to production.
    Promote {
        /// Why.
        reason: String,
    },
    /// It answers live events no more.
    Revert {
        /// Why.
        reason: String,
    },
}

/// Decides about a bake, of which so much was counted since it began.
pub fn judge(bake: Bake, seen: Counts, now_ms: u64) -> Decision {
    let share_ppm = bake.share_bp.saturating_mul(PPM_OF_BP).clamp(1, 999_999);
    let guardrail = Guardrail {
        alpha_ppm: BOUND_PPM,
        beta_ppm: BOUND_PPM,
        watch: Watch::Rates { share_ppm, margins: MARGINS, seen },
        carried: Evidence::default(),
    };
    let guardrails = BTreeMap::from([("errors".to_owned(), guardrail)]);
    let mut verdict = Verdict::default();
    // The end of its time is judged below, where no bad event at all speaks for it too.
    let never = Deadline { events_max: u64::MAX, until_ms: u64::MAX };
    let answer = verdict.judge(&guardrails, never, Progress { events: seen.events(), now_ms });
    let words = || -> String {
        let words = verdict.reasons().iter().map(ToString::to_string);
        words.collect::<Vec<_>>().join("; ")
    };
    let candidate = seen.candidate;
    let counted = format!(
        "{} of {} events went badly, and {} of {} in production",
        candidate.bad, candidate.events, seen.incumbent.bad, seen.incumbent.events
    );
    let over = now_ms >= bake.until_ms;
    match (answer, over) {
        (Answer::Revert, _) => Decision::Revert { reason: format!("{counted}: {}", words()) },
        (_, false) => Decision::GoOn,
        _ if candidate.events < EVENTS_MIN => Decision::Revert {
            reason: format!(
                "inconclusive: it has answered {} events, and {EVENTS_MIN} are needed",
                candidate.events
            ),
        },
        (Answer::Promote, true) => Decision::Promote { reason: format!("{counted}: {}", words()) },
        (_, true) if candidate.bad == 0 => Decision::Promote { reason: counted },
        (_, true) => {
            Decision::Revert { reason: format!("inconclusive when its time was over: {counted}") }
        }
    }
}

#[cfg(test)]
mod tests;
