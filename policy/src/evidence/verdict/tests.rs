use proptest::prelude::*;

use super::super::counts::{Arm, Counts};
use super::super::mean::{Bounds, Moments};
use super::super::paired::{Differences, Pairs};
use super::super::{LN_MAX, Margins};
use super::*;

const MARGINS: Margins = Margins { tolerance_ppm: 100_000, margin_ppm: 500_000 };
const DEADLINE: Deadline = Deadline { events_max: 100_000, until_ms: 1_000_000 };
const EARLY: Progress = Progress { events: 1_000, now_ms: 1_000 };

fn pairs(candidate_only: u64, incumbent_only: u64) -> Watch {
    Watch::Pairs { margins: MARGINS, seen: Pairs { events: 1_000, candidate_only, incumbent_only } }
}

fn guardrail(watch: Watch) -> Guardrail {
    Guardrail { alpha_ppm: 20_000, beta_ppm: 50_000, watch, carried: Evidence::default() }
}

fn named(watches: &[(&str, Watch)]) -> BTreeMap<String, Guardrail> {
    watches.iter().map(|(name, watch)| ((*name).to_owned(), guardrail(*watch))).collect()
}

fn judged(watches: &[(&str, Watch)], progress: Progress) -> Verdict {
    let mut verdict = Verdict::default();
    verdict.judge(&named(watches), DEADLINE, progress);
    verdict
}

fn text(standings: &[Standing]) -> String {
    standings.iter().map(Standing::to_string).collect::<Vec<_>>().join("\n")
}

const BAD: (u64, u64) = (40, 5);
const GOOD: (u64, u64) = (5, 60);

#[test]
fn one_reverts_and_all_promote() {
    let (bad, good, few) = (pairs(BAD.0, BAD.1), pairs(GOOD.0, GOOD.1), pairs(2, 2));
    let answer = |watches: &[Watch]| {
        let names = ["accuracy", "errors", "latency"];
        let watched: Vec<_> = names.into_iter().zip(watches.iter().copied()).collect();
        judged(&watched, EARLY).answer()
    };
    assert_eq!(answer(&[good, good, good]), Answer::Promote);
    assert_eq!(answer(&[good, few, good]), Answer::KeepSampling);
    assert_eq!(answer(&[good, few, bad]), Answer::Revert);
    assert_eq!(answer(&[]), Answer::KeepSampling);
}

#[test]
fn without_a_decision_the_deadline_reverts() {
    for progress in
        [Progress { events: 100_000, now_ms: 0 }, Progress { events: 0, now_ms: 1_000_000 }]
    {
        let verdict = judged(&[("errors", pairs(2, 2))], progress);
        assert_eq!(verdict.answer(), Answer::Inconclusive);
        assert!(verdict.answer().reverts());
        assert_eq!(verdict.reasons().len(), 2);
        // What is decided in the last moment is decided.
        let verdict = judged(&[("errors", pairs(GOOD.0, GOOD.1))], progress);
        assert_eq!(verdict.answer(), Answer::Promote);
    }
}

#[test]
fn a_guardrail_that_has_passed_is_watched_until_all_have() {
    let mut verdict = Verdict::default();
    let (good, few) = (pairs(GOOD.0, GOOD.1), pairs(2, 2));
    verdict.judge(&named(&[("errors", good), ("latency", few)]), DEADLINE, EARLY);
    assert!(verdict.passed().contains_key("errors"));
    // It stays passed though its evidence falls again, and reverts where it turns bad.
    let mut later = verdict.clone();
    later.judge(&named(&[("errors", few), ("latency", good)]), DEADLINE, EARLY);
    assert_eq!(later.answer(), Answer::Promote);
    assert!(later.reasons().iter().all(Standing::suffices));
    verdict.judge(&named(&[("errors", pairs(200, 60)), ("latency", few)]), DEADLINE, EARLY);
    assert_eq!(verdict.answer(), Answer::Revert);
}

/// Worse by a quarter is more than is tolerated, and less than is refused: many events show both.
#[test]
fn where_both_happen_at_once_it_is_reverted() {
    let watch = pairs(12_500, 10_000);
    assert!(guardrail(watch).standing("errors", Direction::Promote).suffices());
    assert_eq!(judged(&[("errors", watch)], EARLY).answer(), Answer::Revert);
}

#[test]
fn evidence_is_carried_from_stage_to_stage() {
    let stage = guardrail(pairs(13, 2));
    let alone = BTreeMap::from([("errors".to_owned(), stage)]);
    let carried = BTreeMap::from([("errors".to_owned(), stage.next_stage(pairs(13, 2)))]);
    let mut verdict = Verdict::default();
    assert_eq!(verdict.judge(&alone, DEADLINE, EARLY), Answer::KeepSampling);
    assert_eq!(verdict.judge(&carried, DEADLINE, EARLY), Answer::Revert);
    // Another share is another stage; other margins, and rates after pairs, are another question.
    let rates = |share_ppm, margins| {
        let arm = |bad| Arm { events: 1_000, bad };
        let seen = Counts { candidate: arm(30), incumbent: arm(10) };
        Watch::Rates { share_ppm, margins, seen }
    };
    let first = guardrail(rates(500_000, MARGINS));
    assert_eq!(first.next_stage(rates(600_000, MARGINS)).carried, first.evidence());
    let wider = Margins { tolerance_ppm: 200_000, ..MARGINS };
    for other in [rates(500_000, wider), pairs(13, 2)] {
        assert_eq!(first.next_stage(other).carried, Evidence::default());
    }
}

