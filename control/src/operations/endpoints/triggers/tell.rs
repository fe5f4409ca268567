//! Telling somebody that a trigger fired: notices, which gateways take, tell, and say what came of it.
//!
//! Always true: a notice is told until it was taken or given up, by `policy::retry`; what came of it
//! stands with the firing. Absent on purpose: connecting, which gateways do.

use api::internal::functions::{Email, EventEnded, EventOutcome, TakenEvent, Webhook};
use api::triggers::{TriggerAction, TriggerDid, TriggerOutcome};
use policy::retry::{Failure, Outcome, Settings, Tries, next};
use serde_json::json;
use store::endpoints::notices::{NoticeKind, NoticeRow, NoticeState, notice_fetch, notice_settle};
use store::endpoints::triggers::FiringRow;
use store::endpoints::{EndpointRow, endpoint_fetch};
use types::{AccountId, ErrorKind, EventId, Name};
use uuid::Uuid;

use super::Told;
use crate::{Control, Error};

/// What is kept of why somebody could not be told.
const ERROR_BYTES_MAX: usize = 512;

/// What somebody is told of a firing by its action at `place`.
pub(super) fn notice(
    (endpoint, firing): (&EndpointRow, &FiringRow),
    (told, place): (&Told, usize),
    id: Uuid,
) -> NoticeRow {
    let (kind, recipient) = match &told.did[place].action {
        TriggerAction::Email { to } => (NoticeKind::Email, to.clone()),
        TriggerAction::Webhook { url } => (NoticeKind::Webhook, url.clone()),
        _ => (NoticeKind::Webhook, String::new()),
    };
    let payload = match kind {
        NoticeKind::Webhook => record(endpoint, firing, told),
        NoticeKind::Email => text(endpoint, firing, told),
    };
    NoticeRow {
        id: EventId::new(id),
        endpoint_id: endpoint.id,
        firing: firing.number,
        place: u32::try_from(place).unwrap_or(0),
        kind,
        recipient,
        subject: format!("{} of {} has fired", firing.trigger, endpoint.name),
        payload,
        state: NoticeState::Waiting,
        attempts: 0,
        failures: 0,
        due_at_ms: firing.at_ms,
        accepted_at_ms: firing.at_ms,
        error: None,
    }
}

/// What a webhook is told.
fn record(endpoint: &EndpointRow, firing: &FiringRow, told: &Told) -> String {
    let record = json!({
        "type": "trigger.fired",
        "timestamp": crate::moment::iso8601(firing.at_ms),
        "data": {
            "endpoint": endpoint.name,
            "trigger": firing.trigger,
            "firing": firing.number,
            "run": firing.run_id,
            "window_ms": told.window_ms,
            "saw": told.saw,
            "did": told.did,
        },
    });
    record.to_string()
}

/// What an e-mail says.
fn text(endpoint: &EndpointRow, firing: &FiringRow, told: &Told) -> String {
    let saw = &told.saw;
    let variant = saw.variant.as_ref().map_or_else(String::new, |name| format!("@{name}"));
    let over = match (told.window_ms, firing.run_id) {
        (Some(ms), _) => format!(" over {} s", ms / 1_000),
        (None, Some(run)) => format!(" in {run}"),
        (None, None) => String::new(),
    };
    let mut lines = vec![
        format!("The trigger {} of the endpoint {} has fired.", firing.trigger, endpoint.name),
        String::new(),
        format!("{}{variant}{over}: {}", endpoint.name, saw.words),
        format!("{} requests, {} of them without a good answer.", saw.requests, saw.failures),
        format!("It is firing {}, at {}.", firing.number, crate::moment::iso8601(firing.at_ms)),
    ];
    for did in told.did.iter().filter(|did| !did.words.is_empty()) {
        lines.push(did.words.clone());
    }
    lines.join("\n") + "\n"
}

