//! Paired: what right and wrong answers to the same events say of two variants.
//!
//! Always true: the bounds hold however often it is looked at.
//! Absent on purpose: how answers are found right.

use std::collections::BTreeMap;

use crate::evidence::paired::Pairs;
use crate::evidence::verdict::{Answer, Deadline, Guardrail, Progress, Verdict};
use crate::evidence::{Direction, Evidence, Margins, Watch};

/// The chance that a candidate as good as production is reverted, and that one worse is promoted.
pub const BOUND_PPM: u32 = 50_000;
/// Of what only one got right, the candidate's part may be less by a tenth, and by a half is worse.
const MARGINS: Margins = Margins { tolerance_ppm: 100_000, margin_ppm: 500_000 };

/// What the evidence is to do, within this bound, and about how many more events like these it takes
/// to promote, where they would.
pub fn verdict(seen: Pairs, bound_ppm: u32) -> (Answer, Option<u64>) {
    let guardrail = Guardrail {
        alpha_ppm: bound_ppm,
        beta_ppm: bound_ppm,
        watch: Watch::Pairs { margins: MARGINS, seen },
        carried: Evidence::default(),
    };
    let guardrails = BTreeMap::from([("right answers".to_owned(), guardrail)]);
    let never = Deadline { events_max: u64::MAX, until_ms: u64::MAX };
    let mut verdict = Verdict::default();
    let answer = verdict.judge(&guardrails, never, Progress { events: seen.events, now_ms: 0 });
    let standings = verdict.standings(&guardrails);
    let promotes = standings.iter().find(|it| it.direction == Direction::Promote);
    (answer, promotes.and_then(|it| it.events_more))
}
