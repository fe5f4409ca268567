//! Parked sandboxes, and instances that are stopped for a while or given other limits.

use std::process::Command;

use executor::{Error, Parked};

use super::*;

const PYTHON_HERE: Parking = Parking { runtime: FunctionRuntime::Python3, limits: LIMITS };

impl Host {
    async fn park(&self) -> Parked {
        self.executor.park(PYTHON_HERE).await.unwrap()
    }

    /// Waits until no folder of a sandbox is left.
    async fn is_clear(&self) {
        let folder = self.folder.path().join("work/i");
        while fs::read_dir(&folder).unwrap().next().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The first of the hosts, for tests that need one and do their own parking.
fn one_host(code: &str) -> Option<Host> {
    Host::each_way(code).next()
}

/// The processes that this one has started, with this word in their command lines, and that have not
/// ended.
fn children(word: &str) -> Vec<String> {
    let own = format!("PPid:\t{}\n", std::process::id());
    let is_child = |pid: &String| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        status.contains(&own) && String::from_utf8_lossy(&line).contains(word)
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(is_child).collect()
}

fn keepers() -> Vec<String> {
    children("sandbox")
}

const MIRROR: &str = r#"
import ctypes, locale, os, sys, tempfile

LIBC = ctypes.CDLL(None, use_errno=True)

def attempt(call):
    return [call() >= 0, os.strerror(ctypes.get_errno())]

def opened(path, mode):
    try:
        open(path, mode).close()
        return "opened"
    except OSError as error:
        return error.strerror

def handler(event, context):
    import __main__
    return {
        "env": dict(os.environ), "argv": sys.argv, "path": sys.path, "cwd": os.getcwd(),
        "main": [__main__.__name__, getattr(__main__, "__file__", None)],
        "stdin": sys.stdin.read(), "tmp": tempfile.gettempdir(), "flags": list(sys.flags),
        "encoding": [locale.getpreferredencoding(), sys.stdout.encoding],
        "buffered": sys.stdout.line_buffering, "zone": __import__("time").tzname,
        "ids": [os.getuid() == os.geteuid(), os.getgroups(), os.getpid() > 1],
        "files": sorted(os.listdir("/proc/self/fd")), "orig": sys.orig_argv[1:],
        "limits": [__import__("resource").getrlimit(number) for number in range(16)],
        "children": __import__("resource").getrusage(-1).ru_maxrss,
        "status": [line.split() for line in open("/proc/self/status")
                   if line.startswith(("Cap", "NoNewPrivs", "Seccomp"))],
        "scratch": [open("/tmp/x", "w").write("x"), os.listdir("/tmp")],
        "root": sorted(os.listdir("/")), "task": os.listdir("/var/task"),
        "processes": sorted(name for name in os.listdir("/proc") if name.isdigit()),
        "opened": [opened(path, mode) for path, mode in [
            ("/proc/1/environ", "r"), ("/proc/1/mem", "r"), ("/proc/self/environ", "r"),
            ("/var/task/x", "w"), ("/var/runtime/x", "w"), ("/x", "w"), ("/dev/full", "r"),
        ]],
        "refused": [attempt(call) for call in [
            lambda: LIBC.unshare(0x10000000), lambda: LIBC.unshare(0x20000),
            lambda: LIBC.mount(b"x", b"/tmp", b"tmpfs", 0, None), lambda: LIBC.setuid(0),
            lambda: LIBC.ptrace(16, 1, 0, 0), lambda: LIBC.socket(2, 3, 1),
            lambda: LIBC.socket(16, 3, 0), lambda: LIBC.chroot(b"/tmp"),
        ]],
    }
"#;

#[tokio::test]
async fn python_notices_no_difference() {
    let mut seen = Vec::new();
    for host in Host::each_way(MIRROR) {
        let running = host.python("app.handler").await;
        seen.push((host.way, read(invoke(&running, "r-1", &json!(null)).await)));
    }
    for (way, told) in &seen {
        assert_eq!(told, &seen[0].1, "{way:?}");
        let refused = told["refused"].as_array().unwrap();
        assert!(refused.iter().all(|attempt| attempt[0] == false), "{way:?}: {refused:?}");
    }
}

#[tokio::test]
async fn what_is_parked_and_dropped_is_cleared_away() {
    let Some(host) = one_host("") else { return };
    let parked = [host.park().await, host.park().await];
    assert_eq!(keepers().len(), 2);
    drop(parked);
    tokio::time::timeout(PATIENCE, host.is_clear()).await.unwrap();
    assert_eq!(keepers(), Vec::<String>::new());
}

#[tokio::test]
async fn a_sandbox_that_has_died_fails_its_claim_and_leaves_nothing() {
    let Some(host) = one_host(ECHO) else { return };
    let parked = host.park().await;
    let killed = Command::new("kill").arg("-KILL").args(keepers()).status().unwrap();
    assert!(killed.success());
    while !keepers().is_empty() {
        tokio::task::yield_now().await;
    }
    let start = host.of(python_function("app.handler"));
    let refused = host.executor.claim(parked, start).await.unwrap_err();
    assert!(matches!(refused, Error::Sandbox { .. } | Error::Io { .. }), "{refused}");
    tokio::time::timeout(PATIENCE, host.is_clear()).await.unwrap();
    let running = host.python("app.handler").await;
    assert_eq!(begun(&running).await, Begun::Yes);
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let Some(host) = one_host(ECHO) else { return };
    let mut start = host.of(python_function("app.handler"));
    start.limits.memory_bytes += 1;
    let refused = host.executor.claim(host.park().await, start).await.unwrap_err();
    assert!(refused.to_string().contains("does not fit"), "{refused}");
    let running = host.python("app.handler").await;
    let again = Start { id: running.id(), ..host.of(python_function("app.handler")) };
    let refused = host.executor.claim(host.park().await, again).await.unwrap_err();
    assert!(refused.to_string().contains("runs already"), "{refused}");
}

#[tokio::test]
async fn a_package_that_is_not_there_fails_the_claim_with_its_name() {
    let Some(host) = one_host("") else { return };
    let start = host.of(python_function("app.handler"));
    let start = Start { package: host.folder.path().join("nothing"), ..start };
    let refused = host.executor.claim(host.park().await, start).await.unwrap_err();
    assert!(format!("{refused:?}").contains("nothing"), "{refused:?}");
    tokio::time::timeout(PATIENCE, host.is_clear()).await.unwrap();
}

#[tokio::test]
async fn a_frozen_instance_does_nothing_until_it_is_thawed_and_can_be_ended() {
    let ways: [fn(&mut Settings); 2] = [|_| {}, |settings| settings.cgroups = false];
    // Containers have control groups in every case.
    let count = if levels::chosen() == Choice::Process { 2 } else { 1 };
    for way in ways.into_iter().take(count) {
        for host in Host::each_way_with(ECHO, way) {
            let running = host.python("app.handler").await;
            assert_eq!(begun(&running).await, Begun::Yes);
            for call in ["r-1", "r-2"] {
                running.freeze().unwrap();
                running.freeze().unwrap();
                let event = json!(call);
                let mut answer = std::pin::pin!(invoke(&running, call, &event));
                let soon = tokio::time::timeout(Duration::from_millis(100), &mut answer).await;
                assert!(soon.is_err(), "it answered while it was frozen: {soon:?}");
                running.thaw().unwrap();
                assert_eq!(read(answer.await)["event"], event);
            }
            running.freeze().unwrap();
            running.kill();
            let exit = tokio::time::timeout(PATIENCE, running.wait()).await;
            assert_eq!(exit.unwrap().ending, Ending::Killed);
        }
    }
}

const HUNGRY: &str = r"
def handler(event, context):
    return len(bytearray(event))
";

#[tokio::test]
async fn a_running_instance_is_given_more_memory_and_can_use_it() {
    let Some(host) = Host::each_way(HUNGRY).last() else { return };
    let running = host.python("app.handler").await;
    assert_eq!(begun(&running).await, Begun::Yes);
    let refused = running.resize(4_096, 1_000).unwrap_err();
    if let Error::Refused { why, .. } = refused {
        eprintln!("SKIPPED: limits cannot be changed here: {why}");
        return;
    }
    assert!(refused.to_string().contains("more than the new limit"), "{refused}");
    running.resize(1 << 30, 2_000).unwrap();
    let event = json!(600 << 20);
    assert_eq!(read(invoke(&running, "r-1", &event).await), event);
    // The memory is free again, so it can have less, and then gets no more than that.
    running.resize(64 << 20, 100).unwrap();
    let exit = tokio::select! {
        exit = running.wait() => exit,
        outcome = invoke(&running, "r-2", &event) => panic!("{outcome:?}"),
    };
    assert_eq!(exit.ending, Ending::OutOfMemory);
}

#[tokio::test]
async fn without_control_groups_limits_cannot_be_changed() {
    let Some(host) = Host::each_way_with(ECHO, |settings| settings.cgroups = false).next() else {
        return;
    };
    let running = host.python("app.handler").await;
    let refused = running.resize(1 << 30, 1_000).unwrap_err().to_string();
    assert!(refused.contains("control groups"), "{refused}");
}

#[tokio::test]
async fn nothing_of_a_fork_outlives_its_end_and_a_zygote_that_has_died_is_replaced() {
    let Some(host) = Host::each_way(ECHO).find(|host| host.way != Way::Made) else { return };
    let first = host.python("app.handler").await;
    assert_eq!(begun(&first).await, Begun::Yes);
    let found = children("zygote.py");
    if found.is_empty() {
        eprintln!("SKIPPED: interpreters are not forked here");
        return;
    }
    let killed = Command::new("kill").arg("-KILL").args(found).status();
    assert!(killed.unwrap().success());
    // What it had forked ends with it, and the next parks come from another.
    let exit = tokio::time::timeout(PATIENCE, first.wait()).await.unwrap();
    assert_eq!(exit.ending, Ending::Lost);
    let second = host.python("app.handler").await;
    assert_eq!(begun(&second).await, Begun::Yes);
}

fn nothing_is_parked_and_functions_start_without() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let Some(host) = one_host(ECHO) else { return };
        let refused = host.executor.park(PYTHON_HERE).await.unwrap_err();
        assert!(matches!(refused, Error::Refused { .. }), "{refused}");
        assert!(refused.to_string().contains("choose crun"), "{refused}");
        let running = host.python("app.handler").await;
        assert_eq!(begun(&running).await, Begun::Yes);
    });
}

