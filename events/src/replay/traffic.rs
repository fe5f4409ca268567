//! Traffic: what a run asks of what it sends, and the usual answer for events of a stream.
//!
//! Always true: the same event, copy, variant and run make the same request, byte for byte; what is
//! kept until an answer comes is small, whatever the event is.
//! Absent on purpose: when it is sent, and what answers mean ([`super::judge`]).

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use policy::replay::Planned;

use super::request::Request;
use super::target::Variant;
use crate::event::Event;

/// A send that a request is made for.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a, P> {
    /// The run's name.
    pub run: &'a str,
    /// The send's place in the schedule, from 0.
    pub number: u64,
    /// The send.
    pub planned: Planned,
    /// The variant's place among those that are compared.
    pub variant: usize,
    /// The variant.
    pub target: &'a Variant,
    /// What the event carries.
    pub payload: &'a P,
}

/// What a run has to know of the events that it sends.
pub trait Traffic: Send + 'static {
    /// What comes with an event.
    type Payload: Send + 'static;
    /// What is kept of it until it is judged; small, since there is one for each send under way.
    type Kept: Send + Sync + 'static;

    /// Region and group of an event; either may be empty.
    fn place<'a>(&self, payload: &'a Self::Payload) -> (&'a str, &'a str);

    /// When an event happened, in nanoseconds since 1970, where that is known.
    fn happened(&self, _payload: &Self::Payload) -> Option<u64> {
        None
    }

    /// What is kept.
    fn keep(&self, payload: &Self::Payload) -> Self::Kept;

    /// The request for a send.
    fn request(&mut self, sending: &Sending<'_, Self::Payload>) -> Request;
}

/// An event, and what is known of it by now.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The event.
    pub event: Event,
    /// What was right, where that is known.
    pub label: Option<Arc<str>>,
}

/// How an event is written into a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Its data, with its media type.
    Data,
    /// The same with the headers of `CloudEvents` 1.0 in binary mode, and of which run it is.
    CloudEvents,
}

/// Sends each event by `POST`.
#[derive(Clone, Copy, Debug)]
pub struct Posts {
    /// How.
    pub form: Form,
}

impl Traffic for Posts {
    type Payload = Labelled;
    type Kept = Option<Arc<str>>;

    fn place<'a>(&self, payload: &'a Labelled) -> (&'a str, &'a str) {
        (&payload.event.region, &payload.event.group)
    }

    fn happened(&self, payload: &Labelled) -> Option<u64> {
        Some(payload.event.time_ns)
    }

    fn keep(&self, payload: &Labelled) -> Option<Arc<str>> {
        payload.label.clone()
    }

    fn request(&mut self, sending: &Sending<'_, Labelled>) -> Request {
        let event = &sending.payload.event;
        let mut request = Request::post(Bytes::clone(&event.data));
        if !event.content_type.is_empty() {
            request.header("content-type", &event.content_type);
        }
        request.header("traceparent", &traceparent(sending.run, sending.number, sending.variant));
        if self.form == Form::CloudEvents {
            attributes(&mut request, sending, event);
        }
        request
    }
}

/// What `CloudEvents` say of an event, and of what send it is.
fn attributes(request: &mut Request, sending: &Sending<'_, Labelled>, event: &Event) {
    /// Names that are not an event's own to give.
    const TAKEN: [&str; 15] = [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "region",
        "group",
        "datacontenttype",
        "replayof",
        "replayrun",
        "replayseq",
        "intended",
        // What was answered then, and what was right, are no business of who answers now.
        crate::event::ANSWER,
        crate::event::LABEL,
    ];
    let Planned { offset_ns, sequence, copy, .. } = sending.planned;
    request.attribute("specversion", "1.0");
    if copy == 0 {
        request.attribute("id", &event.id);
    } else {
        // A source and an id are an event, and a copy is another one.
        request.attribute("id", &format!("{}~{}~{copy}", event.id, sending.run));
        request.attribute("replayof", &event.id);
    }
    request.attribute("source", &event.source);
    request.attribute("type", &event.kind);
    if let Ok(time) = Timestamp::from_nanosecond(event.time_ns.into()) {
        request.attribute("time", &time.to_string());
    }
    let texts = [("subject", &event.subject), ("region", &event.region), ("group", &event.group)];
    for (name, text) in texts {
        if !text.is_empty() {
            request.attribute(name, text);
        }
    }
    request.attribute("replayrun", sending.run);
    request.attribute("replayseq", &sequence.to_string());
    request.attribute("intended", &offset_ns.to_string());
    for (name, value) in &event.attributes {
        let plain = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit();
        if !name.is_empty() && name.bytes().all(plain) && !TAKEN.contains(&name.as_str()) {
            request.attribute(name, value);
        }
    }
}

/// The trace of a request: by W3C Trace Context, and the same whenever it is asked for.
pub fn traceparent(run: &str, number: u64, variant: usize) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"freehold replay trace 1\n").update(&number.to_le_bytes());
    hasher.update(&(variant as u64).to_le_bytes()).update(run.as_bytes());
    let digest = hasher.finalize().to_hex();
    // Neither part may be nothing, which a digest is once in 2^64.
    format!("00-{}-{}-01", &digest[..32], &digest[32..48])
}

#[cfg(test)]
mod tests;
