use proptest::prelude::*;

use super::super::tests::{Chance, often};
use super::super::{Direction, LN_MAX, boundary_ln};
use super::*;

const ALPHA_PPM: u32 = 50_000;
const PLAIN: Margins = Margins { tolerance_ppm: 0, margin_ppm: 500_000 };

fn of(test: &Ratio, candidate: u64, incumbent: u64) -> Evidence {
    test.grown(candidate, incumbent, 1.0)
}

/// Whether it is not at an end.
fn within(evidence: Evidence) -> bool {
    evidence.revert_ln.abs().max(evidence.promote_ln.abs()) < LN_MAX
}

fn value(ln: f64) -> f64 {
    libm::exp(ln)
}

fn tests() -> impl Strategy<Value = (u32, Margins)> {
    (1_000..999_000_u32, 0..1_000_000_u32, 1..2_000_000_u32).prop_map(|(share, tolerance, more)| {
        (share, Margins { tolerance_ppm: tolerance, margin_ppm: tolerance + more })
    })
}

/// The evidence after one bad event more, of the candidate's and of the incumbent's.
fn after(test: &Ratio, candidate: u64, incumbent: u64) -> (Evidence, Evidence) {
    (of(test, candidate + 1, incumbent), of(test, candidate, incumbent + 1))
}

/// The candidate's part of bad events where its rate is so many times the incumbent's.
fn part_of_bad(share: f64, ratio: f64) -> f64 {
    share * ratio / (share * ratio + 1.0 - share)
}

proptest! {
    /// At its null's bound the evidence is expected to stay as it is, whatever was seen: that is what
    /// makes it evidence, and no formula but the right one does it.
    #[test]
    fn at_the_bound_nothing_is_won_on_average(
        (share_ppm, margins) in tests(),
        candidate in 0..300_u64,
        incumbent in 0..300_u64,
    ) {
        let test = Ratio::of_rates(share_ppm, margins);
        let now = of(&test, candidate, incumbent);
        let (worse, better) = after(&test, candidate, incumbent);
        prop_assume!(within(worse) && within(better));
        for (direction, ppm) in [
            (Direction::Revert, margins.tolerance_ppm),
            (Direction::Promote, margins.margin_ppm),
        ] {
            let chance = part_of_bad(part(share_ppm) / 1e6, 1.0 + part(ppm) / 1e6);
            let next = |then: Evidence| value(then.of(direction) - now.of(direction));
            let mean = chance * next(worse) + (1.0 - chance) * next(better);
            prop_assert!((mean - 1.0).abs() < 1e-9, "{direction:?} {mean}");
        }
    }

    /// What the candidate gets wrong speaks for a reversal and against a promotion, and the reverse:
    /// so inside of a null evidence is expected to fall.
    #[test]
    fn evidence_follows_what_is_seen(
        (share_ppm, margins) in tests(),
        candidate in 0..300_u64,
        incumbent in 0..300_u64,
    ) {
        let test = Ratio::of_rates(share_ppm, margins);
        let (worse, better) = after(&test, candidate, incumbent);
        prop_assume!(within(worse) && within(better));
        prop_assert!(worse.revert_ln > better.revert_ln);
        prop_assert!(worse.promote_ln < better.promote_ln);
    }

    /// Counts of several places, added in any order, are the counts of one.
    #[test]
    fn places_may_be_added(seen in prop::collection::vec((any::<bool>(), any::<bool>()), 0..200)) {
        let mut whole = Counts::default();
        let mut places = [Counts::default(); 3];
        for (place, (candidate, bad)) in seen.iter().enumerate() {
            for counts in [&mut whole, &mut places[place % 3]] {
                let arm = if *candidate { &mut counts.candidate } else { &mut counts.incumbent };
                arm.learn(*bad);
            }
        }
        let mut merged = places[2];
        merged.merge(places[0]);
        merged.merge(places[1]);
        prop_assert_eq!(merged, whole);
    }
}

#[test]
fn nothing_seen_is_no_evidence() {
    let evidence = Ratio::of_rates(0, PLAIN).evidence(&Counts::default());
    assert_eq!((evidence.revert_ln, evidence.promote_ln), (0.0, 0.0));
}

#[test]
fn pairs_at_even_odds_are_the_plain_sum() {
    let test = Ratio::of_pairs(PLAIN);
    for (wins, expected) in [(7_u64, 31.875), (3, 3.75)] {
        assert!((value(of(&test, wins, 0).revert_ln) - expected).abs() < 1e-10);
    }
}

#[test]
fn an_incumbent_without_errors_is_nothing_special() {
    let test = Ratio::of_rates(500_000, PLAIN);
    assert!(of(&test, 4, 0).revert_ln < boundary_ln(ALPHA_PPM));
    assert!(of(&test, 40, 0).revert_ln > boundary_ln(ALPHA_PPM));
    assert!(of(&test, 0, 40).promote_ln > boundary_ln(ALPHA_PPM));
}

