use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn of(events: &[(f64, bool)]) -> Scores {
    let mut scores = Scores::default();
    for (score, is_positive) in events {
        scores.learn(*score, *is_positive);
    }
    scores
}

/// Some numbers, many of them equal.
fn events() -> impl Strategy<Value = Vec<(f64, bool)>> {
    vec((prop_oneof![(-20..20_i32).prop_map(f64::from), -1e3..1e3], any::<bool>()), 0..80)
}

/// 1 where the first is larger, a half where both are equal.
fn wins(one: f64, other: f64) -> f64 {
    if one > other {
        1.0
    } else if one < other {
        0.0
    } else {
        0.5
    }
}

proptest! {
    /// The area is that of all pairs, and its variance that of the definition.
    #[test]
    fn the_area_is_that_of_all_pairs(events in events()) {
        let kind = |wanted| events.iter().filter(move |event| event.1 == wanted).map(|event| event.0);
        let (these, others): (Vec<f64>, Vec<f64>) = (kind(true).collect(), kind(false).collect());
        let told = of(&events).area(950_000);
        if these.is_empty() || others.is_empty() {
            prop_assert_eq!(told, None);
            return Ok(());
        }
        let told = told.unwrap();
        let mean = |all: &[f64]| all.iter().sum::<f64>() / float(all.len() as u64);
        let variance = |all: &[f64]| {
            let middle = mean(all);
            all.iter().map(|one| (one - middle) * (one - middle)).sum::<f64>() / (float(all.len() as u64) - 1.0)
        };
        let placed: Vec<f64> = these.iter().map(|one| mean(&others.iter().map(|other| wins(*one, *other)).collect::<Vec<_>>())).collect();
        let against: Vec<f64> = others.iter().map(|other| mean(&these.iter().map(|one| wins(*one, *other)).collect::<Vec<_>>())).collect();
        prop_assert!((told.value - mean(&placed)).abs() < 1e-12);
        if told.value >= 1.0 || told.value <= 0.0 {
            // No pair is on the other side, and still one could be.
            let (low, high) = told.between.unwrap_or((0.0, 1.0));
            prop_assert!(low < high && (0.0..=1.0).contains(&low) && high <= 1.0);
        } else if let Some((low, high)) = told.between {
            let exact = variance(&placed) / float(placed.len() as u64) + variance(&against) / float(against.len() as u64);
            let reach = 1.959_963_984_540_054 * exact.sqrt();
            prop_assert!((low - (told.value - reach).max(0.0)).abs() < 1e-9);
            prop_assert!((high - (told.value + reach).min(1.0)).abs() < 1e-9);
        }
    }

    /// Parts come to the whole, however they are divided.
    #[test]
    fn to_merge_is_to_have_counted_all(parts in vec(events(), 0..5)) {
        let mut merged = Scores::default();
        for part in &parts {
            merged.merge(&of(part));
        }
        prop_assert_eq!(merged, of(&parts.concat()));
    }

    /// The order of integers is that of numbers.
    #[test]
    fn order_is_kept(one in -1e9..1e9_f64, other in -1e9..1e9_f64) {
        prop_assert_eq!(order(one).cmp(&order(other)), one.partial_cmp(&other).unwrap());
    }
}

#[test]
fn areas_that_are_known() {
    let perfect = of(&[(0.1, false), (0.2, false), (0.8, true), (0.9, true)]);
    let told = perfect.area(950_000).unwrap();
    // Two pairs in the right order are no proof: 5 % of such come of an area of 22 %.
    let (low, high) = told.between.unwrap();
    assert!((low - 0.05_f64.sqrt()).abs() < 1e-12 && high >= 1.0, "{told:?}");
    let wrong = of(&[(0.1, true), (0.2, true), (0.8, false), (0.9, false)]);
    let (low, high) = wrong.area(950_000).unwrap().between.unwrap();
    assert!(low <= 0.0 && (high - (1.0 - 0.05_f64.sqrt())).abs() < 1e-12);
    let few = of(&[(0.1, false), (0.9, true), (0.8, true)]);
    assert_eq!(few.area(950_000).unwrap().between, None);
    let equal = of(&[(0.5, false), (0.5, true), (0.5, true)]);
    assert!((equal.area(950_000).unwrap().value - 0.5).abs() < 1e-15);
    // Hanley and McNeil 1982, table I: 51 abnormal and 58 normal images in five grades.
    let grades = [(33, 3), (6, 2), (6, 2), (11, 11), (2, 33)];
    let mut images = Scores::default();
    for (grade, (normal, abnormal)) in (1..).zip(grades) {
        (0..normal).for_each(|_| images.learn(f64::from(grade), false));
        (0..abnormal).for_each(|_| images.learn(f64::from(grade), true));
    }
    let told = images.area(950_000).unwrap();
    assert!((told.value - 0.893).abs() < 0.001, "{told:?}");
    // They tell a standard error of 0.032, by another estimate of it.
    let (low, high) = told.between.unwrap();
    assert!(((high - low) / 2.0 / 1.96 - 0.032).abs() < 0.003, "{told:?}");
}

#[test]
fn many_different_numbers_take_bounded_room_and_are_nearly_exact() {
    let mut scores = Scores::default();
    for number in 0..200_000_u64 {
        let word = crate::backoff::mix(number);
        let score = float(word >> 11) / float(1 << 53);
        scores.learn(score, crate::backoff::mix(!number) % 1_000 < (word >> 54));
    }
    assert!(scores.levels.len() <= LEVELS_MAX);
    assert!(scores.resolution() > 0.0 && scores.resolution() < 0.001);
    let told = scores.area(990_000).unwrap();
    // Of the chance x to be of the class where x is uniform: 5/6.
    assert!((told.value - 5.0 / 6.0).abs() < 0.01, "{told:?}");
}

#[test]
fn what_is_no_number_is_not_counted() {
    let mut scores = Scores::default();
    scores.learn(f64::NAN, true);
    assert_eq!(scores.events(), (0, 0));
    scores.learn(f64::INFINITY, true);
    scores.learn(f64::NEG_INFINITY, false);
    assert!((scores.area(950_000).unwrap().value - 1.0).abs() < 1e-15);
    assert_eq!(order(0.0), order(-0.0));
}
