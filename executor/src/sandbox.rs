//! The hidden command `freehold sandbox`: makes one sandbox and waits for its end.
//!
//! Three processes. The *keeper* (this one) makes the namespaces, forks, waits, and ends the rest
//! when told to or when the executor is gone. The *first* process is number 1 inside: it builds
//! the root, gives up every right, and reaps orphans. The *program* is its child.
//!
//! Always true: the keeper has one thread; the program starts only after every step of the plan
//! has worked; when the first process ends, the kernel ends all others in its namespace.

pub(crate) mod channel;
pub(crate) mod first;
mod keeper;
pub(crate) mod lockdown;
mod loopback;
pub(crate) mod parked;
pub(crate) mod root;
pub(crate) mod seccomp;
mod zygote;

use std::process::ExitCode;

use crate::descriptors;
use crate::plan::WAIT;
use channel::Channels;
pub(crate) use channel::write;

/// File descriptors that the executor hands to the keeper.
pub(crate) mod fds {
    /// The plan, then the claim of a parked sandbox, then a byte or the end to ask for the end of
    /// the instance.
    pub(crate) const CONTROL: i32 = 0;
    /// The listening socket of a worker; or where a function's listener is handed out, and the
    /// connection to the zygote is handed in.
    pub(crate) const SOCKET: i32 = 3;
    /// The text of what failed; its end without a text says that the program runs.
    pub(crate) const READY: i32 = 4;
    /// Reports, one JSON object a line.
    pub(crate) const REPORT: i32 = 5;
    /// The first one that must not be there.
    pub(crate) const NONE: u32 = 6;
}

/// A step that failed, and why.
#[derive(Debug)]
pub(crate) struct Fault(String);

impl Fault {
    /// A fault that these words tell.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Makes a fault of a failed step, for `map_err`.
    pub(crate) fn at<E: std::fmt::Display>(step: impl Into<String>) -> impl FnOnce(E) -> Self {
        let step = step.into();
        move |error| Self(format!("{step}: {error}"))
    }
}

/// Makes the sandbox whose plan comes in on standard input, and returns when it has ended.
///
/// The binary calls this for `freehold sandbox` before it starts any thread. Inside a parked
/// container it waits there instead, for what it is to become.
pub fn sandbox_main() -> ExitCode {
    if std::env::args_os().nth(2).is_some_and(|word| word == WAIT) {
        return parked::become_claimed();
    }
    let channels = match Channels::take() {
        Ok(channels) => channels,
        Err(Fault(_)) => return ExitCode::from(71),
    };
    match keeper::run(channels) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fault(_)) => ExitCode::from(70),
    }
}
