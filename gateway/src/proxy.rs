//! Management calls, sent on to control and answered as control answers, both bodies streamed.
//!
//! Always true: only `/v1` and below is sent on; what a caller says of its own connection, and any
//! header by which processes of the cloud know each other, stays here; every call carries a request
//! id and a trace. Absent on purpose: authentication, which is control's.

use axum::body::Body;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, Version};

use crate::error::Error;
use crate::hub::Hub;
use crate::service::{Incoming, REQUEST_ID};

/// Longest wait for the routes that hold a change, in milliseconds.
const FOLLOW_MS_MAX: u64 = 2_000;
/// The header of W3C trace context, level 1.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// By which scheme the public address was asked, as proxies tell it.
pub(crate) const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Headers that speak of one connection (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Sends a request on to control.
///
/// # Errors
///
/// [`Error::NoControl`] when control does not answer, and the limits'.
pub(crate) async fn forward(hub: &Hub, incoming: Incoming) -> Result<Response<Body>, Error> {
    let from = incoming.from();
    // Control decides who may do what; here a token only tells whose limits these are.
    let caller = hub.caller(&incoming.parts.headers).unwrap_or(crate::routes::Caller::Anonymous);
    // Only how often is limited here: a long poll would hold a place for nothing.
    drop(hub.place(&caller, from)?);
    let Incoming { parts, body, request_id } = incoming;
    let mut request = Request::new(body);
    *request.method_mut() = parts.method;
    *request.uri_mut() = origin_form(&parts.uri);
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = parts.headers;
    let headers = request.headers_mut();
    strip(headers);
    headers.insert(REQUEST_ID, request_id);
    // Answers of control name the address that was asked. One before this gateway knows better.
    if !headers.contains_key(FORWARDED_PROTO) {
        let scheme = if hub.settings.tls { "https" } else { "http" };
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    if !headers.get(TRACEPARENT).is_some_and(|value| is_traceparent(value.as_bytes())) {
        headers.insert(TRACEPARENT, new_traceparent(hub));
    }
    let answered = hub.control.forward(request).await;
    let mut response = answered.map_err(|cause| {
        tracing::warn!(%cause, "a management call was not answered by control");
        Error::NoControl
    })?;
    strip(response.headers_mut());
    follow(hub, &mut response).await;
    Ok(response)
}

/// After a change, waits a while for the routes that hold it: who has made something may call it
/// with the next request.
async fn follow(hub: &Hub, response: &mut Response<Body>) {
    let Some(told) = response.headers_mut().remove(api::ROUTES_HEADER) else { return };
    let Some(wanted) = told.to_str().ok().and_then(|text| text.parse::<u64>().ok()) else { return };
    let mut generation = hub.generation.subscribe();
    tokio::select! {
        _ = generation.wait_for(|generation| *generation >= wanted) => {}
        () = hub.clock.sleep_ms(FOLLOW_MS_MAX) => {
            tracing::debug!(wanted, "the routes of a change have not come yet");
        }
    }
}

/// The path and query alone, whatever form the request line had.
fn origin_form(uri: &http::Uri) -> http::Uri {
    let path = uri.path_and_query().cloned();
    path.map(http::Uri::from).unwrap_or_default()
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Whether this is a version 00 `traceparent` whose ids are not zero.
pub(crate) fn is_traceparent(value: &[u8]) -> bool {
    let mut parts = value.split(|&byte| byte == b'-');
    let lower = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut next = |length: usize| {
        parts.next().filter(|part| part.len() == length && lower(part)).map(<[u8]>::to_vec)
    };
    let zero = |part: &[u8]| part.iter().all(|&byte| byte == b'0');
    let (Some(version), Some(trace), Some(span), Some(_)) = (next(2), next(32), next(16), next(2))
    else {
        return false;
    };
    version == b"00" && !zero(&trace) && !zero(&span) && parts.next().is_none()
}

fn new_traceparent(hub: &Hub) -> HeaderValue {
    // A random id is zero, and so not valid, once in 2^64 times; then the call has no trace.
    let (trace, span) = (hub.clock.random::<16>(), hub.clock.random::<8>());
    let text = format!("00-{}-{}-00", hex::encode(trace), hex::encode(span));
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_traceparent_is_taken_over() {
        let good = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        let bad: [&[u8]; 6] = [
            b"",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ];
        for bad in bad {
            assert!(!is_traceparent(bad), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn what_speaks_of_one_connection_is_not_sent_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-mine"),
            ("keep-alive", "timeout=5"),
            ("x-mine", "1"),
            ("upgrade", "h2c"),
            ("authorization", "Bearer kept"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        strip(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["authorization"]);
    }
}
