//! Sources: streams that functions are fed from, natively and in Lambda's words.
//!
//! Always true: stream and function are of the same account; what is stored was checked; what is given
//! up is an event of whoever is told of it before the gateway goes on, and a dead one of the function
//! where nobody is. Absent on purpose: feeding, which the gateway does that holds the stream.

use access::{Action, Resource};
use api::functions::EventFailure;
use api::functions::sources::{CreateSource, Source, SourceSpec, UpdateSource};
use api::internal::functions::EVENT_KEPT_BYTES_MAX;
use api::internal::functions::sources::{GivenUp, SourceCount, SourceRoute, TOLD};
use api::pages::{Page, PageQuery};
use policy::feeding;
use policy::retry::TOLD_MAX;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::Tx;
use store::functions::events::{EventRow, EventState, event_insert};
use store::functions::function_fetch;
use store::functions::sources::{
    SourceCounts, SourceRow, source_change, source_count, source_delete, source_fetch,
    source_insert, sources_list,
};
use types::functions::function_arn;
use types::{FunctionName, Name, SourceId, stream_arn};

use super::{called, destinations, events};
use crate::caller::Caller;
use crate::operations::instances::found;
use crate::operations::items::from_json;
use crate::operations::{changed, page, slice, streams};
use crate::{Control, Error, moment};

/// Sources of one account: each is a reader of its own at the gateway that holds the stream.
const SOURCES_MAX: u32 = 100;
/// Most filters of a source. Source: Lambda's limit.
const FILTERS_MAX: usize = 5;
/// The only part of a stream, as Kinesis' records name it.
const SHARD: &str = "shardId-000000000000";

/// What is stored of a source. Neither name changes as long as it is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    stream: Name,
    function: FunctionName,
    spec: SourceSpec,
}

/// Feeds a function from a stream.
pub async fn create(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    wanted: CreateSource,
) -> Result<Source, Error> {
    let owner = called(control, caller, function, Action::FunctionsWrite).await?;
    let CreateSource { stream, qualifier, spec } = wanted;
    let stream = streams::own(control, caller, &stream, Action::StreamsRead).await?;
    check(control, caller, (&stream.name, &qualifier, &spec)).await?;
    let now_ms = control.now_ms();
    let stored = Stored { stream: stream.name, function: function.clone(), spec };
    let row = SourceRow {
        id: SourceId::new(control.clock().uuid()),
        account_id: caller.account,
        function_id: owner.id,
        qualifier,
        stream_id: stream.id,
        spec: written(&stored)?,
        generation: 1,
        created_at_ms: now_ms,
        changed_at_ms: now_ms,
        counts: SourceCounts::default(),
    };
    let inserted = control.shared.store.transact("make a source", |tx| {
        let row = row.clone();
        Box::pin(async move {
            let there = sources_list(tx, row.account_id, None, SOURCES_MAX).await?;
            let room = there.len() < SOURCES_MAX as usize;
            if room {
                source_insert(tx, &row).await?;
            }
            Ok::<_, store::Error>(room)
        })
    });
    if !inserted.await? {
        let limit = SOURCES_MAX.to_string();
        return Err(Error::TooLarge { what: "the account's sources", limit });
    }
    shape(row)
}

/// What a function is fed from.
pub async fn list(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    query: &PageQuery,
) -> Result<Page<Source>, Error> {
    let owner = called(control, caller, function, Action::FunctionsRead).await?;
    let slice = slice::<SourceId>(query)?;
    let mut all = read_all(control, caller).await?;
    all.retain(|row| row.function_id == owner.id && slice.after.is_none_or(|id| row.id > id));
    let shaped = all.into_iter().map(shape).collect::<Result<Vec<_>, _>>()?;
    Ok(page(shaped, slice.limit, |it| it.id.to_string(), |it| it))
}

/// Every source of the account.
pub(crate) async fn list_all(control: &Control, caller: &Caller) -> Result<Vec<Source>, Error> {
    let account = Resource::account(caller.account);
    control.authorize(caller, Action::FunctionsList, account)?;
    read_all(control, caller).await?.into_iter().map(shape).collect()
}

