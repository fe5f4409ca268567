//! One connection of a gateway: frames out and frames in, by any thread.
//!
//! Always true: frames leave whole and in the order in which they were sent, and are acted on in
//! the order in which they came; no sender ever waits for a slow reader.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use parking_lot::Mutex;
use rustix::event::epoll::{self, EventData, EventFlags};
use types::ErrorKind;
use types::frame::{self, Frame, FrameError};

use crate::fault::Fault;

/// Most bytes that wait for a slow reader; then the connection is closed.
const OUT_BYTES_MAX: usize = 2 * frame::FRAME_BYTES_MAX;
/// A connection that is read only.
const READING: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ET);

/// What came of a connection and is not a whole frame yet.
pub(crate) type Incoming = BytesMut;

/// A connection; shared by both threads.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Its number among connections.
    pub(crate) token: u64,
    stream: UnixStream,
    epoll: Arc<OwnedFd>,
    out: Mutex<Out>,
}

#[derive(Debug, Default)]
struct Out {
    /// What the socket did not take yet.
    left: BytesMut,
    closed: bool,
}

impl Connection {
    /// Takes over a stream, and watches it.
    pub(crate) fn new(stream: UnixStream, token: u64, epoll: Arc<OwnedFd>) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        epoll::add(&epoll, &stream, EventData::new_u64(token), READING)?;
        Ok(Self { token, stream, epoll, out: Mutex::default() })
    }

    /// Reads all that is there, as much at once as `landing` has room for, and acts on each whole
    /// frame; false when the connection is over.
    ///
    /// `over` says that nothing will follow what is there.
    pub(crate) fn read(
        &self,
        incoming: &mut Incoming,
        landing: &mut [u8],
        over: bool,
        act: impl Fn(u64, Frame) -> bool,
    ) -> bool {
        loop {
            match (&self.stream).read(landing) {
                Ok(0) => return false,
                Ok(count) => {
                    incoming.extend_from_slice(&landing[..count]);
                    if !self.act_on(incoming, &act) {
                        return false;
                    }
                    // Less than there was room for: what comes from here on is told anew.
                    if count < landing.len() && !over {
                        return true;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    fn act_on(&self, incoming: &mut Incoming, act: &impl Fn(u64, Frame) -> bool) -> bool {
        loop {
            match frame::decode(incoming) {
                Ok(Some((number, frame))) => {
                    if !act(number, frame) {
                        return false;
                    }
                }
                Ok(None) => return true,
                Err(error) => {
                    // Nothing after it can be understood.
                    self.send(0, &Fault::bad(error.to_string()).frame());
                    return false;
                }
            }
        }
    }

    /// Sends a frame, or as much as the socket takes now; the rest follows.
    pub(crate) fn send(&self, number: u64, frame: &Frame) {
        let mut out = self.out.lock();
        if out.closed {
            return;
        }
        let first = out.left.is_empty();
        if let Err(error) = frame::encode(number, frame, &mut out.left) {
            let failure = too_large(&error);
            if frame::encode(number, &failure, &mut out.left).is_err() {
                return;
            }
        }
        if first {
            self.write(&mut out);
        }
    }

    /// Goes on sending, once the socket takes more.
    pub(crate) fn flush(&self) {
        let mut out = self.out.lock();
        self.write(&mut out);
        if out.left.is_empty() && !out.closed {
            self.watch_for(READING);
        }
    }

    fn write(&self, out: &mut Out) {
        while !out.left.is_empty() {
            match (&self.stream).write(&out.left) {
                Ok(count) if count > 0 => out.left.advance(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock
                        && out.left.len() <= OUT_BYTES_MAX =>
                {
                    self.watch_for(READING | EventFlags::OUT);
                    return;
                }
                // The other end is gone, or reads too slowly: the server sees the end.
                Ok(_) | Err(_) => return self.shut(out),
            }
        }
    }

    fn watch_for(&self, flags: EventFlags) {
        // Fails only where the server has closed this connection meanwhile.
        let _ = epoll::modify(&self.epoll, &self.stream, EventData::new_u64(self.token), flags);
    }

    fn shut(&self, out: &mut Out) {
        out.closed = true;
        out.left.clear();
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    /// Stops watching and sending.
    pub(crate) fn close(&self) {
        let _ = epoll::delete(&self.epoll, &self.stream);
        self.shut(&mut self.out.lock());
    }
}

fn too_large(error: &FrameError) -> Frame {
    let message = format!("the answer does not fit a frame: {error}");
    Frame::Failure { kind: ErrorKind::TooLarge, message }
}
