//! Ahead: makes the requests of sends before they are due, so that reading and writing them holds
//! nothing up.
//!
//! Always true: no more is made ahead than [`SENDS_MAX`] and some bytes; what comes with an event is
//! held while a copy of it may be sent, and no longer.
//! Absent on purpose: clocks.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use policy::replay::schedule::{Digest, Schedule, Settings};
use policy::replay::{Event, Planned};

use super::error::Error;
use super::flow::{Ahead, Prepared, Shared, What};
use super::steady;
use super::target::Variant;
use super::traffic::{Sending, Traffic};

/// Most batches that are ready: 4,096 sends with those of one batch.
pub(super) const BATCHES_MAX: usize = 15;
/// Most sends of a batch.
const SENDS_MAX: usize = 256;
/// A batch with so many bytes is full.
const BATCH_BYTES: usize = 1 << 20;
/// Most names of regions and groups that are kept once for all their events.
const NAMES_MAX: usize = 4_096;

/// Why events could not be read.
pub(super) type Fault = Box<dyn std::error::Error + Send + Sync>;

/// What is to be made, and from where on.
pub(super) struct Making<T: Traffic> {
    pub(super) run: Arc<str>,
    pub(super) folder: PathBuf,
    pub(super) variants: Arc<[Variant]>,
    pub(super) settings: Settings,
    pub(super) traffic: T,
    /// Sends before this one were made by an earlier leg.
    pub(super) cursor: u64,
    /// The digest that an earlier leg had after so many sends.
    pub(super) known: Option<(u64, [u8; 32])>,
    pub(super) shared: Arc<Shared>,
    pub(super) ready: SyncSender<Ahead<T::Kept>>,
}

/// The event that may still be sent, and the one that was read after it.
struct Held<P> {
    earlier: Option<(u64, P)>,
    latest: Option<(u64, P)>,
    fault: Option<Fault>,
}

/// Gives events to the schedule, and holds what comes with them.
struct Feed<I, P> {
    events: I,
    held: Rc<RefCell<Held<P>>>,
}

impl<I: Iterator<Item = Result<(Event, P), Fault>>, P> Iterator for Feed<I, P> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let mut held = self.held.borrow_mut();
        match self.events.next()? {
            Ok((event, payload)) => {
                // A schedule never looks further than one event beyond the one that it sends.
                held.earlier = held.latest.replace((event.sequence, payload));
                Some(event)
            }
            Err(fault) => {
                held.fault = Some(fault);
                None
            }
        }
    }
}

/// Makes all sends, until they end or nobody wants them; the processors' time that it took.
pub(super) fn run<T: Traffic>(
    making: Making<T>,
    events: impl Iterator<Item = Result<(Event, T::Payload), Fault>>,
) -> u64 {
    steady::stand_back();
    let ready = making.ready.clone();
    let maker = Maker { making, names: HashSet::new() };
    if let Err(error) = maker.run(events) {
        // Who does not listen any more has ended the run.
        let _ = ready.send(Ahead::Failed(error));
    }
    steady::thread_cpu_ns()
}

struct Maker<T: Traffic> {
    making: Making<T>,
    names: HashSet<Arc<str>>,
}

impl<T: Traffic> Maker<T> {
    fn run(
        mut self,
        events: impl Iterator<Item = Result<(Event, T::Payload), Fault>>,
    ) -> Result<(), Error> {
        let held = Rc::new(RefCell::new(Held { earlier: None, latest: None, fault: None }));
        let feed = Feed { events, held: Rc::clone(&held) };
        let mut schedule = Schedule::new(feed, &self.making.settings)?;
        let digest = self.skip(&mut schedule)?;
        if self.making.ready.send(Ahead::Begin(Box::new(digest))).is_err() {
            return Ok(());
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(planned) = schedule.next() {
            let number = schedule.so_far().sends - 1;
            let (what, messages) = self.prepare(number, planned, &held.borrow())?;
            bytes += messages.iter().map(bytes::Bytes::len).sum::<usize>();
            batch.push(Prepared { what: Arc::new(what), messages, so_far: *schedule.so_far() });
            let full = batch.len() >= SENDS_MAX || bytes >= BATCH_BYTES;
            if full && !self.give(&mut batch, &mut bytes) {
                return Ok(());
            }
        }
        self.give(&mut batch, &mut bytes);
        if let Some(fault) = held.borrow_mut().fault.take() {
            return Err(Error::Events(fault));
        }
        let _ = self.making.ready.send(Ahead::End(Box::new(schedule.proof())));
        Ok(())
    }

    /// Goes on to where an earlier leg has ended; the digest of what is before.
    fn skip(&self, schedule: &mut Schedule<impl Iterator<Item = Event>>) -> Result<Digest, Error> {
        let mut digest = Digest::default();
        let changed =
            || Error::Changed { folder: self.making.folder.clone(), what: "schedule or events" };
        for number in 1..=self.making.cursor {
            digest.add(&schedule.next().ok_or_else(changed)?);
            if self.making.known.is_some_and(|(at, known)| at == number && known != digest.bytes())
            {
                return Err(changed());
            }
        }
        Ok(digest)
    }

    /// The send, and its message for each variant.
    fn prepare(
        &mut self,
        number: u64,
        planned: Planned,
        held: &Held<T::Payload>,
    ) -> Result<(What<T::Kept>, Vec<bytes::Bytes>), Error> {
        let is_it = |held: &&(u64, T::Payload)| held.0 == planned.sequence;
        let payload = held.earlier.as_ref().filter(is_it);
        let payload = payload.or_else(|| held.latest.as_ref().filter(is_it));
        let Some((_, payload)) = payload else { return Err(Error::Broken { part: "making" }) };
        let Making { run, variants, traffic, .. } = &mut self.making;
        let mut messages = Vec::with_capacity(variants.len());
        for (variant, target) in variants.iter().enumerate() {
            let sending = Sending { run, number, planned, variant, target, payload };
            messages.push(traffic.request(&sending).encode(target));
        }
        let (kept, happened_ns) = (traffic.keep(payload), traffic.happened(payload));
        let (region, group) = self.making.traffic.place(payload);
        let (region, group) = (named(&mut self.names, region), named(&mut self.names, group));
        Ok((What { number, planned, region, group, happened_ns, kept }, messages))
    }

    /// Hands a batch on; whether more is wanted.
    fn give(&self, batch: &mut Vec<Prepared<T::Kept>>, bytes: &mut usize) -> bool {
        *bytes = 0;
        let sends = std::mem::take(batch);
        sends.is_empty()
            || !self.making.shared.is_stopped()
                && self.making.ready.send(Ahead::Sends(sends)).is_ok()
    }
}

/// A name, once for all who have it.
fn named(names: &mut HashSet<Arc<str>>, name: &str) -> Arc<str> {
    if let Some(known) = names.get(name) {
        return Arc::clone(known);
    }
    let new: Arc<str> = name.into();
    if names.len() < NAMES_MAX {
        names.insert(Arc::clone(&new));
    }
    new
}
