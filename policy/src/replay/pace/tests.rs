use proptest::prelude::*;

use super::*;

fn policies() -> impl Strategy<Value = CatchUp> {
    let window = any::<u64>().prop_map(|late_ns| CatchUp::Window { late_ns });
    prop_oneof![Just(CatchUp::Burst), Just(CatchUp::Skip), window]
}

proptest! {
    /// Nothing goes before it is due, and what is due goes or is left out, with its lateness.
    #[test]
    fn what_is_due_is_sent_or_counted(now_ns: u64, due_ns: u64, catch_up in policies()) {
        let step = decide(now_ns, due_ns, catch_up);
        let mut counts = Counts::default();
        counts.count(step);
        match step {
            Step::Wait { for_ns } => {
                prop_assert!(for_ns > 0);
                prop_assert_eq!(now_ns.checked_add(for_ns), Some(due_ns));
                prop_assert_eq!(counts, Counts::default());
            }
            Step::Send { late_ns } => {
                prop_assert_eq!(due_ns.checked_add(late_ns), Some(now_ns));
                let late = u64::from(late_ns > ON_TIME_NS);
                prop_assert_eq!(counts, Counts { sent: 1, late, skipped: 0 });
            }
            Step::Skip { late_ns } => {
                prop_assert_eq!(due_ns.checked_add(late_ns), Some(now_ns));
                prop_assert_ne!(catch_up, CatchUp::Burst);
                prop_assert_eq!(counts, Counts { skipped: 1, ..Counts::default() });
            }
        }
    }
}

#[test]
fn after_a_pause_each_policy_does_its_own() {
    // Sends every 5 ms; the sender was away for 22 ms.
    let after = |catch_up| {
        let mut counts = Counts::default();
        (0..6).for_each(|send| counts.count(decide(22_000_000, send * 5_000_000, catch_up)));
        counts
    };
    assert_eq!(after(CatchUp::Burst), Counts { sent: 5, late: 5, skipped: 0 });
    let window = CatchUp::Window { late_ns: 10_000_000 };
    assert_eq!(after(window), Counts { sent: 2, late: 2, skipped: 3 });
    assert_eq!(after(CatchUp::Skip), Counts { sent: 0, late: 0, skipped: 5 });
    assert_eq!(decide(ON_TIME_NS, 0, CatchUp::Skip), Step::Send { late_ns: ON_TIME_NS });
    let after = Step::Skip { late_ns: ON_TIME_NS + 1 };
    assert_eq!(decide(ON_TIME_NS + 1, 0, CatchUp::Skip), after);
}
