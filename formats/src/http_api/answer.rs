//! What a function answers, as a response.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::{Error, HEADERS_BYTES_MAX, PRELUDE_MEDIA_TYPE, Prelude, PreludeReader};

/// The media type of an answer that says nothing of its own, where it is JSON.
const JSON: &str = "application/json";
/// The same, where it is anything else.
const BYTES: &str = "application/octet-stream";
/// Headers that are the connection's to say, and the body's.
const OF_THE_CONNECTION: [&str; 11] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-amzn-requestid",
];

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// From 200 to 599.
    pub status: u16,
    /// Names and values that HTTP takes; cookies are among them.
    pub headers: Vec<(String, String)>,
    /// Its whole body.
    pub body: Bytes,
}

/// Reads what a function answered, whose program said that it is of this media type: a prelude with
/// a body behind it, an object with a `statusCode`, or else the body itself.
///
/// # Errors
///
/// [`Error`] says what is wrong.
pub fn read(media_type: Option<&str>, payload: &Bytes) -> Result<Answer, Error> {
    if is_prelude(media_type) {
        let begun = PreludeReader::default().push(payload)?;
        let (Prelude { status, headers }, body) = begun.ok_or(Error::Prelude)?;
        return Ok(Answer { status, headers, body });
    }
    let is_object = payload.trim_ascii_start().starts_with(b"{");
    let object = is_object.then(|| serde_json::from_slice::<Map<String, Value>>(payload).ok());
    match object.flatten() {
        Some(said) if said.get("statusCode").is_some_and(|it| !it.is_null()) => whole(&said),
        object => {
            let is_json =
                || object.is_some() || serde_json::from_slice::<IgnoredAny>(payload).is_ok();
            let usual = || if is_json() { JSON } else { BYTES };
            let media_type = media_type.unwrap_or_else(usual).to_owned();
            let headers = checked(vec![("content-type".to_owned(), media_type)])?;
            Ok(Answer { status: 200, headers, body: payload.clone() })
        }
    }
}

/// Whether an answer of this media type begins with a prelude.
fn is_prelude(media_type: Option<&str>) -> bool {
    let essence = media_type.and_then(|it| it.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(PRELUDE_MEDIA_TYPE)
}

impl Prelude {
    /// How an answer in pieces of this media type begins; none where it tells so itself, in a
    /// prelude.
    pub fn of(media_type: Option<&str>) -> Option<Self> {
        if is_prelude(media_type) {
            return None;
        }
        let media_type = ("content-type".to_owned(), media_type.unwrap_or(BYTES).to_owned());
        // What a program says may be no header; then it is left out.
        let headers = checked(vec![media_type]).unwrap_or_default();
        Some(Self { status: 200, headers })
    }

    /// What a prelude says.
    pub(super) fn read(json: &[u8]) -> Result<Self, Error> {
        let said: Map<String, Value> =
            serde_json::from_slice(json).map_err(|error| Error::Json(error.to_string()))?;
        Ok(Self { status: status(&said)?, headers: headers(&said, BYTES)? })
    }
}

/// An object that says everything.
fn whole(said: &Map<String, Value>) -> Result<Answer, Error> {
    let (status, headers) = (status(said)?, headers(said, JSON)?);
    let is_base64 = match said.get("isBase64Encoded") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(is)) => *is,
        Some(_) => return Err(Error::Shape { name: "isBase64Encoded", wanted: "true or false" }),
    };
    let body = match said.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if is_base64 => {
            let wrong = |_| Error::Shape { name: "body", wanted: "base64, as it says" };
            BASE64_STANDARD.decode(text).map_err(wrong)?.into()
        }
        Some(Value::String(text)) => Bytes::from(text.clone()),
        Some(other) => Bytes::from(other.to_string()),
    };
    Ok(Answer { status, headers, body })
}

