//! Instances from their start to their end: the training contract, workers, limits, stopping.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests panic, and skip aloud")]

mod levels;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use executor::{
    Ending, Error, Executor, Job, Line, Running, Settings, Start, Stream, Work, features,
};
use serde_json::json;
use tempfile::TempDir;
use types::{InstanceId, Limits};
use workflow::{Clock, Tasks};

const HELPER: &str = env!("CARGO_BIN_EXE_executor-test-helper");
/// Longest wait for what takes a second or less on a machine, and many times that where its processor
/// is emulated.
const PATIENCE: Duration = Duration::from_secs(100);

struct Host {
    folder: TempDir,
    executor: Executor,
    clock: Clock,
    tasks: Tasks,
}

impl Host {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("package")).unwrap();
        fs::copy(HELPER, folder.path().join("package/attack")).unwrap();
        let mut settings = Settings::new(HELPER, folder.path().join("work"));
        settings.sandbox = levels::chosen();
        change(&mut settings);
        let (clock, tasks) = (Clock::system(), Tasks::new());
        let executor = Executor::new(settings, clock.clone(), tasks.clone()).unwrap();
        Self { folder, executor, clock, tasks }
    }

    fn job(&self, args: &[&str]) -> Start {
        let args = ["attack"].iter().chain(args).map(|&word| word.to_owned()).collect();
        let program = "attack".into();
        let name = "training-1".to_owned();
        self.start(Work::Job(Job { name, program, args, ..Job::default() }))
    }

    fn start(&self, work: Work) -> Start {
        Start {
            id: InstanceId::new(self.clock.uuid()),
            generation: 1,
            package: self.folder.path().join("package"),
            work,
            limits: Limits {
                timeout_ms: 60_000,
                memory_bytes: 256 << 20,
                cpu_milli: 1_000,
                processes: 32,
                scratch_bytes: 16 << 20,
            },
            task: json!({ "entry": "model.onnx" }),
        }
    }
}

async fn lines(running: &Running) -> Vec<Line> {
    let mut reader = running.logs();
    let mut lines = Vec::new();
    while let Some(line) = reader.next().await {
        lines.push(line);
    }
    lines
}

fn can_run_jobs() -> bool {
    let can = features().iter().any(|feature| feature.name == "mount namespace" && feature.held);
    if !can {
        eprintln!("SKIPPED: this machine lacks: mount namespace");
    }
    can
}

#[tokio::test]
async fn a_job_keeps_the_training_contract() {
    if !can_run_jobs() {
        return;
    }
    let host = Host::new();
    let channel = host.folder.path().join("channel");
    fs::create_dir(&channel).unwrap();
    fs::write(channel.join("rows.csv"), "1,2").unwrap();
    let mut start = host.job(&["contract"]);
    let Work::Job(job) = &mut start.work else { unreachable!() };
    job.config = BTreeMap::from([("hyperparameters.json".to_owned(), b"{\"a\":1}".to_vec())]);
    job.channels = BTreeMap::from([("events".to_owned(), channel)]);
    let running = host.executor.start(start).await.unwrap();
    let exit = running.wait().await;
    assert_eq!((exit.code, exit.ending), (Some(1), Ending::Exited), "{exit:?}");
    assert_eq!(exit.failure.as_deref(), Some("the rows are too few"));
    assert!(exit.memory_peak_bytes > 500_000 && !exit.is_success());
    let model = fs::read_to_string(running.model_folder().join("deep/model.onnx")).unwrap();
    assert_eq!(model, "{\"a\":1}1,2");
    assert!(!running.model_folder().join("link").is_symlink());
    let lines = lines(&running).await;
    let out: Vec<_> = lines.iter().filter(|line| line.stream == Stream::Out).collect();
    assert_eq!(out[0].line, "training-1 {\"a\":1} 1,2");
    let err: Vec<_> = lines.iter().filter(|line| line.stream == Stream::Err).collect();
    assert_eq!(err[0].line, "a word on standard error");
    running.clear().unwrap();
    assert!(!running.model_folder().exists());
}

