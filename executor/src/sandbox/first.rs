//! The first process inside: builds the root, gives up every right, starts the program, reaps.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio, exit};

use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use super::channel::{Channels, close_socket, is_over, quiet, socket, tell};
use super::keeper::fork;
use super::{Fault, lockdown, parked, root};
use crate::exit::Report;
use crate::plan::{Channel, Command as Planned, Plan, Waits};

/// Never returns to the keeper's code: ends with 0 after a report, else with 70.
pub(super) fn run(
    plan: &Plan,
    channels: &mut Channels,
    keeper: &OwnedFd,
    claims: Option<UnixStream>,
) -> ! {
    match start(plan, channels, keeper, claims.as_ref()) {
        Ok(program) => {
            drop(claims);
            close_socket();
            quiet(&channels.control);
            // Ours would keep the pipe open after the program has started.
            channels.ready = None;
            let Some(program) = program else { rest() };
            let (code, signal) = reap(program);
            tell(&channels.report, Report::Ended { code, signal });
            exit(0)
        }
        Err(fault) => {
            channels.fail(&fault);
            exit(70)
        }
    }
}

fn start(
    plan: &Plan,
    channels: &mut Channels,
    keeper: &OwnedFd,
    claims: Option<&UnixStream>,
) -> Result<Option<Pid>, Fault> {
    if let Some(planned) = &plan.root {
        let namespace = root::build(planned)?;
        claims.map(|claims| parked::hand_mounts_out(claims, &namespace)).transpose()?;
    }
    if plan.namespaces.name {
        rustix::system::sethostname(b"freehold").map_err(Fault::at("set the host name"))?;
    }
    lockdown::limit(&plan.limits)?;
    lockdown::become_someone(plan.identity)?;
    // Becoming someone takes this back. The keeper may be gone already; then its pipe says so.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(Fault::at("ask to end with the keeper"))?;
    if is_over(keeper) {
        return Err(Fault("the keeper is gone".to_owned()));
    }
    // Inside, the program is the same user: it must not be able to change this process.
    prctl::set_dumpable(false).map_err(Fault::at("close this process's memory"))?;
    prctl::set_no_new_privs().map_err(Fault::at("give up new privileges"))?;
    let loopback = plan.channel.has_loopback();
    let rules = lockdown::landlock(&plan.access, loopback)?;
    lockdown::filter(loopback)?;
    if let (Some(Waits::Fork), Some(claims)) = (plan.waits, claims) {
        parked::hand_rules_out(claims, rules.as_ref())?;
        return Ok(None);
    }
    drop(rules);
    match fork()? {
        ForkResult::Child => become_program(plan, channels, claims),
        ForkResult::Parent { child } => Ok(Some(child)),
    }
}

/// Becomes the program, or tells why not.
fn become_program(plan: &Plan, channels: &mut Channels, claims: Option<&UnixStream>) -> ! {
    // Where there is no process namespace, this is what ends the program with its first process.
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let fault = match program(plan, claims) {
        Ok(mut program) => {
            let error = program.exec();
            Fault(format!("start {}: {error}", program.get_program().display()))
        }
        Err(fault) => fault,
    };
    channels.fail(&fault);
    exit(127)
}

/// What to run, and how. Where only a claim tells, waits for it.
fn program(plan: &Plan, claims: Option<&UnixStream>) -> Result<Command, Fault> {
    let stdin = match (&plan.command, claims) {
        // An interpreter that runs already, and waits for the claim itself.
        (Some(_), Some(claims)) => {
            let claims = claims.try_clone().map_err(Fault::at("duplicate a socket"))?;
            Stdio::from(OwnedFd::from(claims))
        }
        _ if plan.channel == Channel::Socket => Stdio::from(socket()?),
        _ => Stdio::null(),
    };
    match (&plan.command, claims) {
        (Some(planned), _) => Ok(limited(planned, stdin, plan.limits.data_bytes)),
        (None, Some(claims)) => Ok(limited(&parked::wait(claims)?, stdin, plan.limits.data_bytes)),
        (None, None) => Err(Fault("the plan names no program".to_owned())),
    }
}

#[expect(unsafe_code, reason = "a hook before exec has no safe form")]
fn limited(planned: &Planned, stdin: Stdio, data_bytes: u64) -> Command {
    let mut command = command(planned, stdin);
    // SAFETY: runs in this process of one thread, and makes two system calls.
    unsafe { command.pre_exec(move || lockdown::limit_data(data_bytes)) };
    command
}

/// What is planned, with nothing of this process's own but its limits.
pub(super) fn command(planned: &Planned, stdin: Stdio) -> Command {
    let mut command = Command::new(&planned.program);
    command.args(&planned.args).env_clear().envs(&planned.env).current_dir(&planned.folder);
    command.stdin(stdin);
    command
}

/// Where the program is another's child: holds the sandbox until the keeper ends it, and has the
/// kernel reap what is left to this process.
fn rest() -> ! {
    // SAFETY: ignores a signal, and so sets no handler.
    #[expect(unsafe_code, reason = "a signal's disposition has no safe form")]
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) };
    loop {
        nix::unistd::pause();
    }
}

/// Reaps every child until the program ends.
pub(crate) fn reap(program: Pid) -> (Option<i32>, Option<i32>) {
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == program => return (Some(code), None),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => {
                return (None, Some(signal as i32));
            }
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return (None, None),
        }
    }
}