async fn read_all(control: &Control, caller: &Caller) -> Result<Vec<SourceRow>, Error> {
    let account = caller.account;
    let read = control
        .shared
        .store
        .read("list sources", |tx| Box::pin(sources_list(tx, account, None, SOURCES_MAX)));
    Ok(read.await?)
}

/// One source of a function.
pub async fn fetch(
    control: &Control,
    caller: &Caller,
    (function, id): (&FunctionName, SourceId),
) -> Result<Source, Error> {
    let owner = called(control, caller, function, Action::FunctionsRead).await?;
    let row = own(control, caller, id).await?;
    if row.function_id != owner.id {
        return Err(missing(id));
    }
    shape(row)
}

/// One source, whichever function it feeds.
pub(crate) async fn find(
    control: &Control,
    caller: &Caller,
    id: SourceId,
) -> Result<Source, Error> {
    let account = Resource::account(caller.account);
    control.authorize(caller, Action::FunctionsList, account)?;
    shape(own(control, caller, id).await?)
}

/// Changes how a function is fed.
pub async fn update(
    control: &Control,
    caller: &Caller,
    (function, id): (&FunctionName, SourceId),
    wanted: UpdateSource,
) -> Result<Source, Error> {
    called(control, caller, function, Action::FunctionsWrite).await?;
    let before = fetch(control, caller, (function, id)).await?;
    let to = (function.clone(), before.qualifier.clone());
    change(control, caller, before, (to, wanted)).await
}

/// Changes how a source feeds, and which function.
pub(crate) async fn change(
    control: &Control,
    caller: &Caller,
    before: Source,
    ((function, qualifier), wanted): ((FunctionName, String), UpdateSource),
) -> Result<Source, Error> {
    let owner = called(control, caller, &before.function, Action::FunctionsWrite).await?;
    let to = if before.function == function {
        owner
    } else {
        called(control, caller, &function, Action::FunctionsWrite).await?
    };
    if wanted.spec.start != before.spec.start {
        let message = "where a source begins stays: remove it and make another to begin elsewhere";
        return Err(Error::invalid(message));
    }
    check(control, caller, (&before.stream, &qualifier, &wanted.spec)).await?;
    let row = own(control, caller, before.id).await?;
    let stored = Stored { stream: before.stream, function, spec: wanted.spec };
    let row = SourceRow {
        generation: wanted.generation,
        spec: written(&stored)?,
        function_id: to.id,
        qualifier,
        changed_at_ms: control.now_ms(),
        ..row
    };
    let stored = control.shared.store.transact("change a source", |tx| {
        let row = row.clone();
        Box::pin(async move { source_change(tx, &row).await })
    });
    let id = before.id;
    changed(stored.await, || format!("the source {id}"))?;
    shape(own(control, caller, id).await?)
}

/// Feeds a function from it no more.
pub async fn remove(
    control: &Control,
    caller: &Caller,
    (function, id): (&FunctionName, SourceId),
) -> Result<(), Error> {
    let owner = called(control, caller, function, Action::FunctionsWrite).await?;
    let row = own(control, caller, id).await?;
    if row.function_id != owner.id {
        return Err(missing(id));
    }
    let removed =
        control.shared.store.transact("remove a source", |tx| Box::pin(source_delete(tx, id)));
    Ok(removed.await?)
}

async fn own(control: &Control, caller: &Caller, id: SourceId) -> Result<SourceRow, Error> {
    let read = control.shared.store.read("fetch a source", |tx| Box::pin(source_fetch(tx, id)));
    let row = found(read.await, || format!("the source {id}"))?;
    // Another account's looks as if it were not there.
    if row.account_id == caller.account { Ok(row) } else { Err(missing(id)) }
}

fn missing(id: SourceId) -> Error {
    Error::NotFound { what: format!("the source {id}") }
}

