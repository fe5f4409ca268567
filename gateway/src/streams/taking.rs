//! Events taken: one by one, in batches, out of files; what became of them; and events removed.
//!
//! Always true: an answer comes once the events are safe; a batch is taken whole or not at all; a file
//! is kept beside until it is read, on the disk of the streams, so that memory does not grow with it.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};

use api::streams::{
    AppendedEvents, ForgetSubject, ForgottenEvents, ImportFault, ImportQuery, ImportedEvents,
    LabelEvents, LabelRule, LabelledEvents,
};
use axum::body::Body;
use events::import::{Format, Options};
use events::key::scratch::{Scratch, Writing};
use events::labels::LABEL_BYTES_MAX;
use http::Response;
use http_body_util::BodyExt as _;

use super::giving::blocking;
use super::{Long, broken, document, json, number, parameters, read, selection};
use crate::body;
use crate::error::Error;
use crate::hub::Hub;
use crate::limits::Place;
use crate::service::Incoming;

/// Largest file that is imported at once: a day of a busy site's log.
const FILE_BYTES_MAX: u64 = 16 << 30;

/// Labels of a rule that are written at a time.
const LABELS_AT_ONCE: usize = 1_000;

/// Takes one event or a batch of them.
pub(super) async fn append(
    hub: &Hub,
    stream: &events::Stream,
    incoming: Incoming,
) -> Result<Response<Body>, Error> {
    let Incoming { parts, body, .. } = incoming;
    let payload = body::read(&parts.headers, body, &hub.settings, &hub.clock).await?;
    let said = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let taken = events::cloudevents::read(said, &payload, hub.clock.now_us());
    let taken = taken.map_err(|refused| Error::bad_request(refused.to_string()))?;
    let taken = taken.ok_or_else(|| Error::BodyUnknown {
        what: told(&parts.headers),
        takes: "events of CloudEvents: application/cloudevents+json, \
                application/cloudevents-batch+json, or headers that begin with ce-",
    })?;
    let appended = stream.append(taken).await.map_err(Error::from)?;
    let events::Appended { first, stored, known } = appended;
    Ok(json(&AppendedEvents { stored, known, first }))
}

/// The media type of a body, cut.
fn told(headers: &http::HeaderMap) -> String {
    let value = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or("?").chars().take(80).collect()
}

/// Takes a file.
pub(super) async fn import(
    hub: &Hub,
    stream: events::Stream,
    incoming: Incoming,
    place: Place,
) -> Result<Response<Body>, Error> {
    let Incoming { parts, body, .. } = incoming;
    let mut asked = parameters(&parts.uri)?;
    let year = number(&mut asked, "year")?;
    let query = ImportQuery { year, ..read(asked)? };
    let (format, options) = options(query, hub.clock.now_us())?;
    let file = keep(hub, body, stream.is_encrypted()).await?;
    let long = hub.streams.long(place).await?;
    let imported = blocking(move || {
        let _long = long;
        let imported = match file {
            Kept::Plain(file) => stream.import(format, file, &options),
            Kept::Encrypted(scratch) => stream.import(format, scratch, &options),
        };
        imported.map_err(Error::from)
    });
    let summary = imported.await?;
    let faults = summary.refusals.into_iter();
    Ok(json(&ImportedEvents {
        records: summary.read,
        stored: summary.stored,
        known: summary.known,
        refused: summary.refused,
        passed_over: summary.passed_over,
        faults: faults.map(|it| ImportFault { record: it.line, problem: it.why }).collect(),
    }))
}

fn options(query: ImportQuery, accepted_us: u64) -> Result<(Format, Options), Error> {
    let format = match query.format.as_str() {
        "jsonl" => Format::JsonLines,
        "csv" => Format::Csv,
        "parquet" => Format::Parquet,
        "weblog" => Format::WebLog,
        "sshd" => Format::Sshd,
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(Error::bad_request(format!(
                "format={other}: use jsonl, csv, parquet, weblog or sshd"
            )));
        }
    };
    let mapping = query.map.unwrap_or_default().parse();
    let mapping = mapping
        .map_err(|fault: events::import::MappingFault| Error::bad_request(fault.to_string()))?;
    let base = Options { mapping, accepted_us, ..Options::default() };
    let options = Options {
        source: query.source.unwrap_or_default(),
        kind: query.kind.unwrap_or_default(),
        year: query.year.unwrap_or(base.year),
        zone: query.zone.unwrap_or_else(|| base.zone.clone()),
        ..base
    };
    Ok((format, options))
}

/// A body, while it is written into a file that has no name any more.
enum Keeping {
    Plain(File),
    Encrypted(Box<Writing>),
}

/// A body that is kept.
enum Kept {
    Plain(File),
    Encrypted(Scratch),
}

