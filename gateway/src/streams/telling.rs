//! Streams that are told what became of functions' events, each by an event of its own.
//!
//! Always true: what is told again is known again, within the window of the stream.

use api::internal::functions::{EventEnded, TakenEvent};
use bytes::Bytes;
use types::{ErrorKind, Name};

use crate::error::Error;
use crate::hub::Hub;

/// The media type of one event as JSON.
const EVENT: (&str, &[u8]) = ("content-type", b"application/cloudevents+json");

/// Appends the payload of an event to a stream of its account, and says what came of it.
pub(crate) async fn tell(hub: &Hub, event: &TakenEvent, stream: &Name) -> EventEnded {
    let failed = |error: &str, payload: String| EventEnded::Failed {
        version: String::new(),
        error: error.to_owned(),
        payload,
    };
    match append(hub, event, stream).await {
        Ok(()) => EventEnded::Answered { version: String::new(), payload: String::new() },
        Err(error @ Error::NoStream { .. }) => failed("Stream.NotFound", error.to_string()),
        // Whoever takes it next may be the one.
        Err(error @ Error::StreamElsewhere { .. }) => {
            EventEnded::NotRun { throttled: true, reason: error.to_string() }
        }
        Err(error) if error.kind() == ErrorKind::BadRequest => {
            failed("Stream.Refused", error.to_string())
        }
        Err(error) => EventEnded::NotRun { throttled: false, reason: error.to_string() },
    }
}

async fn append(hub: &Hub, event: &TakenEvent, stream: &Name) -> Result<(), Error> {
    let told = hub.table.load().stream(event.account_name.as_str(), stream.as_str());
    let told = told.ok_or_else(|| Error::NoStream { stream: stream.to_string() })?;
    let payload = Bytes::from(event.payload.clone());
    let read = events::cloudevents::read([EVENT].into_iter(), &payload, hub.clock.now_us());
    let events = read.map_err(|refused| Error::bad_request(refused.to_string()))?;
    let stream = hub.streams.open(hub, &told).await?;
    stream.append(events.unwrap_or_default()).await?;
    Ok(())
}
