//! What is told of a drill: as far as is noted, at the end of its run, and with what was measured.
//!
//! Always true: what was not done, or is not known, has no times, and says why; what went badly is not
//! counted where a part of it was not recorded.

use api::runs::{DrillOutcome, DrillState};
use policy::replay::drill::{Search, Unknown};

use super::{Due, MS_NS, Note, Stands};

/// A drill, as far as its note says.
pub(super) fn shown(due: &Due, note: Option<&Note>) -> DrillOutcome {
    let told = DrillOutcome { at_ms: due.at_ms, ..DrillOutcome::default() };
    match note.map(|note| &note.stands) {
        None => told,
        Some(Stands::Asked { instance, asked_ns }) => DrillOutcome {
            state: DrillState::Asked,
            instance: Some(*instance),
            done_at_ms: Some(asked_ns / MS_NS),
            ..told
        },
        Some(Stands::Missed { why, .. }) => {
            DrillOutcome { state: DrillState::Missed, why: Some(why.clone()), ..told }
        }
        Some(Stands::Done { instance, asked_ns, dead_ns, ready_ns }) => {
            let since = |ns: u64| ns.saturating_sub(*asked_ns) / 1_000;
            DrillOutcome {
                state: DrillState::Done,
                instance: Some(*instance),
                done_at_ms: Some(asked_ns / MS_NS),
                dead_us: Some(since(*dead_ns)),
                ready_us: ready_ns.map(since),
                ..told
            }
        }
    }
}

/// The same of a run that is over, in which nothing is done any more.
pub(super) fn shown_at_end(due: &Due, note: Option<&Note>) -> DrillOutcome {
    let told = shown(due, note);
    let why = match told.state {
        DrillState::Waiting => "the run was over before",
        DrillState::Asked => "the run was over before it was known whether the instance was ended",
        DrillState::Done | DrillState::Missed => return told,
    };
    DrillOutcome { state: DrillState::Missed, why: Some(why.to_owned()), ..told }
}

/// Without what would have been measured, where records cannot be read.
pub(super) fn unmeasured(told: DrillOutcome) -> DrillOutcome {
    if told.state != DrillState::Done {
        return told;
    }
    let why = "the records of the run could not be read";
    DrillOutcome { why: Some(why.to_owned()), ..told }
}

/// With what was measured, where an instance was ended.
pub(super) fn measured(told: DrillOutcome, search: Option<Search>) -> DrillOutcome {
    let Some(search) = search else { return told };
    let recovery = search.tell();
    let us = |ns: u64| ns / 1_000;
    // What went badly in a gap nobody recorded: none that are known are not none.
    let is_counted = recovery.well_ns != Err(Unknown::Gap);
    DrillOutcome {
        failed: is_counted.then_some(recovery.bad),
        unanswered: is_counted.then_some(recovery.unanswered),
        first_failed_us: recovery.first_bad_ns.map(us),
        first_good_us: recovery.first_good_ns.map(us),
        // A part of a microsecond is no time less.
        recovery_us: recovery.well_ns.ok().map(|ns| ns.div_ceil(1_000)),
        why: recovery.well_ns.err().map(|unknown| unknown.to_string()),
        ..told
    }
}
