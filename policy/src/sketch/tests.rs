use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::evidence::WHOLE_PPM;

/// Numbers of all sizes.
fn numbers() -> impl Strategy<Value = u64> {
    (0..64_u32, any::<u64>()).prop_map(|(shift, number)| number >> shift)
}

fn of(numbers: &[u64]) -> Sketch {
    let mut sketch = Sketch::default();
    for number in numbers {
        sketch.add(*number);
    }
    sketch
}

fn is_near(told: u64, exact: u64) -> bool {
    u128::from(told.abs_diff(exact)) * 1_000 <= u128::from(exact) * u128::from(ERROR_MILLI)
}

proptest! {
    /// The law of the sketch: whatever rank is asked for, the answer is near that number.
    #[test]
    fn a_rank_is_off_by_no_more_than_the_error(mut numbers in vec(numbers(), 1..300)) {
        let sketch = of(&numbers);
        numbers.sort_unstable();
        for (rank, exact) in (1..).zip(&numbers) {
            let told = sketch.of_rank(rank).unwrap();
            prop_assert!(is_near(told, *exact), "{told} for {exact}");
        }
        prop_assert_eq!(sketch.of_rank(sketch.count() + 1), None);
        prop_assert_eq!(sketch.max(), *numbers.last().unwrap());
        let exact = numbers.iter().map(|number| u128::from(*number)).sum::<u128>();
        prop_assert_eq!(u128::from(sketch.mean()), exact / numbers.len() as u128);
    }

    /// Merged sketches are that of all numbers, however they were divided.
    #[test]
    fn to_merge_is_to_have_seen_all(parts in vec(vec(numbers(), 0..40), 0..6)) {
        let mut merged = Sketch::default();
        for part in &parts {
            merged.merge(&of(part));
        }
        prop_assert_eq!(merged, of(&parts.concat()));
    }

    /// Every number is within its bucket, and the next bucket begins after it.
    #[test]
    fn buckets_leave_no_gap(number in numbers()) {
        let at = bucket(number);
        prop_assert!(number <= upper_bound(at));
        prop_assert!(at == 0 || number > upper_bound(at - 1));
        prop_assert!(is_near(middle(at), number));
    }

    /// A bound is never below the value of the rank that it is made of, nor above the largest.
    #[test]
    fn a_bound_is_above_its_rank(
        mut numbers in vec(numbers(), 1..400),
        percentile_ppm in 1..WHOLE_PPM,
        confidence_ppm in 500_000..WHOLE_PPM,
    ) {
        let (sketch, count) = (of(&numbers), numbers.len() as u64);
        numbers.sort_unstable();
        match percentile::upper_rank(count, percentile_ppm, confidence_ppm) {
            Rank::NotEnough { events_needed } => {
                prop_assert!(events_needed > count);
                let told = sketch.upper(percentile_ppm, confidence_ppm);
                prop_assert_eq!(told, Bound::NotEnough { events_needed });
            }
            Rank::Of(rank) => {
                let exact = numbers[usize::try_from(rank).unwrap() - 1];
                let Bound::AtMost(bound) = sketch.upper(percentile_ppm, confidence_ppm) else {
                    panic!("there are enough");
                };
                prop_assert!(bound >= exact && bound <= sketch.max());
                prop_assert!(u128::from(bound) * 989 <= u128::from(exact) * 1_000);
            }
        }
    }
}

proptest! {
    /// What has no number is as if it had one that is larger than any.
    #[test]
    fn events_without_a_number_are_beyond_all(
        numbers in vec(0..1_u64 << 40, 0..600),
        without in 0..40_u64,
        percentile_ppm in 1..WHOLE_PPM,
        confidence_ppm in 500_000..WHOLE_PPM,
    ) {
        let (sketch, mut all) = (of(&numbers), of(&numbers));
        (0..without).for_each(|_| all.add(u64::MAX));
        let among = sketch.among(numbers.len() as u64 + without);
        let is_known = |told: &u64| *told < 1 << 41;
        // No value is told that is above all that there are.
        let as_known = |told: u64| told.min(sketch.max());
        prop_assert_eq!(
            among.quantile(percentile_ppm),
            all.quantile(percentile_ppm).filter(is_known).map(as_known)
        );
        prop_assert_eq!(
            among.lower(percentile_ppm, confidence_ppm),
            all.lower(percentile_ppm, confidence_ppm).filter(is_known).map(as_known)
        );
        let wanted = match all.upper(percentile_ppm, confidence_ppm) {
            Bound::AtMost(bound) if is_known(&bound) => Bound::AtMost(as_known(bound)),
            Bound::AtMost(_) => Bound::Beyond,
            few => few,
        };
        prop_assert_eq!(among.upper(percentile_ppm, confidence_ppm), wanted);
    }
}

#[test]
fn edges_have_buckets() {
    assert_eq!((bucket(0), bucket(1), bucket(198)), (0, 1, 198));
    assert_eq!(usize::from(bucket(u64::MAX)), BUCKETS - 1);
    assert!(BOUNDS.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(Sketch::default().quantile(500_000), None);
    assert_eq!(Sketch::default().upper(990_000, 990_000), Bound::NotEnough { events_needed: 459 });
}

#[test]
fn the_number_of_buckets_stays_as_it_is() {
    // Sketches that were stored are merged with new ones.
    assert_eq!(BUCKETS, 4_103);
}

#[test]
fn quantiles_are_ranks_rounded_up() {
    let sketch = of(&(1..=100).collect::<Vec<_>>());
    assert_eq!(sketch.quantile(500_000), Some(50));
    assert_eq!(sketch.quantile(990_000), Some(99));
    assert_eq!(sketch.quantile(990_001), Some(100));
    assert_eq!(sketch.quantile(0), Some(1));
    assert_eq!((sketch.at_most(0), sketch.at_most(40), sketch.at_most(1_000)), (0, 40, 100));
}

proptest! {
    /// What is kept of a sketch is all of it; what can be no sketch is none.
    #[test]
    fn what_is_kept_is_all(numbers in vec(0..1_000_000_000_u64, 0..100)) {
        let sketch = of(&numbers);
        let parts = sketch.parts();
        prop_assert_eq!(Sketch::of_parts(&parts), Some(sketch.clone()));
        if let Some((bucket, count)) = parts.buckets.last().copied() {
            let with = |more: (u16, u64)| {
                let mut parts = parts.clone();
                parts.buckets.push(more);
                Sketch::of_parts(&parts)
            };
            prop_assert_eq!(with((bucket, count)), None);
            prop_assert_eq!(with((u16::MAX, 1)), None);
            prop_assert_eq!(with((bucket + 1, 0)), None);
            prop_assert_eq!(with((bucket + 1, u64::MAX)), None);
        }
        // The bounds are on either side of the value of a rank between them.
        if let (Some(lower), Bound::AtMost(upper)) =
            (sketch.lower(500_000, 900_000), sketch.upper(500_000, 900_000))
        {
            let middle = sketch.quantile(500_000).unwrap();
            prop_assert!(lower <= middle && middle <= upper.max(middle));
            prop_assert!(lower <= upper);
        }
    }
}
