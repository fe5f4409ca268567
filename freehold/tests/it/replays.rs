//! Events kept, replayed to variants, and what goes to production by what they came to.

use api::client::Invocation;
use api::endpoints::{
    ChangeMode, CreateVariant, DeployRequest, Endpoint, EndpointState, GateCondition, GateMetric,
    GateSpec, Promote,
};
use api::functions::CreateFunction;
use api::pages::PageQuery;
use api::runs::{
    Judged, Load, Run, RunDriftQuery, RunOutcome, RunProgress, RunSpec, RunState, SeriesBy,
    SeriesPoint, SeriesQuery,
};
use api::streams::{CreateStream, EventLabel, LabelEvents, SelectionQuery, StreamSpec};
use serde_json::{Value, json};
use testkit::wait::until;
use testkit::{Account, Cloud, Package, Process};
use types::{FunctionRuntime, Mode, Name, RunId};

use crate::functions::has_python;
use crate::world::{PROGRAM, http, name, strangers};

/// Each takes some time: beside what answers at once, a sender on the same machine is soon too late.
const CODE: &str = r#"
import time

def old(event, context):
    time.sleep(0.2)
    return {"score": 1.0 if event["amount"] > 90 else 0.0}

def better(event, context):
    time.sleep(0.2)
    return {"score": 1.0 if event["amount"] > 50 else 0.0}

def broken(event, context):
    time.sleep(0.2)
    raise ValueError("no")
"#;
/// Events of a story.
const EVENTS: u64 = 200;
/// Runs until one is valid: a machine may be busy with something else.
const TRIES: u32 = 5;
pub(crate) const WAIT_S: u64 = 60;

pub(crate) async fn function(account: &Account, name: &str) {
    let package = Package::empty().file("app.py", CODE);
    let object = account.send(&package).await.unwrap().id;
    let wanted = CreateFunction {
        handler: format!("app.{name}"),
        memory_mib: Some(128),
        timeout_ms: Some(10_000),
        ..CreateFunction::new(name.parse().unwrap(), FunctionRuntime::Python3, object)
    };
    account.client.function_create(&wanted).await.unwrap();
}

/// Events of 200 customers, of which those with more than 50 are to be found out.
pub(crate) fn events() -> Vec<Value> {
    let event = |number: u64| {
        let region = if number.is_multiple_of(2) { "no" } else { "se" };
        json!({
            "specversion": "1.0", "id": format!("e{number}"), "source": "/shop", "type": "sale",
            "time": format!("2026-11-23T08:{:02}:{:02}Z", number / 60, number % 60),
            "subject": format!("customer-{number}"), "region": region,
            "datacontenttype": "application/json", "data": { "amount": number % 100 },
        })
    };
    (0..EVENTS).map(event).collect()
}

pub(crate) async fn stream(account: &Account) -> Name {
    let wanted = CreateStream { name: name("sales"), spec: StreamSpec::default() };
    let made = account.client.stream_create(&wanted).await.unwrap();
    let (first, rest) = (&events()[..50], &events()[50..]);
    let appended = account.client.stream_append(&made.name, first).await.unwrap();
    assert_eq!((appended.stored, appended.known, appended.first), (50, 0, Some(1)));
    // What comes again is acknowledged and not stored again.
    let all = events();
    let again = account.client.stream_append(&made.name, &all[40..50]).await.unwrap();
    assert_eq!((again.stored, again.known), (0, 10));
    account.client.stream_append(&made.name, rest).await.unwrap();
    let label = |number: u64| EventLabel {
        source: "/shop".to_owned(),
        id: format!("e{number}"),
        label: (number % 100 > 50).to_string(),
    };
    let labels = LabelEvents { labels: (0..EVENTS).map(label).collect(), rule: None };
    account.client.stream_label(&made.name, &labels).await.unwrap();
    made.name
}

