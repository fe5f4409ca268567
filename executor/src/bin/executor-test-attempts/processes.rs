//! Attempts at other processes, and at outliving one's own sandbox.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{self, c_long};
use nix::unistd::{ForkResult, fork};

use crate::bait::Bait;
use crate::call::{at, call, in_child, listens, works};
use crate::{Through, Try};

pub(crate) const TRIES: &[Try] = &[
    ("see-processes", see_processes),
    ("signal-host", signal_host),
    ("signal-everyone", signal_everyone),
    ("kill-first", kill_first),
    ("trace", trace),
    ("read-memory", read_memory),
    ("open-memory", open_memory),
    ("take-descriptor", take_descriptor),
    ("join-namespace", join_namespace),
    ("new-namespace", new_namespace),
    ("clone-namespace", clone_namespace),
    ("clone3", clone3),
    ("leave-children", leave_children),
    ("outlast-timeout", outlast_timeout),
];

/// Other processes, by their numbers: the sandbox's own first one, and the bait.
fn others(bait: &Bait) -> Vec<i32> {
    let me = std::process::id().cast_signed();
    let mut others = vec![1, bait.pid];
    others.retain(|&pid| pid != me);
    others
}

fn see_processes(bait: &Bait) -> Through {
    let me = std::process::id().to_string();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == me || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let words = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        // The first process is the sandbox's own, and started as ours was.
        if name != "1" || words.contains(&bait.mark) {
            return Some(format!("process {name}: {words}"));
        }
    }
    None
}

fn signal_host(bait: &Bait) -> Through {
    let pid = c_long::from(bait.pid);
    let stop = c_long::from(libc::SIGWINCH);
    let mut info = [0_u8; 128];
    works("kill", call(libc::SYS_kill, [pid, stop]))
        .or_else(|| works("kill a group", call(libc::SYS_kill, [-pid, stop])))
        .or_else(|| works("tkill", call(libc::SYS_tkill, [pid, stop])))
        .or_else(|| works("tgkill", call(libc::SYS_tgkill, [pid, pid, stop])))
        .or_else(|| works("queue", call(libc::SYS_rt_sigqueueinfo, [pid, stop, at(&mut info)])))
        .or_else(|| {
            let process = call(libc::SYS_pidfd_open, [pid, 0]).ok()?;
            works("by descriptor", call(libc::SYS_pidfd_send_signal, [process, stop, 0, 0]))
        })
}

/// The suite looks whether the bait lives on.
fn signal_everyone(_: &Bait) -> Through {
    let _ = call(libc::SYS_kill, [-1, libc::SIGKILL.into()]);
    None
}

/// The suite looks whether this end is told as it came.
fn kill_first(_: &Bait) -> Through {
    if std::process::id() != 1 {
        for signal in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, libc::SIGTERM] {
            // The kernel takes the signal and drops it.
            let _ = call(libc::SYS_kill, [1, signal.into()]);
        }
    }
    None
}

fn trace(bait: &Bait) -> Through {
    for pid in others(bait) {
        // Seizing changes nothing of the process; the trace ends with this program.
        let seized = call(libc::SYS_ptrace, [0x4206, pid.into(), 0, 0]);
        if let Some(what) = works(&format!("traces {pid}"), seized) {
            return Some(what);
        }
    }
    let traced = in_child(|| i32::from(call(libc::SYS_ptrace, [0, 0, 0, 0]).is_ok()));
    (traced == Some(1)).then(|| "is traced".to_owned())
}

fn read_memory(bait: &Bait) -> Through {
    let mut into = [0_u8; 8];
    others(bait).into_iter().find_map(|pid| {
        let mut local = [at(&mut into), 8];
        let mut remote = [0x1000, 8];
        let pid = c_long::from(pid);
        let both = [pid, at(&mut local), 1, at(&mut remote), 1, 0];
        let gone = |answer| !matches!(answer, Err(Errno::ESRCH));
        let read = call(libc::SYS_process_vm_readv, both);
        let wrote = call(libc::SYS_process_vm_writev, both);
        let read = listens(&format!("reads the memory of {pid}"), read).filter(|_| gone(read));
        read.or_else(|| {
            listens(&format!("writes the memory of {pid}"), wrote).filter(|_| gone(wrote))
        })
    })
}

