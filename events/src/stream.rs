//! A stream: many callers append to one log, and one write to the disk is for all who wait; what the
//! log has is sealed into segments by and by.
//!
//! Always true: an answer comes after the disk has said that the events are safe; the events of one
//! call are kept together or not at all; one that comes again within the window is acknowledged and
//! not stored again; what waits is bounded, and whoever appends more waits for room.
//! Absent on purpose: a time to wait for company. While one group is written the next one gathers.

mod hold;
mod sealing;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use policy::segments::Retention;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use workflow::{Clock, Tasks};

use crate::dedupe::Dedupe;
use crate::error::Error;
use crate::event::Event;
use crate::frame::{self, FRAME_BYTES_MAX};
use crate::key::Folder;
use crate::labels::Labels;
use crate::log::{GROUP_BYTES_MAX, Log, Reader};
use crate::segment::{Forgotten, Segment, Segments};
use hold::Hold;

/// Most bytes of events that wait for the disk, of one stream: some seconds of a slow one.
pub const WAITING_BYTES_MAX: usize = 32 << 20;
/// Most calls that wait for the disk.
const CALLS_MAX: usize = 4_096;
/// For how long events are known again, by default: a day, in which most senders try again.
pub const DEDUPE_WINDOW_MS: u64 = 24 * 3_600_000;

/// How a stream is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For how long an event that comes again is known, in milliseconds.
    pub dedupe_window_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { dedupe_window_ms: DEDUPE_WINDOW_MS }
    }
}

/// What became of a call's events. All of them are safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The number of the first that was stored; none where all were known.
    pub first: Option<u64>,
    /// How many were stored.
    pub stored: u64,
    /// How many were known already.
    pub known: u64,
}

/// A stream on this host, which is open once. Cheap to clone; clones are the same stream.
#[derive(Clone, Debug)]
pub struct Stream {
    pub(crate) shared: Arc<Shared>,
    asks: mpsc::Sender<Ask>,
    room: Arc<Semaphore>,
    committed: watch::Receiver<u64>,
}

/// What the clones of a stream share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) folder: Folder,
    pub(crate) segments: Segments,
    pub(crate) labels: Labels,
    pub(crate) clock: Clock,
    /// For how long events are known again, in microseconds.
    window_us: Arc<AtomicU64>,
    /// Until nobody changes anything in the folder.
    _hold: Arc<Hold>,
}

/// What the writer is asked for.
enum Ask {
    Append(Call),
    /// The next file of the log.
    Roll(oneshot::Sender<Result<(), Error>>),
}

/// A call that waits for its group.
struct Call {
    events: Vec<Event>,
    bytes: usize,
    done: oneshot::Sender<Result<Appended, Error>>,
    _room: OwnedSemaphorePermit,
}

impl Stream {
    /// Opens the stream in this folder, or begins one, and finishes what was begun when it was last
    /// left. While it is open, what the log has is sealed by and by. With a key all that it keeps is
    /// encrypted, which it is from its beginning or never.
    ///
    /// # Errors
    ///
    /// As [`Log::open`]; [`Error::Manifest`] and [`Error::Parquet`] where segments cannot be read;
    /// [`Error::Held`] where it is open already.
    pub async fn open(
        folder: impl Into<Folder>,
        settings: Settings,
        clock: Clock,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        let window_us = settings.dedupe_window_ms.saturating_mul(1_000);
        let since_us = clock.now_us().saturating_sub(window_us);
        let (place, timer) = (folder.into(), clock.clone());
        let opening = move || {
            let hold = Arc::new(Hold::take(&place.path)?);
            let segments = Segments::open(&place)?;
            let mut dedupe = Dedupe::new(window_us);
            segments.identities(since_us, |identity, at_us| dedupe.remember(identity, at_us))?;
            let sealed_until = segments.current().sealed_until;
            let log = Log::open(place.clone(), since_us, |stored| {
                if stored.sequence >= sealed_until {
                    dedupe.remember(stored.event.identity(), stored.accepted_us);
                }
            })?;
            let committed = watch::Sender::new(log.next());
            let begun = watch::Sender::new(log.begun());
            let (labels, clock) = (Labels::new(place.clone()), timer.clone());
            let window_us = Arc::new(AtomicU64::new(window_us));
            let shared = Arc::new(Shared {
                window_us: Arc::clone(&window_us),
                folder: place,
                segments,
                labels,
                clock,
                _hold: Arc::clone(&hold),
            });
            Ok((
                shared,
                Writer { log, dedupe, window_us, clock: timer, committed, begun, _hold: hold },
            ))
        };
        let (shared, writer) = blocking(opening).await?;
        let (asks, waiting) = mpsc::channel(CALLS_MAX);
        let (committed, begun) = (writer.committed.subscribe(), writer.begun.subscribe());
        tasks.spawn("stream", run(writer, waiting));
        let keeper = sealing::Keeper::new(&shared, asks.downgrade(), begun);
        tasks.spawn("sealing", keeper.run(clock, tasks.stopping()));
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        Ok(Self { shared, asks, room, committed })
    }

