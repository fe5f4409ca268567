//! Requests as events.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Serialize;

/// The version of these events.
const VERSION: &str = "2.0";
/// What stands for the route and the stage where there is no choice of either.
const DEFAULT: &str = "$default";
/// Whose call it is where nobody has signed it.
const ANONYMOUS: &str = "anonymous";

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// Such as `POST`.
    pub method: &'r str,
    /// The path, percent-encoded as it came, from its first slash on.
    pub path: &'r str,
    /// What is behind the question mark, as it came.
    pub query: &'r str,
    /// Such as `HTTP/1.1`.
    pub protocol: &'r str,
    /// Names in small letters with their values, in order.
    pub headers: &'r [(&'r str, &'r [u8])],
    /// Its whole body.
    pub body: &'r Bytes,
    /// The name of the URL.
    pub api_id: &'r str,
    /// The host that was asked.
    pub domain: &'r str,
    /// Where it came from.
    pub source_ip: &'r str,
    /// Its id.
    pub request_id: &'r str,
    /// When it came, in milliseconds since 1970.
    pub time_ms: u64,
    /// Who signed it, where somebody did.
    pub signer: Option<&'r Signer>,
}

/// Who signed a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signer {
    /// The access key's name; empty where it came with a token.
    pub access_key: String,
    /// The account's number.
    pub account_id: String,
    /// The token.
    pub caller_id: String,
    /// The same as an address of IAM.
    pub user_arn: String,
    /// The token.
    pub user_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'r> {
    version: &'static str,
    route_key: &'static str,
    raw_path: &'r str,
    raw_query_string: &'r str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<&'r str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: Context<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'r> {
    account_id: &'r str,
    api_id: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer<'r>>,
    domain_name: &'r str,
    domain_prefix: &'r str,
    http: Http<'r>,
    request_id: &'r str,
    route_key: &'static str,
    stage: &'static str,
    time: String,
    time_epoch: u64,
}

#[derive(Serialize)]
struct Authorizer<'r> {
    iam: &'r Signer,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'r> {
    method: &'r str,
    path: &'r str,
    protocol: &'r str,
    source_ip: &'r str,
    user_agent: String,
}

/// The event that a function is handed for a request, as JSON.
pub fn event(request: &Request<'_>) -> Bytes {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    let mut cookies = Vec::new();
    for (name, value) in request.headers {
        let value = String::from_utf8_lossy(value);
        if *name == "cookie" {
            let all = value.split(';').map(str::trim).filter(|it| !it.is_empty());
            cookies.extend(all.map(str::to_owned));
            continue;
        }
        let joined = headers.entry(name);
        joined.and_modify(|it| *it = format!("{it},{value}")).or_insert_with(|| value.into_owned());
    }
    let of = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let (body, is_base64_encoded) =
        body(request.body, &of("content-type"), &of("content-encoding"));
    let event = Event {
        version: VERSION,
        route_key: DEFAULT,
        raw_path: request.path,
        raw_query_string: request.query,
        cookies,
        query_string_parameters: parameters(request.query),
        request_context: Context {
            account_id: request.signer.map_or(ANONYMOUS, |signer| &signer.account_id),
            api_id: request.api_id,
            authorizer: request.signer.map(|iam| Authorizer { iam }),
            domain_name: request.domain,
            domain_prefix: request.api_id,
            http: Http {
                method: request.method,
                path: request.path,
                protocol: request.protocol,
                source_ip: request.source_ip,
                user_agent: of("user-agent"),
            },
            request_id: request.request_id,
            route_key: DEFAULT,
            stage: DEFAULT,
            time: time(request.time_ms),
            time_epoch: request.time_ms,
        },
        headers,
        body,
        is_base64_encoded,
    };
    // Texts and numbers alone: nothing of it can fail to be JSON.
    serde_json::to_vec(&event).unwrap_or_default().into()
}

/// The body, and whether it is in base64: text of a type that is text is told as it is.
fn body(body: &Bytes, media_type: &str, encoding: &str) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = ["", "application/json", "application/javascript", "application/xml"];
    let is_text = known.contains(&&*essence)
        || essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml");
    let is_plain = matches!(encoding.trim(), "" | "identity");
    match std::str::from_utf8(body) {
        Ok(text) if is_text && is_plain => (Some(text.to_owned()), false),
        _ => (Some(BASE64_STANDARD.encode(body)), true),
    }
}

/// What stands behind the question mark, decoded; values of the same name are joined by commas.
fn parameters(query: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value);
        let joined = parameters.entry(decoded(name));
        joined.and_modify(|it| *it = format!("{it},{value}")).or_insert(value);
    }
    parameters
}

