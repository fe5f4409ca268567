//! Flow: what the threads of a run hand to each other, and what they share.
//!
//! Always true: a connection is used by one request at a time; who takes it from the idle ones tells
//! the receiver so before a byte is written, and so an answer always finds its request.
//! Absent on purpose: what is done with any of it.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use policy::replay::Planned;
use policy::replay::schedule::{Digest, Proof};

use super::cells::{Cell, Cells};
use super::error::Error;
use super::record::{Outcome, Record, Took};

/// What is known of a send, whatever variant it goes to.
#[derive(Debug)]
pub(super) struct What<K> {
    pub(super) number: u64,
    pub(super) planned: Planned,
    pub(super) region: Arc<str>,
    pub(super) group: Arc<str>,
    pub(super) happened_ns: Option<u64>,
    pub(super) kept: K,
}

/// A send that is ready, with its message for each variant.
#[derive(Debug)]
pub(super) struct Prepared<K> {
    pub(super) what: Arc<What<K>>,
    pub(super) messages: Vec<Bytes>,
    /// The schedule's counts just after it.
    pub(super) so_far: Proof,
}

/// What comes from [`super::ahead`].
#[derive(Debug)]
pub(super) enum Ahead<K> {
    /// Sends before the first are left to an earlier leg, which had this digest.
    Begin(Box<Digest>),
    Sends(Vec<Prepared<K>>),
    /// There are no more.
    End(Box<Proof>),
    Failed(Error),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) socket: OwnedFd,
    /// It has ended, and must not be used.
    pub(super) ended: AtomicBool,
}

/// A connection that waits for a request.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) id: u64,
    pub(super) link: Arc<Link>,
    pub(super) since_ns: u64,
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Flight<K> {
    pub(super) what: Arc<What<K>>,
    pub(super) variant: usize,
    pub(super) intended_ns: u64,
    pub(super) sent_ns: u64,
    pub(super) first_ns: Option<u64>,
    pub(super) bytes_out: u64,
}

/// What [`super::issue`] tells [`super::receive`].
#[derive(Debug)]
pub(super) enum Issued<K> {
    /// A new connection, and what is to be written on it.
    Opened { id: u64, link: Arc<Link>, variant: usize, flight: Option<Flight<K>>, message: Bytes },
    /// A request on a connection that was idle.
    Sent { id: u64, flight: Flight<K> },
    /// The rest of its message, which the connection had no room for.
    Rest { id: u64, message: Bytes },
    /// The connection could not be written.
    Broken { id: u64 },
}

/// What became of a send, before it is judged.
#[derive(Debug)]
pub(super) struct Done<K> {
    pub(super) what: Arc<What<K>>,
    pub(super) record: Record,
    pub(super) body: Vec<u8>,
    pub(super) is_all: bool,
}

impl<K> Done<K> {
    /// That a send had this outcome, without an answer; times are those of the steady clock.
    pub(super) fn of(flight: Flight<K>, outcome: Outcome, done_ns: u64, since_1970: u64) -> Self {
        let Flight { what, variant, intended_ns, sent_ns, first_ns, bytes_out } = flight;
        let unix = |ns: u64| ns.wrapping_add(since_1970);
        let is_sent = outcome.is_sent();
        let record = Record {
            number: what.number,
            sequence: what.planned.sequence,
            copy: what.planned.copy,
            variant: u16::try_from(variant).unwrap_or(u16::MAX),
            stratum: what.planned.stratum,
            region: Arc::clone(&what.region),
            group: Arc::clone(&what.group),
            happened_ns: what.happened_ns,
            offset_ns: what.planned.offset_ns,
            intended_ns: unix(intended_ns),
            sent_ns: is_sent.then(|| unix(sent_ns)),
            first_ns: first_ns.filter(|_| is_sent).map(unix),
            done_ns: unix(done_ns.max(sent_ns)),
            service_us: None,
            took: Took::default(),
            status: None,
            outcome,
            bytes_out: if is_sent { bytes_out } else { 0 },
            bytes_in: 0,
            answer_crc: None,
            score: None,
            class: None,
            label: None,
            right: None,
        };
        Self { what, record, body: Vec::new(), is_all: false }
    }
}

/// What was measured so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// Of each variant.
    pub(super) totals: Vec<Cell>,
    pub(super) cells: Cells,
}

impl Measured {
    pub(super) fn add(&mut self, record: &Record) {
        if let Some(total) = self.totals.get_mut(usize::from(record.variant)) {
            total.add(record);
        }
        self.cells.add(record);
    }
}

/// Up to where sends were decided about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    pub(super) issued: u64,
    pub(super) digest: [u8; 32],
    /// The time that they took, without gaps.
    pub(super) took_ns: u64,
}

/// Pauses of this leg.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pauses {
    pub(super) resumed: u32,
    pub(super) gap_ns: u64,
}

/// What all threads of a run see.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) epoll: OwnedFd,
    pub(super) stop: AtomicBool,
    /// Whether it is to stand still, and what wakes it.
    pub(super) pause: Mutex<bool>,
    pub(super) stands: AtomicBool,
    pub(super) woken: Condvar,
    /// Nothing more will be issued.
    pub(super) issued_all: AtomicBool,
    /// Sends that were decided about, those of earlier legs too.
    pub(super) issued: AtomicU64,
    pub(super) under_way: Vec<AtomicUsize>,
    pub(super) idle: Vec<Mutex<Vec<Idle>>>,
    /// When the run began, by the steady clock, without gaps; none before its first send.
    pub(super) origin_ns: Mutex<Option<u64>>,
    pub(super) mark: Mutex<Mark>,
    pub(super) pauses: Mutex<Pauses>,
    pub(super) measured: Mutex<Measured>,
    /// How often answers had to wait for those who keep them.
    pub(super) waits: AtomicU64,
    /// What is added to the steady clock for the time since 1970, in nanoseconds.
    pub(super) since_1970: u64,
}

impl Shared {
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the issuing, also of a run that stands still.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        *self.pause.lock() = false;
        self.woken.notify_all();
    }

    /// A request is not under way any more.
    pub(super) fn landed(&self, variant: usize) {
        self.under_way[variant].fetch_sub(1, Ordering::Release);
    }
}
