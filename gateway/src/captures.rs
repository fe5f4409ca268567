//! Captures: live requests of endpoints, kept as events of streams of their accounts.
//!
//! Always true: no caller waits for it, and no answer fails by it; what waits for the disk is bounded,
//! and what finds no room is counted and not kept; only calls of the endpoint's own account are kept,
//! and none of those that a replay or its owner sends to a variant by name.
//! Absent on purpose: credentials, and what no JSON is: of that, how much it was.

mod event;
pub(crate) mod right;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use api::endpoints::KEY_HEADER;
use api::endpoints::captures::{Captured, GROUP_HEADER, REGION_HEADER};
use api::internal::CaptureRoute;
use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::{EndpointId, Name, RequestId, StreamId};

use crate::error::Error;
use crate::hub::Hub;
use crate::routes::{Caller, Endpoint};

/// Most bytes of requests and answers that wait for the disk: some seconds of a busy gateway.
const WAITING_BYTES_MAX: usize = 32 << 20;
/// Most requests that wait for one stream, so that a slow one leaves the others room.
const WAITING_MAX: usize = 4_096;
/// What a request is counted with beside its bytes.
const REQUEST_BYTES: usize = 1_024;
/// Most requests that are appended at once.
const BATCH_MAX: usize = 256;
/// Longest request that is kept as it is: with its answer it fits an event.
const DATA_BYTES_MAX: usize = 512 << 10;
/// Between two tries of a stream that did not take anything.
const PAUSE_MS: u64 = 500;

/// The capture of an endpoint.
#[derive(Debug)]
pub(crate) struct Target {
    /// The endpoint, whichever variant answers.
    pub(crate) endpoint: EndpointId,
    pub(crate) name: Name,
    pub(crate) told: CaptureRoute,
}

/// What became of a request that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    NoRoom,
    Elsewhere,
    Failed,
}

impl Fate {
    /// The word for it in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::NoRoom => "no_room",
            Self::Elsewhere => "elsewhere",
            Self::Failed => "failed",
        }
    }
}

/// What is noted of a request while it is answered.
#[derive(Debug)]
pub(crate) struct Noted {
    target: Arc<Target>,
    id: String,
    at_us: u64,
    subject: String,
    region: String,
    group: String,
    /// How long the request was, and of what type it was said to be.
    length: Option<(usize, String)>,
    request: Bytes,
    answer_length: Option<usize>,
    answer: Bytes,
}

/// A request that was answered.
#[derive(Debug)]
struct Done {
    noted: Noted,
    endpoint: Arc<Endpoint>,
    status: u16,
    duration_us: u64,
    _room: OwnedSemaphorePermit,
}

/// Requests that wait for their streams.
#[derive(Debug)]
pub(crate) struct Captures {
    room: Arc<Semaphore>,
    /// Of each stream that somebody puts events into just now.
    waiting: Mutex<HashMap<StreamId, VecDeque<Done>>>,
}

impl Default for Captures {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(WAITING_BYTES_MAX)), waiting: Mutex::default() }
    }
}

/// Begins to note a request, where it is one that is kept.
pub(crate) fn note(
    hub: &Hub,
    target: &Arc<Target>,
    (caller, endpoint): (&Caller, &Endpoint),
    (headers, id): (&HeaderMap, &str),
) -> Option<Noted> {
    // What others ask of an endpoint that was shared with them is theirs.
    if caller.account() != Some(endpoint.account) {
        return None;
    }
    let spec = &target.told.spec;
    let id = match id {
        "" => RequestId::new(hub.clock.uuid()).to_string(),
        id => id.to_owned(),
    };
    let subject = event::text(headers, &[spec.key.as_deref().unwrap_or(KEY_HEADER)]);
    let key = if subject.is_empty() { &id } else { &subject };
    if !policy::capture::keeps(key.as_bytes(), &target.endpoint.to_string(), spec.share_bp) {
        return None;
    }
    Some(Noted {
        target: Arc::clone(target),
        at_us: hub.clock.now_us(),
        region: event::text(headers, &[REGION_HEADER, "ce-region"]),
        group: event::text(headers, &[GROUP_HEADER, "ce-group"]),
        id,
        subject,
        length: None,
        request: Bytes::new(),
        answer_length: None,
        answer: Bytes::new(),
    })
}

impl Noted {
    /// Notes what is asked.
    pub(crate) fn asked(&mut self, body: &Bytes, headers: &HeaderMap) {
        if self.target.told.spec.what != Captured::Answers {
            self.length = Some((body.len(), event::text(headers, &["content-type"])));
            if body.len() <= DATA_BYTES_MAX {
                self.request = body.clone();
            }
        }
    }

