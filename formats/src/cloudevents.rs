//! Events as `CloudEvents` has them over HTTP: read as the one JSON document that a function is handed,
//! or taken apart, as they are stored.
//!
//! Always true: what is handed on has every attribute that an event must have, and its data once; a
//! value of a header is decoded once.
//! Absent on purpose: formats beside JSON.
//! Source: `CloudEvents` 1.0.2, its HTTP binding and its JSON format.

mod message;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

/// What the names of headers begin with that carry attributes.
const PREFIX: &str = "ce-";
/// The only version there is.
const VERSION: &str = "1.0";
/// Attributes that every event has.
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];
/// Most attributes of an event; each is a header, of which requests have few.
const ATTRIBUTES_MAX: usize = 64;
/// Most events of a batch: what is stored at once.
pub const BATCH_EVENTS_MAX: usize = 10_000;
/// Largest batch, in bytes.
pub const BATCH_BYTES_MAX: usize = 4 << 20;

pub use message::{Message, document, messages};

/// Why a request is no event, though it says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is a batch.
    #[error("a batch of events is not taken: send each as a request of its own")]
    Batch,
    /// It is a batch of too much.
    #[error(
        "a batch has at most {BATCH_EVENTS_MAX} events and {BATCH_BYTES_MAX} bytes: send several"
    )]
    Large,
    /// One of a batch is no event.
    #[error("event {position} of {count}: {fault}")]
    At {
        /// Its place, from 1.
        position: usize,
        /// How many there are.
        count: usize,
        /// What is wrong with it.
        fault: Box<Error>,
    },
    /// It is in another format.
    #[error(
        "events of the media type {media_type} are not taken: use application/cloudevents+json"
    )]
    Format {
        /// What it is said to be.
        media_type: String,
    },
    /// An attribute is wrong.
    #[error("the attribute {name} {problem}")]
    Attribute {
        /// The attribute.
        name: String,
        /// What is wrong with it, and what to do.
        problem: &'static str,
    },
    /// The document or the data is no JSON.
    #[error("the event is no JSON: {0}")]
    Json(String),
}

/// What the headers of a request say.
struct Head {
    attributes: Map<String, Value>,
    media_type: Option<String>,
    mode: Mode,
}

/// How a request carries events.
enum Mode {
    /// Not at all.
    None,
    /// One, whose attributes are headers.
    Binary,
    /// One document.
    Structured,
    /// A list of documents.
    Batch,
}

impl Head {
    fn read<'h>(headers: impl Iterator<Item = (&'h str, &'h [u8])>) -> Result<Self, Error> {
        let (mut attributes, mut media_type) = (Map::new(), None);
        for (name, value) in headers {
            if name == "content-type" {
                media_type = Some(String::from_utf8_lossy(value).into_owned());
            } else if let Some(name) = name.strip_prefix(PREFIX) {
                if attributes.len() == ATTRIBUTES_MAX {
                    return Err(attribute(name, "is one too many: at most 64"));
                }
                let value = decoded(value).ok_or_else(|| attribute(name, "is not UTF-8"))?;
                attributes.insert(name.to_owned(), Value::from(value));
            }
        }
        let essence = essence(media_type.as_deref().unwrap_or_default());
        let mode = match essence.as_str() {
            "application/cloudevents+json" => Mode::Structured,
            "application/cloudevents-batch+json" => Mode::Batch,
            other if other.starts_with("application/cloudevents") => {
                return Err(Error::Format { media_type: other.chars().take(80).collect() });
            }
            _ if attributes.contains_key("specversion") => Mode::Binary,
            _ => Mode::None,
        };
        if matches!(mode, Mode::Binary) {
            check(&attributes)?;
            let of_body = ["data", "data_base64", "datacontenttype"];
            if let Some(name) = of_body.into_iter().find(|name| attributes.contains_key(*name)) {
                return Err(attribute(
                    name,
                    "is no header: data is the body, Content-Type its type",
                ));
            }
        }
        Ok(Self { attributes, media_type, mode })
    }
}