    /// Appends events, and returns once they are safe. Waits for room where much waits already.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where one of them is no event or they are too many, [`Error::NotKept`]
    /// where the disk refused: none of them is kept then. [`Error::Closed`]: some may be, and to
    /// append them again does no harm.
    pub async fn append(&self, events: Vec<Event>) -> Result<Appended, Error> {
        let bytes = check(&events)?;
        let wanted = u32::try_from(bytes).map_err(|_| Error::Closed)?;
        let room = Arc::clone(&self.room).acquire_many_owned(wanted).await;
        let room = room.map_err(|_| Error::Closed)?;
        let (done, answer) = oneshot::channel();
        let call = Call { events, bytes, done, _room: room };
        self.asks.send(Ask::Append(call)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Keeps it so from now on.
    pub fn keep(&self, settings: Settings) {
        let window_us = settings.dedupe_window_ms.saturating_mul(1_000);
        self.shared.window_us.store(window_us, Ordering::Relaxed);
    }

    /// The number below which every event is safe; changes as events come.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }

    /// The number below which every event is in a segment, or was removed; changes as they are sealed.
    pub fn sealed(&self) -> watch::Receiver<u64> {
        self.shared.segments.sealed()
    }

    /// Reads from the event with this number on.
    pub fn reader(&self, from: u64) -> Reader {
        Reader::new(self.shared.folder.clone(), from)
    }

    /// Whether all that it keeps is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.shared.folder.key.is_some()
    }

    /// The segments that there are now.
    pub fn segments(&self) -> Vec<Segment> {
        let current = self.shared.segments.current();
        current.held.iter().map(|held| held.segment.clone()).collect()
    }

    /// Seals all that is safe now, and returns once it is in segments; gives the number of the first
    /// event that is not.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Parquet`], [`Error::Damaged`]; what is not sealed is in the log still.
    /// [`Error::Closed`].
    pub async fn seal(&self) -> Result<u64, Error> {
        roll(&self.asks).await?;
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            shared.segments.seal()?;
            Ok(shared.segments.current().sealed_until)
        })
        .await
    }

    /// Removes all events of a subject that are safe now, and their labels. Whoever reads already
    /// reads on; the files go once nobody does. Until the stream is opened again, the events are known
    /// within their window by a digest, and are not stored again.
    ///
    /// # Errors
    ///
    /// As [`Stream::seal`]. Some may be left then: to ask again goes on.
    pub async fn forget(&self, subject: &str) -> Result<Forgotten, Error> {
        self.seal().await?;
        let (shared, subject) = (Arc::clone(&self.shared), subject.to_owned());
        blocking(move || shared.segments.forget(&subject, &shared.labels)).await
    }

    /// Removes the oldest segments, as far as this says. What is not sealed yet stays.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Closed`]; nothing is removed then.
    pub async fn retain(&self, retention: Retention) -> Result<Forgotten, Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.segments.retain(&retention, shared.clock.now_us())).await
    }
}

/// Does what waits for the disk where that hinders nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)?
}

/// Has the log's next file begun.
async fn roll(asks: &mpsc::Sender<Ask>) -> Result<(), Error> {
    let (done, answer) = oneshot::channel();
    asks.send(Ask::Roll(done)).await.map_err(|_| Error::Closed)?;
    answer.await.map_err(|_| Error::Closed)?
}

