//! An interpreter for a parked sandbox, forked from the executor's zygote instead of started anew.
//!
//! The zygote stands outside; its fork enters the sandbox and seals itself with what is handed over
//! here: the same namespaces, limits, user, landlock rules and system calls that any program gets.
//! The zygote stays its parent, and tells here how it ended.
//!
//! Always true: nothing inside ever holds the connection to the zygote.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::libc;
use nix::sys::socket::MsgFlags;
use serde::{Deserialize, Serialize};

use super::channel::{self, tell};
use super::keeper::kinds;
use super::{Fault, descriptors, lockdown, seccomp};
use crate::exit::Report;
use crate::plan::{Identity, Namespaces, Plan};

/// What the zygote is told of a sandbox.
#[derive(Debug, Serialize)]
struct Request {
    user: u32,
    /// Namespaces to enter, besides that of processes: flags of setns(2).
    spaces: i32,
    /// Resource limits, by their numbers.
    limits: Vec<(u32, u64)>,
    /// System call filters: the fields of each step, see seccomp(2).
    filters: Vec<Vec<(u16, u8, u8, u32)>>,
    /// Whether the control group to be born in is among the files.
    born: bool,
    /// Whether landlock's rules are.
    landlock: bool,
    calls: Calls,
}

/// Numbers of system calls, which differ between processors.
#[derive(Debug, Serialize)]
struct Calls {
    clone3: i64,
    capset: i64,
    seccomp: i64,
    landlock_restrict_self: i64,
}

/// The zygote's answers: first that it has forked, then how that ended.
#[derive(Debug, Deserialize)]
struct Answer {
    forked: i32,
}

#[derive(Debug, Deserialize)]
struct Ended {
    code: Option<i32>,
    signal: Option<i32>,
    cpu_us: u64,
    rss_peak_bytes: u64,
}

/// An interpreter that was forked into this sandbox.
#[derive(Debug)]
pub(super) struct Forked {
    /// To the zygote, which holds its end as long as the interpreter lives.
    connection: UnixStream,
    /// Its number on this host.
    pub(super) pid: i32,
    ended: Option<Ended>,
}

/// The connection that the executor hands over after the plan.
pub(super) fn connection() -> Result<UnixStream, Fault> {
    let handed = descriptors::receive(channel::socket()?, MsgFlags::empty());
    handed.map(UnixStream::from).map_err(Fault::at("take the connection to the zygote"))
}

/// Has an interpreter forked into the sandbox of this first process.
pub(super) fn fork(
    mut connection: UnixStream,
    plan: &Plan,
    first: BorrowedFd<'_>,
    (inside, rules): (&UnixStream, Option<&OwnedFd>),
) -> Result<Forked, Fault> {
    let Identity::Become { id } = plan.identity else {
        return Err(Fault("an interpreter can be forked for another user only".to_owned()));
    };
    let loopback = plan.channel.has_loopback();
    let filters = seccomp::programs(loopback).map_err(Fault::at("compile the filter"))?;
    let step = |step: &seccompiler::sock_filter| (step.code, step.jt, step.jf, step.k);
    let outside = Namespaces { user: false, process: false, ..plan.namespaces };
    let request = Request {
        user: id,
        spaces: (kinds(outside) | nix::sched::CloneFlags::CLONE_NEWNS).bits(),
        limits: lockdown::limits(&plan.limits, Some(plan.limits.data_bytes)),
        filters: filters.iter().map(|program| program.iter().map(step).collect()).collect(),
        born: plan.birthplace.is_some(),
        landlock: rules.is_some(),
        calls: Calls {
            clone3: libc::SYS_clone3,
            capset: libc::SYS_capset,
            seccomp: libc::SYS_seccomp,
            landlock_restrict_self: libc::SYS_landlock_restrict_self,
        },
    };
    let groups = groups(plan)?;
    let (out, err) = (std::io::stdout(), std::io::stderr());
    let mut files = vec![first, inside.as_fd(), out.as_fd(), err.as_fd()];
    files.extend(groups.iter().map(AsFd::as_fd));
    files.extend(rules.map(AsFd::as_fd));
    descriptors::send_all(&connection, &files).map_err(Fault::at("reach the zygote"))?;
    channel::write(&connection, &request).map_err(Fault::at("ask the zygote for a fork"))?;
    let Answer { forked: pid } = channel::read(&mut connection)?;
    Ok(Forked { connection, pid, ended: None })
}

/// The groups to be in: that of version 2 first, then files of version 1 to write oneself into.
fn groups(plan: &Plan) -> Result<Vec<File>, Fault> {
    let told = |path: &PathBuf| Fault::at(format!("open {}", path.display()));
    let born = plan.birthplace.iter().map(|path| File::open(path).map_err(told(path)));
    let joined = plan.join.iter().map(|path| {
        let mut options = File::options();
        options.write(true).open(path).map_err(told(path))
    });
    born.chain(joined).collect()
}

impl Forked {
    /// What can be read once it has ended.
    pub(super) fn end(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }

    /// Takes the word of its end, and hands it on. A zygote that has gone without one has died.
    pub(super) fn has_ended(&mut self, report: &File) {
        let ended: Option<Ended> = channel::read(&mut self.connection).ok();
        let (code, signal) = ended.as_ref().map_or((None, None), |end| (end.code, end.signal));
        if ended.is_some() {
            tell(report, Report::Ended { code, signal });
        }
        self.ended = ended;
    }

    /// What it used, as far as it is known: in microseconds, and in bytes.
    pub(super) fn used(&self) -> (u64, u64) {
        self.ended.as_ref().map_or((0, 0), |end| (end.cpu_us, end.rss_peak_bytes))
    }
}
