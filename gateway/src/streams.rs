//! Streams: recorded events, held by this gateway in a folder of its own.
//!
//! Always true: a stream has one writer, the gateway that asked control first, so an event that comes
//! again finds the one that is there; what is acknowledged is on this disk; who may read or add is
//! asked each time.
//! Absent on purpose: which streams there are (control), and how events are kept (`events`).

mod copies;
pub(crate) mod drift;
mod giving;
mod selection;
mod synthetic;
mod taking;
mod telling;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use access::Action;
use api::document::Object;
use api::internal::{ClaimStream, StreamRoute};
use axum::body::Body;
use http::{Method, Response};
use parking_lot::Mutex;
use policy::segments::Retention;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use types::{ErrorKind, StreamId};

use crate::error::Error;
use crate::hub::Hub;
use crate::keys::Keys;
use crate::limits::Place;
use crate::service::Incoming;
use copies::Copies;

pub(crate) use giving::blocking;
pub(crate) use selection::{selection, zone};
pub(crate) use telling::tell;

/// How often it is looked for what is not to be kept any longer, in milliseconds.
const TEND_MS: u64 = 60_000;

/// Long works on streams at a time, of all callers: each takes a thread of those that also write what
/// is appended, of which there are some hundreds.
const LONG_MAX: usize = 64;

/// Held for as long as a long work on a stream goes on, also where its caller has gone.
pub(super) struct Long {
    _place: Place,
    _permit: OwnedSemaphorePermit,
}

/// What is asked of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamVerb {
    /// To give events, or to take them.
    Events,
    /// To take a file of them.
    Imports,
    /// To sum them up.
    Stats,
    /// To say whether they are as others were.
    Drift,
    /// To take what became of them.
    Labels,
    /// To make some like those of another.
    Synthetic,
    /// To remove those of a subject.
    Forget,
}

/// The streams that are open here.
pub(crate) struct Streams {
    folder: Option<PathBuf>,
    copies: Copies,
    keys: Keys,
    open: Mutex<HashMap<StreamId, Arc<OnceCell<events::Stream>>>>,
    /// Once none is opened any more.
    closed: AtomicBool,
    long: Arc<Semaphore>,
}

impl Streams {
    /// With this folder for all of them; without one there is none. And where they are copied, and what
    /// seals their keys.
    pub(crate) fn new(
        folder: Option<PathBuf>,
        copies: Option<objects::Files>,
        vault: Option<objects::Vault>,
    ) -> Self {
        Self {
            folder,
            copies: Copies::new(copies),
            keys: Keys::new(vault),
            open: Mutex::default(),
            closed: AtomicBool::new(false),
            long: Arc::new(Semaphore::new(LONG_MAX)),
        }
    }

    /// The keys of folders of streams and of runs.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Waits for its turn to do a long work.
    async fn long(&self, place: Place) -> Result<Long, Error> {
        let permit = Arc::clone(&self.long).acquire_owned().await;
        let permit = permit.map_err(|_| broken("this gateway stops"))?;
        Ok(Long { _place: place, _permit: permit })
    }

    /// The folder of one, and of what belongs to it.
    fn folder(&self, id: StreamId) -> Result<PathBuf, Error> {
        let missing = || broken("this gateway has no folder for streams");
        Ok(self.folder.as_ref().ok_or_else(missing)?.join(id.to_string()))
    }

    /// Whether one has a folder here, and is not open.
    fn is_here(&self, id: StreamId) -> bool {
        let is_open = self.open.lock().get(&id).is_some_and(|it| it.get().is_some());
        !is_open && self.folder(id).is_ok_and(|folder| folder.is_dir())
    }

    /// One that is open here.
    pub(crate) fn here(&self, id: StreamId) -> Option<events::Stream> {
        self.open.lock().get(&id).and_then(|it| it.get().cloned())
    }

