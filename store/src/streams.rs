//! Streams: events of applications, and which gateway writes each.
//!
//! Always true: a stream has one writer, and keeps it; it is changed only by who knows its generation;
//! gateways hear of each change. Absent on purpose: the events, which gateways hold.

use types::{AccountId, Name, StreamId};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;

/// A stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamRow {
    pub id: StreamId,
    pub account_id: AccountId,
    pub name: Name,
    /// How it is kept.
    pub spec: serde_json::Value,
    /// The gateway that writes it; none before its first event.
    pub gateway: Option<String>,
    /// Whether that keeps its events encrypted; none before it has said so.
    pub encrypted: Option<bool>,
    /// Grows with every change.
    pub generation: u64,
    pub created_at_ms: u64,
}

fn stream(row: &Row) -> Result<StreamRow, Error> {
    Ok(StreamRow {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        name: row.get("name")?,
        spec: row.get("spec")?,
        gateway: row.get("gateway")?,
        encrypted: row.get("encrypted")?,
        generation: row.get("generation")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}

/// Adds a stream. [`Error::Unique`] when the account has one of this name.
pub async fn stream_insert(tx: &mut Tx<'_>, row: &StreamRow) -> Result<(), Error> {
    tx.sql("insert a stream", include_str!("streams/insert.sql"))
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.name)
        .bind(&row.spec)
        .bind(&row.generation)
        .bind(&row.created_at_ms)
        .run()
        .await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Fetches the stream of this name in an account.
pub async fn stream_fetch(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    name: &Name,
) -> Result<StreamRow, Error> {
    let fetch = tx.sql("fetch a stream", include_str!("streams/fetch.sql"));
    let row = fetch.bind(&account_id).bind(name).first().await?;
    let missing = || Error::NotFound { what: "stream", id: name.to_string() };
    stream(&row.ok_or_else(missing)?)
}

/// Lists the streams of an account by name, after one, at most `limit`.
pub async fn streams_list(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    after: Option<&Name>,
    limit: u32,
) -> Result<Vec<StreamRow>, Error> {
    let after = after.map_or_else(String::new, ToString::to_string);
    let list = tx.sql("list streams", include_str!("streams/list.sql"));
    let rows = list.bind(&account_id).bind(&after).bind(&limit).every().await?;
    rows.iter().map(stream).collect()
}

/// Every stream, for routes.
pub async fn streams_list_all(tx: &mut Tx<'_>) -> Result<Vec<StreamRow>, Error> {
    let text = "SELECT id, account_id, name, spec, gateway, encrypted, generation, created_at_ms \
                FROM streams ORDER BY id";
    let rows = tx.sql("list all streams", text).every().await?;
    rows.iter().map(stream).collect()
}

/// Changes how a stream is kept, for generation `generation_seen`, and gives the new generation.
///
/// # Errors
///
/// [`Error::Stale`] when it has changed since.
pub async fn stream_change(
    tx: &mut Tx<'_>,
    row: &StreamRow,
    generation_seen: u64,
    spec: &serde_json::Value,
) -> Result<u64, Error> {
    let change = tx.sql("change a stream", include_str!("streams/change.sql"));
    let changed = change.bind(&row.id).bind(&generation_seen).bind(spec).run().await?;
    if changed != 1 {
        let stored = stream_fetch(tx, row.account_id, &row.name).await?.generation;
        return Err(Error::Stale { what: "stream", id: row.name.to_string(), stored });
    }
    feed_bump(tx, Topic::Routes);
    Ok(generation_seen + 1)
}

/// Makes a gateway a stream's writer, unless it has one; tells which gateway that is.
///
/// # Errors
///
/// [`Error::NotFound`] when it was removed.
pub async fn stream_claim(tx: &mut Tx<'_>, id: StreamId, gateway: &str) -> Result<String, Error> {
    let claim = tx.sql("claim a stream", include_str!("streams/claim.sql"));
    if claim.bind(&id).bind(&gateway.to_owned()).run().await? == 1 {
        feed_bump(tx, Topic::Routes);
        return Ok(gateway.to_owned());
    }
    let text = "SELECT gateway FROM streams WHERE id = $1";
    let row = tx.sql("fetch a stream's writer", text).bind(&id).first().await?;
    let missing = || Error::NotFound { what: "stream", id: id.to_string() };
    row.ok_or_else(missing)?.get("gateway")
}

/// Keeps whether a stream's writer keeps its events encrypted. Doing so again changes nothing.
pub async fn stream_encrypted(
    tx: &mut Tx<'_>,
    id: StreamId,
    gateway: &str,
    encrypted: bool,
) -> Result<(), Error> {
    let text = "UPDATE streams SET encrypted = $3 WHERE id = $1 AND gateway = $2";
    let keep = tx.sql("keep whether a stream is encrypted", text);
    keep.bind(&id).bind(&gateway.to_owned()).bind(&encrypted).run().await?;
    Ok(())
}

/// Removes a stream, and notes that gateways are to remove its events. Doing so again changes nothing.
pub async fn stream_delete(tx: &mut Tx<'_>, id: StreamId, now_ms: u64) -> Result<(), Error> {
    let note = tx.sql("note a removed stream", include_str!("streams/remove.sql"));
    note.bind(&id).bind(&now_ms).run().await?;
    tx.sql("remove a stream", "DELETE FROM streams WHERE id = $1").bind(&id).run().await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// The streams that were removed lately, for routes.
pub async fn streams_list_removed(tx: &mut Tx<'_>) -> Result<Vec<StreamId>, Error> {
    let text = "SELECT id FROM streams_removed ORDER BY id";
    let rows = tx.sql("list removed streams", text).every().await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Forgets that streams were removed before a time. Gives how many.
pub async fn streams_removed_trim(tx: &mut Tx<'_>, before_ms: u64) -> Result<u64, Error> {
    let text = "DELETE FROM streams_removed WHERE removed_at_ms < $1";
    tx.sql("forget removed streams", text).bind(&before_ms).run().await
}