/// A time as the logs of web servers have it, such as `12/Mar/2026:19:03:58 +0000`.
fn time(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.unwrap_or_default().strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn told(request: &Request<'_>) -> Value {
        serde_json::from_slice(&event(request)).unwrap()
    }

    fn request<'r>(headers: &'r [(&'r str, &'r [u8])], body: &'r Bytes) -> Request<'r> {
        Request {
            method: "POST",
            path: "/a%20b/c",
            query: "x=1&y=a+b%26c&x=2&z",
            protocol: "HTTP/1.1",
            headers,
            body,
            api_id: "abc",
            domain: "abc.lambda-url.example.org",
            source_ip: "192.0.2.7",
            request_id: "7b2f",
            time_ms: 1_773_342_238_500,
            signer: None,
        }
    }

    #[test]
    fn a_request_is_told_whole() {
        let headers: [(&str, &[u8]); 6] = [
            ("content-type", b"application/json; charset=utf-8"),
            ("cookie", b"a=1; b=2"),
            ("x-two", b"one"),
            ("user-agent", b"curl"),
            ("cookie", b"c=3"),
            ("x-two", b"two"),
        ];
        let body = Bytes::from_static(b"{\"grue\xc3\x9fe\": 1}");
        insta::assert_json_snapshot!(told(&request(&headers, &body)));
    }

    #[test]
    fn what_is_not_there_is_left_out_and_who_signed_is_told() {
        let body = Bytes::new();
        let signer = Signer {
            access_key: "FHAKX".to_owned(),
            account_id: "000000000007".to_owned(),
            caller_id: "token-1".to_owned(),
            user_arn: "arn:aws:iam::000000000007:user/token-1".to_owned(),
            user_id: "token-1".to_owned(),
        };
        let asked = Request { query: "", signer: Some(&signer), ..request(&[], &body) };
        let told = told(&asked);
        for absent in ["cookies", "queryStringParameters", "body"] {
            assert_eq!(told.get(absent), None, "{told}");
        }
        assert_eq!(told["isBase64Encoded"], false);
        assert_eq!(told["headers"], json!({}));
        assert_eq!(told["requestContext"]["accountId"], "000000000007");
        assert_eq!(told["requestContext"]["authorizer"]["iam"]["accessKey"], "FHAKX");
    }

    #[test]
    fn text_is_text_and_the_rest_is_base64() {
        for (media_type, encoding, bytes, text) in [
            ("text/html", "", &b"<p>"[..], true),
            ("application/problem+json", "", b"{}", true),
            ("image/svg+xml", "identity", b"<svg/>", true),
            ("", "", b"plain", true),
            ("", "", b"\xff", false),
            ("text/plain", "gzip", b"abc", false),
            ("text/plain", "", b"\xff", false),
            ("application/x-www-form-urlencoded", "", b"a=1", false),
            ("application/octet-stream", "", b"abc", false),
        ] {
            let body = Bytes::copy_from_slice(bytes);
            let headers = [
                ("content-type", media_type.as_bytes()),
                ("content-encoding", encoding.as_bytes()),
            ];
            let told = told(&request(&headers, &body));
            assert_eq!(told["isBase64Encoded"], !text, "{media_type} {encoding}");
            let expected = if text {
                String::from_utf8_lossy(bytes).into_owned()
            } else {
                BASE64_STANDARD.encode(bytes)
            };
            assert_eq!(told["body"], expected, "{media_type} {encoding}");
        }
    }

    proptest! {
        /// Whatever a request is, it is told as JSON, and its body comes out as it went in.
        #[test]
        fn a_body_is_told_as_it_came(
            body in proptest::collection::vec(any::<u8>(), 1..64),
            media_type in proptest::sample::select(vec!["", "text/plain", "image/png", "a+json"]),
            query in "[ -~]{0,24}",
            value in proptest::collection::vec(any::<u8>(), 0..16),
        ) {
            let bytes = Bytes::from(body);
            let headers = [("content-type", media_type.as_bytes()), ("x-any", &value[..])];
            let told = told(&Request { query: &query, ..request(&headers, &bytes) });
            let text = told["body"].as_str().unwrap();
            let back = match told["isBase64Encoded"] {
                Value::Bool(true) => BASE64_STANDARD.decode(text).unwrap(),
                _ => text.as_bytes().to_vec(),
            };
            prop_assert_eq!(back, bytes.to_vec());
            prop_assert_eq!(told["rawQueryString"].as_str(), Some(&*query));
        }
    }
}
