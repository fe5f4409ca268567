//! Functions: code that is called, its revisions, and the numbered versions among them.
//!
//! Always true: a revision never changes; one without a number is the latest, or was until it was
//! replaced; numbers are given out once, also when their version is gone; a revision holds its
//! package until it is forgotten, and gateways hear of each change.

pub mod aliases;
pub mod events;
pub mod grants;
pub mod links;
pub mod provisions;
pub mod schedules;
pub mod settings;
pub mod sizes;
pub mod sources;
pub mod usage;

use std::collections::BTreeMap;

use types::{AccountId, FunctionId, FunctionName, ObjectId, RevisionId};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::objects::{object_hold, objects_release};
use crate::statement::Row;
use provisions::provisions_forget;
use sizes::sizes_forget;

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionRow {
    pub id: FunctionId,
    pub account_id: AccountId,
    pub name: FunctionName,
    /// The revision that a call without a qualifier runs.
    pub latest: RevisionId,
    /// How many numbers were given out.
    pub versions: u32,
    /// Grows with every change.
    pub generation: u64,
    pub created_at_ms: u64,
    pub changed_at_ms: u64,
}

/// One state of a function's code and configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct RevisionRow {
    pub id: RevisionId,
    pub function_id: FunctionId,
    /// None for the latest.
    pub number: Option<u32>,
    /// The package.
    pub object_id: ObjectId,
    /// Runtime, handler, limits, environment.
    pub spec: serde_json::Value,
    pub description: String,
    pub created_at_ms: u64,
}

fn function(row: &Row) -> Result<FunctionRow, Error> {
    Ok(FunctionRow {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        name: row.get("name")?,
        latest: row.get("latest_id")?,
        versions: row.get("versions")?,
        generation: row.get("generation")?,
        created_at_ms: row.get("created_at_ms")?,
        changed_at_ms: row.get("changed_at_ms")?,
    })
}

