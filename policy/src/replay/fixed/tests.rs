#![allow(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "floats check integers")]

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_logarithm_is_exact_to_its_last_place(word: u64, shift in 0..64_u32) {
        let word = (word >> shift).max(1);
        let expected = -(libm::log(word as f64) - 64.0 * std::f64::consts::LN_2);
        let off = exponential_q32(word) as f64 / (1_u64 << 32) as f64 - expected;
        // A float of this size is itself off by as much as 2^-46.
        prop_assert!(off.abs() < libm::exp2(-32.0), "{word} is off by {off}");
        prop_assert!(exponential_q32(word.saturating_add(1)) <= exponential_q32(word));
    }

    #[test]
    fn a_sine_is_as_exact_as_a_float(rest: u32, whole in 1..u64::from(u32::MAX)) {
        let rest = u64::from(rest) % (whole + 1);
        let sine = libm::sin(std::f64::consts::PI * rest as f64 / whole as f64);
        let expected = sine * sine;
        let off = half_turn_sine_squared_q62(rest, whole) as f64 / (1_u64 << 62) as f64 - expected;
        prop_assert!(off.abs() < 1e-15, "{rest} of {whole} is off by {off}");
        let other_side = half_turn_sine_squared_q62(whole - rest, whole);
        prop_assert_eq!(half_turn_sine_squared_q62(rest, whole), other_side);
    }

    #[test]
    fn a_part_is_a_part(number in 0_u128..1 << 120, bits in 1..=64_u32, fraction: u64) {
        let fraction = u128::from(fraction >> (64 - bits));
        let (high, low) = (number >> 40, number & ((1 << 40) - 1));
        // The same by other parts: each is cut once.
        let (high, low) = (times_q(high, fraction, bits), times_q(low, fraction, bits));
        let expected = high << 40;
        prop_assert!((expected..=expected + low + (1 << 40)).contains(&times_q(number, fraction, bits)));
    }
}

#[test]
fn ends_are_exact() {
    assert_eq!(exponential_q32(u64::MAX), 0);
    assert_eq!(exponential_q32(1 << 63), 2_977_044_472, "ln 2");
    assert_eq!(exponential_q32(0), 190_530_846_196, "64 ln 2");
    assert_eq!(half_turn_sine_squared_q62(0, 7), 0);
    assert!(half_turn_sine_squared_q62(1, 2) > (1 << 62) - 16);
}

#[test]
fn words_are_those_that_everybody_has() {
    let words: Vec<u64> = (0..5).map(|number| word(1_234_567, number)).collect();
    let published = [
        6_457_827_717_110_365_317,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
        4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
    ];
    assert_eq!(words, published);
}