/// What is told now, and by whom a webhook knows that this cloud tells it.
pub(crate) fn taken(
    control: &Control,
    (row, account, account_name): (NoticeRow, AccountId, Name),
    now_ms: u64,
) -> TakenEvent {
    let signed_at_s = now_ms / 1_000;
    let (webhook, email) = match row.kind {
        NoticeKind::Webhook => {
            let webhooks = &control.shared.webhooks;
            let endpoint = row.endpoint_id.to_string();
            let secret = access::webhooks::WebhookSecret::of(webhooks, &endpoint);
            let signature = secret.sign(&row.id.to_string(), signed_at_s, &row.payload);
            (Some(Webhook { url: row.recipient, signed_at_s, signature }), None)
        }
        NoticeKind::Email => (None, Some(Email { to: row.recipient, subject: row.subject })),
    };
    TakenEvent {
        stream: None,
        id: row.id,
        account,
        account_name,
        function: None,
        qualifier: String::new(),
        payload: row.payload,
        attempt: row.attempts,
        webhook,
        email,
    }
}

/// Settles what becomes of a notice after it was told, or could not be. Whoever no longer has it
/// changes nothing.
pub(crate) async fn outcome(
    control: &Control,
    id: EventId,
    outcome: EventOutcome,
) -> Result<(), Error> {
    let now_ms = control.now_ms();
    let read = control.shared.store.read("fetch a notice", |tx| {
        Box::pin(async move {
            let row = notice_fetch(tx, id).await?;
            let endpoint = endpoint_fetch(tx, row.endpoint_id).await?;
            Ok::<_, store::Error>((row, endpoint))
        })
    });
    let (row, endpoint) = match read.await {
        Ok(read) => read,
        // It was forgotten, or its endpoint removed meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if row.state != NoticeState::Running || row.attempts != outcome.attempt {
        return Ok(());
    }
    let row = settled(row, outcome.ended, now_ms);
    let settle = control.shared.store.transact("settle a notice", |tx| {
        let row = row.clone();
        Box::pin(async move { notice_settle(tx, &row).await })
    });
    settle.await?;
    if let (NoticeState::Failed, Some(why)) = (row.state, &row.error) {
        let text = format!("{} could not be told of firing {}: {why}", row.recipient, row.firing);
        control.say(&endpoint.id.to_string(), "trigger", &text).await?;
    }
    Ok(())
}

/// A notice after an attempt.
fn settled(row: NoticeRow, ended: EventEnded, now_ms: u64) -> NoticeRow {
    let (why, error) = match ended {
        EventEnded::Answered { .. } => {
            return NoticeRow { state: NoticeState::Told, error: None, ..row };
        }
        EventEnded::Failed { error, payload, .. } => {
            (Failure::Function, format!("{error}: {payload}"))
        }
        EventEnded::NotRun { throttled: true, reason } => (Failure::Throttled, reason),
        EventEnded::NotRun { throttled: false, reason } => (Failure::Host, reason),
    };
    let failures = row.failures + u32::from(why == Failure::Function);
    let tries = Tries {
        age_ms: now_ms.saturating_sub(row.accepted_at_ms),
        failed: failures,
        missed: row.attempts.saturating_sub(failures),
    };
    let seed = u64::try_from(row.id.uuid().as_u128() & u128::from(u64::MAX)).unwrap_or_default();
    let error = Some(cut(error));
    match next(why, &tries, &Settings::default(), seed) {
        Outcome::Again { after_ms } => NoticeRow {
            state: NoticeState::Waiting,
            due_at_ms: now_ms.saturating_add(after_ms),
            failures,
            error,
            ..row
        },
        Outcome::GiveUp(_) => NoticeRow { state: NoticeState::Failed, failures, error, ..row },
    }
}

/// What a firing did, with what became of its notice.
pub(super) fn overlay(did: &mut TriggerDid, notice: &NoticeRow) {
    let error = notice.error.as_deref().unwrap_or_default();
    (did.outcome, did.words) = match notice.state {
        NoticeState::Told => (TriggerOutcome::Done, format!("told {} of it", notice.recipient)),
        NoticeState::Failed => {
            (TriggerOutcome::Failed, format!("{} was not told: {error}", notice.recipient))
        }
        NoticeState::Waiting | NoticeState::Running if error.is_empty() => {
            (TriggerOutcome::Waiting, format!("{} is being told", notice.recipient))
        }
        NoticeState::Waiting | NoticeState::Running => {
            let words = format!("{} is told again, since: {error}", notice.recipient);
            (TriggerOutcome::Waiting, words)
        }
    };
}

fn cut(mut text: String) -> String {
    let mut end = ERROR_BYTES_MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.replace('\0', " ")
}
