//! Several calls at a time in one instance: what they share, and what they do not.

use api::functions::sizes::{Sizing, SizingMode};
use api::functions::{CreateFunction, UpdateFunction};
use api::pages::LogQuery;
use bytes::Bytes;
use serde_json::{Value, json};
use testkit::wait::until;
use testkit::{Account, Cloud, Package};
use tokio::task::JoinSet;
use types::{Concurrency, FunctionName, FunctionRuntime};

use crate::functions::has_python;
use crate::world::{PROGRAM, http, strangers};

/// Longest time until a gateway knows of a change, or a log of a line.
const KNOWN_S: u64 = 10;
const WAIT_MS: u64 = 60_000;
/// Longest call.
const TIMEOUT_MS: u64 = 4_000;

/// Says which instance it runs in, once so many calls have come to that: `meet`; one that watches does
/// not count. Or fails then, or stays for a while, or never answers.
const CODE: &str = r#"
import os, time

HERE = "/tmp/here"

def handler(event, context):
    os.makedirs(HERE, exist_ok=True)
    if not event.get("watch"):
        open(HERE + "/" + context.aws_request_id, "w").close()
    if event.get("hang"):
        open("/tmp/hangs", "w").close()
    print("in", context.aws_request_id)
    while len(os.listdir(HERE)) < event.get("meet", 0) or event.get("hang"):
        time.sleep(0.001)
    time.sleep(event.get("stays_s", 0))
    if event.get("fail"):
        raise ValueError("told to")
    hangs = os.path.exists("/tmp/hangs") and time.time() - os.stat("/tmp/hangs").st_mtime
    return {"instance": context.log_stream_name, "hangs_ms": int(1000 * hangs)}
"#;

fn concurrency(calls: u32) -> Concurrency {
    Concurrency::try_from(calls).unwrap()
}

async fn make(owner: &Account, name: &str, calls: u32) -> FunctionName {
    let object = owner.send(&Package::empty().file("app.py", CODE)).await.unwrap().id;
    let wanted = CreateFunction {
        handler: "app.handler".to_owned(),
        memory_mib: Some(256),
        timeout_ms: Some(TIMEOUT_MS),
        concurrency: Some(concurrency(calls)),
        ..CreateFunction::new(name.parse().unwrap(), FunctionRuntime::Python3, object)
    };
    let made = owner.client.function_create(&wanted).await.unwrap();
    assert_eq!(made.concurrency.get(), calls);
    made.name
}

/// Calls a function, once the gateway knows it; gives what failed, and what it said.
async fn call(owner: &Account, name: &FunctionName, event: Value) -> (Option<String>, Value) {
    let called = owner.call(name, event.to_string()).await;
    (called.error, serde_json::from_slice(&called.body).unwrap())
}

/// The instance that this call ran in.
async fn instance(owner: &Account, name: &FunctionName, event: Value) -> String {
    let (error, told) = call(owner, name, event).await;
    assert_eq!(error, None, "{told}");
    told["instance"].as_str().unwrap().to_owned()
}

/// Calls that each wait for the others all end in one instance; twice as many fill a second one.
#[tokio::test(flavor = "multi_thread")]
async fn calls_at_once_share_an_instance_and_more_of_them_make_another() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    for (name, calls, instances) in [("one", 4, 1), ("two", 8, 2)] {
        let name = make(&owner, name, 4).await;
        // The first ones are there still when the last ones come.
        let event = json!({ "meet": 4, "stays_s": 1 });
        let all = (0..calls).map(|_| instance(&owner, &name, event.clone()));
        let mut all = futures::future::join_all(all).await;
        all.sort();
        all.dedup();
        assert_eq!(all.len(), instances, "{all:?}");
        // Nothing is between calls that come one after the other.
        let after = instance(&owner, &name, json!({})).await;
        assert!(all.contains(&after), "{after} {all:?}");
        lines_of_each_call(&owner, &name, calls + 1).await;
    }
    cloud.close().await;
}

