use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

prop_compose! {
    fn plans()(burst in 0..100_u32, per_min in 0..100_000_u32) -> Plan {
        Plan { burst, per_min }
    }
}

proptest! {
    /// What is granted never exceeds the burst plus what time has earned.
    #[test]
    fn nobody_gets_more_than_the_plan(
        plan in plans(),
        asks in vec((0..5_000_000_u64, 0..120_u32), 0..60),
    ) {
        let mut bucket = Bucket::full(plan, 0);
        let (mut now_us, mut granted) = (0, 0);
        for (gap_us, tokens) in asks {
            now_us += gap_us;
            if let Ok(next) = take(bucket, tokens, now_us, plan) {
                bucket = next;
                granted += u64::from(tokens) * TOKEN_UNITS;
            }
            prop_assert!(bucket.units <= plan.units_max());
            prop_assert!(granted <= plan.units_max() + now_us * u64::from(plan.per_min));
        }
    }

    /// The wait in a refusal is the shortest one that works.
    #[test]
    fn the_promised_wait_is_exact(
        plan in plans(),
        units in 0..9_000_000_000_u64,
        tokens in 1..120_u32,
    ) {
        let bucket = Bucket { units: units.min(plan.units_max()), filled_at_us: 0 };
        match take(bucket, tokens, 0, plan) {
            Err(Refusal::Wait { us }) => {
                prop_assert!(take(bucket, tokens, us, plan).is_ok());
                prop_assert!(take(bucket, tokens, us - 1, plan).is_err());
            }
            Err(Refusal::Never) => prop_assert!(take(bucket, tokens, u64::MAX, plan).is_err()),
            Ok(next) => prop_assert!(next.units < bucket.units),
        }
    }

    /// Asking in between changes nothing about what is earned.
    #[test]
    fn asking_often_earns_nothing(
        plan in plans(),
        halfway_us in 0..1_u64 << 40,
        rest_us in 0..1_u64 << 40,
    ) {
        let empty = Bucket { units: 0, filled_at_us: 0 };
        let once = empty.refilled(halfway_us + rest_us, plan);
        let twice = empty.refilled(halfway_us, plan).refilled(halfway_us + rest_us, plan);
        prop_assert_eq!(once, twice);
    }

    /// A clock set back neither gives nor takes.
    #[test]
    fn time_that_goes_back_changes_nothing(
        plan in plans(),
        units in 0..9_000_000_000_u64,
        back_us in 0..1_000_u64,
    ) {
        let bucket = Bucket { units: units.min(plan.units_max()), filled_at_us: 1_000 };
        prop_assert_eq!(bucket.refilled(1_000 - back_us, plan), bucket);
    }
}

#[test]
fn a_refusal_tells_when_to_come_back() {
    let plan = Plan { burst: 2, per_min: 60 };
    let empty = take(Bucket::full(plan, 0), 2, 0, plan).unwrap();
    let refusal = take(empty, 1, 250_000, plan).unwrap_err();
    assert_eq!(refusal.to_string(), "asked too often; try again in 750 ms");
    assert_eq!((empty.tokens(1_000_000, plan), empty.is_full(2_000_000, plan)), (1, true));
}
