//! The keeper: makes the namespaces, waits for the instance's end, and brings it about when the
//! executor asks or is gone.

use std::fs;
use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;

use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getpid, getppid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, pidfd_open};

use super::channel::{self, Alive, Channels, tell};
use super::parked::{self, Ends};
use super::zygote::Forked;
use super::{Fault, first, loopback};
use crate::exit::Report;
use crate::oci;
use crate::plan::{Identity, MAPPED_UID, Namespaces, Plan};
use crate::tree;

/// Runs one sandbox from its plan to its end.
pub(super) fn run(mut channels: Channels) -> Result<(), Fault> {
    let begun = start(&mut channels).inspect_err(|fault| channels.fail(fault))?;
    let (mut started, plan, ends) = begun;
    if let Some(ends) = ends {
        let Channels { control, report, .. } = &mut channels;
        match parked::claimed(&plan, ends, &mut started, (control, report)) {
            Ok(true) => {}
            Ok(false) => started.end(),
            Err(fault) => {
                channels.fail(&fault);
                started.end();
            }
        }
    }
    // Ours would keep the pipe open after the program has started.
    channels.ready = None;
    let forked = started.forked.as_ref().map(|forked| forked.pid);
    tell(&channels.report, Report::First { pid: started.first.as_raw(), forked });
    started.wait(&channels)?;
    // Not by the first process, which may have been ended.
    if let Some(runtime) = &plan.runtime {
        oci::groups::remove_others(&runtime.groups);
    }
    tell(&channels.report, used(started.forked.as_ref()));
    Ok(())
}

/// A sandbox that was started.
pub(super) struct Started {
    first: Pid,
    /// The same, to be watched.
    pub(super) process: OwnedFd,
    /// The program, where the zygote has forked it.
    pub(super) forked: Option<Forked>,
    /// Whether it was told to end.
    ending: bool,
    /// Whether the kernel ends all other processes with the first.
    process_namespace: bool,
    /// Held until the end: the first process ends when this one is gone.
    _alive: OwnedFd,
}

fn start(channels: &mut Channels) -> Result<(Started, Plan, Option<Ends>), Fault> {
    let plan: Plan = channel::read(&mut channels.control)?;
    // Ends with the executor; the control pipe's end tells the same, should this fail.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(Fault::at("ask to end with the executor"))?;
    if getppid().as_raw() != plan.parent {
        return Err(Fault("the executor is gone".to_owned()));
    }
    for path in &plan.join {
        fs::write(path, "0").map_err(Fault::at(format!("join {}", path.display())))?;
    }
    make_namespaces(&plan)?;
    if plan.channel.has_loopback() {
        loopback::hand_out(plan.channel)?;
    }
    // Making a user namespace takes this back.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(Fault::at("ask to end with the executor"))?;
    if !plan.namespaces.process {
        prctl::set_child_subreaper(true).map_err(Fault::at("adopt orphans"))?;
    }
    let alive = Alive::new()?;
    let ends = plan.waits.map(|_| Ends::new()).transpose()?;
    // What is buffered would be written twice.
    std::io::stdout().flush().map_err(Fault::at("flush"))?;
    match fork_in(plan.birthplace.as_deref())? {
        ForkResult::Child => {
            drop(alive.write);
            let inside = ends.map(|ends| ends.inside);
            match &plan.runtime {
                Some(runtime) => oci::first::run(&plan, runtime, channels, &alive.read, inside),
                None => first::run(&plan, channels, &alive.read, inside),
            }
        }
        ForkResult::Parent { child } => {
            let number = rustix::process::Pid::from_raw(child.as_raw());
            let number = number.ok_or_else(|| Fault("fork gave no process".to_owned()))?;
            let process = pidfd_open(number, PidfdFlags::empty());
            let started = Started {
                first: child,
                process: process.map_err(Fault::at("watch a process"))?,
                forked: None,
                ending: false,
                process_namespace: plan.namespaces.process,
                _alive: alive.write,
            };
            Ok((started, plan, ends))
        }
    }
}

/// See clone(2); the constant of `libc` is too narrow for it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks; the child is born in this control group of version 2. To move it there later would take
/// some 15 ms, during which nothing on the machine forks.
fn fork_in(group: Option<&Path>) -> Result<ForkResult, Fault> {
    let Some(group) = group else { return fork() };
    let told = || format!("join {}", group.display());
    let folder = fs::File::open(group).map_err(Fault::at(told()))?;
    if let Ok(forked) = clone_into(&folder) {
        return Ok(forked);
    }
    // Before Linux 5.7, or where somebody filters the call.
    fs::write(group.join("cgroup.procs"), "0").map_err(Fault::at(told()))?;
    fork()
}