/// The bytes of a call's events.
fn check(events: &[Event]) -> Result<usize, Error> {
    let count = events.len();
    let mut bytes = 0;
    for (place, event) in events.iter().enumerate() {
        bytes += frame::length(event);
        let message = match event.fault() {
            Some(message) => message,
            None if bytes > GROUP_BYTES_MAX => {
                format!("with it they have more than {GROUP_BYTES_MAX} bytes: send fewer at a time")
            }
            None => continue,
        };
        return Err(Error::Invalid { position: place + 1, count, message });
    }
    Ok(bytes)
}

/// Commits group after group, until nobody can append any more.
async fn run(mut writer: Writer, mut waiting: mpsc::Receiver<Ask>) {
    let mut later = None;
    while let Some(ask) = match later.take() {
        Some(ask) => Some(ask),
        None => waiting.recv().await,
    } {
        let work = match ask {
            Ask::Roll(done) => Work::Roll(done),
            Ask::Append(call) => {
                let (mut bytes, mut group) = (call.bytes, vec![call]);
                while let Ok(ask) = waiting.try_recv() {
                    match ask {
                        Ask::Append(call) if bytes + call.bytes <= GROUP_BYTES_MAX => {
                            bytes += call.bytes;
                            group.push(call);
                        }
                        ask => {
                            later = Some(ask);
                            break;
                        }
                    }
                }
                Work::Commit(group)
            }
        };
        let worked = tokio::task::spawn_blocking(move || {
            match work {
                Work::Commit(group) => writer.commit(group),
                // Who asked may be gone.
                Work::Roll(done) => drop(done.send(writer.log.roll())),
            }
            writer.begun.send_if_modified(|begun| {
                std::mem::replace(begun, writer.log.begun()) != writer.log.begun()
            });
            writer
        });
        // Only a fault of ours ends it; whoever waits is told that the stream is closed.
        let Ok(back) = worked.await else { return };
        writer = back;
    }
}

/// What the writer does next.
enum Work {
    Commit(Vec<Call>),
    Roll(oneshot::Sender<Result<(), Error>>),
}

/// What commits.
#[derive(Debug)]
struct Writer {
    log: Log,
    dedupe: Dedupe,
    window_us: Arc<AtomicU64>,
    clock: Clock,
    committed: watch::Sender<u64>,
    /// The number of the first event of the log's present file.
    begun: watch::Sender<u64>,
    _hold: Arc<Hold>,
}

impl Writer {
    fn commit(&mut self, group: Vec<Call>) {
        let now_us = self.clock.now_us();
        self.dedupe.set_window(self.window_us.load(Ordering::Relaxed));
        let (mut fresh, mut identities, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        let mut shares = Vec::with_capacity(group.len());
        for call in &group {
            let before = fresh.len();
            for event in &call.events {
                let identity = event.identity();
                if !self.dedupe.knows(identity, now_us) && seen.insert(identity) {
                    fresh.push(event);
                    identities.push(identity);
                }
            }
            shares.push((before as u64, (fresh.len() - before) as u64));
        }
        let committed = if fresh.is_empty() {
            Ok(self.log.next())
        } else {
            self.log.commit(fresh, now_us).map_err(Arc::new)
        };
        if committed.is_ok() {
            for identity in identities {
                self.dedupe.remember(identity, now_us);
            }
        }
        // Whoever is answered finds its events there.
        self.committed.send_replace(self.log.next());
        for (call, (before, stored)) in group.into_iter().zip(shares) {
            let count = call.events.len() as u64;
            let answer = match &committed {
                Ok(first) => Ok(Appended {
                    first: (stored > 0).then_some(first + before),
                    stored,
                    known: count - stored,
                }),
                Err(source) => Err(Error::NotKept { source: Arc::clone(source) }),
            };
            // Who asked may be gone; the events are safe all the same.
            let _ = call.done.send(answer);
        }
    }
}

// Whatever is taken for one call has room, and the largest event is one.
const _: () =
    assert!(FRAME_BYTES_MAX <= GROUP_BYTES_MAX && GROUP_BYTES_MAX * 4 <= WAITING_BYTES_MAX);

#[cfg(test)]
mod tests;
