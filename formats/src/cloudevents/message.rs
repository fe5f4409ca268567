//! Messages: events taken apart into their attributes and the bytes of their data.
//!
//! Always true: a message has an id, a source and a type; its data are the bytes that its sender
//! meant, whichever way they came. Numbers and truths among attributes are texts.
//! Absent on purpose: what a time is.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{
    ATTRIBUTES_MAX, BATCH_BYTES_MAX, BATCH_EVENTS_MAX, Error, Head, Mode, REQUIRED, VERSION,
    attribute, essence, is_json,
};

/// An event, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Its source.
    pub source: String,
    /// Its type.
    pub kind: String,
    /// When it happened, as it was written.
    pub time: Option<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// The media type of its data.
    pub content_type: Option<String>,
    /// All other attributes.
    pub attributes: BTreeMap<String, String>,
    /// Its data; empty where it has none.
    pub data: Bytes,
}

/// The events that a request carries; none where it says nothing of events. `headers` are names in
/// small letters with their values.
///
/// # Errors
///
/// [`Error`] where it says that it carries events and one of them is none.
pub fn messages<'h>(
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    body: &Bytes,
) -> Result<Option<Vec<Message>>, Error> {
    let head = Head::read(headers)?;
    match head.mode {
        Mode::None => Ok(None),
        Mode::Binary => {
            let plain = |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
            let attributes = head.attributes.into_iter().filter_map(plain).collect();
            let mut message = assembled(attributes);
            message.content_type = head.media_type;
            message.data = body.clone();
            Ok(Some(vec![message]))
        }
        Mode::Structured => strict(document(body)?).map(|message| Some(vec![message])),
        Mode::Batch => batch(body).map(Some),
    }
}

fn batch(body: &Bytes) -> Result<Vec<Message>, Error> {
    if body.len() > BATCH_BYTES_MAX {
        return Err(Error::Large);
    }
    let events: Vec<&RawValue> = serde_json::from_slice(body).map_err(json)?;
    let count = events.len();
    if count > BATCH_EVENTS_MAX {
        return Err(Error::Large);
    }
    let of = |(place, event): (usize, &&RawValue)| {
        let message = document(event.get().as_bytes()).and_then(strict);
        let at = |fault| Error::At { position: place + 1, count, fault: Box::new(fault) };
        message.map_err(at)
    };
    events.iter().enumerate().map(of).collect()
}

/// The event that is one document. Names of attributes may be any: whoever sends over HTTP is held
/// to small letters and digits, files are not.
///
/// # Errors
///
/// [`Error`] where it is none.
pub fn document(text: &[u8]) -> Result<Message, Error> {
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_slice(text).map_err(json)?;
    let (data, base64) = (members.remove("data"), members.remove("data_base64"));
    if members.len() > ATTRIBUTES_MAX {
        return Err(attribute("of an event", "are too many: at most 64"));
    }
    let mut attributes = BTreeMap::new();
    for (name, value) in members {
        let value = match serde_json::from_str(value.get()).map_err(json)? {
            Value::Null => continue,
            Value::String(text) => text,
            value @ (Value::Bool(_) | Value::Number(_)) => value.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err(attribute(&name, "is no text, number or truth: put it into data"));
            }
        };
        attributes.insert(name, value);
    }
    for name in REQUIRED {
        if attributes.get(name).is_none_or(String::is_empty) {
            let problem = "is missing: every event has specversion, id, source, type";
            return Err(attribute(name, problem));
        }
    }
    if attributes["specversion"] != VERSION {
        return Err(attribute("specversion", "is not 1.0, the version that is read here"));
    }
    let mut message = assembled(attributes);
    message.content_type = message.attributes.remove("datacontenttype");
    let essence = essence(message.content_type.as_deref().unwrap_or_default());
    let there = |value: Option<&RawValue>| {
        value.map(RawValue::get).filter(|text| *text != "null").map(str::to_owned)
    };
    message.data = match (there(data), there(base64)) {
        (Some(_), Some(_)) => {
            return Err(attribute("data", "stands beside data_base64: use one of them"));
        }
        (Some(text), None) if is_json(&essence) => text.into(),
        // Of another media type, a text is the data itself.
        (Some(text), None) => serde_json::from_str::<String>(&text).unwrap_or(text).into(),
        (None, Some(text)) => {
            let text: String = serde_json::from_str(&text).map_err(json)?;
            let bytes = BASE64_STANDARD.decode(text.as_bytes());
            bytes.map_err(|_| attribute("data_base64", "is not Base64"))?.into()
        }
        (None, None) => Bytes::new(),
    };
    Ok(message)
}

/// Sees that attributes are named as `CloudEvents` says.
fn strict(message: Message) -> Result<Message, Error> {
    let plain =
        |name: &&String| name.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    match message.attributes.keys().find(|name| !plain(name)) {
        Some(name) => Err(attribute(name, "is not named by small letters and digits alone")),
        None => Ok(message),
    }
}

