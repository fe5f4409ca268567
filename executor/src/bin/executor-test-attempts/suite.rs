//! Runs attempts in the sandboxes of one level, with bait on the host, and judges each from outside.
//!
//! Prints a JSON list: each attempt's name, what it reached (`through`, null where it was held), and
//! its ending. What shows only from outside is looked for here.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;

use executor::attempts::{ATTEMPTS, Attempt, Kind, tally};
use executor::{Ending, Executor, Job, Level, Running, Settings, Start, Work};
use nix::libc;
use serde_json::json;
use tokio::sync::Semaphore;
use types::{InstanceId, Limits};
use workflow::{Clock, Tasks};

use crate::bait::Bait;
use crate::call::{call, own_host_name};

/// Attempts under way at once: more would take their time limits from each other.
const AT_ONCE: usize = 6;
/// Time limit of an attempt, in milliseconds. The longest takes seconds; on an emulated processor,
/// in a sandbox with a kernel of its own, a hundred times that.
const ATTEMPT_MS_MAX: u64 = 1_800_000;
/// Time limit of what has to be there for every attempt, in milliseconds: longer than any suite.
const NEIGHBOUR_MS_MAX: u64 = 86_400_000;

/// Becomes the user, then runs the named attempts, or all.
pub(crate) fn main(
    user: &str,
    [folder, package]: [&Path; 2],
    level: &str,
    names: &[&str],
) -> ExitCode {
    let id: u32 = user.parse().unwrap();
    nix::unistd::setgroups(&[]).unwrap();
    nix::unistd::setgid(id.into()).unwrap();
    nix::unistd::setuid(id.into()).unwrap();
    // Otherwise /proc/self belongs to root, and the maps of a user namespace cannot be written.
    nix::sys::prctl::set_dumpable(true).unwrap();
    let chosen = |attempt: &&Attempt| names.is_empty() || names.contains(&attempt.name);
    let attempts: Vec<&'static Attempt> = ATTEMPTS.iter().filter(chosen).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let told = runtime.block_on(run(folder, package, level, attempts));
    println!("{}", serde_json::Value::Array(told));
    ExitCode::SUCCESS
}

/// Makes the attempts that do no harm outside any sandbox, and prints which were held.
pub(crate) fn bare([folder, package]: [&Path; 2]) -> ExitCode {
    let neighbour = folder.join("work/i/neighbour");
    fs::create_dir_all(neighbour.join("ml/model")).unwrap();
    fs::create_dir_all(folder.join("work/s")).unwrap();
    let laid = Laid::out(folder, package);
    let bait = Bait { neighbour, ..laid.bait.clone() };
    fs::write(bait.neighbour.join("ml/model/secret"), &bait.secret).unwrap();
    for attempt in ATTEMPTS.iter().filter(|attempt| attempt.bare) {
        let mut program = Command::new(std::env::current_exe().unwrap());
        let output = program.args(["try", attempt.name]).args(bait.words()).output().unwrap();
        let through = output.status.code() == Some(0);
        println!("{}: {}", if through { "through" } else { "held" }, attempt.name);
    }
    ExitCode::SUCCESS
}

/// What everything runs in.
struct Suite {
    executor: Executor,
    clock: Clock,
    package: PathBuf,
    bait: Bait,
}

