//! Events as `CloudEvents`: taken from requests, and written as JSON.
//!
//! The extensions `region` and `group` are an event's region and group; all others are attributes.
//!
//! Always true: what is written is read back as the same event, but for white space between the
//! parts of data that is JSON.
//! Absent on purpose: what is no JSON; see `formats::cloudevents`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use formats::cloudevents::{Message, messages};
use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::event::{Event, LABEL};

/// Why a request has no events that can be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not as `CloudEvents` says.
    #[error(transparent)]
    Message(#[from] formats::cloudevents::Error),
    /// A time is none.
    #[error("event {position} of {count}: the time {time:?} is not like 2026-05-17T10:05:03.25Z")]
    Time {
        /// Its place, from 1.
        position: usize,
        /// How many there are.
        count: usize,
        /// What it says, cut.
        time: String,
    },
}

/// The events that a request carries, accepted now, in Unix microseconds: those without a time
/// happened then. None where it says nothing of events. `headers` are names in small letters.
///
/// # Errors
///
/// [`Error`] where one of them is no event; none of them is given then.
pub fn read<'h>(
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    body: &Bytes,
    accepted_us: u64,
) -> Result<Option<Vec<Event>>, Error> {
    let Some(messages) = messages(headers, body)? else { return Ok(None) };
    let count = messages.len();
    let of = |(message, position)| {
        event(message, accepted_us).map_err(|time| Error::Time { position, count, time })
    };
    messages.into_iter().zip(1..).map(of).collect::<Result<_, _>>().map(Some)
}

/// The event of a message; else its time, which is none.
pub(crate) fn event(message: Message, accepted_us: u64) -> Result<Event, String> {
    let Message { id, source, kind, time, subject, content_type, mut attributes, data } = message;
    let time_ns = match time {
        None => accepted_us.saturating_mul(1_000),
        Some(time) => {
            let told = time.parse::<Timestamp>().ok();
            let told = told.and_then(|told| u64::try_from(told.as_nanosecond()).ok());
            told.ok_or_else(|| time.chars().take(60).collect::<String>())?
        }
    };
    let mut take = |name: &str| attributes.remove(name).unwrap_or_default();
    let (region, group) = (take("region"), take("group"));
    let (subject, content_type) = (subject.unwrap_or_default(), content_type.unwrap_or_default());
    Ok(Event { time_ns, id, source, kind, subject, region, group, attributes, content_type, data })
}

/// An event as JSON of `CloudEvents`, on one line.
pub fn to_json(event: &Event) -> String {
    labelled(event, None)
}

/// As [`to_json`], with a label as the attribute `label`.
pub(crate) fn labelled(event: &Event, label: Option<&str>) -> String {
    let time = Timestamp::from_nanosecond(event.time_ns.into()).unwrap_or(Timestamp::MAX);
    let time = time.to_string();
    let mut json = String::with_capacity(256 + event.data.len());
    json.push_str("{\"specversion\":\"1.0\"");
    let texts = [
        ("id", event.id.as_str()),
        ("source", &event.source),
        ("type", &event.kind),
        ("time", &time),
        ("subject", &event.subject),
        ("region", &event.region),
        ("group", &event.group),
        ("datacontenttype", &event.content_type),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        push(&mut json, name, &quoted(text));
    }
    for (name, value) in &event.attributes {
        if label.is_none() || name != LABEL {
            push(&mut json, name, &quoted(value));
        }
    }
    if let Some(label) = label {
        push(&mut json, LABEL, &quoted(label));
    }
    if let Some((name, data)) = data(event) {
        push(&mut json, name, &data);
    }
    json.push('}');
    json
}

fn push(json: &mut String, name: &str, value: &str) {
    json.push(',');
    json.push_str(&quoted(name));
    json.push(':');
    json.push_str(value);
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The member that the data is, and its value; none where there is no data.
fn data(event: &Event) -> Option<(&'static str, String)> {
    if event.data.is_empty() {
        return None;
    }
    let essence = event.content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let is_json = essence.is_empty() || essence.ends_with("/json") || essence.ends_with("+json");
    let text = std::str::from_utf8(&event.data).ok();
    let json = text.filter(|_| is_json);
    let json = json.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    // A null is as if there were none.
    if let Some(json) = json.filter(|json| json.get() != "null") {
        return Some(("data", on_one_line(json.get())));
    }
    if let Some(text) = text.filter(|_| essence.starts_with("text/") && !is_json) {
        return Some(("data", quoted(text)));
    }
    Some(("data_base64", quoted(&BASE64_STANDARD.encode(&event.data))))
}

/// JSON without line feeds, which may stand between its parts only.
fn on_one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::tests::any_event;

    const STRUCTURED: (&str, &[u8]) = ("content-type", b"application/cloudevents+json");

    fn back(json: String) -> Event {
        let read = read([STRUCTURED].into_iter(), &Bytes::from(json), 7).unwrap().unwrap();
        read.into_iter().next().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            event in any_event(),
            content_type in prop::sample::select(
                vec!["", "application/json", "text/plain; charset=utf-8", "application/x+json", "a/b"]),
            text in prop::option::of("\\PC{0,20}|[ \n]{0,2}\\{\"a\":[1,2.50]\n\\}|null"),
        ) {
            let data = text.map_or(event.data.clone(), Bytes::from);
            let event = Event { content_type: content_type.to_owned(), data, ..event };
            let json = to_json(&event);
            prop_assert!(!json.contains('\n'));
            let read = back(json);
            let value = |data: &Bytes| serde_json::from_slice::<serde_json::Value>(data).ok();
            if read.data != event.data {
                prop_assert!(value(&read.data).is_some());
                prop_assert_eq!(value(&read.data), value(&event.data));
            }
            prop_assert_eq!(Event { data: event.data.clone(), ..read }, event);
        }
    }

    #[test]
    fn an_event_looks_as_others_expect() {
        let event = Event {
            time_ns: 1_431_857_103_250_000_000,
            id: "7".to_owned(),
            source: "/shop".to_owned(),
            kind: "order".to_owned(),
            subject: "anna \"b\"".to_owned(),
            region: "eu".to_owned(),
            attributes: [("basket".to_owned(), "3".to_owned())].into(),
            content_type: "application/json".to_owned(),
            data: Bytes::from_static(b"{\"a\":\n1}"),
            ..Event::default()
        };
        insta::assert_snapshot!(to_json(&event));
    }

    #[test]
    fn an_event_without_a_time_happened_when_it_was_accepted() {
        let event = r#"{"specversion":"1.0","id":"1","source":"a","type":"b"}"#;
        assert_eq!(back(event.to_owned()).time_ns, 7_000);
        let wrong = event.replace('}', r#","time":"yesterday"}"#);
        let body = Bytes::from(wrong);
        let refused = read([STRUCTURED].into_iter(), &body, 7).unwrap_err().to_string();
        assert!(
            refused.starts_with("event 1 of 1: the time \"yesterday\" is not like"),
            "{refused}"
        );
    }
}
