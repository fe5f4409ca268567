//! Events: calls that nobody waits for. They are committed before their caller is answered, run by
//! gateways, tried again, and at last given to a destination or kept as dead.
//!
//! Always true: an event that was accepted is run, or its end can be seen; `policy::retry` decides
//! what becomes of one that failed; events that come together are committed together.

use std::time::Duration;

use access::Action;
use api::functions::events::EventSettings;
use api::functions::{DeadEvent, EventFailure};
use api::internal::functions::{
    EVENT_KEPT_BYTES_MAX, EVENT_LEASE_MS, EventEnded, EventOutcome, KeepEvents, NewEvent,
    TakeEvents, TakenEvent, TakenEvents,
};
use api::pages::{Page, PageQuery};
use policy::retry::{Condition, Failure, Outcome, Tries, next};
use serde_json::Value;
use store::Topic;
use store::accounts::account_fetch;
use store::endpoints::notices::{notice_renew, notices_next_due, notices_take};
use store::functions::events::{
    EventRow, EventState, event_fetch, event_finish, event_forget, event_insert, event_put_back,
    event_redrive, event_renew, events_list_dead, events_next_due, events_take,
};
use store::functions::settings::settings_list;
use store::functions::{FunctionRow, function_fetch};
use tokio::sync::oneshot;
use types::{ErrorKind, EventId, FunctionName};

use super::called;
use super::destinations::{self, Ran, deliver, telling};
use crate::caller::Caller;
use crate::operations::endpoints::triggers::tell;
use crate::operations::instances::found;
use crate::operations::items::from_json;
use crate::operations::{page, slice};
use crate::{Control, Error};

/// Most events of one answer.
const TAKEN_MAX: u32 = 64;
/// What is kept of a failure's words.
const MESSAGE_BYTES_MAX: usize = 2_048;
/// Failures that are kept of an event, the last ones.
const HISTORY_MAX: usize = 100;
/// Most events of one commit.
const COMMIT_MAX: usize = 256;

/// Events on their way in: whoever finds nobody committing commits all that are here.
#[derive(Default)]
pub(crate) struct Intake {
    waiting: parking_lot::Mutex<Vec<(EventRow, oneshot::Sender<bool>)>>,
    turn: tokio::sync::Mutex<()>,
}

/// Keeps an event, to be run soon. Keeping it again changes nothing.
pub async fn accept(control: &Control, event: NewEvent) -> Result<(), Error> {
    if event.payload.len() > EVENT_KEPT_BYTES_MAX {
        let limit = format!("{EVENT_KEPT_BYTES_MAX} bytes");
        return Err(Error::TooLarge { what: "an event that nobody waits for", limit });
    }
    let now_ms = control.now_ms();
    let row = EventRow {
        qualifier: event.qualifier,
        ..EventRow::new(event.id, event.function, event.payload, now_ms)
    };
    let (sender, told) = oneshot::channel();
    let intake = &control.shared.intake;
    intake.waiting.lock().push((row, sender));
    let turn = intake.turn.lock().await;
    let batch: Vec<_> = {
        let mut waiting = intake.waiting.lock();
        let count = waiting.len().min(COMMIT_MAX);
        waiting.drain(..count).collect()
    };
    if !batch.is_empty() {
        commit(control, batch).await?;
    }
    drop(turn);
    // Where it was committed by another, that one has told; where that one failed, it has not.
    match told.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::NotFound { what: "the function".to_owned() }),
        Err(_) => Err(Error::internal("an event was not committed: send it again", Lost)),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the commit that it was part of failed")]
struct Lost;

async fn commit(
    control: &Control,
    batch: Vec<(EventRow, oneshot::Sender<bool>)>,
) -> Result<(), Error> {
    let (rows, senders): (Vec<EventRow>, Vec<_>) = batch.into_iter().unzip();
    let stored = control.shared.store.transact("accept events", |tx| {
        let rows = &rows;
        Box::pin(async move {
            let mut there = Vec::new();
            for row in rows {
                there.push(event_insert(tx, row).await?);
            }
            Ok::<_, store::Error>(there)
        })
    });
    for (sender, there) in senders.into_iter().zip(stored.await?) {
        // Whoever waited may be gone; the event is kept all the same.
        let _ = sender.send(there);
    }
    Ok(())
}

/// Takes events that are due, once there are some or the wait is over.
pub async fn take(control: &Control, wanted: TakeEvents) -> Result<TakenEvents, Error> {
    let wait_ms = wanted.wait_ms.min(api::internal::WATCH_WAIT_MS_MAX);
    let until_ms = control.now_ms().saturating_add(wait_ms);
    loop {
        let seen = control.shared.store.feed_read(Topic::Events).await?;
        let (events, due_ms) = take_now(control, wanted.limit.min(TAKEN_MAX)).await?;
        let now_ms = control.now_ms();
        if !events.is_empty() || now_ms >= until_ms {
            return Ok(TakenEvents { events });
        }
        let due_ms = due_ms.unwrap_or(u64::MAX).min(until_ms);
        let pause_ms = due_ms.saturating_sub(now_ms).max(1);
        let heard = control.shared.store.feed_wait(Topic::Events, seen, pause_ms);
        let limit = Duration::from_millis(pause_ms);
        if let Ok(heard) = tokio::time::timeout(limit, heard).await {
            heard?;
        }
    }
}

