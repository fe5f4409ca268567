//! Streams: which there are, how each is kept, and which gateway writes it.

use access::{Action, Resource};
use api::internal::{ClaimStream, StreamClaimed, StreamRoute};
use api::pages::{Page, PageQuery};
use api::streams::{CreateStream, Stream, StreamSpec, UpdateStream};
use store::endpoints::captures::capture_of_stream;
use store::functions::sources::source_of_stream;
use store::streams::{
    StreamRow, stream_change, stream_claim, stream_delete, stream_encrypted, stream_fetch,
    stream_insert, streams_list,
};
use types::{Name, StreamId};

use crate::caller::Caller;
use crate::operations::instances::found;
use crate::operations::items::from_json;
use crate::operations::{changed, made, page, slice};
use crate::{Control, Error};

const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// Longest time for which events are known again: their digests are kept in memory.
const DEDUPE_WINDOW_MS_MAX: u64 = 7 * 24 * 3_600_000;

/// Makes a stream.
pub async fn create(
    control: &Control,
    caller: &Caller,
    request: CreateStream,
) -> Result<Stream, Error> {
    control.authorize(caller, Action::StreamsWrite, Resource::account(caller.account))?;
    check(&request.spec)?;
    let row = StreamRow {
        id: StreamId::new(control.clock().uuid()),
        account_id: caller.account,
        name: request.name,
        spec: stored(&request.spec)?,
        gateway: None,
        encrypted: None,
        generation: 1,
        created_at_ms: control.now_ms(),
    };
    let inserted = control.shared.store.transact("make a stream", |tx| {
        let row = row.clone();
        Box::pin(async move { stream_insert(tx, &row).await })
    });
    made(inserted.await, &row.name)?;
    shape(caller, row)
}

/// The account's streams.
pub async fn list(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<Stream>, Error> {
    control.authorize(caller, Action::StreamsRead, Resource::account(caller.account))?;
    let slice = slice::<Name>(query)?;
    let (account, limit, after) = (caller.account, slice.limit, slice.after);
    let read = control.shared.store.read("list streams", |tx| {
        let after = after.clone();
        Box::pin(async move { streams_list(tx, account, after.as_ref(), limit + 1).await })
    });
    let shaped: Result<Vec<_>, _> = read.await?.into_iter().map(|row| shape(caller, row)).collect();
    Ok(page(shaped?, limit, |it| it.name.to_string(), |it| it))
}

/// One stream.
pub async fn fetch(control: &Control, caller: &Caller, name: &Name) -> Result<Stream, Error> {
    shape(caller, own(control, caller, name, Action::StreamsRead).await?)
}

/// Changes how a stream is kept.
pub async fn update(
    control: &Control,
    caller: &Caller,
    name: &Name,
    request: UpdateStream,
) -> Result<Stream, Error> {
    let row = own(control, caller, name, Action::StreamsWrite).await?;
    check(&request.spec)?;
    let spec = stored(&request.spec)?;
    let stored = control.shared.store.transact("change a stream", |tx| {
        let (row, spec) = (row.clone(), spec.clone());
        Box::pin(async move { stream_change(tx, &row, request.generation, &spec).await })
    });
    changed(stored.await, || format!("the stream {name}"))?;
    fetch(control, caller, name).await
}

/// Removes a stream; the gateway that holds its events removes them. One that something is made of,
/// or is fed from, stays.
pub async fn remove(control: &Control, caller: &Caller, name: &Name) -> Result<(), Error> {
    let id = own(control, caller, name, Action::StreamsWrite).await?.id;
    let now_ms = control.now_ms();
    let removed = control.shared.store.transact("delete a stream", |tx| {
        Box::pin(async move {
            let used = (capture_of_stream(tx, id).await?, source_of_stream(tx, id).await?);
            if used == (None, None) {
                stream_delete(tx, id, now_ms).await?;
            }
            Ok::<_, store::Error>(used)
        })
    });
    let message = match removed.await? {
        (None, None) => return Ok(()),
        (Some(endpoint), _) => format!(
            "{name} takes the requests of {endpoint}: freehold endpoint capture delete {endpoint} \
             first"
        ),
        (None, Some(function)) => format!(
            "{name} feeds {function}: freehold function source list {function} shows which source \
             to delete first"
        ),
    };
    Err(Error::Conflict { code: "conflict", message })
}

/// Makes a gateway a stream's writer, unless it has one; keeps what its writer says of it.
pub async fn claim(
    control: &Control,
    id: StreamId,
    (gateway, said): (&str, ClaimStream),
) -> Result<StreamClaimed, Error> {
    let asks = gateway.to_owned();
    let claimed = control.shared.store.transact("claim a stream", |tx| {
        let asks = asks.clone();
        Box::pin(async move {
            let writer = stream_claim(tx, id, &asks).await?;
            if let Some(encrypted) = said.encrypted {
                stream_encrypted(tx, id, &asks, encrypted).await?;
            }
            Ok::<_, store::Error>(writer)
        })
    });
    let writer = found(claimed.await, || format!("the stream {id}"))?;
    Ok(StreamClaimed { yours: writer == gateway, gateway: writer })
}

/// A stream for gateways.
pub(crate) fn route(row: StreamRow, account_name: Name) -> Result<StreamRoute, Error> {
    let StreamRow { id, account_id, name, spec, .. } = row;
    let spec = from_json(&spec)?;
    Ok(StreamRoute { stream: id, account: account_id, account_name, name, spec })
}

/// A stream of the account.
pub(crate) async fn own(
    control: &Control,
    caller: &Caller,
    name: &Name,
    action: Action,
) -> Result<StreamRow, Error> {
    control.authorize(caller, action, Resource::account(caller.account))?;
    let (account, wanted) = (caller.account, name.clone());
    let read = control.shared.store.read("fetch a stream", move |tx| {
        let wanted = wanted.clone();
        Box::pin(async move { stream_fetch(tx, account, &wanted).await })
    });
    found(read.await, || format!("the stream {name}"))
}

fn check(spec: &StreamSpec) -> Result<(), Error> {
    if spec.description.len() > DESCRIPTION_BYTES_MAX {
        let message = format!("the description has more than {DESCRIPTION_BYTES_MAX} bytes");
        return Err(Error::invalid(message));
    }
    if spec.dedupe_window_ms > DEDUPE_WINDOW_MS_MAX {
        return Err(Error::invalid(format!(
            "events are known again for {DEDUPE_WINDOW_MS_MAX} ms at most: change dedupe_window_ms"
        )));
    }
    if spec.retain_ms == Some(0) || spec.retain_bytes == Some(0) {
        return Err(Error::invalid("a stream that keeps nothing is none: change what is retained"));
    }
    Ok(())
}

fn stored(spec: &StreamSpec) -> Result<serde_json::Value, Error> {
    serde_json::to_value(spec).map_err(|error| Error::internal("could not write a stream", error))
}

fn shape(caller: &Caller, row: StreamRow) -> Result<Stream, Error> {
    let StreamRow { id, name, spec, gateway, encrypted, generation, created_at_ms, .. } = row;
    let (account, spec) = (caller.account_name.clone(), from_json(&spec)?);
    Ok(Stream { id, account, name, spec, gateway, encrypted, generation, created_at_ms })
}
