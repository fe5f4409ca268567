//! Destinations: functions, webhooks and streams that are told what became of a function's events,
//! and the settings that name them.
//!
//! Always true: a destination is a function or a stream of the same account, or the URL of a webhook;
//! telling a webhook or a stream is an event of its own, tried again as one, and dead as one where it
//! cannot be told: no other destination hears of that; a chain of destinations ends.
//! Absent on purpose: connecting and appending, which gateways do.

use access::Action;
use access::webhooks::WebhookSecret;
use api::functions::events::{EventSettings, EventSettingsQuery, ShownEventSettings};
use api::internal::functions::Webhook;
use api::internal::functions::sources::TOLD;
use policy::retry::TOLD_MAX;
use serde_json::{Value, json};
use store::Tx;
use store::functions::events::{EventRow, event_insert};
use store::functions::settings::{SettingKind, SettingRow};
use store::functions::{FunctionRow, function_fetch_by_name};
use types::functions::{account_number, function_arn};
use types::{
    AliasName, ErrorKind, EventId, FunctionId, FunctionName, FunctionReference, Name,
    StreamReference,
};

use super::called;
use super::settings::{self, find};
use crate::caller::Caller;
use crate::operations::streams;
use crate::{Control, Error};

/// Longest URL of a webhook: what servers and proxies in between take.
const URL_BYTES_MAX: usize = 2_048;
/// What is kept of an error's kind as an attribute of an event.
const ERROR_CHARS_MAX: usize = 200;

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Destination {
    Function(FunctionReference),
    /// Its URL.
    Webhook(String),
    Stream(StreamReference),
}

/// Reads a destination.
fn read(text: &str) -> Result<Destination, Error> {
    if text.starts_with("http://") || text.starts_with("https://") {
        let wrong = |why: &str| Error::invalid(format!("{text:?} is no webhook: {why}"));
        if text.len() > URL_BYTES_MAX {
            return Err(Error::invalid(format!("a webhook's URL has up to {URL_BYTES_MAX} bytes")));
        }
        let url: http::Uri = text.parse().map_err(|_| wrong("write https://HOST/PATH"))?;
        let authority = url.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong(
                "a user or password has no place in it; check the signature instead",
            ));
        }
        let port = url.port_u16().unwrap_or(443);
        policy::egress::Place::new(authority.host().trim_matches(['[', ']']), port)
            .map_err(|error| wrong(&error.to_string()))?;
        return Ok(Destination::Webhook(text.to_owned()));
    }
    if text.starts_with("stream:") || text.starts_with("arn:aws:kinesis:") {
        return text.parse().map(Destination::Stream).map_err(|_| unknown(text));
    }
    let named: FunctionReference = text.parse().map_err(|_| unknown(text))?;
    if is_qualifier(&named.qualifier) {
        Ok(Destination::Function(named))
    } else {
        Err(unknown(text))
    }
}

/// Refuses what is no URL of a webhook.
pub(crate) fn check_webhook(text: &str) -> Result<(), Error> {
    match read(text) {
        Ok(Destination::Webhook(_)) => Ok(()),
        Err(error) if text.starts_with("http") => Err(error),
        _ => Err(Error::invalid(format!("{text:?} is no webhook: write https://HOST/PATH"))),
    }
}

/// Whether this could be a version or an alias, or is nothing, which is the latest.
pub(super) fn is_qualifier(text: &str) -> bool {
    let number = text.bytes().all(|byte| byte.is_ascii_digit());
    number || text == api::functions::LATEST || text.parse::<AliasName>().is_ok()
}

/// Whether a destination is a stream.
pub(super) fn is_stream(text: &str) -> bool {
    stream_of(text).is_some()
}

/// The stream that a destination is; none where it is no stream.
pub(super) fn stream_of(text: &str) -> Option<Name> {
    match read(text) {
        Ok(Destination::Stream(named)) => Some(named.name),
        _ => None,
    }
}

fn unknown(text: &str) -> Error {
    Error::invalid(format!(
        "{text:?} is no function of yours, by its name or ARN, no URL of a webhook, and no stream of \
         yours, as stream:NAME"
    ))
}

/// What becomes of a function's events, as a whole; what nobody has said is absent.
pub(crate) async fn fetch(
    control: &Control,
    caller: &Caller,
    (name, of): (&FunctionName, &EventSettingsQuery),
) -> Result<ShownEventSettings, Error> {
    let kind = (SettingKind::Events, qualifier_of(of));
    let settings = settings::fetch(control, caller, name, kind).await?.unwrap_or_default();
    shown(control, caller, (name, settings)).await
}

