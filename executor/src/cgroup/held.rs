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

/// Where the way in which control groups are mounted is promised, as in systemd's words, all that
/// groups are for is found, and where it belongs.
#[test]
fn what_is_promised_is_found() {
    let Some(promised) = std::env::var_os("FREEHOLD_TEST_GROUPS") else {
        eprintln!("SKIPPED: FREEHOLD_TEST_GROUPS does not say how control groups are mounted here");
        return;
    };
    let cgroups = Cgroups::get();
    let all = [&cgroups.memory, &cgroups.pids, &cgroups.cpu, &cgroups.account, &cgroups.freeze];
    let all: Vec<&PathBuf> = all.into_iter().flatten().collect();
    assert_eq!(all.len(), 5, "{cgroups:?}");
    // The one file that every group of version 2 has, and none of version 1.
    let second = |place: &Path| place.join("cgroup.controllers").exists();
    let places = all.iter().map(|place| second(place)).collect::<Vec<_>>();
    match promised.to_str() {
        Some("unified") => assert!(cgroups.unified && places == [true; 5], "{cgroups:?}"),
        Some("hybrid") => {
            assert!(!cgroups.unified, "{cgroups:?}");
            assert_eq!(places, [false, false, false, false, true], "{cgroups:?}");
        }
        other => panic!("FREEHOLD_TEST_GROUPS is {other:?}: write unified or hybrid"),
    }
}

/// What the kernel says of a group, without the end of its line; none for a file that it lacks.
fn said(group: &Group, folder: Option<&PathBuf>, file: &str) -> Option<String> {
    group.read(folder, file).map(|text| text.trim().to_owned())
}

/// The kernel has taken these limits, whatever they were before.
fn says(group: &Group, limits: &Limits) {
    let Cgroups { unified, memory, cpu, .. } = group.cgroups;
    let (memory, cpu) = (memory.as_ref(), cpu.as_ref());
    let bytes = (limits.memory_bytes + limits.scratch_bytes).to_string();
    let quota_us = u64::from(limits.cpu_milli) * 100;
    let (files, burst_file) = if *unified {
        let cpu_max = ("cpu.max", cpu, format!("{quota_us} 100000"));
        (vec![("memory.max", memory, bytes), cpu_max], "cpu.max.burst")
    } else {
        let files = vec![
            ("memory.limit_in_bytes", memory, bytes),
            ("cpu.cfs_quota_us", cpu, quota_us.to_string()),
            ("cpu.cfs_period_us", cpu, "100000".to_owned()),
        ];
        (files, "cpu.cfs_burst_us")
    };
    for (file, folder, expected) in files {
        assert_eq!(said(group, folder, file), Some(expected), "{file} for {limits:?}");
    }
    // Kernels before 5.14 have no burst.
    let burst = said(group, cpu, burst_file);
    assert!(burst.is_none_or(|text| text == quota_us.to_string()), "{burst_file} for {limits:?}");
}

#[test]
fn the_files_say_what_was_asked_also_after_it_was_changed() {
    let Some(group) = group("files", 200) else { return };
    says(&group, &LIMITS);
    // Smaller, larger than at first, and the smallest.
    for (memory_bytes, cpu_milli) in [(16 << 20, 50), (128 << 20, 2_000), (8 << 20, 10)] {
        let limits = Limits { memory_bytes, cpu_milli, ..LIMITS };
        group.limit_memory(&limits).unwrap();
        group.limit_cpu(cpu_milli).unwrap();
        says(&group, &limits);
    }
    let Cgroups { unified, memory, pids, .. } = group.cgroups;
    assert_eq!(said(&group, pids.as_ref(), "pids.max").as_deref(), Some("7"));
    // A machine without swap has no such files.
    let (file, none) = if *unified { ("memory.swap.max", "0") } else { ("memory.swappiness", "0") };
    assert!(said(&group, memory.as_ref(), file).is_none_or(|text| text == none), "{file}");
    if *unified {
        assert_eq!(said(&group, memory.as_ref(), "memory.oom.group").as_deref(), Some("1"));
    }
}

/// Whether the kernel says that every process is stopped.
fn is_frozen(group: &Group) -> bool {
    let text = group.read(group.cgroups.freeze.as_ref(), "cgroup.events").unwrap();
    field(&text, "frozen") == Some(1)
}

#[test]
fn what_is_frozen_does_nothing_until_it_is_thawed_and_can_be_killed() {
    let Some(group) = group("freeze", 1_000).filter(Group::freezes) else {
        eprintln!("SKIPPED: no group can be frozen here");
        return;
    };
    let shell = shell(&group, "while :; do :; done");
    wait_until(|| group.cpu_us() > Some(0));
    for _ in 0..3 {
        group.freeze(true).unwrap();
        wait_until(|| is_frozen(&group));
        // It comes to rest for as long as other processes take to start, run and end; its last moments
        // may be booked a little after it has stopped.
        let mut used_us = None;
        wait_until(|| {
            used_us = group.cpu_us();
            for _ in 0..3 {
                assert!(Command::new("/bin/true").status().unwrap().success());
            }
            group.cpu_us() == used_us
        });
        group.freeze(false).unwrap();
        wait_until(|| !is_frozen(&group) && group.cpu_us() > used_us);
    }
    group.freeze(true).unwrap();
    wait_until(|| is_frozen(&group));
    end(&group, shell);
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
