//! Sources: functions that are fed from streams, by the gateway that holds the stream.
//!
//! Always true: a source has one reader, which goes on where it was; an event is done once the function
//! took it, or whoever is to be told that it was given up is in control's keeping, and only then the
//! place moves on; what was under way when the gateway was killed comes again.
//! Absent on purpose: what becomes of what failed (`policy::feeding`), and replays, which have readers
//! of their own.

mod batch;
mod cursor;
mod giving_up;
mod records;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use api::functions::sources::SourceStart;
use api::internal::functions::sources::{SourceCount, SourceRoute};
use bytes::Bytes;
use parking_lot::Mutex;
use policy::feeding::{Ended, Settings, Step, Work};
use tokio::sync::watch;
use types::{RequestId, SourceId, StreamId};

use crate::error::Error;
use crate::functions::{self, Fed};
use crate::hub::Hub;
use crate::routes::Table;
use batch::{Batch, Feed};

/// Between two looks for sources that could not begin, in milliseconds.
const LOOK_MS: u64 = 2_000;
/// What is told of how it went, where it went well.
const WELL: &str = "OK";
/// Most bytes of what is told of a failure: a report has the words of many sources.
const SAID_BYTES_MAX: usize = 512;

/// The sources that are fed from here now, and where those begin that have not begun.
#[derive(Default)]
pub(crate) struct Sources {
    live: Mutex<HashSet<SourceId>>,
    opened: Mutex<HashMap<StreamId, Opened>>,
    /// The number of the first event that each source is to have which begins with the next one.
    next: Mutex<HashMap<SourceId, u64>>,
}

/// A stream that is open here.
struct Opened {
    /// The number that the first event got, or is to get, since it was opened.
    with: u64,
    committed: watch::Receiver<u64>,
}

/// What was seen of a source that has no place here, and of its stream.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The number of the first event since the source was seen; none where the stream was not open.
    source_with: Option<u64>,
    /// The number of the first event since the stream was opened.
    opened_with: u64,
}

impl Sources {
    /// A stream is open from now on: nothing has been appended yet.
    pub(crate) fn opened(&self, stream: StreamId, committed: watch::Receiver<u64>) {
        let with = *committed.borrow();
        self.opened.lock().insert(stream, Opened { with, committed });
    }

    /// Notes where sources begin that these routes have and those before had not, before anybody is
    /// told that they are in use: what is appended after that is theirs.
    pub(crate) fn see(&self, routes: &Table, before: &Table) {
        let mut next = self.next.lock();
        let mut opened = self.opened.lock();
        let known: HashSet<SourceId> = before.sources().iter().map(|told| told.source).collect();
        for told in routes.sources() {
            let begins = told.spec.start == SourceStart::Next && !known.contains(&told.source);
            if begins && let Some(opened) = opened.get(&told.stream) {
                next.insert(told.source, *opened.committed.borrow());
            }
        }
        let now: HashSet<SourceId> = routes.sources().iter().map(|told| told.source).collect();
        next.retain(|source, _| now.contains(source));
        // One that was closed is opened anew before it is read.
        opened.retain(|_, opened| opened.committed.has_changed().is_ok());
    }

    fn seen(&self, told: &SourceRoute) -> Seen {
        let opened_with = self.opened.lock().get(&told.stream).map_or(1, |opened| opened.with);
        Seen { source_with: self.next.lock().get(&told.source).copied(), opened_with }
    }
}

/// Feeds functions as it is wanted, until the gateway stops.
pub(crate) async fn run(hub: Arc<Hub>) {
    let stopping = hub.tasks.stopping();
    let mut generation = hub.generation.subscribe();
    while !stopping.is_cancelled() {
        let wanted = hub.table.load().sources().to_vec();
        for told in wanted.iter().filter(|told| told.spec.enabled) {
            follow(&hub, told);
        }
        cursor::forget(&hub).await;
        tokio::select! {
            _ = generation.changed() => {}
            () = hub.clock.sleep_ms(LOOK_MS) => {}
            () = stopping.cancelled() => break,
        }
    }
}

/// Begins to feed from a source, unless that is done already.
fn follow(hub: &Arc<Hub>, told: &Arc<SourceRoute>) {
    if !hub.sources.live.lock().insert(told.source) {
        return;
    }
    let (hub, told) = (Arc::clone(hub), Arc::clone(told));
    let tasks = hub.tasks.clone();
    tasks.spawn("source", async move {
        let id = told.source;
        match serve(&hub, told).await {
            // It was changed, or removed just now: it is looked at again.
            Ok(()) | Err(Error::NoFunction { .. } | Error::NoStream { .. }) => {}
            // Another gateway's, or control is away: so too.
            Err(Error::StreamElsewhere { .. } | Error::NoControl) => {}
            Err(error) => tracing::warn!(source = %id, %error, "a function was not fed"),
        }
        hub.sources.live.lock().remove(&id);
    });
}

/// Feeds from a source as long as it stays as it is.
async fn serve(hub: &Arc<Hub>, told: Arc<SourceRoute>) -> Result<(), Error> {
    let route = hub.table.load().streams().find(|it| it.stream == told.stream).map(Arc::clone);
    let route = route.ok_or_else(|| Error::NoStream { stream: told.stream.to_string() })?;
    let stream = hub.streams.open(hub, &route).await?;
    let settings = settings(&told)?;
    let mut feed = Feed::open(hub, &told, (stream, route.name.clone())).await?;
    while let Some(batch) = feed.next(hub, &settings).await? {
        if !work(hub, &mut feed, (&batch, &settings)).await? {
            return Ok(());
        }
        feed.done(hub, batch.next).await?;
    }
    Ok(())
}

