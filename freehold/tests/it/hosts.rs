//! Several hosts: calls are spread over them and stay with some, and one that goes is noticed; sizes
//! of instances follow what calls use.

use std::collections::BTreeMap;

use api::client::Called;
use api::functions::sizes::{AdviceQuery, SizeChange, Sizing, SizingMode};
use api::functions::{CreateFunction, Function};
use api::status::CreateEnrolment;
use bytes::Bytes;
use serde_json::{Value, json};
use testkit::program::Spec;
use testkit::wait::until;
use testkit::{Account, Cloud, Package, Process, Program};
use types::{Fleet, FunctionName, FunctionRuntime};

use crate::world::{PROGRAM, http, strangers};

const WAIT_MS: u64 = 60_000;
/// Longest time until a gateway knows of a change.
const KNOWN_S: u64 = 10;
/// Longest time until a host that is silent is noticed, which takes fifteen seconds, and told of.
const NOTICED_S: u64 = 60;

/// Takes long to start, so that it is worth keeping where it is called often.
const SLOW_TO_START: &str = r#"
import time

time.sleep(0.7)

def handler(event, context):
    time.sleep(event.get("s", 0))
    held = b"x" * (event.get("mib", 0) << 20)
    time.sleep(event.get("s", 0))
    return len(held)
"#;

fn has_python() -> bool {
    let there = std::path::Path::new("/usr/bin/python3").is_file();
    if !there {
        eprintln!("SKIPPED: there is no /usr/bin/python3");
    }
    there
}

async fn make(account: &Account, name: &str, memory_mib: u32) -> Function {
    let package = Package::empty().file("app.py", SLOW_TO_START);
    let object = account.send(&package).await.unwrap().id;
    let wanted = CreateFunction {
        handler: "app.handler".to_owned(),
        memory_mib: Some(memory_mib),
        timeout_ms: Some(20_000),
        ..CreateFunction::new(name.parse().unwrap(), FunctionRuntime::Python3, object)
    };
    let made = account.client.function_create(&wanted).await.unwrap();
    account.call(&made.name, "{}").await;
    made
}

async fn call(account: &Account, name: &FunctionName, event: Value) -> Called {
    let payload = Bytes::from(event.to_string());
    account.client.function_call(name, None, (payload, WAIT_MS)).await.unwrap()
}

/// Calls so far, by host and how it was chosen.
async fn placed(cloud: &Cloud) -> BTreeMap<(String, String), u64> {
    let text = http().get(cloud.metrics()).send().await.unwrap().text().await.unwrap();
    let lines = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("freehold_function_calls_placed_total{host=\"")?;
        let (host, rest) = rest.split_once("\",place=\"")?;
        let (place, count) = rest.split_once("\"} ")?;
        Some(((host.to_owned(), place.to_owned()), count.parse().unwrap()))
    });
    lines.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_called_often_stays_with_a_hot_host_and_its_bursts_are_spread() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one_with(PROGRAM, &["--hosts", "3", "--fleet", "cold,hot,hot"]).await;
    let (owner, _) = strangers(&cloud).await;
    let status = until(KNOWN_S, "three hosts", || async {
        let status = cloud.operator().status().await.unwrap();
        (status.hosts.len() == 3).then_some(status)
    })
    .await;
    let told: Vec<_> =
        status.hosts.iter().map(|host| (host.name.as_str(), host.fleet.clone())).collect();
    let wanted = [("local", Fleet::Cold), ("local-2", Fleet::Hot), ("local-3", Fleet::Hot)];
    assert_eq!(told, wanted);
    let shares: Vec<_> =
        status.hosts.iter().map(|host| (host.memory_bytes, host.cpu_milli)).collect();
    assert!(shares.iter().all(|share| *share == shares[0] && share.0 > 0), "{shares:?}");

    let often = make(&owner, "often", 128).await.name;
    let seldom = make(&owner, "seldom", 128).await.name;
    until(KNOWN_S, "a host that keeps it", || async {
        assert_eq!(call(&owner, &often, json!({})).await.error, None);
        placed(&cloud).await.keys().any(|(_, place)| place == "pinned").then_some(())
    })
    .await;
    for _ in 0..10 {
        assert_eq!(call(&owner, &often, json!({})).await.error, None);
    }
    let pinned = |placed: &BTreeMap<(String, String), u64>| -> Vec<(String, u64)> {
        let pinned = placed.iter().filter(|((_, place), _)| place == "pinned");
        pinned.map(|((host, _), calls)| (host.clone(), *calls)).collect()
    };
    let kept = pinned(&placed(&cloud).await);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].0 != "local" && kept[0].1 >= 10, "{kept:?}");

    // Eight at a time are more than one host takes.
    let calls = (0..8).map(|_| call(&owner, &often, json!({ "s": 0.4 })));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| answer.error.is_none()), "{answers:?}");
    let spread = pinned(&placed(&cloud).await);
    assert_eq!(spread.len(), 2, "{spread:?}");

    call(&owner, &seldom, json!({})).await;
    let cold = placed(&cloud).await;
    let elsewhere = cold.keys().filter(|(host, place)| place == "packed" && host != "local");
    assert_eq!(elsewhere.count(), 0, "{cold:?}");
    cloud.close().await;
}

