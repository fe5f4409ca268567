//! Links: functions of other accounts, under a name of this one.
//!
//! Always true: a link's name is no function's of its account; it is removed as a function is; it
//! is changed only by who knows its generation; gateways hear of each change.

use types::{AccountId, FunctionId, FunctionName, Name};

use super::{FunctionRow, function, guard};
use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;

/// What a link leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkRow {
    pub function_id: FunctionId,
    /// Whose grant it is.
    pub owner: AccountId,
    /// By its name: it may be taken back, and given again.
    pub grant: Name,
    /// Parameters, limits, tokens, words.
    pub spec: serde_json::Value,
}

fn link(row: &Row, function_id: FunctionId) -> Result<LinkRow, Error> {
    Ok(LinkRow {
        function_id,
        owner: row.get("owner_id")?,
        grant: row.get("grant_name")?,
        spec: row.get("spec")?,
    })
}

fn named(row: &Row) -> Result<(FunctionRow, LinkRow), Error> {
    let function = function(row)?;
    let link = link(row, function.id)?;
    Ok((function, link))
}

/// Adds a link. [`Error::Unique`] when the account has a function or link of this name.
pub async fn link_insert(tx: &mut Tx<'_>, name: &FunctionRow, row: &LinkRow) -> Result<(), Error> {
    super::name_insert(tx, name).await?;
    tx.sql("insert a link", include_str!("insert_link.sql"))
        .bind(&row.function_id)
        .bind(&row.owner)
        .bind(&row.grant)
        .bind(&row.spec)
        .run()
        .await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Replaces what a link says, for generation `generation_seen`.
///
/// # Errors
///
/// [`Error::Stale`] when it has changed since.
pub async fn link_change(
    tx: &mut Tx<'_>,
    row: &LinkRow,
    (generation_seen, now_ms): (u64, u64),
) -> Result<(), Error> {
    let text = "UPDATE functions SET generation = generation + 1, changed_at_ms = $3 \
                WHERE id = $1 AND generation = $2";
    let count = tx.sql("change a link", text);
    let count = count.bind(&row.function_id).bind(&generation_seen).bind(&now_ms);
    let changed = count.run().await?;
    guard(tx, row.function_id, changed).await?;
    let text = "UPDATE function_links SET spec = $2 WHERE function_id = $1";
    tx.sql("change a link", text).bind(&row.function_id).bind(&row.spec).run().await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Fetches the link of this name in an account.
pub async fn link_fetch(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    name: &FunctionName,
) -> Result<(FunctionRow, LinkRow), Error> {
    let fetch = tx.sql("fetch a link", include_str!("fetch_link.sql"));
    let row = fetch.bind(&account_id).bind(name).first().await?;
    let missing = || Error::NotFound { what: "link", id: name.to_string() };
    named(&row.ok_or_else(missing)?)
}

/// Lists the links of an account by name, after one, at most `limit`.
pub async fn links_list(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    after: Option<&FunctionName>,
    limit: u32,
) -> Result<Vec<(FunctionRow, LinkRow)>, Error> {
    let after = after.map_or_else(String::new, ToString::to_string);
    let list = tx.sql("list links", include_str!("list_links.sql"));
    let rows = list.bind(&account_id).bind(&after).bind(&limit).every().await?;
    rows.iter().map(named).collect()
}

/// Every link, for routes.
pub async fn links_list_all(tx: &mut Tx<'_>) -> Result<Vec<LinkRow>, Error> {
    let rows = tx.sql("list all links", include_str!("all_links.sql")).every().await?;
    rows.iter().map(|row| link(row, row.get("function_id")?)).collect()
}
