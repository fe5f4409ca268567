use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn of(events: &[(f64, bool)]) -> Calibration {
    let mut calibration = Calibration::default();
    for (chance, is_positive) in events {
        calibration.learn(*chance, *is_positive);
    }
    calibration
}

proptest! {
    /// All numbers are those of the definition, to what 2^-32 leaves.
    #[test]
    fn numbers_are_those_of_the_definition(events in vec((0.0..1.0_f64, any::<bool>()), 1..200)) {
        let calibration = of(&events);
        let came = |is_positive: bool| f64::from(u8::from(is_positive));
        let count = float(events.len() as u64);
        let square = |error: f64| error * error;
        let brier = events.iter().map(|(chance, it)| square(chance - came(*it))).sum::<f64>();
        let brier = brier / count;
        prop_assert!((calibration.brier().unwrap() - brier).abs() < 1e-8);
        let mut error = 0.0;
        for part in 0..10 {
            let part = f64::from(part);
            let inside = |chance: f64| chance * 10.0 >= part && chance * 10.0 < part + 1.0;
            let these = events.iter().filter(|(chance, _)| inside(*chance));
            error += these.map(|(chance, it)| chance - came(*it)).sum::<f64>().abs() / count;
        }
        prop_assert!((calibration.error().unwrap() - error).abs() < 1e-8);
    }

    /// Parts come to the whole, however they are divided.
    #[test]
    fn to_merge_is_to_have_counted_all(parts in vec(vec((-0.1..1.1_f64, any::<bool>()), 0..40), 0..5)) {
        let mut merged = Calibration::default();
        for part in &parts {
            merged.merge(&of(part));
        }
        prop_assert_eq!(merged, of(&parts.concat()));
    }
}

#[test]
fn who_always_knows_has_no_error_and_who_never_does_has_all() {
    let knows = of(&[(1.0, true), (0.0, false)]);
    assert_eq!((knows.brier(), knows.error()), (Some(0.0), Some(0.0)));
    let never = of(&[(0.0, true), (1.0, false)]);
    assert_eq!((never.brier(), never.error()), (Some(1.0), Some(1.0)));
    let half = of(&[(0.25, true), (0.25, false), (0.25, false), (0.25, false)]);
    assert_eq!((half.brier(), half.error()), (Some(0.1875), Some(0.0)));
    assert_eq!((half.bins()[2].chance(), half.bins()[2].rate()), (Some(0.25), Some(0.25)));
}

#[test]
fn what_is_no_chance_is_told() {
    let calibration = of(&[(f64::NAN, true), (-0.5, true), (1.5, false), (1.0, true)]);
    assert_eq!((calibration.events(), calibration.refused()), (1, 3));
    assert_eq!(Calibration::default().brier(), None);
}
