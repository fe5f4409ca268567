//! What the kernel makes of a group's limits, in whichever version there is here.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use types::Limits;

use super::*;

const LIMITS: Limits = Limits {
    timeout_ms: 1,
    memory_bytes: 32 << 20,
    cpu_milli: 200,
    processes: 5,
    scratch_bytes: 1 << 20,
};

/// A group with these limits and this share of a processor; skips aloud where none can be made.
fn group(name: &str, cpu_milli: u32) -> Option<Group> {
    let group = Cgroups::get().make(name, &LIMITS, Overhead::default()).unwrap();
    group.limit_cpu(cpu_milli).unwrap();
    if group.limits_all() {
        return Some(group);
    }
    eprintln!("SKIPPED: memory, pids and cpu cannot all be limited here by control groups");
    None
}

/// A shell in a group.
fn shell(group: &Group, script: &str) -> Child {
    let mut joins = String::new();
    let born = group.birthplace().map(|folder| folder.join("cgroup.procs"));
    for file in group.join().into_iter().chain(born) {
        joins += &format!("echo $$ > '{}'; ", file.display());
    }
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(joins + script).stderr(Stdio::null()).spawn().unwrap()
}

/// Ends all that is in a group, so that the group can go.
fn end(group: &Group, mut shell: Child) {
    wait_until(|| {
        for pid in group.processes() {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        let _ = shell.try_wait();
        group.processes().is_empty()
    });
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_mins(1);
    while !done() {
        assert!(Instant::now() < until, "it did not come about");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_files_say_what_was_asked() {
    let Some(group) = group("files", 200) else { return };
    let cgroups = group.cgroups;
    let said = |folder: &Option<PathBuf>, file| group.read(folder.as_ref(), file);
    let trimmed = |text: Option<String>| text.unwrap().trim().to_owned();
    let memory = ((32 << 20) + (1 << 20)).to_string();
    assert_eq!(trimmed(said(&cgroups.pids, "pids.max")), "7");
    if cgroups.unified {
        assert_eq!(trimmed(said(&cgroups.memory, "memory.max")), memory);
        assert_eq!(trimmed(said(&cgroups.cpu, "cpu.max")), "20000 100000");
        // Kernels before 5.14 have no burst.
        let burst = said(&cgroups.cpu, "cpu.max.burst");
        assert_eq!(burst.map_or("20000".to_owned(), |text| text.trim().to_owned()), "20000");
    } else {
        assert_eq!(trimmed(said(&cgroups.memory, "memory.limit_in_bytes")), memory);
        assert_eq!(trimmed(said(&cgroups.cpu, "cpu.cfs_quota_us")), "20000");
        assert_eq!(trimmed(said(&cgroups.cpu, "cpu.cfs_period_us")), "100000");
        let burst = said(&cgroups.cpu, "cpu.cfs_burst_us");
        assert_eq!(burst.map_or("20000".to_owned(), |text| text.trim().to_owned()), "20000");
    }
}

#[test]
fn processes_beyond_the_limit_are_refused() {
    let Some(group) = group("processes", 1_000) else { return };
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 600 & done; wait";
    let shell = shell(&group, script);
    wait_until(|| group.tasks() >= Some(6));
    for _ in 0..50 {
        assert!(group.tasks() <= Some(7), "{:?}", group.tasks());
        std::thread::yield_now();
    }
    end(&group, shell);
}

#[test]
fn memory_beyond_the_limit_ends_who_takes_it() {
    let Some(group) = group("memory", 1_000) else { return };
    let shell = shell(&group, "x=$(head -c 200000000 /dev/zero | tr '\\0' x); sleep 600");
    wait_until(|| group.oom_kills() > Some(0));
    end(&group, shell);
}

#[test]
fn a_busy_group_gets_its_share_and_no_more() {
    let Some(group) = group("share", 200) else { return };
    let began = Instant::now();
    let shell = shell(&group, "while :; do :; done");
    wait_until(|| group.cpu_us() >= Some(300_000));
    // A fifth of a processor; one quota may be saved up. Without a limit it takes 300 ms.
    assert!(began.elapsed() > Duration::from_secs(1), "{:?}", began.elapsed());
    end(&group, shell);
}