/// What the worker in miniature tells.
fn ask(running: &Running) -> serde_json::Value {
    let mut answer = String::new();
    let mut stream = UnixStream::connect(running.socket().unwrap()).unwrap();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap()
}

/// As on a host that refuses mounts: only landlock hides its files.
#[tokio::test]
async fn without_mounts_a_worker_sees_its_package_and_no_more() {
    if !features().iter().any(|feature| feature.name == "landlock" && feature.held) {
        eprintln!("SKIPPED: this machine lacks: landlock");
        return;
    }
    let host = Host::with(|settings| settings.without = vec!["mount namespace"]);
    let running = host.executor.start(host.start(Work::Serve)).await.unwrap();
    let told = ask(&running);
    assert_eq!(told["seen"], json!([]));
    assert_eq!((&told["package"], &told["scratch"]), (&json!(1), &json!(true)));
    assert_eq!(told["socket"], json!(false));
    let refused = host.executor.start(host.job(&["sleep"])).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
}

/// As on a host that refuses process namespaces: the keeper ends all it can find.
#[tokio::test]
async fn without_a_process_namespace_children_left_behind_are_gone_too() {
    if !can_run_jobs() {
        return;
    }
    let host = Host::with(|settings| settings.without = vec!["process namespace"]);
    for args in [["leave-children", "mark-of-the-keeper"], ["fork-bomb", ""]] {
        let running = host.executor.start(host.job(&args)).await.unwrap();
        let exit = running.wait().await;
        assert!(exit.is_success() || exit.ending == Ending::TooManyProcesses, "{exit:?}");
        assert_eq!(programs(host.folder.path()), Vec::<String>::new());
    }
}

