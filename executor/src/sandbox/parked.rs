//! A parked sandbox: it is whole but for a function's code, environment and command, and waits.
//!
//! What waits is the program's process: either still this program, which then becomes the
//! function's, or an interpreter, started or forked for it. Each is sealed before it waits, and
//! reads the claim from a socket to the keeper. The keeper shows the package inside, from outside:
//! nothing inside may mount.
//!
//! States: making → waiting → claimed; the end may come in each.
//! Always true: a sandbox is claimed at most once; the package is whole and read-only before the
//! claim is handed on.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ExitCode, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::MsgFlags;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::channel::{self, tell};
use super::keeper::Started;
use super::zygote::{self, Forked};
use super::{Fault, descriptors, first};
use crate::exit::Report;
use crate::plan::{Claim, Plan, Waits};
use crate::start::TASK_ROOT;

/// The two ends of the socket through which a claim comes in.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) keepers: UnixStream,
    pub(super) inside: UnixStream,
}

impl Ends {
    pub(super) fn new() -> Result<Self, Fault> {
        let (keepers, inside) = UnixStream::pair().map_err(Fault::at("make a socket"))?;
        Ok(Self { keepers, inside })
    }
}

/// In the first process: tells the keeper where the package will have to be shown.
pub(crate) fn hand_mounts_out(inside: &UnixStream, namespace: &File) -> Result<(), Fault> {
    descriptors::send(inside, namespace).map_err(Fault::at("hand the mount namespace out"))
}

/// In the first process: hands landlock's rules out, or the word that there are none.
pub(super) fn hand_rules_out(
    mut inside: &UnixStream,
    rules: Option<&OwnedFd>,
) -> Result<(), Fault> {
    let handed = match rules {
        Some(rules) => descriptors::send(inside, rules),
        None => inside.write_all(&[0]),
    };
    handed.map_err(Fault::at("hand landlock's rules out"))
}

/// In the program's process: says that it waits, and waits.
pub(super) fn wait(mut inside: &UnixStream) -> Result<crate::plan::Command, Fault> {
    inside.write_all(&[0]).map_err(Fault::at("say that this process waits"))?;
    channel::read(&mut inside)
}

/// In a container, as its first process: waits on standard input, and becomes the program. Where it
/// cannot, it tells why through the same socket, which else ends with it.
pub(super) fn become_claimed() -> ExitCode {
    let claims = std::io::stdin().as_fd().try_clone_to_owned();
    let Ok(claims) = claims.map(UnixStream::from) else { return ExitCode::FAILURE };
    let fault = match wait(&claims) {
        Ok(planned) => {
            let mut program = first::command(&planned, Stdio::null());
            let error = program.exec();
            Fault(format!("start {}: {error}", planned.program.display()))
        }
        Err(fault) => fault,
    };
    // Who would hear it may be gone.
    let _ = (&claims).write_all(fault.0.as_bytes());
    ExitCode::from(127)
}

/// In the keeper: waits until what waits in a container has become the program.
fn has_become(mut waits: &UnixStream) -> Result<(), Fault> {
    let mut fault = String::new();
    waits.read_to_string(&mut fault).map_err(Fault::at("hear of the program's start"))?;
    if fault.is_empty() { Ok(()) } else { Err(Fault(fault)) }
}

/// In the keeper: waits until the program's process waits, and then for the claim; the zygote's fork
/// is that process where the plan says so. False where the sandbox is no longer wanted, or has ended.
pub(super) fn claimed(
    plan: &Plan,
    ends: Ends,
    started: &mut Started,
    (control, report): (&mut File, &File),
) -> Result<bool, Fault> {
    let Ends { keepers, inside } = ends;
    let process = started.process.as_fd();
    let take = |what: &str| {
        let taken = descriptors::receive_maybe(&keepers, MsgFlags::empty());
        taken.map_err(Fault::at(format!("take {what}")))
    };
    // Where the first process has failed instead, it tells why.
    if first_ready(&[keepers.as_fd(), process])? != 0 {
        return Ok(false);
    }
    let Some(namespace) = take("the mount namespace")? else { return Ok(false) };
    if plan.waits == Some(Waits::Fork) {
        if first_ready(&[keepers.as_fd(), process])? != 0 {
            return Ok(false);
        }
        let (connection, rules) = (zygote::connection()?, take("landlock's rules")?);
        let forked = zygote::fork(connection, plan, process, (&inside, rules.as_ref()))?;
        started.forked = Some(forked);
    }
    drop(inside);
    let mut watched = vec![keepers.as_fd(), control.as_fd(), started.process.as_fd()];
    watched.extend(started.forked.as_ref().map(Forked::end));
    if first_ready(&watched)? != 0 {
        return Ok(false);
    }
    let mut byte = [0];
    if (&keepers).read(&mut byte).map_err(Fault::at("hear that a process waits"))? == 0 {
        return Ok(false);
    }
    tell(report, Report::Parked);
    if first_ready(&watched[1..])? != 0 || channel::is_over(control.as_fd()) {
        return Ok(false);
    }
    let Claim { package, command } = channel::read(control)?;
    show(&package, &namespace)?;
    channel::write(&keepers, &command).map_err(Fault::at("hand the claim on"))?;
    if plan.runtime.is_some() && plan.waits == Some(Waits::Process) {
        has_become(&keepers)?;
    }
    Ok(true)
}

/// The place of the first that has something to read, or is over.
fn first_ready(of: &[BorrowedFd<'_>]) -> Result<usize, Fault> {
    loop {
        let polled = of.iter().map(|one| PollFd::from_borrowed_fd(*one, PollFlags::IN));
        let mut polled: Vec<_> = polled.collect();
        match poll(&mut polled, None) {
            Ok(_) => {
                if let Some(place) = polled.iter().position(|one| !one.revents().is_empty()) {
                    return Ok(place);
                }
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Fault::at("wait")(error)),
        }
    }
}

/// Shows a folder of the host as the function's package, in another mount namespace.
fn show(package: &Path, namespace: &OwnedFd) -> Result<(), Fault> {
    let told = || format!("show {}", package.display());
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, package, flags).map_err(Fault::at(told()))?;
    seal(&tree).map_err(Fault::at(told()))?;
    let own = File::open("/proc/self/ns/mnt").map_err(Fault::at("open the own mounts"))?;
    setns(namespace, CloneFlags::CLONE_NEWNS).map_err(Fault::at("enter the mount namespace"))?;
    let shown = move_mount(&tree, "", CWD, TASK_ROOT, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH);
    setns(own, CloneFlags::CLONE_NEWNS).map_err(Fault::at("leave the mount namespace"))?;
    shown.map_err(Fault::at(told()))
}

/// Makes a tree of mounts read-only, without setuid programs and device files.
#[expect(unsafe_code, reason = "mount_setattr has no safe form among our dependencies")]
fn seal(tree: &OwnedFd) -> Result<(), Errno> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the kernel reads an empty text and as many bytes of `attributes` as it is told.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}