fn nothing_of_a_runtimes_groups_is_left_after_a_kill() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let Some(host) = one_host(ECHO) else { return };
        let running = host.python("app.handler").await;
        assert_eq!(begun(&running).await, Begun::Yes);
        running.kill();
        running.wait().await;
        let name = format!("freehold-{}-{}", std::process::id(), running.id());
        let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        let left = hierarchies.map(|one| one.path().join(&name)).filter(|path| path.exists());
        assert_eq!(left.collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
    });
}

// What gVisor's kernel holds for a program is not counted as the program's own, so a limit that is
// too small for it is not refused there.
over!(crun:
    nothing_of_a_runtimes_groups_is_left_after_a_kill
    python_notices_no_difference what_is_parked_and_dropped_is_cleared_away
    a_sandbox_that_has_died_fails_its_claim_and_leaves_nothing
    a_package_that_is_not_there_fails_the_claim_with_its_name
    a_frozen_instance_does_nothing_until_it_is_thawed_and_can_be_ended
    a_running_instance_is_given_more_memory_and_can_use_it);
over!(runc:
    nothing_of_a_runtimes_groups_is_left_after_a_kill
    python_notices_no_difference what_is_parked_and_dropped_is_cleared_away
    a_sandbox_that_has_died_fails_its_claim_and_leaves_nothing
    a_package_that_is_not_there_fails_the_claim_with_its_name
    a_frozen_instance_does_nothing_until_it_is_thawed_and_can_be_ended
    a_running_instance_is_given_more_memory_and_can_use_it);
over!(runsc:
    nothing_is_parked_and_functions_start_without
    a_frozen_instance_does_nothing_until_it_is_thawed_and_can_be_ended);
