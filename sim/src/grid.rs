//! The minute grid: which minutes had a call, and nothing else.
//!
//! A function has one instance of the memory of one MiB; a call takes no time and comes at the
//! start of its minute, and a start takes none either. Published comparisons count like this, so
//! that figures can be held beside theirs.
//!
//! Always true: the first call of a function is cold, and only the first call of a minute can be.
//! Absent on purpose: chance, durations, memory, several calls at once.

use policy::warmth::least_cost::Stakes;
use policy::warmth::{Found, Policy, Warmth};

use crate::report::{Calls, Report, cold_share_p75_ppm};
use crate::trace::{Function, MINUTE_MS, Trace};

/// What one cold start is worth here, in idle milliseconds, as in published comparisons: as much as
/// a second of a function of the usual size ([`policy::warmth::worth_ms`]).
pub const WORTH_MS: u64 = 120 * MINUTE_MS;

/// Plays a trace on the minute grid.
pub fn play(trace: &Trace, policy: Policy) -> Report {
    let mut report = Report::default();
    let stakes = Stakes { worth_ms: WORTH_MS, start_ms: 0 };
    let each = |function| play_function(function, Warmth::new(policy, stakes), &mut report);
    let calls: Vec<Calls> = trace.functions.iter().map(each).collect();
    report.calls = calls.iter().map(|calls| calls.all).sum();
    report.cold = calls.iter().map(|calls| calls.cold).sum();
    report.cold_share_p75_ppm = cold_share_p75_ppm(calls.into_iter());
    report
}

fn play_function(function: &Function, mut warmth: Warmth, report: &mut Report) -> Calls {
    let mut calls = Calls::default();
    let mut last_ms = None;
    let mut idle_ms = 0;
    for (minute, count) in (0..).zip(&function.calls).filter(|(_, count)| **count > 0) {
        let now_ms = minute * MINUTE_MS;
        calls.all += u64::from(*count);
        let Some(before_ms) = last_ms.replace(now_ms) else {
            calls.cold += 1;
            continue;
        };
        let gap_ms = now_ms - before_ms;
        report.decisions += 1;
        idle_ms += match warmth.window(1).found(gap_ms) {
            Found::Warm { idle_ms } => idle_ms,
            Found::Early => {
                calls.cold += 1;
                0
            }
            Found::Late { idle_ms } => {
                calls.cold += 1;
                idle_ms
            }
        };
        warmth.learn(1, gap_ms);
    }
    if let Some(last_ms) = last_ms {
        report.decisions += 1;
        let end_ms = MINUTE_MS * u64::try_from(function.calls.len()).unwrap_or(u64::MAX);
        idle_ms += match warmth.window(1).found(end_ms - last_ms) {
            Found::Early => 0,
            Found::Warm { idle_ms } | Found::Late { idle_ms } => idle_ms,
        };
    }
    report.idle_kib_ms += u128::from(idle_ms) * 1024;
    calls
}
