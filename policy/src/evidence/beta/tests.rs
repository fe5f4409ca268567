use proptest::prelude::*;

use super::super::float;
use super::super::tests::quotient;
use super::*;

fn choose(n: u64, k: u64) -> u128 {
    (0..k).fold(1, |product, i| product * u128::from(n - i) / u128::from(i + 1))
}

/// `P(Bin(n, p / q) in range)`, summed exactly.
fn binomial(n: u64, p: u64, q: u64, range: impl Iterator<Item = u64>) -> f64 {
    let power = |base: u64, exponent: u64| u128::from(base).pow(u32::try_from(exponent).unwrap());
    let sum = range.map(|k| choose(n, k) * power(p, k) * power(q - p, n - k)).sum();
    quotient(sum, power(q, n))
}

/// A point as a fraction, and parameters whose sums fit 128 bits.
fn exact() -> impl Strategy<Value = (u64, u64, u64, u64)> {
    (2..=9_u64, 1..=18_u64, 1..=18_u64).prop_flat_map(|(q, a, b)| (1..q, Just(q), Just(a), Just(b)))
}

fn point(p: u64, q: u64) -> Point {
    Point::of(float(p), float(q - p))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// With whole parameters it is a sum of a binomial distribution.
    #[test]
    fn it_is_the_exact_sum((p, q, a, b) in exact()) {
        let sum = binomial(a + b - 1, p, q, a..a + b);
        let value = regularised(float(a), float(b), point(p, q));
        prop_assert!((value / sum - 1.0).abs() < 1e-12, "{value} {sum}");
    }

    /// So is a tail, however tiny.
    #[test]
    fn a_tail_is_the_exact_sum((p, q, a, b) in exact()) {
        let n = a + b - 1;
        let sum = binomial(n, p, q, 0..a);
        // B(a, b) = 1 / (a C(a + b - 1, a)).
        let all_ln = -libm::log(quotient(u128::from(a) * choose(n, a), 1));
        let ln = libm::log(sum) + all_ln - point(p, q).history_ln(float(a), float(b));
        let value = above_ln(float(a), float(b), point(p, q));
        prop_assert!((value - ln).abs() < 1e-11, "{value} {ln}");
    }

    /// Both ends make one.
    #[test]
    fn both_ends_make_a_whole(a in 0.5..1e5_f64, b in 0.5..1e5_f64, part in 1e-6..1.0_f64) {
        let x = Point::of(part, 1.0 - part + 1e-9);
        let sum = regularised(a, b, x) + regularised(b, a, x.turned());
        prop_assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }

    /// The tail with one event more follows from the one before, by parts of the integral, for
    /// parameters as large as they ever are: both branches and their border agree.
    #[test]
    fn a_tail_follows_from_the_one_before(
        size_ln in 0.0..16.0_f64,
        share in 0.001..0.999_f64,
        off in -8.0..8.0_f64,
    ) {
        let size = libm::exp(size_ln);
        let (a, b) = (size * share + 0.5, size * (1.0 - share) + 0.5);
        // About the mean, where both branches meet, by some standard deviations.
        let part = (share + off * (share * (1.0 - share) / (size + 1.0)).sqrt()).clamp(1e-4, 0.9999);
        let x = Point::of(part, 1.0 - part);
        let before = above_ln(a, b, x);
        prop_assume!(before < 500.0);
        let next = libm::log((a * libm::exp(before) + 1.0) / ((a + b) * x.part));
        let value = above_ln(a + 1.0, b, x);
        prop_assert!((value - next).abs() < 1e-7, "{value} {next}");
    }
}

/// What the fraction takes most terms for: the mean of the largest parameters.
#[test]
fn a_hundred_million_events_are_no_limit() {
    let (a, b) = (0.3e8, 0.7e8);
    for part in [0.3 - 1e-4, 0.3, 0.3 + 1e-4] {
        let x = Point::of(part, 1.0 - part);
        let next = libm::log((a * libm::exp(above_ln(a, b, x)) + 1.0) / ((a + b) * x.part));
        assert!((above_ln(a + 1.0, b, x) - next).abs() < 1e-6);
    }
}
