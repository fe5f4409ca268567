//! Provisioned concurrency: instances that are there before a call comes, and stay so whatever happens
//! to them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::functions::provisioned::{ProvisionedConcurrency, ProvisionedSettings, ProvisionedStatus};
use api::functions::{
    CreateAlias, CreateFunction, PublishVersion, Share, UpdateAlias, UpdateFunction,
};
use api::pages::{LogQuery, PageQuery};
use bytes::Bytes;
use serde_json::{Value, json};
use testkit::wait::until;
use testkit::{Account, Cloud, Package, Process};
use types::{AliasName, FunctionName, FunctionRuntime};

use crate::functions::has_python;
use crate::world::{PROGRAM, strangers};

const WAIT_MS: u64 = 60_000;
/// Longest time until as many instances are there as there are to be, also after a host was lost.
const READY_S: u64 = 90;
/// Longest time until an instance that ended between calls is told of: it is looked for each second.
const TOLD: Duration = Duration::from_secs(5);
/// Instances that may end at another moment.
const TRIES: u32 = 10;
/// Most memory of a function.
const MEMORY_MIB_MAX: u32 = 10_240;
/// Callers at one time, and instances that are kept for them.
const CALLERS: u32 = 2;

/// Takes long to begin, and says how it did.
const CODE: &str = r#"
import os, threading, time

time.sleep(0.5)

def handler(event, context):
    if event.get("crash"):
        os._exit(3)
    time.sleep(event.get("s", 0))
    if event.get("ends"):
        threading.Timer(0.03, os._exit, [4]).start()
    return {
        "version": context.function_version,
        "instance": context.log_stream_name,
        "initialised": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
    }
"#;

/// What a call saw.
#[derive(Clone, Debug)]
struct Seen {
    /// Whether it waited for an instance that was started for it.
    cold: bool,
    version: String,
    instance: String,
    kept: bool,
}

async fn make(owner: &Account, name: &str, memory_mib: u32) -> FunctionName {
    let object = owner.send(&Package::empty().file("app.py", CODE)).await.unwrap().id;
    let wanted = CreateFunction {
        handler: "app.handler".to_owned(),
        memory_mib: Some(memory_mib),
        timeout_ms: Some(20_000),
        ..CreateFunction::new(name.parse().unwrap(), FunctionRuntime::Python3, object)
    };
    owner.client.function_create(&wanted).await.unwrap().name
}

/// Memory for functions of the only host, in MiB: they have a third of what other instances have.
async fn memory_mib(cloud: &Cloud) -> u32 {
    let host = cloud.operator().status().await.unwrap().hosts.remove(0);
    u32::try_from((host.memory_bytes >> 20) / 3).unwrap()
}

struct World {
    owner: Account,
    name: FunctionName,
}

impl World {
    /// A function with its first version.
    async fn begin(owner: Account, memory_mib: u32) -> Self {
        let name = make(&owner, "ready", memory_mib).await;
        let world = Self { owner, name };
        assert_eq!(world.publish().await, "1");
        world
    }

    async fn publish(&self) -> String {
        let generation = self.owner.client.function_fetch(&self.name).await.unwrap().generation;
        let wanted = PublishVersion { description: None, generation };
        self.owner.client.function_publish(&self.name, &wanted).await.unwrap().version
    }

    /// Names a version, and has what it named before answer for a while after it was moved.
    async fn name_version(&self, version: &str) -> AliasName {
        let wanted = CreateAlias {
            name: "live".parse().unwrap(),
            version: version.to_owned(),
            other: None,
            max_stale_ms: Some(60_000),
            description: String::new(),
        };
        self.owner.client.alias_create(&self.name, &wanted).await.unwrap().name
    }

    async fn move_alias(&self, alias: &AliasName, version: &str, other: Option<Share>) {
        let page = PageQuery::default();
        let aliases = self.owner.client.aliases_list(&self.name, &page).await.unwrap().items;
        let wanted = UpdateAlias {
            version: Some(version.to_owned()),
            other,
            generation: aliases[0].generation,
            ..UpdateAlias::default()
        };
        self.owner.client.alias_update(&self.name, (alias, &wanted)).await.unwrap();
    }

    async fn provision(&self, qualifier: &str, instances: u32) -> ProvisionedConcurrency {
        let of = (&self.name, qualifier);
        let wanted = ProvisionedSettings { instances };
        self.owner.client.provisioned_put(of, wanted).await.unwrap()
    }

