//! The file descriptors between the executor and the sandbox.
//!
//! Always true: of what the executor had open, nothing but these reaches the sandbox; none but
//! the socket reaches the program.
#![expect(unsafe_code, reason = "takes inherited file descriptors by their numbers")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Fault, fds};
use crate::exit::Report;

/// Longest plan or claim; either is a few kilobytes.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What the executor handed to the keeper.
#[derive(Debug)]
pub(crate) struct Channels {
    pub(crate) control: File,
    /// None once this process cannot fail any more.
    pub(crate) ready: Option<File>,
    pub(crate) report: File,
}

impl Channels {
    /// Takes them, and closes everything above.
    pub(super) fn take() -> Result<Self, Fault> {
        // SAFETY: closing numbers that nothing in this process owns yet: `sandbox_main` is called
        // first, and has opened nothing.
        let closed = unsafe { libc::syscall(libc::SYS_close_range, fds::NONE, u32::MAX, 0) };
        if closed != 0 {
            close_each();
        }
        for fd in [fds::READY, fds::REPORT] {
            // SAFETY: asks about a number only; an unknown one gives an error.
            if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
                return Err(Fault(format!("file descriptor {fd} is not open: {}", Errno::last())));
            }
        }
        // SAFETY: the executor opened these for us (READY and REPORT were just looked at; 0 is
        // always given), and nothing else in this process owns them.
        let own = |fd| unsafe { File::from_raw_fd(fd) };
        let channels = Self {
            control: own(fds::CONTROL),
            ready: Some(own(fds::READY)),
            report: own(fds::REPORT),
        };
        let files = [Some(&channels.control), channels.ready.as_ref(), Some(&channels.report)];
        for file in files.into_iter().flatten() {
            fcntl(file, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(Fault::at("fcntl"))?;
        }
        Ok(channels)
    }

    /// Tells the executor what failed.
    pub(crate) fn fail(&mut self, fault: &Fault) {
        if let Some(ready) = &mut self.ready {
            let _ = ready.write_all(fault.0.as_bytes());
        }
    }
}

/// Reads a plan or a claim: its length in four little-endian bytes, then JSON.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> Result<T, Fault> {
    let mut head = [0; 4];
    from.read_exact(&mut head).map_err(Fault::at("read a message's length"))?;
    let length = u32::from_le_bytes(head) as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(Fault(format!("a message of {length} bytes is too long")));
    }
    let mut text = vec![0; length];
    from.read_exact(&mut text).map_err(Fault::at("read a message"))?;
    serde_json::from_slice(&text).map_err(Fault::at("understand a message"))
}

/// Writes what [`read`] reads.
pub(crate) fn write(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    to.write_all(&[&length.to_le_bytes(), text.as_slice()].concat())
}

/// Writes a report; nothing can be done where the executor is gone.
pub(crate) fn tell(mut to: &File, report: Report) {
    let mut line = serde_json::to_vec(&report).unwrap_or_default();
    line.push(b'\n');
    let _ = to.write_all(&line);
}

/// Closes it when the program starts.
pub(crate) fn keep_socket_from_program() -> Result<(), Errno> {
    // SAFETY: sets a flag of a number; an unknown one gives an error.
    let set = unsafe { libc::fcntl(fds::SOCKET, libc::F_SETFD, libc::FD_CLOEXEC) };
    if set < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// The socket: a worker's listening one, or where a function's listener is handed out.
pub(crate) fn socket() -> Result<OwnedFd, Fault> {
    // SAFETY: duplicates a number; an unknown one gives an error, and the copy is ours alone.
    let copy = unsafe { libc::fcntl(fds::SOCKET, libc::F_DUPFD_CLOEXEC, 10) };
    if copy < 0 {
        return Err(Fault(format!("the socket is not open: {}", Errno::last())));
    }
    // SAFETY: `copy` was just made and is owned by nothing else.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Before Linux 5.9 there is no `close_range`.
fn close_each() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|fd| i64::from(*fd) >= i64::from(fds::NONE))
        .collect();
    for fd in open {
        // SAFETY: as in `Channels::take`; the folder's own number is closed by now, and closing a
        // number twice gives an error and no more.
        unsafe { libc::close(fd) };
    }
}

/// A pipe whose reading end tells when the last holder of the writing end is gone.
#[derive(Debug)]
pub(super) struct Alive {
    pub(super) read: OwnedFd,
    pub(super) write: OwnedFd,
}

impl Alive {
    pub(super) fn new() -> Result<Self, Fault> {
        let (read, write) =
            nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(Fault::at("make a pipe"))?;
        Ok(Self { read, write })
    }
}

/// Whether the last holder of a pipe's writing end is gone, and nothing is left to read.
pub(crate) fn is_over(read: impl AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut polled = [PollFd::new(&read, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let answered = poll(&mut polled, Some(&now)).is_ok();
    let told = polled[0].revents();
    answered && told.contains(PollFlags::HUP) && !told.contains(PollFlags::IN)
}

/// Closes the socket in a process that does not need it.
pub(crate) fn close_socket() {
    // SAFETY: nothing in this process owns the number; it stays open only for the program.
    unsafe { libc::close(fds::SOCKET) };
}

/// Closes the standard streams of a process that writes nothing.
pub(crate) fn quiet(control: &File) {
    debug_assert_eq!(control.as_raw_fd(), fds::CONTROL, "the control pipe is standard input");
    for fd in [1, 2] {
        // SAFETY: the first process writes neither stream, and nothing in it owns the numbers.
        unsafe { libc::close(fd) };
    }
}