/// Which boundaries a run has crossed, looked at after every single bad event.
fn crossed(test: &Ratio, chance: &mut Chance, part: f64, bad_events: u64) -> [bool; 3] {
    let mut crossed = [false; 3];
    let (mut candidate, mut incumbent) = (0, 0);
    for _ in 0..bad_events {
        if chance.happens(part) {
            candidate += 1;
        } else {
            incumbent += 1;
        }
        let evidence = of(test, candidate, incumbent);
        crossed[0] |= evidence.revert_ln >= boundary_ln(ALPHA_PPM);
        crossed[1] |= evidence.promote_ln >= boundary_ln(ALPHA_PPM);
        // The test of one look, looked at every time.
        let (seen, all) = (float(candidate), float(candidate + incumbent));
        crossed[2] |= (seen - part * all) / (all * part * (1.0 - part)).sqrt() > 1.645;
    }
    crossed
}

fn rates(share_ppm: u32, ratio: f64, runs: u32) -> [u32; 3] {
    let test = Ratio::of_rates(share_ppm, PLAIN);
    let part = part_of_bad(part(share_ppm) / 1e6, ratio);
    let mut chance = Chance(7);
    let mut counts = [0; 3];
    for _ in 0..runs {
        let crossed = crossed(&test, &mut chance, part, 300);
        for (count, crossed) in counts.iter_mut().zip(crossed) {
            *count += u32::from(crossed);
        }
    }
    counts
}

#[test]
fn a_healthy_candidate_is_reverted_no_more_often_than_agreed() {
    const RUNS: u32 = 500;
    for share_ppm in [50_000, 500_000] {
        let [reverts, _, peeks] = rates(share_ppm, 1.0, RUNS);
        assert!(reverts <= often(0.05, RUNS), "{reverts} of {RUNS} reverted");
        assert!(peeks > often(0.05, RUNS), "a bound that does not hold is seen: {peeks}");
    }
}

#[test]
fn a_candidate_at_the_margin_is_promoted_no_more_often_than_agreed() {
    const RUNS: u32 = 500;
    for share_ppm in [50_000, 500_000] {
        let [_, promotes, _] = rates(share_ppm, 1.5, RUNS);
        assert!(promotes <= often(0.05, RUNS), "{promotes} of {RUNS} promoted");
    }
}

/// How many of 100 runs revert and promote, and the median events of the former, looked at every
/// 1,000 events up to 200,000, with a base rate of 1 %.
fn power(share_ppm: u32, bad: f64) -> (u32, u32, u64) {
    let (test, events) = (Ratio::of_rates(share_ppm, PLAIN), u64::from(share_ppm / 1_000));
    let mut chance = Chance(11);
    let (mut reverts, mut passes) = (Vec::new(), 0);
    for _ in 0..100 {
        let (mut candidate, mut incumbent) = (0, 0);
        let (mut reverted_at, mut goes_on) = (None, false);
        for look in 1..=200 {
            candidate += chance.count(events, bad);
            incumbent += chance.count(1_000 - events, 0.01);
            let evidence = of(&test, candidate, incumbent);
            if reverted_at.is_none() && evidence.revert_ln >= boundary_ln(ALPHA_PPM) {
                reverted_at = Some(look * 1_000);
            }
            goes_on |= evidence.promote_ln >= boundary_ln(ALPHA_PPM);
            if reverted_at.is_some() && goes_on {
                break;
            }
        }
        reverts.extend(reverted_at);
        passes += u32::from(goes_on);
    }
    reverts.sort_unstable();
    let median = reverts.get(reverts.len() / 2).copied().unwrap_or(u64::MAX);
    (u32::try_from(reverts.len()).unwrap(), passes, median)
}

#[test]
fn what_is_worse_is_found_and_what_is_not_passes() {
    let (reverts, promotes, _) = power(50_000, 0.01);
    assert!(reverts <= often(0.05, 100) && promotes >= 85, "{reverts} {promotes}");
    let (reverts, promotes, median) = power(50_000, 0.02);
    assert!(reverts >= 99 && promotes <= 3, "{reverts} {promotes}");
    assert!((10_000..25_000).contains(&median), "{median}");
    let (reverts, promotes, median) = power(500_000, 0.02);
    assert!(reverts == 100 && promotes <= 3, "{reverts} {promotes}");
    assert!((3_000..8_000).contains(&median), "{median}");
}

/// A limit of 1 % on the error rate of each of an hour's 60 buckets reverts nearly every candidate of
/// half that rate with 300 events in them: one bucket in fifteen is above by chance.
#[test]
fn a_healthy_candidate_outlives_an_hour_of_small_buckets() {
    const RUNS: u32 = 300;
    let test = Ratio::of_rates(500_000, PLAIN);
    let mut chance = Chance(5);
    let (mut by_limit, mut by_evidence) = (0, 0);
    for _ in 0..RUNS {
        let (mut candidate, mut incumbent) = (0, 0);
        let (mut above, mut reverts) = (false, false);
        for _ in 0..60 {
            let bad = chance.count(300, 0.005);
            above |= bad > 3;
            candidate += bad;
            incumbent += chance.count(300, 0.005);
            reverts |= of(&test, candidate, incumbent).revert_ln >= boundary_ln(ALPHA_PPM);
        }
        by_limit += u32::from(above);
        by_evidence += u32::from(reverts);
    }
    assert!(by_limit > RUNS * 9 / 10, "{by_limit} of {RUNS}");
    assert!(by_evidence <= often(0.05, RUNS), "{by_evidence} of {RUNS}");
}