    async fn standing(&self, qualifier: &str) -> ProvisionedConcurrency {
        self.owner.client.provisioned((&self.name, qualifier)).await.unwrap()
    }

    async fn until(&self, qualifier: &str, status: ProvisionedStatus) -> ProvisionedConcurrency {
        until(READY_S, "what is provisioned to stand so", || async {
            let standing = self.standing(qualifier).await;
            (standing.status == status).then_some(standing)
        })
        .await
    }

    async fn call(&self, qualifier: &str, event: Value) -> Seen {
        let payload = (Bytes::from(event.to_string()), WAIT_MS);
        let client = &self.owner.client;
        let called = client.function_call(&self.name, Some(qualifier), payload).await.unwrap();
        assert_eq!(called.error, None, "{called:?}");
        let told: Value = serde_json::from_slice(&called.body).unwrap();
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        Seen {
            cold: called.timing.unwrap().contains("initialisation"),
            version: text("version"),
            instance: text("instance"),
            kept: text("initialised") == "provisioned-concurrency",
        }
    }

    /// So many calls at once, each of which is there until all have come.
    async fn at_once(&self, qualifier: &str, calls: u32) -> Vec<Seen> {
        let all = (0..calls).map(|_| self.call(qualifier, json!({ "s": 1 })));
        futures::future::join_all(all).await
    }

    /// Waits until so many calls at once all find an instance that was kept for them.
    async fn until_kept(&self, qualifier: &str, calls: u32) -> Vec<Seen> {
        until(READY_S, "calls that find instances which were kept", || async {
            let seen = self.at_once(qualifier, calls).await;
            seen.iter().all(|seen| seen.kept && !seen.cold).then_some(seen)
        })
        .await
    }
}

fn instances(seen: &[Seen]) -> Vec<&str> {
    let mut instances: Vec<&str> = seen.iter().map(|seen| seen.instance.as_str()).collect();
    instances.sort_unstable();
    instances.dedup();
    instances
}