/// What settings mean to `policy`.
pub(crate) fn policy_of(spec: &SourceSpec) -> Result<feeding::Settings, Error> {
    let age_ms = spec.age_s.map(|age_s| age_s.saturating_mul(1_000));
    let settings = feeding::Settings::new(spec.batch, spec.window_ms)
        .and_then(|settings| settings.giving_up(spec.retries, age_ms));
    settings.map_err(|refusal| Error::invalid(refusal.to_string()))
}

/// Refuses what cannot be meant.
async fn check(
    control: &Control,
    caller: &Caller,
    (stream, qualifier, spec): (&Name, &str, &SourceSpec),
) -> Result<(), Error> {
    if !destinations::is_qualifier(qualifier) {
        return Err(Error::invalid(format!("{qualifier:?} is no version and no alias")));
    }
    policy_of(spec)?;
    if spec.filters.len() > FILTERS_MAX {
        return Err(Error::invalid(format!("a source has at most {FILTERS_MAX} filters")));
    }
    for filter in &spec.filters {
        let read = filter.parse::<formats::event_pattern::Pattern>();
        read.map_err(|fault| Error::invalid(fault.to_string()))?;
    }
    let Some(destination) = &spec.on_failure else { return Ok(()) };
    destinations::check(control, caller, destination).await?;
    if destinations::stream_of(destination).as_ref() == Some(stream) {
        return Err(Error::invalid(format!(
            "{destination} is the stream that feeds: what is given up would come again without end. \
             Name another, or none to have dead events"
        )));
    }
    Ok(())
}

/// A source for gateways.
pub(crate) fn route(row: SourceRow, account_name: Name) -> Result<SourceRoute, Error> {
    let SourceRow { id, account_id, function_id, qualifier, stream_id, spec, .. } = row;
    let Stored { spec, .. } = from_json(&spec)?;
    Ok(SourceRoute {
        source: id,
        account: account_id,
        account_name,
        function: function_id,
        qualifier,
        stream: stream_id,
        spec,
        generation: row.generation,
        created_at_ms: row.created_at_ms,
        next_event: row.counts.next_event,
    })
}

/// Adds what gateways counted.
pub(crate) async fn count(tx: &mut Tx<'_>, counted: &[SourceCount]) -> Result<(), store::Error> {
    for it in counted {
        let more = SourceCounts {
            delivered: it.delivered,
            filtered: it.filtered,
            given_up: it.given_up,
            next_event: it.next_event,
            result: events::cut(it.result.clone()),
        };
        source_count(tx, it.source, &more).await?;
    }
    Ok(())
}

/// Tells whoever is to be told that events of a source are given up. They are a dead event of the
/// function where nobody is, where whoever was named is gone, and at the end of a circle of
/// destinations.
pub async fn give_up(control: &Control, id: SourceId, mut given_up: GivenUp) -> Result<(), Error> {
    if given_up.payload.as_ref().is_some_and(|payload| payload.len() > EVENT_KEPT_BYTES_MAX) {
        let limit = format!("{EVENT_KEPT_BYTES_MAX} bytes");
        return Err(Error::TooLarge { what: "what a function was given", limit });
    }
    given_up.message = events::cut(given_up.message);
    given_up.error = given_up.error.map(events::cut);
    let now_ms = control.now_ms();
    let told = control.shared.store.transact("give events up", |tx| {
        let given_up = &given_up;
        Box::pin(async move {
            let row = source_fetch(tx, id).await?;
            let function = function_fetch(tx, row.function_id).await?;
            let stored: Stored = from_json(&row.spec)?;
            let on_failure = stored.spec.on_failure.as_deref();
            if let Some(destination) = on_failure.filter(|_| given_up.told < TOLD_MAX) {
                let record = record(&row, &stored, (given_up, now_ms));
                let fresh = EventRow::new(given_up.id, function.id, String::new(), now_ms);
                let qualifier = row.qualifier.clone();
                let from = EventRow { qualifier, told: given_up.told, ..fresh };
                let event = (given_up.id, &function, &from);
                if destinations::deliver(tx, event, (destination, &record), now_ms).await? {
                    return Ok(());
                }
            }
            event_insert(tx, &dead(&row, &stored.stream, (given_up, now_ms))).await?;
            Ok::<_, Error>(())
        })
    });
    match told.await {
        // Its owner removed it meanwhile, and what it was to feed with it.
        Err(Error::Store(store::Error::NotFound { .. })) => Ok(()),
        other => other,
    }
}

