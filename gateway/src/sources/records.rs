//! Records: events as a function gets them, and what it says of them.
//!
//! As Kinesis' streams are given to functions, so that code that was written for those runs; what else
//! is said of an event is in a member of its own, `cloudEvent`.
//! Source: Lambda's guide to Kinesis, its example of an event and its partial batch responses.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use events::{Event, Stored};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::streams::blocking;

/// The only part of a stream.
const SHARD: &str = "shardId-000000000000";
/// As which these functions run.
const IDENTITY: &str = "arn:aws:iam::000000000000:role/freehold";

/// What a record takes beside the texts of its event: what is the same in all, and numbers.
const RECORD_BYTES: usize = 640;
/// What a function is given takes beside its records.
pub(super) const AROUND_BYTES: usize = 16;
/// Bytes of an answer above which it is read aside: below, a thread takes longer to begin.
const ASIDE_BYTES: usize = 64 << 10;

/// What a function is given, of the stream with this name in AWS's words.
pub(super) fn of(arn: &str, events: &[Stored]) -> String {
    let records: Vec<Value> = events.iter().map(|stored| record(arn, stored)).collect();
    json!({ "Records": records }).to_string()
}

/// What an event takes in what a function is given, in bytes: at most that, and little less.
pub(super) fn length(arn: &str, event: &Event) -> usize {
    let texts = texts(event).map(|(name, value)| quoted(name) + quoted(value) + 2);
    let data = event.data.len().div_ceil(3) * 4;
    RECORD_BYTES + quoted(arn) + data + quoted(key(event)) + texts.sum::<usize>()
}

/// What a text takes in JSON, at most.
fn quoted(text: &str) -> usize {
    let of = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    2 + text.bytes().map(of).sum::<usize>()
}

/// By which events belong together: the subject, or else the id, since Kinesis has no record without.
pub(super) fn key(event: &Event) -> &str {
    if event.subject.is_empty() { &event.id } else { &event.subject }
}

