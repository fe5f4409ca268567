//! Events: taken from control when they are due, run, or told to a webhook, by e-mail or to a stream,
//! and told of.
//!
//! Always true: an event is kept as long as it runs; what became of it is told, or it comes again
//! when control takes it for lost. Absent on purpose: whether it runs again, which control decides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::internal::functions::{
    EVENT_LEASE_MS, EventEnded, EventOutcome, KeepEvents, TakeEvents, TakenEvent,
};
use bytes::Bytes;
use parking_lot::Mutex;
use types::{ErrorKind, EventId, RequestId};

use super::{Function, Outcome, Said, call};
use crate::error::Error;
use crate::hub::Hub;

/// Most events that run at one time.
const RUNNING_MAX: usize = 64;
/// Longest wait for an event.
const WAIT_MS: u64 = 20_000;
/// Between two tries while control is away.
const RETRY_MS: u64 = 500;
/// How often events that run are kept anew: three times before they would be taken for lost.
const KEEP_MS: u64 = EVENT_LEASE_MS / 3;
/// How often an outcome is told again while control is away.
const TELL_MAX: u32 = 60;

/// The events that run, each with its attempt.
type Running = Arc<Mutex<BTreeMap<EventId, u32>>>;

/// Takes events and runs them, until the gateway stops.
pub(crate) async fn run(hub: Arc<Hub>) {
    let stopping = hub.tasks.stopping();
    let places = Arc::new(tokio::sync::Semaphore::new(RUNNING_MAX));
    let running = Running::default();
    let keeper = hub.tasks.spawn("events kept", keep(Arc::clone(&hub), Arc::clone(&running)));
    while !stopping.is_cancelled() {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let limit = u32::try_from(places.available_permits() + 1).unwrap_or(1);
        let taken = hub.control.take_events(TakeEvents { limit, wait_ms: WAIT_MS });
        let taken = tokio::select! {
            taken = taken => taken,
            () = stopping.cancelled() => break,
        };
        let events = match taken {
            Ok(taken) => taken.events,
            Err(cause) => {
                tracing::debug!(%cause, "events could not be taken");
                tokio::select! {
                    () = hub.clock.sleep_ms(RETRY_MS) => {}
                    () = stopping.cancelled() => {}
                }
                continue;
            }
        };
        let mut place = Some(place);
        for event in events {
            let place = match place.take() {
                Some(place) => place,
                None => match Arc::clone(&places).acquire_owned().await {
                    Ok(place) => place,
                    Err(_) => return,
                },
            };
            running.lock().insert(event.id, event.attempt);
            let (hub, running) = (Arc::clone(&hub), Arc::clone(&running));
            let tasks = hub.tasks.clone();
            tasks.spawn("event", async move {
                let (id, attempt) = (event.id, event.attempt);
                let ended = one(&hub, event).await;
                tell(&hub, id, EventOutcome { attempt, ended }).await;
                running.lock().remove(&id);
                drop(place);
            });
        }
    }
    keeper.abort();
}

/// Keeps what runs.
async fn keep(hub: Arc<Hub>, running: Running) {
    loop {
        hub.clock.sleep_ms(KEEP_MS).await;
        let events: Vec<_> = running.lock().iter().map(|(id, attempt)| (*id, *attempt)).collect();
        if events.is_empty() {
            continue;
        }
        if let Err(cause) = hub.control.keep_events(KeepEvents { events }).await {
            tracing::debug!(%cause, "events could not be kept");
        }
    }
}

/// Runs one event.
async fn one(hub: &Hub, event: TakenEvent) -> EventEnded {
    if let Some(webhook) = &event.webhook {
        return hub.webhooks.tell(&event, webhook).await;
    }
    if let Some(stream) = &event.stream {
        return crate::streams::tell(hub, &event, stream).await;
    }
    let not_run = |throttled, reason: String| EventEnded::NotRun { throttled, reason };
    if let Some(email) = &event.email {
        return hub.mail.send(&event, email).await;
    }
    let known = event.function.as_ref();
    let function = known
        .and_then(|function| hub.table.load().function_of(event.account_name.as_str(), function));
    let Some(function) = function else {
        return not_run(false, "the function is not known here".to_owned());
    };
    let id = RequestId::new(event.id.uuid()).to_string();
    let payload = Bytes::from(event.payload);
    let ran = call(hub, &function, (&event.qualifier, &id), Said::default(), payload).await;
    match ran {
        Ok(Outcome { called, payload, version }) => {
            let payload = String::from_utf8_lossy(&payload).replace('\0', " ");
            match called.error {
                None => EventEnded::Answered { version, payload },
                Some(error) => EventEnded::Failed { version, error, payload },
            }
        }
        Err(error) => not_run(error.kind() == ErrorKind::Busy, error.to_string()),
    }
}

/// What became of what a function was fed.
pub(crate) enum Fed {
    Answered(Bytes),
    /// The function failed.
    Failed {
        /// Such as `Function.ValueError`.
        error: String,
        /// What was said of it.
        message: String,
    },
    /// It is more than a call may carry.
    TooLarge {
        /// How much that is.
        reason: String,
    },
    /// It never reached the function.
    NotRun {
        /// Why.
        reason: String,
    },
}

/// Longest part of what is said of a failure, in characters.
const MESSAGE_CHARS_MAX: usize = 500;

/// Gives a function what a stream has for it.
pub(crate) async fn feed(
    hub: &Hub,
    function: &Arc<Function>,
    at: (&str, &str),
    payload: Bytes,
) -> Fed {
    match call(hub, function, at, Said::default(), payload).await {
        Ok(Outcome { called, payload, .. }) => match called.error {
            None => Fed::Answered(payload),
            Some(error) => {
                let told: Option<serde_json::Value> = serde_json::from_slice(&payload).ok();
                let said = told.as_ref().and_then(|told| told.get("errorMessage")?.as_str());
                let message = said.unwrap_or_default().chars().take(MESSAGE_CHARS_MAX);
                Fed::Failed { error, message: message.collect::<String>().replace('\0', " ") }
            }
        },
        Err(error @ Error::BodyTooLarge { .. }) => Fed::TooLarge { reason: error.to_string() },
        Err(error) => Fed::NotRun { reason: error.to_string() },
    }
}

/// Tells what became of an event, and again while control is away.
async fn tell(hub: &Hub, id: EventId, outcome: EventOutcome) {
    for _ in 0..TELL_MAX {
        let told = hub.control.settle_event(id, outcome.clone());
        match tokio::time::timeout(Duration::from_millis(EVENT_LEASE_MS), told).await {
            Ok(Ok(())) => return,
            Ok(Err(cause)) => tracing::info!(%id, %cause, "an event could not be told of yet"),
            Err(_) => tracing::debug!(%id, "an event was not told of in time"),
        }
        if hub.tasks.stopping().is_cancelled() {
            return;
        }
        hub.clock.sleep_ms(RETRY_MS).await;
    }
    tracing::warn!(%id, "an event could not be told of; it will run again");
}
