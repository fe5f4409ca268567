use api::runs::{RunFacts, Times};

use super::*;

const LIMIT: Limit = Limit { metric: GateMetric::ResponseP99Us, at_most: 50_000 };

/// A run of a second that went as it should, with what it took at most of 99 of 100.
fn told(p99_upper_ms: Option<u64>) -> RunOutcome {
    let ns = p99_upper_ms.map(|ms| ms * 1_000_000);
    let response = Times { count: 990, p50_ns: ns, p99_upper_ns: ns, ..Times::default() };
    let latency = Times { p99_ns: Some(1_000_000), ..response };
    RunOutcome {
        valid: true,
        facts: RunFacts {
            asked: 1_000,
            asked_ns: 1_000_000_000,
            sent: 1_000,
            took_ns: 1_000_000_000,
            events: 1_000,
            ..RunFacts::default()
        },
        variants: vec![VariantOutcome {
            recorded: 1_000,
            outcomes: [("ok".to_owned(), 990)].into(),
            response,
            latency,
            ..VariantOutcome::default()
        }],
        ..RunOutcome::default()
    }
}

/// Whether it can be told, whether it holds, and whether the run is to be done again.
fn judge(outcome: RunOutcome, is_missed: bool) -> (bool, bool, bool) {
    let id = "run-00000000000000000000000000000001".parse().unwrap();
    let (step, is_spoilt) = judged((id, 1), Some(outcome), LIMIT, is_missed);
    (step.known, step.holds, is_spoilt)
}

#[test]
fn a_rate_is_borne_or_missed_only_where_the_sender_did_as_it_should() {
    assert_eq!(judge(told(Some(20)), false), (true, true, false));
    assert_eq!(judge(told(Some(80)), false), (true, false, false));
    assert_eq!(judge(told(Some(80)), true), (true, false, false));
    // Whatever was measured by a sender that was late, or busy, or left sends out.
    let facts = told(None).facts;
    for facts in [
        RunFacts { lag_p99_ns: 2_000_000, ..facts },
        RunFacts { busy_milli: 900, ..facts },
        RunFacts { skipped: 3, sent: 997, ..facts },
        RunFacts { took_ns: 1_100_000_000, ..facts },
    ] {
        for (p99_upper_ms, is_missed) in [(20, false), (80, false), (200, true)] {
            let late = RunOutcome { valid: false, facts, ..told(Some(p99_upper_ms)) };
            assert_eq!(judge(late, is_missed), (false, false, true), "{facts:?}");
        }
    }
    // What has no room any more is not the sender's doing.
    let facts = RunFacts { dropped: 300, sent: 700, ..facts };
    let full = RunOutcome { valid: false, facts, ..told(Some(20)) };
    assert_eq!(judge(full, false), (true, false, false));
}

#[test]
fn what_fails_quickly_is_not_borne() {
    assert_eq!(judge(told(None), false), (true, false, false));
    let mut few = told(None);
    few.variants[0].response.p99_needs = Some(459);
    assert_eq!(judge(few, false), (false, false, false), "nothing is measured yet");
}

#[test]
fn what_was_found_is_told() {
    let of = |rates: [Option<u64>; 3]| {
        let [holds_at_uhz, misses_at_uhz, not_known_at_uhz] =
            rates.map(|rate| rate.map(|rate| rate * 1_000_000));
        words(&Found { variant: String::new(), holds_at_uhz, misses_at_uhz, not_known_at_uhz })
    };
    let told = [
        [Some(4), Some(8), None],
        [Some(4), None, None],
        [None, Some(1), None],
        [Some(4), None, Some(8)],
        [Some(4), Some(8), Some(6)],
        [None, None, Some(1)],
        [None, None, None],
    ];
    insta::assert_snapshot!(told.map(of).join("\n"));
}
