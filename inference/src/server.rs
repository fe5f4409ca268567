//! The server: connections, their frames, and what the threads do that take turns.
//!
//! Always true: one thread at a time reads, and one at a time runs the model; events are told once
//! (edge-triggered), so whoever takes one takes all that is there.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use policy::polling::Pace;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use types::frame::Frame;

use crate::check::check;
use crate::connection::{Connection, Incoming};
use crate::engine::{self, Engine};
use crate::fault::Fault;
use crate::queue::{Pending, Queue};
use crate::runner;
use crate::task::Task;
use crate::turns::Turns;

/// Numbers among what is watched; connections count on from them.
const LISTENER: u64 = 0;
const TIMER: u64 = 1;
/// One leads; the other takes its place.
const THREADS: [(&str, bool); 2] = [("worker-1", true), ("worker-2", false)];
/// Most connections; a gateway keeps a few.
const CONNECTIONS_MAX: usize = 256;
/// A wait that is none.
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// Events taken at once.
const EVENTS: usize = 64;
/// How much is read at once.
const READ_BYTES: usize = 64 << 10;

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
    for (name, leads) in THREADS {
        let (server, tell) = (Arc::clone(&server), tell.clone());
        let serving = move || {
            // Nobody listens any more where the other thread has told its end.
            let _ = tell.send(server.run(leads));
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
    turns: Turns,
    /// Whoever leads has it.
    reader: Mutex<Reader>,
    poll_us: u64,
}

/// What reading needs.
struct Reader {
    open: BTreeMap<u64, (Arc<Connection>, Incoming)>,
    /// The number of the latest connection.
    last: u64,
    pace: Pace,
    /// Where bytes land before they are put behind those of the same frame.
    landing: Vec<u8>,
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
        let reader = Reader {
            open: BTreeMap::new(),
            last: TIMER,
            pace: Pace::default(),
            landing: vec![0; READ_BYTES],
        };
        Ok(Self {
            listener,
            epoll,
            queue,
            engine: Mutex::new(engine),
            description,
            turns: Turns::new()?,
            reader: Mutex::new(reader),
            poll_us: task.poll_us,
        })
    }

    /// What each of the threads does.
    fn run(&self, mut leads: bool) -> io::Result<Ended> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            if !leads {
                self.turns.wait_for_lead()?;
                leads = true;
            }
            if let Some(ended) = self.read(&mut self.reader.lock(), &mut events)? {
                return Ok(ended);
            }
            while let Some(batch) = self.queue.take() {
                leads = self.run_batch(&batch, leads);
            }
        }
    }

    /// Runs the model; whether the thread leads afterwards.
    fn run_batch(&self, batch: &[Pending], leads: bool) -> bool {
        if leads {
            self.turns.begin_run();
        }
        runner::run(self.engine.lock().as_mut(), &self.queue, batch);
        let leads = leads && self.turns.end_run();
        self.queue.finish();
        leads
    }

    /// Waits for events, and acts on them.
    fn read(&self, reader: &mut Reader, events: &mut Vec<Event>) -> io::Result<Option<Ended>> {
        self.wait(events, &mut reader.pace)?;
        for event in events.drain(..) {
            match event.data.u64() {
                LISTENER => self.accept(reader),
                TIMER if self.queue.expire() => return Ok(Some(Ended::Stuck)),
                TIMER => {}
                token => self.serve(reader, token, event.flags),
            }
        }
        Ok(None)
    }

    /// Waits for events: looks for them first where that is worth it, and nothing runs.
    fn wait(&self, events: &mut Vec<Event>, pace: &mut Pace) -> io::Result<()> {
        let began = Instant::now();
        let waited_us = || u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let look_us = if self.queue.runs() { 0 } else { pace.look_us(self.poll_us) };
        while waited_us() < look_us {
            poll(&self.epoll, events, Some(&AT_ONCE))?;
            if !events.is_empty() {
                break;
            }
            // Whoever else has something to do on this processor goes first.
            std::thread::yield_now();
        }
        while events.is_empty() {
            poll(&self.epoll, events, None)?;
        }
        *pace = pace.after(waited_us());
        Ok(())
    }

    /// Takes every connection that waits.
    fn accept(&self, reader: &mut Reader) {
        while let Ok((stream, _)) = self.listener.accept() {
            if reader.open.len() >= CONNECTIONS_MAX {
                continue;
            }
            reader.last += 1;
            let token = reader.last;
            if let Ok(connection) = Connection::new(stream, token, Arc::clone(&self.epoll)) {
                reader.open.insert(token, (Arc::new(connection), Incoming::default()));
            }
        }
    }

    fn serve(&self, reader: &mut Reader, token: u64, flags: EventFlags) {
        let Some((connection, incoming)) = reader.open.get_mut(&token) else { return };
        if flags.contains(EventFlags::OUT) {
            connection.flush();
        }
        let over = EventFlags::HUP | EventFlags::RDHUP | EventFlags::ERR;
        if flags.intersects(EventFlags::IN | over) {
            let act = |number, frame| self.act(connection, number, frame);
            let last = flags.intersects(over);
            if !connection.read(incoming, &mut reader.landing, last, act) {
                connection.close();
                self.queue.cancel(token, None);
                reader.open.remove(&token);
            }
        }
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

/// Takes the events that are there, waiting for the first as long as told.
fn poll(epoll: &OwnedFd, events: &mut Vec<Event>, wait: Option<&Timespec>) -> io::Result<()> {
    match epoll::wait(epoll, rustix::buffer::spare_capacity(events), wait) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
