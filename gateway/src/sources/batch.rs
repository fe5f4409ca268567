//! Batches: what a source gives to its function at once.
//!
//! Always true: events come in the order of their numbers, each once while the gateway runs; what is
//! held beside a batch is what one read of the stream gives.

use std::collections::VecDeque;
use std::sync::Arc;

use api::internal::functions::sources::SourceRoute;
use events::{Event, Reader, Stored};
use formats::event_pattern::Pattern;
use policy::feeding::{Gather, Gathered, Settings, gather};
use serde_json::Value;
use types::{Name, stream_arn};

use super::{WELL, cursor, records, stays};
use crate::error::Error;
use crate::hub::Hub;
use crate::streams::blocking;

/// Most bytes of what a function is given: below what a call may carry.
const PAYLOAD_BYTES_MAX: usize = 5 << 20;
/// Most events that are read at once.
const READ_MAX: usize = 4_096;

/// Events that are given to a function at once, or in parts.
pub(super) struct Batch {
    pub(super) events: Vec<Stored>,
    /// The number of the event after them, and after those that no filter let through.
    pub(super) next: u64,
}

impl Batch {
    /// When each was accepted, in milliseconds.
    pub(super) fn accepted_ms(&self) -> Vec<u64> {
        self.events.iter().map(|stored| stored.accepted_us / 1_000).collect()
    }

    /// The number of the event at a place, or of the one after all.
    pub(super) fn place(&self, index: usize) -> u64 {
        self.events.get(index).map_or(self.next, |stored| stored.sequence)
    }
}

/// A source that is read.
pub(super) struct Feed {
    pub(super) told: Arc<SourceRoute>,
    /// The stream in AWS's words.
    pub(super) arn: String,
    stream: events::Stream,
    reader: Option<Reader>,
    patterns: Arc<Vec<Pattern>>,
    /// What was read and is in no batch.
    left: VecDeque<Stored>,
    /// The number of the event after all that was read.
    read_until: u64,
    /// What was kept as the place to go on with.
    kept: u64,
    /// Events that were accepted before this time, in microseconds, are not its to have; none once
    /// the first was found that is.
    begins_us: Option<u64>,
    /// Events that no filter let through and nobody was told of.
    filtered: u64,
    /// Events that the stream did not have any more, and nobody was told of.
    removed: u64,
}

impl Feed {
    /// Goes on where the source was left.
    pub(super) async fn open(
        hub: &Hub,
        told: &Arc<SourceRoute>,
        (stream, name): (events::Stream, Name),
    ) -> Result<Self, Error> {
        let cursor::Place { next, begins_us } = cursor::read(hub, told, &stream).await?;
        let patterns = told.spec.filters.iter().map(|filter| filter.parse());
        let patterns: Vec<Pattern> = patterns
            .collect::<Result<_, formats::event_pattern::Fault>>()
            .map_err(|fault| Error::bad_request(fault.to_string()))?;
        Ok(Self {
            arn: stream_arn("local", told.account, &name),
            told: Arc::clone(told),
            reader: Some(stream.reader(next)),
            stream,
            patterns: Arc::new(patterns),
            left: VecDeque::new(),
            read_until: next,
            kept: next,
            begins_us,
            filtered: 0,
            removed: 0,
        })
    }

    /// The next batch, once there is one; none where the source was changed meanwhile.
    pub(super) async fn next(
        &mut self,
        hub: &Hub,
        settings: &Settings,
    ) -> Result<Option<Batch>, Error> {
        let mut committed = self.stream.committed();
        let mut generation = hub.generation.subscribe();
        let stopping = hub.tasks.stopping();
        let mut batch = Batch { events: Vec::new(), next: self.read_until };
        let (mut bytes, mut since_ms) = (0, 0);
        loop {
            committed.mark_unchanged();
            generation.mark_unchanged();
            if !stays(hub, &self.told) {
                return Ok(None);
            }
            let (before, was_left) = (self.read_until, !self.left.is_empty());
            if self.left.is_empty() {
                self.read().await?;
            }
            if batch.events.is_empty() {
                since_ms = hub.clock.now_ms();
            }
            let full = self.fill(&mut batch, &mut bytes, settings);
            let events = u32::try_from(batch.events.len()).unwrap_or(u32::MAX);
            let gathered = Gathered { events, full, since_ms };
            let limit_ms = match gather(&gathered, settings, hub.clock.now_ms()) {
                Gather::Call => {
                    self.tell_left_out(hub, batch.place(0));
                    return Ok(Some(batch));
                }
                Gather::Wait(limit_ms) => limit_ms,
            };
            // There may be more than what was left of the batch before.
            if self.read_until > before || was_left {
                continue;
            }
            if batch.events.is_empty() {
                self.done(hub, self.read_until).await?;
                self.tell_left_out(hub, self.read_until);
            }
            tokio::select! {
                // A stream that is closed has nothing more.
                more = committed.changed() => if more.is_err() { return Ok(None) },
                _ = generation.changed() => {}
                () = hub.clock.sleep_ms(limit_ms.unwrap_or(u64::MAX)), if limit_ms.is_some() => {}
                () = stopping.cancelled() => {}
            }
        }
    }