fn assembled(mut attributes: BTreeMap<String, String>) -> Message {
    attributes.remove("specversion");
    let mut take = |name: &str| attributes.remove(name);
    let [id, source, kind] = ["id", "source", "type"].map(|it| take(it).unwrap_or_default());
    let (time, subject) = (take("time"), take("subject"));
    Message { id, source, kind, time, subject, attributes, ..Message::default() }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn json(error: serde_json::Error) -> Error {
    Error::Json(error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BATCH: (&str, &[u8]) = ("content-type", b"application/cloudevents-batch+json");
    const STRUCTURED: (&str, &[u8]) = ("content-type", b"application/cloudevents+json");

    fn taken(headers: &[(&str, &[u8])], body: &str) -> Result<Option<Vec<Message>>, Error> {
        messages(headers.iter().copied(), &Bytes::from(body.to_owned()))
    }

    fn event(more: Value) -> Value {
        let mut event = json!({ "specversion": "1.0", "id": "7", "source": "/a", "type": "made" });
        let Value::Object(more) = more else { panic!("{more}") };
        event.as_object_mut().unwrap().extend(more);
        event
    }

    #[test]
    fn the_three_ways_say_the_same() {
        let structured = event(json!({
            "time": "2026-01-02T03:04:05Z", "subject": "anna", "region": "eu",
            "datacontenttype": "application/json", "data": { "a": 1 },
        }));
        let binary: [(&str, &[u8]); 8] = [
            ("ce-specversion", b"1.0"),
            ("ce-id", b"7"),
            ("ce-source", b"/a"),
            ("ce-type", b"made"),
            ("ce-time", b"2026-01-02T03:04:05Z"),
            ("ce-subject", b"%61nna"),
            ("ce-region", b"eu"),
            ("content-type", b"application/json"),
        ];
        let told = taken(&[STRUCTURED], &structured.to_string()).unwrap().unwrap();
        assert_eq!(taken(&binary, "{\"a\":1}").unwrap().unwrap(), told);
        let twice = json!([structured, structured]).to_string();
        assert_eq!(
            taken(&[BATCH], &twice).unwrap().unwrap(),
            [told.clone(), told.clone()].concat()
        );
        let [told] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((told.kind.as_str(), told.subject.as_deref()), ("made", Some("anna")));
        assert_eq!(told.attributes, [("region".to_owned(), "eu".to_owned())].into());
        assert_eq!(told.data, "{\"a\":1}");
        assert_eq!(taken(&[BATCH], "[]"), Ok(Some(Vec::new())));
        assert_eq!(taken(&[("content-type", b"application/json")], "{}"), Ok(None));
    }

    #[test]
    fn data_is_what_its_sender_meant() {
        for (more, data) in [
            (json!({ "data": "a\nb", "datacontenttype": "text/plain" }), "a\nb"),
            (json!({ "data": "a" }), "\"a\""),
            (json!({ "data": [1, 2.5], "datacontenttype": "text/plain" }), "[1,2.5]"),
            (json!({ "data_base64": "YWI=", "datacontenttype": "application/json" }), "ab"),
            (json!({ "data": null, "data_base64": "" }), ""),
            (json!({}), ""),
        ] {
            let told = document(event(more.clone()).to_string().as_bytes()).unwrap();
            assert_eq!(told.data, data, "{more}");
        }
        let told =
            document(event(json!({ "n": 3, "is": true, "no": null })).to_string().as_bytes());
        let told: Vec<(String, String)> = told.unwrap().attributes.into_iter().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(told, [pair("is", "true"), pair("n", "3")]);
    }

    #[test]
    fn every_refusal_names_the_event_and_what_to_do() {
        let many = json!(vec![event(json!({})); 10_001]).to_string();
        let large = json!([event(json!({ "data": "x".repeat(5_000_000) }))]).to_string();
        let second = json!([event(json!({})), { "specversion": "1.0" }]).to_string();
        let named = json!([event(json!({ "some_name": 1 }))]).to_string();
        let nested = event(json!({ "where": { "a": 1 } })).to_string();
        let both = event(json!({ "data": 1, "data_base64": "YQ==" })).to_string();
        let bad = event(json!({ "data_base64": "!" })).to_string();
        for (header, body, words) in [
            (BATCH, many.as_str(), "at most 10000 events"),
            (BATCH, &large, "4194304 bytes"),
            (BATCH, &second, "event 2 of 2: the attribute id is missing"),
            (BATCH, &named, "event 1 of 1: the attribute some_name is not named by"),
            (BATCH, "{}", "no JSON"),
            (STRUCTURED, &nested, "where is no text, number or truth"),
            (STRUCTURED, &both, "use one of them"),
            (STRUCTURED, &bad, "data_base64 is not Base64"),
            (STRUCTURED, "[]", "no JSON"),
        ] {
            let refused = taken(&[header], body).unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