/// Each call has its first line before what it wrote, and its two last ones behind that.
async fn lines_of_each_call(owner: &Account, name: &FunctionName, calls: usize) {
    let lines = until(KNOWN_S, "the log of every call", || async {
        let log = owner.client.function_log(name, &LogQuery::default()).await.unwrap();
        let lines: Vec<String> = log.lines.into_iter().map(|line| line.text).collect();
        let reports = lines.iter().filter(|line| line.starts_with("REPORT ")).count();
        (reports == calls).then_some(lines)
    })
    .await;
    let at = |line: &str| lines.iter().position(|other| other.starts_with(line)).unwrap();
    let ids = lines.iter().filter_map(|line| line.strip_prefix("in "));
    let ids: Vec<&str> = ids.collect();
    // What the last one wrote may be told with the next call only.
    assert!(ids.len() + 1 >= calls, "{lines:#?}");
    for id in ids {
        let shown = api::internal::functions::shown(id);
        let start = at(&format!("START RequestId: {shown}"));
        let end = at(&format!("END RequestId: {shown}"));
        let own = at(&format!("in {id}"));
        assert!(start < own && start < end, "{start} {own} {end}: {lines:#?}");
        assert!(lines[end + 1].starts_with("REPORT "), "{lines:#?}");
    }
}

/// Neither an error of a call, nor a caller who leaves in the middle, is another call's.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_or_a_caller_that_leaves_fails_no_neighbour() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let name = make(&owner, "f", 4).await;
    let first = instance(&owner, &name, json!({})).await;
    // The calls of this round are three; the first of all is there too.
    let well = || instance(&owner, &name, json!({ "meet": 4 }));
    let fails = call(&owner, &name, json!({ "meet": 4, "fail": true }));
    let ((error, told), one, other) = tokio::join!(fails, well(), well());
    assert_eq!(error.as_deref(), Some("Function.ValueError"), "{told}");
    assert_eq!((&one, &other), (&first, &first));

    // It waits for a sixth call, and its caller does not wait for it.
    let mut leaves = JoinSet::new();
    let (client, called) = (owner.client.clone(), name.clone());
    leaves.spawn(async move {
        let payload = (Bytes::from_static(b"{\"meet\": 6}"), WAIT_MS);
        client.function_call(&called, None, payload).await
    });
    assert_eq!(instance(&owner, &name, json!({ "meet": 5, "watch": true })).await, first);
    leaves.abort_all();
    until(KNOWN_S, "the gateway to see that its caller has left", || async {
        let metrics = http().get(cloud.metrics()).send().await.ok()?.text().await.ok()?;
        (!under_way(&metrics)).then_some(())
    })
    .await;
    let stays = instance(&owner, &name, json!({ "meet": 6 })).await;
    assert_eq!(stays, first);
    assert_eq!(instance(&owner, &name, json!({})).await, first);
    cloud.close().await;
}

/// Whether the gauge of calls that are given to hosts is above zero.
fn under_way(metrics: &str) -> bool {
    let gauge = metrics.lines().find(|line| {
        !line.starts_with('#')
            && line.contains("freehold_faas_active_invocations")
            && !line.ends_with(" 0")
    });
    gauge.is_some()
}

/// A call past its deadline ends the instance and the calls that run there, which are told why; the
/// next call has another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_past_its_deadline_ends_the_calls_beside_it_and_they_are_told() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let name = make(&owner, "f", 4).await;
    let first = instance(&owner, &name, json!({})).await;
    let hangs = call(&owner, &name, json!({ "hang": true }));
    let others = async {
        // Their own deadlines are later than the machine may need to end an instance.
        until(KNOWN_S, "it to hang for a while", || async {
            let (error, told) = call(&owner, &name, json!({})).await;
            assert_eq!((error, told["instance"].as_str()), (None, Some(first.as_str())));
            (told["hangs_ms"].as_u64().unwrap() > TIMEOUT_MS / 2).then_some(())
        })
        .await;
        let wait = || call(&owner, &name, json!({ "meet": 1_000_000 }));
        tokio::join!(wait(), wait(), wait())
    };
    let ((error, told), (one, two, three)) = tokio::join!(hangs, others);
    assert_eq!(error.as_deref(), Some("Sandbox.Timedout"), "{told}");
    for (error, told) in [one, two, three] {
        assert_eq!(error.as_deref(), Some("Sandbox.Ended"), "{told}");
        let why = told["errorMessage"].as_str().unwrap();
        assert!(why.ends_with("another call there ran past its deadline"), "{why}");
    }
    assert_ne!(instance(&owner, &name, json!({})).await, first);
    cloud.close().await;
}

