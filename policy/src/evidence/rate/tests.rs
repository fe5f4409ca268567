use proptest::prelude::*;

use super::*;

/// The bounds of 95 % of both sides, as textbooks print them: each side has half of the doubt.
#[test]
fn the_published_bounds() {
    for (events, bad, lower_ppm, upper_ppm) in [
        (10, 0, 0, 308_498),
        (10, 1, 2_528, 445_017),
        (20, 5, 86_571, 491_046),
        (10, 10, 691_502, 1_000_000),
    ] {
        let rate = bounds(events, bad, 975_000).unwrap();
        assert!(rate.lower_ppm.abs_diff(lower_ppm) <= 1, "{bad} of {events}: {rate:?}");
        assert!(rate.upper_ppm.abs_diff(upper_ppm) <= 1, "{bad} of {events}: {rate:?}");
    }
    assert_eq!(bounds(0, 0, 975_000), None);
}

/// The chance of at most `bad` of `events`, by its definition; from the end at which the first term
/// is no number too small to be one.
fn at_most(events: u64, bad: u64, rate: f64) -> f64 {
    if rate > 0.5 {
        return if bad >= events {
            1.0
        } else {
            1.0 - at_most(events, events - bad - 1, 1.0 - rate)
        };
    }
    let (mut term, mut sum) = (libm::pow(1.0 - rate, float(events)), 0.0);
    for count in 0..=bad {
        sum += term;
        term *= float(events - count) / float(count + 1) * rate / (1.0 - rate);
    }
    sum
}

proptest! {
    /// Whatever the rate is, bounds that do not have it are made of what is as unlikely as was said.
    #[test]
    fn what_is_outside_is_unlikely(
        events in 1..200_u64,
        rate_ppm in 1_000..999_000_u32,
        confidence_ppm in 900_000..999_900_u32,
    ) {
        let rate = part(rate_ppm) / part(WHOLE_PPM);
        let doubt = 1.0 - part(confidence_ppm) / part(WHOLE_PPM);
        let of = |bad| bounds(events, bad, confidence_ppm).unwrap();
        // The fewest bad events that would say that the rate is higher, and the most that would say lower.
        if let Some(bad) = (1..=events).find(|bad| of(*bad).lower_ppm > rate_ppm) {
            prop_assert!(1.0 - at_most(events, bad - 1, rate) <= doubt + 1e-9);
        }
        if let Some(bad) = (0..events).rev().find(|bad| of(*bad).upper_ppm < rate_ppm) {
            prop_assert!(at_most(events, bad, rate) <= doubt + 1e-9);
        }
    }

    /// What was seen is within, more bad events raise both bounds, and more of all narrow them.
    #[test]
    fn bounds_are_around_what_was_seen(events in 1..100_000_u64, part_ppm in 0..=1_000_000_u64) {
        let bad = events * part_ppm / 1_000_000;
        let rate = bounds(events, bad, 999_000).unwrap();
        let seen = bad * 1_000_000 / events;
        prop_assert!(u64::from(rate.lower_ppm) <= seen && seen <= u64::from(rate.upper_ppm));
        let ten = bounds(events * 10, bad * 10, 999_000).unwrap();
        prop_assert!(ten.lower_ppm >= rate.lower_ppm && ten.upper_ppm <= rate.upper_ppm);
        if bad < events {
            let worse = bounds(events, bad + 1, 999_000).unwrap();
            prop_assert!(worse.lower_ppm >= rate.lower_ppm && worse.upper_ppm >= rate.upper_ppm);
        }
    }
}
