//! The first process around a container: makes what the runtime is given, runs it once, and waits for
//! the program, which is the container's own first process.
//!
//! Always true: it is number 1 of a process namespace that holds the runtime, all that it leaves
//! running, and the container; when it ends, the kernel ends them. It ends with the keeper.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio, exit};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::bundle::{self, Bundle};
use super::{Fault, Kind, Runtime, groups};
use crate::exit::Report;
use crate::plan::{Channel, Plan};
use crate::sandbox::channel::{
    Channels, close_socket, is_over, keep_socket_from_program, quiet, socket, tell,
};
use crate::sandbox::first::reap;
use crate::sandbox::parked::hand_mounts_out;

/// Longest part of a runtime's own words that is told.
const FAULT_BYTES_MAX: usize = 2_000;
/// A shell's sign for a signal, which gVisor uses for its exit code.
const SIGNALLED: i32 = 128;

/// Never returns to the keeper's code: ends with 0 after a report, else with 70.
pub(crate) fn run(
    plan: &Plan,
    runtime: &Runtime,
    channels: &mut Channels,
    keeper: &OwnedFd,
    claims: Option<UnixStream>,
) -> ! {
    match start(plan, runtime, keeper, claims.as_ref()) {
        Ok(program) => {
            drop(claims);
            if plan.channel == Channel::Socket {
                close_socket();
            }
            quiet(&channels.control);
            // Ours would keep the pipe open after the program has started.
            channels.ready = None;
            let (code, signal) = outcome(runtime.kind, reap(program));
            tell(&channels.report, Report::Ended { code, signal });
            exit(0)
        }
        Err(fault) => {
            channels.fail(&fault);
            exit(70)
        }
    }
}

/// Makes the container; its program runs when this returns.
fn start(
    plan: &Plan,
    runtime: &Runtime,
    keeper: &OwnedFd,
    claims: Option<&UnixStream>,
) -> Result<Pid, Fault> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(Fault::at("ask to end with the keeper"))?;
    if is_over(keeper) {
        return Err(Fault::new("the keeper is gone"));
    }
    unshare(CloneFlags::CLONE_NEWNS).map_err(Fault::at("make a mount namespace"))?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(Fault::at("part from the host's mounts"))?;
    groups::hide_second(runtime.kind)?;
    let bundle = bundle::lay_out(plan, runtime)?;
    // The runtime looks at processes by their numbers in this namespace.
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)
        .map_err(Fault::at("mount /proc"))?;
    call(plan, runtime, &bundle, claims)
}

/// Has the runtime create and start the container. In between, the container of one that makes
/// groups of its own goes where the plan wants it, and the keeper of one that will wait for a claim
/// is told where the package is to be shown; else both are one step.
fn call(
    plan: &Plan,
    runtime: &Runtime,
    bundle: &Bundle,
    claims: Option<&UnixStream>,
) -> Result<Pid, Fault> {
    let whole = runtime.groups.is_empty() && claims.is_none();
    let mut command = words(plan, runtime, bundle);
    command.args(if whole { &["run", "--detach"][..] } else { &["create"] });
    command.arg("--bundle").arg(&bundle.at).arg("--pid-file").arg(&bundle.pid).arg(&bundle.name);
    if plan.channel == Channel::Socket {
        command.stdin(Stdio::from(socket()?));
        keep_socket_from_program().map_err(Fault::at("keep the runtime's files few"))?;
    }
    if let Some(claims) = claims {
        let claims = claims.try_clone().map_err(Fault::at("duplicate a socket"))?;
        command.stdin(Stdio::from(OwnedFd::from(claims)));
    }
    carry_out(command, runtime, bundle)?;
    let text = fs::read_to_string(&bundle.pid).map_err(Fault::at("read the container's pid"))?;
    let pid = text.trim().parse().map_err(Fault::at("understand the container's pid"))?;
    let pid = Pid::from_raw(pid);
    if !whole {
        groups::enter(&runtime.groups, pid)?;
        if let Some(claims) = claims {
            let namespace = File::open(format!("/proc/{pid}/ns/mnt"));
            let namespace = namespace.map_err(Fault::at("open the container's mounts"))?;
            hand_mounts_out(claims, &namespace)?;
        }
        let mut command = words(plan, runtime, bundle);
        command.arg("start").arg(&bundle.name);
        carry_out(command, runtime, bundle)?;
    }
    Ok(pid)
}

/// The runtime with the words that stand before every command.
fn words(plan: &Plan, runtime: &Runtime, bundle: &Bundle) -> Command {
    let mut command = Command::new(&runtime.path);
    command.arg("--root").arg(&bundle.state).arg("--log").arg(&bundle.log);
    match runtime.kind {
        Kind::Crun => command.arg("--cgroup-manager=disabled"),
        Kind::Runc => &mut command,
        // Its own network has no listener; the host's, as far as it can be seen from here, is a
        // loopback and nothing else.
        Kind::Runsc => command
            .args(["--ignore-cgroups", "--oci-seccomp", "--network"])
            .arg(if plan.channel.has_loopback() { "host" } else { "none" }),
    };
    command.env_clear().stdin(Stdio::null());
    command
}

fn carry_out(mut command: Command, runtime: &Runtime, bundle: &Bundle) -> Result<(), Fault> {
    let told = || format!("run {}", runtime.path.display());
    let status = command.status().map_err(Fault::at(told()))?;
    if status.success() {
        return Ok(());
    }
    Err(Fault::new(format!("{}: {status}: {}", told(), said(bundle))))
}

/// The runtime's last words.
fn said(bundle: &Bundle) -> String {
    let text = fs::read_to_string(&bundle.log).unwrap_or_default();
    let line = text.lines().rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
    line.chars().take(FAULT_BYTES_MAX).collect()
}

/// The program's code or signal.
fn outcome(kind: Kind, ended: (Option<i32>, Option<i32>)) -> (Option<i32>, Option<i32>) {
    match ended {
        (Some(code), None) if kind == Kind::Runsc && code > SIGNALLED => {
            (None, Some(code - SIGNALLED))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gvisor_tells_a_signal_as_a_shell_does() {
        assert_eq!(outcome(Kind::Runsc, (Some(137), None)), (None, Some(9)));
        assert_eq!(outcome(Kind::Runsc, (Some(1), None)), (Some(1), None));
        assert_eq!(outcome(Kind::Crun, (Some(137), None)), (Some(137), None));
        assert_eq!(outcome(Kind::Crun, (None, Some(9))), (None, Some(9)));
    }
}
