use proptest::collection::vec;
use proptest::prelude::*;

use policy::warmth::Policy;

use super::*;
use crate::trace::{Durations, Function, unknown};

const POLICIES: [Policy; 3] =
    [Policy::Fixed { keep_ms: 600_000 }, Policy::Hybrid, Policy::LeastCost];

fn policies() -> impl Strategy<Value = Policy> {
    (0..POLICIES.len()).prop_map(|place| POLICIES[place])
}

fn functions() -> impl Strategy<Value = Vec<Function>> {
    let calls = vec(prop_oneof![3 => Just(0), 2 => 1..3_u32, 1 => 0..30_u32], 60);
    let function = (calls, 0..200_000_u64, 1..1_000_u64);
    vec(function, 1..6).prop_map(|functions| {
        let numbered = functions.into_iter().enumerate();
        let named = numbered.map(|(number, (calls, duration_ms, mib))| Function {
            calls,
            durations: Durations::always(duration_ms),
            memory_kib: mib * 1024,
            ..unknown(format!("function {number}"))
        });
        named.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Where memory is enough, functions know nothing of each other: a whole is the sum of its
    /// parts. The same holds for a host whose memory is never all used.
    #[test]
    fn a_whole_is_the_sum_of_its_parts(functions in functions(), policy in policies(), seed: u64) {
        let settings = Settings { seed, ..Settings::default() };
        let whole = replay(&Trace { functions: functions.clone() }, policy, &settings);
        let (mut calls, mut cold, mut idle_kib_ms) = (0, 0, 0);
        for function in &functions {
            let part = Trace { functions: vec![function.clone()] };
            let report = replay(&part, policy, &settings);
            calls += report.calls;
            cold += report.cold;
            idle_kib_ms += report.idle_kib_ms;
        }
        prop_assert_eq!((whole.calls, whole.cold), (calls, cold));
        prop_assert_eq!(whole.idle_kib_ms, idle_kib_ms);
        let large = Settings { memory_kib_max: Some(u64::MAX / 2), ..settings };
        prop_assert_eq!(replay(&Trace { functions }, policy, &large), whole);
    }

    /// Every call is counted, and one that is cold has waited.
    #[test]
    fn every_call_is_counted(functions in functions(), policy in policies()) {
        let all: u64 = functions.iter().flat_map(|one| &one.calls).map(|n| u64::from(*n)).sum();
        let report = replay(&Trace { functions }, policy, &Settings::default());
        prop_assert_eq!(report.calls, all);
        prop_assert!(report.cold <= all && report.waited_ms <= report.cold * COLD_MS);
        prop_assert!(report.queued == 0 && report.evicted == 0);
    }

    /// With little memory calls queue and instances go, and the host is never over its limit:
    /// idle instances never take more than all of its memory for all of the time.
    #[test]
    fn a_small_host_keeps_to_its_memory(functions in functions(), policy in policies()) {
        let kib_max = functions.iter().map(|one| one.memory_kib).max().unwrap();
        let settings = Settings { memory_kib_max: Some(kib_max), ..Settings::default() };
        let report = replay(&Trace { functions }, policy, &settings);
        prop_assert!(report.idle_kib_ms <= u128::from(kib_max) * 60 * 60_000);
        prop_assert!(report.cold <= report.calls);
    }
}

#[test]
fn a_fixed_time_keeps_for_that_time() {
    let mut function = unknown("one".to_owned());
    function.calls = vec![0; 60];
    function.calls[0] = 1;
    function.calls[30] = 1;
    function.durations = Durations::always(0);
    let trace = Trace { functions: vec![function] };
    let report = replay(&trace, POLICIES[0], &Settings::default());
    assert_eq!((report.calls, report.cold, report.waited_ms), (2, 2, 2_000));
    assert_eq!(report.idle_mib_minutes(), 2 * 10 * 128);
    assert_eq!((report.decisions, report.cold_share_p75_ppm), (2, 1_000_000));
    let hour = Policy::Fixed { keep_ms: 3_600_000 };
    assert_eq!(replay(&trace, hour, &Settings::default()).cold, 1);
}
