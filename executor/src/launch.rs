//! Starting sandboxes: the trait that every level of sealing implements, and the level `process`.
//!
//! Always true: what was launched ends when its control pipe closes, when the launcher is dropped,
//! or when this process dies, whichever comes first.
#![expect(unsafe_code, reason = "a hook between fork and exec places file descriptors")]

use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::unistd::pipe2;
use serde::Serialize;
use tokio::sync::oneshot;
use workflow::BoxFuture;

use crate::error::Error;
use crate::features::{Feature, features};
use crate::plan::Plan;
use crate::sandbox::{self, fds};
use crate::start::Work;

/// How strongly an instance is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A process with namespaces, landlock, seccomp and limits, on the host's kernel.
    Process,
    /// A container of an OCI runtime, on the host's kernel.
    Oci,
    /// A container of gVisor, which has a kernel of its own in front of the host's.
    Runsc,
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Process, Self::Oci, Self::Runsc];

    /// The level in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Oci => "oci",
            Self::Runsc => "runsc",
        }
    }
}

/// What a sandbox itself needs, above the limits of what runs in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overhead {
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u32,
}

/// What a sandbox is launched from: made by the executor, understood by this crate's levels.
#[derive(Clone, Debug)]
pub struct Order {
    pub(crate) plan: Plan,
}

/// A way to seal instances.
pub trait Sandbox: Send + Sync + fmt::Debug {
    /// How strongly it seals.
    fn level(&self) -> Level;

    /// What it is made of, on this machine.
    fn features(&self) -> Vec<Feature>;

    /// What it needs above the limits of an instance.
    fn overhead(&self) -> Overhead {
        Overhead::default()
    }

    /// Refuses work that it cannot hold.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] with what to do instead.
    fn check(&self, _work: &Work) -> Result<(), Error> {
        Ok(())
    }

    /// Refuses to park sandboxes where it makes none that could wait.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]; functions start without them.
    fn check_parking(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Starts a sandbox. It may fail later, which its `ready` pipe then tells.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where no process could be started.
    fn launch(&self, order: Order, socket: Socket) -> BoxFuture<'_, Result<Launched, Error>>;
}

/// A sandbox that was started, and the pipes to it.
#[derive(Debug)]
pub struct Launched {
    pub(crate) keeper: Keeper,
    /// A byte, or closing it, ends the instance.
    pub(crate) control: OwnedFd,
    /// Ends empty when the program runs, with a text when it does not.
    pub(crate) ready: OwnedFd,
    /// Reports, one JSON object a line.
    pub(crate) report: OwnedFd,
    pub(crate) out: OwnedFd,
    pub(crate) err: OwnedFd,
    /// Where a function's listener comes out.
    pub(crate) handed: Option<UnixStream>,
}

/// What a sandbox is given as its file descriptor 3.
#[derive(Debug)]
pub enum Socket {
    /// Nothing.
    None,
    /// A worker's listening socket.
    Listening(UnixListener),
    /// The other end of [`Launched`]'s, through which a listener is handed out.
    HandOut,
}

/// A process that this one has started, such as a keeper. It is always waited for, since nobody
/// else would.
#[derive(Debug)]
pub(crate) struct Keeper(Option<Child>);

impl Keeper {
    /// Holds a process that was started.
    pub(crate) fn of(process: Child) -> Self {
        Self(Some(process))
    }