async fn run(
    folder: &Path,
    package: &Path,
    level: &str,
    attempts: Vec<&'static Attempt>,
) -> Vec<serde_json::Value> {
    let mut settings = Settings::new(std::env::current_exe().unwrap(), folder.join("work"));
    settings.sandbox = level.parse().unwrap();
    let (clock, tasks) = (Clock::system(), Tasks::new());
    let executor = Executor::new(settings, clock.clone(), tasks).unwrap();
    let mut laid = Laid::out(folder, package);
    let package = package.to_path_buf();
    let mut suite = Suite { executor, clock, package, bait: laid.bait.clone() };
    let neighbour = suite.start("neighbour", vec!["neighbour".into(), laid.bait.secret.clone()]);
    let neighbour = neighbour.await.unwrap();
    let mut lines = neighbour.logs();
    assert_eq!(lines.next().await.unwrap().line, "hidden");
    suite.bait.neighbour = folder.join("work/i").join(neighbour.id().to_string());
    let (suite, turns) = (Arc::new(suite), Arc::new(Semaphore::new(AT_ONCE)));
    let mut under_way = tokio::task::JoinSet::new();
    for attempt in attempts {
        let (suite, turns) = (Arc::clone(&suite), Arc::clone(&turns));
        under_way.spawn(async move {
            let _turn = turns.acquire_owned().await.unwrap();
            suite.judge(attempt).await
        });
    }
    let mut told = under_way.join_all().await;
    told.sort_by_key(|told| told["name"].to_string());
    let (_, not_offered) = tally(suite.executor.level(), &suite.executor.features());
    for row in &mut told {
        let lacks = not_offered.iter().find(|(attempt, _)| row["name"] == attempt.name);
        row["lacks"] = json!(lacks.map(|(_, lacks)| lacks));
    }
    let mut harm = laid.harm();
    if neighbour.exit().is_some() {
        harm.push("the neighbour has ended".to_owned());
    }
    told.push(json!({ "name": "bait", "through": harm.first(), "ending": "exited" }));
    told
}

impl Suite {
    async fn start(&self, name: &str, args: Vec<String>) -> Result<Running, executor::Error> {
        let start = Start {
            id: InstanceId::new(self.clock.uuid()),
            generation: 1,
            package: self.package.clone(),
            work: Work::Job(Job {
                name: "job".to_owned(),
                program: "attempt".into(),
                args,
                ..Job::default()
            }),
            limits: Limits {
                timeout_ms: match name {
                    "outlast-timeout" => 700,
                    "neighbour" => NEIGHBOUR_MS_MAX,
                    _ => ATTEMPT_MS_MAX,
                },
                memory_bytes: 64 << 20,
                cpu_milli: if name == "processor-hog" { 100 } else { 1_000 },
                processes: 16,
                scratch_bytes: 8 << 20,
            },
            task: serde_json::Value::Null,
        };
        self.executor.start(start).await
    }

    /// Runs one attempt and says what it reached.
    async fn judge(&self, attempt: &'static Attempt) -> serde_json::Value {
        let mut bait = self.bait.clone();
        bait.mark = format!("{}-{}", bait.mark, attempt.name);
        let mut args = vec!["try".to_owned(), attempt.name.to_owned()];
        args.extend(bait.words());
        let began_us = self.clock.now_us();
        let running = match self.start(attempt.name, args).await {
            Ok(running) => running,
            Err(error) => {
                let why = format!("did not start: {error}");
                return told(attempt, Some(&why), "none");
            }
        };
        let exit = running.wait().await;
        let took_us = self.clock.now_us().saturating_sub(began_us);
        let mut reader = running.logs();
        let mut lines = Vec::new();
        while let Some(line) = reader.next().await {
            lines.push(line.line);
        }
        let said = lines.join("; ");
        let own_kernel = self.executor.level() == Level::Runsc;
        let through = match (exit.ending, exit.code) {
            (Ending::Exited, Some(1)) => None,
            // A kernel of its own only guesses how long it ran; this one knows.
            (Ending::Exited, Some(0)) if attempt.name == "processor-hog" && own_kernel => {
                (exit.cpu_us * 2 > took_us).then_some(said)
            }
            (Ending::Exited, Some(0)) => Some(said),
            // What takes too much is ended.
            (Ending::OutOfMemory | Ending::OutOfScratch | Ending::TooManyProcesses, _) => None,
            (Ending::TimedOut, _) if attempt.name == "outlast-timeout" => None,
            // A kernel of its own gives up where it gets no more, by Go's code for that.
            (Ending::Exited, Some(2)) if attempt.kind == Kind::Resources && own_kernel => None,
            _ => Some(format!("ended strangely: {exit:?} {said}")),
        };
        let through = through
            .or_else(|| left_behind(&bait.mark))
            .or_else(|| exit.failure.filter(|text| text.contains(&bait.secret)))
            .or_else(|| linked(&running.model_folder()));
        running.clear().unwrap();
        told(attempt, through.as_deref(), &format!("{:?}", exit.ending))
    }
}

