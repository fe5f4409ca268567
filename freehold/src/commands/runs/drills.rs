//! Drills of a replay, in words.

use api::runs::{DrillKind, DrillOutcome, DrillState, RunDrill};

use crate::output::micros;

/// Drills as they were asked for: `kill@30s:next`.
pub(super) fn wanted(drills: &[RunDrill]) -> String {
    let word = |drill: &RunDrill| {
        let DrillKind::Kill = drill.what;
        let variant = drill.variant.as_ref().map(|name| format!(":{name}")).unwrap_or_default();
        format!("kill@{}{variant}", at(drill.at_ms))
    };
    drills.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// What a drill came to.
pub(super) fn outcome(it: &DrillOutcome) -> String {
    let head = format!("drill at {}", at(it.at_ms));
    let why = it.why.as_deref().unwrap_or_default();
    match it.state {
        DrillState::Waiting => format!("{head}: still to come"),
        DrillState::Asked => format!("{head}: an instance is being ended"),
        DrillState::Missed => format!("{head}: not done: {why}"),
        DrillState::Done => {
            let mut parts = vec![format!(
                "{} was ended",
                it.instance.map_or_else(|| "an instance".to_owned(), |id| id.to_string())
            )];
            parts.extend(it.failed.map(|failed| failures(failed, it)));
            if it.failed.is_none() && !why.is_empty() {
                parts.push("how many requests failed is not known".to_owned());
            }
            parts.extend(it.first_good_us.map(|us| format!("a good answer after {}", micros(us))));
            parts.extend(it.ready_us.map(|us| format!("all ready after {}", micros(us))));
            parts.extend(it.recovery_us.map(|us| format!("well again after {}", micros(us))));
            if it.recovery_us.is_none() && !why.is_empty() {
                parts.push(format!("when it was well again is not known: {why}"));
            }
            format!("{head}: {}", parts.join("; "))
        }
    }
}

fn failures(failed: u64, it: &DrillOutcome) -> String {
    if failed == 0 {
        return "no request failed".to_owned();
    }
    let unanswered = it.unanswered.map(|count| format!(", {count} of them unanswered"));
    let first = it.first_failed_us.map(|us| format!(", the first after {}", micros(us)));
    format!(
        "{failed} requests failed{}{}",
        unanswered.unwrap_or_default(),
        first.unwrap_or_default()
    )
}

/// A time of whole units: `90s`, `2m`, `1500ms`.
fn at(ms: u64) -> String {
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drills_read_well() {
        let done = DrillOutcome {
            at_ms: 30_000,
            state: DrillState::Done,
            failed: Some(12),
            unanswered: Some(1),
            first_failed_us: Some(4_000),
            first_good_us: Some(1_200_000),
            ready_us: Some(1_100_000),
            recovery_us: Some(1_250_000),
            ..DrillOutcome::default()
        };
        let unknown = DrillOutcome {
            failed: Some(0),
            recovery_us: None,
            why: Some("the run ended".to_owned()),
            ..done.clone()
        };
        let gap = outcome(&DrillOutcome { failed: None, ..unknown.clone() });
        assert!(gap.contains("; how many requests failed is not known; "), "{gap}");
        let missed = DrillOutcome {
            at_ms: 60_000,
            state: DrillState::Missed,
            why: Some("no instance was ready".to_owned()),
            ..DrillOutcome::default()
        };
        let waiting = DrillOutcome { at_ms: 1_500, ..DrillOutcome::default() };
        let told: Vec<String> = [done, unknown, missed, waiting].iter().map(outcome).collect();
        insta::assert_snapshot!(told.join("\n"));
        let drill = |at_ms, variant: Option<&str>| RunDrill {
            what: DrillKind::Kill,
            at_ms,
            variant: variant.map(|it| it.parse().unwrap()),
        };
        assert_eq!(
            wanted(&[drill(30_000, None), drill(60_000, Some("next"))]),
            "kill@30s, kill@1m:next"
        );
    }
}
