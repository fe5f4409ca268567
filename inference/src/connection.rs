//! One connection of a gateway: frames out, from any thread; frames in, on the server's.
//!
//! Always true: frames leave whole and in the order in which they were sent; no sender ever waits
//! for a slow reader.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use parking_lot::Mutex;
use rustix::event::epoll::{self, EventData, EventFlags};
use types::ErrorKind;
use types::frame::{self, Frame, FrameError};

/// Most bytes that wait for a slow reader; then the connection is closed.
const OUT_BYTES_MAX: usize = 2 * frame::FRAME_BYTES_MAX;
/// How much is read at once.
const READ_BYTES: usize = 64 << 10;

/// The sending half; shared by both threads.
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
        epoll::add(&epoll, &stream, EventData::new_u64(token), EventFlags::IN)?;
        Ok(Self { token, stream, epoll, out: Mutex::default() })
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
            self.watch(EventFlags::IN);
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
                    self.watch(EventFlags::IN | EventFlags::OUT);
                    return;
                }
                // The other end is gone, or reads too slowly: the server sees the end.
                Ok(_) | Err(_) => return self.shut(out),
            }
        }
    }

    fn watch(&self, flags: EventFlags) {
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

/// The receiving half; the server's alone.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) connection: Arc<Connection>,
    buffer: BytesMut,
}

/// Where bytes land before they are put behind those of the same frame; one for all connections.
#[derive(Debug)]
pub(crate) struct Landing(Vec<u8>);

impl Landing {
    pub(crate) fn new() -> Self {
        Self(vec![0; READ_BYTES])
    }
}

impl Incoming {
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        Self { connection, buffer: BytesMut::new() }
    }

    /// Reads what is there; false at the end of the stream.
    pub(crate) fn read(&mut self, landing: &mut Landing) -> bool {
        match (&self.connection.stream).read(&mut landing.0) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&landing.0[..count]);
                true
            }
            Err(error) => {
                matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
            }
        }
    }

    /// The next whole frame.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Frame)>, FrameError> {
        frame::decode(&mut self.buffer)
    }
}