    /// Keeps the place to go on with: all before it is done.
    pub(super) async fn done(&mut self, hub: &Hub, next: u64) -> Result<(), Error> {
        if next > self.kept {
            cursor::write(hub, self.told.source, next).await?;
            self.kept = next;
        }
        Ok(())
    }

    /// Moves what was read into a batch; whether there is more than fits.
    fn fill(&mut self, batch: &mut Batch, bytes: &mut usize, settings: &Settings) -> bool {
        while (batch.events.len() as u64) < u64::from(settings.batch())
            && let Some(stored) = self.left.pop_front()
        {
            let length = records::length(&self.arn, &stored.event);
            if !batch.events.is_empty() && *bytes + length > PAYLOAD_BYTES_MAX {
                self.left.push_front(stored);
                return true;
            }
            *bytes += length;
            batch.next = stored.sequence + 1;
            batch.events.push(stored);
        }
        if self.left.is_empty() {
            batch.next = self.read_until;
        }
        false
    }

    /// Reads what there is, as much as is read at once.
    async fn read(&mut self) -> Result<(), Error> {
        let mut reader = self.reader.take().unwrap_or_else(|| self.stream.reader(self.read_until));
        let committed = *self.stream.committed().borrow();
        if reader.next() >= committed {
            self.reader = Some(reader);
            return Ok(());
        }
        let (patterns, begins_us) = (Arc::clone(&self.patterns), self.begins_us);
        let (reader, events, (found, early)) = blocking(move || {
            let mut events = reader.read(committed, READ_MAX)?;
            let found = events.len();
            let early = early(&events, begins_us);
            events.drain(..early);
            events.retain(|stored| wanted(&patterns, &stored.event));
            Ok((reader, events, (found, early)))
        })
        .await?;
        if early < found {
            self.begins_us = None;
        }
        let filtered = (found - early - events.len()) as u64;
        let until = reader.next().max(self.read_until);
        self.removed += (until - self.read_until).saturating_sub(found as u64);
        self.read_until = until;
        self.reader = Some(reader);
        self.left.extend(events);
        self.filtered += filtered;
        Ok(())
    }

    /// Counts what the function is not given.
    fn tell_left_out(&mut self, hub: &Hub, next_event: u64) {
        let filtered = std::mem::take(&mut self.filtered);
        if filtered > 0 {
            self.tell(hub, (0, filtered, 0), next_event, WELL);
        }
        let removed = std::mem::take(&mut self.removed);
        if removed > 0 {
            let source = self.told.source;
            tracing::info!(%source, removed, "events were removed before a function had them");
            let result =
                format!("PROBLEM: {removed} events were removed before the function had them");
            self.tell(hub, (0, 0, removed), next_event, &result);
        }
    }
}

/// How many of these events came before the time with which a source begins.
fn early(events: &[Stored], begins_us: Option<u64>) -> usize {
    let is_early = |stored: &&Stored| begins_us.is_some_and(|at_us| stored.accepted_us < at_us);
    events.iter().take_while(is_early).count()
}

/// Whether one of these patterns matches an event; every event where there is none.
fn wanted(patterns: &[Pattern], event: &Event) -> bool {
    if patterns.is_empty() {
        return true;
    }
    let mut document = records::said(event);
    document.insert("partitionKey".to_owned(), records::key(event).into());
    if let Ok(data) = serde_json::from_slice::<Value>(&event.data) {
        document.insert("data".to_owned(), data);
    }
    let document = Value::Object(document);
    patterns.iter().any(|pattern| pattern.matches(&document))
}
