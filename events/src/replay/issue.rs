//! Issue: sends each request when it is due, and does nothing else.
//!
//! A thread of its own sleeps until shortly before a send is due, and then looks at the clock until
//! it is. It writes to connections that are idle, and opens others where there is none.
//!
//! Always true: no send waits for an answer, nor for a connection; deadlines are the schedule's,
//! moved only by a pause, which is disclosed. Absent on purpose: reading.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender};

use bytes::Bytes;
use policy::replay::pace::{self, CatchUp, Step};
use policy::replay::schedule::{Digest, Proof};
use policy::replay::variants;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::error::Error;
use super::flow::{Ahead, Done, Flight, Idle, Issued, Link, Mark, Prepared, Shared};
use super::record::Outcome;
use super::steady;
use super::target::Variant;

/// A connection that was idle for longer is not used again: most servers keep one for 5 s or more.
pub(super) const IDLE_NS_MAX: u64 = 4_000_000_000;
/// How long it sleeps at most before it looks whether it is to stop.
const LOOK_NS: u64 = 20_000_000;
/// Where it only sleeps, sends go together that are due within so long.
const TOGETHER_NS: u64 = 200_000;
/// What one look at the clock takes at most.
const STEP_NS_MAX: u64 = 2_000;
/// How long before the first send all is ready.
const LEAD_NS: u64 = 20_000_000;
/// How often it tells how far it has come: after so many sends or so long.
const MARK_SENDS: u64 = 256;
const MARK_NS: u64 = 100_000_000;
/// Sends that were left out are handed on when there are so many.
const LEFT_OUT_MAX: usize = 256;

/// What is issued, and how.
pub(super) struct Issuing<K> {
    pub(super) shared: Arc<Shared>,
    pub(super) variants: Arc<[Variant]>,
    pub(super) ready: Receiver<Ahead<K>>,
    pub(super) issued: Sender<Issued<K>>,
    pub(super) kept: SyncSender<Vec<Done<K>>>,
    pub(super) catch_up: CatchUp,
    pub(super) under_way_max: usize,
    pub(super) spin_ns: u64,
    pub(super) warm: usize,
    /// Sends that an earlier leg has made.
    pub(super) cursor: u64,
    /// The intended time of the last of them, and when it went, from the start of the run.
    pub(super) last_offset_ns: u64,
    pub(super) until_ns: u64,
}

/// What issuing came to.
#[derive(Debug)]
pub(super) struct Issuance {
    pub(super) proof: Proof,
    /// The last send's intended time, from the start of the run.
    pub(super) last_offset_ns: u64,
    /// Until when it issued, from the start of the run, without gaps.
    pub(super) until_ns: u64,
    pub(super) is_stopped: bool,
    /// It could not go on from where an earlier leg was, since that would send something else.
    pub(super) is_changed: bool,
    pub(super) fault: Option<Error>,
    /// The processors' time that it used, without looking at the clock, and all time that it took.
    pub(super) cpu_ns: u64,
    pub(super) elapsed_ns: u64,
}

/// The thread's own state.
pub(super) struct Issuer<K> {
    issuing: Issuing<K>,
    /// When the run began, by the steady clock, without gaps; times wrap, differences do not.
    origin_ns: u64,
    next_id: u64,
    digest: Digest,
    proof: Proof,
    last_offset_ns: u64,
    last_sent_ns: u64,
    spun_ns: u64,
    left_out: Vec<Done<K>>,
    marked: Mark,
    marked_ns: u64,
}

impl<K> Issuer<K> {
    pub(super) fn new(issuing: Issuing<K>) -> Self {
        let proof = Proof {
            seed: None,
            sends: issuing.cursor,
            events: 0,
            omitted: 0,
            duplicates: 0,
            disordered: 0,
            end: None,
            digest: [0; 32],
        };
        let last_offset_ns = issuing.last_offset_ns;
        Self {
            issuing,
            origin_ns: 0,
            next_id: 0,
            digest: Digest::default(),
            proof,
            last_offset_ns,
            last_sent_ns: 0,
            spun_ns: 0,
            left_out: Vec::new(),
            marked: Mark::default(),
            marked_ns: 0,
        }
    }

