//! What the executor's tests run: `sandbox`, as the real binary offers it; `attack NAME`, programs
//! that try to break out and tell whether they could; `as-user`, an executor without root.
//!
//! An attack ends with 0 where it was held, and with 1 where it got through.
#![expect(unsafe_code, reason = "attacks make system calls that have no safe form")]
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
        ["sandbox"] => executor::sandbox_main(),
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

/// Held where the call failed.
fn refused(what: &str, result: Result<(), Errno>) -> bool {
    match result {
        Ok(()) => println!("BROKE {what}"),
        Err(error) => println!("held {what}: {error}"),
    }
    result.is_err()
}

fn call(number: libc::c_long, args: [libc::c_long; 4]) -> Result<(), Errno> {
    // SAFETY: each caller passes numbers, null, or pointers to static text; the kernel checks them.
    let answer = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3]) };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}

fn attack(name: &str, rest: &[&str]) -> ExitCode {
    let held = match name {
        "files" => files(rest),
        "processes" => processes(),
        "network" => network(),
        "kernel" => kernel(),
        "rights" => rights(),
        "package" => package(),
        "descriptors" => descriptors(),
        "fork-bomb" => fork_bomb(),
        "memory" => memory(),
        "memory-many" => memory_many(),
        "scratch" => scratch(),
        "model-flood" => model_flood(),
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

/// Reads what is the host's.
fn files(rest: &[&str]) -> bool {
    let mut held = true;
    for path in ["/root", "/home", "/etc/shadow", "/etc/ssh", "/var/log", "/sys", "/boot", "/run"]
        .iter()
        .chain(rest)
    {
        let seen = fs::read_dir(path).is_ok() || fs::read(path).is_ok();
        println!("{} {path}", if seen { "BROKE" } else { "held" });
        held &= !seen;
    }
    let mut top: Vec<String> = fs::read_dir("/")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    top.sort();
    println!("top: {top:?}");
    let known = ["bin", "dev", "etc", "lib", "lib32", "lib64", "opt", "proc", "sbin", "tmp", "usr"];
    held && top.iter().all(|name| known.contains(&name.as_str()))
}

/// Looks for others, and strikes at the first process.
fn processes() -> bool {
    let seen: Vec<i32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .collect();
    println!("sees {seen:?}");
    let mut held = seen.len() <= 2;
    for signal in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV] {
        // The kernel takes the signal and drops it.
        let _ = call(libc::SYS_kill, [1, signal.into(), 0, 0]);
    }
    held &= refused("open the first process's memory", opened("/proc/1/mem"));
    held &= refused("look into the first process", opened("/proc/1/environ"));
    held &= refused("trace", call(libc::SYS_ptrace, [16, 1, 0, 0]));
    held &= refused("read memory", call(libc::SYS_process_vm_readv, [1, 0, 0, 0]));
    std::thread::sleep(Duration::from_millis(50));
    held
}

fn opened(path: &str) -> Result<(), Errno> {
    match fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(Errno::from_raw(error.raw_os_error().unwrap_or(0))),
    }
}

fn network() -> bool {
    let mut held = true;
    for (name, family) in [
        ("internet", libc::AF_INET),
        ("internet 6", libc::AF_INET6),
        ("netlink", libc::AF_NETLINK),
        ("packet", libc::AF_PACKET),
        ("vsock", libc::AF_VSOCK),
        ("bluetooth", libc::AF_BLUETOOTH),
        ("key", libc::AF_ALG),
    ] {
        let family = libc::c_long::from(family);
        held &= refused(name, call(libc::SYS_socket, [family, libc::SOCK_STREAM.into(), 0, 0]));
    }
    let connected = std::net::TcpStream::connect("127.0.0.1:80").is_ok();
    let devices = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let devices: Vec<&str> =
        devices.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    println!("devices {devices:?}");
    held && !connected && devices.iter().all(|device| *device == "lo")
}

