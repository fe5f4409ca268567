use proptest::prelude::*;

use super::*;

const SECOND_NS: u64 = 1_000_000_000;
const NEEDS: Needs = Needs { took_ns_min: 60 * SECOND_NS, events_min: 662 };

/// A minute at 500 sends a second, which went as they should.
fn good() -> Facts {
    Facts {
        asked: 30_000,
        asked_ns: 60 * SECOND_NS,
        sent: 30_000,
        took_ns: 60 * SECOND_NS,
        lag_p99_ns: 60_000,
        latency_p99_ns: 8_000_000,
        events: 30_000,
        busy_milli: 120,
        ..Facts::default()
    }
}

/// A run with every fault, and what is said of each.
fn faults() -> Vec<(Facts, Reason)> {
    let good = good();
    let (lag_p99_ns, lag_ns_max) = (2_500_000, 1_000_000);
    let short = Facts { asked_ns: 30 * SECOND_NS, took_ns: 30 * SECOND_NS, ..good };
    vec![
        (
            Facts { took_ns: 66 * SECOND_NS, ..good },
            Reason::Rate { sent_uhz: 454_545_454, asked_uhz: 500_000_000 },
        ),
        (Facts { skipped: 3, sent: 29_997, ..good }, Reason::Skipped { skipped: 3 }),
        (Facts { dropped: 7, sent: 29_993, ..good }, Reason::Dropped { dropped: 7 }),
        (Facts { lag_p99_ns, ..good }, Reason::Lag { lag_ns: lag_p99_ns, lag_ns_max }),
        (short, Reason::Short { took_ns: 30 * SECOND_NS, took_ns_min: NEEDS.took_ns_min }),
        (Facts { events: 661, ..good }, Reason::Few { events: 661, events_min: 662 }),
        (Facts { busy_milli: 805, ..good }, Reason::Busy { busy_milli: 805 }),
    ]
}

#[test]
fn each_fault_alone_makes_a_run_invalid() {
    assert!(judge(&good(), &NEEDS).is_valid());
    for (facts, reason) in faults() {
        assert_eq!(judge(&facts, &NEEDS).reasons, [reason]);
    }
    assert!(!judge(&Facts::default(), &Needs::default()).is_valid(), "nothing was sent");
}

#[test]
fn what_is_the_senders_doing_says_nothing_of_what_it_sent_to() {
    for (facts, reason) in faults() {
        let of_sender = matches!(
            reason,
            Reason::Rate { .. } | Reason::Skipped { .. } | Reason::Lag { .. } | Reason::Busy { .. }
        );
        assert_eq!(judge(&facts, &NEEDS).is_of_sender(), of_sender, "{reason}");
    }
    // Half of the sends had no room, which is half of the rate.
    let full = judge(&Facts { dropped: 15_000, sent: 15_000, ..good() }, &NEEDS);
    assert!(full.reasons.len() == 2 && !full.is_of_sender(), "{full}");
    assert!(!judge(&good(), &NEEDS).is_of_sender());
}

#[test]
fn what_is_disclosed_does_not_spoil_a_run() {
    let facts = Facts { stopped: true, resumed: 2, gap_ns: 1_500_000, changed: true, ..good() };
    let validity = judge(&facts, &NEEDS);
    assert!(validity.is_valid());
    assert_eq!(validity.disclosed.len(), 3);
}

#[test]
fn limits_themselves_are_kept() {
    let good = good();
    let slow = Facts { latency_p99_ns: 400_000_000, lag_p99_ns: 20_000_000, ..good };
    for valid in [
        Facts { sent: 29_700, ..good },
        Facts { sent: 30_300, ..good },
        Facts { lag_p99_ns: ON_TIME_NS, ..good },
        slow,
        Facts { events: NEEDS.events_min, ..good },
        Facts { busy_milli: BUSY_MILLI - 1, ..good },
    ] {
        assert_eq!(judge(&valid, &NEEDS), Validity::default());
    }
    for invalid in [
        Facts { sent: 29_699, ..good },
        Facts { sent: 30_301, ..good },
        Facts { lag_p99_ns: ON_TIME_NS + 1, ..good },
        Facts { lag_p99_ns: slow.lag_p99_ns + 1, ..slow },
        Facts { busy_milli: BUSY_MILLI, ..good },
    ] {
        assert_eq!(judge(&invalid, &NEEDS).reasons.len(), 1, "{invalid:?}");
    }
}

#[test]
fn a_verdict_is_told_in_sentences() {
    let said = |facts: &Facts| judge(facts, &NEEDS).to_string();
    let disclosed = Facts { stopped: true, resumed: 2, gap_ns: 1_500_000, ..good() };
    let one_by_one = faults().into_iter().map(|(facts, _)| said(&facts));
    let told: Vec<String> =
        [said(&good()), said(&disclosed)].into_iter().chain(one_by_one).collect();
    insta::assert_snapshot!(told.join("\n"));
}

proptest! {
    /// Whatever is counted, it is judged; and what is worse is not judged better.
    #[test]
    fn worse_is_not_valid_again(numbers: [u64; 10], more: [u32; 4]) {
        let [asked, asked_ns, sent, took_ns, skipped, dropped, lag, latency, events, busy] = numbers;
        let facts = Facts {
            asked,
            asked_ns,
            sent,
            took_ns,
            skipped: skipped % 2,
            dropped: dropped % 2,
            lag_p99_ns: lag,
            latency_p99_ns: latency,
            events,
            busy_milli: u32::try_from(busy % 1_000).unwrap(),
            ..Facts::default()
        };
        let worse = Facts {
            skipped: facts.skipped + u64::from(more[0]),
            dropped: facts.dropped + u64::from(more[1]),
            lag_p99_ns: lag.saturating_add(more[2].into()),
            events: events.saturating_sub(more[3].into()),
            ..facts
        };
        let (before, after) = (judge(&facts, &NEEDS), judge(&worse, &NEEDS));
        prop_assert!(after.reasons.len() >= before.reasons.len());
    }
}
