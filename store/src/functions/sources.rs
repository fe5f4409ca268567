//! Sources: streams that functions are fed from, how, and how far each is.
//!
//! Always true: one is changed only by who knows its generation; what is counted only grows; gateways
//! hear of each change. Absent on purpose: where a function goes on, which the gateway that holds the
//! stream keeps beside it; what is here is what it has told.

use types::{AccountId, FunctionId, FunctionName, SourceId, StreamId};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;

/// A stream that a function is fed from.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRow {
    pub id: SourceId,
    pub account_id: AccountId,
    pub function_id: FunctionId,
    /// A version or alias; empty for the latest.
    pub qualifier: String,
    pub stream_id: StreamId,
    /// How events are given to the function.
    pub spec: serde_json::Value,
    /// Grows with every change.
    pub generation: u64,
    pub created_at_ms: u64,
    pub changed_at_ms: u64,
    pub counts: SourceCounts,
}

/// How far a source is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Events that the function took.
    pub delivered: u64,
    /// Events that it is not for.
    pub filtered: u64,
    /// Events that were given up.
    pub given_up: u64,
    /// The number of the first event that is not done; 0 before it was told.
    pub next_event: u64,
    /// How it went last; empty before the first time.
    pub result: String,
}

fn source(row: &Row) -> Result<SourceRow, Error> {
    Ok(SourceRow {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        function_id: row.get("function_id")?,
        qualifier: row.get("qualifier")?,
        stream_id: row.get("stream_id")?,
        spec: row.get("spec")?,
        generation: row.get("generation")?,
        created_at_ms: row.get("created_at_ms")?,
        changed_at_ms: row.get("changed_at_ms")?,
        counts: SourceCounts {
            delivered: row.get("delivered")?,
            filtered: row.get("filtered")?,
            given_up: row.get("given_up")?,
            next_event: row.get("next_event")?,
            result: row.get("result")?,
        },
    })
}

/// Adds a source; its counts are nothing.
pub async fn source_insert(tx: &mut Tx<'_>, row: &SourceRow) -> Result<(), Error> {
    tx.sql("insert a source", include_str!("insert_source.sql"))
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.function_id)
        .bind(&row.qualifier)
        .bind(&row.stream_id)
        .bind(&row.spec)
        .bind(&row.generation)
        .bind(&row.created_at_ms)
        .bind(&row.changed_at_ms)
        .run()
        .await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Fetches one source.
pub async fn source_fetch(tx: &mut Tx<'_>, id: SourceId) -> Result<SourceRow, Error> {
    let fetch = tx.sql("fetch a source", include_str!("fetch_source.sql"));
    let row = fetch.bind(&id).first().await?;
    let missing = || Error::NotFound { what: "source", id: id.to_string() };
    source(&row.ok_or_else(missing)?)
}

/// Lists the sources of an account's functions by id, after one, at most `limit`.
pub async fn sources_list(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    after: Option<SourceId>,
    limit: u32,
) -> Result<Vec<SourceRow>, Error> {
    let after = after.map_or_else(String::new, |id| id.to_string());
    let list = tx.sql("list sources", include_str!("list_sources.sql"));
    let rows = list.bind(&account_id).bind(&after).bind(&limit).every().await?;
    rows.iter().map(source).collect()
}

/// Every source, for routes.
pub async fn sources_list_all(tx: &mut Tx<'_>) -> Result<Vec<SourceRow>, Error> {
    let rows = tx.sql("list all sources", include_str!("all_sources.sql")).every().await?;
    rows.iter().map(source).collect()
}

/// Changes how a source feeds, and which function, for generation `row.generation`.
///
/// # Errors
///
/// [`Error::Stale`] when it has changed since.
pub async fn source_change(tx: &mut Tx<'_>, row: &SourceRow) -> Result<(), Error> {
    let changed = tx
        .sql("change a source", include_str!("change_source.sql"))
        .bind(&row.id)
        .bind(&row.generation)
        .bind(&row.spec)
        .bind(&row.function_id)
        .bind(&row.qualifier)
        .bind(&row.changed_at_ms)
        .run()
        .await?;
    if changed != 1 {
        let stored = source_fetch(tx, row.id).await?.generation;
        return Err(Error::Stale { what: "source", id: row.id.to_string(), stored });
    }
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Adds to what was counted of a source, and says how far it is; where it was removed, nothing.
pub async fn source_count(tx: &mut Tx<'_>, id: SourceId, more: &SourceCounts) -> Result<(), Error> {
    let count = tx.sql("count events of a source", include_str!("count_source.sql")).bind(&id);
    let count = count.bind(&more.delivered).bind(&more.filtered).bind(&more.given_up);
    count.bind(&more.next_event).bind(&more.result).run().await.map(drop)
}

/// Removes a source. Doing so again changes nothing.
pub async fn source_delete(tx: &mut Tx<'_>, id: SourceId) -> Result<(), Error> {
    let text = "DELETE FROM function_sources WHERE id = $1";
    tx.sql("remove a source", text).bind(&id).run().await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// The functions that a stream feeds, by name, at most `limit`.
pub async fn sources_of_stream(
    tx: &mut Tx<'_>,
    id: StreamId,
    limit: u32,
) -> Result<Vec<FunctionName>, Error> {
    let list = tx.sql("find what a stream feeds", include_str!("sources_of_stream.sql"));
    let rows = list.bind(&id).bind(&limit).every().await?;
    rows.iter().map(|row| row.get("name")).collect()
}