pub(crate) async fn endpoint(account: &Account) -> Endpoint {
    for name in ["old", "better", "broken"] {
        function(account, name).await;
    }
    let source = "function:old".parse().unwrap();
    let wanted = DeployRequest { name: name("risk"), source, instance_type: None };
    account.client.endpoint_create(&wanted).await.unwrap();
    for variant in ["better", "broken"] {
        let source = format!("function:{variant}").parse().unwrap();
        let wanted = CreateVariant { variant: name(variant), source, instance_type: None };
        account.client.variant_create(&name("risk"), &wanted).await.unwrap();
    }
    until(WAIT_S, "the variants are ready", || async {
        let endpoint = account.client.endpoint_fetch(&name("risk")).await.unwrap();
        endpoint.variants.iter().all(|it| it.state == EndpointState::Ready).then_some(endpoint)
    })
    .await
}

/// Asks once, until the gateway knows the name.
pub(crate) async fn ask(
    account: &Account,
    endpoint: &str,
    amount: u64,
) -> Result<Value, api::client::Error> {
    let invocation = Invocation {
        media_type: "application/json".to_owned(),
        accept: None,
        body: json!({ "amount": amount }).to_string().into(),
        header_length: None,
        wait_ms: 30_000,
    };
    let answer = account.client.endpoint_invoke(endpoint, invocation).await?;
    Ok(serde_json::from_slice(&answer.body).unwrap())
}

pub(crate) fn run_of(variants: &[&str], stream: &Name) -> RunSpec {
    RunSpec {
        endpoint: name("risk"),
        variants: variants.iter().map(|it| name(it)).collect(),
        rule: None,
        stream: stream.clone(),
        selection: SelectionQuery::default(),
        group_by: vec![api::runs::GroupBy::Region],
        load: Load::Rate { uhz: 25_000_000 },
        for_ms: None,
        catch_up: api::runs::CatchUp::Burst,
        in_flight_max: None,
        timeout_ms: None,
        seed: Some(7),
        judged: Judged { prediction: Some("/score".to_owned()), ..Judged::default() },
        drills: Vec::new(),
        drill_production: false,
    }
}

pub(crate) async fn ended(account: &Account, spec: &RunSpec) -> (Run, RunOutcome) {
    let run = account.client.run_create(spec).await.unwrap();
    end_of(account, run.id).await
}

/// A slow run, of which some events have been sent.
pub(crate) async fn under_way(account: &Account, stream: &Name) -> (RunSpec, Run) {
    const SENT: u64 = 40;
    let spec = RunSpec { load: Load::Rate { uhz: 20_000_000 }, ..run_of(&["better"], stream) };
    let run = account.client.run_create(&spec).await.unwrap();
    until(WAIT_S, "some are sent", || async {
        let run = account.client.run_fetch(run.id).await.unwrap();
        let told: RunProgress = serde_json::from_value(run.progress?).unwrap();
        (told.issued >= SENT).then_some(())
    })
    .await;
    (spec, run)
}

/// What a run has come to, once it has ended.
pub(crate) async fn end_of(account: &Account, id: RunId) -> (Run, RunOutcome) {
    let run = until(WAIT_S, "the run has ended", || async {
        let run = account.client.run_fetch(id).await.unwrap();
        run.state.ended().then_some(run)
    })
    .await;
    assert_eq!(run.state, RunState::Succeeded, "{run:?}");
    let outcome = serde_json::from_value(run.outcome.clone().unwrap()).unwrap();
    (run, outcome)
}

/// A run that may be believed.
pub(crate) async fn valid(account: &Account, spec: &RunSpec) -> (Run, RunOutcome) {
    let mut last = ended(account, spec).await;
    for _ in 1..TRIES {
        if last.1.valid {
            return last;
        }
        eprintln!("once more, since the machine was busy: {:?}", last.1.reasons);
        last = ended(account, spec).await;
    }
    assert!(last.1.valid, "{:?}", last.1.reasons);
    last
}