/// Enrols and starts an agent beside the cloud's own, in a folder of the cloud.
async fn another_agent(cloud: &Cloud, name: &str) -> Program {
    let internal = cloud.internal();
    let wanted = CreateEnrolment { process: "agent".to_owned(), name: name.parse().unwrap() };
    let token = internal.enrolment_create(&wanted).await.unwrap().token;
    let data = cloud.folder().join(name).display().to_string();
    let spec = |words: &[&str]| Spec {
        program: PROGRAM.into(),
        args: words.iter().map(|&word| word.to_owned()).collect(),
        variables: Vec::new(),
    };
    let control = internal.address().to_string();
    let enrol = ["agent", "enrol", &token, "--control", &control, "--data", &data];
    Program::start(&spec(&enrol), "enrolled as").await.stop_by_itself().await;
    let run = ["agent", "--data", &data, "--listen-data", "127.0.0.1:0", "--stop-grace", "5"];
    Program::start(&spec(&run), "agent ").await
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_reach_another_host_and_go_elsewhere_once_it_is_lost() {
    let Some(mut cloud) = Cloud::apart(PROGRAM).await else { return };
    if !has_python() {
        return;
    }
    cloud.expect("a call was lost");
    let mut other = another_agent(&cloud, "other").await;
    // The gateway is on this machine too: without the socket it has to go through the data port.
    let folder = cloud.folder().join("other").join("agent");
    for entry in std::fs::read_dir(&folder).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("functions-") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let (owner, _) = strangers(&cloud).await;
    let name = make(&owner, "busy", 128).await.name;
    let calls_of = async |host: &str| -> u64 {
        let placed = placed(&cloud).await;
        placed.iter().filter(|((it, _), _)| it == host).map(|(_, calls)| calls).sum()
    };
    // Both hosts answer.
    until(NOTICED_S, "calls on both hosts", || async {
        let calls = (0..6).map(|_| call(&owner, &name, json!({ "s": 0.1 })));
        let answers = futures::future::join_all(calls).await;
        assert!(answers.iter().all(|answer| answer.error.is_none()), "{answers:?}");
        (calls_of("other").await > 1 && calls_of("agent-1").await > 1).then_some(())
    })
    .await;

    other.kill();
    until(KNOWN_S, "the end of its connections to be seen", || async {
        let payload = || (Bytes::from("{}"), WAIT_MS);
        let calls = (0..6).map(|_| owner.client.function_call(&name, None, payload()));
        futures::future::join_all(calls).await.iter().all(Result::is_ok).then_some(())
    })
    .await;
    // What comes from now on is run: a host that cannot be reached has not been told anything.
    for _ in 0..6 {
        let calls = (0..4).map(|_| call(&owner, &name, json!({})));
        let answers = futures::future::join_all(calls).await;
        assert!(answers.iter().all(|answer| answer.error.is_none()), "{answers:?}");
    }
    until(NOTICED_S, "the loss to be noticed", || async {
        let status = cloud.operator().status().await.unwrap();
        let lost = status.hosts.iter().find(|host| host.name.as_str() == "other").unwrap();
        (!lost.alive).then_some(())
    })
    .await;
    // Once gateways know, it is not asked any more.
    until(NOTICED_S, "the host not to be asked", || async {
        let before = calls_of("other").await;
        for _ in 0..20 {
            assert_eq!(call(&owner, &name, json!({})).await.error, None);
        }
        (calls_of("other").await == before).then_some(())
    })
    .await;
    assert!(cloud.processes().contains(&Process::Agent));
    cloud.close().await;
}

/// Whether this machine can change the size of what runs.
async fn changes_sizes(cloud: &Cloud) -> bool {
    let status = cloud.operator().status().await.unwrap();
    let held = |name: &str| {
        let mut features = status.hosts.iter().flat_map(|host| &host.features);
        features.any(|it| it.name == name && it.held && it.detail.starts_with("by cgroup"))
    };
    let can = held("memory limit") && held("cpu limit");
    if !can {
        eprintln!("SKIPPED: without control groups sizes cannot be changed");
    }
    can
}

const AUTO: Sizing = Sizing {
    mode: SizingMode::Auto,
    memory_mib_min: None,
    memory_mib_max: None,
    idempotent: false,
};

#[tokio::test(flavor = "multi_thread")]
async fn sizes_follow_what_calls_use_and_every_step_has_its_reason() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    if !changes_sizes(&cloud).await {
        return;
    }
    let (owner, _) = strangers(&cloud).await;
    let client = &owner.client;
    let name = make(&owner, "modest", 512).await.name;
    assert_eq!(client.function_sizing(&name).await.unwrap(), Sizing::default());
    assert_eq!(client.function_sizing_put(&name, &AUTO).await.unwrap(), AUTO);
    let wrong = Sizing { memory_mib_min: Some(8), ..AUTO };
    assert_eq!(client.function_sizing_put(&name, &wrong).await.unwrap_err().status(), Some(400));
    let steps = until(NOTICED_S, "a trial to end", || async {
        assert_eq!(call(&owner, &name, json!({ "s": 0.02 })).await.error, None);
        let steps = client.function_sizes(&name).await.unwrap();
        (steps.len() >= 2).then_some(steps)
    })
    .await;
    let SizeChange::Tried { from_kib, to_kib, used_kib, calls } = steps[1].change else {
        panic!("{steps:?}")
    };
    assert_eq!((steps[1].number, from_kib, steps[1].version.as_str()), (1, 512 << 10, "$LATEST"));
    assert!(to_kib < 128 << 10 && used_kib < to_kib && calls >= 20, "{steps:?}");
    match steps[0].change {
        SizeChange::Settled { from_kib, to_kib: settled_kib, calls, .. } => {
            assert_eq!((from_kib, settled_kib), (512 << 10, to_kib));
            assert!(calls >= 20);
        }
        // On a busy machine a trial may have bad luck; then what was before stays.
        SizeChange::RolledBackSlower { from_kib, to_kib: back_kib, slower_milli } => {
            assert_eq!((from_kib, back_kib), (to_kib, 512 << 10));
            assert!(slower_milli > 50);
        }
        ref other => panic!("{other:?}"),
    }

    let advice = until(NOTICED_S, "advice", || async {
        client.function_advice(&name, &AdviceQuery::default()).await.ok()
    })
    .await;
    assert!(advice.measured.calls > 0 && advice.measured.call_us >= 40_000, "{advice:?}");
    assert_eq!(advice.sizes.iter().filter(|size| size.advised).count(), 1, "{advice:?}");
    assert!(advice.sizes.is_sorted_by(|one, next| one.call_us >= next.call_us), "{advice:?}");
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_killed_for_memory_is_run_once_more_where_that_does_no_harm() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    if !changes_sizes(&cloud).await {
        return;
    }
    let (owner, _) = strangers(&cloud).await;
    let client = &owner.client;
    let name = make(&owner, "greedy", 64).await.name;
    let wanted = Sizing { memory_mib_max: Some(512), ..AUTO };
    client.function_sizing_put(&name, &wanted).await.unwrap();
    let greedy = json!({ "mib": 90, "s": 0.8 });
    let killed = call(&owner, &name, greedy.clone()).await;
    assert_eq!(killed.error.as_deref(), Some("Runtime.ExitError"), "it may not be run twice");
    let wanted = Sizing { idempotent: true, ..wanted };
    client.function_sizing_put(&name, &wanted).await.unwrap();
    until(NOTICED_S, "a call that is run again", || async {
        call(&owner, &name, greedy.clone()).await.error.is_none().then_some(())
    })
    .await;
    let again = until(KNOWN_S, "the second run to be told of", || async {
        let steps = client.function_sizes(&name).await.unwrap();
        steps.into_iter().find_map(|step| match step.change {
            SizeChange::RunAgain { from_kib, to_kib, answered } => {
                Some((from_kib >> 10, to_kib >> 10, answered))
            }
            _ => None,
        })
    })
    .await;
    assert_eq!(again, (64, 128, true));
    cloud.close().await;
}
