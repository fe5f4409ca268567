use proptest::prelude::*;

use super::super::tests::{Chance, often};
use super::*;

fn arms(planned: &[u32], events: &[u64]) -> Vec<Share> {
    let arm =
        |(planned_ppm, events): (&u32, &u64)| Share { planned_ppm: *planned_ppm, events: *events };
    planned.iter().zip(events).map(arm).collect()
}

proptest! {
    /// Where events come as planned, the next one changes nothing on average, whatever came before.
    #[test]
    fn as_planned_nothing_is_won_on_average(
        first in 1_000..500_000_u32,
        second in 1_000..400_000_u32,
        events in prop::array::uniform3(0..2_000_u64),
    ) {
        let planned = [first, second, WHOLE_PPM - first - second];
        let now = evidence_ln(&arms(&planned, &events));
        prop_assume!(now < 600.0);
        let next = |arm: usize| {
            let mut events = events;
            events[arm] += 1;
            let part = part(planned[arm]) / part(WHOLE_PPM);
            part * libm::exp(evidence_ln(&arms(&planned, &events)) - now)
        };
        let mean: f64 = (0..3).map(next).sum();
        prop_assert!((mean - 1.0).abs() < 1e-6, "{mean}");
    }
}

#[test]
fn a_broken_split_is_named() {
    let planned = [50_000, 950_000];
    assert_eq!(broken(&arms(&planned, &[512, 9_488]), 1_000), None);
    let broken = broken(&arms(&planned, &[700, 9_300]), 1_000).unwrap();
    insta::assert_snapshot!(broken, @"arm 0 had 7 % of events where 5 % were planned: the split is broken, and its arms cannot be compared");
    assert!(evidence_ln(&arms(&[0, WHOLE_PPM], &[1, 10])) >= LN_MAX);
    assert!(evidence_ln(&[]).abs() < f64::EPSILON);
}

#[test]
fn a_split_that_works_is_called_broken_no_more_often_than_agreed() {
    const RUNS: u32 = 300;
    let mut chance = Chance(23);
    let mut wrong = 0;
    for _ in 0..RUNS {
        let mut events = [0, 0];
        let mut seen = false;
        for _ in 0..1_000 {
            events[usize::from(chance.happens(0.8))] += 1;
            seen |= broken(&arms(&[200_000, 800_000], &events), 50_000).is_some();
        }
        wrong += u32::from(seen);
    }
    assert!(wrong <= often(0.05, RUNS), "{wrong} of {RUNS}");
}