fn revision(row: &Row) -> Result<RevisionRow, Error> {
    Ok(RevisionRow {
        id: row.get("id")?,
        function_id: row.get("function_id")?,
        number: row.get("number")?,
        object_id: row.get("object_id")?,
        spec: row.get("spec")?,
        description: row.get("description")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}

/// Adds a function with its first revision. [`Error::Unique`] when the account has one of this
/// name.
pub async fn function_insert(
    tx: &mut Tx<'_>,
    row: &FunctionRow,
    first: &RevisionRow,
) -> Result<(), Error> {
    name_insert(tx, row).await?;
    revision_insert(tx, first).await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

async fn name_insert(tx: &mut Tx<'_>, row: &FunctionRow) -> Result<(), Error> {
    tx.sql("insert a function", include_str!("functions/insert.sql"))
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.name)
        .bind(&row.latest)
        .bind(&row.versions)
        .bind(&row.generation)
        .bind(&row.created_at_ms)
        .bind(&row.changed_at_ms)
        .run()
        .await?;
    Ok(())
}

async fn revision_insert(tx: &mut Tx<'_>, row: &RevisionRow) -> Result<(), Error> {
    object_hold(tx, row.object_id, &row.id.to_string()).await?;
    tx.sql("insert a revision", include_str!("functions/insert_revision.sql"))
        .bind(&row.id)
        .bind(&row.function_id)
        .bind(&row.number)
        .bind(&row.object_id)
        .bind(&row.spec)
        .bind(&row.description)
        .bind(&row.created_at_ms)
        .run()
        .await?;
    Ok(())
}

/// Fetches the function of this name in an account.
pub async fn function_fetch_by_name(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    name: &FunctionName,
) -> Result<FunctionRow, Error> {
    let fetch = tx.sql("fetch a function by name", include_str!("functions/fetch_by_name.sql"));
    let row = fetch.bind(&account_id).bind(name).first().await?;
    let missing = || Error::NotFound { what: "function", id: name.to_string() };
    function(&row.ok_or_else(missing)?)
}

/// Fetches one function.
pub async fn function_fetch(tx: &mut Tx<'_>, id: FunctionId) -> Result<FunctionRow, Error> {
    let fetch = tx.sql("fetch a function", include_str!("functions/fetch.sql")).bind(&id);
    let row = fetch.first().await?;
    let missing = || Error::NotFound { what: "function", id: id.to_string() };
    function(&row.ok_or_else(missing)?)
}

/// What the functions and links of an account are called.
pub async fn functions_names(
    tx: &mut Tx<'_>,
    account_id: AccountId,
) -> Result<BTreeMap<FunctionId, FunctionName>, Error> {
    let names = tx.sql("name functions", include_str!("functions/names.sql")).bind(&account_id);
    names.every().await?.iter().map(|row| Ok((row.get("id")?, row.get("name")?))).collect()
}

/// Lists the functions of an account by name, after one, at most `limit`, each with its latest
/// revision.
pub async fn functions_list(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    after: Option<&FunctionName>,
    limit: u32,
) -> Result<Vec<(FunctionRow, RevisionRow)>, Error> {
    let after = after.map_or_else(String::new, ToString::to_string);
    let list = tx.sql("list functions", include_str!("functions/list.sql"));
    let rows = list.bind(&account_id).bind(&after).bind(&limit).every().await?;
    let with_latest = |row: &Row| {
        let function = function(row)?;
        let latest = RevisionRow {
            id: function.latest,
            function_id: function.id,
            number: None,
            object_id: row.get("object_id")?,
            spec: row.get("spec")?,
            description: row.get("description")?,
            created_at_ms: row.get("revised_at_ms")?,
        };
        Ok((function, latest))
    };
    rows.iter().map(with_latest).collect()
}

/// Every function with its revisions that can be called, for routes.
pub async fn functions_list_callable(
    tx: &mut Tx<'_>,
) -> Result<Vec<(FunctionRow, Vec<RevisionRow>)>, Error> {
    let functions = tx.sql("list all functions", include_str!("functions/all.sql")).every().await?;
    let callable = tx.sql("list what can be called", include_str!("functions/callable.sql"));
    let mut revisions: BTreeMap<FunctionId, Vec<RevisionRow>> = BTreeMap::new();
    for row in &callable.every().await? {
        let row = revision(row)?;
        revisions.entry(row.function_id).or_default().push(row);
    }
    let with_revisions = |row: &Row| {
        let function = function(row)?;
        let its = revisions.remove(&function.id).unwrap_or_default();
        Ok((function, its))
    };
    functions.iter().map(with_revisions).collect()
}

/// Fetches one revision, also one that was replaced, until it is forgotten.
pub async fn revision_fetch(tx: &mut Tx<'_>, id: RevisionId) -> Result<RevisionRow, Error> {
    let fetch = tx.sql("fetch a revision", include_str!("functions/fetch_revision.sql"));
    let row = fetch.bind(&id).first().await?;
    let missing = || Error::NotFound { what: "revision", id: id.to_string() };
    revision(&row.ok_or_else(missing)?)
}

/// Fetches the numbered version of a function.
pub async fn revision_fetch_numbered(
    tx: &mut Tx<'_>,
    id: FunctionId,
    number: u32,
) -> Result<RevisionRow, Error> {
    let fetch = tx.sql("fetch a version of a function", include_str!("functions/version.sql"));
    let row = fetch.bind(&id).bind(&number).first().await?;
    let missing = || Error::NotFound { what: "version", id: number.to_string() };
    revision(&row.ok_or_else(missing)?)
}

/// Removes a numbered version of a function; its number is not given out again.
pub async fn revision_delete(tx: &mut Tx<'_>, row: &RevisionRow) -> Result<(), Error> {
    forget(tx, row.id).await?;
    if let Some(number) = row.number {
        let text = "DELETE FROM function_settings WHERE function_id = $1 AND qualifier = $2";
        let delete = tx.sql("delete a version's settings", text).bind(&row.function_id);
        delete.bind(&number.to_string()).run().await?;
    }
    let text = "DELETE FROM function_revisions WHERE id = $1";
    tx.sql("delete a version of a function", text).bind(&row.id).run().await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Lists the numbered versions of a function, after one, at most `limit`.
pub async fn revisions_list_numbered(
    tx: &mut Tx<'_>,
    id: FunctionId,
    after: u32,
    limit: u32,
) -> Result<Vec<RevisionRow>, Error> {
    let list = tx.sql("list versions of a function", include_str!("functions/numbered.sql"));
    let rows = list.bind(&id).bind(&after).bind(&limit).every().await?;
    rows.iter().map(revision).collect()
}

/// Replaces a function's latest revision, for generation `generation_seen`, and gives the new
/// generation.
///
/// # Errors
///
/// [`Error::Stale`] when it has changed since.
pub async fn function_change(
    tx: &mut Tx<'_>,
    id: FunctionId,
    generation_seen: u64,
    latest: &RevisionRow,
) -> Result<u64, Error> {
    let before = function_fetch(tx, id).await?;
    let changed = tx
        .sql("change a function", include_str!("functions/change.sql"))
        .bind(&id)
        .bind(&generation_seen)
        .bind(&latest.id)
        .bind(&latest.created_at_ms)
        .run()
        .await?;
    guard(tx, id, changed).await?;
    let text = "UPDATE function_revisions SET replaced_at_ms = $2 WHERE id = $1";
    let replace = tx.sql("replace a revision", text);
    replace.bind(&before.latest).bind(&latest.created_at_ms).run().await?;
    revision_insert(tx, latest).await?;
    feed_bump(tx, Topic::Routes);
    Ok(generation_seen + 1)
}

/// Makes a numbered version of a function, for generation `generation_seen`, and gives its number.
/// The row's own number is not looked at.
///
/// # Errors
///
/// [`Error::Stale`] when it has changed since.
pub async fn function_publish(
    tx: &mut Tx<'_>,
    id: FunctionId,
    generation_seen: u64,
    version: &RevisionRow,
) -> Result<u32, Error> {
    let count = tx.sql("count a version", include_str!("functions/count_version.sql"));
    let changed = count.bind(&id).bind(&generation_seen).run().await?;
    guard(tx, id, changed).await?;
    let number = function_fetch(tx, id).await?.versions;
    let version = RevisionRow { number: Some(number), ..version.clone() };
    revision_insert(tx, &version).await?;
    feed_bump(tx, Topic::Routes);
    Ok(number)
}

/// Deletes a function or link, and all its revisions. Doing so again changes nothing.
pub async fn function_delete(tx: &mut Tx<'_>, id: FunctionId) -> Result<(), Error> {
    let text = "SELECT id FROM function_revisions WHERE function_id = $1";
    for row in tx.sql("list revisions", text).bind(&id).every().await? {
        forget(tx, row.get("id")?).await?;
    }
    for text in [
        "DELETE FROM function_sources WHERE function_id = $1",
        "DELETE FROM function_schedules WHERE function_id = $1",
        "DELETE FROM function_events WHERE function_id = $1",
        "DELETE FROM function_size_steps WHERE function_id = $1",
        "DELETE FROM function_settings WHERE function_id = $1",
        "DELETE FROM function_aliases WHERE function_id = $1",
        "DELETE FROM function_grants WHERE function_id = $1",
        "DELETE FROM function_links WHERE function_id = $1",
        "DELETE FROM function_revisions WHERE function_id = $1",
        "DELETE FROM functions WHERE id = $1",
    ] {
        tx.sql("delete a function", text).bind(&id).run().await?;
    }
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Forgets revisions that were replaced before then, and gives how many.
pub async fn revisions_trim(tx: &mut Tx<'_>, before_ms: u64) -> Result<u64, Error> {
    let text = "SELECT id FROM function_revisions WHERE replaced_at_ms < $1";
    let rows = tx.sql("list replaced revisions", text).bind(&before_ms).every().await?;
    for row in &rows {
        let id: RevisionId = row.get("id")?;
        forget(tx, id).await?;
        let text = "DELETE FROM function_revisions WHERE id = $1";
        tx.sql("forget a revision", text).bind(&id).run().await?;
    }
    Ok(rows.len() as u64)
}

/// Lets go of all that hangs on a revision, before it goes itself.
async fn forget(tx: &mut Tx<'_>, id: RevisionId) -> Result<(), Error> {
    objects_release(tx, &id.to_string()).await?;
    sizes_forget(tx, id).await?;
    provisions_forget(tx, id).await
}

async fn guard(tx: &mut Tx<'_>, id: FunctionId, changed: u64) -> Result<(), Error> {
    if changed == 1 {
        return Ok(());
    }
    let stored = function_fetch(tx, id).await?.generation;
    Err(Error::Stale { what: "function", id: id.to_string(), stored })
}
