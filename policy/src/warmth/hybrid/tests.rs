use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn learnt(minutes: &[u64]) -> Window {
    let mut histogram = Histogram::default();
    for gap in minutes {
        histogram.learn(gap * MINUTE_MS);
    }
    histogram.window()
}

#[test]
fn what_tells_nothing_is_kept_for_the_range() {
    let spread: Vec<u64> = (0..240).collect();
    for minutes in [&[][..], &[7], &spread] {
        assert_eq!(learnt(minutes), Window::keep(RANGE_MS));
    }
}

#[test]
fn head_and_tail_have_a_margin_of_a_tenth() {
    let window = learnt(&[30; 50]);
    assert_eq!(window, Window::between(27 * MINUTE_MS, 31 * MINUTE_MS * 11 / 10));
    assert_eq!(learnt(&[230; 50]).end_ms(), RANGE_MS);
}

#[test]
fn gaps_beyond_the_range_are_met_around_the_mean_of_the_last() {
    let window = learnt(&[400, 1_000, 1_000, 1_000, 1_000, 1_000]);
    assert_eq!(window, Window::between(850 * MINUTE_MS, 1_150 * MINUTE_MS));
}

proptest! {
    /// The variation that is kept up gap by gap is that of the bins.
    #[test]
    fn the_squares_are_those_of_the_bins(minutes in vec(0..300_u64, 0..100)) {
        let mut histogram = Histogram::default();
        for gap in &minutes {
            histogram.learn(gap * MINUTE_MS);
        }
        let squares: u128 = histogram.bins.iter().map(|bin| u128::from(*bin).pow(2)).sum();
        prop_assert_eq!(histogram.squares, squares);
    }

    /// Whatever is learnt, there is a window.
    #[test]
    fn a_window_is_total(gaps_ms in vec(any::<u64>(), 0..50)) {
        let mut histogram = Histogram::default();
        for gap_ms in gaps_ms {
            histogram.learn(gap_ms);
            prop_assert!(histogram.window().end_ms() <= crate::warmth::HORIZON_MS);
        }
    }
}
