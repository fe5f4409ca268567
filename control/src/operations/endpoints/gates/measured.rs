//! What a run came to, as gates and triggers judge it.
//!
//! Always true: a region or group with few events has no value, but how many it takes; agreement and
//! the verdict are of all events.

use std::collections::BTreeMap;

use api::endpoints::{GateCondition, GateMetric, GateScope};
use api::runs::{
    Accuracy, Auc, Pairs, PlaceOutcome, RunOutcome, Times, VariantOutcome, recovery_us,
};
use policy::evidence::paired;
use policy::evidence::verdict::Answer;
use policy::gates::{self, Bounds, Condition, Key, Limit, Pair, Place, Scope, Snapshot, Value};
use policy::triggers::Beside;
use types::Name;

use crate::Error;

/// Events of each kind that an interval of the area under the curve takes.
const AUC_EVENTS_MIN: u64 = 2;
/// Requests, or events with a label, without which nothing is said of a run, or of a region or group:
/// as few as tell one bad of a hundred.
const EVENTS_MIN: u64 = 100;

/// A condition as it is judged.
pub(in crate::operations) fn condition(wanted: &GateCondition) -> Result<Condition, Error> {
    let GateCondition {
        metric,
        scope,
        at_most,
        at_least,
        at_most_of_incumbent_ppm,
        at_least_of_incumbent_ppm,
    } = wanted;
    let limits = [
        at_most.map(Limit::AtMost),
        at_least.map(Limit::AtLeast),
        at_most_of_incumbent_ppm.map(Limit::AtMostOfIncumbent),
        at_least_of_incumbent_ppm.map(Limit::AtLeastOfIncumbent),
    ];
    let mut limits = limits.into_iter().flatten();
    let is_of_all =
        matches!(metric, GateMetric::Verdict | GateMetric::AgreementPpm | GateMetric::RecoveryUs);
    if is_of_all && !scope.is_all() {
        let message = format!("{} is of all events: leave the region or group out", word(*metric));
        return Err(Error::invalid(message));
    }
    match (metric, limits.next(), limits.next()) {
        (GateMetric::Verdict, None, _) => Ok(Condition::Verdict),
        (GateMetric::Verdict, ..) => Err(Error::invalid("the verdict has no limit")),
        (_, Some(limit), None) => {
            let (metric, scope) = (word(*metric).to_owned(), scope_of(scope)?);
            Ok(Condition::Metric { metric, scope, limit })
        }
        _ => Err(Error::invalid(format!("{} needs one limit", word(*metric)))),
    }
}

fn scope_of(scope: &GateScope) -> Result<Scope, Error> {
    /// Longest name of a region or group: streams take none that is longer.
    const NAME_BYTES_MAX: usize = 256;
    let named = |name: &String| match name.len() {
        1..=NAME_BYTES_MAX => Ok(name.clone()),
        _ => Err(Error::invalid(format!("a region or group has 1 to {NAME_BYTES_MAX} bytes"))),
    };
    Ok(match scope {
        GateScope::All => Scope::All,
        GateScope::Region(region) => Scope::Region(named(region)?),
        GateScope::EachRegion => Scope::EachRegion,
        GateScope::Group(group) => Scope::Group(named(group)?),
        GateScope::EachGroup => Scope::EachGroup,
    })
}

/// What a metric is called.
pub(in crate::operations) const fn word(metric: GateMetric) -> &'static str {
    match metric {
        GateMetric::Requests => "requests",
        GateMetric::ResponseP50Us => "response_p50_us",
        GateMetric::ResponseP99Us => "response_p99_us",
        GateMetric::ServiceP50Us => "service_p50_us",
        GateMetric::ErrorsPpm => "errors_ppm",
        GateMetric::AccuracyPpm => "accuracy_ppm",
        GateMetric::PrecisionPpm => "precision_ppm",
        GateMetric::RecallPpm => "recall_ppm",
        GateMetric::AucPpm => "auc_ppm",
        GateMetric::CalibrationPpm => "calibration_ppm",
        GateMetric::RecoveryUs => "recovery_us",
        GateMetric::AgreementPpm => "agreement_ppm",
        GateMetric::Verdict => "verdict",
    }
}