/// The executor is killed: its instances end with it.
#[test]
fn nothing_outlives_an_executor_that_is_killed() {
    if !can_run_jobs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("package");
    fs::create_dir(&package).unwrap();
    fs::copy(HELPER, package.join("attack")).unwrap();
    let user = nix::unistd::geteuid().to_string();
    let mut executor = std::process::Command::new(HELPER)
        .args(["as-user", &user])
        .args([folder.path().join("work"), package])
        .arg("sleep")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until(|| !programs(folder.path()).is_empty());
    executor.kill().unwrap();
    executor.wait().unwrap();
    wait_until(|| programs(folder.path()).is_empty());
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "it did not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What Python programs commonly do works: threads, processes, semaphores, temporary files.
#[tokio::test]
async fn python_works_in_a_job() {
    const SCRIPT: &str = r#"
import concurrent.futures, ctypes, hashlib, multiprocessing, os, sqlite3, subprocess, tempfile
import threading, zoneinfo, getpass, socket
def double(x): return 2 * x
assert multiprocessing.get_context('fork').Pool(2).map(double, range(4)) == [0, 2, 4, 6]
with concurrent.futures.ThreadPoolExecutor(4) as pool: assert list(pool.map(double, [1])) == [2]
said = subprocess.check_output("echo a b | awk '{print $2}'; id -un", shell=True)
assert said == b'b\nfreehold\n', said
tempfile.TemporaryFile().write(b'x')
sqlite3.connect('/tmp/x.db').execute('CREATE TABLE t (x)')
try: socket.create_connection(('1.1.1.1', 53), 1); assert False
except OSError as error: print(error)
open('/opt/ml/model/model', 'w').write(getpass.getuser())
"#;
    if !can_run_jobs() || !Path::new("/usr/bin/python3").exists() {
        eprintln!("SKIPPED: no job with /usr/bin/python3 can run here");
        return;
    }
    let host = Host::new();
    let mut start = host.job(&[]);
    let Work::Job(job) = &mut start.work else { unreachable!() };
    job.program = "/usr/bin/python3".into();
    job.args = vec!["-c".to_owned(), SCRIPT.to_owned()];
    let running = host.executor.start(start).await.unwrap();
    let exit = running.wait().await;
    assert!(exit.is_success(), "{exit:?} {:#?}", lines(&running).await);
    assert_eq!(fs::read_to_string(running.model_folder().join("model")).unwrap(), "freehold");
}

#[tokio::test]
async fn instances_end_when_nobody_holds_their_executor() {
    if !can_run_jobs() {
        return;
    }
    let Host { folder, executor, clock: _, tasks: _, .. } = {
        let host = Host::new();
        let running = host.executor.start(host.job(&["sleep"])).await.unwrap();
        assert!(running.exit().is_none());
        host
    };
    let running = executor.running().remove(0);
    drop(executor);
    assert_eq!(running.wait().await.ending, Ending::Killed);
    drop(folder);
}

#[tokio::test]
async fn a_worker_answers_on_its_socket_until_it_is_stopped() {
    let host = Host::new();
    let running = host.executor.start(host.start(Work::Serve)).await.unwrap();
    let socket = running.socket().unwrap().to_path_buf();
    let told = ask(&running);
    let task = &told["task"];
    assert_eq!(task["entry"], json!("model.onnx"));
    assert_eq!((&told["package"], &told["scratch"]), (&json!(1), &json!(true)));
    assert_eq!((&task["threads"], &task["timeout_ms"]), (&json!(1), &json!(60_000)));
    running.kill();
    let exit = running.wait().await;
    assert_eq!(exit.ending, Ending::Killed);
    assert!(!socket.exists());
    assert!(host.executor.running().is_empty());
}

#[tokio::test]
async fn an_older_generation_is_refused_and_the_same_one_taken_twice() {
    if !can_run_jobs() {
        return;
    }
    let host = Host::new();
    let mut start = host.job(&["sleep"]);
    start.generation = 5;
    let first = host.executor.start(start.clone()).await.unwrap();
    let again = host.executor.start(start.clone()).await.unwrap();
    assert_eq!(host.executor.running().len(), 1);
    start.generation = 4;
    let refused = host.executor.start(start.clone()).await;
    assert!(matches!(refused, Err(Error::Stale { held: 5, asked: 4, .. })), "{refused:?}");
    start.generation = 6;
    let newer = host.executor.start(start).await.unwrap();
    assert_eq!(again.wait().await.ending, Ending::Killed);
    assert!(first.exit().is_some() && newer.exit().is_none());
}

#[tokio::test]
async fn a_job_ends_at_its_time_limit() {
    if !can_run_jobs() {
        return;
    }
    let host = Host::new();
    let mut start = host.job(&["sleep"]);
    start.limits.timeout_ms = 200;
    let running = host.executor.start(start).await.unwrap();
    assert_eq!(running.wait().await.ending, Ending::TimedOut);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_failed_start() {
    if !can_run_jobs() {
        return;
    }
    let host = Host::new();
    let mut start = host.job(&[]);
    let Work::Job(job) = &mut start.work else { unreachable!() };
    job.program = "absent".into();
    let error = host.executor.start(start).await.unwrap_err().to_string();
    assert!(error.contains("/opt/freehold/package/absent"), "{error}");
    assert_eq!(fs::read_dir(host.folder.path().join("work/i")).unwrap().count(), 0);
}

#[tokio::test]
async fn stopping_the_tasks_ends_every_instance() {
    if !can_run_jobs() {
        return;
    }
    let host = Host::new();
    let running = host.executor.start(host.job(&["sleep"])).await.unwrap();
    let left = host.tasks.stop(5_000).await;
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(running.exit().unwrap().ending, Ending::Killed);
}

/// The share that a busy job gets, in thousandths of a processor.
async fn share(host: &Host) -> u64 {
    let mut start = host.job(&["spin", "1500"]);
    start.limits.cpu_milli = 200;
    let began = Instant::now();
    let running = host.executor.start(start).await.unwrap();
    let exit = running.wait().await;
    let passed_us = u64::try_from(began.elapsed().as_micros()).unwrap();
    assert!(exit.is_success(), "{exit:?}");
    exit.cpu_us * 1_000 / passed_us
}

#[tokio::test]
async fn a_busy_job_gets_its_share_of_the_processors() {
    if !can_run_jobs() {
        return;
    }
    // Measured 200 to 260; the first period's burst and the start count too.
    let by_default = share(&Host::new()).await;
    assert!(by_default < 400, "{by_default}");
    let by_watching = share(&Host::with(|settings| settings.cgroups = false)).await;
    assert!(by_watching < 450, "{by_watching}");
}

#[tokio::test]
async fn without_control_groups_watching_holds_the_memory() {
    if !can_run_jobs() {
        return;
    }
    let host = Host::with(|settings| settings.cgroups = false);
    let running = host.executor.start(host.job(&["memory-many"])).await.unwrap();
    let exit = running.wait().await;
    assert_eq!(exit.ending, Ending::OutOfMemory, "{exit:?}");
    assert!(exit.memory_peak_bytes > 256 << 20);
}

#[tokio::test]
async fn instances_end_with_the_keeper_and_the_keeper_with_its_control_pipe() {
    if !can_run_jobs() {
        return;
    }
    let host = Host::new();
    let running = host.executor.start(host.job(&["sleep"])).await.unwrap();
    let keeper = children(std::process::id()).pop().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(keeper), nix::sys::signal::SIGKILL).unwrap();
    let exit = running.wait().await;
    assert_eq!(exit.ending, Ending::Lost);
    // The kernel ends the rest as soon as it gets to it.
    wait_until(|| programs(host.folder.path()).is_empty());
}

/// Children of a process.
fn children(of: u32) -> Vec<i32> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().map(|pid| pid.parse::<i32>().unwrap()));
    }
    found
}

