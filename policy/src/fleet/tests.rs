use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::heat::HALF_MS;
use super::*;

fn hosts() -> impl Strategy<Value = Vec<Host>> {
    vec((0..20_u64, 0..4_000_u64, any::<bool>()), 0..12).prop_map(|hosts| {
        let numbered = (1..).zip(hosts);
        numbered.map(|(id, (calls, free_kib, idle))| Host { id, calls, free_kib, idle }).collect()
    })
}

fn empty(count: u64) -> Vec<Host> {
    (0..count).map(|id| Host { id, calls: 0, free_kib: 1 << 40, idle: false }).collect()
}

/// A function that was called so many times an hour for a long time.
fn steady(per_hour: u64, cold_ms: u64) -> (Code, u64) {
    let gap_ms = 3_600_000 / per_hour;
    let calls = 12 * HALF_MS / gap_ms;
    let heat = (0..calls).fold(Heat::default(), |heat, call| heat.called(call * gap_ms));
    (Code { heat, cold_ms, dedicated: false }, calls * gap_ms)
}

proptest! {
    /// A host that is chosen has room; one of the hot fleet is within its bound.
    #[test]
    fn limits_are_kept(own in hosts(), cold in hosts(), key: u64, seed: u64, kib in 1..4_000_u64) {
        let call = Call { key, memory_kib: kib, seed };
        for fleet in [Fleet::Hot, Fleet::Cold, Fleet::Dedicated] {
            let found = |hosts: &[Host], id| hosts.iter().find(|host| host.id == id).copied();
            match place(fleet, &call, &own, &cold) {
                Place::Pinned(id) => {
                    let host = found(&own, id).unwrap();
                    prop_assert!(host.takes(kib) && host.calls < bound(&own));
                    prop_assert!(fleet != Fleet::Cold);
                }
                Place::Packed(id) => {
                    prop_assert!(found(&cold, id).unwrap().takes(kib) && fleet == Fleet::Cold);
                }
                Place::Overflow(id) => {
                    prop_assert!(found(&cold, id).unwrap().takes(kib) && fleet == Fleet::Hot);
                }
                Place::Nowhere => {
                    let cold_takes = cold.iter().any(|host| host.takes(kib));
                    prop_assert!(!cold_takes || fleet == Fleet::Dedicated);
                }
            }
        }
    }

    /// Whatever the calls, the bound leaves a host free: only memory sends a hot call away.
    #[test]
    fn somebody_is_within_the_bound(mut own in hosts(), key: u64) {
        for host in &mut own {
            host.free_kib = 1 << 20;
        }
        let call = Call { key, memory_kib: 1, seed: 0 };
        let placed = place(Fleet::Hot, &call, &own, &[]);
        prop_assert_eq!(placed == Place::Nowhere, own.is_empty());
    }

    /// A host that goes moves only the calls that it had.
    #[test]
    fn a_host_that_goes_moves_only_its_own(keys in vec(any::<u64>(), 1..50), gone in 0..8_u64) {
        let all = empty(8);
        let left: Vec<Host> = all.iter().copied().filter(|host| host.id != gone).collect();
        for key in keys {
            let call = Call { key, memory_kib: 1, seed: 0 };
            let before = place(Fleet::Hot, &call, &all, &[]);
            let after = place(Fleet::Hot, &call, &left, &[]);
            prop_assert!(before == after || before == Place::Pinned(gone));
        }
    }

    /// However calls of many functions come, no host has much more than its share.
    #[test]
    fn a_burst_is_spread_no_further_than_the_bound(keys in vec(0..3_u64, 1..400)) {
        let mut all = empty(5);
        for key in keys {
            let call = Call { key, memory_kib: 1, seed: 0 };
            let Place::Pinned(id) = place(Fleet::Hot, &call, &all, &[]) else { unreachable!() };
            all[usize::try_from(id).unwrap()].calls += 1;
            let calls: u64 = all.iter().map(|host| host.calls).sum();
            let most = all.iter().map(|host| host.calls).max().unwrap();
            prop_assert!(most <= (calls * 5).div_ceil(4 * 5));
        }
    }

    /// At no rate does a fleet change back and forth.
    #[test]
    fn what_changed_once_stays(per_hour in 1..2_000_u64, cold_ms in 1..10_000_u64) {
        let (code, now_ms) = steady(per_hour, cold_ms);
        for before in [Fleet::Hot, Fleet::Cold] {
            let (after, _) = fleet(&code, before, now_ms);
            prop_assert_eq!(fleet(&code, after, now_ms).0, after);
        }
    }

    /// What is called more often, or starts slower, is no less hot.
    #[test]
    fn more_calls_and_slower_starts_are_hotter(
        per_hour in 1..2_000_u64,
        cold_ms in 1..10_000_u64,
        more_ms in 0..10_000_u64,
    ) {
        let (code, now_ms) = steady(per_hour, cold_ms);
        let hot = |code: &Code| fleet(code, Fleet::Cold, now_ms).0 == Fleet::Hot;
        let slower = Code { cold_ms: cold_ms + more_ms, ..code };
        let called = Code { heat: code.heat.called(now_ms), ..code };
        prop_assert!(!hot(&code) || hot(&slower) && hot(&called));
    }
}

