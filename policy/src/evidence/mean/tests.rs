use proptest::prelude::*;

use super::super::tests::{Chance, often};
use super::*;

const BOUND_PPM: u32 = 50_000;
const BOUNDS: Bounds =
    Bounds { tolerance: 0, margin: 100, events_planned: 1_000, bound_ppm: BOUND_PPM };

fn learnt(values: &[i64]) -> Moments {
    let mut moments = Moments::default();
    for value in values {
        moments.learn(*value);
    }
    moments
}

/// A skewed value with the mean nothing and the deviation 1,000: latencies are like that.
fn skewed(chance: &mut Chance) -> i64 {
    #[allow(clippy::cast_possible_truncation, reason = "rounded on purpose")]
    let value = libm::round(-1_000.0 * (libm::log(1.0 - chance.part()) + 1.0)) as i64;
    value
}

proptest! {
    /// Moments of several places, added, are those of one.
    #[test]
    fn places_may_be_added(
        one in prop::collection::vec(-10_000..10_000_i64, 0..100),
        other in prop::collection::vec(-10_000..10_000_i64, 0..100),
    ) {
        let mut merged = learnt(&one);
        merged.merge(&learnt(&other));
        let whole = learnt(&[one, other].concat());
        prop_assert_eq!(merged.events(), whole.events());
        prop_assert!((merged.mean() - whole.mean()).abs() < 1e-6);
        prop_assert!((merged.deviation() - whole.deviation()).abs() < 1e-6);
    }

    /// Evidence reaches the boundary when the interval leaves what it is held against, and not before.
    #[test]
    fn evidence_and_interval_are_one(
        values in prop::collection::vec(-100..1_000_i64, 100..300),
        tolerance in -200..1_000_i64,
        more in 1..500_i64,
    ) {
        let moments = learnt(&values);
        let bounds = Bounds { tolerance, margin: tolerance + more, ..BOUNDS };
        let interval = moments.interval(BOUND_PPM, bounds.events_planned).unwrap();
        let evidence = moments.evidence(&bounds);
        let boundary = boundary_ln(BOUND_PPM);
        #[allow(clippy::cast_precision_loss, reason = "they are small")]
        let (tolerance, margin) = (tolerance as f64, bounds.margin as f64);
        prop_assume!((interval.lower - tolerance).abs() > 1e-6);
        prop_assume!((interval.upper - margin).abs() > 1e-6);
        prop_assert_eq!(evidence.revert_ln >= boundary, interval.lower > tolerance);
        prop_assert_eq!(evidence.promote_ln >= boundary, interval.upper < margin);
    }
}

#[test]
fn too_few_events_tell_nothing() {
    let moments = learnt(&[1_000; 99]);
    assert_eq!(moments.interval(BOUND_PPM, 1_000), None);
    assert_eq!(moments.evidence(&BOUNDS), Evidence::default());
    assert!(learnt(&[1_000; 100]).evidence(&BOUNDS).revert_ln >= LN_MAX);
}

#[test]
fn a_mean_looked_at_all_the_time_stays_inside_as_often_as_agreed() {
    const RUNS: u32 = 400;
    let mut chance = Chance(17);
    let (mut outside, mut fixed) = (0, 0);
    for _ in 0..RUNS {
        let mut moments = Moments::default();
        let (mut left, mut peeked) = (false, false);
        for _ in 0..2_000 {
            moments.learn(skewed(&mut chance));
            if let Some(interval) = moments.interval(BOUND_PPM, 1_000) {
                left |= interval.lower > 0.0 || interval.upper < 0.0;
                let far = moments.mean().abs() / moments.deviation();
                peeked |= far * float(moments.events()).sqrt() > 1.96;
            }
        }
        outside += u32::from(left);
        fixed += u32::from(peeked);
    }
    assert!(outside <= often(0.05, RUNS), "{outside} of {RUNS}");
    assert!(fixed > often(0.05, RUNS), "a bound that does not hold is seen: {fixed}");
}

#[test]
fn what_is_slower_is_found() {
    let mut chance = Chance(19);
    let mut moments = Moments::default();
    for _ in 0..2_000 {
        moments.learn(skewed(&mut chance) + 200);
    }
    let evidence = moments.evidence(&BOUNDS);
    assert!(evidence.revert_ln > boundary_ln(BOUND_PPM) && evidence.promote_ln < 0.0);
}