    /// Where records of runs are kept.
    pub(crate) fn runs_folder(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.with_file_name("runs"))
    }

    /// Where files are kept until they are read; they have no names, and go with whoever reads them.
    fn unfinished_folder(&self) -> Result<PathBuf, Error> {
        let missing = || broken("this gateway has no folder for streams");
        Ok(self.folder.as_ref().ok_or_else(missing)?.with_file_name("unfinished"))
    }

    /// Where it is kept how far sources of functions are.
    pub(crate) fn sources_folder(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.with_file_name("sources"))
    }

    /// Opens a stream that is this gateway's to write, once.
    ///
    /// # Errors
    ///
    /// [`Error::StreamElsewhere`], [`Error::NoControl`], and what [`events::Stream::open`] says.
    pub(crate) async fn open(
        &self,
        hub: &Hub,
        told: &StreamRoute,
    ) -> Result<events::Stream, Error> {
        let folder = self.folder(told.stream)?;
        let cell = {
            let mut open = self.open.lock();
            if self.closed.load(Ordering::Relaxed) {
                return Err(broken("this gateway stops: ask again, once it has started anew"));
            }
            Arc::clone(open.entry(told.stream).or_default())
        };
        let opened = cell.get_or_try_init(|| async {
            let claimed =
                hub.control.claim_stream(told.stream, ClaimStream::default()).await.map_err(
                    |cause| {
                        tracing::warn!(%cause, "a stream was not claimed of control");
                        Error::NoControl
                    },
                )?;
            if !claimed.yours {
                return Err(Error::StreamElsewhere { gateway: claimed.gateway });
            }
            self.copies.restore(told.stream, &folder).await?;
            let (keys, id) = (self.keys.clone(), told.stream);
            let folder = blocking(move || keyed(&keys, &folder, id)).await?;
            let settings = events::Settings { dedupe_window_ms: told.spec.dedupe_window_ms };
            let opened =
                events::Stream::open(folder, settings, hub.clock.clone(), &hub.tasks).await?;
            hub.sources.opened(told.stream, opened.committed());
            let said = ClaimStream { encrypted: Some(opened.is_encrypted()) };
            if let Err(cause) = hub.control.claim_stream(told.stream, said).await {
                // It is said again when it is opened next; the events are here all the same.
                tracing::debug!(%cause, "control was not told how a stream is kept");
            }
            Ok(opened)
        });
        opened.await.cloned()
    }
}

/// The folder of a stream, with its key where it has one; one that begins gets one where this gateway
/// has what seals it.
fn keyed(keys: &Keys, folder: &Path, id: StreamId) -> Result<events::Folder, Error> {
    let of = format!("stream {id}");
    if events::copies::Restoring::is_wanted(folder)? {
        return keys.begun(folder, &of);
    }
    keys.known(folder, &of)
}

/// Seals the keys of all folders by the key in use, and tells of those that cannot be opened.
async fn reseal(hub: &Hub) {
    let folders = [hub.streams.folder.clone(), hub.streams.runs_folder()];
    let keys = hub.streams.keys.clone();
    let resealed = blocking(move || {
        let mut all = (0, Vec::new());
        for folder in folders.into_iter().flatten() {
            let (count, failures) = keys.reseal(&folder);
            all.0 += count;
            all.1.extend(failures);
        }
        Ok(all)
    });
    let Ok((resealed, failures)) = resealed.await else { return };
    for error in &failures {
        tracing::warn!(%error, "the key of a folder was not sealed anew");
    }
    if resealed > 0 {
        let left = failures.len();
        tracing::info!(resealed, left, "keys of events were sealed by the key in use");
    }
}

/// Keeps open streams as long as their owners want, and removes those that they removed; until the
/// gateway stops.
pub(crate) async fn tend(hub: Arc<Hub>) {
    let stopping = hub.tasks.stopping();
    let mut generation = hub.generation.subscribe();
    let mut removed: HashSet<StreamId> = HashSet::new();
    // A place that does not answer keeps no stream from being tended.
    let copies = hub.tasks.spawn("stream copies", copy(Arc::clone(&hub)));
    reseal(&hub).await;
    while !stopping.is_cancelled() {
        let table = hub.table.load_full();
        let told: Vec<_> = table.streams().map(Arc::clone).collect();
        let gone = table.removed_streams().iter().filter(|id| !removed.contains(id));
        let gone: Vec<StreamId> = gone.copied().collect();
        drop(table);
        // Only what is told to be removed is: what is not told of may be newer than the table.
        for gone in gone {
            if remove(&hub, gone).await {
                removed.insert(gone);
            }
        }
        for told in told {
            // What lies here is kept as long as its owner wants, also where nobody asks for it.
            if hub.streams.is_here(told.stream) {
                match hub.streams.open(&hub, &told).await {
                    Ok(_) => {}
                    // Another gateway's by now, or control is away: it is looked at again.
                    Err(Error::StreamElsewhere { .. } | Error::NoControl) => continue,
                    Err(error) => {
                        tracing::warn!(stream = %told.name, %error, "a stream was not opened");
                        continue;
                    }
                }
            }
            retain(&hub, &told).await;
        }
        tokio::select! {
            _ = generation.changed() => {}
            () = hub.clock.sleep_ms(TEND_MS) => {}
            () = stopping.cancelled() => break,
        }
    }
    copies.abort();
    // What is under way may still write.
    hub.runs.over().cancelled().await;
    hub.limits.idle().await;
    // Whoever still reads holds its own.
    let mut open = hub.streams.open.lock();
    hub.streams.closed.store(true, Ordering::Relaxed);
    open.clear();
}

