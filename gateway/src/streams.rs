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
use std::path::PathBuf;
use std::sync::Arc;

use access::Action;
use api::document::Object;
use api::internal::StreamRoute;
use axum::body::Body;
use http::{Method, Response};
use parking_lot::Mutex;
use policy::segments::Retention;
use tokio::sync::OnceCell;
use types::{ErrorKind, StreamId};

use crate::error::Error;
use crate::hub::Hub;
use crate::service::Incoming;
use copies::Copies;

pub(crate) use giving::blocking;
pub(crate) use selection::{selection, zone};
pub(crate) use telling::tell;

/// How often it is looked for what is not to be kept any longer, in milliseconds.
const TEND_MS: u64 = 60_000;

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
    open: Mutex<HashMap<StreamId, Arc<OnceCell<events::Stream>>>>,
}

impl Streams {
    /// With this folder for all of them; without one there is none. And where they are copied.
    pub(crate) fn new(folder: Option<PathBuf>, copies: Option<objects::Files>) -> Self {
        Self { folder, copies: Copies::new(copies), open: Mutex::default() }
    }

    /// The folder of one, and of what belongs to it.
    fn folder(&self, id: StreamId) -> Result<PathBuf, Error> {
        let missing = || Error::Stream {
            kind: ErrorKind::Unavailable,
            message: "this gateway has no folder for streams".to_owned(),
        };
        Ok(self.folder.as_ref().ok_or_else(missing)?.join(id.to_string()))
    }

    /// Whether one has a folder here, and is not open.
    fn is_here(&self, id: StreamId) -> bool {
        let is_open = self.open.lock().get(&id).is_some_and(|it| it.get().is_some());
        !is_open && self.folder(id).is_ok_and(|folder| folder.is_dir())
    }

    /// Where records of runs are kept.
    pub(crate) fn runs_folder(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.with_file_name("runs"))
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
        let cell = Arc::clone(self.open.lock().entry(told.stream).or_default());
        let opened = cell.get_or_try_init(|| async {
            let claimed = hub.control.claim_stream(told.stream).await.map_err(|cause| {
                tracing::warn!(%cause, "a stream was not claimed of control");
                Error::NoControl
            })?;
            if !claimed.yours {
                return Err(Error::StreamElsewhere { gateway: claimed.gateway });
            }
            self.copies.restore(told.stream, &folder).await?;
            let settings = events::Settings { dedupe_window_ms: told.spec.dedupe_window_ms };
            let opened =
                events::Stream::open(&folder, settings, hub.clock.clone(), &hub.tasks).await;
            let opened = opened.map_err(Error::from)?;
            hub.sources.opened(told.stream, opened.committed());
            Ok(opened)
        });
        opened.await.cloned()
    }
}

/// Keeps open streams as long as their owners want, and removes those that they removed; until the
/// gateway stops.
pub(crate) async fn tend(hub: Arc<Hub>) {
    let stopping = hub.tasks.stopping();
    let mut generation = hub.generation.subscribe();
    let mut known: HashSet<StreamId> = HashSet::new();
    while !stopping.is_cancelled() {
        let told: Vec<_> = hub.table.load().streams().map(Arc::clone).collect();
        // A gateway that stops knows of no streams any more, and none of them was removed.
        if stopping.is_cancelled() {
            break;
        }
        let now: HashSet<StreamId> = told.iter().map(|told| told.stream).collect();
        for gone in known.difference(&now) {
            remove(&hub, *gone).await;
        }
        known = now;
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
            if let Err(error) = copied(&hub, told.stream).await {
                tracing::warn!(stream = %told.name, %error, "a stream was not copied");
            }
        }
        tokio::select! {
            _ = generation.changed() => {}
            () = hub.clock.sleep_ms(TEND_MS) => {}
            () = stopping.cancelled() => break,
        }
    }
    // Whoever still reads holds its own.
    hub.streams.open.lock().clear();
}

/// Has what is sealed of a stream that is open here copied.
async fn copied(hub: &Hub, id: StreamId) -> Result<(), Error> {
    let open = hub.streams.open.lock().get(&id).and_then(|it| it.get().cloned());
    match open {
        Some(stream) => hub.streams.copies.copy(id, &stream.kept()).await,
        None => Ok(()),
    }
}

/// Removes what is older, or more, than its owner wants.
async fn retain(hub: &Hub, told: &StreamRoute) {
    let retention =
        Retention { age_ms_max: told.spec.retain_ms, bytes_max: told.spec.retain_bytes };
    let open = hub.streams.open.lock().get(&told.stream).and_then(|it| it.get().cloned());
    let Some(stream) = open.filter(|_| retention != Retention::default()) else { return };
    if let Err(error) = stream.retain(retention).await {
        let cause = workflow::chain(&error);
        tracing::warn!(stream = %told.name, cause, "old events were not removed");
    }
}

/// Removes a stream's events, once nobody reads them any more.
async fn remove(hub: &Hub, id: StreamId) {
    let held = hub.streams.open.lock().remove(&id);
    drop(held);
    if let Err(error) = hub.streams.copies.remove(id).await {
        tracing::warn!(stream = %id, %error, "the copy of a removed stream is still there");
    }
    let Ok(folder) = hub.streams.folder(id) else { return };
    let removed = blocking(move || match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::from(events::Error::Input(error)))
        }
        _ => Ok(()),
    });
    // What could not be removed was told, and lies in a folder that nothing leads to.
    let _ = removed.await;
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
        StreamVerb::Events => taking::append(hub, &stream, incoming).await,
        StreamVerb::Imports => taking::import(hub, stream, incoming).await,
        StreamVerb::Stats => giving::stats(stream, &incoming.parts).await,
        StreamVerb::Drift => drift::stream(stream, &incoming.parts).await,
        StreamVerb::Labels => taking::label(hub, &stream, incoming).await,
        StreamVerb::Synthetic => synthetic::make(hub, (name, stream), incoming).await,
        StreamVerb::Forget => {
            let answer = taking::forget(hub, &stream, incoming).await?;
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
