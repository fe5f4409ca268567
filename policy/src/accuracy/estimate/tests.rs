use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn of(events: &[(f64, bool)]) -> Estimate {
    let mut estimate = Estimate::default();
    for (chance, is_for) in events {
        estimate.learn(*chance, *is_for);
    }
    estimate
}

proptest! {
    /// Without labels it is the mean of chances, or of what is left of them, by decision.
    #[test]
    fn without_labels_chances_are_believed(events in vec((0.0..1.0_f64, any::<bool>()), 1..200)) {
        let told = of(&events).by(&Calibration::default()).unwrap();
        let sum: f64 = events.iter().map(|(p, is_for)| if *is_for { *p } else { 1.0 - p }).sum();
        prop_assert!((told.accuracy - sum / float(events.len() as u64)).abs() < 1e-7);
        prop_assert_eq!((told.events, told.labelled), (events.len() as u64, 0));
    }

    /// It is a part of a whole, whatever the labels say.
    #[test]
    fn it_is_a_part(
        events in vec((0.0..=1.0_f64, any::<bool>()), 1..60),
        labelled in vec((0.0..=1.0_f64, any::<bool>()), 0..60),
    ) {
        let mut calibration = Calibration::default();
        for (chance, came) in &labelled {
            calibration.learn(*chance, *came);
        }
        let told = of(&events).by(&calibration).unwrap();
        prop_assert!((-1e-9..=1.0 + 1e-9).contains(&told.accuracy));
    }

    /// Parts come to the whole, however they are divided.
    #[test]
    fn to_merge_is_to_have_counted_all(parts in vec(vec((-0.1..1.1_f64, any::<bool>()), 0..40), 0..5)) {
        let mut merged = Estimate::default();
        for part in &parts {
            merged.merge(&of(part));
        }
        prop_assert_eq!(merged, of(&parts.concat()));
    }
}

#[test]
fn labels_correct_a_model_that_is_too_sure_of_itself() {
    // It says 95 %, and is right 60 times of 100.
    let mut calibration = Calibration::default();
    (0..10_000_u32).for_each(|at| calibration.learn(0.95, at % 10 < 6));
    let told = of(&[(0.95, true); 50]).by(&calibration).unwrap();
    assert!((told.accuracy - 0.6).abs() < 0.001, "{told:?}");
    let believed = of(&[(0.95, true); 50]).by(&Calibration::default()).unwrap();
    assert!((believed.accuracy - 0.95).abs() < 1e-6, "{believed:?}");
    assert_eq!(Estimate::default().by(&calibration), None);
}