/// A media type in small letters, without its parameters.
fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether data of a media type is JSON; where none is said, it is.
fn is_json(essence: &str) -> bool {
    essence.is_empty() || essence.ends_with("/json") || essence.ends_with("+json")
}

/// The event that a request carries, as JSON; none where it carries none, and so is the payload
/// itself. `headers` are names in small letters with their values.
///
/// # Errors
///
/// [`Error`] where it says that it carries one and does not.
pub fn read<'h>(
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    body: &Bytes,
) -> Result<Option<Bytes>, Error> {
    let head = Head::read(headers)?;
    match head.mode {
        Mode::None => Ok(None),
        Mode::Binary => binary(head, body).map(Some),
        Mode::Structured => structured(body).map(Some),
        Mode::Batch => Err(Error::Batch),
    }
}

/// An event that is one document.
fn structured(body: &Bytes) -> Result<Bytes, Error> {
    let event: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| Error::Json(error.to_string()))?;
    check(&event)?;
    if event.contains_key("data") && event.contains_key("data_base64") {
        return Err(attribute("data", "stands beside data_base64: use one of them"));
    }
    Ok(body.clone())
}

/// An event whose attributes are headers, and whose data is the body.
fn binary(head: Head, body: &Bytes) -> Result<Bytes, Error> {
    let Head { attributes: mut event, media_type, .. } = head;
    let essence = essence(media_type.as_deref().unwrap_or_default());
    if let Some(media_type) = media_type {
        event.insert("datacontenttype".to_owned(), media_type.into());
    }
    if !body.is_empty() {
        let text = std::str::from_utf8(body).ok();
        let (name, data) = match text {
            _ if is_json(&essence) => {
                let data = serde_json::from_slice(body);
                ("data", data.map_err(|error| Error::Json(error.to_string()))?)
            }
            Some(text) if essence.starts_with("text/") => ("data", Value::from(text)),
            _ => ("data_base64", BASE64_STANDARD.encode(body).into()),
        };
        event.insert(name.to_owned(), data);
    }
    Ok(Value::Object(event).to_string().into())
}

/// Sees that an event has what every one must have.
fn check(event: &Map<String, Value>) -> Result<(), Error> {
    for name in REQUIRED {
        let value = event.get(name).and_then(Value::as_str).unwrap_or_default();
        if value.is_empty() {
            return Err(attribute(
                name,
                "is missing: every event has specversion, id, source, type",
            ));
        }
    }
    if event["specversion"] != VERSION {
        return Err(attribute("specversion", "is not 1.0, the version that is read here"));
    }
    let plain =
        |name: &&String| name.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    match event.keys().find(|name| !plain(name) && *name != "data_base64") {
        Some(name) => Err(attribute(name, "is not named by small letters and digits alone")),
        None => Ok(()),
    }
}

fn attribute(name: &str, problem: &'static str) -> Error {
    let name = name.chars().take(80).flat_map(char::escape_debug).collect();
    Error::Attribute { name, problem }
}