/// Has what is sealed copied, until the gateway stops.
async fn copy(hub: Arc<Hub>) {
    let mut generation = hub.generation.subscribe();
    loop {
        let told: Vec<_> = hub.table.load().streams().map(Arc::clone).collect();
        for told in told {
            if let Err(error) = copied(&hub, told.stream).await {
                tracing::warn!(stream = %told.name, %error, "a stream was not copied");
            }
        }
        tokio::select! {
            _ = generation.changed() => {}
            () = hub.clock.sleep_ms(TEND_MS) => {}
        }
    }
}

/// Has what is sealed of a stream that is open here copied.
async fn copied(hub: &Hub, id: StreamId) -> Result<(), Error> {
    match hub.streams.here(id) {
        Some(stream) => {
            let folder = hub.streams.folder(id)?;
            hub.streams.copies.copy(id, &stream.kept(), &folder).await
        }
        None => Ok(()),
    }
}

/// Keeps a stream that is open here as its owner wants, and removes what is older, or more, than that.
async fn retain(hub: &Hub, told: &StreamRoute) {
    let retention =
        Retention { age_ms_max: told.spec.retain_ms, bytes_max: told.spec.retain_bytes };
    let Some(stream) = hub.streams.here(told.stream) else { return };
    stream.keep(events::Settings { dedupe_window_ms: told.spec.dedupe_window_ms });
    if retention == Retention::default() {
        return;
    }
    if let Err(error) = stream.retain(retention).await {
        let cause = workflow::chain(&error);
        tracing::warn!(stream = %told.name, cause, "old events were not removed");
    }
}

/// Removes a stream's events, and copies of them; whether all are gone.
async fn remove(hub: &Hub, id: StreamId) -> bool {
    let held = hub.streams.open.lock().remove(&id);
    drop(held);
    // Without a folder there are no streams here.
    let Ok(folder) = hub.streams.folder(id) else { return true };
    let removed = blocking(move || match gone(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::from(events::Error::Input(error)))
        }
        _ => Ok(()),
    });
    // What could not be removed was told, and is tried again.
    let is_gone = removed.await.is_ok();
    if let Err(error) = hub.streams.copies.remove(id).await {
        tracing::warn!(stream = %id, %error, "the copy of a removed stream is still there");
        return false;
    }
    is_gone
}

/// Removes a folder, first of all its key.
fn gone(folder: &Path) -> std::io::Result<()> {
    crate::keys::forget(folder)?;
    std::fs::remove_dir_all(folder)
}

/// Answers what is asked of a stream.
///
/// # Errors
///
/// [`Error::NoStream`] also where the caller may not know; those of the stream.
pub(crate) async fn answer(
    hub: &Arc<Hub>,
    incoming: Incoming,
    (name, verb): (&str, StreamVerb),
) -> Result<Response<Body>, Error> {
    let reads = incoming.parts.method != Method::POST;
    let action = match verb {
        _ if reads => Action::StreamsRead,
        // To add is not to remove.
        StreamVerb::Forget => Action::StreamsWrite,
        _ => Action::StreamsAppend,
    };
    let (caller, known) = hub.member(&incoming.parts.headers, action)?;
    let place = hub.place(&caller, incoming.from())?;
    let (told, stream) = opened(hub, known.account_name.as_str(), name).await?;
    match verb {
        StreamVerb::Events if reads => giving::events(hub, stream, &incoming.parts, place).await,
        StreamVerb::Events => {
            let _place = place;
            taking::append(hub, &stream, incoming).await
        }
        StreamVerb::Imports => taking::import(hub, stream, incoming, place).await,
        StreamVerb::Stats => giving::stats(hub, stream, &incoming.parts, place).await,
        StreamVerb::Drift => drift::stream(hub, stream, &incoming.parts, place).await,
        StreamVerb::Labels => taking::label(hub, &stream, incoming, place).await,
        StreamVerb::Synthetic => synthetic::make(hub, (name, stream), incoming, place).await,
        StreamVerb::Forget => {
            let answer = taking::forget(hub, stream, incoming, place).await?;
            // It is forgotten once it is so everywhere.
            copied(hub, told.stream).await?;
            Ok(answer)
        }
    }
}