/// What a run came to, of one of its variants and of what is in production, by their places in it.
pub(in crate::operations) fn snapshot(
    outcome: &RunOutcome,
    candidate: usize,
    incumbent: Option<usize>,
) -> Snapshot {
    let run = if outcome.valid {
        gates::Run::Valid
    } else {
        gates::Run::Invalid { reasons: outcome.reasons.clone() }
    };
    let other = incumbent.and_then(|place| outcome.variants.get(place));
    let pairs = incumbent.and_then(|incumbent| pairs(outcome, candidate, incumbent));
    let mut values: BTreeMap<Key, Pair> = BTreeMap::new();
    let mut add = |metric: GateMetric, place: Place, candidate: Value, incumbent: Value| {
        let key = Key { metric: word(metric).to_owned(), place };
        values.insert(key, Pair { candidate, incumbent });
    };
    if let Some(candidate) = outcome.variants.get(candidate) {
        for (metric, value) in measures() {
            let of = |it: &VariantOutcome| enough(metric, &Part::of(it), value);
            add(metric, Place::All, of(candidate), as_limit(other.map_or(Value::Missing, of)));
            let of = |it: &VariantOutcome| exact_of(recovery_us(&it.drills));
            add(
                GateMetric::RecoveryUs,
                Place::All,
                of(candidate),
                other.map_or(Value::Missing, of),
            );
            for told in &candidate.places {
                let Some(place) = place_of(told) else { continue };
                let beside = other
                    .and_then(|it| it.places.iter().find(|it| place_of(it) == Some(place.clone())));
                let of = |told: &PlaceOutcome| enough(metric, &Part::of_place(told), value);
                add(metric, place, of(told), as_limit(beside.map_or(Value::Missing, of)));
            }
        }
    }
    if let Some(Pairs { same, differ, .. }) = pairs {
        let (value, events) = (part(same, same + differ), same + differ);
        add(GateMetric::AgreementPpm, Place::All, of_enough(value, events), Value::Missing);
    }
    let (verdict, events_more) = pairs.as_ref().map(verdict).unzip();
    Snapshot { run, values, verdict, events_more: events_more.flatten() }
}

/// How two variants answered the same events, the candidate as the first one. Pairs are told of the
/// first variant of a run with each other one: of two others they are not known.
fn pairs(outcome: &RunOutcome, candidate: usize, incumbent: usize) -> Option<Pairs> {
    let told = |place: usize| outcome.pairs.get(place.checked_sub(1)?).copied();
    let turned =
        |it: Pairs| Pairs { first_right: it.other_right, other_right: it.first_right, ..it };
    match (candidate, incumbent) {
        (0, other) => told(other),
        (other, 0) => told(other).map(turned),
        _ => None,
    }
}

fn place_of(told: &PlaceOutcome) -> Option<Place> {
    let region = told.region.clone().map(Place::Region);
    region.or_else(|| told.group.clone().map(Place::Group))
}

/// What is measured of all events, or of those of a region or group.
struct Part<'a> {
    recorded: u64,
    failures: u64,
    response: &'a Times,
    service: &'a Times,
    accuracy: &'a Accuracy,
}

impl<'a> Part<'a> {
    fn of(it: &'a VariantOutcome) -> Self {
        let good = it.outcomes.get("ok").copied().unwrap_or(0);
        Self {
            recorded: it.recorded,
            failures: it.recorded.saturating_sub(good),
            response: &it.response,
            service: &it.service,
            accuracy: &it.accuracy,
        }
    }

    fn of_place(it: &'a PlaceOutcome) -> Self {
        let PlaceOutcome { recorded, failures, response, service, accuracy, .. } = it;
        Self { recorded: *recorded, failures: *failures, response, service, accuracy }
    }
}

/// What half of the requests took at most.
fn p50(it: &Part<'_>) -> Value {
    match times(it.response.count, it.response.p50_ns) {
        Value::Missing if it.recorded > 0 => NEVER,
        known => known,
    }
}

/// What 99 of 100 took at most, of as many as one likes: between two ends, of which one that is not
/// known, or is a request without a good answer, bounds nothing.
fn p99(it: &Part<'_>) -> Value {
    let Times { p99_lower_ns, p99_upper_ns, p99_needs, .. } = *it.response;
    let end = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
    let lower = p99_lower_ns.map(|ns| end(ns / 1_000));
    let upper = p99_upper_ns.map(|ns| end(ns.div_ceil(1_000)));
    match (p99_needs, lower, upper) {
        (Some(events_needed), ..) => Value::NotEnough { events: it.recorded, events_needed },
        (None, None, None) if it.recorded == 0 => Value::Missing,
        (None, None, None) => NEVER,
        (None, lower, upper) => Value::Within(Bounds { lower, upper }),
    }
}

