//! One connection to an instance, shared by many requests.
//!
//! A request is written by whoever sends it, at once, as far as the socket takes it; only what is
//! left goes to the flusher task. A reader task hands out the answers.
//!
//! States: open, closed. Always true: frames leave whole and in order, also when their sender goes
//! away; a sender that goes away before its answer is followed by a cancel; when the connection
//! closes every request under way is told.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};
use types::ErrorKind;
use types::frame::{self, Answer, Frame, FrameError, Infer};
use workflow::Tasks;

use super::dial::Wire;
use super::wire;
use crate::error::Error;
use crate::settings::Settings;

/// Room made for a read when the frame's length is not known yet.
const READ_BYTES: usize = 64 << 10;
/// Less room than this is not worth a read.
const READ_BYTES_MIN: usize = 4 << 10;
/// Most parts handed to one write (the kernel takes 1,024; a few fill any socket).
const SLICES_MAX: usize = 64;

/// Why a request was not taken. Not a byte of it was sent.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The connection is closed.
    Closed,
    /// Too much waits to be sent already.
    Full,
    /// The request does not fit a frame.
    TooLarge(FrameError),
}

/// A connection. Dropping the last handle closes it.
#[derive(Debug)]
pub(super) struct Connection {
    shared: Arc<Shared>,
}

type Reply = Result<Answer, Error>;

#[derive(Debug)]
struct Shared {
    outbox: Mutex<Outbox>,
    pending: Mutex<Pending>,
    /// Something waits that the socket did not take at once, or the connection closed.
    wake: Notify,
    /// Says to the reader that nobody needs it any more.
    done: Notify,
    /// Nobody will ask any more.
    unused: AtomicBool,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Pending {
    last_number: u64,
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
}

#[derive(Debug)]
struct Outbox {
    parts: VecDeque<Bytes>,
    bytes: usize,
    bytes_max: usize,
    /// The write half of a Unix socket, which can be written without waiting.
    direct: Option<Arc<OwnedWriteHalf>>,
}

/// A request under way; dropping it tells the worker to stop.
#[derive(Debug)]
pub(super) struct Asked {
    shared: Arc<Shared>,
    number: u64,
    reply: oneshot::Receiver<Reply>,
    answered: bool,
}

impl Connection {
    /// Starts the tasks of a new connection.
    pub(super) fn start(wire: Wire, settings: &Settings, tasks: &Tasks) -> Arc<Self> {
        let bytes_max = settings.outbox_bytes_max;
        let shared = match wire {
            Wire::Local(read, write) => {
                let shared = Shared::new(Some(Arc::new(write)), bytes_max);
                tasks.spawn("backend reader", read_all(read, Arc::clone(&shared)));
                tasks.spawn("backend flusher", flush_local(Arc::clone(&shared)));
                shared
            }
            Wire::Remote(read, write) => {
                let shared = Shared::new(None, bytes_max);
                tasks.spawn("backend reader", read_all(read, Arc::clone(&shared)));
                tasks.spawn("backend flusher", flush_remote(write, Arc::clone(&shared)));
                shared
            }
        };
        Arc::new(Self { shared })
    }

    /// Whether it can be used no more.
    pub(super) fn closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// How many requests are under way.
    pub(super) fn pending(&self) -> usize {
        self.shared.pending.lock().waiting.len()
    }

