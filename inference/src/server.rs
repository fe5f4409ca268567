//! The server: connections, their frames, and the threads that take turns.
//!
//! Both threads wait for events, and the kernel wakes one of them for each. That one reads the
//! request and, where the model is free, runs it and writes the answer; the other meanwhile reads
//! what comes next, and keeps deadlines. So a single request never passes from thread to thread.
//! Always true: one thread at a time reads a connection, and one at a time runs the model; events
//! are told once (edge-triggered), so whoever takes one takes all that is there.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use types::frame::Frame;

use crate::check::check;
use crate::connection::{Connection, Landing};
use crate::engine::{self, Engine};
use crate::fault::Fault;
use crate::queue::Queue;
use crate::runner;
use crate::task::Task;

/// Numbers among what is watched; connections count on from them.
const LISTENER: u64 = 0;
const TIMER: u64 = 1;
/// One runs the model, one reads and keeps deadlines; they change places all the time.
const THREADS: [&str; 2] = ["worker-1", "worker-2"];
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
    let broken = |error: io::Error| Fault::internal(format!("cannot serve: {error}"));
    let server = Arc::new(Server::new(listener, engine, task).map_err(broken)?);
    let (tell, told) = mpsc::channel();
    for name in THREADS {
        let (server, tell) = (Arc::clone(&server), tell.clone());
        let serving = move || {
            // Nobody listens any more where the other thread has told its end.
            let _ = tell.send(server.run());
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(serving).map_err(broken)?;
    }
    drop(tell);
    match told.recv() {
        Ok(ended) => ended.map_err(broken),
        Err(_) => Err(Fault::internal("cannot serve: both threads have panicked")),
    }
}

struct Server {
    listener: UnixListener,
    epoll: Arc<OwnedFd>,
    queue: Queue,
    engine: Mutex<Box<dyn Engine>>,
    description: Bytes,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    open: BTreeMap<u64, Arc<Connection>>,
    last: u64,
}

impl Server {
    fn new(listener: UnixListener, engine: Box<dyn Engine>, task: &Task) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let queue = Queue::new(engine.description().clone(), task)?;
        let epoll = Arc::new(epoll::create(CreateFlags::CLOEXEC)?);
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), flags)?;
        epoll::add(&epoll, queue.timer(), EventData::new_u64(TIMER), flags)?;
        let description = Bytes::from(serde_json::to_vec(queue.model())?);
        let connections = Mutex::new(Connections { open: BTreeMap::new(), last: TIMER });
        Ok(Self { listener, epoll, queue, engine: Mutex::new(engine), description, connections })
    }

    /// What each of the threads does.
    fn run(&self) -> io::Result<Ended> {
        let mut landing = Landing::new();
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            let buffer = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, buffer, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    TIMER if self.queue.expire() => return Ok(Ended::Stuck),
                    TIMER => {}
                    token => self.serve(token, event.flags, &mut landing),
                }
            }
            self.work();
        }
    }

    /// Runs the model while something may run, unless the other thread does so already.
    fn work(&self) {
        while let Some(batch) = self.queue.take() {
            runner::run(self.engine.lock().as_mut(), &self.queue, &batch);
            self.queue.finish();
        }
    }

    /// Takes every connection that waits.
    fn accept(&self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let mut connections = self.connections.lock();
            if connections.open.len() >= CONNECTIONS_MAX {
                continue;
            }
            connections.last += 1;
            let token = connections.last;
            // Watched only once it is among the open ones: its first event is told once.
            if let Ok(connection) = Connection::new(stream, token, Arc::clone(&self.epoll)) {
                let connection = Arc::new(connection);
                connections.open.insert(token, Arc::clone(&connection));
                drop(connections);
                if connection.watch().is_err() {
                    self.close(&connection);
                }
            }
        }
    }

    fn serve(&self, token: u64, flags: EventFlags, landing: &mut Landing) {
        let found = self.connections.lock().open.get(&token).map(Arc::clone);
        let Some(connection) = found else { return };
        if flags.contains(EventFlags::OUT) {
            connection.flush();
        }
        let over = EventFlags::HUP | EventFlags::RDHUP | EventFlags::ERR;
        if flags.intersects(EventFlags::IN | over) {
            let act = |number, frame| self.act(&connection, number, frame);
            if !connection.read(landing, flags.intersects(over), act) {
                self.close(&connection);
            }
        }
    }

    fn close(&self, connection: &Connection) {
        connection.close();
        self.queue.cancel(connection.token, None);
        self.connections.lock().open.remove(&connection.token);
    }

    /// Acts on a frame; false when the connection is over.
    fn act(&self, connection: &Arc<Connection>, number: u64, frame: Frame) -> bool {
        match frame {
            Frame::Infer(infer) => {
                let budget_us = infer.budget_us;
                let pushed = check(infer, self.queue.model())
                    .and_then(|request| self.queue.push(connection, number, budget_us, request));
                if let Err(fault) = pushed {
                    connection.send(number, &fault.frame());
                }
                true
            }
            Frame::Cancel => {
                self.queue.cancel(connection.token, Some(number));
                true
            }
            Frame::Describe => {
                connection.send(number, &Frame::Description { json: self.description.clone() });
                true
            }
            // Only a worker sends these.
            Frame::Answer(_) | Frame::Failure { .. } | Frame::Description { .. } => false,
        }
    }
}