/// Takes what is due, and tells when the next is.
async fn take_now(control: &Control, limit: u32) -> Result<(Vec<TakenEvent>, Option<u64>), Error> {
    let now_ms = control.now_ms();
    let due = control.shared.store.read("see when an event is due", |tx| {
        Box::pin(async move {
            let due = [events_next_due(tx).await?, notices_next_due(tx).await?];
            Ok::<_, store::Error>(due.into_iter().flatten().min())
        })
    });
    let due_ms = due.await?;
    if due_ms.is_none_or(|due_ms| due_ms > now_ms) {
        return Ok((Vec::new(), due_ms));
    }
    let times = (now_ms, now_ms.saturating_add(EVENT_LEASE_MS));
    let taken = control.shared.store.transact("take events", |tx| {
        Box::pin(async move {
            let mut taken = Vec::new();
            for row in events_take(tx, times, limit).await? {
                let function = function_fetch(tx, row.function_id).await?;
                let account = account_fetch(tx, function.account_id).await?;
                taken.push(TakenEvent {
                    id: row.id,
                    webhook: destinations::signed(control, &row, times.0),
                    stream: destinations::told_stream(&row),
                    account: account.id,
                    account_name: account.name,
                    function: Some(function.name),
                    qualifier: row.qualifier,
                    payload: row.payload,
                    attempt: row.attempts,
                    email: None,
                });
            }
            let room = limit.saturating_sub(u32::try_from(taken.len()).unwrap_or(limit));
            for row in notices_take(tx, times, room).await? {
                taken.push(tell::taken(control, row, times.0));
            }
            Ok::<_, store::Error>(taken)
        })
    });
    Ok((taken.await?, Some(now_ms)))
}

/// Keeps events for whoever runs them.
pub async fn keep(control: &Control, wanted: KeepEvents) -> Result<(), Error> {
    let lost_at_ms = control.now_ms().saturating_add(EVENT_LEASE_MS);
    let kept = control.shared.store.transact("keep events", |tx| {
        let events = &wanted.events;
        Box::pin(async move {
            for &event in events {
                if !event_renew(tx, event, lost_at_ms).await? {
                    notice_renew(tx, event, lost_at_ms).await?;
                }
            }
            Ok::<_, store::Error>(())
        })
    });
    Ok(kept.await?)
}

/// Settles what becomes of an event after a run. Whoever no longer has it changes nothing.
pub async fn outcome(control: &Control, id: EventId, outcome: EventOutcome) -> Result<(), Error> {
    let now_ms = control.now_ms();
    let read = control.shared.store.read("fetch an event", |tx| {
        Box::pin(async move {
            let row = event_fetch(tx, id).await?;
            let function = function_fetch(tx, row.function_id).await?;
            let settings = settings_list(tx, function.id).await?;
            Ok::<_, store::Error>((row, function, settings))
        })
    });
    let (row, function, settings) = match read.await {
        Ok(read) => read,
        // It is a notice, or was finished, or its function removed meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return tell::outcome(control, id, outcome).await;
        }
        Err(error) => return Err(error.into()),
    };
    if row.state != EventState::Running || row.attempts != outcome.attempt {
        return Ok(());
    }
    let settings = destinations::settings_of(&settings, &row)?;
    let next = settle(&row, &function, &settings, (outcome.ended, now_ms))?;
    let fresh = EventId::new(control.clock().uuid());
    let settled = control.shared.store.transact("settle an event", |tx| {
        let (next, function, row) = (&next, &function, &row);
        Box::pin(async move {
            let mine = match &next.kept {
                Some(row) => event_put_back(tx, row).await?,
                None => event_finish(tx, id, outcome.attempt).await?,
            };
            if mine && let Some((destination, record)) = &next.told {
                deliver(tx, (fresh, function, row), (destination, record), now_ms).await?;
            }
            Ok::<_, store::Error>(())
        })
    });
    Ok(settled.await?)
}

/// What becomes of an event.
struct Next {
    /// The event as it stays; none where it is over.
    kept: Option<EventRow>,
    /// Who is told, and what.
    told: Option<(String, Value)>,
}

