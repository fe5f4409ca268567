//! The connections' thread: takes connections, reads frames, keeps the queue and its deadlines.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use bytes::Bytes;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use types::frame::Frame;

use crate::check::check;
use crate::connection::{Connection, Incoming, Landing};
use crate::engine;
use crate::fault::Fault;
use crate::queue::Queue;
use crate::runner;
use crate::task::Task;

/// The listener's number among what is watched; connections count from 1.
const LISTENER: u64 = 0;
/// Most connections; a gateway keeps a few.
const CONNECTIONS_MAX: usize = 256;
/// Events taken at once.
const EVENTS: usize = 64;

/// Why serving ended. Serving does not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A run could not be stopped. Only the end of the process frees its engine.
    Stuck,
}

/// Loads the task's model and answers on this socket.
///
/// # Errors
///
/// What keeps the model from being loaded, or the socket from being used.
pub fn serve(listener: UnixListener, task: &Task) -> Result<Ended, Fault> {
    let engine = engine::load(task)?;
    let queue = Arc::new(Queue::new(engine.description().clone(), task));
    let runners = Arc::clone(&queue);
    std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || runner::run(engine, &runners))
        .map_err(|error| Fault::internal(format!("cannot start the engine's thread: {error}")))?;
    let broken = |error: io::Error| Fault::internal(format!("cannot serve: {error}"));
    Server::new(listener, queue, task.stuck_ms).map_err(broken)?.run().map_err(broken)
}

struct Server {
    listener: UnixListener,
    epoll: Arc<OwnedFd>,
    queue: Arc<Queue>,
    description: Bytes,
    connections: BTreeMap<u64, Incoming>,
    last: u64,
    stuck_us_max: u64,
}

impl Server {
    fn new(listener: UnixListener, queue: Arc<Queue>, stuck_ms_max: u64) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let epoll = Arc::new(epoll::create(CreateFlags::CLOEXEC)?);
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let description = Bytes::from(serde_json::to_vec(queue.model())?);
        Ok(Self {
            listener,
            epoll,
            queue,
            description,
            connections: BTreeMap::new(),
            last: LISTENER,
            stuck_us_max: stuck_ms_max.saturating_mul(1_000),
        })
    }

    fn run(&mut self) -> io::Result<Ended> {
        let mut landing = Landing::new();
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        loop {
            let next_us = self.queue.expire();
            let abandoned_us = self.queue.abandoned_for_us();
            if abandoned_us.is_some_and(|us| us > self.stuck_us_max) {
                return Ok(Ended::Stuck);
            }
            let stuck_us = abandoned_us.map(|us| self.stuck_us_max - us);
            let wait_us = next_us.into_iter().chain(stuck_us).min();
            let wait = wait_us.map(timespec);
            events.clear();
            let buffer = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, buffer, wait.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    token => self.serve(token, event.flags, &mut landing),
                }
            }
        }
    }

    fn accept(&mut self) {
        // Where there is no connection after all, or no room for one, the next event tries again.
        let Ok((stream, _)) = self.listener.accept() else { return };
        if self.connections.len() >= CONNECTIONS_MAX {
            return;
        }
        self.last += 1;
        let connection = Connection::new(stream, self.last, Arc::clone(&self.epoll));
        if let Ok(connection) = connection {
            self.connections.insert(self.last, Incoming::new(Arc::new(connection)));
        }
    }

    fn serve(&mut self, token: u64, flags: EventFlags, landing: &mut Landing) {
        let Some(incoming) = self.connections.get_mut(&token) else { return };
        if flags.contains(EventFlags::OUT) {
            incoming.connection.flush();
        }
        let readable = EventFlags::IN | EventFlags::HUP | EventFlags::ERR;
        if flags.intersects(readable) && !read(incoming, landing, &self.queue, &self.description) {
            incoming.connection.close();
            self.queue.cancel(token, None);
            self.connections.remove(&token);
        }
    }
}

/// Reads and acts on what came; false when the connection is over.
fn read(
    incoming: &mut Incoming,
    landing: &mut Landing,
    queue: &Queue,
    description: &Bytes,
) -> bool {
    if !incoming.read(landing) {
        return false;
    }
    loop {
        match incoming.next() {
            Ok(Some((number, frame))) => {
                if !act(&incoming.connection, number, frame, queue, description) {
                    return false;
                }
            }
            Ok(None) => return true,
            Err(error) => {
                // Nothing after it can be understood.
                let fault = Fault::bad(error.to_string());
                incoming.connection.send(0, &fault.frame());
                return false;
            }
        }
    }
}

fn act(
    connection: &Arc<Connection>,
    number: u64,
    frame: Frame,
    queue: &Queue,
    description: &Bytes,
) -> bool {
    match frame {
        Frame::Infer(infer) => {
            let budget_us = infer.budget_us;
            let pushed = check(infer, queue.model())
                .and_then(|request| queue.push(connection, number, budget_us, request));
            if let Err(fault) = pushed {
                connection.send(number, &fault.frame());
            }
            true
        }
        Frame::Cancel => {
            queue.cancel(connection.token, Some(number));
            true
        }
        Frame::Describe => {
            connection.send(number, &Frame::Description { json: description.clone() });
            true
        }
        // Only a worker sends these.
        Frame::Answer(_) | Frame::Failure { .. } | Frame::Description { .. } => false,
    }
}

/// The kernel waits in whole milliseconds; rounded up, so that it never wakes too early in vain.
fn timespec(us: u64) -> Timespec {
    let ms = us.div_ceil(1_000);
    let (seconds, rest) = (ms / 1_000, ms % 1_000);
    Timespec {
        tv_sec: i64::try_from(seconds).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(rest * 1_000_000).unwrap_or(0),
    }
}
