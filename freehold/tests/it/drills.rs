//! Instances of models ended while events are replayed to them, and what is known of that.

use api::client::Client;
use api::endpoints::{AskGate, CreateVariant, EndpointState, GateCondition, GateMetric, GateSpec};
use api::pages::LogQuery;
use api::runs::{DrillKind, DrillOutcome, DrillState, Load, Run, RunDrill, RunProgress, RunSpec};
use api::streams::{CreateStream, StreamSpec};
use serde_json::{Value, json};
use testkit::wait::until;
use testkit::{Account, Cloud, Package, Process};
use types::{Name, RunId};

use crate::encrypted::said;
use crate::replays::{WAIT_S, end_of, ended, run_of};
use crate::world::{PROGRAM, name, strangers};

/// What a gateway says that asks an instance which is gone.
const GONE: [&str; 2] = ["could not be reached", "went away"];

fn drill(at_ms: u64, variant: Option<&str>) -> RunDrill {
    RunDrill { what: DrillKind::Kill, at_ms, variant: variant.map(name) }
}

/// A model in production and the same one beside it, and events for both.
async fn prepared(owner: &Account) -> Name {
    let model = owner.publish(&Package::linear("plain", ("x", "y"), 2.0, 0.0)).await;
    owner.deploy("risk", &model).await;
    let wanted = CreateVariant { variant: name("next"), source: model.into(), instance_type: None };
    owner.client.variant_create(&name("risk"), &wanted).await.unwrap();
    until(WAIT_S, "the variant is ready", || async {
        let endpoint = owner.client.endpoint_fetch(&name("risk")).await.unwrap();
        let ready = endpoint.variants.iter().all(|it| it.state == EndpointState::Ready);
        (ready && endpoint.variants.len() == 2).then_some(())
    })
    .await;
    let wanted = CreateStream { name: name("sales"), spec: StreamSpec::default() };
    let stream = owner.client.stream_create(&wanted).await.unwrap().name;
    let event = |number: u64| -> Value {
        json!({
            "specversion": "1.0", "id": format!("e{number}"), "source": "/shop", "type": "sale",
            "time": format!("2026-11-23T08:00:{number:02}Z"),
            "datacontenttype": "application/json", "data": { "x": [1.0, 2.0] },
        })
    };
    let events: Vec<Value> = (0..50).map(event).collect();
    owner.client.stream_append(&stream, &events).await.unwrap();
    stream
}

fn drilled(variants: &[&str], stream: &Name, drills: Vec<RunDrill>) -> RunSpec {
    RunSpec {
        load: Load::Rate { uhz: 50_000_000 },
        for_ms: Some(20_000),
        group_by: Vec::new(),
        drills,
        ..run_of(variants, stream)
    }
}