/// What is asked for, as it is decided by.
fn settings(told: &SourceRoute) -> Result<Settings, Error> {
    let spec = &told.spec;
    let age_ms = spec.age_s.map(|age_s| age_s.saturating_mul(1_000));
    let settings = Settings::new(spec.batch, spec.window_ms)
        .and_then(|settings| settings.giving_up(spec.retries, age_ms));
    let settings = settings.map_err(|refusal| Error::bad_request(refusal.to_string()))?;
    Ok(settings.bisecting(spec.bisect))
}

/// Whether a source is still what it was.
fn stays(hub: &Hub, told: &SourceRoute) -> bool {
    let table = hub.table.load();
    let same = |it: &Arc<SourceRoute>| it.source == told.source && it.generation == told.generation;
    !hub.tasks.stopping().is_cancelled() && table.sources().iter().any(same)
}

/// How calls with the first event that is not done went.
#[derive(Default)]
struct Tries {
    count: u32,
    /// The last error of the function, and what was said of it.
    error: Option<String>,
    message: String,
}

/// Works a batch to its end; not where the source is changed meanwhile.
async fn work(
    hub: &Arc<Hub>,
    feed: &mut Feed,
    (batch, settings): (&Batch, &Settings),
) -> Result<bool, Error> {
    let mut work = Work::new(batch.accepted_ms());
    let mut tries = Tries::default();
    let mut generation = hub.generation.subscribe();
    loop {
        generation.mark_unchanged();
        let before = work.done();
        let (counts, result) = match work.next(settings, hub.clock.now_ms()) {
            Step::Done => return Ok(true),
            _ if !stays(hub, &feed.told) => return Ok(false),
            Step::Wait(until_ms) => {
                wait(hub, &mut generation, until_ms).await;
                continue;
            }
            Step::Call(events) => {
                let ended = call(hub, feed, (batch, &events), &mut tries).await?;
                let seed = batch.events[events.start].sequence;
                work.ended(ended, settings, (hub.clock.now_ms(), seed));
                let well = ended == Ended::Took;
                let result = if well { WELL.to_owned() } else { tries.message.clone() };
                if work.done() > before {
                    // What it failed now is another event, and was tried once.
                    tries = Tries { count: u32::from(!well), error: None, ..tries };
                }
                (((work.done() - before) as u64, 0, 0), result)
            }
            Step::GiveUp(events, condition) => {
                let given = &batch.events[events.clone()];
                if !giving_up::give_up(hub, feed, (given, condition), &tries).await {
                    return Ok(false);
                }
                work.given_up(&events);
                tries = Tries::default();
                let (count, why) = (events.len() as u64, condition.as_str());
                ((0, 0, count), format!("PROBLEM: {count} events were given up: {why}"))
            }
        };
        let place = batch.place(work.done());
        if work.done() > before {
            feed.done(hub, place).await?;
        }
        feed.tell(hub, counts, place, &result);
    }
}

/// Waits, unless the routes change or the gateway stops meanwhile.
async fn wait(hub: &Hub, generation: &mut watch::Receiver<u64>, until_ms: u64) {
    let stopping = hub.tasks.stopping();
    tokio::select! {
        () = hub.clock.sleep_ms(until_ms.saturating_sub(hub.clock.now_ms()).max(1)) => {}
        _ = generation.changed() => {}
        () = stopping.cancelled() => {}
    }
}

/// Gives events to the function.
async fn call(
    hub: &Hub,
    feed: &Feed,
    (batch, range): (&Batch, &std::ops::Range<usize>),
    tries: &mut Tries,
) -> Result<Ended, Error> {
    let told = &feed.told;
    let events = &batch.events[range.clone()];
    let payload = records::of(&feed.arn, events);
    let function = hub.table.load().function_by_id(told.function);
    let function = function.ok_or_else(|| Error::no_function(&told.function.to_string()))?;
    let id = RequestId::new(hub.clock.uuid()).to_string();
    let at = (told.qualifier.as_str(), id.as_str());
    let outcome = functions::feed(hub, &function, at, Bytes::from(payload)).await;
    let (ended, message) = match outcome {
        Fed::Answered(answer) if told.spec.reports_failures => {
            let numbers = events.iter().map(|stored| stored.sequence).collect();
            match records::failed(answer, numbers).await? {
                Ok(None) => (Ended::Took, String::new()),
                Ok(Some(place)) => {
                    let at = range.start + place;
                    let number = batch.events[at].sequence;
                    let message = format!("PROBLEM: the function failed the event {number}");
                    (Ended::TookUntil(at), message)
                }
                Err(reason) => (Ended::Failed, format!("PROBLEM: {reason}")),
            }
        }
        Fed::Answered(_) => (Ended::Took, String::new()),
        Fed::Failed { error, message } => {
            let told = format!("PROBLEM: the function failed: {error}: {message}");
            tries.error = Some(cut(error));
            (Ended::Failed, told)
        }
        Fed::TooLarge { reason } => (Ended::TooLarge, format!("PROBLEM: it did not run: {reason}")),
        Fed::NotRun { reason } => (Ended::Missed, format!("PROBLEM: it did not run: {reason}")),
    };
    tries.count += u32::from(ended != Ended::Missed);
    tries.message = cut(message);
    Ok(ended)
}

/// As much of what was said as is told, in words that every database takes.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(SAID_BYTES_MAX));
    text.replace('\0', " ")
}

impl Feed {
    /// Counts what became of events, and says how far it is.
    fn tell(
        &self,
        hub: &Hub,
        (delivered, filtered, given_up): (u64, u64, u64),
        next_event: u64,
        result: &str,
    ) {
        let source = self.told.source;
        let result = result.to_owned();
        hub.usage.count_source(SourceCount {
            source,
            delivered,
            filtered,
            given_up,
            next_event,
            result,
        });
    }
}