/// Two are wanted: no two calls at once wait for a start, a third does; what crashes is made up for;
/// and once none is wanted all are gone.
#[tokio::test(flavor = "multi_thread")]
async fn as_many_calls_at_once_as_are_provisioned_see_no_cold_start() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let world = World::begin(owner, 128).await;
    let wanted = world.provision("1", 2).await;
    assert_eq!((wanted.settings.instances, wanted.status), (2, ProvisionedStatus::InProgress));
    let ready = world.until("1", ProvisionedStatus::Ready).await;
    assert_eq!((ready.available, ready.allocated, ready.reason), (2, 2, None));

    let seen = world.at_once("1", 3).await;
    let kept: Vec<_> = seen.iter().filter(|seen| seen.kept).cloned().collect();
    assert_eq!((kept.len(), instances(&seen).len()), (2, 3), "{seen:?}");
    assert!(seen.iter().all(|seen| seen.cold != seen.kept), "the third is on demand: {seen:?}");
    let seen = world.at_once("1", 2).await;
    assert!(seen.iter().all(|seen| seen.kept && !seen.cold), "{seen:?}");
    assert_eq!(instances(&seen), instances(&kept));
    reports_of_one_start(&world, 5).await;

    let payload = (Bytes::from_static(br#"{"crash": true}"#), WAIT_MS);
    let crashed = world.owner.client.function_call(&world.name, Some("1"), payload).await.unwrap();
    assert_eq!(crashed.error.as_deref(), Some("Runtime.ExitError"));
    let seen = world.until_kept("1", 2).await;
    assert_eq!(instances(&seen).len(), 2, "{seen:?}");
    assert_ne!(instances(&seen), instances(&kept), "one of them has crashed");

    let of = (&world.name, "1");
    world.owner.client.provisioned_delete(of).await.unwrap();
    let gone = world.owner.client.provisioned(of).await.unwrap_err();
    assert_eq!(gone.status(), Some(404));
    until(READY_S, "calls to be on demand", || async {
        let seen = world.call("1", json!({})).await;
        (!seen.kept).then_some(())
    })
    .await;
    cloud.close().await;
}

/// Of all calls so far one has a start in its report.
async fn reports_of_one_start(world: &World, calls: usize) {
    let reports = until(READY_S, "the report of every call", || async {
        let log = world.owner.client.function_log(&world.name, &LogQuery::default()).await.unwrap();
        let lines = log.lines.into_iter().map(|line| line.text);
        let reports: Vec<String> = lines.filter(|line| line.starts_with("REPORT ")).collect();
        (reports.len() == calls).then_some(reports)
    })
    .await;
    let starts = reports.iter().filter(|line| line.contains("Init Duration")).count();
    assert_eq!(starts, 1, "{reports:?}");
}

/// While an alias moves under load the version before answers until as many of the next are there,
/// and no call waits for a start; then each version has its share.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_alias_means_next_is_warm_before_it_answers() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let world = World::begin(owner, 128).await;
    let alias = world.name_version("1").await;
    world.provision("live", CALLERS).await;
    world.until("live", ProvisionedStatus::Ready).await;
    let second = world.publish().await;

    let (over, all) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let caller = async || {
        while !over.load(Ordering::Relaxed) {
            let seen = world.call("live", json!({ "s": 0.01 })).await;
            all.lock().unwrap().push(seen);
        }
    };
    let callers = futures::future::join_all((0..CALLERS).map(|_| caller()));
    let moving = async {
        world.move_alias(&alias, &second, None).await;
        until(READY_S, "the next version to answer for a while", || async {
            let ready = world.standing("live").await.status == ProvisionedStatus::Ready;
            let next = all.lock().unwrap().iter().filter(|seen| seen.version == second).count();
            (ready && next >= 20).then_some(())
        })
        .await;
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(callers, moving);
    let seen = all.into_inner().unwrap();
    let cold: Vec<_> = seen.iter().filter(|seen| seen.cold || !seen.kept).collect();
    assert!(cold.is_empty(), "{} of {}: {cold:?}", cold.len(), seen.len());
    for version in ["1", "2"] {
        assert!(seen.iter().any(|seen| seen.version == version), "nothing of {version}");
    }

    let half = Share { version: "1".to_owned(), share: 5_000 };
    world.move_alias(&alias, "2", Some(half)).await;
    world.provision("live", 4).await;
    let ready = world.until("live", ProvisionedStatus::Ready).await;
    assert_eq!(ready.available, 4);
    for version in ["1", "2"] {
        let seen = world.until_kept(version, 2).await;
        assert_eq!(instances(&seen).len(), 2, "{seen:?}");
    }
    cloud.close().await;
}

/// What a killed agent had is there again once it runs.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_had_when_it_was_killed_is_provisioned_again() {
    if !has_python() {
        return;
    }
    let Some(mut cloud) = Cloud::apart(PROGRAM).await else { return };
    // Gateway and control miss their agent aloud.
    cloud.expect(" WARN ");
    let (owner, _) = strangers(&cloud).await;
    let world = World::begin(owner, 128).await;
    world.provision("1", 2).await;
    world.until("1", ProvisionedStatus::Ready).await;
    let before = world.at_once("1", 2).await;
    assert!(before.iter().all(|seen| seen.kept && !seen.cold), "{before:?}");
    cloud.kill(Process::Agent);
    cloud.nothing_left().await;
    cloud.start(Process::Agent).await;
    until(READY_S, "the agent to be asked again", || async {
        let payload = (Bytes::from_static(b"{}"), WAIT_MS);
        world.owner.client.function_call(&world.name, Some("1"), payload).await.ok()
    })
    .await;
    let after = world.until_kept("1", 2).await;
    world.until("1", ProvisionedStatus::Ready).await;
    let old = instances(&before);
    assert!(instances(&after).iter().all(|instance| !old.contains(instance)), "{after:?}");
    cloud.close().await;
}

/// With two hosts each has one, and calls find both.
#[tokio::test(flavor = "multi_thread")]
async fn calls_find_what_is_provisioned_on_any_host() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one_with(PROGRAM, &["--hosts", "2"]).await;
    let (owner, _) = strangers(&cloud).await;
    let world = World::begin(owner, 128).await;
    until(READY_S, "two hosts", || async {
        (cloud.operator().status().await.unwrap().hosts.len() == 2).then_some(())
    })
    .await;
    world.provision("1", 2).await;
    world.until("1", ProvisionedStatus::Ready).await;
    let seen = world.until_kept("1", 2).await;
    assert_eq!(instances(&seen).len(), 2, "{seen:?}");
    for _ in 0..5 {
        let seen = world.at_once("1", 2).await;
        assert!(seen.iter().all(|seen| seen.kept && !seen.cold), "{seen:?}");
    }
    cloud.close().await;
}

