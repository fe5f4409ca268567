//! Receive: reads answers as they come, and tells what became of each request.
//!
//! A thread of its own waits for all connections at once. Each is, as seen from here, connecting,
//! busy with one request, or idle; it is closed where anything about it is not as it should be.
//!
//! Always true: a request that is told of has one outcome, at the latest when its time is over; the
//! time of an answer is when the kernel said that it is there, not when its turn came.
//! Absent on purpose: trying again: nobody knows what an unanswered request has done.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};

use bytes::{Buf as _, Bytes};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};

use super::answer::{Answer, Rules};
use super::flow::{Done, Flight, Idle, Issued, Link, Shared};
use super::issue::IDLE_NS_MAX;
use super::record::{Outcome, Took};
use super::steady;

/// Most connections that are looked at in one turn.
const EVENTS_MAX: usize = 512;
/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;
/// How often it looks what is overdue.
const TICK_NS: u64 = 10_000_000;
/// What is done is handed on when there is so much of it, or a turn after so long.
const DONE_MAX: usize = 256;
const DONE_BYTES_MAX: usize = 1 << 20;
const DONE_NS_MAX: u64 = 5_000_000;
/// Most batches of what is done that wait to be kept: with full bodies, some 32 MiB.
pub(super) const BATCHES_MAX: usize = 32;

/// What is received, and by which rules.
pub(super) struct Receiving<K> {
    pub(super) shared: Arc<Shared>,
    pub(super) issued: Receiver<Issued<K>>,
    pub(super) kept: SyncSender<Vec<Done<K>>>,
    pub(super) rules: Rules,
    pub(super) timeout_ns: u64,
}

/// A connection, as it is seen from here.
struct Connection<K> {
    link: Arc<Link>,
    variant: usize,
    is_connected: bool,
    flight: Option<Flight<K>>,
    answer: Answer,
    /// What is still to be written.
    message: Bytes,
}

/// What is to become of a connection.
enum Next {
    Stay,
    Close(Outcome),
}

/// The thread's own state.
pub(super) struct Answers<K> {
    receiving: Receiving<K>,
    connections: HashMap<u64, Connection<K>>,
    buffer: Vec<u8>,
    done: Vec<Done<K>>,
    done_bytes: usize,
    handed_on_ns: u64,
    swept_ns: u64,
}

impl<K> Answers<K> {
    pub(super) fn new(receiving: Receiving<K>) -> Self {
        Self {
            receiving,
            connections: HashMap::new(),
            buffer: vec![0; READ_BYTES],
            done: Vec::new(),
            done_bytes: 0,
            handed_on_ns: 0,
            swept_ns: 0,
        }
    }

    /// Receives until all is issued and nothing is under way; the processors' time that it took.
    pub(super) fn run(mut self) -> u64 {
        steady::run_in_time();
        let tick = steady::timespec(TICK_NS);
        let mut events = Vec::with_capacity(EVENTS_MAX);
        loop {
            // This must be asked first: what is issued before it is told below.
            let issued_all = self.receiving.shared.issued_all.load(Ordering::Acquire);
            events.clear();
            // Interrupted or not, what is there is looked at.
            let room = spare_capacity(&mut events);
            let _ = epoll::wait(&self.receiving.shared.epoll, room, Some(&tick));
            let now_ns = steady::now_ns();
            while let Ok(issued) = self.receiving.issued.try_recv() {
                self.learn(issued, now_ns);
            }
            for event in &events {
                self.look_at(event.data.u64(), event.flags, now_ns);
            }
            if now_ns >= self.swept_ns + TICK_NS {
                self.sweep(now_ns);
            }
            if now_ns >= self.handed_on_ns + DONE_NS_MAX {
                self.hand_on(now_ns);
            }
            if issued_all && self.connections.values().all(|one| one.flight.is_none()) {
                self.hand_on(now_ns);
                return steady::thread_cpu_ns();
            }
        }
    }

