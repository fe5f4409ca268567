//! Records: events as a function gets them, and what it says of them.
//!
//! As Kinesis' streams are given to functions, so that code that was written for those runs; what else
//! is said of an event is in a member of its own, `cloudEvent`.
//! Source: Lambda's guide to Kinesis, its example of an event and its partial batch responses.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use events::Stored;
use serde::Deserialize;
use serde_json::{Value, json};

use super::batch::{Feed, said};

/// The only part of a stream.
const SHARD: &str = "shardId-000000000000";
/// As which these functions run.
const IDENTITY: &str = "arn:aws:iam::000000000000:role/freehold";

/// What a function is given.
pub(super) fn of(feed: &Feed, events: &[Stored]) -> String {
    let records: Vec<Value> = events.iter().map(|stored| record(&feed.arn, stored)).collect();
    json!({ "Records": records }).to_string()
}

fn record(arn: &str, stored: &Stored) -> Value {
    let Stored { sequence, accepted_us, event } = stored;
    let mut about = said(event);
    if let Ok(time) = jiff::Timestamp::from_nanosecond(event.time_ns.into()) {
        about.insert("time".to_owned(), time.to_string().into());
    }
    // Kinesis has no record without a key.
    let key = if event.subject.is_empty() { &event.id } else { &event.subject };
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": key,
            "sequenceNumber": sequence.to_string(),
            "data": BASE64_STANDARD.encode(&event.data),
            "approximateArrivalTimestamp": seconds(*accepted_us),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": format!("{SHARD}:{sequence}"),
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": IDENTITY,
        "awsRegion": "local",
        "eventSourceARN": arn,
        "cloudEvent": about,
    })
}

/// Seconds since 1970, to the millisecond.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of our time fit 53 bits")]
fn seconds(us: u64) -> f64 {
    (us / 1_000) as f64 / 1_000.0
}

/// What a function says that it failed.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Said {
    batch_item_failures: Option<Vec<Failed>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    item_identifier: Option<String>,
}

/// The place of the first event that a function says it failed; none where it failed none.
///
/// # Errors
///
/// In words, where it names what it was not given: then all of it failed.
pub(super) fn failed(answer: &[u8], events: &[Stored]) -> Result<Option<usize>, String> {
    let said: Option<Said> = serde_json::from_slice(answer)
        .map_err(|error| format!("the answer does not say which events failed: {error}"))?;
    let mut first = None;
    for failed in said.and_then(|said| said.batch_item_failures).unwrap_or_default() {
        let named = failed.item_identifier.unwrap_or_default();
        let place = events.iter().position(|stored| stored.sequence.to_string() == named);
        let place = place.ok_or_else(|| {
            let named: String = named.chars().take(80).collect();
            format!("the answer names the event {named:?}, which is none of these")
        })?;
        first = Some(first.map_or(place, |first: usize| first.min(place)));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use events::Event;

    use super::*;

    fn stored(sequence: u64) -> Stored {
        let event = Event {
            time_ns: 1_431_857_103_250_000_000,
            id: format!("e{sequence}"),
            source: "/shop".to_owned(),
            kind: "sale".to_owned(),
            subject: "customer-7".to_owned(),
            attributes: [("basket".to_owned(), "3".to_owned())].into(),
            content_type: "application/json".to_owned(),
            data: bytes::Bytes::from_static(b"{\"amount\":95}"),
            ..Event::default()
        };
        Stored { sequence, accepted_us: 1_431_857_104_000_500, event }
    }

    #[test]
    fn an_event_looks_as_code_for_kinesis_expects() {
        let record = record("arn:aws:kinesis:local:000000000007:stream/s", &stored(17));
        insta::assert_snapshot!(serde_json::to_string_pretty(&record).unwrap());
    }

    #[test]
    fn the_first_event_that_failed_is_found() {
        let events: Vec<Stored> = [5, 8, 9].map(stored).into();
        let read = |answer: &str| failed(answer.as_bytes(), &events);
        for well in ["null", "{}", "{\"batchItemFailures\":null}", "{\"batchItemFailures\":[]}"] {
            assert_eq!(read(well), Ok(None), "{well}");
        }
        let two = r#"{"batchItemFailures":[{"itemIdentifier":"9"},{"itemIdentifier":"8"}]}"#;
        assert_eq!(read(two), Ok(Some(1)));
        for wrong in [
            "",
            "1",
            "{\"batchItemFailures\":[{\"itemIdentifier\":\"7\"}]}",
            "{\"batchItemFailures\":[{\"itemIdentifier\":\"\"}]}",
            "{\"batchItemFailures\":[{\"itemIdentifier\":null}]}",
            "{\"batchItemFailures\":[{}]}",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
