//! A request as an event.
//!
//! Its data is the request, so that a replay sends what was asked; the answer is its attribute
//! `answer`. What is no JSON, or too long, is told by its length: `requestbytes`, `answerbytes`.
//!
//! Always true: whatever a caller sends makes an event that a stream takes.

use std::collections::BTreeMap;

use api::endpoints::captures::CAPTURED_TYPE;
use bytes::Bytes;
use events::Event;
use http::HeaderMap;
use serde::de::IgnoredAny;
use types::Name;

use super::Done;

/// Longest text of an event's part: what a stream takes.
const TEXT_BYTES_MAX: usize = 1_024;
/// Most bytes that are appended at once: as a stream takes them together.
const PART_BYTES_MAX: usize = 2 << 20;

/// The event that a request is.
pub(super) fn of(done: &Done) -> Event {
    let Done { noted, endpoint, status, duration_us, .. } = done;
    let mut attributes = BTreeMap::from([
        ("variant".to_owned(), endpoint.variant.to_string()),
        ("status".to_owned(), status.to_string()),
        ("durationus".to_owned(), duration_us.to_string()),
    ]);
    let request = noted.length.as_ref().filter(|(_, kind)| may_be_json(kind));
    let data = request.and_then(|_| json(&noted.request)).unwrap_or_default();
    if let Some((length, kind)) = noted.length.as_ref().filter(|_| data.is_empty()) {
        attributes.insert("requestbytes".to_owned(), length.to_string());
        if !kind.is_empty() {
            attributes.insert("requesttype".to_owned(), cut(kind.clone()));
        }
    }
    match (json(&noted.answer), noted.answer_length) {
        (Some(answer), _) => {
            let text = String::from_utf8_lossy(&answer).into_owned();
            attributes.insert(events::ANSWER.to_owned(), text);
        }
        (None, Some(length)) => {
            attributes.insert("answerbytes".to_owned(), length.to_string());
        }
        (None, None) => {}
    }
    Event {
        time_ns: noted.at_us.saturating_mul(1_000),
        id: noted.id.clone(),
        source: source(&endpoint.name),
        kind: CAPTURED_TYPE.to_owned(),
        subject: noted.subject.clone(),
        region: noted.region.clone(),
        group: noted.group.clone(),
        attributes,
        content_type: if data.is_empty() { "" } else { "application/json" }.to_owned(),
        data,
    }
}

/// The source of all requests of an endpoint.
pub(super) fn source(endpoint: &Name) -> String {
    format!("/endpoints/{endpoint}")
}

/// Whether what is of this type may be JSON: many that send it say nothing, or that it is a form.
fn may_be_json(kind: &str) -> bool {
    !kind.trim_start().to_ascii_lowercase().starts_with("text/")
}

/// The bytes, where they are JSON.
fn json(bytes: &Bytes) -> Option<Bytes> {
    serde_json::from_slice::<IgnoredAny>(bytes).ok().map(|_| bytes.clone())
}

/// The first of these headers, as a text that an event may have; empty without one.
pub(super) fn text(headers: &HeaderMap, names: &[&str]) -> String {
    let value = names.iter().find_map(|name| headers.get(*name));
    let text = value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    cut(text.unwrap_or_default())
}

fn cut(mut text: String) -> String {
    let mut end = TEXT_BYTES_MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// Events in parts that a stream takes at once, in their order.
pub(super) fn parts(events: Vec<Event>) -> Vec<Vec<Event>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for event in events {
        let length = prost::Message::encoded_len(&event);
        if bytes + length > PART_BYTES_MAX && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += length;
        part.push(event);
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_a_letter_ends() {
        let long = "ø".repeat(TEXT_BYTES_MAX);
        let cut = cut(format!("a{long}"));
        assert_eq!(cut.len(), TEXT_BYTES_MAX - 1);
        assert!(cut.starts_with("aø"));
    }

    #[test]
    fn parts_are_in_order_and_none_is_too_long() {
        let event = |number: u64| Event {
            id: number.to_string(),
            data: Bytes::from(vec![b'1'; 500 << 10]),
            ..Event::default()
        };
        let parts = parts((0..9).map(event).collect());
        let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
        assert_eq!(sizes, [4, 4, 1]);
        let ids = parts.iter().flatten().map(|event| event.id.parse::<u64>().unwrap());
        assert!(ids.eq(0..9));
    }
}
