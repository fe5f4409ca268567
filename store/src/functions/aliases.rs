//! Aliases: names of versions that may move, and divide calls between two.
//!
//! Always true: an alias is changed only by who knows its generation; gateways hear of each change.

use std::collections::BTreeMap;

use types::{AliasName, FunctionId};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::{Row, Statement};

/// An alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasRow {
    pub function_id: FunctionId,
    pub name: AliasName,
    /// None for the latest.
    pub version: Option<u32>,
    /// Another version, and its share of the calls in hundredths of a percent.
    pub other: Option<(u32, u32)>,
    /// How long after a change what was before it may still answer; 0 for not at all.
    pub max_stale_ms: u64,
    pub description: String,
    /// Grows with every change.
    pub generation: u64,
    pub changed_at_ms: u64,
}

pub(super) fn alias(row: &Row) -> Result<AliasRow, Error> {
    let version: u32 = row.get("version")?;
    let other: Option<u32> = row.get("other_version")?;
    let share: Option<u32> = row.get("other_share")?;
    Ok(AliasRow {
        function_id: row.get("function_id")?,
        name: row.get("name")?,
        version: (version > 0).then_some(version),
        other: other.zip(share),
        max_stale_ms: row.get("max_stale_ms")?,
        description: row.get("description")?,
        generation: row.get("generation")?,
        changed_at_ms: row.get("changed_at_ms")?,
    })
}

/// The statement with a whole alias as its values.
fn with_row<'t, 's>(statement: Statement<'t, 's>, row: &AliasRow) -> Statement<'t, 's> {
    statement
        .bind(&row.function_id)
        .bind(&row.name)
        .bind(&row.version.unwrap_or(0))
        .bind(&row.other.map(|(version, _)| version))
        .bind(&row.other.map(|(_, share)| share))
        .bind(&row.max_stale_ms)
        .bind(&row.description)
        .bind(&row.generation)
        .bind(&row.changed_at_ms)
}

/// Adds an alias. [`Error::Unique`] when the function has one of this name.
pub async fn alias_insert(tx: &mut Tx<'_>, row: &AliasRow) -> Result<(), Error> {
    let insert = tx.sql("insert an alias", include_str!("insert_alias.sql"));
    with_row(insert, row).run().await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Replaces an alias by this row, made for the generation before it.
///
/// # Errors
///
/// [`Error::Stale`] when it has changed since.
pub async fn alias_change(tx: &mut Tx<'_>, row: &AliasRow) -> Result<(), Error> {
    let change = tx.sql("change an alias", include_str!("change_alias.sql"));
    let changed = with_row(change, row).run().await?;
    if changed == 1 {
        feed_bump(tx, Topic::Routes);
        return Ok(());
    }
    let stored = alias_fetch(tx, row.function_id, &row.name).await?.generation;
    Err(Error::Stale { what: "alias", id: row.name.to_string(), stored })
}

/// Fetches one alias.
pub async fn alias_fetch(
    tx: &mut Tx<'_>,
    id: FunctionId,
    name: &AliasName,
) -> Result<AliasRow, Error> {
    let fetch = tx.sql("fetch an alias", include_str!("fetch_alias.sql")).bind(&id).bind(name);
    let missing = || Error::NotFound { what: "alias", id: name.to_string() };
    alias(&fetch.first().await?.ok_or_else(missing)?)
}

/// Lists the aliases of a function by name, after one, at most `limit`.
pub async fn aliases_list(
    tx: &mut Tx<'_>,
    id: FunctionId,
    after: Option<&AliasName>,
    limit: u32,
) -> Result<Vec<AliasRow>, Error> {
    let after = after.map_or_else(String::new, ToString::to_string);
    let list = tx.sql("list aliases", include_str!("list_aliases.sql"));
    let rows = list.bind(&id).bind(&after).bind(&limit).every().await?;
    rows.iter().map(alias).collect()
}

/// Every alias by its function, for routes.
pub async fn aliases_list_all(
    tx: &mut Tx<'_>,
) -> Result<BTreeMap<FunctionId, Vec<AliasRow>>, Error> {
    let rows = tx.sql("list all aliases", include_str!("all_aliases.sql")).every().await?;
    let mut aliases: BTreeMap<FunctionId, Vec<AliasRow>> = BTreeMap::new();
    for row in &rows {
        let row = alias(row)?;
        aliases.entry(row.function_id).or_default().push(row);
    }
    Ok(aliases)
}

/// Removes an alias. Doing so again changes nothing.
pub async fn alias_delete(tx: &mut Tx<'_>, id: FunctionId, name: &AliasName) -> Result<(), Error> {
    for text in [
        "DELETE FROM function_settings WHERE function_id = $1 AND qualifier = $2",
        "DELETE FROM function_aliases WHERE function_id = $1 AND name = $2",
    ] {
        tx.sql("delete an alias", text).bind(&id).bind(name).run().await?;
    }
    feed_bump(tx, Topic::Routes);
    Ok(())
}
