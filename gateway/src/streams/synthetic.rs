//! Events made like recorded ones.
//!
//! Always true: memory is bounded, whatever is drawn from; what was made by one seed is not stored
//! again when it is asked for again.

use access::Action;
use api::streams::{MadeEvents, MakeEvents};
use axum::body::Body;
use events::synthetic::{Prior, Settings};
use http::Response;

use super::selection::{time_ns, zone};
use super::{document, json, opened, selection};
use crate::error::Error;
use crate::hub::Hub;
use crate::limits::Place;
use crate::service::Incoming;

/// Events that are appended at a time.
const APPENDED: usize = 1_000;

/// Makes events, and appends them to a stream.
pub(super) async fn make(
    hub: &Hub,
    (name, stream): (&str, events::Stream),
    incoming: Incoming,
    place: Place,
) -> Result<Response<Body>, Error> {
    let (_, known) = hub.member(&incoming.parts.headers, Action::StreamsRead)?;
    let how: MakeEvents = document(hub, incoming, "events that are to be made").await?;
    let (_, from) = opened(hub, known.account_name.as_str(), how.from.as_str()).await?;
    let mut chosen = selection(&how.selection)?;
    // What is appended is not drawn from, where a stream is drawn from itself.
    chosen.until_sequence.get_or_insert(*from.committed().borrow());
    let zone = zone(how.selection.zone.as_deref())?;
    let start = how.start.as_deref().map(|start| time_ns(start, &zone));
    let seed = how.seed.unwrap_or_else(|| u64::from_le_bytes(hub.clock.random::<8>()));
    let settings = Settings {
        seed,
        source: format!("/synthetic/{name}"),
        start_ns: start.transpose()?.unwrap_or(0),
        jitter_ppm: how.jitter_ppm,
        apart: how.apart,
    };
    let runtime = tokio::runtime::Handle::current();
    let long = hub.streams.long(place).await?;
    let made = super::blocking(move || {
        let _long = long;
        let prior = Prior::learn(from.select(&chosen)?, seed)?;
        let mut made = MadeEvents { seed, stored: 0, known: 0 };
        let mut drawn = prior.draw(&settings, how.events)?.peekable();
        while drawn.peek().is_some() {
            let batch = drawn.by_ref().take(APPENDED).collect();
            let appended = runtime.block_on(stream.append(batch))?;
            made.stored += appended.stored;
            made.known += appended.known;
        }
        Ok(made)
    });
    Ok(json(&made.await?))
}
