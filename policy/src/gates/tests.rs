use proptest::prelude::*;

use super::*;

fn gate(conditions: &[Condition]) -> Gate {
    Gate { conditions: conditions.to_vec(), promotion: Promotion::Automatic }
}

fn metric(metric: &str, scope: Scope, limit: Limit) -> Condition {
    Condition::Metric { metric: metric.to_owned(), scope, limit }
}

fn key(metric: &str, region: Option<&str>) -> Key {
    let place = region.map_or(Place::All, |region| Place::Region(region.to_owned()));
    Key { metric: metric.to_owned(), place }
}

fn between(lower: i64, upper: i64) -> Value {
    Value::Within(Bounds { lower: Some(lower), upper: Some(upper) })
}

fn snapshot(values: &[(Key, Value, Value)]) -> Snapshot {
    let pair = |(key, candidate, incumbent): &(Key, Value, Value)| {
        (key.clone(), Pair { candidate: *candidate, incumbent: *incumbent })
    };
    let values = values.iter().map(pair).collect();
    Snapshot { run: Run::Valid, values, verdict: Some(Answer::Promote), events_more: None }
}

fn conditions() -> Vec<Condition> {
    vec![
        metric("latency_p99_us", Scope::All, Limit::AtMost(200_000)),
        metric("latency_p99_us", Scope::All, Limit::AtMostOfIncumbent(1_100_000)),
        metric("accuracy_ppm", Scope::All, Limit::AtLeastOfIncumbent(990_000)),
        metric("accuracy_ppm", Scope::EachRegion, Limit::AtLeast(900_000)),
        metric("errors_ppm", Scope::Region("eu".to_owned()), Limit::AtMost(1_000)),
        Condition::Verdict,
    ]
}

/// A snapshot in which all of these hold.
fn good() -> Snapshot {
    snapshot(&[
        (key("latency_p99_us", None), between(150_000, 180_000), between(170_000, 175_000)),
        (key("accuracy_ppm", None), between(930_000, 950_000), between(930_000, 935_000)),
        (key("accuracy_ppm", Some("eu")), between(910_000, 940_000), Value::Missing),
        (key("accuracy_ppm", Some("us")), between(920_000, 960_000), Value::Missing),
        (key("errors_ppm", Some("eu")), between(0, 900), Value::Missing),
    ])
}

fn text(judged: &Judged) -> String {
    let lines: Vec<_> = judged.lines.iter().map(Line::to_string).collect();
    format!("{:?}\n{}", judged.outcome, lines.join("\n"))
}

#[test]
fn a_gate_opens_when_all_holds() {
    let judged = judge(&gate(&conditions()), &good());
    insta::assert_snapshot!("all_holds", text(&judged));
    let by_hand = Gate { promotion: Promotion::ByHand, ..gate(&conditions()) };
    assert_eq!(judge(&by_hand, &good()).outcome, Outcome::Review);
}

#[test]
fn each_condition_tells_value_and_threshold() {
    let seen = Snapshot {
        verdict: Some(Answer::KeepSampling),
        events_more: Some(120),
        ..snapshot(&[
            (key("latency_p99_us", None), between(190_000, 230_000), Value::Missing),
            (key("accuracy_ppm", None), between(870_000, 880_000), between(890_000, 910_000)),
            (
                key("accuracy_ppm", Some("eu")),
                Value::NotEnough { events: 312, events_needed: 459 },
                Value::Missing,
            ),
            (key("accuracy_ppm", Some("us")), between(899_999, 899_999), Value::Missing),
        ])
    };
    insta::assert_snapshot!("some_fail", text(&judge(&gate(&conditions()), &seen)));
    let nothing = Snapshot { verdict: None, ..snapshot(&[]) };
    insta::assert_snapshot!("nothing_is_known", text(&judge(&gate(&conditions()), &nothing)));
}

#[test]
fn an_invalid_run_opens_no_gate() {
    let reasons = vec!["the rate was 912/s of 1,000/s".to_owned()];
    let run = Run::Invalid { reasons: reasons.clone() };
    let judged = judge(&gate(&conditions()), &Snapshot { run, ..good() });
    assert_eq!(judged.outcome, Outcome::Refused { reasons });
    assert!(judged.lines.iter().all(|line| line.judgement == Judgement::Holds));
}

#[test]
fn what_reverts_closes_the_gate() {
    for answer in [Answer::Revert, Answer::Inconclusive] {
        let seen = Snapshot { verdict: Some(answer), ..good() };
        assert_eq!(judge(&gate(&conditions()), &seen).outcome, Outcome::Closed);
    }
}