/// Calls that open the kernel.
fn kernel() -> bool {
    let text = |text: &'static std::ffi::CStr| text.as_ptr() as libc::c_long;
    let (none, tmpfs, tmp) = (text(c"none"), text(c"tmpfs"), text(c"/tmp"));
    let device = libc::c_long::from(libc::S_IFBLK | 0o600);
    let new_user = libc::c_long::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
    let calls = [
        ("mount", libc::SYS_mount, [none, tmp, tmpfs, 0]),
        ("unmount", libc::SYS_umount2, [text(c"/usr"), 2, 0, 0]),
        ("new root", libc::SYS_pivot_root, [tmp, tmp, 0, 0]),
        ("chroot", libc::SYS_chroot, [tmp, 0, 0, 0]),
        ("user namespace", libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0]),
        ("user namespace by clone", libc::SYS_clone, [new_user, 0, 0, 0]),
        ("clone3", libc::SYS_clone3, [0, 0, 0, 0]),
        ("device", libc::SYS_mknodat, [-100, text(c"/tmp/disk"), device, 0x800]),
        ("keyring", libc::SYS_keyctl, [0, -4, 1, 0]),
        ("add a key", libc::SYS_add_key, [text(c"user"), text(c"k"), text(c"v"), 1]),
        ("ask for a key", libc::SYS_request_key, [text(c"user"), text(c"k"), 0, 0]),
        ("bpf", libc::SYS_bpf, [0, 0, 0, 0]),
        ("performance events", libc::SYS_perf_event_open, [0, 0, -1, -1]),
        ("io_uring", libc::SYS_io_uring_setup, [1, 0, 0, 0]),
        ("page faults", libc::SYS_userfaultfd, [0, 0, 0, 0]),
        ("kernel log", libc::SYS_syslog, [3, 0, 0, 0]),
        ("host name", libc::SYS_sethostname, [none, 4, 0, 0]),
        ("file handles", libc::SYS_open_by_handle_at, [-100, 0, 0, 0]),
        ("another user", libc::SYS_setuid, [0, 0, 0, 0]),
        ("personality", libc::SYS_personality, [0x0040_0000, 0, 0, 0]),
        ("swap", libc::SYS_swapon, [tmp, 0, 0, 0]),
        ("reboot", libc::SYS_reboot, [0, 0, 0, 0]),
    ];
    let mut held = true;
    for (name, number, args) in calls {
        held &= refused(name, call(number, args));
    }
    held
}

/// What this process may still do.
fn rights() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let value = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let mut held = true;
    for (name, wanted) in [
        ("NoNewPrivs:", "1"),
        ("Seccomp:", "2"),
        ("CapEff:", "0000000000000000"),
        ("CapPrm:", "0000000000000000"),
        ("CapAmb:", "0000000000000000"),
    ] {
        println!("{name} {}", value(name));
        held &= value(name) == wanted;
    }
    held &= nix::unistd::geteuid().as_raw() != 0;
    let raised = nix::sys::resource::setrlimit(
        nix::sys::resource::Resource::RLIMIT_NOFILE,
        1 << 20,
        1 << 20,
    );
    held &= refused("raise a limit", raised);
    let strange: Vec<String> = std::env::vars()
        .map(|(name, _)| name)
        .filter(|name| {
            let known = ["PATH", "HOME", "TMPDIR", "LANG", "OMP_NUM_THREADS", "TRAINING_JOB_NAME"];
            !known.contains(&name.as_str()) && !name.starts_with("SM_")
        })
        .collect();
    println!("variables {strange:?}");
    held && strange.is_empty()
}

fn package() -> bool {
    let mut held = true;
    for path in [
        "/opt/freehold/package/new",
        "/opt/freehold/package/attack",
        "/usr/new",
        "/etc/passwd",
        "/new",
        "/opt/ml/input/config/new",
        "/proc/sys/kernel/hostname",
    ] {
        let written = fs::OpenOptions::new().append(true).create(true).open(path);
        println!("{} {path}", if written.is_ok() { "BROKE" } else { "held" });
        held &= written.is_err();
    }
    held
}

/// Looks for what the executor left open.
fn descriptors() -> bool {
    let open: Vec<String> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let to = fs::read_link(&path).ok()?;
            Some(format!("{}={}", path.file_name()?.to_str()?, to.display()))
        })
        .collect();
    println!("{open:?}");
    let plain = |text: &String| {
        ["0=/dev/null", "1=pipe:", "2=pipe:"].iter().any(|start| text.starts_with(start))
            || text.contains("/proc/")
    };
    open.iter().all(plain)
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

fn memory() -> bool {
    let mut blocks = Vec::new();
    for _ in 0..4_096 {
        let Some(block) = fill(4 << 20) else {
            println!("held after {} MiB", blocks.len() * 4);
            return true;
        };
        blocks.push(block);
    }
    false
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

fn scratch() -> bool {
    let mut written = 0;
    'all: for folder in ["/tmp", "/dev/shm"] {
        for number in 0..100 {
            let Ok(mut file) = fs::File::create(format!("{folder}/{number}")) else {
                continue 'all;
            };
            for _ in 0..4 {
                if file.write_all(&vec![1; 1 << 20]).is_err() {
                    continue 'all;
                }
                written += 1;
            }
        }
    }
    println!("wrote {written} MiB");
    // The tests allow 16.
    (8..=16).contains(&written)
}

fn model_flood() -> bool {
    for number in 0..1_000 {
        let path = format!("/opt/ml/model/{number}");
        fs::File::create(path).unwrap().write_all(&vec![1; 1 << 20]).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
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