/// Lines of the endpoint's log that tell of drills of a run.
async fn told(client: &Client, run: RunId) -> Vec<String> {
    let log = client.endpoint_log(&name("risk"), &LogQuery::default()).await.unwrap();
    let text = format!("ended by a drill of the run {run}");
    let lines = log.lines.into_iter().map(|line| line.text);
    lines.filter(|line| line.contains(&text)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_ended_in_a_replay_is_told_with_how_long_it_was_missed() {
    let mut cloud = Cloud::one(PROGRAM).await;
    for text in GONE {
        cloud.expect(text);
    }
    let (owner, _) = strangers(&cloud).await;
    let stream = prepared(&owner).await;
    refused(&owner, &stream).await;

    // What is in production beside it is spared, and does not notice.
    let spec = drilled(&["next", "main"], &stream, vec![drill(2_000, Some("next"))]);
    let (run, outcome) = ended(&owner, &spec).await;
    let [next, main] = outcome.variants.as_slice() else { panic!("{outcome:?}") };
    let [done] = next.drills.as_slice() else { panic!("{next:?}") };
    assert_eq!((done.state, done.at_ms), (DrillState::Done, 2_000), "{done:?}");
    known(done);
    let failed = next.outcomes.iter().filter(|(word, _)| *word != "ok").map(|(_, count)| count);
    assert_eq!(failed.sum::<u64>(), done.failed.unwrap(), "{next:?}");
    assert_eq!((main.drills.len(), main.availability_ppm), (0, Some(1_000_000)), "{main:?}");
    assert_eq!(told(&owner.client, run.id).await.len(), 0, "{main:?}");
    // What their instances took is told by their host, that of production with its live events.
    for used in [next.used, main.used] {
        assert!(used.processors_us.is_some_and(|us| us > 0), "{used:?}");
        assert!(used.cpu_milli.is_some() && used.memory_bytes.is_some_and(|it| it > 1 << 20));
    }
    assert!(next.used.cpu_us.is_some() && main.used.cpu_us.is_none(), "{outcome:?}");
    gated(&owner, &run, done).await;

    // With leave that of production too; the second finds nobody, and says so.
    let mut spec = drilled(&["main"], &stream, vec![drill(2_000, None), drill(2_200, None)]);
    spec.drill_production = true;
    let (run, outcome) = ended(&owner, &spec).await;
    let [first, second] = outcome.variants[0].drills.as_slice() else { panic!("{outcome:?}") };
    assert_eq!((first.state, second.state), (DrillState::Done, DrillState::Missed), "{outcome:?}");
    known(first);
    assert_eq!(second.why.as_deref(), Some("no instance was ready"));
    assert!(second.recovery_us.is_none() && second.failed.is_none(), "{second:?}");
    let said = "the drill of main at 2200 ms: it was not done: no instance was ready";
    assert_eq!(outcome.disclosed, [said]);
    assert_eq!(told(&owner.client, run.id).await.len(), 1);
    cloud.close().await;
}

/// What came of a drill is read of records that are encrypted.
#[tokio::test(flavor = "multi_thread")]
async fn a_drill_is_measured_where_events_are_encrypted() {
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("events.key");
    let file = key.to_str().unwrap();
    said(&["events-key", "new", file]);
    let mut cloud = Cloud::one_with(PROGRAM, &["--events-key", file]).await;
    for text in GONE {
        cloud.expect(text);
    }
    let (owner, _) = strangers(&cloud).await;
    let stream = prepared(&owner).await;
    let spec = drilled(&["next"], &stream, vec![drill(2_000, None)]);
    let (_, outcome) = ended(&owner, &spec).await;
    let [done] = outcome.variants[0].drills.as_slice() else { panic!("{outcome:?}") };
    assert_eq!(done.state, DrillState::Done, "{done:?}");
    known(done);
    cloud.close().await;
}

/// What a drill of a variant that became well again tells.
fn known(done: &DrillOutcome) {
    assert!(done.instance.is_some() && done.done_at_ms.is_some() && done.why.is_none(), "{done:?}");
    // One that failed for the first time is begun again after half a second.
    assert!(done.ready_us.is_some_and(|us| us >= 500_000), "{done:?}");
    assert!(done.recovery_us >= done.ready_us && done.dead_us <= done.ready_us, "{done:?}");
    assert!(done.failed.is_some_and(|failed| failed > 0), "{done:?}");
    assert!(done.unanswered <= done.failed && done.first_failed_us < done.ready_us, "{done:?}");
    assert!(done.first_good_us.is_some(), "{done:?}");
}

/// Drills that cannot be, or may not.
async fn refused(owner: &Account, stream: &Name) {
    let cases = [
        (vec![drill(1_000, None)], "conflict", "answers live events"),
        (vec![drill(1_000, Some("other"))], "bad_request", "no variant of this run"),
        (vec![drill(20_000, Some("next"))], "bad_request", "nothing is sent any more"),
        (vec![drill(1_000, Some("next")); 2], "bad_request", "twice"),
        ((0..21).map(|at| drill(at, Some("next"))).collect(), "bad_request", "at most 20"),
    ];
    for (drills, code, words) in cases {
        let spec = drilled(&["next", "main"], stream, drills);
        let refused = owner.client.run_create(&spec).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
}

/// A gate on how long it took.
async fn gated(owner: &Account, run: &Run, done: &DrillOutcome) {
    let us = i64::try_from(done.recovery_us.unwrap()).unwrap();
    for (most, holds) in [(us, true), (us - 1, false)] {
        let of = GateCondition::of(GateMetric::RecoveryUs);
        let conditions = vec![GateCondition { at_most: Some(most), ..of }];
        let gate = GateSpec { conditions, automatic: false };
        owner.client.gate_put(&name("risk"), &gate).await.unwrap();
        let asked = AskGate { run: run.id };
        let said = owner.client.gate_ask(&name("risk"), &asked).await.unwrap();
        // A run that was sent late opens no gate, whatever it measured.
        let judgement = &said.lines[0].judgement;
        assert_eq!(judgement, if holds { "holds" } else { "fails" }, "{said:?}");
    }
}

/// The same where the gateway asks an agent that is another process.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_of_an_agent_apart_is_ended_and_told_of() {
    let Some(mut cloud) = Cloud::apart(PROGRAM).await else { return };
    for text in GONE {
        cloud.expect(text);
    }
    let (owner, _) = strangers(&cloud).await;
    let stream = prepared(&owner).await;
    let (_, outcome) = ended(&owner, &drilled(&["next"], &stream, vec![drill(2_000, None)])).await;
    let [done] = outcome.variants[0].drills.as_slice() else { panic!("{outcome:?}") };
    assert_eq!(done.state, DrillState::Done, "{done:?}");
    known(done);
    assert!(outcome.variants[0].used.processors_us.is_some_and(|us| us > 0), "{outcome:?}");
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_is_done_once_though_the_gateway_is_lost_after_it() {
    let mut cloud = Cloud::one(PROGRAM).await;
    for text in GONE {
        cloud.expect(text);
    }
    let (owner, _) = strangers(&cloud).await;
    let stream = prepared(&owner).await;
    let mut spec = drilled(&["main"], &stream, vec![drill(1_000, None)]);
    spec.drill_production = true;
    let run = owner.client.run_create(&spec).await.unwrap();
    let first = until(WAIT_S, "the drill is done", || async {
        let run = owner.client.run_fetch(run.id).await.unwrap();
        let told: RunProgress = serde_json::from_value(run.progress?).unwrap();
        let first = told.variants.into_iter().next()?.drills.into_iter().next()?;
        (first.state == DrillState::Done).then_some(first)
    })
    .await;
    cloud.kill_and_start(Process::Up).await;
    cloud.ready().await;
    let (_, outcome) = end_of(&owner, run.id).await;
    let [again] = outcome.variants[0].drills.as_slice() else { panic!("{outcome:?}") };
    assert_eq!((again.state, again.instance), (DrillState::Done, first.instance), "{again:?}");
    assert_eq!(again.done_at_ms, first.done_at_ms);
    assert_eq!(again.recovery_us, None);
    assert!(again.why.as_ref().unwrap().contains("stood still"), "{again:?}");
    assert_eq!(outcome.disclosed.len(), 2, "resumed, and the drill: {:?}", outcome.disclosed);
    cloud.close().await;
}