fn told(attempt: &Attempt, through: Option<&str>, ending: &str) -> serde_json::Value {
    json!({ "name": attempt.name, "through": through, "ending": ending })
}

/// A process of this host that says the mark, other than those that asked for it.
fn left_behind(mark: &str) -> Option<String> {
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        entry.file_name().to_str()?.parse::<i32>().ok()?;
        let words = fs::read(entry.path().join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        words.contains(mark).then(|| format!("left behind: {words}"))
    })
}

/// A link that stayed in a model folder.
fn linked(folder: &Path) -> Option<String> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let mut links = entries.filter(|entry| entry.path().is_symlink());
    links.next().map(|entry| format!("a link is left: {}", entry.path().display()))
}

/// Bait on this host, and what holds it in place.
struct Laid {
    bait: Bait,
    victim: Child,
    segment: i64,
    mode: u32,
    _listeners: (UnixListener, UnixListener, UnixListener, std::net::TcpListener),
}

impl Laid {
    fn out(folder: &Path, package: &Path) -> Self {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::net::SocketAddr;
        let own = std::process::id();
        let secret = std::env::vars().find(|(name, _)| name == "FREEHOLD_BAIT").unwrap().1;
        let file = package.with_file_name("secret");
        let socket = folder.join("socket");
        let sockets = folder.join("work/s");
        let name = format!("freehold-bait-{own}");
        let abstracted = SocketAddr::from_abstract_name(&name).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = (
            UnixListener::bind(&socket).unwrap(),
            UnixListener::bind(sockets.join("neighbour")).unwrap(),
            UnixListener::bind_addr(&abstracted).unwrap(),
            port.try_clone().unwrap(),
        );
        for path in [&socket, &sockets.join("neighbour")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        }
        let mut victim = Command::new("/bin/sleep");
        let victim = victim
            .arg((NEIGHBOUR_MS_MAX / 1_000).to_string())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let key = 0x4652_0000 | i64::from(own & 0xffff);
        let mode = i64::from(libc::IPC_CREAT | 0o666);
        let segment = call(libc::SYS_shmget, [key, 4_096, mode]).unwrap();
        let bait = Bait {
            secret,
            file,
            socket,
            name,
            port: port.local_addr().unwrap().port(),
            pid: victim.id().cast_signed(),
            segment: i32::try_from(key).unwrap(),
            neighbour: PathBuf::new(),
            sockets,
            host: own_host_name(),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            mark: format!("mark-{own}"),
        };
        let mode = fs::metadata(&bait.file).unwrap().mode();
        Self { bait, victim, segment, mode, _listeners: listeners }
    }

    /// What has come to harm.
    fn harm(&mut self) -> Vec<String> {
        let mut harm = Vec::new();
        if !matches!(self.victim.try_wait(), Ok(None)) {
            harm.push("the host's process has ended".to_owned());
        }
        let whole = fs::read_to_string(&self.bait.file).is_ok_and(|text| text == self.bait.secret);
        if !whole || fs::metadata(&self.bait.file).map(|found| found.mode()).ok() != Some(self.mode)
        {
            harm.push("the host's file has changed".to_owned());
        }
        harm
    }
}

impl Drop for Laid {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
        let _ = call(libc::SYS_shmctl, [self.segment, libc::IPC_RMID.into(), 0]);
    }
}