/// Processes of this host that run the attack of this test's package.
fn programs(folder: &Path) -> Vec<String> {
    let mark = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let commands = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let text = fs::read_to_string(entry.path().join("mountinfo")).ok()?;
        text.contains(&mark).then(|| entry.path().display().to_string())
    });
    commands.collect()
}

fn a_worker_is_refused_where_it_cannot_listen() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let host = Host::new();
        let refused = host.executor.start(host.start(Work::Serve)).await.unwrap_err();
        assert!(matches!(refused, Error::Runtime { .. }), "{refused}");
        assert!(refused.to_string().contains("choose crun"), "{refused}");
    });
}

// A worker in gVisor is refused, and what is tried without a feature is the level `process` alone.
over!(crun:
    a_job_keeps_the_training_contract python_works_in_a_job
    instances_end_when_nobody_holds_their_executor
    a_worker_answers_on_its_socket_until_it_is_stopped
    an_older_generation_is_refused_and_the_same_one_taken_twice
    a_job_ends_at_its_time_limit a_program_that_is_not_there_is_a_failed_start
    stopping_the_tasks_ends_every_instance
    instances_end_with_the_keeper_and_the_keeper_with_its_control_pipe);
over!(runc:
    a_job_keeps_the_training_contract python_works_in_a_job
    instances_end_when_nobody_holds_their_executor
    a_worker_answers_on_its_socket_until_it_is_stopped
    an_older_generation_is_refused_and_the_same_one_taken_twice
    a_job_ends_at_its_time_limit a_program_that_is_not_there_is_a_failed_start
    stopping_the_tasks_ends_every_instance
    instances_end_with_the_keeper_and_the_keeper_with_its_control_pipe);
over!(runsc:
    a_job_keeps_the_training_contract python_works_in_a_job
    instances_end_when_nobody_holds_their_executor
    an_older_generation_is_refused_and_the_same_one_taken_twice
    a_job_ends_at_its_time_limit a_program_that_is_not_there_is_a_failed_start
    stopping_the_tasks_ends_every_instance a_worker_is_refused_where_it_cannot_listen
    instances_end_with_the_keeper_and_the_keeper_with_its_control_pipe);
