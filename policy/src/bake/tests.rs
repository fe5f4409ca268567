use proptest::prelude::*;

use super::*;
use crate::evidence::counts::Arm;

const BAKE: Bake = Bake { share_bp: 1_000, until_ms: 1_000 };

fn seen(candidate: (u64, u64), incumbent: (u64, u64)) -> Counts {
    let arm = |(events, bad)| Arm { events, bad };
    Counts { candidate: arm(candidate), incumbent: arm(incumbent) }
}

proptest! {
    /// Nothing is promoted before its time, and nothing goes on after it.
    #[test]
    fn its_time_decides_what_it_may_become(
        candidate in (0..5_000_u64, 0..500_u64),
        incumbent in (0..50_000_u64, 0..5_000_u64),
        now_ms in 0..2_000_u64,
    ) {
        let decision = judge(BAKE, seen(candidate, incumbent), now_ms);
        match decision {
            Decision::GoOn => prop_assert!(now_ms < BAKE.until_ms),
            Decision::Promote { .. } => {
                prop_assert!(now_ms >= BAKE.until_ms && candidate.0 >= EVENTS_MIN);
            }
            Decision::Revert { reason } => prop_assert!(!reason.is_empty()),
        }
    }

    /// Worse is never better: what is taken back is so with more bad events too.
    #[test]
    fn more_bad_events_do_not_save_it(bad in 0..400_u64, more in 0..100_u64) {
        let of = |bad| judge(BAKE, seen((1_000, bad), (9_000, 90)), 500);
        if matches!(of(bad), Decision::Revert { .. }) {
            prop_assert!(matches!(of(bad + more), Decision::Revert { .. }), "{bad} and {more}");
        }
    }
}

#[test]
fn each_end_tells_its_reason() {
    let cases = [
        judge(BAKE, seen((1_000, 0), (9_000, 0)), 999),
        judge(BAKE, seen((1_000, 0), (9_000, 0)), 1_000),
        judge(BAKE, seen((99, 0), (9_000, 0)), 1_000),
        judge(BAKE, seen((1_000, 10), (9_000, 90)), 1_000),
        judge(BAKE, seen((20_000, 200), (180_000, 1_800)), 1_000),
        judge(BAKE, seen((1_000, 200), (9_000, 90)), 10),
    ];
    let told: Vec<String> = cases.iter().map(|it| format!("{it:?}")).collect();
    insta::assert_snapshot!(told.join("\n"));
}