/// Changes that, as a whole.
pub(crate) async fn put(
    control: &Control,
    caller: &Caller,
    (name, of): (&FunctionName, &EventSettingsQuery),
    settings: EventSettings,
) -> Result<ShownEventSettings, Error> {
    let qualifier = qualifier_of(of);
    if !is_qualifier(qualifier) {
        return Err(Error::invalid(format!("{qualifier:?} is no version and no alias")));
    }
    put_checked(control, caller, (name, qualifier), &settings).await?;
    shown(control, caller, (name, settings)).await
}

/// Whose settings are meant.
fn qualifier_of(of: &EventSettingsQuery) -> &str {
    settings::stored_qualifier(of.qualifier.as_deref().unwrap_or_default())
}

/// Stores settings once they are found good, and tells when.
pub(crate) async fn put_checked(
    control: &Control,
    caller: &Caller,
    (name, qualifier): (&FunctionName, &str),
    settings: &EventSettings,
) -> Result<u64, Error> {
    policy_of(settings)?;
    for text in [&settings.on_success, &settings.on_failure].into_iter().flatten() {
        check(control, caller, text).await?;
    }
    settings::put(control, caller, name, (SettingKind::Events, qualifier, settings)).await
}

/// Refuses what is no destination of this caller.
pub(super) async fn check(control: &Control, caller: &Caller, text: &str) -> Result<(), Error> {
    let destination = read(text)?;
    let account = match &destination {
        Destination::Function(named) => &named.account,
        Destination::Stream(named) => &named.account,
        Destination::Webhook(_) => return Ok(()),
    };
    let own_number = account_number(caller.account);
    if account.as_ref().is_some_and(|number| *number != own_number) {
        return Err(unknown(text));
    }
    let known = match &destination {
        Destination::Function(named) => {
            called(control, caller, &named.name, Action::FunctionsRead).await.map(drop)
        }
        Destination::Stream(named) => {
            streams::own(control, caller, &named.name, Action::StreamsAppend).await.map(drop)
        }
        Destination::Webhook(_) => Ok(()),
    };
    known.map_err(|_| unknown(text))
}