/// A header's value: without quotes around it, and each `%` with two digits behind it a byte.
fn decoded(value: &[u8]) -> Option<String> {
    let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let mut rest = quoted.unwrap_or(value);
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|it| it.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, after) = match (first, byte, quoted) {
            (b'%', Some(byte), _) => (byte, &after[2..]),
            (b'\\', _, Some(_)) if !after.is_empty() => (after[0], &after[1..]),
            _ => (first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn taken(headers: &[(&str, &str)], body: &str) -> Result<Option<Value>, Error> {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        let read = read(headers, &Bytes::from(body.to_owned()))?;
        Ok(read.map(|event| serde_json::from_slice(&event).unwrap()))
    }

    const NEEDED: [(&str, &str); 4] =
        [("ce-specversion", "1.0"), ("ce-id", "7"), ("ce-source", "/a"), ("ce-type", "made")];

    #[test]
    fn attributes_in_headers_and_data_in_the_body_are_one_document() {
        for (media_type, body, rest) in [
            ("application/json", "{\"a\":1}", json!({ "data": { "a": 1 } })),
            ("application/x+json; charset=utf-8", "[1]", json!({ "data": [1] })),
            ("text/plain", "grüße", json!({ "data": "grüße" })),
            ("image/png", "ab", json!({ "data_base64": "YWI=" })),
            ("application/json", "", json!({})),
        ] {
            let mut headers = NEEDED.to_vec();
            headers.extend([("content-type", media_type), ("host", "x")]);
            headers.push(("ce-subject", "a%20%22b%22 %E2%82%AC %zz"));
            let mut expected = json!({
                "specversion": "1.0", "id": "7", "source": "/a", "type": "made",
                "subject": "a \"b\" € %zz", "datacontenttype": media_type,
            });
            expected.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            assert_eq!(taken(&headers, body), Ok(Some(expected)));
        }
    }

    #[test]
    fn a_document_is_handed_on_as_it_is() {
        let event = json!({
            "specversion": "1.0", "id": "7", "source": "/a", "type": "made", "data": { "a": [1] },
        });
        let headers = [("content-type", "application/cloudevents+json; charset=UTF-8")];
        assert_eq!(taken(&headers, &event.to_string()), Ok(Some(event)));
    }

    #[test]
    fn what_says_nothing_of_events_is_none() {
        let headers = [("content-type", "application/json"), ("ce-id", "7")];
        assert_eq!(taken(&headers, "{\"specversion\":\"1.0\"}"), Ok(None));
        assert_eq!(taken(&[], ""), Ok(None));
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        let structured = [("content-type", "application/cloudevents+json")];
        let batch = [("content-type", "application/cloudevents-batch+json")];
        let avro = [("content-type", "application/cloudevents+avro")];
        let both = "{\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"a\",\"type\":\"b\",\
                    \"data\":1,\"data_base64\":\"\"}";
        let with = |name, value| [&NEEDED[..], &[(name, value)]].concat();
        for (headers, body, words) in [
            (&batch[..], "[]", "each as a request of its own"),
            (&avro, "", "use application/cloudevents+json"),
            (&structured, "[]", "no JSON"),
            (&structured, "{\"specversion\":\"1.0\"}", "id is missing"),
            (&structured, both, "use one of them"),
            (&NEEDED[..3], "", "type is missing"),
            (&with("ce-specversion", "0.3"), "", "is not 1.0"),
            (&with("ce-some-name", "a"), "", "small letters and digits"),
            (&with("ce-data", "a"), "", "data is the body"),
            (&with("ce-x", "%ff"), "", "not UTF-8"),
            (&with("content-type", "application/json"), "{", "no JSON"),
        ] {
            let refused = taken(headers, body).unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }

    proptest! {
        /// Every text comes through a header as it was, once encoded.
        #[test]
        fn an_encoded_value_is_decoded_once(text in "\\PC{0,40}") {
            let plain = |byte: u8| byte.is_ascii_alphanumeric();
            let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
            let encoded: String = text.bytes().map(encode).collect();
            prop_assert_eq!(decoded(encoded.as_bytes()), Some(text));
        }

        /// Whatever a request says, what is handed on is an event.
        #[test]
        fn what_is_handed_on_is_an_event(
            id in ".{0,8}", body in proptest::collection::vec(any::<u8>(), 0..64),
            media_type in proptest::sample::select(vec![
                "application/json", "text/plain", "a/b", "application/cloudevents+json",
            ]),
        ) {
            let mut headers = NEEDED.map(|(name, value)| (name, value.as_bytes())).to_vec();
            headers[1].1 = id.as_bytes();
            headers.push(("content-type", media_type.as_bytes()));
            if let Ok(Some(event)) = read(headers.into_iter(), &Bytes::from(body)) {
                let event: Map<String, Value> = serde_json::from_slice(&event).unwrap();
                prop_assert_eq!(check(&event), Ok(()));
            }
        }
    }
}
