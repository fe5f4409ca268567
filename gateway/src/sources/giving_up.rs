//! Giving up: having control keep, or tell, what a function could not be given.
//!
//! Always true: where nobody is told, a dead event has no more than may be kept of one, and what was
//! too much for one is several, each of which the function can be given again as it was given first.
//! Absent on purpose: who is told, which control finds.

use api::internal::functions::EVENT_KEPT_BYTES_MAX;
use api::internal::functions::sources::{GivenUp, TELLING_TYPES, TOLD};
use events::{Event, Stored};
use policy::feeding::Condition;
use sha2::{Digest as _, Sha256};
use types::EventId;

use super::batch::Feed;
use super::{Tries, records, stays};
use crate::hub::Hub;

/// Between two tries to have something given up while control is away, in milliseconds.
const TELL_MS: u64 = 1_000;

/// Has events given up, and tells whether they are: until control has heard it, or the source is
/// changed.
pub(super) async fn give_up(
    hub: &Hub,
    feed: &Feed,
    (events, condition): (&[Stored], Condition),
    tries: &Tries,
) -> bool {
    // Whoever is told hears of all at once, and reads them out of the stream.
    let most = if feed.told.spec.on_failure.is_some() { usize::MAX } else { EVENT_KEPT_BYTES_MAX };
    for part in parts(&feed.arn, events, most) {
        if !tell(hub, feed, given_up(feed, part, condition, tries)).await {
            return false;
        }
    }
    true
}

/// Cuts events into parts of so many bytes, as functions are given them; one that is larger is alone.
fn parts<'a>(
    arn: &'a str,
    mut events: &'a [Stored],
    most: usize,
) -> impl Iterator<Item = &'a [Stored]> {
    std::iter::from_fn(move || {
        let mut bytes = records::AROUND_BYTES;
        let fits = |stored: &&Stored| {
            bytes = bytes.saturating_add(records::length(arn, &stored.event));
            bytes <= most
        };
        let count = events.iter().take_while(fits).count().max(1).min(events.len());
        let part;
        (part, events) = events.split_at(count);
        (!part.is_empty()).then_some(part)
    })
}

/// What is told of events that are given up.
fn given_up(feed: &Feed, events: &[Stored], condition: Condition, tries: &Tries) -> GivenUp {
    let (first, last) = (&events[0], &events[events.len() - 1]);
    let digest = Sha256::new()
        .chain_update(feed.told.source.uuid().as_bytes())
        .chain_update(first.sequence.to_le_bytes())
        .chain_update(last.sequence.to_le_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    let fits = |text: &String| text.len() <= EVENT_KEPT_BYTES_MAX;
    GivenUp {
        id: EventId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid()),
        condition: condition.as_str().to_owned(),
        first: first.sequence,
        last: last.sequence,
        count: events.len() as u64,
        first_at_ms: first.accepted_us / 1_000,
        last_at_ms: last.accepted_us / 1_000,
        attempts: tries.count,
        error: tries.error.clone(),
        message: tries.message.clone(),
        told: events.iter().map(|stored| told(&stored.event)).max().unwrap_or_default(),
        payload: Some(records::of(&feed.arn, events)).filter(fits),
    }
}

/// How many destinations were told before an event, where that is what it tells of.
fn told(event: &Event) -> u32 {
    let is_telling = TELLING_TYPES.contains(&event.kind.as_str());
    let told = event.attributes.get(TOLD).filter(|_| is_telling);
    told.and_then(|told| told.parse().ok()).unwrap_or_default()
}

async fn tell(hub: &Hub, feed: &Feed, given_up: GivenUp) -> bool {
    let mut was_refused = false;
    loop {
        match hub.control.give_up(feed.told.source, given_up.clone()).await {
            Ok(()) => return true,
            Err(cause) if cause.refused && !was_refused => {
                was_refused = true;
                let (source, first) = (feed.told.source, given_up.first);
                tracing::warn!(%source, first, %cause, "control refuses to have events given up");
            }
            Err(cause) => tracing::debug!(%cause, "events could not be given up yet"),
        }
        hub.clock.sleep_ms(TELL_MS).await;
        if !stays(hub, &feed.told) {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ARN: &str = "arn:aws:kinesis:local:000000000007:stream/s";

    fn stored(sequence: u64, bytes: usize) -> Stored {
        let event = Event { id: "e".to_owned(), data: vec![7; bytes].into(), ..Event::default() };
        Stored { sequence, accepted_us: 1, event }
    }

    proptest! {
        /// Every event is in one part, in order, and no part is more than may be kept but for one
        /// event that is so alone.
        #[test]
        fn parts_are_all_and_fit(sizes in prop::collection::vec(0_usize..3_000, 0..40)) {
            let most = 5_000;
            let events: Vec<Stored> =
                (1..).zip(&sizes).map(|(number, bytes)| stored(number, *bytes)).collect();
            let parts: Vec<&[Stored]> = parts(ARN, &events, most).collect();
            prop_assert_eq!(&parts.concat(), &events);
            for part in parts {
                prop_assert!(records::of(ARN, part).len() <= most || part.len() == 1);
            }
        }
    }

    #[test]
    fn only_what_tells_of_something_says_how_often_that_was_told() {
        let mut event = stored(1, 0).event;
        event.attributes.insert(TOLD.to_owned(), "3".to_owned());
        assert_eq!(told(&event), 0, "an attribute of its sender's");
        for kind in TELLING_TYPES {
            kind.clone_into(&mut event.kind);
            assert_eq!(told(&event), 3, "{kind}");
        }
        event.attributes.insert(TOLD.to_owned(), "many".to_owned());
        assert_eq!(told(&event), 0);
    }
}
