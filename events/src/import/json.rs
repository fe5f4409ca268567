//! JSON Lines: events of `CloudEvents`, or any objects.
//!
//! Always true: an object's data is the line as it stands, unless another member is named.
//! Absent on purpose: lists, and objects over several lines.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use super::Taking;
use super::mapping::Mapping;
use crate::cloudevents;
use crate::error::Error;
use crate::event::Event;

/// Takes a line.
pub(super) fn take(taking: &mut Taking<'_, '_>, line: u64, text: &str) -> Result<(), Error> {
    match event(taking, line, text) {
        Ok(event) => taking.push(line, event),
        Err(why) => {
            taking.refuse(line, why);
            Ok(())
        }
    }
}

fn event(taking: &Taking<'_, '_>, line: u64, text: &str) -> Result<Event, String> {
    let object: Value =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    if object.get("specversion").is_some() {
        let message = formats::cloudevents::document(text.as_bytes());
        let message = message.map_err(|error| error.to_string())?;
        let told = cloudevents::event(message, taking.options.accepted_us);
        return told.map_err(|time| no_time(&time));
    }
    if !object.is_object() {
        return Err("it is no object: write one object on each line".to_owned());
    }
    let data = match taking.options.mapping.data.as_deref().map(|place| member(&object, place)) {
        None => Bytes::copy_from_slice(text.as_bytes()),
        Some(None) => Bytes::new(),
        Some(Some(value)) => value.to_string().into(),
    };
    let mut event = Event { data, ..taking.blank(line, text.as_bytes()) };
    fill(taking, &mut event, |place| member(&object, place).and_then(plain))?;
    Ok(event)
}

/// What stands at a place: a pointer, or a member's name.
fn member<'a>(object: &'a Value, place: &str) -> Option<&'a Value> {
    if place.starts_with('/') { object.pointer(place) } else { object.get(place) }
}

pub(super) fn plain(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

/// Fills the parts of an event that are mapped, by what stands at a place.
pub(super) fn fill<'a>(
    taking: &Taking<'_, '_>,
    event: &mut Event,
    at: impl Fn(&str) -> Option<Cow<'a, str>>,
) -> Result<(), String> {
    let Mapping { time, .. } = &taking.options.mapping;
    let place = time.as_deref().unwrap_or("time");
    let Some(time) = at(place) else {
        return Err(format!("it has no {place:?}: say where the time is, like time=timestamp"));
    };
    event.time_ns = super::time::parse(&time, &taking.zone).ok_or_else(|| no_time(&time))?;
    for (name, place) in taking.options.mapping.named() {
        let Some(text) = at(place).filter(|text| !text.is_empty()) else { continue };
        let part = match name {
            "id" => &mut event.id,
            "source" => &mut event.source,
            "type" => &mut event.kind,
            "subject" => &mut event.subject,
            "region" => &mut event.region,
            "group" => &mut event.group,
            "label" => event.attributes.entry(name.to_owned()).or_default(),
            _ => continue,
        };
        *part = text.into_owned();
    }
    Ok(())
}

fn no_time(time: &str) -> String {
    let time: String = time.chars().take(60).collect();
    format!("its time {time:?} is not like 2026-05-17T10:05:03.25Z, nor a number of seconds")
}

/// An object of members whose values are JSON, in their order.
pub(super) fn object<'a>(members: impl Iterator<Item = (&'a String, Cow<'a, str>)>) -> String {
    let mut json = String::from("{");
    for (name, value) in members {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&quoted(name));
        json.push(':');
        json.push_str(&value);
    }
    json.push('}');
    json
}

pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
