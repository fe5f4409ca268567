//! Which processes are left when a program was killed.
//!
//! The test process adopts whatever its children leave behind (`PR_SET_CHILD_SUBREAPER`), so an
//! orphan, however it was made, is one of our children and is found in `/proc`. Dead ones of other
//! users are waited for, since the kernel counts them against their user's limit of processes.

use std::collections::BTreeSet;
use std::sync::Mutex;

use nix::sys::prctl;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, Uid};

/// Children that tests started on purpose.
static KNOWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Adopts orphans from now on.
pub fn adopt() {
    prctl::set_child_subreaper(true).expect("Linux knows subreapers since 3.4");
}

/// Tells that this child was started on purpose, so that another test's cloud does not miss it.
pub fn know(pid: u32) {
    KNOWN.lock().expect("nobody panics while holding it").insert(pid);
}

/// Orphans that still run: number and command line of each.
pub fn left() -> Vec<String> {
    let known = KNOWN.lock().expect("nobody panics while holding it").clone();
    let me = std::process::id();
    let mut left = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name in parentheses may hold anything; the state and the parent stand behind it.
        let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let (state, parent) = (fields.next(), fields.next());
        let ours = parent.and_then(|parent| parent.parse::<u32>().ok()) == Some(me);
        if !ours || known.contains(&pid) {
            continue;
        }
        if state == Some("Z") {
            bury(pid);
        } else {
            let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            left.push(format!("{pid} {}", words.trim()));
        }
    }
    left
}

/// Processes of this machine that have this variable in their environment, as `NAME=value`: number
/// and command line of each.
pub fn running_with(variable: &str) -> Vec<String> {
    let has = |pid: &std::path::Path| {
        let environment = std::fs::read(pid.join("environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|one| one == variable.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let found = entries.map(|entry| entry.path()).filter(|path| has(path));
    let told = |path: std::path::PathBuf| {
        let words = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        format!("{} {}", path.file_name().unwrap_or_default().display(), words.trim())
    };
    found.map(told).collect()
}

/// Waits for a dead process, where it ran as another user: then no test waits for it.
fn bury(pid: u32) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let user = user.and_then(|ids| ids.split_whitespace().next()?.parse::<u32>().ok());
    if user.is_some_and(|user| user != Uid::current().as_raw()) {
        let pid = i32::try_from(pid).expect("process numbers are small");
        let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
    }
}
