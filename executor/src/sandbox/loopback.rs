//! The listener of the Runtime API: opened inside, where the program can reach it, and handed to
//! the executor, which answers on it from outside. For a program that is a server, sockets
//! to connect to it in place of that: whichever network a socket was made in, it stays in.
//!
//! Always true: the network namespace has a loopback and no other interface.
#![expect(unsafe_code, reason = "bringing an interface up has no safe form")]

use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::{Fault, channel, descriptors};
use crate::plan::{Channel, RUNTIME_API};

/// Opens the listener, or makes the sockets, and hands them out.
pub(super) fn hand_out(kind: Channel) -> Result<(), Fault> {
    bring_up().map_err(Fault::at("bring the loopback up"))?;
    let handed: Vec<OwnedFd> = if let Channel::Server { sockets } = kind {
        let one = |_| socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
        (0..sockets).map(one).collect::<Result<_, _>>().map_err(Fault::at("make a socket"))?
    } else {
        vec![TcpListener::bind(RUNTIME_API).map_err(Fault::at("listen inside"))?.into()]
    };
    let handed: Vec<BorrowedFd<'_>> = handed.iter().map(AsFd::as_fd).collect();
    descriptors::send_all(channel::socket()?, &handed).map_err(Fault::at("hand the socket out"))?;
    channel::keep_socket_from_program().map_err(Fault::at("keep the program's files few"))
}

fn bring_up() -> Result<(), Errno> {
    let any = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: numbers and arrays of numbers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = byte.cast_signed();
    }
    request.ifr_ifru.ifru_flags = 0x1 | 0x40; // IFF_UP and IFF_RUNNING, see netdevice(7)
    // SAFETY: the kernel reads an `ifreq` from this place, and one lies there.
    let answer = unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}
