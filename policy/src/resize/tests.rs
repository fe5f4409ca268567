use proptest::collection::vec;
use proptest::prelude::*;

use super::usage::Taken;
use super::*;

const BOUNDS: Bounds = Bounds { kib_min: 32 * 1024, kib_max: 1024 * 1024 };

fn used(peaks_kib: &[u64]) -> Usage {
    let mut usage = Usage::new(0);
    for memory_kib in peaks_kib {
        usage.learn(Taken { memory_kib: *memory_kib, ..Taken::default() }, 0);
    }
    usage
}

fn settled(kib: u64) -> Size {
    Size { kib, trial: None, refused_kib: None }
}

prop_compose! {
    fn bounds()(kib_min in 1..1_000_u64, more in 0..4_000_u64) -> Bounds {
        Bounds { kib_min: kib_min * 1024, kib_max: (kib_min + more) * 1024 }
    }
}

proptest! {
    /// No size is beyond the owner's limits, whatever calls took.
    #[test]
    fn sizes_stay_within_the_owners_limits(
        peaks in vec(0..10_000_000_u64, 0..60),
        kib in 1..8_000_000_u64,
        bounds in bounds(),
    ) {
        let within = |kib: u64| (bounds.kib_min..=bounds.kib_max).contains(&kib);
        if let Step::Try { kib, .. } = decide(&settled(kib), &used(&peaks), 0, &bounds) {
            prop_assert!(within(kib));
        }
        prop_assert!(grown_kib(kib, kib, &bounds).is_none_or(within));
        prop_assert!(again_kib(kib, true, 1, &bounds).is_none_or(within));
    }

    /// A size that is tried holds what 98 of 100 calls took, and once it is settled it stays.
    #[test]
    fn what_is_tried_holds_what_calls_took(
        peaks in vec(1..800_000_u64, 20..60),
        kib in 1..2_000_000_u64,
    ) {
        let usage = used(&peaks);
        if let Step::Try { kib, used_kib } = decide(&settled(kib), &usage, 0, &BOUNDS) {
            prop_assert!(kib >= used_kib);
            let held = peaks.iter().filter(|peak| **peak <= kib).count();
            prop_assert!(held * 100 >= peaks.len() * 98);
            prop_assert_eq!(decide(&settled(kib), &usage, 0, &BOUNDS), Step::Keep(Kept::Fits));
            // And what was rolled back is not tried again.
            let refused = Size { refused_kib: Some(kib), ..settled(1) };
            let kept = Step::Keep(Kept::Refused { kib });
            prop_assert_eq!(decide(&refused, &usage, 0, &BOUNDS), kept);
        }
    }

    /// A trial ends in the new size or the old one, and in the old one where it was killed or
    /// slower by more than a twentieth.
    #[test]
    fn a_trial_is_kept_or_rolled_back(
        calls in 0..40_u64,
        killed: bool,
        call_us in 0..2_000_u64,
        before_us in 1..2_000_u64,
    ) {
        let trial = Trial { kib: 64 * 1024, calls, killed, call_us, before_us };
        let size = Size { trial: Some(trial), ..settled(128 * 1024) };
        match decide(&size, &used(&[]), 0, &BOUNDS) {
            Step::Settle { kib } => {
                prop_assert_eq!(kib, trial.kib);
                prop_assert!(!killed && calls >= CALLS_MIN);
                prop_assert!(call_us * 1_000 < before_us * 1_051);
            }
            Step::RollBack { kib, reason } => {
                prop_assert_eq!(kib, size.kib);
                prop_assert_eq!(reason == Worse::Killed, killed);
                prop_assert!(killed || call_us * 1_000 > before_us * 1_050);
            }
            Step::Keep(kept) => {
                prop_assert_eq!(kept, Kept::OnTrial);
                prop_assert!(calls < CALLS_MIN);
            }
            Step::Try { .. } => prop_assert!(false, "one is on trial"),
        }
    }
}

#[test]
fn a_function_that_asked_for_too_much_gets_less() {
    let usage = used(&[50_000; 20]);
    let tried = decide(&settled(512 * 1024), &usage, 0, &BOUNDS);
    // 50,000 stand for up to 53,247 KiB; 115 hundredths of that, in whole MiB.
    assert_eq!(tried, Step::Try { kib: 60 * 1024, used_kib: 53_247 });
    let few = decide(&settled(512 * 1024), &used(&[50_000; 19]), 0, &BOUNDS);
    assert_eq!(few, Step::Keep(Kept::FewCalls { calls: 19 }));
}

#[test]
fn processor_time_comes_with_memory() {
    let milli: Vec<u32> = [32, 128, 512, 1_769, 3_538].map(|mib| cpu_milli(mib << 10)).into();
    assert_eq!(milli, [100, 100, 289, 1_000, 2_000]);
}

#[test]
fn a_full_instance_grows_by_half() {
    assert_eq!(grown_kib(57_000, 64 * 1024, &BOUNDS), None);
    assert_eq!(grown_kib(60_000, 64 * 1024, &BOUNDS), Some(96 * 1024));
    assert_eq!(grown_kib(1024 * 1024, 1024 * 1024, &BOUNDS), None);
}

#[test]
fn a_killed_call_runs_once_more_at_twice_the_size() {
    assert_eq!(again_kib(64 * 1024, true, 1, &BOUNDS), Some(128 * 1024));
    assert_eq!(again_kib(64 * 1024, true, 2, &BOUNDS), None);
    assert_eq!(again_kib(64 * 1024, false, 1, &BOUNDS), None);
    assert_eq!(again_kib(800 * 1024, true, 1, &BOUNDS), Some(1024 * 1024));
    assert_eq!(again_kib(1024 * 1024, true, 1, &BOUNDS), None);
}
