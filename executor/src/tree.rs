//! The processes of an instance, as `/proc` of the host shows them.
//!
//! Always true: a process that ends while it is looked at is left out, never an error.
#![expect(unsafe_code, reason = "sysconf has no safe form among our dependencies")]

use std::collections::BTreeMap;
use std::fs;

use nix::libc;

/// One of the kernel's constants, or this where it does not tell.
fn constant(name: libc::c_int, otherwise: u64) -> u64 {
    // SAFETY: takes a number, gives a number, and touches no memory of ours.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).ok().filter(|&value| value > 0).unwrap_or(otherwise)
}

/// A process and all its descendants, the process first.
pub(crate) fn processes(first: i32) -> Vec<i32> {
    let mut found = vec![first];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        match children(pid) {
            Some(children) => found.extend(children),
            None if next == 0 => return by_parents(first),
            None => {}
        }
        next += 1;
    }
    found
}

/// The processes of an instance: its first and all its descendants, and those of a program that the
/// first did not start.
pub(crate) fn instance(first: i32, forked: Option<i32>) -> Vec<i32> {
    let mut found = processes(first);
    found.extend(forked.map(processes).unwrap_or_default());
    found
}

/// The children of every thread of a process; none where this kernel does not list them.
fn children(pid: i32) -> Option<Vec<i32>> {
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let text = fs::read_to_string(thread.path().join("children")).ok()?;
        children.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Some(children)
}

/// The same from every process's parent, which every kernel tells.
fn by_parents(first: i32) -> Vec<i32> {
    let mut parents: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse().ok()) {
            parents.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![first];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(parents.remove(pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// The fields of `/proc/PID/stat` after the name, the state first.
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_ascii_whitespace().map(str::to_owned).collect())
}

/// Resident memory of these processes, in bytes; shared pages count once for each.
pub(crate) fn resident_bytes(pids: &[i32]) -> u64 {
    let pages = pids.iter().filter_map(|pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    });
    pages.sum::<u64>() * constant(libc::_SC_PAGESIZE, 4_096)
}

/// Resident memory where each shared page counts its share; slower, and asked only in doubt.
///
/// Falls back to [`resident_bytes`] for processes that do not tell.
pub(crate) fn proportional_bytes(pids: &[i32]) -> u64 {
    let share = |pid: &i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1_024)
    };
    pids.iter().map(|pid| share(pid).unwrap_or_else(|| resident_bytes(&[*pid]))).sum()
}

/// Processor time of these processes and of the children they have waited for, in microseconds.
pub(crate) fn cpu_us(pids: &[i32]) -> u64 {
    let ticks_per_s = constant(libc::_SC_CLK_TCK, 100);
    let ticks = pids.iter().filter_map(|&pid| {
        let fields = stat(pid)?;
        // utime, stime, cutime, cstime: fields 14 to 17 of proc(5), here counted from the state.
        fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()
    });
    ticks.sum::<u64>() * 1_000_000 / ticks_per_s
}

/// Threads of these processes.
pub(crate) fn threads(pids: &[i32]) -> u64 {
    // num_threads: field 20 of proc(5).
    pids.iter().filter_map(|&pid| stat(pid)?.get(17)?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_finds_itself_and_its_memory() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(processes(me).contains(&me));
        assert_eq!(by_parents(me)[0], me);
        assert!(resident_bytes(&[me]) > 100_000);
        assert!(proportional_bytes(&[me]) > 100_000);
        assert!(threads(&[me]) >= 1);
        assert_eq!(resident_bytes(&[i32::MAX]), 0);
    }
}