fn settle(
    row: &EventRow,
    function: &FunctionRow,
    settings: &EventSettings,
    (ended, now_ms): (EventEnded, u64),
) -> Result<Next, Error> {
    let mut history: Vec<EventFailure> = from_json(&row.history)?;
    let (why, failure) = match ended {
        EventEnded::Answered { version, payload } => {
            let told = settings.on_success.clone().map(|destination| {
                let ran = Ran { condition: "Success", version: &version, error: None };
                let told = telling(&destination, (row, function), &ran, (&payload, now_ms));
                (destination, told)
            });
            return Ok(Next { kept: None, told });
        }
        EventEnded::Failed { version, error, payload } => (
            Failure::Function,
            EventFailure {
                at_ms: now_ms,
                error,
                message: cut(payload),
                version: Some(version).filter(|version| !version.is_empty()),
            },
        ),
        EventEnded::NotRun { throttled, reason } => {
            let (why, error) = if throttled {
                (Failure::Throttled, "Throttled")
            } else {
                (Failure::Host, "Fault")
            };
            let error = error.to_owned();
            (why, EventFailure { at_ms: now_ms, error, message: cut(reason), version: None })
        }
    };
    let last = failure.clone();
    history.push(failure);
    let missed = history.iter().rev().take_while(|it| it.version.is_none()).count();
    let failed = row.failures + u32::from(why == Failure::Function);
    let tries = Tries {
        age_ms: now_ms.saturating_sub(row.accepted_at_ms),
        failed,
        missed: u32::try_from(missed).unwrap_or(u32::MAX),
    };
    let seed = u64::try_from(row.id.uuid().as_u128() & u128::from(u64::MAX)).unwrap_or_default();
    let decided = next(why, &tries, &destinations::policy_of(settings)?, seed);
    let from = history.len().saturating_sub(HISTORY_MAX);
    let history = serde_json::to_value(&history[from..]);
    let history = history.map_err(|error| Error::internal("could not write an event", error))?;
    let kept = |state, due_at_ms| EventRow {
        state,
        failures: failed,
        due_at_ms,
        history: history.clone(),
        ..row.clone()
    };
    match (decided, &settings.on_failure) {
        (Outcome::Again { after_ms }, _) => {
            let row = kept(EventState::Waiting, now_ms.saturating_add(after_ms));
            Ok(Next { kept: Some(row), told: None })
        }
        (Outcome::GiveUp(condition), Some(destination)) => {
            let version = last.version.as_deref().unwrap_or_default();
            let ran = Ran { condition: word(condition), version, error: Some(&last.error) };
            let record = telling(destination, (row, function), &ran, (&last.message, now_ms));
            Ok(Next { kept: None, told: Some((destination.clone(), record)) })
        }
        (Outcome::GiveUp(_), None) => {
            Ok(Next { kept: Some(kept(EventState::Dead, now_ms)), told: None })
        }
    }
}

const fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::RetriesExhausted => "RetriesExhausted",
        Condition::EventAgeExceeded => "EventAgeExceeded",
    }
}

/// The events of a function that were given up.
pub async fn list_dead(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    query: &PageQuery,
) -> Result<Page<DeadEvent>, Error> {
    let owner = called(control, caller, function, Action::FunctionsRead).await?;
    let slice = slice::<EventId>(query)?;
    let (id, limit, after) = (owner.id, slice.limit, slice.after);
    let read = control
        .shared
        .store
        .read("list dead events", |tx| Box::pin(events_list_dead(tx, id, after, limit + 1)));
    let mut events = Vec::new();
    for row in read.await? {
        events.push(DeadEvent {
            id: row.id,
            qualifier: row.qualifier,
            webhook: Some(row.webhook).filter(|url| !url.is_empty()),
            payload: serde_json::from_str(&row.payload).unwrap_or(Value::from(row.payload)),
            failures: from_json(&row.history)?,
            accepted_at_ms: row.accepted_at_ms,
            given_up_at_ms: row.due_at_ms,
        });
    }
    Ok(page(events, limit, |event| event.id.to_string(), |event| event))
}

/// Has an event that was given up run again.
pub async fn redrive(
    control: &Control,
    caller: &Caller,
    (function, id): (&FunctionName, EventId),
) -> Result<(), Error> {
    let owner = called(control, caller, function, Action::FunctionsWrite).await?;
    let (key, now_ms) = ((owner.id, id), control.now_ms());
    let driven = control.shared.store.transact("drive an event again", |tx| {
        Box::pin(async move {
            let row = event_fetch(tx, id).await?;
            let is_its = row.function_id == owner.id && row.state == EventState::Dead;
            if is_its && row.payload.is_empty() {
                return Ok(None);
            }
            event_redrive(tx, key, now_ms).await.map(Some)
        })
    });
    match driven.await {
        Ok(Some(driven)) => there(driven, id),
        Ok(None) => Err(Error::invalid(
            "this event cannot be driven again: what the function was given was too large to be \
             kept. Its failure names the events of the stream; read them there",
        )),
        Err(store::Error::NotFound { .. }) => there(false, id),
        Err(error) => Err(error.into()),
    }
}

/// Forgets an event that was given up.
pub async fn forget(
    control: &Control,
    caller: &Caller,
    (function, id): (&FunctionName, EventId),
) -> Result<(), Error> {
    let owner = called(control, caller, function, Action::FunctionsWrite).await?;
    let key = (owner.id, id);
    let forgotten =
        control.shared.store.transact("forget an event", |tx| Box::pin(event_forget(tx, key)));
    there(forgotten.await?, id)
}

fn there(changed: bool, id: EventId) -> Result<(), Error> {
    let gone = Err(store::Error::NotFound { what: "event", id: id.to_string() });
    found(if changed { Ok(()) } else { gone }, || format!("the dead event {id}"))
}

/// As much of what was said of a failure as is kept.
pub(super) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
    text.replace('\0', " ")
}