    /// Issues until there is no more, or it is stopped.
    pub(super) fn run(mut self) -> Issuance {
        steady::run_in_time();
        for _ in 0..self.issuing.warm {
            for variant in 0..self.issuing.variants.len() {
                // Where it fails now it fails again with a request, which tells of it.
                let _ = self.open(variant, None, Bytes::new());
            }
        }
        let began_ns = steady::now_ns();
        let mut is_begun = false;
        let mut fault = None;
        'all: loop {
            match self.issuing.ready.recv() {
                Ok(Ahead::Begin(digest)) => self.digest = *digest,
                Ok(Ahead::Sends(sends)) => {
                    for mut prepared in sends {
                        if !is_begun {
                            is_begun = true;
                            self.begin(prepared.what.planned.offset_ns);
                        }
                        if !self.send_when_due(&mut prepared) {
                            break 'all;
                        }
                    }
                }
                Ok(Ahead::End(proof)) => {
                    self.proof = *proof;
                    break;
                }
                Ok(Ahead::Failed(error)) => {
                    fault = Some(error);
                    break;
                }
                Err(_) => break,
            }
        }
        self.end(began_ns, is_begun, fault)
    }

    /// Sets when the run began: so that its first send of this leg is due soon.
    fn begin(&mut self, first_offset_ns: u64) {
        let before_ns = if self.issuing.cursor == 0 { 0 } else { first_offset_ns };
        self.origin_ns = (steady::now_ns() + LEAD_NS).wrapping_sub(before_ns);
        *self.issuing.shared.origin_ns.lock() = Some(self.origin_ns);
    }

    fn end(mut self, began_ns: u64, is_begun: bool, fault: Option<Error>) -> Issuance {
        self.hand_on();
        let now_ns = steady::now_ns();
        let is_changed = matches!(fault, Some(Error::Changed { .. }));
        if !is_changed {
            self.mark(now_ns);
        }
        let is_stopped = self.proof.end.is_none();
        let mut until_ns = self.last_sent_ns.wrapping_sub(self.origin_ns);
        if is_stopped {
            until_ns = now_ns.wrapping_sub(self.origin_ns);
        }
        if !is_begun {
            until_ns = self.issuing.until_ns;
        }
        self.issuing.shared.issued_all.store(true, Ordering::Release);
        self.proof.digest = self.digest.bytes();
        Issuance {
            proof: self.proof,
            last_offset_ns: self.last_offset_ns,
            until_ns,
            is_stopped,
            is_changed,
            fault: fault.filter(|_| !is_changed),
            cpu_ns: steady::thread_cpu_ns().saturating_sub(self.spun_ns),
            elapsed_ns: now_ns - began_ns,
        }
    }

    /// Waits until a send is due, and sends it or leaves it out; false where the run is stopped.
    fn send_when_due(&mut self, prepared: &mut Prepared<K>) -> bool {
        let planned = prepared.what.planned;
        let step = loop {
            if self.issuing.shared.is_stopped() {
                return false;
            }
            if *self.issuing.shared.pause.lock() {
                self.stand_still();
                continue;
            }
            let (now_ns, due_ns) = (steady::now_ns(), self.due_ns(planned.offset_ns));
            match pace::decide(now_ns, due_ns, self.issuing.catch_up) {
                Step::Wait { .. } => self.wait(now_ns, due_ns),
                step => break step,
            }
        };
        if let Step::Send { .. } = step {
            self.send(prepared);
        } else {
            for variant in 0..prepared.messages.len() {
                self.leave_out(prepared, variant, Outcome::Skipped);
            }
        }
        self.digest.add(&planned);
        self.proof = prepared.so_far;
        self.last_offset_ns = planned.offset_ns;
        let issued = prepared.what.number + 1;
        self.issuing.shared.issued.store(issued, Ordering::Relaxed);
        if issued >= self.marked.issued + MARK_SENDS {
            self.mark(steady::now_ns());
        }
        true
    }

    fn due_ns(&self, offset_ns: u64) -> u64 {
        self.origin_ns.wrapping_add(offset_ns)
    }

    /// Waits for some time, at most until a send is due.
    fn wait(&mut self, now_ns: u64, due_ns: u64) {
        if now_ns >= self.marked_ns + MARK_NS {
            self.mark(now_ns);
            self.hand_on();
        }
        if self.issuing.spin_ns == 0 {
            // To wake takes a while, and others may have need of the processor.
            let together_ns = due_ns.max(now_ns + TOGETHER_NS);
            steady::sleep_until(together_ns.min(now_ns + LOOK_NS));
            return;
        }
        let spin_from_ns = due_ns - self.issuing.spin_ns.min(due_ns);
        if spin_from_ns > now_ns {
            steady::sleep_until(spin_from_ns.min(now_ns + LOOK_NS));
            return;
        }
        let mut at_ns = now_ns;
        while at_ns < due_ns {
            std::hint::spin_loop();
            let next_ns = steady::now_ns();
            // A longer step is time that others had.
            if next_ns - at_ns < STEP_NS_MAX {
                self.spun_ns += next_ns - at_ns;
            }
            at_ns = next_ns;
        }
    }

    /// Stands still until it is to go on; what was due by then is due as much later.
    fn stand_still(&mut self) {
        self.hand_on();
        let shared = Arc::clone(&self.issuing.shared);
        let from_ns = steady::now_ns();
        let mut pause = shared.pause.lock();
        shared.stands.store(true, Ordering::Relaxed);
        while *pause {
            shared.woken.wait(&mut pause);
        }
        drop(pause);
        shared.stands.store(false, Ordering::Relaxed);
        let gap_ns = steady::now_ns() - from_ns;
        self.origin_ns = self.origin_ns.wrapping_add(gap_ns);
        *shared.origin_ns.lock() = Some(self.origin_ns);
        let mut pauses = shared.pauses.lock();
        pauses.resumed += 1;
        pauses.gap_ns += gap_ns;
    }

    fn send(&mut self, prepared: &mut Prepared<K>) {
        let number = prepared.what.number;
        for variant in variants::order(number, prepared.messages.len()) {
            let under_way = &self.issuing.shared.under_way[variant];
            if under_way.load(Ordering::Acquire) >= self.issuing.under_way_max {
                self.leave_out(prepared, variant, Outcome::Dropped);
                continue;
            }
            under_way.fetch_add(1, Ordering::AcqRel);
            let flight = self.flight(prepared, variant);
            self.last_sent_ns = flight.sent_ns;
            let message = std::mem::take(&mut prepared.messages[variant]);
            match self.idle(variant, flight.sent_ns) {
                Some(idle) => self.write(&idle, flight, message),
                None => {
                    if let Err(error) = self.open(variant, Some(flight), message) {
                        self.issuing.shared.landed(variant);
                        self.leave_out(prepared, variant, of_refusal(&error));
                    }
                }
            }
        }
    }

    fn flight(&self, prepared: &Prepared<K>, variant: usize) -> Flight<K> {
        Flight {
            what: Arc::clone(&prepared.what),
            variant,
            intended_ns: self.due_ns(prepared.what.planned.offset_ns),
            sent_ns: steady::now_ns(),
            first_ns: None,
            bytes_out: prepared.messages[variant].len() as u64,
        }
    }

    /// The connection that was used last, where one may be used.
    fn idle(&self, variant: usize, now_ns: u64) -> Option<Idle> {
        let mut waiting = self.issuing.shared.idle[variant].lock();
        while let Some(idle) = waiting.pop() {
            if !idle.link.ended.load(Ordering::Acquire) {
                if now_ns.saturating_sub(idle.since_ns) < IDLE_NS_MAX {
                    return Some(idle);
                }
                // It and all below it are too old; the receiver closes them.
                waiting.push(idle);
                return None;
            }
        }
        None
    }

    /// Writes to a connection that was idle.
    fn write(&self, idle: &Idle, flight: Flight<K>, message: Bytes) {
        let id = idle.id;
        // First the receiver is told, so that the answer finds the request.
        let tell = |told| _ = self.issuing.issued.send(told);
        tell(Issued::Sent { id, flight });
        match send(&idle.link.socket, &message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(written) if written == message.len() => {}
            Ok(written) => tell(Issued::Rest { id, message: message.slice(written..) }),
            Err(Errno::AGAIN | Errno::INTR) => tell(Issued::Rest { id, message }),
            Err(_) => tell(Issued::Broken { id }),
        }
    }

    /// Opens a connection, on which the receiver then writes.
    fn open(
        &mut self,
        variant: usize,
        flight: Option<Flight<K>>,
        message: Bytes,
    ) -> io::Result<()> {
        let socket = self.issuing.variants[variant].address.connect()?;
        let id = self.next_id;
        self.next_id += 1;
        let link = Arc::new(Link { socket, ended: AtomicBool::new(false) });
        let told = Issued::Opened { id, link: Arc::clone(&link), variant, flight, message };
        let _ = self.issuing.issued.send(told);
        let events = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP;
        let data = epoll::EventData::new_u64(id);
        if epoll::add(&self.issuing.shared.epoll, &link.socket, data, events).is_err() {
            let _ = self.issuing.issued.send(Issued::Broken { id });
        }
        Ok(())
    }

    /// Records that a send was not sent, or found nobody.
    fn leave_out(&mut self, prepared: &Prepared<K>, variant: usize, outcome: Outcome) {
        let flight = self.flight(prepared, variant);
        let now_ns = flight.sent_ns;
        self.left_out.push(Done::of(flight, outcome, now_ns, self.issuing.shared.since_1970));
        if self.left_out.len() >= LEFT_OUT_MAX {
            self.hand_on();
        }
    }

    fn hand_on(&mut self) {
        if !self.left_out.is_empty() {
            let _ = self.issuing.kept.send(std::mem::take(&mut self.left_out));
        }
    }

    /// Tells how far it has come.
    fn mark(&mut self, now_ns: u64) {
        self.marked_ns = now_ns;
        let issued = self.proof.sends;
        if issued != self.marked.issued {
            let took_ns = self.last_offset_ns;
            self.marked = Mark { issued, digest: self.digest.bytes(), took_ns };
            *self.issuing.shared.mark.lock() = self.marked;
        }
    }
}

/// What it means that no connection could be opened: it is our own where there is no room for one.
fn of_refusal(error: &io::Error) -> Outcome {
    let no_room = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
    match Errno::from_io_error(error) {
        Some(errno) if no_room.contains(&errno) => Outcome::Dropped,
        _ => Outcome::Refused,
    }
}