    fn learn(&mut self, issued: Issued<K>, now_ns: u64) {
        match issued {
            Issued::Opened { id, link, variant, flight, message } => {
                let (is_connected, answer) = (false, Answer::default());
                let opened = Connection { link, variant, is_connected, flight, answer, message };
                self.connections.insert(id, opened);
            }
            Issued::Sent { id, flight } => match self.connections.get_mut(&id) {
                Some(connection) => connection.flight = Some(flight),
                // It had ended before the request was written.
                None => self.finish(flight, Outcome::Reset, now_ns, None),
            },
            Issued::Rest { id, message } => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.message = message;
                    let all = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP;
                    self.listen(id, all);
                }
            }
            Issued::Broken { id } => self.close(id, Outcome::Reset, now_ns),
        }
    }

    fn look_at(&mut self, id: u64, flags: EventFlags, now_ns: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mut next = Next::Stay;
        if !connection.is_connected {
            match sockopt::socket_error(&connection.link.socket) {
                Ok(Ok(())) if flags.contains(EventFlags::OUT) => connection.is_connected = true,
                Ok(Ok(())) if !flags.intersects(EventFlags::ERR | EventFlags::HUP) => return,
                _ => next = Next::Close(Outcome::Refused),
            }
        }
        // An answer may come before the end of its request, and must be read before writing fails.
        let readable = EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        if matches!(next, Next::Stay) && flags.intersects(readable) {
            next = self.read(id, now_ns);
        }
        if matches!(next, Next::Stay) && flags.contains(EventFlags::OUT) {
            next = self.write(id, now_ns);
        }
        if let Next::Close(outcome) = next {
            self.close(id, outcome, now_ns);
        }
    }

    /// Writes what is left of a message; where nothing is, only answers are waited for.
    fn write(&mut self, id: u64, now_ns: u64) -> Next {
        let Some(connection) = self.connections.get_mut(&id) else { return Next::Stay };
        while !connection.message.is_empty() {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match send(&connection.link.socket, &connection.message, flags) {
                Ok(written) => connection.message.advance(written),
                Err(Errno::AGAIN | Errno::INTR) => return Next::Stay,
                Err(_) => return Next::Close(Outcome::Reset),
            }
        }
        let (link, variant) = (Arc::clone(&connection.link), connection.variant);
        let is_idle = connection.flight.is_none();
        self.listen(id, EventFlags::IN | EventFlags::RDHUP);
        if is_idle {
            self.rest(id, link, variant, now_ns);
        }
        Next::Stay
    }

    fn read(&mut self, id: u64, now_ns: u64) -> Next {
        let Some(connection) = self.connections.get_mut(&id) else { return Next::Stay };
        let socket = &connection.link.socket;
        let count = match recv(socket, &mut *self.buffer, RecvFlags::DONTWAIT) {
            Ok((_, count)) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Next::Stay,
            Err(_) => return Next::Close(Outcome::Reset),
        };
        let Some(flight) = &mut connection.flight else {
            // It has ended, or says what nobody asked.
            return Next::Close(Outcome::Reset);
        };
        if count == 0 {
            let is_whole = connection.answer.end();
            return Next::Close(if is_whole { Outcome::Ok } else { Outcome::Reset });
        }
        flight.first_ns.get_or_insert(now_ns.max(flight.sent_ns));
        let answer = &mut connection.answer;
        let Ok(taken) = answer.feed(&self.buffer[..count], &self.receiving.rules) else {
            return Next::Close(Outcome::Invalid);
        };
        if !answer.is_whole() {
            return Next::Stay;
        }
        if taken < count || !answer.stays || !connection.message.is_empty() {
            return Next::Close(Outcome::Ok);
        }
        let answer = std::mem::take(answer);
        let (link, variant) = (Arc::clone(&connection.link), connection.variant);
        if let Some(flight) = connection.flight.take() {
            // It is idle before there is room for another one, which then needs no new one.
            self.rest(id, link, variant, now_ns);
            self.finish(flight, Outcome::Ok, now_ns, Some(answer));
        }
        Next::Stay
    }

    /// A connection waits for a request.
    fn rest(&self, id: u64, link: Arc<Link>, variant: usize, since_ns: u64) {
        self.receiving.shared.idle[variant].lock().push(Idle { id, link, since_ns });
    }

    fn listen(&self, id: u64, flags: EventFlags) {
        if let Some(connection) = self.connections.get(&id) {
            let data = epoll::EventData::new_u64(id);
            let socket = &connection.link.socket;
            // It was added before, and what fails here is overdue in time.
            let _ = epoll::modify(&self.receiving.shared.epoll, socket, data, flags);
        }
    }

    /// Closes a connection; what was under way on it has this outcome, or that of its whole answer.
    fn close(&mut self, id: u64, outcome: Outcome, now_ns: u64) {
        let Some(connection) = self.connections.remove(&id) else { return };
        connection.link.ended.store(true, Ordering::Release);
        // Whoever has just taken it keeps the socket open, so it is taken out by hand.
        let _ = epoll::delete(&self.receiving.shared.epoll, &connection.link.socket);
        if let Some(flight) = connection.flight {
            self.finish(flight, outcome, now_ns, Some(connection.answer));
        }
    }

    fn finish(&mut self, flight: Flight<K>, outcome: Outcome, now_ns: u64, answer: Option<Answer>) {
        let answer = answer.unwrap_or_default();
        let outcome = match outcome {
            Outcome::Ok => Outcome::of_status(answer.status),
            other => other,
        };
        let variant = flight.variant;
        let mut done = Done::of(flight, outcome, now_ns, self.receiving.shared.since_1970);
        done.record.bytes_in = answer.bytes;
        done.record.status = outcome.is_answered().then_some(answer.status);
        done.record.service_us = answer.service_us.filter(|_| outcome.is_answered());
        done.record.took = if outcome.is_answered() { answer.took } else { Took::default() };
        done.is_all = answer.is_whole() && answer.body_bytes == answer.body.len() as u64;
        done.body = answer.body;
        self.receiving.shared.landed(variant);
        self.done_bytes += done.body.len();
        self.done.push(done);
        if self.done.len() >= DONE_MAX || self.done_bytes >= DONE_BYTES_MAX {
            self.hand_on(now_ns);
        }
    }

    /// Ends what is overdue, and what was idle for too long.
    fn sweep(&mut self, now_ns: u64) {
        self.swept_ns = now_ns;
        let timeout_ns = self.receiving.timeout_ns;
        let is_overdue = |flight: &Flight<K>| now_ns.saturating_sub(flight.sent_ns) >= timeout_ns;
        let overdue: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.flight.as_ref().is_some_and(is_overdue))
            .map(|(id, _)| *id)
            .collect();
        for id in overdue {
            self.close(id, Outcome::Timeout, now_ns);
        }
        let mut old = Vec::new();
        for idle in &self.receiving.shared.idle {
            let mut idle = idle.lock();
            // Those that have waited longest are first, as the last one is always taken.
            let since = |one: &Idle| now_ns.saturating_sub(one.since_ns) >= IDLE_NS_MAX;
            let fresh = idle.iter().position(|one| !since(one)).unwrap_or(idle.len());
            old.extend(idle.drain(..fresh).map(|one| one.id));
        }
        for id in old {
            self.close(id, Outcome::Reset, now_ns);
        }
    }

    /// Hands on what is done.
    fn hand_on(&mut self, now_ns: u64) {
        self.handed_on_ns = now_ns;
        if self.done.is_empty() {
            return;
        }
        self.done_bytes = 0;
        let done = std::mem::take(&mut self.done);
        if let Err(TrySendError::Full(done)) = self.receiving.kept.try_send(done) {
            self.receiving.shared.waits.fetch_add(1, Ordering::Relaxed);
            // Whoever keeps them goes on until the end, and only a fault of ours ends it before.
            let _ = self.receiving.kept.send(done);
        }
    }
}