fn status(said: &Map<String, Value>) -> Result<u16, Error> {
    let number = match said.get("statusCode") {
        None | Some(Value::Null) => return Ok(200),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(other) => other.as_u64(),
    };
    let number = number.and_then(|it| u16::try_from(it).ok());
    // Those below 200 are not the last word of a request.
    number.filter(|it| (200..=599).contains(it)).ok_or_else(|| {
        let said = said.get("statusCode").map(Value::to_string).unwrap_or_default();
        Error::Status { said: said.chars().take(40).collect() }
    })
}

fn headers(said: &Map<String, Value>, usual: &str) -> Result<Vec<(String, String)>, Error> {
    let mut headers = Vec::new();
    match said.get("headers") {
        None | Some(Value::Null) => {}
        Some(Value::Object(all)) => {
            for (name, value) in all {
                let value = match value {
                    Value::Null => continue,
                    Value::String(text) => text.clone(),
                    Value::Bool(_) | Value::Number(_) => value.to_string(),
                    _ => return Err(header(name)),
                };
                headers.push((name.to_ascii_lowercase(), value));
            }
        }
        Some(_) => return Err(Error::Shape { name: "headers", wanted: "an object of texts" }),
    }
    match said.get("cookies") {
        None | Some(Value::Null) => {}
        Some(Value::Array(all)) => {
            for cookie in all {
                let wrong = Error::Shape { name: "cookies", wanted: "a list of texts" };
                let cookie = cookie.as_str().ok_or(wrong)?;
                headers.push(("set-cookie".to_owned(), cookie.to_owned()));
            }
        }
        Some(_) => return Err(Error::Shape { name: "cookies", wanted: "a list of texts" }),
    }
    if !headers.iter().any(|(name, _)| name == "content-type") {
        headers.push(("content-type".to_owned(), usual.to_owned()));
    }
    checked(headers)
}

/// Headers that HTTP takes, without those of the connection.
fn checked(headers: Vec<(String, String)>) -> Result<Vec<(String, String)>, Error> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_value = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    let mut bytes = 0;
    for (name, value) in &headers {
        bytes += name.len() + value.len();
        if name.is_empty() || !name.bytes().all(is_token) || !value.bytes().all(is_value) {
            return Err(header(name));
        }
    }
    if bytes > HEADERS_BYTES_MAX {
        return Err(Error::Headers);
    }
    let kept = headers.into_iter().filter(|(name, _)| !OF_THE_CONNECTION.contains(&&**name));
    Ok(kept.collect())
}

