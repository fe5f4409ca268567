use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_ratio_is_in_its_lowest_terms(parts in 1..1_u64 << 32, of in 1..1_u64 << 32, times in 1..1_u64 << 32) {
        let ratio = Ratio::new(parts, of).unwrap();
        prop_assert_eq!(Ratio::new(parts * times, of * times), Some(ratio));
        prop_assert_eq!(u128::from(ratio.parts()) * u128::from(of), u128::from(ratio.of()) * u128::from(parts));
    }

    #[test]
    fn a_decimal_number_is_read_as_it_is_written(number in 0..u64::MAX / 2) {
        prop_assert_eq!(millionths(&decimal(number)), Some(number));
    }
}

#[test]
fn a_recording_is_resampled_to_a_rate() {
    // 9,000 events in a minute are 150 in a second.
    assert_eq!(Ratio::of_rate(500 * UHZ, 9_000, 60_000), Ratio::new(10, 3));
    assert_eq!(
        Ratio::of_rate(333_333_333, 7, 86_400_001),
        Ratio::new(28_800_000_304_533_333, 7_000_000_000)
    );
    for (rate_uhz, events, span_ms) in [(0, 1, 1), (1, 0, 1), (1, 1, 0)] {
        assert_eq!(Ratio::of_rate(rate_uhz, events, span_ms), None);
    }
    assert_eq!(Ratio::new(0, 1), None);
    assert_eq!([Ratio::ONE.to_string(), Ratio::new(6, 4).unwrap().to_string()], ["1", "3/2"]);
}

#[test]
fn what_is_no_decimal_number_is_refused() {
    for text in
        ["", ".", "1.", ".5", "-1", "+1", "1e3", "1.1234567", "1.2.3", "99999999999999999999"]
    {
        assert_eq!(millionths(text), None, "{text:?}");
    }
    assert_eq!(millionths("0.25"), Some(250_000));
}
