use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn uses() -> impl Strategy<Value = Use> {
    let size = prop_oneof![0..10_u64, any::<u64>()];
    (0..1_000_u64, 0..10_000_u64, size).prop_map(|(calls, cold_ms, memory_kib)| Use {
        calls,
        cold_ms,
        memory_kib,
    })
}

proptest! {
    /// Who goes has the lowest priority of all that are idle, and the clock never goes back.
    #[test]
    fn a_higher_priority_is_never_evicted(
        steps in vec(prop_oneof![3 => uses().prop_map(Some), 1 => Just(None)], 0..100),
    ) {
        let mut idle = Idle::default();
        let mut there: Vec<Place> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            let before = idle.clock;
            if let Some(used) = step {
                there.push(idle.enter(number, used));
            } else {
                let lowest = there.iter().min().copied();
                let gone = idle.evict().map(|(place, _)| place);
                prop_assert_eq!(gone, lowest);
                there.retain(|place| Some(*place) != gone);
            }
            prop_assert!(idle.clock >= before);
            prop_assert!(there.iter().all(|place| place.priority() >= idle.clock));
        }
    }

    /// What is used again stands no lower than before, whatever went meanwhile.
    #[test]
    fn use_never_lowers(clock: u64, later: u64, used in uses()) {
        let more = Use { calls: used.calls + 1, ..used };
        let clock = u128::from(clock);
        prop_assert!(priority(clock + u128::from(later), more) >= priority(clock, used));
    }
}

#[test]
fn small_dear_and_busy_ones_stay_longer() {
    let used = Use { calls: 10, cold_ms: 1_000, memory_kib: 1 << 17 };
    assert!(priority(0, Use { memory_kib: 1 << 18, ..used }) < priority(0, used));
    assert!(priority(0, Use { cold_ms: 999, ..used }) < priority(0, used));
    assert!(priority(0, Use { calls: 9, ..used }) < priority(0, used));
    let mut idle = Idle::default();
    let place = idle.enter("one", used);
    assert_eq!(idle.leave(place), Some("one"));
    assert_eq!(idle.evict(), None);
}
