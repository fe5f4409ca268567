//! Streams: recorded events, held by this gateway in a folder of its own.
//!
//! Always true: a stream has one writer, the gateway that asked control first, so an event that comes
//! again finds the one that is there; what is acknowledged is on this disk; who may read or add is
//! asked each time.
//! Absent on purpose: which streams there are (control), and how events are kept (`events`).

pub(crate) mod drift;
mod giving;
mod selection;
mod taking;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use access::Action;
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

pub(crate) use giving::blocking;
pub(crate) use selection::{selection, zone};

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
}

/// The streams that are open here.
pub(crate) struct Streams {
    folder: Option<PathBuf>,
    open: Mutex<HashMap<StreamId, Arc<OnceCell<events::Stream>>>>,
}

impl Streams {
    /// With this folder for all of them; without one there is none.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, open: Mutex::default() }
    }

    /// The folder of one, and of what belongs to it.
    fn folder(&self, id: StreamId) -> Result<PathBuf, Error> {
        let missing = || Error::Stream {
            kind: ErrorKind::Unavailable,
            message: "this gateway has no folder for streams".to_owned(),
        };
        Ok(self.folder.as_ref().ok_or_else(missing)?.join(id.to_string()))
    }

    /// Where records of runs are kept.
    pub(crate) fn runs_folder(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.with_file_name("runs"))
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
            let settings = events::Settings { dedupe_window_ms: told.spec.dedupe_window_ms };
            let opened =
                events::Stream::open(&folder, settings, hub.clock.clone(), &hub.tasks).await;
            opened.map_err(Error::from)
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
        let now: HashSet<StreamId> = told.iter().map(|told| told.stream).collect();
        for gone in known.difference(&now) {
            remove(&hub, *gone).await;
        }
        known = now;
        for told in told {
            retain(&hub, &told).await;
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
    let action = if reads { Action::StreamsRead } else { Action::StreamsAppend };
    let (caller, known) = hub.member(&incoming.parts.headers, action)?;
    let told = hub.table.load().stream(known.account_name.as_str(), name);
    let told = told.ok_or_else(|| Error::NoStream { stream: name.chars().take(160).collect() })?;
    let place = hub.place(&caller, incoming.from())?;
    let stream = hub.streams.open(hub, &told).await?;
    match verb {
        StreamVerb::Events if reads => giving::events(hub, stream, &incoming.parts, place).await,
        StreamVerb::Events => taking::append(hub, &stream, incoming).await,
        StreamVerb::Imports => taking::import(hub, stream, incoming).await,
        StreamVerb::Stats => giving::stats(stream, &incoming.parts).await,
        StreamVerb::Drift => drift::stream(stream, &incoming.parts).await,
        StreamVerb::Labels => taking::label(hub, &stream, incoming).await,
    }
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