#[test]
fn a_gate_that_cannot_be_is_refused_in_words() {
    assert_eq!(judge(&gate(&[]), &good()).outcome, Outcome::Wait);
    let limit = |value: usize| Limit::AtMost(i64::try_from(value).unwrap());
    let many: Vec<_> =
        (0..=CONDITIONS_MAX).map(|value| metric("errors_ppm", Scope::All, limit(value))).collect();
    let cases = [vec![], many, vec![Condition::Verdict, Condition::Verdict]];
    let told: Vec<_> =
        cases.iter().map(|case| gate(case).check().unwrap_err().to_string()).collect();
    insta::assert_snapshot!("refusals", told.join("\n"));
    assert_eq!(gate(&conditions()).check(), Ok(()));
}

#[test]
fn groups_are_judged_as_regions_are_and_apart_from_them() {
    let of = |place: Place, value: i64| {
        let key = Key { metric: "errors_ppm".to_owned(), place };
        (key, between(value, value), Value::Missing)
    };
    let seen = snapshot(&[
        of(Place::Region("no".to_owned()), 500),
        of(Place::Group("new".to_owned()), 9_000),
        of(Place::Group("old".to_owned()), 100),
    ]);
    let each =
        |scope: Scope| judge(&gate(&[metric("errors_ppm", scope, Limit::AtMost(1_000))]), &seen);
    assert_eq!(each(Scope::EachRegion).outcome, Outcome::Promote);
    assert_eq!(each(Scope::Group("old".to_owned())).outcome, Outcome::Promote);
    // A region and a group of one name are not the same events.
    assert_eq!(each(Scope::Region("old".to_owned())).outcome, Outcome::Wait);
    insta::assert_snapshot!("each_group", text(&each(Scope::EachGroup)));
    let none = judge(&gate(&[metric("accuracy_ppm", Scope::EachGroup, Limit::AtLeast(1))]), &seen);
    insta::assert_snapshot!("no_group", text(&none));
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (prop::option::of(-1_000..1_000_i64), prop::option::of(0..1_000_i64), any::<bool>()).prop_map(
        |(lower, more, open)| {
            let upper = lower.zip(more).map(|(lower, more)| lower + more).or(more);
            Bounds { lower, upper: if open { None } else { upper } }
        },
    )
}

fn limits() -> impl Strategy<Value = Limit> {
    prop_oneof![
        (-1_000..1_000_i64).prop_map(Limit::AtMost),
        (-1_000..1_000_i64).prop_map(Limit::AtLeast),
        (0..3_000_000_u32).prop_map(Limit::AtMostOfIncumbent),
        (0..3_000_000_u32).prop_map(Limit::AtLeastOfIncumbent),
    ]
}

/// Whether a limit is kept by values that are known, without rounding.
fn kept(limit: Limit, value: i64, incumbent: i64) -> bool {
    let million = i128::from(crate::evidence::WHOLE_PPM);
    let part = |ppm: u32| i128::from(incumbent) * i128::from(ppm);
    match limit {
        Limit::AtMost(most) => value <= most,
        Limit::AtLeast(least) => value >= least,
        Limit::AtMostOfIncumbent(ppm) => i128::from(value) * million <= part(ppm),
        Limit::AtLeastOfIncumbent(ppm) => i128::from(value) * million >= part(ppm),
    }
}

fn within(bounds: Bounds, value: i64) -> bool {
    bounds.lower.is_none_or(|lower| lower <= value)
        && bounds.upper.is_none_or(|upper| value <= upper)
}

proptest! {
    /// What holds does so for every value that is possible, and what fails for none.
    #[test]
    fn a_judgement_is_sure(
        limit in limits(),
        known in bounds(),
        beside in bounds(),
        value in -2_000..2_000_i64,
        incumbent in -2_000..2_000_i64,
    ) {
        prop_assume!(within(known, value) && within(beside, incumbent));
        let judged = limit.threshold(Value::Within(beside)).unwrap().judge(known);
        match judged {
            Judgement::Holds => prop_assert!(kept(limit, value, incumbent)),
            Judgement::Fails => prop_assert!(!kept(limit, value, incumbent)),
            Judgement::NotKnown => {}
        }
    }

    /// Where everything is known exactly, so is the judgement, to the last unit.
    #[test]
    fn what_is_known_is_judged(
        limit in limits(),
        value in prop_oneof![any::<i64>(), -2_000..2_000_i64],
        incumbent in -2_000..2_000_i64,
    ) {
        let threshold = limit.threshold(Value::Within(Bounds::exactly(incumbent))).unwrap();
        let holds = threshold.judge(Bounds::exactly(value)) == Judgement::Holds;
        prop_assert_eq!(holds, kept(limit, value, incumbent));
        prop_assert_ne!(threshold.judge(Bounds::exactly(value)), Judgement::NotKnown);
    }

    /// To know less never opens a gate, and never closes one.
    #[test]
    fn knowing_less_decides_nothing(missing in 0..5_usize) {
        let mut seen = good();
        let key = seen.values.keys().nth(missing).unwrap().clone();
        seen.values.insert(key, Pair::default());
        prop_assert_eq!(judge(&gate(&conditions()), &seen).outcome, Outcome::Wait);
    }
}