impl Keeping {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Encrypted(writing) => writing.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<Kept> {
        match self {
            Self::Plain(mut file) => {
                file.seek(SeekFrom::Start(0))?;
                Ok(Kept::Plain(file))
            }
            Self::Encrypted(writing) => Ok(Kept::Encrypted(writing.finish()?)),
        }
    }
}

/// Keeps a body; encrypted by a key that is nowhere else, where its stream is encrypted.
async fn keep(hub: &Hub, mut body: Body, is_encrypted: bool) -> Result<Kept, Error> {
    let unsafe_disk = |error: io::Error| Error::from(events::Error::Input(error));
    let folder = hub.streams.unfinished_folder()?;
    let file = blocking(move || {
        let made = std::fs::create_dir_all(&folder).and_then(|()| tempfile::tempfile_in(&folder));
        made.map_err(|error| Error::from(events::Error::Input(error)))
    });
    let file = file.await?;
    let mut keeping = if is_encrypted {
        Keeping::Encrypted(Box::new(Writing::new(file)))
    } else {
        Keeping::Plain(file)
    };
    let pause_ms = hub.settings.body_pause_ms_max;
    let mut bytes = 0;
    loop {
        let frame = hub.clock.within_ms(pause_ms, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Error::BodyStalled { pause_ms })? else { break };
        let Ok(data) = frame.map_err(|_| Error::BodyBroken)?.into_data() else { continue };
        bytes += data.len() as u64;
        if bytes > FILE_BYTES_MAX {
            let bytes_max = usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX);
            return Err(Error::BodyTooLarge { bytes_max });
        }
        keeping = blocking(move || {
            keeping.write(&data).map_err(|error| Error::from(events::Error::Input(error)))?;
            Ok(keeping)
        })
        .await?;
    }
    blocking(move || keeping.finish().map_err(unsafe_disk)).await
}

/// Takes what became of events.
pub(super) async fn label(
    hub: &Hub,
    stream: &events::Stream,
    incoming: Incoming,
    place: Place,
) -> Result<Response<Body>, Error> {
    let told: LabelEvents = document(hub, incoming, "labels").await?;
    let ruled = match told.rule {
        Some(rule) => by_rule(stream.clone(), rule, hub.streams.long(place).await?).await?,
        None => 0,
    };
    let labels: Vec<_> = told
        .labels
        .into_iter()
        .map(|it| events::Label { source: it.source, id: it.id, label: it.label })
        .collect();
    let count = labels.len() as u64;
    stream.label(labels).await.map_err(Error::from)?;
    Ok(json(&LabelledEvents { labels: ruled + count }))
}

/// Tells the label of every event that a rule selects; gives how many.
async fn by_rule(stream: events::Stream, rule: LabelRule, long: Long) -> Result<u64, Error> {
    if rule.label.len() > LABEL_BYTES_MAX {
        // Also where it selects nothing.
        let message =
            format!("the label has {} bytes; use at most {LABEL_BYTES_MAX}", rule.label.len());
        return Err(Error::from(events::Error::Label { message }));
    }
    let mut chosen = selection(&rule.selection)?;
    // What comes meanwhile was not meant.
    chosen.until_sequence.get_or_insert(*stream.committed().borrow());
    let runtime = tokio::runtime::Handle::current();
    blocking(move || {
        let _long = long;
        let mut selected = stream.select(&chosen)?.peekable();
        let mut count = 0;
        while selected.peek().is_some() {
            let label = |it: events::Selected| events::Label {
                source: it.event.source,
                id: it.event.id,
                label: rule.label.clone(),
            };
            let some = selected.by_ref().take(LABELS_AT_ONCE);
            let labels = some.map(|it| it.map(label)).collect::<Result<Vec<_>, _>>()?;
            count += labels.len() as u64;
            runtime.block_on(stream.label(labels))?;
        }
        Ok(count)
    })
    .await
}

/// Removes the events of a subject.
pub(super) async fn forget(
    hub: &Hub,
    stream: events::Stream,
    incoming: Incoming,
    place: Place,
) -> Result<Response<Body>, Error> {
    let whose: ForgetSubject = document(hub, incoming, "subject").await?;
    if whose.subject.is_empty() {
        return Err(Error::bad_request("an empty subject is nobody: say whose events are to go"));
    }
    let long = hub.streams.long(place).await?;
    // It is done to its end, also where whoever asked has gone.
    let forgetting = hub.tasks.spawn("stream forgets", async move {
        let _long = long;
        stream.forget(&whose.subject).await.map_err(Error::from)
    });
    let forgotten = forgetting.await.map_err(|fault| broken(&fault.to_string()))??;
    Ok(json(&ForgottenEvents { events: forgotten.events }))
}