/// An account's stream.
async fn opened(
    hub: &Hub,
    account: &str,
    name: &str,
) -> Result<(Arc<StreamRoute>, events::Stream), Error> {
    let told = hub.table.load().stream(account, name);
    let told = told.ok_or_else(|| Error::NoStream { stream: name.chars().take(160).collect() })?;
    let stream = hub.streams.open(hub, &told).await?;
    Ok((told, stream))
}

fn broken(message: &str) -> Error {
    Error::Stream { kind: ErrorKind::Unavailable, message: message.to_owned() }
}

impl From<events::Error> for Error {
    /// What a stream's failure means to whoever asked.
    fn from(error: events::Error) -> Self {
        use events::Error as Of;
        let kind = match &error {
            Of::Invalid { .. } | Of::Selection { .. } | Of::Import { .. } | Of::Label { .. } => {
                ErrorKind::BadRequest
            }
            Of::Damaged { .. } | Of::Manifest { .. } | Of::Parquet { .. } => ErrorKind::Internal,
            _ => ErrorKind::Unavailable,
        };
        if kind != ErrorKind::BadRequest {
            tracing::warn!(cause = workflow::chain(&error), "a stream failed");
        }
        Self::Stream { kind, message: error.to_string() }
    }
}

/// What a parameter of a request says, by name; each may come once.
pub(crate) fn parameters(
    uri: &http::Uri,
) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    let mut all = serde_json::Map::new();
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name)?, decoded(value)?);
        if all.insert(name.clone(), value.into()).is_some() {
            return Err(Error::bad_request(format!("the parameter {name} came twice")));
        }
    }
    Ok(all)
}

fn decoded(text: &str) -> Result<String, Error> {
    let text = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&text).decode_utf8();
    decoded.map(Into::into).map_err(|_| Error::bad_request("a parameter is no UTF-8"))
}

/// A parameter that is a number.
pub(crate) fn number<T: std::str::FromStr>(
    all: &mut serde_json::Map<String, serde_json::Value>,
    name: &str,
) -> Result<Option<T>, Error> {
    let Some(value) = all.remove(name) else { return Ok(None) };
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or_else(|| Error::bad_request(format!("{name} is no number that fits")))
}

/// A parameter that is `true` or `false`.
pub(crate) fn flag(
    all: &mut serde_json::Map<String, serde_json::Value>,
    name: &str,
) -> Result<Option<bool>, Error> {
    let Some(value) = all.remove(name) else { return Ok(None) };
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or_else(|| Error::bad_request(format!("{name} is neither true nor false")))
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(
    all: serde_json::Map<String, serde_json::Value>,
) -> Result<T, Error> {
    let read = serde_json::from_value(serde_json::Value::Object(all));
    read.map_err(|error| Error::bad_request(format!("the parameters cannot be read: {error}")))
}

/// A JSON answer.
pub(crate) fn json<T: serde::Serialize>(told: &T) -> Response<Body> {
    let body = serde_json::to_vec(told).unwrap_or_default();
    crate::service::answer("application/json", body.into())
}

/// A body that is JSON of one form.
async fn document<T: serde::de::DeserializeOwned>(
    hub: &Hub,
    incoming: Incoming,
    what: &str,
) -> Result<T, Error> {
    let Incoming { parts, body, .. } = incoming;
    let payload = crate::body::read(&parts.headers, body, &hub.settings, &hub.clock).await?;
    let read = serde_json::from_slice::<Object<T>>(&payload);
    read.map(|Object(it)| it)
        .map_err(|error| Error::bad_request(format!("this says no {what}: {error}")))
}