/// What is said of an event beside its time and its data, as `CloudEvents` names it.
pub(super) fn said(event: &Event) -> Map<String, Value> {
    texts(event).map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// Names and values, without those that nothing is said of.
fn texts(event: &Event) -> impl Iterator<Item = (&str, &str)> {
    let attributes = event.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let own = [
        ("id", event.id.as_str()),
        ("source", &event.source),
        ("type", &event.kind),
        ("subject", &event.subject),
        ("region", &event.region),
        ("group", &event.group),
        ("datacontenttype", &event.content_type),
    ];
    attributes.chain(own).filter(|(_, value)| !value.is_empty())
}

fn record(arn: &str, stored: &Stored) -> Value {
    let Stored { sequence, accepted_us, event } = stored;
    let mut about = said(event);
    if let Ok(time) = jiff::Timestamp::from_nanosecond(event.time_ns.into()) {
        about.insert("time".to_owned(), time.to_string().into());
    }
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": key(event),
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

/// The place of the first event that a function says it failed, of those with these numbers, which
/// grow; none where it failed none. A large answer is read aside.
///
/// # Errors
///
/// The inner one in words, where it cannot be read, or names what it was not given: then all of it
/// failed.
pub(super) async fn failed(
    answer: Bytes,
    numbers: Vec<u64>,
) -> Result<Result<Option<usize>, String>, Error> {
    if answer.len() <= ASIDE_BYTES {
        return Ok(first_failed(&answer, &numbers));
    }
    blocking(move || Ok(first_failed(&answer, &numbers))).await
}

fn first_failed(answer: &[u8], numbers: &[u64]) -> Result<Option<usize>, String> {
    let said: Option<Said> = serde_json::from_slice(answer)
        .map_err(|error| format!("the answer does not say which events failed: {error}"))?;
    let named = said.and_then(|said| said.batch_item_failures).unwrap_or_default();
    if named.len() > numbers.len() {
        let (named, given) = (named.len(), numbers.len());
        return Err(format!("the answer names {named} events where {given} were given"));
    }
    let mut first = None;
    for failed in named {
        let named = failed.item_identifier.unwrap_or_default();
        let number = named.parse::<u64>().ok();
        let place = number.and_then(|number| numbers.binary_search(&number).ok());
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
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    const ARN: &str = "arn:aws:kinesis:local:000000000007:stream/s";

    fn stored(sequence: u64) -> Stored {
        let event = Event {
            time_ns: 1_431_857_103_250_000_000,
            id: format!("e{sequence}"),
            source: "/shop".to_owned(),
            kind: "sale".to_owned(),
            subject: "customer-7".to_owned(),
            attributes: [("basket".to_owned(), "3".to_owned())].into(),
            content_type: "application/json".to_owned(),
            data: Bytes::from_static(b"{\"amount\":95}"),
            ..Event::default()
        };
        Stored { sequence, accepted_us: 1_431_857_104_000_500, event }
    }

    #[test]
    fn an_event_looks_as_code_for_kinesis_expects() {
        let record = record(ARN, &stored(17));
        insta::assert_snapshot!(serde_json::to_string_pretty(&record).unwrap());
    }

    #[test]
    fn the_first_event_that_failed_is_found() {
        let read = |answer: &str| first_failed(answer.as_bytes(), &[5, 8, 9]);
        for well in ["null", "{}", "{\"batchItemFailures\":null}", "{\"batchItemFailures\":[]}"] {
            assert_eq!(read(well), Ok(None), "{well}");
        }
        let two = r#"{"batchItemFailures":[{"itemIdentifier":"9"},{"itemIdentifier":"8"}]}"#;
        assert_eq!(read(two), Ok(Some(1)));
        let twice = "{\"itemIdentifier\":\"5\"},".repeat(4);
        let twice = format!("{{\"batchItemFailures\":[{}]}}", twice.trim_end_matches(','));
        assert_eq!(read(&twice).unwrap_err(), "the answer names 4 events where 3 were given");
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

    #[test]
    fn a_key_is_the_subject_or_else_the_id() {
        let mut event = stored(7).event;
        assert_eq!(key(&event), "customer-7");
        event.subject.clear();
        assert_eq!(key(&event), "e7");
    }

    /// A large answer is read as a small one is.
    #[tokio::test]
    async fn a_large_answer_is_read_too() {
        let numbers: Vec<u64> = (1..=10_000).map(|number| 3 * number).collect();
        let names = numbers[4..].iter().rev();
        let names: Vec<Value> =
            names.map(|number| json!({ "itemIdentifier": number.to_string() })).collect();
        let answer = Bytes::from(json!({ "batchItemFailures": names }).to_string());
        assert!(answer.len() > ASIDE_BYTES);
        assert_eq!(failed(answer, numbers).await.unwrap(), Ok(Some(4)));
    }

    /// Any text, with what JSON has to escape.
    fn text() -> impl Strategy<Value = String> {
        let odd =
            prop::sample::select(vec!["\u{1}", "\"", "\\", "\n", "\u{7f}", "\u{2028}", "a", "é"]);
        prop::collection::vec(odd, 0..40).prop_map(|parts| parts.concat())
    }

    prop_compose! {
        fn events()(
            texts in prop::array::uniform7(text()),
            attributes in btree_map(text(), text(), 0..8),
            data in prop::collection::vec(any::<u8>(), 0..300),
            time_ns: u64,
        ) -> Event {
            let [id, source, kind, subject, region, group, content_type] = texts;
            let data = Bytes::from(data);
            Event {
                time_ns, id, source, kind, subject, region, group, attributes, content_type, data,
            }
        }
    }

    proptest! {
        /// What is counted of an event is never too little, or a batch would not fit a call, and
        /// not much more, or batches would be small.
        #[test]
        fn a_length_is_enough(event in events(), sequence: u64, accepted_us: u64) {
            let counted = length(ARN, &event);
            let taken = of(ARN, &[Stored { sequence, accepted_us, event }]).len();
            prop_assert!(taken <= counted + AROUND_BYTES, "{taken} > {counted}");
            prop_assert!(counted <= taken + RECORD_BYTES, "{taken} << {counted}");
        }
    }
}