/// Lambda's own client for Rust asks for as many calls at a time as it is told; one of them is answered
/// in pieces.
#[tokio::test(flavor = "multi_thread")]
async fn calls_meet_in_a_program_with_lambdas_client_for_rust() {
    let Some(program) = std::env::var_os("FREEHOLD_TEST_LAMBDA_RUST") else {
        eprintln!("SKIPPED: no program with lambda_runtime (FREEHOLD_TEST_LAMBDA_RUST)");
        return;
    };
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let package = Package::empty();
    std::fs::copy(program, package.folder().join("bootstrap")).unwrap();
    let object = owner.send(&package).await.unwrap().id;
    let wanted = CreateFunction {
        memory_mib: Some(256),
        concurrency: Some(concurrency(3)),
        ..CreateFunction::new("rust".parse().unwrap(), FunctionRuntime::Provided, object)
    };
    let name = owner.client.function_create(&wanted).await.unwrap().name;
    assert_eq!(call(&owner, &name, json!({})).await.1["calls"], 1);
    let meets = || call(&owner, &name, json!({ "meet": 4 }));
    let streams = async {
        let event = json!({ "meet": 4, "pieces": ["a", "bc"] }).to_string();
        let payload = (Bytes::from(event), WAIT_MS);
        let mut pieces = owner.client.function_stream(&name, None, payload).await.unwrap();
        let mut said = Vec::new();
        while let Some(piece) = pieces.next().await.unwrap() {
            said.extend_from_slice(&piece);
        }
        (pieces.error().map(str::to_owned), String::from_utf8(said).unwrap())
    };
    let ((error, said), one, other) = tokio::join!(streams, meets(), meets());
    assert!(error.is_none() && said.ends_with("\0\0abc"), "{error:?} {said:?}");
    for (error, told) in [one, other] {
        assert_eq!((error, &told["event"]), (None, &json!({ "meet": 4 })), "{told}");
    }
    cloud.close().await;
}

/// How many there are is a version's own, and goes with nothing that has to know one call alone.
#[tokio::test(flavor = "multi_thread")]
async fn several_calls_at_a_time_are_said_by_the_owner_and_not_by_a_variable() {
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let name = make(&owner, "f", 4).await;
    let variable = ("AWS_LAMBDA_MAX_CONCURRENCY".to_owned(), "9".to_owned());
    let wanted = UpdateFunction {
        environment: Some([variable].into()),
        generation: 1,
        ..UpdateFunction::default()
    };
    let refused = owner.client.function_update(&name, &wanted).await.unwrap_err();
    assert!(refused.to_string().contains("say concurrency instead"), "{refused}");
    let auto = Sizing { mode: SizingMode::Auto, ..Sizing::default() };
    let refused = owner.client.function_sizing_put(&name, &auto).await.unwrap_err();
    assert!(refused.to_string().contains("have 4 calls at a time"), "{refused}");
    let alone = UpdateFunction {
        concurrency: Some(concurrency(1)),
        generation: 1,
        ..UpdateFunction::default()
    };
    let changed = owner.client.function_update(&name, &alone).await.unwrap();
    assert_eq!(changed.concurrency.get(), 1);
    owner.client.function_sizing_put(&name, &auto).await.unwrap();
    let several = UpdateFunction { concurrency: Some(concurrency(2)), generation: 2, ..alone };
    let refused = owner.client.function_update(&name, &several).await.unwrap_err();
    assert!(refused.to_string().contains("have 2 calls at a time"), "{refused}");
    cloud.close().await;
}
