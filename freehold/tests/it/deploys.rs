//! Versions of a function that follow each other under load: no call fails, none is answered by an
//! older version than its alias allows, and one that does not start is not waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use api::functions::{CreateAlias, CreateFunction, PublishVersion, UpdateAlias, UpdateFunction};
use bytes::Bytes;
use serde_json::Value;
use testkit::{Account, Cloud, Package};
use types::{AliasName, FunctionName, FunctionRuntime};

use crate::world::{PROGRAM, strangers};

const WAIT_MS: u64 = 60_000;
/// Callers at one time.
const CALLERS: usize = 4;
/// How long what was before may answer.
const STALE_MS: u64 = 20_000;
/// How long a version takes to begin: longer than several calls.
const BEGINS_S: f64 = 1.5;

/// One answer under load.
#[derive(Clone, Debug)]
struct Seen {
    began: Instant,
    ended: Instant,
    version: String,
    stale_ms: Option<u64>,
    error: Option<String>,
}

struct World {
    owner: Account,
    name: FunctionName,
    alias: AliasName,
}

impl World {
    /// Publishes code that begins slowly, or not at all, as the next version.
    async fn publish(&self, code: &str) -> String {
        let function = self.owner.client.function_fetch(&self.name).await.unwrap();
        let object = self.owner.send(&Package::empty().file("app.py", code)).await.unwrap().id;
        let generation = function.generation;
        let wanted =
            UpdateFunction { object: Some(object), generation, ..UpdateFunction::default() };
        let changed = self.owner.client.function_update(&self.name, &wanted).await.unwrap();
        let wanted = PublishVersion { description: None, generation: changed.generation };
        self.owner.client.function_publish(&self.name, &wanted).await.unwrap().version
    }

    /// Moves the alias, and says when that was done.
    async fn move_to(&self, version: &str) -> Instant {
        let page = api::pages::PageQuery::default();
        let aliases = self.owner.client.aliases_list(&self.name, &page).await.unwrap().items;
        let generation = aliases[0].generation;
        let wanted =
            UpdateAlias { version: Some(version.to_owned()), generation, ..UpdateAlias::default() };
        self.owner.client.alias_update(&self.name, (&self.alias, &wanted)).await.unwrap();
        Instant::now()
    }

    async fn call(&self) -> Seen {
        let began = Instant::now();
        let payload = (Bytes::from_static(b"{}"), WAIT_MS);
        let qualifier = Some(self.alias.as_str());
        let called = self.owner.client.function_call(&self.name, qualifier, payload).await;
        let called = called.expect("no call is refused");
        let told: Value = serde_json::from_slice(&called.body).unwrap();
        assert!(called.error.is_some() || told == called.version.clone().unwrap(), "{told}");
        Seen {
            began,
            ended: Instant::now(),
            version: called.version.unwrap(),
            stale_ms: called.stale_ms,
            error: called.error,
        }
    }
}

fn code(begins_s: f64) -> String {
    format!(
        "import time\n\ntime.sleep({begins_s})\n\ndef handler(event, context):\n    \
         time.sleep(0.02)\n    return context.function_version\n"
    )
}

/// Calls until it is told to stop.
async fn load(world: &Arc<World>, stop: &Arc<AtomicBool>) -> Vec<Seen> {
    let caller = async || {
        let mut seen = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            seen.push(world.call().await);
        }
        seen
    };
    let callers = (0..CALLERS).map(|_| caller());
    futures::future::join_all(callers).await.concat()
}

/// Calls go on while `work` is done; gives what they saw.
async fn under_load<T>(world: &Arc<World>, work: impl Future<Output = T>) -> (T, Vec<Seen>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (calls, stopped) = (load(world, &stop), async {
        let done = work.await;
        stop.store(true, Ordering::Relaxed);
        done
    });
    let (seen, done) = tokio::join!(calls, stopped);
    (done, seen)
}

