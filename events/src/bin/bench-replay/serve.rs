//! A server that answers each request with two bytes, on one thread: the least that a target can do.

use std::collections::HashMap;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

use crate::Failed;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const LISTENER: u64 = 0;

/// Serves until it is killed.
pub(crate) fn serve(address: &str) -> Result<(), Failed> {
    let listener: OwnedFd = if address.starts_with('/') {
        println!("{address}");
        UnixListener::bind(address)?.into()
    } else {
        let listener = TcpListener::bind(address)?;
        println!("{}", listener.local_addr()?);
        listener.into()
    };
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let (mut connections, mut next) = (HashMap::new(), 1_u64);
    let (mut events, mut buffer) = (Vec::with_capacity(256), vec![0; 1 << 16]);
    loop {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            let id = event.data.u64();
            if id == LISTENER {
                let socket = accept_with(&listener, SocketFlags::NONBLOCK)?;
                // A socket of the file system has no such option.
                let _ = rustix::net::sockopt::set_tcp_nodelay(&socket, true);
                epoll::add(&epoll, &socket, EventData::new_u64(next), EventFlags::IN)?;
                connections.insert(next, (socket, Vec::new()));
                next += 1;
                continue;
            }
            let Some((socket, pending)) = connections.get_mut(&id) else { continue };
            match recv(&*socket, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((_, count)) if count > 0 => {
                    let whole = pending.is_empty() && length(&buffer[..count]) == Some(count);
                    if !whole {
                        pending.extend_from_slice(&buffer[..count]);
                        if length(pending) != Some(pending.len()) {
                            continue;
                        }
                        pending.clear();
                    }
                    let _ = send(&*socket, ANSWER, SendFlags::NOSIGNAL);
                }
                _ => drop(connections.remove(&id)),
            }
        }
    }
}

/// The length of the request at the beginning of the bytes, where its head is whole.
fn length(bytes: &[u8]) -> Option<usize> {
    let mut room = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut room);
    let httparse::Status::Complete(length) = head.parse(bytes).ok()? else { return None };
    let told = head.headers.iter().find(|header| header.name == "content-length");
    let body = told.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    Some(length + body.unwrap_or(0))
}