fn open_memory(bait: &Bait) -> Through {
    others(bait).into_iter().find_map(|pid| {
        let folder = Path::new("/proc").join(pid.to_string());
        let opened = |name: &str| fs::File::open(folder.join(name)).is_ok();
        let listed = |name: &str| fs::read_dir(folder.join(name)).is_ok();
        let environ = || fs::read(folder.join("environ")).is_ok_and(|text| !text.is_empty());
        if opened("mem") || environ() {
            return Some(format!("opens the memory or environment of {pid}"));
        }
        (listed("fd") || listed("map_files")).then(|| format!("sees the files of {pid}"))
    })
}

fn take_descriptor(bait: &Bait) -> Through {
    others(bait).into_iter().find_map(|pid| {
        let process = call(libc::SYS_pidfd_open, [pid.into(), 0]).ok()?;
        (0..6).find_map(|number| {
            let taken = call(libc::SYS_pidfd_getfd, [process, number, 0]);
            works(&format!("took file {number} of {pid}"), taken)
        })
    })
}

fn join_namespace(bait: &Bait) -> Through {
    use std::os::fd::AsRawFd as _;
    let own = |kind: &str| Path::new("/proc/self/ns").join(kind);
    for kind in ["mnt", "pid", "net", "user", "uts", "ipc", "cgroup"] {
        for pid in others(bait) {
            let Ok(file) = fs::File::open(format!("/proc/{pid}/ns/{kind}")) else { continue };
            let joined = call(libc::SYS_setns, [file.as_raw_fd().into(), 0]);
            if let Some(what) = works(&format!("joined {kind} of {pid}"), joined) {
                return Some(what);
            }
        }
        // One's own, where nothing but the right to join stands in the way.
        let Ok(file) = fs::File::open(own(kind)) else { continue };
        let joined = call(libc::SYS_setns, [file.as_raw_fd().into(), 0]);
        if let Some(what) = works(&format!("may join {kind}"), joined) {
            return Some(what);
        }
    }
    None
}

fn new_namespace(_: &Bait) -> Through {
    let kinds = [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWNET, libc::CLONE_NEWPID];
    kinds.into_iter().find_map(|kind| {
        let made = in_child(|| i32::from(call(libc::SYS_unshare, [kind.into()]).is_ok()));
        (made == Some(1)).then(|| format!("unshared {kind:x}"))
    })
}

fn clone_namespace(_: &Bait) -> Through {
    [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWNET].into_iter().find_map(|kind| {
        // In a child: what is cloned goes on here.
        let made = in_child(|| {
            let flags = c_long::from(kind | libc::SIGCHLD);
            i32::from(call(libc::SYS_clone, [flags, 0, 0, 0, 0]).is_ok())
        });
        (made == Some(1)).then(|| format!("cloned {kind:x}"))
    })
}

fn clone3(_: &Bait) -> Through {
    let made = in_child(|| {
        let mut words = [0_u64; 11];
        words[0] = u64::try_from(libc::CLONE_NEWUSER).unwrap();
        words[4] = u64::try_from(libc::SIGCHLD).unwrap();
        i32::from(call(libc::SYS_clone3, [at(&mut words), 88]).is_ok())
    });
    (made == Some(1)).then(|| "cloned a user namespace".to_owned())
}

/// Leaves daemons with a mark in their words; the suite looks for them.
fn leave_children(bait: &Bait) -> Through {
    for _ in 0..3 {
        // SAFETY: this program has one thread.
        if let Ok(ForkResult::Child) = unsafe { fork() } {
            nix::unistd::setsid().unwrap();
            // SAFETY: as above.
            if let Ok(ForkResult::Child) = unsafe { fork() } {
                linger(&bait.mark);
            }
            std::process::exit(0);
        }
    }
    std::thread::sleep(Duration::from_millis(200));
    None
}

/// Stays, with children, until it is made to end; the suite looks.
fn outlast_timeout(bait: &Bait) -> Through {
    for number in 1..32 {
        // SAFETY: a signal is ignored, and no code of ours runs for it.
        unsafe { libc::signal(number, libc::SIG_IGN) };
    }
    for _ in 0..3 {
        // SAFETY: this program has one thread.
        if let ForkResult::Child = unsafe { fork() }.ok()? {
            linger(&bait.mark);
        }
    }
    std::thread::sleep(Duration::from_mins(10));
    Some("outlasted its time limit".to_owned())
}

/// Sleeps under a name that can be found.
fn linger(mark: &str) -> ! {
    let mut sleep = std::process::Command::new("/bin/sh");
    sleep.args(["-c", &format!("sleep 600; : {mark}-lingers")]);
    let error = std::os::unix::process::CommandExt::exec(&mut sleep);
    panic!("could not linger: {error}");
}