fn header(name: &str) -> Error {
    Error::Header { name: name.chars().take(80).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn answer(said: &Value) -> Result<Answer, Error> {
        read(Some(JSON), &Bytes::from(said.to_string()))
    }

    fn of<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
        let all = answer.headers.iter().filter(|(it, _)| it == name);
        all.map(|(_, value)| value.as_str()).collect()
    }

    #[test]
    fn an_object_with_a_status_says_everything() {
        let told = answer(&json!({
            "statusCode": "201",
            "headers": { "Content-Type": "text/html", "X-N": 7, "x-b": true, "x-none": null,
                "Connection": "close", "Content-Length": "3", "Transfer-Encoding": "chunked" },
            "cookies": ["a=1; Path=/", "b=2"],
            "body": "PHA+", "isBase64Encoded": true, "more": [],
        }))
        .unwrap();
        assert_eq!((told.status, &told.body[..]), (201, &b"<p>"[..]));
        assert_eq!(of(&told, "content-type"), ["text/html"]);
        assert_eq!((of(&told, "x-n"), of(&told, "x-b")), (vec!["7"], vec!["true"]));
        assert_eq!(of(&told, "set-cookie"), ["a=1; Path=/", "b=2"]);
        assert_eq!(told.headers.len(), 5, "nothing of the connection: {told:?}");
    }

    #[test]
    fn what_is_left_out_is_usual() {
        let told = answer(&json!({ "statusCode": 204, "headers": null, "cookies": null })).unwrap();
        assert_eq!((told.status, told.body.len()), (204, 0));
        assert_eq!(of(&told, "content-type"), [JSON]);
        let told = answer(&json!({ "statusCode": 200, "body": { "a": 1 } })).unwrap();
        assert_eq!(&told.body[..], b"{\"a\":1}");
    }

    #[test]
    fn anything_else_is_the_body() {
        for (media_type, payload, shown) in [
            (None, "{\"a\":1}", JSON),
            (None, "\"hello\"", JSON),
            (None, "null", JSON),
            (None, "{\"statusCode\":null}", JSON),
            (None, "{\"statusCode", BYTES),
            (None, "", BYTES),
            (Some("text/html"), "<p>", "text/html"),
            (Some("text/plain"), "5", "text/plain"),
        ] {
            let told = read(media_type, &Bytes::from(payload)).unwrap();
            assert_eq!((told.status, &told.body[..]), (200, payload.as_bytes()));
            assert_eq!(of(&told, "content-type"), [shown], "{payload}");
        }
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        let large = "x".repeat(HEADERS_BYTES_MAX);
        for (said, words) in [
            (json!({ "statusCode": 99 }), "200 to 599"),
            (json!({ "statusCode": 101 }), "200 to 599"),
            (json!({ "statusCode": 600 }), "200 to 599"),
            (json!({ "statusCode": -1 }), "200 to 599"),
            (json!({ "statusCode": "ok" }), "200 to 599"),
            (json!({ "statusCode": [200] }), "200 to 599"),
            (json!({ "statusCode": 200, "headers": [] }), "an object of texts"),
            (json!({ "statusCode": 200, "headers": { "a b": "c" } }), "\"a b\""),
            (json!({ "statusCode": 200, "headers": { "": "c" } }), "\"\""),
            (json!({ "statusCode": 200, "headers": { "a": "b\r\nc: d" } }), "\"a\""),
            (json!({ "statusCode": 200, "headers": { "a": [1] } }), "\"a\""),
            (json!({ "statusCode": 200, "headers": { "a": large } }), "more than 32768 bytes"),
            (json!({ "statusCode": 200, "cookies": "a=1" }), "a list of texts"),
            (json!({ "statusCode": 200, "cookies": [1] }), "a list of texts"),
            (json!({ "statusCode": 200, "cookies": ["a\n"] }), "\"set-cookie\""),
            (json!({ "statusCode": 200, "body": "%", "isBase64Encoded": true }), "base64"),
            (json!({ "statusCode": 200, "isBase64Encoded": "no" }), "true or false"),
        ] {
            let refused = answer(&said).unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn headers_as_large_as_may_be_are_taken() {
        let name = "content-type";
        let fits = "x".repeat(HEADERS_BYTES_MAX - name.len());
        assert!(answer(&json!({ "statusCode": 200, "headers": { name: fits } })).is_ok());
    }

    proptest! {
        /// Whatever a function says, what is taken of it can be sent over HTTP.
        #[test]
        fn what_is_taken_can_be_sent(
            status in any::<u16>(), name in ".{0,6}", value in ".{0,12}", cookie in ".{0,12}",
            media_type in proptest::option::of(".{0,12}"), text in ".{0,24}",
        ) {
            let said = json!({ "statusCode": status, "headers": { name: value },
                "cookies": [cookie], "body": text });
            for payload in [said.to_string(), text] {
                if let Ok(told) = read(media_type.as_deref(), &Bytes::from(payload)) {
                    prop_assert!((200..=599).contains(&told.status));
                    for (name, value) in &told.headers {
                        prop_assert!(!name.is_empty() && name.is_ascii());
                        prop_assert!(!value.contains(['\r', '\n', '\0']), "{name}: {value:?}");
                        prop_assert!(!OF_THE_CONNECTION.contains(&&**name));
                    }
                }
            }
        }
    }
}