#[test]
fn a_fleet_without_hosts_is_served_by_the_other() {
    let (some, none) = (vec![1, 2], Vec::<u8>::new());
    assert_eq!(standing(some.clone(), none.clone()), (some.clone(), some.clone()));
    assert_eq!(standing(none.clone(), some.clone()), (some.clone(), some.clone()));
    assert_eq!(standing(some.clone(), vec![3]), (some, vec![3]));
    assert_eq!(standing(none.clone(), none.clone()), (none.clone(), none));
}

#[test]
fn hot_is_often_and_slow_to_start() {
    let told = |per_hour, cold_ms, now| {
        let (code, now_ms) = steady(per_hour, cold_ms);
        fleet(&code, now, now_ms).0
    };
    assert_eq!(told(600, 1_000, Fleet::Cold), Fleet::Hot);
    assert_eq!(told(20, 1_000, Fleet::Cold), Fleet::Cold);
    // Between the two it stays what it is.
    assert_eq!(told(45, 5_000, Fleet::Hot), Fleet::Hot);
    assert_eq!(told(45, 5_000, Fleet::Cold), Fleet::Cold);
    // What starts in 2 ms need not stay.
    assert_eq!(told(600, 2, Fleet::Cold), Fleet::Cold);
    let own = Code { heat: Heat::default(), cold_ms: 0, dedicated: true };
    assert_eq!(fleet(&own, Fleet::Cold, 0), (Fleet::Dedicated, Reason::OwnHosts));
}

#[test]
fn packing_fills_hosts_one_after_the_other() {
    let mut all = empty(10);
    for host in &mut all {
        host.free_kib = 100;
    }
    let mut used: BTreeMap<u64, u64> = BTreeMap::new();
    for seed in 0..600 {
        let call = Call { key: 1, memory_kib: 1, seed };
        let Place::Packed(id) = place(Fleet::Cold, &call, &[], &all) else { unreachable!() };
        all[usize::try_from(id).unwrap()].free_kib -= 1;
        *used.entry(id).or_default() += 1;
    }
    // Drawn by chance alone, each would have about 60.
    let full = used.values().filter(|count| **count == 100).count();
    let little = (0..10).filter(|id| used.get(id).is_none_or(|count| *count < 40)).count();
    assert!(full >= 1 && little >= 1, "{used:?}");
    let idle = Host { idle: true, free_kib: 0, ..all[0] };
    let call = Call { key: 1, memory_kib: 1, seed: 7 };
    assert_eq!(place(Fleet::Cold, &call, &[], &[idle]), Place::Packed(0));
    assert_eq!(place(Fleet::Hot, &call, &[], &[idle]), Place::Overflow(0));
    assert_eq!(place(Fleet::Dedicated, &call, &[], &[idle]), Place::Nowhere);
}