/// What a judge of bucket medians let pass, as wins and losses of a candidate over its buckets, or as
/// counts; at a bound of 5 %.
#[test]
fn what_other_judges_let_pass_is_not_promoted() {
    let plain = Margins { tolerance_ppm: 0, margin_ppm: 500_000 };
    let judge = |watch: Watch| {
        let guardrail = Guardrail { alpha_ppm: 50_000, ..guardrail(watch) };
        let mut verdict = Verdict::default();
        verdict.judge(&BTreeMap::from([("errors".to_owned(), guardrail)]), DEADLINE, EARLY)
    };
    let buckets = |candidate: &[u32], incumbent: &[u32]| {
        let mut seen = Pairs::default();
        for (candidate, incumbent) in candidate.iter().zip(incumbent) {
            seen.learn(candidate > incumbent, incumbent > candidate);
        }
        judge(Watch::Pairs { margins: plain, seen })
    };
    let counts = |candidate: u64, incumbent: u64| {
        let arm = |bad| Arm { events: 1_000, bad };
        let seen = Counts { candidate: arm(candidate), incumbent: arm(incumbent) };
        judge(Watch::Rates { share_ppm: 500_000, margins: plain, seen })
    };
    // A hundred errors in seven of ten buckets, against one in each.
    assert_eq!(buckets(&[100, 100, 100, 100, 100, 100, 100, 1, 1, 1], &[1; 10]), Answer::Revert);
    assert_eq!(counts(703, 10), Answer::Revert);
    // Errors in three of six buckets against none: not enough to revert, and nothing to pass.
    assert_eq!(buckets(&[0, 1, 2, 1, 0, 0], &[0; 6]), Answer::KeepSampling);
    assert_eq!(counts(4, 0), Answer::KeepSampling);
    // Errors against none at all, as metrics that are missing where they are nothing.
    assert_eq!(counts(60, 0), Answer::Revert);
    assert_eq!(buckets(&[3, 5, 2, 8, 1, 4, 6], &[0; 7]), Answer::Revert);
    // A status, 307, that only the candidate gives.
    assert_eq!(counts(307, 0), Answer::Revert);
    // The same mean with a larger spread: slower than the limit at times, as the incumbent never is.
    let (wide, narrow) = ([50, 150].repeat(20), [99, 101].repeat(20));
    let mut seen = Pairs::default();
    for (candidate, incumbent) in wide.iter().zip(&narrow) {
        seen.learn(*candidate > 120, *incumbent > 120);
    }
    assert_eq!(judge(Watch::Pairs { margins: plain, seen }), Answer::Revert);
    // No events are no reason, neither for nor against; ties are none either.
    assert_eq!(counts(0, 0), Answer::KeepSampling);
    assert_eq!(buckets(&[1; 50], &[1; 50]), Answer::KeepSampling);
}

fn watches() -> impl Strategy<Value = Watch> {
    let counts = (0..200_u64, 0..200_u64);
    prop_oneof![
        counts.clone().prop_map(|(candidate, incumbent)| pairs(candidate, incumbent)),
        counts.clone().prop_map(|(candidate, incumbent)| {
            let arm = |bad| Arm { events: 1_000, bad };
            let seen = Counts { candidate: arm(candidate), incumbent: arm(incumbent) };
            Watch::Rates { share_ppm: 500_000, margins: MARGINS, seen }
        }),
        prop::collection::vec(-1_000_000..=1_000_000_i32, 0..40).prop_map(|differences| {
            let mut seen = Differences::new(MARGINS);
            for difference in differences {
                seen.learn(difference);
            }
            Watch::Differences { seen }
        }),
        prop::collection::vec(-50..100_i64, 90..150).prop_map(|values| {
            let mut seen = Moments::default();
            for value in values {
                seen.learn(value);
            }
            let bounds =
                Bounds { tolerance: 0, margin: 10, events_planned: 1_000, bound_ppm: 50_000 };
            Watch::Mean { bounds, seen }
        }),
    ]
}

