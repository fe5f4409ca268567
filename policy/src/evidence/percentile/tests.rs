use proptest::prelude::*;

use super::super::tests::quotient;
use super::*;

const SURE_PPM: u32 = 990_000;

fn needed(percentile_ppm: u32, over: u64) -> u64 {
    let enough = |events: &u64| matches!(upper_rank(*events, percentile_ppm, SURE_PPM), Rank::Of(rank) if events - rank >= over);
    (1..10_000).find(enough).unwrap()
}

/// The load generator of MLPerf publishes how many queries a run needs of which none, one or two were
/// over the limit.
#[test]
fn the_published_totals_are_needed() {
    let totals = [
        (900_000, [44, 64, 81]),
        (950_000, [90, 130, 165]),
        (990_000, [459, 662, 838]),
        (999_000, [4_603, 6_636, 8_403]),
    ];
    for (percentile_ppm, totals) in totals {
        for (over, total) in (0..).zip(totals) {
            assert_eq!(needed(percentile_ppm, over), total, "{percentile_ppm} {over}");
        }
        let few = upper_rank(10, percentile_ppm, SURE_PPM);
        assert_eq!(few, Rank::NotEnough { events_needed: totals[0] });
    }
}

#[test]
fn without_events_the_need_is_told() {
    assert_eq!(upper_rank(0, 500_000, 750_000), Rank::NotEnough { events_needed: 2 });
    assert_eq!(upper_rank(2, 500_000, 750_000), Rank::Of(2));
    assert_eq!(lower_rank(2, 500_000, 750_000), Rank::Of(1));
    let most = upper_rank(0, u32::MAX, u32::MAX);
    assert!(matches!(most, Rank::NotEnough { events_needed } if events_needed < 1 << 24));
}

/// `P(Bin(n, q / 10) <= k - 1)`, from exact sums.
fn chance(n: u32, tenths: u32, k: u64) -> f64 {
    let (mut choose, mut sum) = (1_u128, 0_u128);
    for below in 0..k {
        let below = u32::try_from(below).unwrap();
        sum += choose * u128::from(tenths).pow(below) * u128::from(10 - tenths).pow(n - below);
        choose = choose * u128::from(n - below) / u128::from(below + 1);
    }
    quotient(sum, 10_u128.pow(n))
}

proptest! {
    /// The rank is the smallest that the exact sums allow.
    #[test]
    fn the_rank_is_the_smallest(n in 1..30_u32, tenths in 1..10_u32, sure_ppm in 1..1_000_000_u32) {
        let sure = f64::from(sure_ppm) / 1e6;
        let smallest = (1..=u64::from(n)).find(|k| chance(n, tenths, *k) >= sure);
        let rank = upper_rank(u64::from(n), tenths * 100_000, sure_ppm);
        match (smallest, rank) {
            (Some(smallest), _) => prop_assert_eq!(rank, Rank::Of(smallest)),
            (None, Rank::Of(_)) => prop_assert!(false, "{rank:?} of {n}"),
            (None, Rank::NotEnough { events_needed }) => prop_assert!(events_needed > u64::from(n)),
        }
    }

    /// Who is surer, asks for a higher percentile, or has fewer events is told a higher part of them;
    /// and the bounds are on either side.
    #[test]
    fn ranks_rise(n in 1..50_000_u64, q in 1..999_999_u32, sure_ppm in 500_000..999_999_u32) {
        let rank = |q, sure_ppm| match upper_rank(n, q, sure_ppm) {
            Rank::Of(rank) => rank,
            Rank::NotEnough { .. } => u64::MAX,
        };
        prop_assert!(rank(q, sure_ppm) <= rank(q + 1, sure_ppm));
        prop_assert!(rank(q, sure_ppm) <= rank(q, sure_ppm + 1));
        if let Rank::Of(lower) = lower_rank(n, q, sure_ppm) {
            prop_assert!(lower <= rank(q, sure_ppm));
        }
    }
}
