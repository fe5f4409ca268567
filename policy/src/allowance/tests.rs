use proptest::prelude::*;

use super::*;

fn some_limits() -> impl Strategy<Value = Limits> {
    let rate = proptest::option::of((1_u32..20, 1_u32..600))
        .prop_map(|it| it.map(|(burst, per_min)| Plan { burst, per_min }));
    let at_once = proptest::option::of(1_u32..5);
    let per_day = proptest::option::of(1_u64..40);
    (rate, at_once, per_day).prop_map(|(rate, concurrency_max, calls_per_day_max)| Limits {
        rate,
        concurrency_max,
        calls_per_day_max,
        ends_at_ms: None,
    })
}

proptest! {
    /// Whatever is asked when, no limit is passed; and a refusal changes nothing.
    #[test]
    fn no_limit_is_passed(
        limits in some_limits(),
        steps in proptest::collection::vec((0_u64..3_000_000_000, any::<bool>(), any::<bool>()), 1..200),
    ) {
        let mut now_us = 1_000_000_000_000;
        let mut allowance = Allowance::new(0, now_us);
        let mut ran = std::collections::BTreeMap::<u64, u64>::new();
        let mut open: Vec<u64> = Vec::new();
        for (pause_us, end, runs) in steps {
            now_us += pause_us;
            if end && let Some(at_us) = open.pop() {
                allowance = allowance.give_back(at_us, runs);
                if !runs {
                    *ran.entry(at_us / DAY_US).or_default() -= 1;
                }
            }
            match allowance.take(&limits, now_us) {
                Ok(next) => {
                    allowance = next;
                    open.push(now_us);
                    *ran.entry(now_us / DAY_US).or_default() += 1;
                }
                Err(refusal) => prop_assert!(refusal != Refusal::Ended),
            }
            let at_once = u32::try_from(open.len()).unwrap();
            prop_assert_eq!(allowance.under_way(), at_once);
            prop_assert!(limits.concurrency_max.is_none_or(|max| at_once <= max));
            let today = ran.get(&(now_us / DAY_US)).copied().unwrap_or(0);
            prop_assert!(limits.calls_per_day_max.is_none_or(|max| today <= max));
        }
    }

    /// Whoever waits as long as it is told gets through, where nobody else calls.
    #[test]
    fn the_wait_that_is_told_is_enough(limits in some_limits(), calls in 1_usize..100) {
        let limits = Limits { concurrency_max: None, ..limits };
        let mut now_us = 1_000_000_000_000;
        let mut allowance = Allowance::new(0, now_us);
        for _ in 0..calls {
            // A day's end may be waited for, and then the rate: never more than both.
            for _ in 0..2 {
                match allowance.take(&limits, now_us) {
                    Err(Refusal::TooFast { us } | Refusal::Spent { us, .. }) => now_us += us,
                    _ => break,
                }
            }
            allowance = allowance.take(&limits, now_us).unwrap().give_back(now_us, true);
        }
    }

    /// What was heard of and what was not yet reported are each counted once, in any order.
    #[test]
    fn reports_count_once(own in 0_u64..50, reported in 0_u64..50, others in 0_u64..50) {
        let reported = reported.min(own);
        let (limits, now_us) = (Limits::default(), 5 * DAY_US);
        let mut allowance = Allowance::new(0, now_us);
        for _ in 0..own {
            allowance = allowance.take(&limits, now_us).unwrap().give_back(now_us, true);
        }
        let heard = allowance.hear(5, reported + others, reported);
        prop_assert_eq!(heard.calls(now_us), own + others);
        prop_assert_eq!(heard.hear(4, 1_000, 0).calls(now_us), own + others);
        prop_assert_eq!(heard.calls(now_us + DAY_US), 0);
    }
}

#[test]
fn what_has_ended_lets_nothing_through() {
    let limits = Limits { ends_at_ms: Some(1_000), ..Limits::default() };
    let allowance = Allowance::new(0, 0);
    assert!(allowance.take(&limits, 999_999).is_ok());
    assert_eq!(allowance.take(&limits, 1_000_000), Err(Refusal::Ended));
}

#[test]
fn limits_within_others_are_no_larger() {
    let outer = Limits {
        rate: Some(Plan { burst: 5, per_min: 60 }),
        concurrency_max: Some(3),
        calls_per_day_max: Some(100),
        ends_at_ms: Some(9),
    };
    assert_eq!(Limits::default().within(&outer), Ok(()));
    assert_eq!(outer.within(&outer), Ok(()));
    assert_eq!(outer.within(&Limits::default()), Ok(()));
    let more = Limits { calls_per_day_max: Some(101), ..Limits::default() };
    assert_eq!(more.within(&outer), Err(Excess { what: "the calls of a day", most: 100 }));
    let longer = Limits { ends_at_ms: Some(10), ..outer };
    assert_eq!(longer.within(&outer).unwrap_err().what, "the end");
}