    /// Waits for its end, which comes by itself when its control pipe is closed.
    pub(crate) async fn reap(mut self) {
        let Some(mut child) = self.0.take() else { return };
        let waited = tokio::task::spawn_blocking(move || child.wait()).await;
        if !matches!(waited, Ok(Ok(_))) {
            tracing::warn!("could not wait for a sandbox's process");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            std::thread::spawn(move || child.wait());
        }
    }
}

/// The level `process`: re-executes this program as `freehold sandbox`.
pub(crate) struct ProcessSandbox {
    /// To the one thread that starts processes. A process asks the kernel to end it with the
    /// *thread* that started it, and Tokio's threads may end while the program lives on.
    starter: mpsc::Sender<Job>,
}

struct Job {
    plan: Plan,
    socket: Socket,
    done: oneshot::Sender<io::Result<Launched>>,
}

impl ProcessSandbox {
    pub(crate) fn new(program: PathBuf) -> Result<Self, Error> {
        let (starter, jobs) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("freehold-start".to_owned())
            .spawn(move || {
                for Job { plan, socket, done } in jobs {
                    // The asker may be gone; then the pipes close, and the sandbox ends.
                    let _ = done.send(launch(&program, plan, socket));
                }
            })
            .map_err(Error::io("start the thread that starts sandboxes"))?;
        Ok(Self { starter })
    }
}

impl fmt::Debug for ProcessSandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessSandbox").finish_non_exhaustive()
    }
}

impl Sandbox for ProcessSandbox {
    fn level(&self) -> Level {
        Level::Process
    }

    fn features(&self) -> Vec<Feature> {
        features()
    }

    fn launch(&self, order: Order, socket: Socket) -> BoxFuture<'_, Result<Launched, Error>> {
        Box::pin(async move {
            let (done, launched) = oneshot::channel();
            let gone = || Error::io("reach the thread that starts sandboxes");
            let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
            self.starter
                .send(Job { plan: order.plan, socket, done })
                .map_err(|_| gone()(closed()))?;
            let launched = launched.await.map_err(|_| gone()(closed()))?;
            launched.map_err(Error::io("start the sandbox's process"))
        })
    }
}

/// The lowest number that a pipe's end gets here, so that placing one never overwrites another.
const ASIDE: RawFd = 64;

fn launch(program: &PathBuf, mut plan: Plan, socket: Socket) -> io::Result<Launched> {
    plan.parent = nix::unistd::getpid().as_raw();
    let (control_read, control) = pipe()?;
    let (ready, ready_write) = pipe()?;
    let (report, report_write) = pipe()?;
    let (out, out_write) = pipe()?;
    let (err, err_write) = pipe()?;
    let (socket, handed) = match socket {
        Socket::None => (None, None),
        Socket::Listening(socket) => (Some(OwnedFd::from(socket)), None),
        Socket::HandOut => {
            let (own, theirs) = UnixStream::pair()?;
            (Some(OwnedFd::from(theirs)), Some(own))
        }
    };
    let socket = socket.as_ref().map(aside).transpose()?;
    let mut places =
        vec![(ready_write.as_raw_fd(), fds::READY), (report_write.as_raw_fd(), fds::REPORT)];
    places.extend(socket.as_ref().map(|socket| (socket.as_raw_fd(), fds::SOCKET)));
    let mut command = Command::new(program);
    command.arg("sandbox").env_clear().process_group(0);
    command.stdin(Stdio::from(control_read));
    command.stdout(Stdio::from(out_write)).stderr(Stdio::from(err_write));
    // SAFETY: between fork and exec the hook only calls dup2, which is async-signal-safe, on
    // numbers that stay open until `spawn` has returned.
    unsafe {
        command.pre_exec(move || {
            for &(from, to) in &places {
                if libc::dup2(from, to) < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    let keeper = command.spawn()?;
    drop((ready_write, report_write, socket));
    let keeper = Keeper(Some(keeper));
    // Where this fails the pipe closes, and the keeper ends.
    send(&control, &plan)?;
    Ok(Launched { keeper, control, ready, report, out, err, handed })
}

/// Tells the keeper its plan, or a claim.
pub(crate) fn send(control: &OwnedFd, message: &impl Serialize) -> io::Result<()> {
    sandbox::write(std::fs::File::from(control.try_clone()?), message)
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    Ok((aside(&read)?, aside(&write)?))
}

fn aside(fd: &OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd as _;
    let copy = fcntl(fd.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(ASIDE))?;
    // SAFETY: `copy` was just made and is owned by nothing else.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