fn gate(automatic: bool) -> GateSpec {
    let of = GateCondition::of;
    let accuracy = GateCondition { at_least: Some(950_000), ..of(GateMetric::AccuracyPpm) };
    let errors = GateCondition { at_most: Some(10_000), ..of(GateMetric::ErrorsPpm) };
    let verdict = of(GateMetric::Verdict);
    let auc = GateCondition { at_least: Some(900_000), ..of(GateMetric::AucPpm) };
    let calibration = GateCondition { at_most: Some(50_000), ..of(GateMetric::CalibrationPpm) };
    GateSpec { conditions: vec![accuracy, errors, auc, calibration, verdict], automatic }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_recorded_events_prove_goes_to_production() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, stranger) = strangers(&cloud).await;
    let stream = stream(&owner).await;
    let endpoint = endpoint(&owner).await;
    assert_eq!(endpoint.variants.len(), 3);
    assert_eq!(ask(&owner, "risk", 60).await.unwrap()["score"], 0.0);
    assert_eq!(ask(&owner, "risk@better", 60).await.unwrap()["score"], 1.0);
    assert!(ask(&stranger, "acme.risk@better", 60).await.is_err());

    // The same events to both; each counts once.
    owner.client.gate_put(&name("risk"), &gate(false)).await.unwrap();
    let (run, outcome) = valid(&owner, &run_of(&["better", "main"], &stream)).await;
    assert_eq!((outcome.facts.asked, outcome.facts.sent), (2 * EVENTS, 2 * EVENTS));
    let counted = |it: &api::runs::VariantOutcome| (it.answered, it.accuracy.accuracy_ppm());
    assert_eq!(counted(&outcome.variants[0]), (EVENTS, Some(1_000_000)));
    assert_eq!(counted(&outcome.variants[1]), (EVENTS, Some(600_000)));
    assert_eq!((outcome.pairs[0].first_right, outcome.pairs[0].other_right), (80, 0));
    let url =
        format!("{}/v1/runs/{}/records?outcome=ok&variant=main&limit=1000", cloud.http(), run.id);
    let records: Value =
        http().get(&url).bearer_auth(&owner.token).send().await.unwrap().json().await.unwrap();
    assert_eq!(records["records"].as_array().unwrap().len() as u64, EVENTS);
    assert_eq!(records["matching"], EVENTS);
    let hidden = http().get(&url).bearer_auth(&stranger.token).send().await.unwrap();
    assert_eq!(hidden.status(), 404);

    measured(&outcome);
    course(&owner, &run).await;
    behind(&cloud, &owner, &run).await;

    // A rule is asked beside them, as a model that costs nothing.
    let spec = RunSpec {
        rule: Some("data.amount>70".to_owned()),
        load: Load::Rate { uhz: 50_000_000 },
        ..run_of(&["better"], &stream)
    };
    let (_, ruled) = ended(&owner, &spec).await;
    assert_eq!(ruled.variants[1].name, "rule");
    assert_eq!(counted(&ruled.variants[1]), (EVENTS, Some(800_000)));
    assert_eq!((ruled.pairs[0].first_right, ruled.pairs[0].other_right), (40, 0));

    // The same seed and events are the same sends.
    let (_, again) = ended(&owner, &run_of(&["better", "main"], &stream)).await;
    assert_eq!(again.schedule.digest, outcome.schedule.digest);

    // Whoever is worse is told by how much, and stays where it is.
    let (bad, _) = valid(&owner, &run_of(&["broken", "main"], &stream)).await;
    let wanted = Promote { run: bad.id, mode: Mode::Production, share_bp: 0, for_ms: None };
    let told = owner.client.variant_promote(&name("risk"), &name("broken"), &wanted).await.unwrap();
    assert!(!told.promoted && told.lines.iter().any(|line| line.judgement == "fails"), "{told:?}");

    let wanted = Promote { run: run.id, mode: Mode::Production, share_bp: 0, for_ms: None };
    let told = owner.client.variant_promote(&name("risk"), &name("better"), &wanted).await.unwrap();
    assert!(told.promoted, "{told:?}");
    until(WAIT_S, "it answers", || async {
        let answer = ask(&owner, "risk", 60).await.unwrap();
        (answer["score"] == 1.0).then_some(())
    })
    .await;
    cloud.close().await;
}