async fn shown(
    control: &Control,
    caller: &Caller,
    (name, settings): (&FunctionName, EventSettings),
) -> Result<ShownEventSettings, Error> {
    let webhook_secret = match called(control, caller, name, Action::FunctionsWrite).await {
        Ok(owner) => Some(secret(control, owner.id).reveal()),
        Err(Error::Forbidden { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(ShownEventSettings { settings, webhook_secret })
}

fn secret(control: &Control, function: FunctionId) -> WebhookSecret {
    WebhookSecret::of(&control.shared.webhooks, &function.to_string())
}

/// What settings mean to `policy`.
pub(super) fn policy_of(settings: &EventSettings) -> Result<policy::retry::Settings, Error> {
    let usual = policy::retry::Settings::default();
    let age_ms = settings.age_s.map_or(usual.age_ms(), |s| s.saturating_mul(1_000));
    let settings =
        policy::retry::Settings::new(settings.retries.unwrap_or(usual.retries()), age_ms);
    settings.map_err(|refusal| Error::invalid(refusal.to_string()))
}

/// The settings that count for an event: those of its qualifier, or else the function's. Of the
/// telling of a webhook nobody is told, nor at the end of a chain: what fails there is dead.
pub(super) fn settings_of(rows: &[SettingRow], event: &EventRow) -> Result<EventSettings, Error> {
    let own: Option<EventSettings> = find(rows, SettingKind::Events, &event.qualifier)?;
    let settings = match own {
        Some(settings) => settings,
        None => find(rows, SettingKind::Events, "")?.unwrap_or_default(),
    };
    if event.webhook.is_empty() && event.told < TOLD_MAX {
        return Ok(settings);
    }
    Ok(EventSettings { on_success: None, on_failure: None, ..settings })
}

/// The webhook that an event is for, and the signature of what it is told; none where the function
/// runs.
pub(super) fn signed(control: &Control, event: &EventRow, now_ms: u64) -> Option<Webhook> {
    if event.webhook.is_empty() || told_stream(event).is_some() {
        return None;
    }
    let signed_at_s = now_ms / 1_000;
    let secret = secret(control, event.function_id);
    let signature = secret.sign(&event.id.to_string(), signed_at_s, &event.payload);
    Some(Webhook { url: event.webhook.clone(), signed_at_s, signature })
}

/// The stream that an event is for; none where it is told elsewhere, or the function runs.
pub(super) fn told_stream(event: &EventRow) -> Option<Name> {
    let named: StreamReference = event.webhook.parse().ok()?;
    Some(named.name)
}

/// How the last run ended, for a record.
pub(super) struct Ran<'a> {
    pub(super) condition: &'a str,
    pub(super) version: &'a str,
    pub(super) error: Option<&'a str>,
}

/// What a destination is told. Source: Lambda's record of a destination, version 1.0.
pub(super) fn record(
    row: &EventRow,
    function: &FunctionRow,
    ran: &Ran<'_>,
    (answer, now_ms): (&str, u64),
) -> Value {
    let parse = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let arn = function_arn("local", function.account_id, &function.name, &row.qualifier);
    let mut context = json!({ "statusCode": 200, "executedVersion": ran.version });
    if let Some(error) = ran.error {
        context["functionError"] = Value::from(error);
    }
    json!({
        "version": "1.0",
        "timestamp": crate::moment::iso8601(now_ms),
        "requestContext": {
            "requestId": row.id.uuid(),
            "functionArn": arn,
            "condition": ran.condition,
            "approximateInvokeCount": row.attempts,
        },
        "requestPayload": parse(&row.payload),
        "responseContext": context,
        "responsePayload": parse(answer),
    })
}

/// What a destination is told, which for a stream is an event of its own: what was answered, or what
/// came where that was given up, so that it can be sent again.
pub(super) fn telling(
    destination: &str,
    (row, function): (&EventRow, &FunctionRow),
    ran: &Ran<'_>,
    (answer, now_ms): (&str, u64),
) -> Value {
    if !is_stream(destination) {
        return record(row, function, ran, (answer, now_ms));
    }
    let parse = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let mut event = json!({
        "specversion": "1.0",
        "source": function_arn("local", function.account_id, &function.name, &row.qualifier),
        "type": "freehold.function.answered",
        "time": crate::moment::iso8601(now_ms),
        "function": function.name,
        "condition": ran.condition,
        "requestid": row.id.uuid(),
        (TOLD): row.told.saturating_add(1).to_string(),
        "datacontenttype": "application/json",
    });
    if !ran.version.is_empty() {
        event["version"] = Value::from(ran.version);
    }
    event["data"] = match ran.error {
        None => parse(answer),
        Some(error) => {
            event["type"] = Value::from("freehold.function.failed");
            event["error"] = Value::from(error.chars().take(ERROR_CHARS_MAX).collect::<String>());
            parse(&row.payload)
        }
    };
    event
}

/// Hands a record to a destination of the function it came from, as an event of its own, and tells
/// whether there is one: a function that its owner removed is told of in the log only.
pub(super) async fn deliver(
    tx: &mut Tx<'_>,
    (id, from, event): (EventId, &FunctionRow, &EventRow),
    (destination, record): (&str, &Value),
    now_ms: u64,
) -> Result<bool, store::Error> {
    let Ok(destination) = read(destination) else { return Ok(false) };
    let mut record = record.clone();
    let (function_id, qualifier, webhook) = match destination {
        Destination::Webhook(url) => (from.id, event.qualifier.clone(), url),
        Destination::Stream(StreamReference { name, .. }) => {
            // Told again it is the same event.
            record["id"] = Value::from(id.to_string());
            (from.id, event.qualifier.clone(), format!("stream:{name}"))
        }
        Destination::Function(named) => {
            match function_fetch_by_name(tx, from.account_id, &named.name).await {
                Ok(to) => (to.id, named.qualifier, String::new()),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    tracing::warn!(function = %from.name, gone = %named.name, "a destination is gone");
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
    };
    let fresh = EventRow::new(id, function_id, record.to_string(), now_ms);
    let row = EventRow { qualifier, webhook, told: event.told.saturating_add(1), ..fresh };
    event_insert(tx, &row).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_function_or_a_url() {
        for url in ["https://example.org/a?b=c", "http://10.0.0.7:8080", "https://[2001:db8::1]/x"]
        {
            assert_eq!(read(url).unwrap(), Destination::Webhook(url.to_owned()));
        }
        for name in [
            "ledger",
            "ledger:live",
            "ledger:7",
            "ledger:$LATEST",
            "arn:aws:lambda:local:123456789012:function:ledger",
        ] {
            assert!(matches!(read(name).unwrap(), Destination::Function(_)), "{name}");
        }
        let long = format!("https://example.org/{}", "a".repeat(URL_BYTES_MAX));
        for wrong in [
            "",
            "stream:No",
            "ftp://a/b",
            "https://",
            "https://u:p@example.org/",
            "https://127.1/",
            &long,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_destination_is_a_stream_where_it_says_so() {
        for stream in ["stream:kept", "arn:aws:kinesis:local:123456789012:stream/kept"] {
            assert!(is_stream(stream), "{stream}");
        }
        for other in ["stream", "https://example.org/stream:kept", "kept"] {
            assert!(!is_stream(other) && read(other).is_ok(), "{other}");
        }
        for wrong in ["stream:No", "stream:", "arn:aws:kinesis:local:1:stream/kept"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