    /// Notes that so much is asked, in no form that is kept.
    pub(crate) fn asked_otherwise(&mut self, bytes: usize, form: &str) {
        if self.target.told.spec.what != Captured::Answers {
            self.length = Some((bytes, form.to_owned()));
        }
    }

    /// Notes what is answered.
    pub(crate) fn answered(&mut self, body: &Bytes) {
        if self.target.told.spec.what != Captured::Requests {
            self.answer_length = Some(body.len());
            if body.len() <= events::ANSWER_BYTES_MAX {
                self.answer = body.clone();
            }
        }
    }

    /// Notes that so much is answered, in no form that is kept.
    pub(crate) fn answered_otherwise(&mut self, bytes: usize) {
        if self.target.told.spec.what != Captured::Requests {
            self.answer_length = Some(bytes);
        }
    }

    fn bytes(&self) -> usize {
        REQUEST_BYTES + self.request.len() + self.answer.len()
    }
}

/// Has a request that was answered kept, where there is room.
pub(crate) fn cast(
    hub: &Arc<Hub>,
    endpoint: &Arc<Endpoint>,
    mut noted: Noted,
    (status, duration_us): (u16, u64),
) {
    let (stream, id) = (noted.target.told.stream, noted.target.endpoint);
    let wanted = u32::try_from(noted.bytes()).unwrap_or(u32::MAX);
    let Ok(room) = Arc::clone(&hub.captures.room).try_acquire_many_owned(wanted) else {
        return count(hub, endpoint, (id, Fate::NoRoom));
    };
    let mut waiting = hub.captures.waiting.lock();
    let begins = !waiting.contains_key(&stream);
    let queue = waiting.entry(stream).or_default();
    if queue.len() >= WAITING_MAX {
        drop(waiting);
        return count(hub, endpoint, (id, Fate::NoRoom));
    }
    // What came with others in one buffer would hold all of it.
    noted.request = Bytes::copy_from_slice(&noted.request);
    noted.answer = Bytes::copy_from_slice(&noted.answer);
    let endpoint = Arc::clone(endpoint);
    queue.push_back(Done { noted, endpoint, status, duration_us, _room: room });
    drop(waiting);
    if begins {
        hub.tasks.spawn("capture", put(Arc::clone(hub), stream));
    }
}

/// Puts what waits into a stream, until nothing waits.
async fn put(hub: Arc<Hub>, stream: StreamId) {
    while let Some(batch) = next(&hub, stream) {
        let fate = match append(&hub, stream, &batch).await {
            Ok(()) => Fate::Kept,
            Err(Error::StreamElsewhere { .. }) => Fate::Elsewhere,
            Err(error) => {
                tracing::info!(%stream, %error, "requests were not kept");
                Fate::Failed
            }
        };
        for done in batch.iter() {
            count(&hub, &done.endpoint, (done.noted.target.endpoint, fate));
        }
        drop(batch);
        if fate != Fate::Kept && !hub.tasks.stopping().is_cancelled() {
            hub.clock.sleep_ms(PAUSE_MS).await;
        }
    }
}

/// What waited longest; none, and nobody puts any more, where nothing waits.
fn next(hub: &Hub, stream: StreamId) -> Option<Arc<Vec<Done>>> {
    let mut waiting = hub.captures.waiting.lock();
    let queue = waiting.get_mut(&stream)?;
    if queue.is_empty() {
        waiting.remove(&stream);
        return None;
    }
    let count = queue.len().min(BATCH_MAX);
    Some(Arc::new(queue.drain(..count).collect()))
}

async fn append(hub: &Hub, stream: StreamId, batch: &Arc<Vec<Done>>) -> Result<(), Error> {
    let told = hub.table.load().streams().find(|told| told.stream == stream).map(Arc::clone);
    let told = told.ok_or_else(|| Error::NoStream { stream: stream.to_string() })?;
    let opened = hub.streams.open(hub, &told).await?;
    // Whether a text is JSON takes a while where it is long.
    let batch = Arc::clone(batch);
    let make = move || Ok(batch.iter().map(event::of).collect::<Vec<_>>());
    for part in event::parts(crate::streams::blocking(make).await?) {
        opened.append(part).await?;
    }
    Ok(())
}

fn count(hub: &Hub, endpoint: &Endpoint, (id, fate): (EndpointId, Fate)) {
    hub.metrics.captured(endpoint, fate.as_str());
    hub.usage.count_captured(id, fate);
}