/// The dead event of the function that events are which nobody is told of. Driven again, the function
/// is given what it was given; nothing where that was too large to be kept.
fn dead(row: &SourceRow, stream: &Name, (given_up, now_ms): (&GivenUp, u64)) -> EventRow {
    let GivenUp { first, last, message, .. } = given_up;
    let message = match &given_up.payload {
        Some(_) => message.clone(),
        None => format!(
            "{message}; what it was given is too large to be kept here: these are the events {first} \
             to {last} of the stream {stream}"
        ),
    };
    let failure = EventFailure {
        at_ms: now_ms,
        error: given_up.error.clone().unwrap_or_else(|| given_up.condition.clone()),
        message,
        version: None,
    };
    EventRow {
        qualifier: row.qualifier.clone(),
        state: EventState::Dead,
        attempts: given_up.attempts,
        failures: given_up.attempts,
        history: json!([failure]),
        ..EventRow::new(
            given_up.id,
            row.function_id,
            given_up.payload.clone().unwrap_or_default(),
            now_ms,
        )
    }
}

/// What a destination is told. Source: Lambda's record of a batch of Kinesis that was not processed.
fn record(row: &SourceRow, stored: &Stored, (given_up, now_ms): (&GivenUp, u64)) -> Value {
    let to_stream = stored.spec.on_failure.as_deref().is_some_and(destinations::is_stream);
    let arn = function_arn("local", row.account_id, &stored.function, &row.qualifier);
    let mut response = json!({ "statusCode": 200, "executedVersion": row.qualifier });
    if let Some(error) = &given_up.error {
        response["functionError"] = Value::from(error.as_str());
    }
    let told = json!({
        "version": "1.0",
        "timestamp": moment::iso8601(now_ms),
        "requestContext": {
            "requestId": given_up.id.uuid(),
            "functionArn": arn,
            "condition": given_up.condition,
            "approximateInvokeCount": given_up.attempts,
        },
        "responseContext": response,
        "KinesisBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": given_up.first.to_string(),
            "endSequenceNumber": given_up.last.to_string(),
            "approximateArrivalOfFirstRecord": moment::iso8601(given_up.first_at_ms),
            "approximateArrivalOfLastRecord": moment::iso8601(given_up.last_at_ms),
            "batchSize": given_up.count,
            "streamArn": stream_arn("local", row.account_id, &stored.stream),
        },
    });
    if !to_stream {
        return told;
    }
    json!({
        "specversion": "1.0",
        "source": arn,
        "type": "freehold.source.given-up",
        "time": moment::iso8601(now_ms),
        "function": stored.function,
        "condition": given_up.condition,
        (TOLD): given_up.told.saturating_add(1).to_string(),
        "datacontenttype": "application/json",
        "data": told,
    })
}

fn written(stored: &Stored) -> Result<Value, Error> {
    serde_json::to_value(stored).map_err(|error| Error::internal("could not write a source", error))
}

fn shape(row: SourceRow) -> Result<Source, Error> {
    let Stored { stream, function, spec } = from_json(&row.spec)?;
    let SourceCounts { delivered, filtered, given_up, next_event, result } = row.counts;
    Ok(Source {
        id: row.id,
        function,
        qualifier: row.qualifier,
        stream,
        spec,
        generation: row.generation,
        delivered,
        filtered,
        given_up,
        next_event,
        result,
        created_at_ms: row.created_at_ms,
        changed_at_ms: row.changed_at_ms,
    })
}
