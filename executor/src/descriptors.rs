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

/// Takes the file that was handed over; [`MsgFlags::MSG_DONTWAIT`] among the flags takes it only
/// where it is there.
pub(crate) fn receive(through: impl AsFd, flags: MsgFlags) -> io::Result<OwnedFd> {
    let received = receive_maybe(through, flags)?;
    received.ok_or_else(|| io::Error::other("no file was handed over"))
}

/// The same, or the word that there is none.
pub(crate) fn receive_maybe(through: impl AsFd, flags: MsgFlags) -> io::Result<Option<OwnedFd>> {
    let (mut byte, mut space) = ([0], cmsg_space!(RawFd));
    let mut into = [IoSliceMut::new(&mut byte)];
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let through = through.as_fd().as_raw_fd();
    let message = recvmsg::<()>(through, &mut into, Some(&mut space), flags)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(files) = part
            && let [file] = files[..]
        {
            // SAFETY: the kernel has just made this number for us, and nothing else owns it.
            return Ok(Some(unsafe { OwnedFd::from_raw_fd(file) }));
        }
    }
    if message.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(None)
}