#[expect(unsafe_code, reason = "clone3 has no safe form")]
fn clone_into(group: &fs::File) -> Result<ForkResult, nix::errno::Errno> {
    // SAFETY: numbers, for which zero is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    args.cgroup = u64::from(group.as_raw_fd().cast_unsigned());
    // SAFETY: without shared memory this is a fork, and this process has one thread (see `fork`);
    // the kernel reads as many bytes of `args` as it is told.
    let child =
        unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match i32::try_from(child) {
        Ok(0) => Ok(ForkResult::Child),
        Ok(child) if child > 0 => Ok(ForkResult::Parent { child: Pid::from_raw(child) }),
        _ => Err(nix::errno::Errno::last()),
    }
}

#[expect(unsafe_code, reason = "fork has no safe form")]
pub(super) fn fork() -> Result<ForkResult, Fault> {
    // SAFETY: this process has one thread (see `sandbox`), so the child finds no lock held by a
    // thread that it lacks.
    unsafe { nix::unistd::fork() }.map_err(Fault::at("fork"))
}

fn make_namespaces(plan: &Plan) -> Result<(), Fault> {
    if let Identity::Map { uid, gid } = plan.identity {
        unshare(CloneFlags::CLONE_NEWUSER).map_err(Fault::at("make a user namespace"))?;
        let write = |name: &str, text: String| {
            fs::write(Path::new("/proc/self").join(name), text)
                .map_err(Fault::at(format!("write {name}")))
        };
        write("setgroups", "deny".to_owned())?;
        write("uid_map", format!("{MAPPED_UID} {uid} 1"))?;
        write("gid_map", format!("{MAPPED_UID} {gid} 1"))?;
    }
    // The mount namespace is the first process's own: the keeper still needs the host's /proc.
    let mut kinds = kinds(plan.namespaces);
    // Who shows a package later must be allowed to mount where it comes from.
    kinds.set(CloneFlags::CLONE_NEWNS, plan.waits.is_some() && plan.namespaces.user);
    unshare(kinds).map_err(Fault::at("make namespaces"))
}

pub(super) fn kinds(namespaces: Namespaces) -> CloneFlags {
    let mut kinds = CloneFlags::empty();
    kinds.set(CloneFlags::CLONE_NEWPID, namespaces.process);
    kinds.set(CloneFlags::CLONE_NEWNET, namespaces.network);
    kinds.set(CloneFlags::CLONE_NEWIPC, namespaces.ipc);
    kinds.set(CloneFlags::CLONE_NEWUTS, namespaces.name);
    kinds.set(CloneFlags::CLONE_NEWCGROUP, namespaces.cgroup);
    kinds
}

impl Started {
    /// Tells the first process to end.
    fn end(&mut self) {
        self.ending = true;
        let _ = kill(self.first, Signal::SIGKILL);
    }

    /// Waits for the first process; ends it when the control pipe says a byte or its end, and when
    /// a program that is not its child has ended.
    fn wait(&mut self, channels: &Channels) -> Result<(), Fault> {
        while !self.ending {
            let watched = [self.process.as_fd(), channels.control.as_fd()];
            let end = self.forked.as_ref().map(Forked::end);
            let watched = watched.into_iter().chain(end);
            let mut polled: Vec<_> =
                watched.map(|one| PollFd::from_borrowed_fd(one, PollFlags::IN)).collect();
            let waited = poll(&mut polled, None);
            let has_ended = polled.get(2).is_some_and(|end| !end.revents().is_empty());
            let ended = !polled[0].revents().is_empty();
            match waited {
                Ok(_) if has_ended => break,
                Ok(_) if ended && polled[1].revents().is_empty() => break,
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => self.end(),
            }
        }
        if let Some(mut forked) = self.forked.take() {
            // Whichever has ended, now the other does.
            self.end();
            forked.has_ended(&channels.report);
            self.forked = Some(forked);
        }
        waitpid(self.first, None).map_err(Fault::at("wait for the first process"))?;
        if !self.process_namespace {
            end_orphans();
        }
        Ok(())
    }
}

/// Without a process namespace, orphans came to us: ends them until there are none.
///
/// Each round stops all it sees before it ends them, so that a program that forks all the time
/// does not win.
fn end_orphans() {
    loop {
        let mine: Vec<i32> = tree::processes(getpid().as_raw()).into_iter().skip(1).collect();
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for &pid in &mine {
                let _ = kill(Pid::from_raw(pid), signal);
            }
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break,
                Ok(_) => {}
                Err(_) => return,
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// What all processes used: every one of them has been waited for by now.
fn used(forked: Option<&Forked>) -> Report {
    let (forked_us, forked_bytes) = forked.map_or((0, 0), Forked::used);
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Report::Used { cpu_us: forked_us, rss_peak_bytes: forked_bytes };
    };
    let us = |time: nix::sys::time::TimeVal| {
        let us = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec());
        u64::try_from(us).unwrap_or(0)
    };
    let kib = u64::try_from(usage.max_rss()).unwrap_or(0);
    Report::Used {
        cpu_us: us(usage.user_time()) + us(usage.system_time()) + forked_us,
        rss_peak_bytes: (kib * 1_024).max(forked_bytes),
    }
}
