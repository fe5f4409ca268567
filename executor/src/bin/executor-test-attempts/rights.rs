//! Attempts at more rights, and at what the executor keeps to itself.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::libc::{self, c_long};

use crate::bait::{Bait, readable};
use crate::call::{call, in_child, own_host_name, path, text, works};
use crate::{Through, Try};

pub(crate) const TRIES: &[Try] = &[
    ("become-root", become_root),
    ("setuid-program", setuid_program),
    ("capabilities", capabilities),
    ("no-filter", |_| unfiltered()),
    ("run-from-memory", run_from_memory),
    ("environment", environment),
    ("descriptors", descriptors),
    ("credentials", credentials),
    ("host-name", host_name),
    ("host-segments", host_segments),
];

fn become_root(_: &Bait) -> Through {
    let become_by = |what: &str, number: c_long, args: [c_long; 3]| {
        let became = in_child(|| i32::from(call(number, args).is_ok()));
        (became == Some(1)).then(|| what.to_owned())
    };
    let groups = nix::unistd::getgroups().unwrap_or_default();
    let strange = groups.iter().find(|group| **group != nix::unistd::getgid());
    become_by("setuid", libc::SYS_setuid, [0, 0, 0])
        .or_else(|| become_by("setresuid", libc::SYS_setresuid, [0, 0, 0]))
        .or_else(|| become_by("setgid", libc::SYS_setgid, [0, 0, 0]))
        .or_else(|| become_by("setgroups", libc::SYS_setgroups, [0, 0, 0]))
        .or_else(|| become_by("setfsuid", libc::SYS_setreuid, [0, 0, 0]))
        .or_else(|| strange.map(|group| format!("keeps group {group}")))
}

/// Starts a program that asks for a password, and looks whose it is meanwhile.
fn setuid_program(_: &Bait) -> Through {
    let program = ["/usr/bin/su", "/bin/su"].into_iter().find(|path| Path::new(path).exists())?;
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    // It has begun once its memory is its own program's.
    let status = format!("/proc/{}/status", child.id());
    let started = || {
        let text = fs::read_to_string(&status).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Uid:"))?.to_owned();
        text.starts_with("Name:\tsu\n").then_some(line)
    };
    let mut tries = 0;
    let users = loop {
        tries += 1;
        match started() {
            Some(line) => break line,
            None if tries > 200 => break String::new(),
            None => std::thread::sleep(std::time::Duration::from_millis(2)),
        }
    };
    let _ = child.kill();
    let _ = child.wait();
    // Real, effective, saved, of files.
    let effective = users.split_whitespace().nth(1);
    (effective == Some("0")).then(|| format!("{program} runs as root"))
}

fn capabilities(_: &Bait) -> Through {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:", "CapBnd:"].into_iter().find_map(|name| {
        let held = line(name)?;
        held.bytes().any(|byte| byte != b'0').then(|| format!("{name} {held}"))
    })
}

/// Whether this process lacks a filter, or may gain privileges.
pub(crate) fn unfiltered() -> Through {
    let asked = |option: c_long| call(libc::SYS_prctl, [option, 0, 0, 0, 0]);
    // PR_GET_SECCOMP answers 2 where there is a filter.
    let filter = asked(21) == Ok(2);
    let no_new = asked(39) == Ok(1);
    (!(filter && no_new)).then(|| format!("filter: {filter}, no new privileges: {no_new}"))
}

/// Runs a program that looks whether it has a filter.
fn run_from_memory(_: &Bait) -> Through {
    let program = fs::read("/usr/bin/grep").or_else(|_| fs::read("/bin/grep")).ok()?;
    let number = call(libc::SYS_memfd_create, [text(c"again"), 0]).ok()?;
    let place = format!("/proc/self/fd/{number}");
    fs::OpenOptions::new().write(true).open(&place).ok()?.write_all(&program).ok()?;
    let ran = in_child(|| {
        let words = ["grep", "-q", "^Seccomp:.0", "/proc/self/status"].map(path);
        let mut places = words.each_ref().map(|word| word.as_ptr()).to_vec();
        places.push(std::ptr::null());
        let empty = path("");
        let none: [*const libc::c_char; 1] = [std::ptr::null()];
        let args = [
            number,
            empty.as_ptr() as c_long,
            places.as_ptr() as c_long,
            none.as_ptr() as c_long,
            libc::AT_EMPTY_PATH.into(),
        ];
        let _ = call(libc::SYS_execveat, args);
        1
    });
    (ran == Some(0)).then(|| "a program without a filter".to_owned())
}

fn environment(bait: &Bait) -> Through {
    let own = std::env::vars_os().any(|(_, value)| value.to_string_lossy().contains(&bait.secret));
    if own {
        return Some("the secret in its own environment".to_owned());
    }
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let text = fs::read(entry.path().join("environ")).ok()?;
        let found = String::from_utf8_lossy(&text).contains(&bait.secret);
        found.then(|| format!("the secret in {}", entry.path().display()))
    })
}

/// Anything but the standard streams; reading the folder opens one more.
fn descriptors(_: &Bait) -> Through {
    let open: Vec<(i32, String)> = fs::read_dir("/proc/self/fd")
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let to = fs::read_link(entry.path()).ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, to.display().to_string()))
        })
        .collect();
    let strange = open.iter().find(|(number, to)| *number > 2 && !to.contains("/proc/"));
    strange.map(|(number, to)| format!("{number} is {to}"))
}

fn credentials(_: &Bait) -> Through {
    ["/root", "/home", "/run/secrets", "/etc/kubernetes", "/etc/ssl/private", "/etc/gshadow"]
        .iter()
        .find_map(readable)
}

fn host_name(bait: &Bait) -> Through {
    let name = own_host_name();
    (name == bait.host).then_some(name)
}

fn host_segments(bait: &Bait) -> Through {
    let found = call(libc::SYS_shmget, [bait.segment.into(), 0, 0]).ok()?;
    works("attached a segment", call(libc::SYS_shmat, [found, 0, 0x1000]))
}