    /// Sends a request.
    pub(super) fn ask(&self, infer: &Infer) -> Result<Asked, Refusal> {
        let (sender, reply) = oneshot::channel();
        let number = {
            let mut pending = self.shared.pending.lock();
            if self.closed() {
                return Err(Refusal::Closed);
            }
            pending.last_number += 1;
            let number = pending.last_number;
            pending.waiting.insert(number, sender);
            number
        };
        let sent = wire::parts(number, infer)
            .map_err(Refusal::TooLarge)
            .and_then(|(parts, bytes)| self.shared.send(parts, bytes));
        if let Err(refusal) = sent {
            self.shared.pending.lock().waiting.remove(&number);
            return Err(refusal);
        }
        let shared = Arc::clone(&self.shared);
        Ok(Asked { shared, number, reply, answered: false })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.unused.store(true, Ordering::Release);
        self.shared.done.notify_one();
    }
}

impl Asked {
    /// Waits for the answer: looks for it for so long, then sleeps.
    ///
    /// # Errors
    ///
    /// What the worker says, or [`Error::Lost`] when the connection closed.
    pub(super) async fn answer(mut self, look_us: u64) -> Result<Answer, Error> {
        let reply = match self.look(look_us).await {
            Some(reply) => reply,
            None => (&mut self.reply).await.unwrap_or(Err(Error::Lost)),
        };
        self.answered = true;
        reply
    }

    async fn look(&mut self, us: u64) -> Option<Reply> {
        let until = Instant::now() + Duration::from_micros(us);
        while us > 0 && Instant::now() < until {
            match self.reply.try_recv() {
                Ok(reply) => return Some(reply),
                Err(TryRecvError::Closed) => return Some(Err(Error::Lost)),
                Err(TryRecvError::Empty) => {}
            }
            // Other processes on this processor go first, and then other tasks: one of them reads
            // the answer.
            std::thread::yield_now();
            tokio::task::yield_now().await;
        }
        None
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let waited = self.shared.pending.lock().waiting.remove(&self.number);
        if waited.is_some() {
            let cancel = wire::cancel(self.number);
            let bytes = cancel.len();
            // A full or closed outbox: the worker then learns it from the end of the connection.
            let _ = self.shared.send(vec![cancel], bytes);
            self.shared.done.notify_one();
        }
    }
}

impl Shared {
    fn new(direct: Option<Arc<OwnedWriteHalf>>, bytes_max: usize) -> Arc<Self> {
        let outbox = Outbox { parts: VecDeque::new(), bytes: 0, bytes_max, direct };
        Arc::new(Self {
            outbox: Mutex::new(outbox),
            pending: Mutex::default(),
            wake: Notify::new(),
            done: Notify::new(),
            unused: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        })
    }

