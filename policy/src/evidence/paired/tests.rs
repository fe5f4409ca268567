use proptest::prelude::*;

use super::super::counts::Ratio;
use super::super::tests::{Chance, often};
use super::super::{Direction, boundary_ln};
use super::*;

const BOUND_PPM: u32 = 50_000;
const PLAIN: Margins = Margins { tolerance_ppm: 0, margin_ppm: 20_000 };
const ONE_PPM: i32 = 1_000_000;

fn learnt(margins: Margins, differences_ppm: &[i32]) -> Differences {
    let mut seen = Differences::new(margins);
    for difference_ppm in differences_ppm {
        seen.learn(*difference_ppm);
    }
    seen
}

fn margins() -> impl Strategy<Value = Margins> {
    (0..500_000_u32, 1..400_000_u32).prop_map(|(tolerance_ppm, more)| Margins {
        tolerance_ppm,
        margin_ppm: tolerance_ppm + more,
    })
}

proptest! {
    /// Where the mean difference is at the null's bound, the next bet wins nothing on average: it
    /// knows the past only. Any two differences about the bound show it.
    #[test]
    fn at_the_bound_no_bet_wins_on_average(
        margins in margins(),
        past in prop::collection::vec(-ONE_PPM..=ONE_PPM, 0..60),
        low_ppm in -ONE_PPM..0,
        high_ppm in 900_000..=ONE_PPM,
    ) {
        let now = learnt(margins, &past);
        let then = |difference_ppm: i32| {
            let mut then = now;
            then.learn(difference_ppm);
            then.evidence()
        };
        let (low, high) = (then(low_ppm), then(high_ppm));
        for (direction, bound_ppm) in [
            (Direction::Revert, margins.tolerance_ppm),
            (Direction::Promote, margins.margin_ppm),
        ] {
            let (bound, least) = (f64::from(bound_ppm), f64::from(low_ppm));
            let chance = (bound - least) / (f64::from(high_ppm) - least);
            let next = |then: Evidence| libm::exp(then.of(direction) - now.evidence().of(direction));
            let mean = chance * next(high) + (1.0 - chance) * next(low);
            prop_assert!((mean - 1.0).abs() < 1e-9, "{direction:?} {mean}");
        }
    }

    /// A loss of a bet leaves something, and evidence is always a number.
    #[test]
    fn no_bet_loses_all(
        margins in margins(),
        past in prop::collection::vec(prop_oneof![Just(i32::MIN), Just(i32::MAX), any::<i32>()], 0..200),
    ) {
        let evidence = learnt(margins, &past).evidence();
        prop_assert!(evidence.revert_ln.is_finite() && evidence.promote_ln.is_finite());
    }

    /// The order of pairs changes nothing, and those of several places may be added.
    #[test]
    fn pairs_have_no_order(events in prop::collection::vec((any::<bool>(), any::<bool>()), 0..200)) {
        let mut forwards = Pairs::default();
        let mut places = [Pairs::default(); 2];
        for (place, (candidate, incumbent)) in events.iter().enumerate() {
            forwards.learn(*candidate, *incumbent);
            places[place % 2].learn(*candidate, *incumbent);
        }
        let mut backwards = Pairs::default();
        for (candidate, incumbent) in events.iter().rev() {
            backwards.learn(*candidate, *incumbent);
        }
        let mut merged = places[1];
        merged.merge(places[0]);
        prop_assert_eq!(forwards, backwards);
        prop_assert_eq!(forwards, merged);
    }

    /// Bets of two places are evidence together: their logarithms add, and their counts.
    #[test]
    fn bets_of_two_places_add(
        one in prop::collection::vec(-ONE_PPM..=ONE_PPM, 0..60),
        other in prop::collection::vec(-ONE_PPM..=ONE_PPM, 0..60),
    ) {
        let (first, second) = (learnt(PLAIN, &one), learnt(PLAIN, &other));
        let mut merged = first;
        merged.merge(&second);
        let evidence = first.evidence().and(second.evidence());
        prop_assert_eq!(merged.evidence(), evidence);
        prop_assert_eq!(merged.events(), first.events() + second.events());
    }
}

/// A candidate that alone gets some wrong, and an incumbent that does: in how many runs, looked at
/// after every event, either boundary was crossed, by bets and by pairs, and after how many events
/// the bets reverted.
struct Runs {
    reverts: u32,
    promotes: u32,
    pair_reverts: u32,
    median: usize,
}

fn runs(count: u32, events: usize, candidate_only: f64, incumbent_only: f64) -> Runs {
    let test = Ratio::of_pairs(PLAIN);
    let mut chance = Chance(3);
    let mut all = Runs { reverts: 0, promotes: 0, pair_reverts: 0, median: usize::MAX };
    let mut when = Vec::new();
    let boundary = boundary_ln(BOUND_PPM);
    for _ in 0..count {
        let (mut bets, mut pairs) = (Differences::new(PLAIN), Pairs::default());
        let (mut reverted, mut promoted, mut by_pairs) = (None, false, false);
        for event in 1..=events {
            let drawn = chance.part();
            let candidate = drawn < candidate_only;
            let incumbent = !candidate && drawn < candidate_only + incumbent_only;
            bets.learn(if candidate {
                ONE_PPM
            } else if incumbent {
                -ONE_PPM
            } else {
                0
            });
            pairs.learn(candidate, incumbent);
            if reverted.is_none() && bets.evidence().revert_ln >= boundary {
                reverted = Some(event);
            }
            promoted |= bets.evidence().promote_ln >= boundary;
            if candidate || incumbent {
                let (worse, better) = (pairs.candidate_only, pairs.incumbent_only);
                by_pairs |= test.grown(worse, better, 1.0).revert_ln >= boundary;
            }
        }
        all.reverts += u32::from(reverted.is_some());
        all.promotes += u32::from(promoted);
        all.pair_reverts += u32::from(by_pairs);
        when.push(reverted.unwrap_or(usize::MAX));
    }
    when.sort_unstable();
    all.median = when[when.len() / 2];
    all
}

#[test]
fn a_candidate_as_good_is_reverted_no_more_often_than_agreed() {
    let Runs { reverts, pair_reverts, .. } = runs(400, 2_000, 0.05, 0.05);
    assert!(reverts <= often(0.05, 400), "{reverts} of 400 by bets");
    assert!(pair_reverts <= often(0.05, 400), "{pair_reverts} of 400 by pairs");
}

#[test]
fn a_candidate_worse_by_the_margin_is_promoted_no_more_often_than_agreed() {
    let Runs { promotes, .. } = runs(400, 2_000, 0.06, 0.04);
    assert!(promotes <= often(0.05, 400), "{promotes} of 400");
}

/// 7 % against 5 % of errors, of which 4.5 % are the same: pairs find in hundreds of events what
/// arms that share the traffic find in thousands.
#[test]
fn on_the_same_events_hundreds_tell() {
    let Runs { reverts, promotes, pair_reverts, median } = runs(100, 3_000, 0.025, 0.005);
    assert!(reverts >= 98 && pair_reverts >= 98, "{reverts} {pair_reverts}");
    assert!(promotes <= often(0.05, 100), "{promotes}");
    assert!((300..1_100).contains(&median), "{median}");
}

/// What is better by two percent is promoted.
#[test]
fn what_is_better_passes() {
    let Runs { reverts, promotes, .. } = runs(100, 3_000, 0.005, 0.025);
    assert!(reverts == 0 && promotes >= 98, "{reverts} {promotes}");
}
