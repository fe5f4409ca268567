//! Grants: what lets other accounts link to a function.
//!
//! Always true: a grant is changed only by who knows its generation; gateways hear of each change.

use types::{AccountId, FunctionId, GrantId, Name};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;

/// A grant.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantRow {
    pub id: GrantId,
    pub account_id: AccountId,
    pub name: Name,
    pub function_id: FunctionId,
    /// Qualifier, accounts, limits, words.
    pub spec: serde_json::Value,
    /// Grows with every change.
    pub generation: u64,
    pub created_at_ms: u64,
}

fn grant(row: &Row) -> Result<GrantRow, Error> {
    Ok(GrantRow {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        name: row.get("name")?,
        function_id: row.get("function_id")?,
        spec: row.get("spec")?,
        generation: row.get("generation")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}

/// Adds a grant. [`Error::Unique`] when the account has one of this name.
pub async fn grant_insert(tx: &mut Tx<'_>, row: &GrantRow) -> Result<(), Error> {
    tx.sql("insert a grant", include_str!("insert_grant.sql"))
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.name)
        .bind(&row.function_id)
        .bind(&row.spec)
        .bind(&row.generation)
        .bind(&row.created_at_ms)
        .run()
        .await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Replaces what a grant says, for generation `generation_seen`.
///
/// # Errors
///
/// [`Error::Stale`] when it has changed since.
pub async fn grant_change(
    tx: &mut Tx<'_>,
    row: &GrantRow,
    generation_seen: u64,
) -> Result<(), Error> {
    let change = tx.sql("change a grant", include_str!("change_grant.sql"));
    if change.bind(&row.id).bind(&generation_seen).bind(&row.spec).run().await? == 1 {
        feed_bump(tx, Topic::Routes);
        return Ok(());
    }
    let stored = grant_fetch(tx, row.account_id, &row.name).await?.generation;
    Err(Error::Stale { what: "grant", id: row.name.to_string(), stored })
}

/// Fetches the grant of this name of an account.
pub async fn grant_fetch(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    name: &Name,
) -> Result<GrantRow, Error> {
    let fetch = tx.sql("fetch a grant", include_str!("fetch_grant.sql"));
    let row = fetch.bind(&account_id).bind(name).first().await?;
    let missing = || Error::NotFound { what: "grant", id: name.to_string() };
    grant(&row.ok_or_else(missing)?)
}

/// Lists the grants of an account by name, after one, at most `limit`.
pub async fn grants_list(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    after: Option<&Name>,
    limit: u32,
) -> Result<Vec<GrantRow>, Error> {
    let after = after.map_or_else(String::new, ToString::to_string);
    let list = tx.sql("list grants", include_str!("list_grants.sql"));
    let rows = list.bind(&account_id).bind(&after).bind(&limit).every().await?;
    rows.iter().map(grant).collect()
}

/// Every grant.
pub async fn grants_list_all(tx: &mut Tx<'_>) -> Result<Vec<GrantRow>, Error> {
    let rows = tx.sql("list all grants", include_str!("all_grants.sql")).every().await?;
    rows.iter().map(grant).collect()
}

/// Removes a grant. Doing so again changes nothing.
pub async fn grant_delete(tx: &mut Tx<'_>, id: GrantId) -> Result<(), Error> {
    let text = "DELETE FROM function_grants WHERE id = $1";
    tx.sql("delete a grant", text).bind(&id).run().await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}