/// What does not begin is told of, in its own words, and tried again once another is wanted.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_begin_is_told_with_its_reason() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let world = World::begin(owner, 128).await;
    let broken = "raise ValueError('told to')\n";
    let object = world.owner.send(&Package::empty().file("app.py", broken)).await.unwrap().id;
    let generation = world.owner.client.function_fetch(&world.name).await.unwrap().generation;
    let wanted = UpdateFunction { object: Some(object), generation, ..UpdateFunction::default() };
    world.owner.client.function_update(&world.name, &wanted).await.unwrap();
    let second = world.publish().await;
    let alias = world.name_version(&second).await;
    world.provision("live", 1).await;
    let failed = world.until("live", ProvisionedStatus::Failed).await;
    let reason = failed.reason.unwrap();
    assert!(reason.starts_with("on local: ") && reason.contains("told to"), "{reason}");
    assert_eq!(failed.available, 0);
    world.move_alias(&alias, "1", None).await;
    world.until("live", ProvisionedStatus::Ready).await;
    let seen = world.until_kept("live", 1).await;
    assert_eq!(seen[0].version, "1");
    cloud.close().await;
}

/// What ends by itself is told of, and followed by another.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_without_a_call_is_told_of_and_made_up_for() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let world = World::begin(owner, 128).await;
    world.provision("1", 1).await;
    world.until("1", ProvisionedStatus::Ready).await;
    let before = world.call("1", json!({})).await;
    // It may end before its answer is there, or be frozen before it ends: then once more.
    let told = async || {
        let payload = (Bytes::from_static(br#"{"ends": true}"#), WAIT_MS);
        world.owner.client.function_call(&world.name, Some("1"), payload).await.unwrap();
        let told = until(READY_S, "a reason", || async {
            let reason = world.standing("1").await.reason?;
            reason.contains("ended without a call").then_some(reason)
        });
        tokio::time::timeout(TOLD, told).await.ok()
    };
    let mut reason = None;
    for _ in 0..TRIES {
        reason = told().await;
        if reason.is_some() {
            break;
        }
    }
    let reason = reason.expect("an instance that ended between calls is told of");
    assert!(reason.ends_with("with error: exit status 4"), "{reason}");
    world.until("1", ProvisionedStatus::Ready).await;
    let after = world.until_kept("1", 1).await;
    assert_ne!(after[0].instance, before.instance);
    cloud.close().await;
}

/// What is kept warm stays, also where another function has no room beside it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_provisioned_makes_room_for_nobody() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let mib = memory_mib(&cloud).await;
    if mib > MEMORY_MIB_MAX {
        eprintln!("SKIPPED: no function is as large as this machine's memory for functions");
        return cloud.close().await;
    }
    let world = World::begin(owner, 128).await;
    world.provision("1", 1).await;
    world.until("1", ProvisionedStatus::Ready).await;
    let before = world.call("1", json!({})).await;
    // It fits alone, and not beside the other.
    let large = make(&world.owner, "large", mib - 64).await;
    let refused = until(READY_S, "the gateway to know the function", || async {
        let payload = (Bytes::from_static(b"{}"), WAIT_MS);
        let refused = world.owner.client.function_call(&large, None, payload).await.unwrap_err();
        (refused.status() != Some(404)).then_some(refused)
    })
    .await;
    assert_eq!(refused.status(), Some(503), "{refused:?}");
    let after = world.call("1", json!({})).await;
    assert!(after.kept && !after.cold && after.instance == before.instance, "{after:?}");
    world.owner.client.provisioned_delete((&world.name, "1")).await.unwrap();
    let called = until(READY_S, "room for the other", || async {
        let payload = (Bytes::from_static(b"{}"), WAIT_MS);
        world.owner.client.function_call(&large, None, payload).await.ok()
    })
    .await;
    assert_eq!(called.error, None);
    cloud.close().await;
}

/// What has no room is told of, and calls run all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_room_is_told_and_calls_run_on_demand() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    // Nine tenths of it fit once, but not into the three quarters that may be provisioned.
    let mib = memory_mib(&cloud).await;
    let memory_mib = (mib * 9 / 10).min(MEMORY_MIB_MAX);
    let fit = mib * 3 / 4 / memory_mib;
    let world = World::begin(owner, memory_mib).await;
    world.provision("1", fit + 1).await;
    let failed = world.until("1", ProvisionedStatus::Failed).await;
    let reason = failed.reason.clone().unwrap();
    let told = format!("no host has room for 1 more of {memory_mib} MiB");
    assert!(reason.contains(&told), "{reason}");
    assert!(failed.available <= fit, "{failed:?}");
    let seen = world.call("1", json!({})).await;
    assert!(seen.cold || seen.kept, "{seen:?}");
    cloud.close().await;
}
