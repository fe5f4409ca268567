//! Points: what each soft part of a wish is worth. Together 100,000.
//!
//! Always true: more points for a better figure, never fewer; no part passes its maximum.

use types::Grade;

use super::data::Fit;

/// Text: half of them at an index score of 2, more slowly from there.
pub(super) const TEXT_MAX: u64 = 50_000;
/// Data at hand: all when equal, three quarters when covered, none when unknown.
pub(super) const DATA_MAX: u64 = 22_000;
/// Accuracy: in proportion; 85 % of that when measured here, 60 % when claimed.
pub(super) const ACCURACY_MAX: u64 = 12_000;
/// Latency: all at a microsecond, falling with each doubling, none from a second on.
pub(super) const LATENCY_MAX: u64 = 6_000;
/// Memory: all at a mebibyte, falling with each doubling, none from a tebibyte on.
pub(super) const MEMORY_MAX: u64 = 4_000;
/// Uses: rising with each doubling, all at a million.
pub(super) const USES_MAX: u64 = 6_000;

/// The index score, in thousandths, that earns half of the points for text.
const TEXT_HALF_MILLI: u64 = 2_000;
/// Doublings from all points to none, in thousandths: a million times as much.
const DOUBLINGS_MILLI: u64 = 20_000;

pub(super) fn text(score_milli: u64) -> u64 {
    let score_milli = u128::from(score_milli);
    share(TEXT_MAX, score_milli, score_milli + u128::from(TEXT_HALF_MILLI))
}

pub(super) fn data(fit: &Fit) -> u64 {
    match fit {
        Fit::Equal => DATA_MAX,
        Fit::Covered { .. } => DATA_MAX * 3 / 4,
        Fit::Unknown | Fit::Differs { .. } => 0,
    }
}

pub(super) fn accuracy(ppm: u64, grade: Grade) -> u64 {
    let trust = match grade {
        Grade::Claimed => 60,
        Grade::Measured => 85,
        Grade::Verified => 100,
    };
    share(ACCURACY_MAX * trust / 100, ppm.min(1_000_000).into(), 1_000_000)
}

pub(super) fn latency(us: u64) -> u64 {
    LATENCY_MAX - falling(LATENCY_MAX, log2_milli(us))
}

pub(super) fn memory(bytes: u64) -> u64 {
    MEMORY_MAX - falling(MEMORY_MAX, log2_milli(bytes >> 20))
}

pub(super) fn uses(uses: u64) -> u64 {
    falling(USES_MAX, log2_milli(uses.saturating_add(1)))
}

/// The part of `most` that this many doublings make.
fn falling(most: u64, doublings_milli: u64) -> u64 {
    share(most, doublings_milli.min(DOUBLINGS_MILLI).into(), DOUBLINGS_MILLI.into())
}

/// `most` times `part` over `whole`, rounded down. `part` is at most `whole`.
fn share(most: u64, part: u128, whole: u128) -> u64 {
    u64::try_from(u128::from(most) * part / whole).unwrap_or(most)
}

/// The logarithm to base 2 in thousandths: exact at powers of two, a straight line between them;
/// 0 for 0.
fn log2_milli(value: u64) -> u64 {
    let Some(whole) = value.checked_ilog2() else { return 0 };
    let floor = 1_u64 << whole;
    let rest = u128::from(value - floor) * 1_000 / u128::from(floor);
    u64::from(whole) * 1_000 + u64::try_from(rest).unwrap_or(999)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The larger number never has the smaller logarithm.
        #[test]
        fn the_logarithm_never_falls(one: u64, more: u32) {
            prop_assert!(log2_milli(one) <= log2_milli(one.saturating_add(more.into())));
        }

        /// Better figures never earn less, and no part earns more than its share.
        #[test]
        fn better_never_earns_less(one: u64, more: u32) {
            let other = one.saturating_add(u64::from(more));
            prop_assert!(text(one) <= text(other) && text(other) <= TEXT_MAX);
            prop_assert!(uses(one) <= uses(other) && uses(other) <= USES_MAX);
            prop_assert!(latency(one) >= latency(other) && latency(one) <= LATENCY_MAX);
            prop_assert!(memory(one) >= memory(other) && memory(one) <= MEMORY_MAX);
            for grade in [Grade::Claimed, Grade::Measured, Grade::Verified] {
                prop_assert!(accuracy(one, grade) <= accuracy(other, grade));
                prop_assert!(accuracy(other, grade) <= ACCURACY_MAX);
            }
        }
    }

    #[test]
    fn the_parts_together_make_a_hundred_thousand() {
        let most = TEXT_MAX + DATA_MAX + ACCURACY_MAX + LATENCY_MAX + MEMORY_MAX + USES_MAX;
        assert_eq!(most, 100_000);
    }

    #[test]
    fn the_parts_are_worth_what_is_written() {
        assert_eq!((text(0), text(2_000)), (0, TEXT_MAX / 2));
        assert_eq!(accuracy(1_000_000, Grade::Claimed), 7_200);
        assert_eq!(accuracy(1_000_000, Grade::Measured), 10_200);
        assert_eq!((latency(1), latency(1 << 20), latency(u64::MAX)), (LATENCY_MAX, 0, 0));
        assert_eq!((memory(1 << 20), memory(1 << 40)), (MEMORY_MAX, 0));
        assert_eq!((uses(0), uses((1 << 20) - 1), uses(u64::MAX)), (0, USES_MAX, USES_MAX));
    }
}
