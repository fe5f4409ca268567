//! `kill -9` of an agent at random points, with calls of functions under way.
//!
//! Nothing of its instances outlives it but folders and control groups, and those its next start
//! removes; a call that was lost says so, every other one is answered; functions run again at once.
//! `FREEHOLD_TEST_KILLS` and `FREEHOLD_TEST_SEED` as for the other kills.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use api::client::{Client, Error, Settings};
use api::functions::CreateFunction;
use bytes::Bytes;
use testkit::wait::until;
use testkit::{Account, Cloud, Package, Process};
use tokio::task::JoinSet;
use types::{FunctionName, FunctionRuntime};

use crate::killed::{Chance, kills};
use crate::world::{PROGRAM, strangers};

const WAIT_MS: u64 = 60_000;
/// Longest time until a restarted agent runs calls and has removed what the last one left.
const AGAIN_S: u64 = 30;
/// Latest point of a kill after a function has answered.
const LATEST_MS: u64 = 250;

/// What is under way when the agent is killed: calls that are over at once, some that take a while,
/// and daemons that were left behind.
const CODE: &str = r#"
import os, signal, time

def quick(event, context):
    return "well"

def slow(event, context):
    time.sleep(0.3)
    return "well"

KIN = []

def family(event, context):
    # Of more and more of them the instance would be killed for memory, and not by us.
    while KIN:
        pid = KIN.pop()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with open("/tmp/" + str(number), "w") as file:
                file.write("x" * 100000)
            time.sleep(600)
            os._exit(0)
        KIN.append(pid)
    time.sleep(0.02)
    return "well"
"#;

/// What callers have seen.
#[derive(Debug, Default)]
struct Seen {
    answered: AtomicU64,
    /// Calls that may have run.
    lost: AtomicU64,
    /// Calls that were not run.
    refused: AtomicU64,
    over: AtomicBool,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_at_random_points_leaves_nothing_behind() {
    if !Path::new("/usr/bin/python3").is_file() {
        eprintln!("SKIPPED: there is no /usr/bin/python3");
        return;
    }
    let Some(cloud) = Cloud::apart(PROGRAM).await else { return };
    killed(cloud, kills()).await;
}

/// The same over an OCI runtime, which makes groups of its own besides.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_containers_killed_at_random_points_leaves_nothing_behind() {
    let installed =
        ["/usr/bin/runc", "/usr/sbin/runc"].iter().any(|path| Path::new(path).is_file());
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !installed || !root || !Path::new("/usr/bin/python3").is_file() {
        eprintln!("SKIPPED: this machine lacks: runc, /usr/bin/python3, or root to run it");
        return;
    }
    let Some(cloud) = Cloud::apart_by(PROGRAM, "runc").await else { return };
    killed(cloud, kills().div_ceil(10)).await;
}

async fn killed(mut cloud: Cloud, kills: u64) {
    // Gateway and control miss their agent aloud.
    cloud.expect(" WARN ");
    let (owner, _) = strangers(&cloud).await;
    let seen = Arc::new(Seen::default());
    let mut calling = JoinSet::new();
    for handler in ["quick", "slow", "family"] {
        let name = make(&owner, handler).await;
        for _ in 0..2 {
            calling.spawn(keep_calling(once(&owner), name.clone(), Arc::clone(&seen)));
        }
    }
    let mut chance = Chance::new();
    for round in 0..kills {
        let answered = seen.answered.load(Ordering::Relaxed);
        until(AGAIN_S, "functions to run", || async {
            (seen.answered.load(Ordering::Relaxed) > answered).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(chance.below(LATEST_MS))).await;
        kill_and_look(&mut cloud, round).await;
    }
    seen.over.store(true, Ordering::Relaxed);
    while let Some(called) = calling.join_next().await {
        called.unwrap();
    }
    eprintln!("{seen:?}");
    assert!(seen.lost.load(Ordering::Relaxed) > 0, "no call was under way at any kill");
    cloud.close().await;
}

/// Kills the agent, and looks after what it had.
async fn kill_and_look(cloud: &mut Cloud, round: u64) {
    let process = cloud.process(Process::Agent).pid();
    let instances = cloud.data(Process::Agent).join("run/i");
    cloud.kill(Process::Agent);
    cloud.nothing_left().await;
    let (folders, groups) = (names(&instances), groups_of(process));
    eprintln!("round {round}: left {} folders, {} groups", folders.len(), groups.len());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let folder = cloud.folder().to_str().unwrap();
    assert!(!mounts.contains(folder), "a mount is left:\n{mounts}");
    cloud.start(Process::Agent).await;
    until(AGAIN_S, "the next agent to remove what is left", || async {
        let folders = names(&instances).intersection(&folders).count();
        (folders == 0 && groups_of(process).is_empty()).then_some(())
    })
    .await;
}

fn names(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Control groups of the instances that a process has made.
fn groups_of(process: u32) -> BTreeSet<PathBuf> {
    let (mut found, mut folders) = (BTreeSet::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    let mark = format!("freehold-{process}-");
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.file_name().to_string_lossy().starts_with(&mark) {
                found.insert(entry.path());
            } else {
                folders.push(entry.path());
            }
        }
    }
    found
}

/// A client that repeats nothing.
fn once(owner: &Account) -> Client {
    let settings = Settings {
        token: Some(owner.token.clone()),
        attempts: 1,
        ..Settings::new(owner.client.address().clone())
    };
    Client::new(settings).unwrap()
}

/// Calls a function until it is over.
async fn keep_calling(client: Client, name: FunctionName, seen: Arc<Seen>) {
    while !seen.over.load(Ordering::Relaxed) {
        let payload = (Bytes::from_static(b"{}"), WAIT_MS);
        let counter = match client.function_call(&name, None, payload).await {
            Ok(called) => {
                let told = (called.error.as_deref(), &called.body[..]);
                assert_eq!(told, (None, &b"\"well\""[..]), "{called:?}");
                &seen.answered
            }
            // The gateway does not know it yet.
            Err(error) if error.status() == Some(404) => &seen.refused,
            Err(Error::Problem(problem)) if problem.code == "call_lost" => {
                assert_eq!(problem.status, 503);
                assert!(problem.title.contains("may have run"), "{problem:?}");
                &seen.lost
            }
            Err(Error::Problem(problem)) if problem.code == "unavailable" => {
                assert!(problem.title.contains("try again"), "{problem:?}");
                &seen.refused
            }
            Err(error) => panic!("{error:?}"),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if !std::ptr::eq(counter, &raw const seen.answered) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A function of this handler.
async fn make(owner: &Account, handler: &str) -> FunctionName {
    let name: FunctionName = handler.parse().unwrap();
    let object = owner.send(&Package::empty().file("app.py", CODE)).await.unwrap().id;
    let wanted = CreateFunction {
        handler: format!("app.{handler}"),
        memory_mib: Some(128),
        timeout_ms: Some(20_000),
        ..CreateFunction::new(name.clone(), FunctionRuntime::Python3, object)
    };
    owner.client.function_create(&wanted).await.unwrap();
    name
}