    fn send(&self, parts: Vec<Bytes>, bytes: usize) -> Result<(), Refusal> {
        let mut outbox = self.outbox.lock();
        if self.closed.load(Ordering::Acquire) {
            return Err(Refusal::Closed);
        }
        if outbox.bytes > 0 && outbox.bytes + bytes > outbox.bytes_max {
            return Err(Refusal::Full);
        }
        let ahead = outbox.bytes;
        outbox.parts.extend(parts);
        outbox.bytes += bytes;
        if let Err(error) = outbox.flush() {
            let untouched = outbox.bytes == ahead + bytes;
            drop(outbox);
            self.close(&error);
            return if untouched { Err(Refusal::Closed) } else { Ok(()) };
        }
        if outbox.bytes > 0 {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Closes the connection, and tells everybody who waits.
    fn close(&self, cause: &io::Error) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::debug!(%cause, "connection to an instance closed");
        let waiting = {
            let mut pending = self.pending.lock();
            std::mem::take(&mut pending.waiting)
        };
        drop(waiting);
        let mut outbox = self.outbox.lock();
        outbox.parts.clear();
        outbox.bytes = 0;
        outbox.direct = None;
        drop(outbox);
        self.wake.notify_one();
        self.done.notify_one();
    }

    fn hand_out(&self, number: u64, reply: Reply) {
        // An answer to nobody was overtaken by its cancel.
        if let Some(sender) = self.pending.lock().waiting.remove(&number) {
            let _ = sender.send(reply);
        }
    }
}

impl Outbox {
    /// Writes what the socket takes now.
    fn flush(&mut self) -> io::Result<()> {
        let Some(direct) = &self.direct else { return Ok(()) };
        while self.bytes > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.parts.len().min(SLICES_MAX);
            for (slice, part) in slices.iter_mut().zip(&self.parts) {
                *slice = IoSlice::new(part);
            }
            match direct.try_write_vectored(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => advance(&mut self.parts, &mut self.bytes, written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn advance(parts: &mut VecDeque<Bytes>, bytes: &mut usize, written: usize) {
    *bytes -= written;
    let mut left = written;
    while let Some(first) = parts.front_mut() {
        if left < first.len() {
            first.advance(left);
            return;
        }
        left -= first.len();
        parts.pop_front();
        if left == 0 && *bytes > 0 {
            return;
        }
    }
}

/// Writes what a Unix socket did not take at once, whenever it takes more.
async fn flush_local(shared: Arc<Shared>) {
    loop {
        let waiting = {
            let outbox = shared.outbox.lock();
            outbox.direct.as_ref().filter(|_| outbox.bytes > 0).map(Arc::clone)
        };
        let ready = match waiting {
            Some(half) => tokio::select! {
                ready = half.writable() => ready,
                () = shared.wake.notified() => Ok(()),
            },
            None if shared.closed.load(Ordering::Acquire) => return,
            None => {
                shared.wake.notified().await;
                continue;
            }
        };
        let flushed = ready.and_then(|()| shared.outbox.lock().flush());
        if let Err(error) = flushed {
            shared.close(&error);
        }
    }
}

/// Writes everything over a connection that cannot be written without waiting.
async fn flush_remote(mut half: impl AsyncWrite + Unpin, shared: Arc<Shared>) {
    loop {
        let part = {
            let mut outbox = shared.outbox.lock();
            let part = outbox.parts.pop_front();
            if let Some(part) = &part {
                outbox.bytes -= part.len();
            }
            part
        };
        let written = match part {
            Some(part) => half.write_all(&part).await,
            None if shared.closed.load(Ordering::Acquire) => return,
            None => {
                let flushed = half.flush().await;
                shared.wake.notified().await;
                flushed
            }
        };
        if let Err(error) = written {
            shared.close(&error);
            return;
        }
    }
}

/// Reads answers until the connection ends, or until nobody needs them.
async fn read_all(half: impl AsyncRead + Unpin, shared: Arc<Shared>) {
    let cause = match read_frames(half, &shared).await {
        Ok(()) => io::ErrorKind::UnexpectedEof.into(),
        Err(error) => error,
    };
    shared.close(&cause);
}

async fn read_frames(mut half: impl AsyncRead + Unpin, shared: &Arc<Shared>) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        while let Some((number, frame)) = frame::decode(&mut buffer).map_err(io::Error::other)? {
            shared.hand_out(number, reply(frame)?);
        }
        if shared.unused.load(Ordering::Acquire) && shared.pending.lock().waiting.is_empty() {
            return Ok(());
        }
        if buffer.capacity() - buffer.len() < READ_BYTES_MIN {
            buffer.reserve(READ_BYTES);
        }
        tokio::select! {
            read = half.read_buf(&mut buffer) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            () = shared.done.notified() => {}
        }
    }
}

fn reply(frame: Frame) -> io::Result<Reply> {
    match frame {
        Frame::Answer(answer) => Ok(Ok(answer)),
        Frame::Failure { kind, message } => Ok(Err(failure(kind, message))),
        _ => Err(io::Error::other("the worker sent a frame that only gateways send")),
    }
}

fn failure(kind: ErrorKind, message: String) -> Error {
    match kind {
        ErrorKind::Timeout => Error::Timeout { limit_us: 0 },
        ErrorKind::Busy => Error::Busy { what: "this model" },
        ErrorKind::BadRequest | ErrorKind::TooLarge | ErrorKind::Unavailable => {
            Error::Worker { kind, message }
        }
        _ => Error::Worker { kind: ErrorKind::Internal, message },
    }
}