async fn begin(owner: Account, max_stale_ms: u64) -> Arc<World> {
    let name: FunctionName = "rolls".parse().unwrap();
    let object = owner.send(&Package::empty().file("app.py", code(0.0))).await.unwrap().id;
    let wanted = CreateFunction {
        handler: "app.handler".to_owned(),
        timeout_ms: Some(10_000),
        ..CreateFunction::new(name.clone(), FunctionRuntime::Python3, object)
    };
    let made = owner.client.function_create(&wanted).await.unwrap();
    let wanted = PublishVersion { description: None, generation: made.generation };
    owner.client.function_publish(&name, &wanted).await.unwrap();
    let alias: AliasName = "live".parse().unwrap();
    let wanted = CreateAlias {
        name: alias.clone(),
        version: "1".to_owned(),
        other: None,
        max_stale_ms: Some(max_stale_ms),
        description: String::new(),
    };
    owner.client.alias_create(&name, &wanted).await.unwrap();
    let world = World { owner, name, alias };
    world.call().await;
    Arc::new(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_takes_over_under_load_and_one_that_does_not_start_is_rolled_back() {
    if !std::path::Path::new("/usr/bin/python3").is_file() {
        eprintln!("SKIPPED: there is no /usr/bin/python3");
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let world = begin(owner, STALE_MS).await;
    let second = world.publish(&code(BEGINS_S)).await;
    let (moved, seen) = under_load(&world, async {
        let moved = world.move_to(&second).await;
        // Until the new one has answered for a while.
        while world.call().await.version != second {}
        for _ in 0..20 {
            world.call().await;
        }
        moved
    })
    .await;
    let failed: Vec<_> = seen.iter().filter(|it| it.error.is_some()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let stale: Vec<_> = seen.iter().filter(|it| it.began > moved && it.version == "1").collect();
    assert!(!stale.is_empty(), "the old one answers while the new one begins");
    for it in stale {
        let told_ms = it.stale_ms.expect("an old answer says so");
        assert!(told_ms <= STALE_MS, "{it:?}");
    }
    let slowest = seen.iter().map(|it| it.ended - it.began).max().unwrap();
    assert!(slowest < Duration::from_secs_f64(BEGINS_S), "nobody waited for it: {slowest:?}");
    let first = seen.iter().filter(|it| it.version == second).map(|it| it.began).min().unwrap();
    let late = seen.iter().filter(|it| it.began > first + Duration::from_secs(1));
    assert!(late.clone().count() > 0 && late.clone().all(|it| it.version == second));
    assert!(seen.iter().all(|it| it.stale_ms.is_none() || it.version == "1"));

    // What cannot begin answers nobody, nor does what cannot begin after it.
    for _ in 0..2 {
        let next = world.publish("raise RuntimeError('it cannot begin')\n").await;
        let (moved, seen) = under_load(&world, async {
            let moved = world.move_to(&next).await;
            for _ in 0..60 {
                world.call().await;
            }
            moved
        })
        .await;
        let after: Vec<_> = seen.iter().filter(|it| it.began > moved).collect();
        assert!(after.len() > 60, "{}", after.len());
        assert!(after.iter().all(|it| it.error.is_none() && it.version == second), "{after:?}");
    }
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_that_wants_no_old_answers_gets_none() {
    if !std::path::Path::new("/usr/bin/python3").is_file() {
        eprintln!("SKIPPED: there is no /usr/bin/python3");
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let world = begin(owner, 0).await;
    let second = world.publish(&code(0.3)).await;
    let (moved, seen) = under_load(&world, async {
        let moved = world.move_to(&second).await;
        for _ in 0..10 {
            world.call().await;
        }
        moved
    })
    .await;
    assert!(seen.iter().all(|it| it.error.is_none()), "{seen:?}");
    let after: Vec<_> = seen.iter().filter(|it| it.began > moved).collect();
    assert!(!after.is_empty() && after.iter().all(|it| it.version == second), "{after:?}");
    assert!(seen.iter().all(|it| it.stale_ms.is_none()));
    cloud.close().await;
}
