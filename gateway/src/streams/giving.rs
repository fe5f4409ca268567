//! Events given out, and summed up.
//!
//! Always true: events come in the order of their times, while they are read, a piece at a time: no
//! answer is held whole; whoever reads slowly holds up no one else.

use std::io::{self, Write};

use api::streams::{EventsQuery, StreamStats};
use axum::body::Body;
use bytes::Bytes;
use events::select::{Counted, Selection};
use http::request::Parts;
use http::{HeaderValue, Response, header};
use tokio::sync::mpsc;
use types::ErrorKind;
use workflow::Clock;

use super::{json, number, parameters, read, selection};
use crate::error::Error;
use crate::hub::Hub;
use crate::limits::Place;

/// Bytes of a piece of an answer, and how many may wait for their reader.
const PIECE_BYTES: usize = 64 << 10;
const PIECES_MAX: usize = 4;

/// Gives events as they are asked for.
pub(super) async fn events(
    hub: &Hub,
    stream: events::Stream,
    parts: &Parts,
    place: Place,
) -> Result<Response<Body>, Error> {
    let mut asked = parameters(&parts.uri)?;
    let limit = number::<u64>(&mut asked, "limit")?;
    let format = asked.remove("format").and_then(|it| it.as_str().map(str::to_owned));
    let query = EventsQuery { format, limit };
    let chosen = selection(&read(asked)?)?;
    let (format, kind) = match query.format.as_deref().unwrap_or("jsonl") {
        "jsonl" => (events::export::Format::JsonLines, "application/jsonl"),
        "csv" => (events::export::Format::Csv, "text/csv"),
        "parquet" => (events::export::Format::Parquet, "application/vnd.apache.parquet"),
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(Error::bad_request(format!("format={other}: use jsonl, csv or parquet")));
        }
    };
    // What cannot be selected is told before the answer begins.
    let checked = stream.clone();
    let first = chosen.clone();
    let long = hub.streams.long(place).await?;
    blocking(move || checked.select(&first).map(drop).map_err(Error::from)).await?;
    let (reader, body) = mpsc::channel(PIECES_MAX);
    let limit = query.limit.unwrap_or(u64::MAX);
    let (clock, pause_ms) = (hub.clock.clone(), hub.settings.body_pause_ms_max);
    let runtime = tokio::runtime::Handle::current();
    let buffer = Vec::with_capacity(PIECE_BYTES);
    let mut out = Pieces { buffer, reader, runtime, clock, pause_ms };
    hub.tasks.spawn("stream given", async move {
        let ended = blocking(move || {
            let _long = long;
            write(&stream, (&chosen, limit, format), &mut out)
        });
        let ended = ended.await;
        if let Err(error) = ended {
            tracing::debug!(%error, "a stream was not given to its end");
        }
    });
    let body = futures::stream::unfold(body, |mut body| async move {
        body.recv().await.map(|piece| (piece, body))
    });
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

fn write(
    stream: &events::Stream,
    (chosen, limit, format): (&Selection, u64, events::export::Format),
    out: &mut Pieces,
) -> Result<(), Error> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let written = stream
        .select(chosen)
        .and_then(|chosen| events::export::write(format, chosen.take(limit), &mut *out));
    let flushed = written
        .map_err(Error::from)
        .and_then(|_| out.flush().map_err(|error| Error::bad_request(error.to_string())));
    if let Err(error) = &flushed {
        // Whoever reads is told by an answer that breaks off.
        let _ = out.send(Err(io::Error::other(error.to_string())));
    }
    flushed
}

/// Writes into an answer's body, piece by piece; waits for a reader that is slow, and not for one that
/// reads nothing.
struct Pieces {
    buffer: Vec<u8>,
    reader: mpsc::Sender<io::Result<Bytes>>,
    runtime: tokio::runtime::Handle,
    clock: Clock,
    pause_ms: u64,
}

impl Pieces {
    fn send(&self, piece: io::Result<Bytes>) -> io::Result<()> {
        let gone = |why: &str| io::Error::new(io::ErrorKind::BrokenPipe, why.to_owned());
        let sent = self.clock.within_ms(self.pause_ms, self.reader.send(piece));
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(gone("the reader has gone")),
            Err(_) => Err(gone("the reader reads nothing")),
        }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE_BYTES));
        self.send(Ok(piece.into()))
    }
}

/// Sums up what is asked for.
pub(super) async fn stats(
    hub: &Hub,
    stream: events::Stream,
    parts: &Parts,
    place: Place,
) -> Result<Response<Body>, Error> {
    let chosen = selection(&read(parameters(&parts.uri)?)?)?;
    let long = hub.streams.long(place).await?;
    let summed = blocking(move || {
        let _long = long;
        stream.stats(&chosen).map_err(Error::from)
    });
    let (stats, found) = summed.await?;
    let top = |counted: Counted| counted.top.into_iter().collect();
    Ok(json(&StreamStats {
        events: stats.events,
        first_ns: stats.first_ns,
        last_ns: stats.last_ns,
        rate_mean_uhz: stats.rate_mean_uhz,
        rate_peak_per_s: stats.rate_peak_per_s,
        types: top(stats.kinds),
        regions: top(stats.regions),
        groups: top(stats.groups),
        stream_disordered: stats.stream_disordered,
        stream_bytes: stats.stream_bytes,
        segments_read: found.segments_read,
        segments_pruned: found.segments_pruned,
    }))
}

/// Work that waits for the disk, on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let panicked = |fault: tokio::task::JoinError| {
        Err(Error::Stream { kind: ErrorKind::Internal, message: fault.to_string() })
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(panicked)
}
