//! Handing an open file to another process through a Unix socket.
#![expect(unsafe_code, reason = "takes a file descriptor that the kernel has made, by its number")]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Hands a file to whoever holds the other end.
pub(crate) fn send(through: impl AsFd, file: impl AsFd) -> io::Result<()> {
    send_all(through, &[file.as_fd()])
}

/// Hands files over, all at once and in this order.
pub(crate) fn send_all(through: impl AsFd, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let files: Vec<RawFd> = files.iter().map(BorrowedFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&files)];
    let through = through.as_fd().as_raw_fd();
    sendmsg::<()>(through, &[IoSlice::new(&[0])], &rights, MsgFlags::empty(), None)?;
    Ok(())
}

/// Most files that are handed over at once: a socket for each call that a server may have.
const FILES_MAX: usize = types::functions::CONCURRENCY_MAX as usize;

/// Takes the file that was handed over; [`MsgFlags::MSG_DONTWAIT`] among the flags takes it only
/// where it is there.
pub(crate) fn receive(through: impl AsFd, flags: MsgFlags) -> io::Result<OwnedFd> {
    let received = receive_maybe(through, flags)?;
    received.ok_or_else(nothing)
}

/// Takes all files that were handed over at once, in their order: one at least.
pub(crate) fn receive_all(through: impl AsFd, flags: MsgFlags) -> io::Result<Vec<OwnedFd>> {
    let received = receive_upto(through, flags)?;
    if received.is_empty() { Err(nothing()) } else { Ok(received) }
}

fn nothing() -> io::Error {
    io::Error::other("no file was handed over")
}

/// Takes the file that was handed over, or the word that there is none.
pub(crate) fn receive_maybe(through: impl AsFd, flags: MsgFlags) -> io::Result<Option<OwnedFd>> {
    Ok(receive_upto(through, flags)?.pop())
}

fn receive_upto(through: impl AsFd, flags: MsgFlags) -> io::Result<Vec<OwnedFd>> {
    let (mut byte, mut space) = ([0], cmsg_space!([RawFd; FILES_MAX]));
    let mut into = [IoSliceMut::new(&mut byte)];
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let through = through.as_fd().as_raw_fd();
    let message = recvmsg::<()>(through, &mut into, Some(&mut space), flags)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(files) = part {
            // SAFETY: the kernel has just made these numbers for us, and nothing else owns them.
            let own = |file| unsafe { OwnedFd::from_raw_fd(file) };
            return Ok(files.into_iter().map(own).collect());
        }
    }
    if message.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Vec::new())
}