/// What a run of both measured, as a whole.
fn measured(outcome: &RunOutcome) {
    let [better, old] = outcome.variants.as_slice() else { panic!("{outcome:?}") };
    assert_eq!(outcome.durability_ppm, Some(1_000_000));
    assert_eq!((better.availability_ppm, old.availability_ppm), (Some(1_000_000), Some(1_000_000)));
    // Of 98 events that are to be found, the old one finds 18.
    let cells: Vec<(&str, &str, u64)> = old
        .accuracy
        .confusion
        .iter()
        .map(|it| (it.right.as_str(), it.predicted.as_str(), it.events))
        .collect();
    assert_eq!(cells, [("false", "false", 102), ("true", "false", 80), ("true", "true", 18)]);
    let auc = better.accuracy.auc.unwrap();
    assert_eq!((auc.value_ppm, auc.upper_ppm), (1_000_000, Some(1_000_000)));
    assert!(auc.lower_ppm.is_some_and(|lower| (950_000..990_000).contains(&lower)), "{auc:?}");
    assert_eq!(old.accuracy.auc.unwrap().value_ppm, 591_837);
    assert_eq!(better.accuracy.calibration.as_ref().unwrap().error_ppm, 0);
    assert_eq!(old.accuracy.calibration.as_ref().unwrap().error_ppm, 400_000);
    // A fifth of a second each, 25 times a second.
    for variant in &outcome.variants {
        let used = variant.used;
        assert!(used.busy_milli.is_some_and(|milli| milli > 3_000), "{used:?}");
        assert!(used.busy_most_milli >= used.busy_milli, "{used:?}");
        assert!(used.cold_starts.is_some() && used.memory_bytes.is_some(), "{used:?}");
        assert_eq!(used.workers, None, "it is each host's own affair");
        assert_eq!((variant.queue.count, variant.overhead.count), (EVENTS, EVENTS));
    }
}

/// How it went over its time, and over the hours of the day.
async fn course(owner: &Account, run: &Run) {
    let by_region = SeriesQuery {
        by: Some(SeriesBy::Region),
        step: Some("1s".to_owned()),
        ..SeriesQuery::default()
    };
    let series = owner.client.run_series(run.id, &by_region).await.unwrap();
    assert_eq!((series.step_ms, series.lines.len()), (1_000, 2));
    for line in &series.lines {
        let sum = |of: fn(&SeriesPoint) -> u64| line.points.iter().map(of).sum::<u64>();
        assert_eq!((sum(|it| it.requests), sum(|it| it.judged)), (EVENTS, EVENTS), "{}", line.key);
        assert_eq!(sum(|it| it.right), 160, "{}", line.key);
        assert!(line.points.len() >= 7 && line.points.iter().all(|it| it.response.is_some()));
    }
    let hours = SeriesQuery {
        hours: Some(true),
        zone: Some("Europe/Oslo".to_owned()),
        ..SeriesQuery::default()
    };
    let series = owner.client.run_series(run.id, &hours).await.unwrap();
    let told: Vec<(&str, u64, u64)> = series
        .lines
        .iter()
        .flat_map(|line| line.points.iter().map(|it| (line.key.as_str(), it.at_ms, it.requests)))
        .collect();
    let nine_ms = 9 * 3_600_000;
    assert_eq!(told, [("better", nine_ms, EVENTS), ("main", nine_ms, EVENTS)]);
    let wrong = SeriesQuery { step: Some("soon".to_owned()), ..SeriesQuery::default() };
    let refused = owner.client.run_series(run.id, &wrong).await.unwrap_err();
    assert_eq!(refused.code(), "bad_request");
}

