use proptest::prelude::*;

use super::*;

/// Chance for simulations: the same from the same seed (`SplitMix64`).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Between nothing and one.
    pub(super) fn part(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap()) / 4_294_967_296.0
    }

    pub(super) fn happens(&mut self, chance: f64) -> bool {
        self.part() < chance
    }

    /// How many of so many events happen, by the gaps between them.
    pub(super) fn count(&mut self, events: u64, chance: f64) -> u64 {
        let (mut count, mut at) = (0, 0.0);
        loop {
            at += 1.0 + libm::floor(libm::log(1.0 - self.part()) / libm::log1p(-chance));
            if at > float(events) {
                return count;
            }
            count += 1;
        }
    }
}

/// A bound on how often something with a chance of `bound` happens in so many runs: three standard
/// deviations more.
pub(super) fn often(bound: f64, runs: u32) -> u32 {
    let mean = bound * f64::from(runs);
    u32::try_from(whole(mean + 3.0 * (mean * (1.0 - bound)).sqrt())).unwrap()
}

/// Of sums that are exact.
#[allow(clippy::cast_precision_loss, reason = "each is rounded once")]
pub(super) fn quotient(above: u128, below: u128) -> f64 {
    above as f64 / below as f64
}

fn evidence() -> impl Strategy<Value = Evidence> {
    (-50.0..50.0_f64, -50.0..50.0_f64)
        .prop_map(|(revert_ln, promote_ln)| Evidence { revert_ln, promote_ln })
}

proptest! {
    /// The mean lies between the least and the largest, and that of equal ones is the same.
    #[test]
    fn a_mean_is_between(one in evidence(), other in evidence()) {
        let mean = Evidence::mean(&[one, other]).revert_ln;
        prop_assert!(mean >= one.revert_ln.min(other.revert_ln) - 1e-9);
        prop_assert!(mean <= one.revert_ln.max(other.revert_ln) + 1e-9);
        let same = Evidence::mean(&[one, one, one]);
        prop_assert!((same.promote_ln - one.promote_ln).abs() < 1e-9);
    }
}

#[test]
fn stages_multiply_and_stay_finite() {
    let one = Evidence { revert_ln: 1.5, promote_ln: -2.0 };
    assert_eq!(one.and(one), Evidence { revert_ln: 3.0, promote_ln: -4.0 });
    let most = Evidence { revert_ln: LN_MAX, promote_ln: f64::NAN };
    assert_eq!(most.and(most), Evidence { revert_ln: LN_MAX, promote_ln: -LN_MAX });
    assert_eq!(Evidence::mean(&[]), Evidence::default());
}

#[test]
fn a_boundary_is_one_over_the_bound() {
    assert!((libm::exp(boundary_ln(50_000)) - 20.0).abs() < 1e-12);
    assert!(boundary_ln(0) > LN_MAX);
}

#[test]
fn numbers_read_well() {
    let shown = [0.0, 3.2189, -9.0, 40.0].map(|ln| Shown(ln).to_string());
    assert_eq!(shown, ["1.00", "25.00", "less than 0.01", "more than a million"]);
    let percents = [50_000, 12_500, 1_000_000, 1].map(|ppm| Percent(ppm).to_string());
    assert_eq!(percents, ["5 %", "1.25 %", "100 %", "0.0001 %"]);
}
