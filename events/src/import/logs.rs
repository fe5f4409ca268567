//! Logs: requests that a web server answered, and sign-ins.
//!
//! Always true: a sign-in that the log says was repeated is as many events.
//! Absent on purpose: how lines are written; see `formats::{weblog, sshd}`.

use formats::{sshd, weblog};
use serde_json::json;

use super::Taking;
use crate::error::Error;
use crate::event::Event;

/// Takes a line of a web log: its subject is who asked, its group the method.
pub(super) fn take_answered(
    taking: &mut Taking<'_, '_>,
    line: u64,
    text: &str,
) -> Result<(), Error> {
    let told = match weblog::parse(text) {
        Ok(told) => told,
        Err(error) => {
            taking.refuse(line, error.to_string());
            return Ok(());
        }
    };
    let data = json!({
        "client": told.client,
        "user": told.user,
        "method": told.method,
        "path": told.path,
        "protocol": told.protocol,
        "status": told.status,
        "bytes": told.bytes,
        "referer": told.referer,
        "agent": told.agent,
    });
    let attributes = [("status", told.status.to_string()), ("method", told.method.clone())];
    let attributes = attributes.into_iter().filter(|(_, value)| !value.is_empty());
    let event = Event {
        time_ns: told.time_ns,
        subject: told.client,
        group: told.method,
        attributes: attributes.map(|(name, value)| (name.to_owned(), value)).collect(),
        data: data.to_string().into(),
        ..taking.blank(line, text.as_bytes())
    };
    taking.push(line, event)
}

/// Takes a line of a system's log: its source is the machine, its subject the user, its group how
/// they signed in.
pub(super) fn take_sign_in(
    taking: &mut Taking<'_, '_>,
    line: u64,
    text: &str,
) -> Result<(), Error> {
    let Some(told) = sshd::parse(text, taking.options.year, &taking.zone) else {
        taking.summary.passed_over += 1;
        return Ok(());
    };
    let outcome = if told.accepted { "success" } else { "failure" };
    let data = json!({
        "host": told.host,
        "pid": told.pid,
        "outcome": outcome,
        "method": told.method,
        "user": told.user,
        "user_exists": told.user_exists,
        "address": told.address,
        "port": told.port,
    });
    let attributes = [("outcome", outcome), ("address", &told.address)];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut event = Event {
        time_ns: told.time_ns,
        subject: told.user,
        group: told.method,
        attributes: attributes.into(),
        data: data.to_string().into(),
        ..taking.blank(line, text.as_bytes())
    };
    if event.source.is_empty() {
        event.source = format!("/sshd/{}", told.host);
    }
    for time in 1..told.times {
        let again = Event { id: format!("{}-{time}", event.id), ..event.clone() };
        taking.push(line, again)?;
    }
    taking.push(line, event)
}