/// What is told of it elsewhere: beside itself, request by request, and to operators.
async fn behind(cloud: &Cloud, owner: &Account, run: &Run) {
    // How often both are right is not alike; how often one is, is, to itself.
    let beside = |variant: &str| RunDriftQuery {
        against: run.id,
        variant: Some("better".to_owned()),
        against_variant: Some(variant.to_owned()),
        alarm_every: Some(1_000),
        seed: None,
    };
    for (variant, wanted) in [("better", false), ("main", true)] {
        let told = owner.client.run_drift(run.id, &beside(variant)).await.unwrap();
        assert_eq!((told.reference_events, told.events), (EVENTS, EVENTS));
        let changed: Vec<(&str, bool)> =
            told.fields.iter().map(|it| (it.field.as_str(), it.changed)).collect();
        // Predictions follow the order of amounts, which rise: that is a change of its own.
        assert_eq!(changed, [("outcome", false), ("prediction", true), ("right", wanted)]);
    }
    // Those that only a look at each tells: where the old one was wrong.
    let url = format!("{}/v1/runs/{}/records?variant=main&right=false", cloud.http(), run.id);
    let records: Value =
        http().get(&url).bearer_auth(&owner.token).send().await.unwrap().json().await.unwrap();
    assert_eq!(records["matching"], 80);
    // Nobody but a replay is told what an answer took.
    let url = format!("{}/endpoints/risk/invocations", cloud.http());
    let asked = http().post(url).bearer_auth(&owner.token).json(&json!({ "amount": 1 }));
    let answer = asked.send().await.unwrap();
    assert!(answer.headers().contains_key(api::endpoints::SERVICE_HEADER));
    assert!(!answer.headers().contains_key(api::endpoints::TOOK_HEADER), "{answer:?}");
    let metrics = http().get(cloud.metrics()).send().await.unwrap().text().await.unwrap();
    for line in [
        r#"freehold_replay_requests_total{account="acme",endpoint="risk",variant="better",outcome="ok"}"#,
        r#"freehold_replay_dispatch_lag_seconds_count{account="acme",endpoint="risk",variant="main"}"#,
        r#"Invocations_total{account="acme",EndpointName="risk",VariantName="main"}"#,
        r#"ModelLatency_count{account="acme",EndpointName="risk",VariantName="better"}"#,
    ] {
        assert!(metrics.contains(line), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_goes_on_where_it_was_lost_and_says_so() {
    if !has_python() {
        return;
    }
    let mut cloud = Cloud::one(PROGRAM).await;
    // What was under way when it was killed.
    cloud.expect("went away");
    let (owner, _) = strangers(&cloud).await;
    let stream = stream(&owner).await;
    endpoint(&owner).await;
    let (spec, run) = under_way(&owner, &stream).await;
    cloud.kill_and_start(Process::Up).await;
    cloud.ready().await;
    let (_, outcome) = end_of(&owner, run.id).await;
    assert!(outcome.disclosed.iter().any(|it| it.contains("resumed")), "{outcome:?}");
    let recorded: u64 = outcome.variants.iter().map(|it| it.recorded).sum();
    assert_eq!((outcome.schedule.sends, recorded + outcome.facts.lost), (EVENTS, EVENTS));
    // What was measured before it was lost counts as what was after it.
    let accuracy = &outcome.variants[0].accuracy;
    assert_eq!(accuracy.judged(), recorded, "{accuracy:?}");
    let series = owner.client.run_series(run.id, &SeriesQuery::default()).await.unwrap();
    let points = series.lines.iter().flat_map(|line| &line.points);
    assert_eq!(points.map(|it| it.requests).sum::<u64>(), recorded);
    // What was sent is what it would have been.
    let (_, whole) = ended(&owner, &spec).await;
    assert_eq!(whole.schedule.digest, outcome.schedule.digest);
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bakes_badly_comes_back_by_itself() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    endpoint(&owner).await;
    let change = ChangeMode {
        mode: Mode::Bake,
        share_bp: 5_000,
        for_ms: Some(3_600_000),
        reason: "to see".to_owned(),
        modes_number: 0,
    };
    owner.client.variant_mode(&name("risk"), &name("broken"), &change).await.unwrap();
    let (mut failed, mut good) = (0_u64, 0_u64);
    let decided = until(WAIT_S, "it is taken back", || async {
        let page = owner.client.modes_list(&name("risk"), &PageQuery::default()).await.unwrap();
        page.items.into_iter().find(|it| it.decided_by == "the bake")
    });
    let asked = async {
        loop {
            match ask(&owner, "risk", 60).await {
                Ok(_) => good += 1,
                Err(_) => failed += 1,
            }
        }
    };
    let decided = tokio::select! {
        decided = decided => decided,
        () = asked => unreachable!("it asks until somebody decides"),
    };
    assert!(failed > 0 && good > 0, "{failed} and {good}");
    assert!(decided.reason.contains("went badly"), "{decided:?}");
    let endpoint = owner.client.endpoint_fetch(&name("risk")).await.unwrap();
    assert!(endpoint.variants.iter().all(|it| it.used.mode != Mode::Bake), "{endpoint:?}");
    // Any earlier configuration can be had again, as change 1 whose bake has not ended.
    let restored = owner.client.modes_restore(&name("risk"), 1).await.unwrap();
    assert!(restored.variants.iter().any(|it| it.used.mode == Mode::Bake), "{restored:?}");
    owner.client.modes_restore(&name("risk"), 0).await.unwrap();
    cloud.close().await;
}