/// A time that no limit reaches: that of a request without a good answer, however quickly it failed.
const NEVER: Value = Value::Within(Bounds { lower: Some(i64::MAX), upper: Some(i64::MAX) });

/// What production's value is to a candidate's: a time that is never reached is no limit, since
/// anything would keep it.
fn as_limit(value: Value) -> Value {
    if value == NEVER { Value::Missing } else { value }
}

type Measure = fn(&Part<'_>) -> Value;

fn measures() -> [(GateMetric, Measure); 10] {
    [
        (GateMetric::Requests, |it| whole(it.recorded)),
        (GateMetric::ResponseP50Us, p50),
        (GateMetric::ResponseP99Us, p99),
        (GateMetric::ServiceP50Us, |it| times(it.service.count, it.service.p50_ns)),
        (GateMetric::ErrorsPpm, |it| part(it.failures, it.recorded)),
        (GateMetric::AccuracyPpm, |it| exact_of(it.accuracy.accuracy_ppm())),
        (GateMetric::PrecisionPpm, |it| exact_of(it.accuracy.precision_ppm())),
        (GateMetric::RecallPpm, |it| exact_of(it.accuracy.recall_ppm())),
        (GateMetric::AucPpm, |it| it.accuracy.auc.as_ref().map_or(Value::Missing, area)),
        (GateMetric::CalibrationPpm, |it| {
            exact_of(it.accuracy.calibration.as_ref().map(|it| it.error_ppm))
        }),
    ]
}

/// The area under the curve lies within its interval: what is beyond is not known.
fn area(auc: &Auc) -> Value {
    let events = auc.positives.min(auc.negatives);
    match (auc.lower_ppm, auc.upper_ppm) {
        (Some(lower), Some(upper)) => {
            let end = |ppm: u64| Some(i64::try_from(ppm).unwrap_or(i64::MAX));
            Value::Within(Bounds { lower: end(lower), upper: end(upper) })
        }
        _ if events < AUC_EVENTS_MIN => Value::NotEnough { events, events_needed: AUC_EVENTS_MIN },
        // All scores are the same, which tell nothing apart.
        _ => whole(auc.value_ppm),
    }
}

/// A value of all events, or of those of a region or group, where they are enough for one.
fn enough(metric: GateMetric, part: &Part<'_>, value: Measure) -> Value {
    use GateMetric::{AccuracyPpm, CalibrationPpm, PrecisionPpm, RecallPpm, Requests};
    match metric {
        Requests => value(part),
        // However many requests there were: of most of them it may not be known what was right.
        AccuracyPpm | PrecisionPpm | RecallPpm | CalibrationPpm => {
            of_enough(value(part), part.accuracy.judged())
        }
        _ => of_enough(value(part), part.recorded),
    }
}

/// A value of so many events, where they are enough for one.
fn of_enough(value: Value, events: u64) -> Value {
    match value {
        Value::Within(_) if events < EVENTS_MIN => {
            Value::NotEnough { events, events_needed: EVENTS_MIN }
        }
        known => known,
    }
}

fn exact_of(ppm: Option<u64>) -> Value {
    ppm.map_or(Value::Missing, whole)
}

fn times(count: u64, ns: Option<u64>) -> Value {
    ns.filter(|_| count > 0).map_or(Value::Missing, |ns| whole(ns / 1_000))
}

fn part(part: u64, of: u64) -> Value {
    if of == 0 {
        return Value::Missing;
    }
    let ppm = u128::from(part) * 1_000_000 / u128::from(of);
    whole(u64::try_from(ppm).unwrap_or(u64::MAX))
}

fn whole(value: u64) -> Value {
    Value::Within(Bounds::exactly(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// Answers to the same events, by who got them wrong.
fn counted(pairs: &Pairs) -> paired::Pairs {
    paired::Pairs {
        events: pairs.both_right + pairs.first_right + pairs.other_right + pairs.both_wrong,
        candidate_only: pairs.other_right,
        incumbent_only: pairs.first_right,
    }
}

/// What the right and wrong answers to the same events say, and how many more it takes to promote.
fn verdict(pairs: &Pairs) -> (Answer, Option<u64>) {
    gates::paired::verdict(counted(pairs), gates::paired::BOUND_PPM)
}

/// How a variant answered the same events as each of these others, where that is known.
pub(in crate::operations) fn beside(
    outcome: &RunOutcome,
    candidate: usize,
    others: &[(usize, &Name)],
) -> Vec<Beside> {
    let known = |(place, name): &(usize, &Name)| {
        let pairs = counted(&pairs(outcome, candidate, *place)?);
        Some(Beside { name: name.to_string(), pairs })
    };
    others.iter().filter_map(known).collect()
}

#[cfg(test)]
mod tests {
    use policy::gates::{Gate, Judgement, Line, Promotion, judge};

    use super::*;

    fn times_of(count: u64, ms: u64) -> Times {
        let p99_needs = (count < 459).then_some(459);
        let ns = ms * 1_000_000;
        Times {
            count,
            p50_ns: Some(ns),
            p99_lower_ns: p99_needs.is_none().then_some(ns),
            p99_upper_ns: p99_needs.is_none().then_some(ns),
            p99_needs,
            ..Times::default()
        }
    }

    fn place(region: &str, recorded: u64, failures: u64, ms: u64) -> PlaceOutcome {
        PlaceOutcome {
            region: Some(region.to_owned()),
            recorded,
            failures,
            response: times_of(recorded, ms),
            ..PlaceOutcome::default()
        }
    }

    fn judged(conditions: &[(GateMetric, GateScope, i64)], outcome: &RunOutcome) -> Vec<Line> {
        let of = |(metric, scope, most): &(GateMetric, GateScope, i64)| {
            let scope = scope.clone();
            condition(&GateCondition { scope, at_most: Some(*most), ..GateCondition::of(*metric) })
        };
        let conditions = conditions.iter().map(of).collect::<Result<_, _>>().unwrap();
        let gate = Gate { conditions, promotion: Promotion::ByHand };
        judge(&gate, &snapshot(outcome, 0, None)).lines
    }

    #[test]
    fn a_region_is_judged_by_its_own_events_and_not_by_few() {
        let variant = VariantOutcome {
            recorded: 2_000,
            outcomes: [("ok".to_owned(), 1_990)].into(),
            response: times_of(2_000, 20),
            places: vec![
                place("no", 1_500, 0, 20),
                place("se", 460, 10, 90),
                place("dk", 40, 0, 20),
            ],
            ..VariantOutcome::default()
        };
        let outcome = RunOutcome { valid: true, variants: vec![variant], ..RunOutcome::default() };
        let region = |name: &str| GateScope::Region(name.to_owned());
        let lines = judged(
            &[
                (GateMetric::ResponseP99Us, region("no"), 50_000),
                (GateMetric::ResponseP99Us, region("fi"), 50_000),
                (GateMetric::ErrorsPpm, GateScope::EachRegion, 10_000),
                (GateMetric::ErrorsPpm, GateScope::EachGroup, 10_000),
            ],
            &outcome,
        );
        let words: Vec<String> = lines.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(words.join("\n"));
        assert_eq!(lines[0].judgement, Judgement::Holds);
    }

    /// What a candidate and what is in production took, each between two ends in milliseconds.
    fn beside(
        candidate: (Option<u64>, Option<u64>),
        incumbent: (Option<u64>, Option<u64>),
        limit: &GateCondition,
    ) -> Judgement {
        let variant = |(lower, upper): (Option<u64>, Option<u64>)| VariantOutcome {
            recorded: 1_000,
            outcomes: [("ok".to_owned(), 995)].into(),
            response: Times {
                count: 995,
                p99_lower_ns: lower.map(|ms| ms * 1_000_000),
                p99_upper_ns: upper.map(|ms| ms * 1_000_000),
                ..Times::default()
            },
            ..VariantOutcome::default()
        };
        let variants = vec![variant(candidate), variant(incumbent)];
        let outcome = RunOutcome { valid: true, variants, ..RunOutcome::default() };
        let gate =
            Gate { conditions: vec![condition(limit).unwrap()], promotion: Promotion::Automatic };
        judge(&gate, &snapshot(&outcome, 0, Some(1))).lines[0].judgement
    }

    #[test]
    fn a_percentile_is_held_against_all_that_productions_may_be() {
        let of = GateCondition::of(GateMetric::ResponseP99Us);
        let tenth = GateCondition { at_most_of_incumbent_ppm: Some(1_100_000), ..of };
        let known = (Some(10), Some(30));
        for (candidate, wanted) in [
            ((Some(5), Some(11)), Judgement::Holds),
            // It may be twice what production's is.
            ((Some(14), Some(20)), Judgement::NotKnown),
            ((Some(34), Some(40)), Judgement::Fails),
            ((Some(34), None), Judgement::Fails),
            ((None, None), Judgement::Fails),
        ] {
            assert_eq!(beside(candidate, known, &tenth), wanted, "{candidate:?}");
        }
        // What answers in no time at all bounds nobody.
        for candidate in [(Some(5), Some(11)), (None, None)] {
            assert_eq!(beside(candidate, (None, None), &tenth), Judgement::NotKnown);
        }
    }

    /// 5 of 1,000 without a good answer are less than one of 100, and may be the 99th percentile.
    #[test]
    fn quick_failures_do_not_make_a_percentile_better() {
        let of = GateCondition::of(GateMetric::ResponseP99Us);
        let limit = GateCondition { at_most: Some(50_000), ..of };
        let known = (Some(10), Some(30));
        assert_eq!(beside(known, known, &limit), Judgement::Holds);
        assert_eq!(beside((Some(10), None), known, &limit), Judgement::NotKnown);
        assert_eq!(beside((Some(51), None), known, &limit), Judgement::Fails);
        assert_eq!(beside((None, None), known, &limit), Judgement::Fails);
    }

    #[test]
    fn a_recovery_that_is_not_known_opens_no_gate() {
        let judged = |drills: &[Option<u64>]| {
            let drill = |us: &Option<u64>| api::runs::DrillOutcome {
                recovery_us: *us,
                ..Default::default()
            };
            let drills = drills.iter().map(drill).collect();
            let variant = VariantOutcome { recorded: 500, drills, ..VariantOutcome::default() };
            let outcome =
                RunOutcome { valid: true, variants: vec![variant], ..RunOutcome::default() };
            let limit = (GateMetric::RecoveryUs, GateScope::All, 5_000_000);
            judged(&[limit], &outcome)[0].judgement
        };
        assert_eq!(judged(&[Some(2_000_000), Some(5_000_000)]), Judgement::Holds);
        assert_eq!(judged(&[Some(2_000_000), Some(5_000_001)]), Judgement::Fails);
        assert_eq!(judged(&[Some(2_000_000), None]), Judgement::NotKnown);
        assert_eq!(judged(&[]), Judgement::NotKnown, "nothing was drilled");
    }

    #[test]
    fn what_is_of_all_events_has_no_region() {
        for metric in [GateMetric::Verdict, GateMetric::AgreementPpm, GateMetric::RecoveryUs] {
            let scope = GateScope::EachRegion;
            let wrong = GateCondition { scope, at_least: Some(1), ..GateCondition::of(metric) };
            assert!(condition(&wrong).is_err(), "{metric:?}");
        }
        let scope = GateScope::Region(String::new());
        let of = GateCondition::of(GateMetric::ErrorsPpm);
        assert!(condition(&GateCondition { scope, at_most: Some(1), ..of }).is_err());
    }

    /// It is the same evidence, whichever of both was named first.
    #[test]
    fn the_verdict_is_about_the_candidate_wherever_it_stands_in_the_run() {
        let pairs = Pairs { first_right: 200, other_right: 2, both_right: 300, ..Pairs::default() };
        let outcome = RunOutcome {
            valid: true,
            variants: vec![VariantOutcome::default(); 3],
            pairs: vec![pairs, Pairs::default()],
            ..RunOutcome::default()
        };
        let verdict = |candidate, incumbent| snapshot(&outcome, candidate, Some(incumbent)).verdict;
        assert_eq!(verdict(0, 1), Some(Answer::Promote));
        assert_eq!(verdict(1, 0), Some(Answer::Revert));
        assert_eq!(verdict(1, 2), None, "of two others nothing is told");
    }

    /// What is told to be missing is about what it takes.
    #[test]
    fn as_many_more_events_decide_as_were_said_to() {
        for (first, other, least) in [(6_u64, 1_u64, 1_u64), (30, 25, 10), (3, 0, 1)] {
            let times = |factor: u64| Pairs {
                first_right: first * factor,
                other_right: other * factor,
                both_right: 20 * factor,
                ..Pairs::default()
            };
            let events = first + other + 20;
            let (answer, more) = verdict(&times(1));
            assert_eq!(answer, Answer::KeepSampling, "{first} and {other}");
            let more = more.expect("it is better: more of the same are enough");
            assert!(more >= least, "{more}");
            // Twice as many leave room for what is estimated, and half of them are too few.
            assert_eq!(verdict(&times(1 + (2 * more).div_ceil(events))).0, Answer::Promote);
            assert_ne!(verdict(&times(1 + more / 2 / events)).0, Answer::Promote);
        }
        let worse = Pairs { other_right: 4, first_right: 1, ..Pairs::default() };
        assert_eq!(verdict(&worse), (Answer::KeepSampling, None));
    }
}
