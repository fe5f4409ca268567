use proptest::prelude::*;

use super::*;

prop_compose! {
    fn measured()(
        mib in 64..10_240_u64,
        waited_us in 0..10_000_000_u64,
        cpu_us in 0..10_000_000_u64,
        needs_mib in 1..12_000_u64,
    ) -> Measured {
        let kib = mib * 1024;
        let call_us = waited_us + run_us(cpu_us, kib);
        Measured { kib, call_us, cpu_us, needs_kib: needs_mib * 1024 }
    }
}

proptest! {
    /// At the size that was measured, what was measured is expected.
    #[test]
    fn what_was_measured_is_expected(measured in measured()) {
        prop_assert_eq!(expected(&measured, measured.kib).call_us, measured.call_us);
    }

    /// A larger size is never slower, and beyond a whole processor no faster.
    #[test]
    fn a_larger_size_is_never_slower(measured in measured()) {
        let Some(advice) = advise(&measured) else {
            prop_assert!(measured.needs_kib > 10_240 * 1024);
            return Ok(());
        };
        for pair in advice.sizes.windows(2) {
            prop_assert!(pair[0].kib < pair[1].kib && pair[0].call_us >= pair[1].call_us);
            prop_assert!(pair[0].kib < PROCESSOR_KIB || pair[0].call_us == pair[1].call_us);
        }
    }

    /// What is advised holds the calls and costs little more than the cheapest.
    #[test]
    fn the_advice_is_nearly_the_cheapest(measured in measured()) {
        if let Some(Advice { sizes, best }) = advise(&measured) {
            prop_assert!(best.kib >= measured.needs_kib && sizes.contains(&best));
            prop_assert!(sizes.iter().all(|size| best.cost * 100 <= size.cost * 105));
        }
    }
}

#[test]
fn what_computes_is_advised_a_processor_and_what_waits_little_memory() {
    let best = |call_us, cpu_us, needs_kib| {
        let kib = 512 * 1024;
        advise(&Measured { kib, call_us, cpu_us, needs_kib }).map(|advice| advice.best.kib / 1024)
    };
    // Ten seconds of computing at 512 of 1,769 MiB.
    let cpu_us = 10_000_000 * 512 / 1_769;
    assert_eq!(best(10_000_000, cpu_us, 1), Some(1_769));
    assert_eq!(best(1_000_000, 0, 1), Some(64));
    assert_eq!(best(1_000_000, 0, 100 * 1024), Some(128));
    assert_eq!(best(1_000_000, 0, u64::MAX), None);
}

#[test]
fn what_computes_little_is_as_fast_at_any_size() {
    for kib in [32 * 1024, 512 * 1024] {
        let measured = Measured { kib, call_us: 23_000, cpu_us: 750, needs_kib: 1 };
        let advice = advise(&measured).unwrap();
        assert!(advice.sizes.iter().all(|size| size.call_us == 23_000), "{advice:?}");
        assert_eq!(advice.best.kib, 64 * 1024);
    }
    // It had more than its share: nothing is known of other sizes.
    let fast = Measured { kib: 32 * 1024, call_us: 60_000, cpu_us: 50_000, needs_kib: 1 };
    assert_eq!(expected(&fast, 1_024 * 1_024).call_us, 60_000);
}