proptest! {
    /// What was decided first stays, whatever comes.
    #[test]
    fn the_first_answer_stays(steps in prop::collection::vec((watches(), watches()), 1..20)) {
        let mut verdict = Verdict::default();
        let mut decided: Option<Verdict> = None;
        for (one, other) in steps {
            verdict.judge(&named(&[("accuracy", one), ("errors", other)]), DEADLINE, EARLY);
            if let Some(decided) = &decided {
                prop_assert_eq!(decided, &verdict);
            } else if verdict.answer() != Answer::KeepSampling {
                prop_assert!(verdict.reasons().iter().all(Standing::suffices));
                decided = Some(verdict.clone());
            }
        }
    }

    /// What is kept is all that is needed: written and read again, it goes on as it would have, but
    /// for the last digit of a number, which JSON may round.
    #[test]
    fn it_survives_being_kept(before in watches(), after in watches()) {
        let guardrails = named(&[("errors", before)]);
        let text = serde_json::to_string(&guardrails).unwrap();
        let read: BTreeMap<String, Guardrail> = serde_json::from_str(&text).unwrap();
        let (kept, was) = (read["errors"].evidence(), guardrails["errors"].evidence());
        prop_assert!((kept.revert_ln - was.revert_ln).abs() < 1e-9);
        prop_assert!((kept.promote_ln - was.promote_ln).abs() < 1e-9);
        let mut verdict = Verdict::default();
        verdict.judge(&guardrails, DEADLINE, EARLY);
        let text = serde_json::to_string(&verdict).unwrap();
        let mut kept: Verdict = serde_json::from_str(&text).unwrap();
        let later = named(&[("errors", after)]);
        prop_assert_eq!(kept.judge(&later, DEADLINE, EARLY), verdict.judge(&later, DEADLINE, EARLY));
    }

    /// As many more events as were estimated suffice where they are like those so far, and a tenth
    /// less does not.
    #[test]
    fn the_estimate_is_what_is_needed(candidate in 0..30_u64, incumbent in 0..30_u64) {
        let watch = |factor: u64| Watch::Pairs {
            margins: MARGINS,
            seen: Pairs {
                events: 1_000_000 * factor,
                candidate_only: candidate * factor,
                incumbent_only: incumbent * factor,
            },
        };
        for direction in [Direction::Revert, Direction::Promote] {
            let reached = |factor| watch(factor).evidence().of(direction) >= boundary_ln(50_000);
            match watch(1).events_more(direction, boundary_ln(50_000)) {
                Some(0) => prop_assert!(reached(1)),
                Some(more) => {
                    let factor = more.div_ceil(1_000_000) + 1;
                    prop_assert!(reached(factor), "{factor}");
                    prop_assert!(factor == 2 || !reached((factor - 2).max(1)), "{factor}");
                }
                None => prop_assert!(!reached(1) && !reached(1_000)),
            }
        }
    }
}

#[test]
fn reasons_are_sentences_with_numbers() {
    let arm = |events, bad| Arm { events, bad };
    let counts = Counts { candidate: arm(1_000, 31), incumbent: arm(19_000, 160) };
    let rates = Watch::Rates { share_ppm: 50_000, margins: MARGINS, seen: counts };
    let mut differences = Differences::new(Margins { tolerance_ppm: 5_000, margin_ppm: 20_000 });
    let mut moments = Moments::default();
    for event in 0..600 {
        differences.learn(if event % 40 == 0 { 1_000_000 } else { 0 });
        moments.learn(if event % 2 == 0 { 12 } else { -4 });
    }
    let bounds = Bounds { tolerance: 3, margin: 5, events_planned: 1_000, bound_ppm: 50_000 };
    let verdict = judged(&[("errors", rates), ("timeouts", pairs(2, 2))], EARLY);
    assert_eq!(verdict.answer(), Answer::Revert);
    insta::assert_snapshot!("a_verdict_tells_why", text(verdict.reasons()));
    let open = named(&[
        ("accuracy", Watch::Differences { seen: differences }),
        ("latency_ms", Watch::Mean { bounds, seen: moments }),
        ("timeouts", pairs(2, 9)),
    ]);
    insta::assert_snapshot!("how_it_stands", text(&Verdict::default().standings(&open)));
}

#[test]
fn bounds_are_the_sum_and_the_largest() {
    let mut guardrails = named(&[("errors", pairs(0, 0)), ("latency", pairs(0, 0))]);
    guardrails.get_mut("latency").unwrap().beta_ppm = 70_000;
    assert_eq!(false_revert_ppm(&guardrails), 40_000);
    assert_eq!(false_promote_ppm(&guardrails), 70_000);
    assert_eq!(check(&guardrails), Ok(()));
}

#[test]
fn what_cannot_be_watched_is_refused_in_words() {
    let good = guardrail(pairs(0, 0));
    let one = |guardrail: Guardrail| BTreeMap::from([("errors".to_owned(), guardrail)]);
    let many = (0..=GUARDRAILS_MAX).map(|number| (number.to_string(), good)).collect();
    let same = Margins { tolerance_ppm: 5, margin_ppm: 5 };
    let high = Guardrail { alpha_ppm: 600_000, ..good };
    let cases = [
        BTreeMap::new(),
        many,
        one(Guardrail { alpha_ppm: 0, ..good }),
        one(Guardrail { beta_ppm: WHOLE_PPM, ..good }),
        one(Guardrail { watch: Watch::Pairs { margins: same, seen: Pairs::default() }, ..good }),
        BTreeMap::from([("errors".to_owned(), high), ("latency".to_owned(), high)]),
    ];
    let told: Vec<_> = cases.iter().map(|case| check(case).unwrap_err().to_string()).collect();
    insta::assert_snapshot!("what_cannot_be_watched", told.join("\n"));
    assert!(boundary_ln(1) < LN_MAX);
}
