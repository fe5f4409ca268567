//! Requests: what is sent of an event, as bytes of HTTP/1.1.
//!
//! Always true: nothing that an event says can begin a header or a request of its own: bytes that do
//! not belong are percent-encoded; the length that is told is that of the body.
//! Absent on purpose: connections, and what a request means.

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::target::Variant;

/// What `CloudEvents` 1.0 wants encoded in a value of a header, beside what is not ASCII.
const IN_VALUE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');
/// What else no value may have.
const IN_PLAIN_VALUE: &AsciiSet = CONTROLS;
/// What no path may have.
const IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'#');

/// What the headers of an event take at most, nearly always: more is made room for.
const HEADERS_BYTES: usize = 768;

/// A request for one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    method: &'static str,
    path: String,
    headers: String,
    body: Bytes,
}

impl Request {
    /// A request to the path of its variant.
    pub fn post(body: Bytes) -> Self {
        let headers = String::with_capacity(HEADERS_BYTES);
        Self { method: "POST", path: String::new(), headers, body }
    }

    /// A request without a body, to the path of its variant.
    pub fn get() -> Self {
        Self { method: "GET", ..Self::post(Bytes::new()) }
    }

    /// The same to a path of its own.
    #[must_use]
    pub fn to(mut self, path: &str) -> Self {
        self.path = utf8_percent_encode(path, IN_PATH).to_string();
        self
    }

    /// Adds a header; what may not stand in its value is percent-encoded.
    pub fn header(&mut self, name: &str, value: &str) {
        self.add(name, "", value, IN_PLAIN_VALUE);
    }

    /// Adds an attribute of `CloudEvents`, in the binary mode of HTTP.
    pub fn attribute(&mut self, name: &str, value: &str) {
        self.add("ce-", name, value, IN_VALUE);
    }

    fn add(&mut self, before: &str, name: &str, value: &str, encoded: &'static AsciiSet) {
        push_name(&mut self.headers, before);
        push_name(&mut self.headers, name);
        self.headers.push_str(": ");
        self.headers.extend(utf8_percent_encode(value.trim_matches([' ', '\t']), encoded));
        self.headers.push_str("\r\n");
    }

    /// The bytes that are sent to a variant.
    pub(super) fn encode(&self, variant: &Variant) -> Bytes {
        let mut text = String::with_capacity(HEADERS_BYTES + self.headers.len() + self.body.len());
        text.push_str(self.method);
        text.push(' ');
        if self.path.is_empty() {
            text.extend(utf8_percent_encode(&variant.path, IN_PATH));
        } else {
            text.push_str(&self.path);
        }
        text.push_str(" HTTP/1.1\r\nhost: ");
        text.extend(utf8_percent_encode(&variant.host, IN_PLAIN_VALUE));
        text.push_str("\r\n");
        for (name, value) in &variant.headers {
            push_name(&mut text, name);
            text.push_str(": ");
            text.extend(utf8_percent_encode(value, IN_PLAIN_VALUE));
            text.push_str("\r\n");
        }
        text.push_str(&self.headers);
        if self.method != "GET" {
            text.push_str("content-length: ");
            text.push_str(&self.body.len().to_string());
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        let mut message = text.into_bytes();
        message.extend_from_slice(&self.body);
        message.into()
    }
}

/// A header's name: what may not stand in one is a hyphen.
fn push_name(text: &mut String, name: &str) {
    let is_token = |sign: char| sign.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(sign);
    if name.chars().all(is_token) {
        text.push_str(name);
    } else {
        text.extend(name.chars().map(|sign| if is_token(sign) { sign } else { '-' }));
    }
}

#[cfg(test)]
mod tests;
