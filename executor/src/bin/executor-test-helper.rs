//! What the executor's tests run: `sandbox`, as the real binary offers it; `attack NAME`, jobs that
//! behave in all kinds of ways; `as-user`, an executor without root.
//!
//! A job ends with 0 where it went as it should. Attempts at breaking out are programs of their own,
//! in `executor-test-attempts`.
#![expect(unsafe_code, reason = "jobs make system calls that have no safe form")]
#![expect(clippy::print_stdout, reason = "attacks tell what they see on standard output")]
#![expect(clippy::unwrap_used, reason = "a test program; a panic fails the test that runs it")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{ForkResult, Pid, fork};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sandbox", ..] => executor::sandbox_main(),
        ["worker"] => serve(),
        ["attack", name, rest @ ..] => attack(name, rest),
        ["as-user", user, folder, package, rest @ ..] => as_user(user, folder, package, rest),
        _ => ExitCode::from(64),
    }
}

/// A worker in miniature: answers each connection with its task, and what it sees of the host.
fn serve() -> ExitCode {
    use std::os::fd::AsFd as _;
    let listener = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let listener = std::os::unix::net::UnixListener::from(listener);
    let task = std::env::vars().find(|(name, _)| name == "FREEHOLD_TASK").map(|(_, value)| value);
    let seen: Vec<&str> = ["/root", "/etc/shadow", "/etc/passwd", "/proc/1/status", "/sys"]
        .into_iter()
        .filter(|path| fs::read_dir(path).is_ok() || fs::read(path).is_ok())
        .collect();
    let package = fs::read_dir(".").unwrap().count();
    let written = fs::write(std::env::temp_dir().join("x"), "x").is_ok();
    for stream in listener.incoming() {
        let task = task.as_deref().unwrap_or("no task");
        let told = serde_json::json!({
            "task": serde_json::from_str::<serde_json::Value>(task).unwrap(),
            "seen": seen, "package": package, "scratch": written,
            "socket": call(libc::SYS_socket, [2, 1, 0, 0]).is_ok(),
        });
        writeln!(stream.unwrap(), "{told}").unwrap();
    }
    ExitCode::SUCCESS
}

fn call(number: libc::c_long, args: [libc::c_long; 4]) -> Result<(), Errno> {
    // SAFETY: each caller passes numbers, null, or pointers to static text; the kernel checks them.
    let answer = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3]) };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}

fn attack(name: &str, rest: &[&str]) -> ExitCode {
    let held = match name {
        "fork-bomb" => fork_bomb(),
        "memory-many" => memory_many(),
        "leave-children" => leave_children(rest[0]),
        "spin" => spin(rest[0].parse().unwrap()),
        "contract" => contract(),
        "sleep" => {
            println!("sleeping");
            std::thread::sleep(Duration::from_mins(10));
            true
        }
        _ => return ExitCode::from(64),
    };
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fork_bomb() -> bool {
    let mut count = 0;
    while count < 5_000 {
        // SAFETY: this program has one thread.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => loop {
                std::thread::sleep(Duration::from_mins(10));
            },
            Ok(ForkResult::Parent { .. }) => count += 1,
            Err(error) => {
                println!("held after {count}: {error}");
                return true;
            }
        }
    }
    println!("BROKE: {count} processes");
    false
}

fn fill(bytes: usize) -> Option<Vec<u8>> {
    let mut block: Vec<u8> = Vec::new();
    block.try_reserve_exact(bytes).ok()?;
    block.resize(bytes, 1);
    Some(block)
}

/// Many processes that each take a little.
fn memory_many() -> bool {
    for _ in 0..12 {
        // SAFETY: this program has one thread.
        if let Ok(ForkResult::Child) = unsafe { fork() } {
            let block = fill(48 << 20);
            std::thread::sleep(Duration::from_mins(10));
            drop(block);
        }
    }
    std::thread::sleep(Duration::from_secs(20));
    false
}

/// Leaves a daemon behind, with a mark in its name that the test looks for.
fn leave_children(mark: &str) -> bool {
    for _ in 0..3 {
        // SAFETY: this program has one thread.
        if let Ok(ForkResult::Child) = unsafe { fork() } {
            nix::unistd::setsid().unwrap();
            // SAFETY: as above.
            if let Ok(ForkResult::Child) = unsafe { fork() } {
                let sleep = ["sh", "-c", &format!("sleep 600 # {mark}")].map(str::to_owned);
                let mut shell = std::process::Command::new(&sleep[0]);
                let _ = std::os::unix::process::CommandExt::exec(shell.args(&sleep[1..]));
            }
            std::process::exit(0);
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    true
}

fn spin(ms: u64) -> bool {
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_millis(ms) {
        std::hint::black_box(start);
    }
    true
}

/// Trains, by the contract.
fn contract() -> bool {
    let config = fs::read_to_string("/opt/ml/input/config/hyperparameters.json").unwrap();
    let data = fs::read_to_string("/opt/ml/input/data/events/rows.csv").unwrap();
    let name = std::env::vars().find(|(name, _)| name == "TRAINING_JOB_NAME").unwrap().1;
    println!("{name} {config} {data}");
    fs::create_dir("/opt/ml/model/deep").unwrap();
    fs::write("/opt/ml/model/deep/model.onnx", format!("{config}{data}")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", "/opt/ml/model/link").unwrap();
    fs::write("/opt/ml/output/failure", "the rows are too few").unwrap();
    eprintln_once("a word on standard error");
    false
}

fn eprintln_once(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Runs a job as another user would, and prints its exit and lines as JSON.
fn as_user(user: &str, folder: &str, package: &str, rest: &[&str]) -> ExitCode {
    let id: u32 = user.parse().unwrap();
    nix::unistd::setgroups(&[]).unwrap();
    nix::unistd::setgid(id.into()).unwrap();
    nix::unistd::setuid(id.into()).unwrap();
    // Otherwise /proc/self belongs to root, and the maps of a user namespace cannot be written.
    nix::sys::prctl::set_dumpable(true).unwrap();
    let _ = nix::sys::signal::kill(Pid::this(), None);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answer = runtime.block_on(run(Path::new(folder), Path::new(package), rest));
    println!("{answer}");
    ExitCode::SUCCESS
}

async fn run(folder: &Path, package: &Path, rest: &[&str]) -> serde_json::Value {
    let settings = executor::Settings::new(std::env::current_exe().unwrap(), folder);
    let (clock, tasks) = (workflow::Clock::system(), workflow::Tasks::new());
    let executor = executor::Executor::new(settings, clock.clone(), tasks).unwrap();
    let job = executor::Job {
        name: "job".to_owned(),
        program: "attack".into(),
        args: ["attack"].iter().chain(rest).map(|&word| word.to_owned()).collect(),
        ..executor::Job::default()
    };
    let start = executor::Start {
        id: types::InstanceId::new(clock.uuid()),
        generation: 1,
        package: package.to_path_buf(),
        work: executor::Work::Job(job),
        limits: types::Limits {
            timeout_ms: 60_000,
            memory_bytes: 256 << 20,
            cpu_milli: 1_000,
            processes: 32,
            scratch_bytes: 16 << 20,
        },
        task: serde_json::Value::Null,
    };
    let running = match executor.start(start).await {
        Ok(running) => running,
        Err(error) => return serde_json::json!({ "error": error.to_string() }),
    };
    let exit = running.wait().await;
    let mut logs = running.logs();
    let mut lines = Vec::new();
    while let Some(line) = logs.next().await {
        lines.push(line.line);
    }
    serde_json::json!({ "exit": exit, "lines": lines, "features": executor.features() })
}
