//! Endpoints: names that callers invoke, what each runs, and who may call it.
//!
//! Always true: an account has one endpoint of a name that is not being deleted; the generation
//! grows with every wanted change, and a state is stored only for the generation it is about;
//! gateways hear of each change. States: starting, ready, failed, deleting.

use std::collections::{BTreeMap, BTreeSet};

use types::{AccountId, EndpointId, Name, TaskReference};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::sharing::{SharedWith, Sharing};
use crate::statement::Row;
use crate::words::words;

pub mod accuracies;
pub mod captures;
pub mod counts;
pub mod modes;
pub mod notices;
pub mod slices;
pub mod triggers;

/// What the variant is called that an endpoint began with.
pub const MAIN: &str = "main";

words! {
    /// Where an endpoint stands.
    pub enum EndpointState {
        /// Instances are being started.
        Starting = "starting",
        /// Every stage has a healthy instance.
        Ready = "ready",
        /// It cannot be started; `error` says why.
        Failed = "failed",
        /// It is being removed.
        Deleting = "deleting",
    }
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointRow {
    pub id: EndpointId,
    pub account_id: AccountId,
    pub name: Name,
    /// The endpoint through which it is reached; none where it is one itself.
    pub variant_of: Option<EndpointId>,
    /// What it is called there; [`MAIN`] for what the endpoint began with.
    pub variant: Name,
    /// What it runs, with the version that was found.
    pub source: TaskReference,
    /// The stages.
    pub resolved: serde_json::Value,
    pub instance_type: String,
    pub sharing: Sharing,
    pub state: EndpointState,
    pub error: Option<String>,
    /// Grows with every wanted change.
    pub generation: u64,
    pub deleting: bool,
    pub created_at_ms: u64,
    /// What is routed; none until it is ready for the first time.
    pub served: Option<Served>,
}

/// What an endpoint answers with: what is wanted, or after an update what was wanted before, until
/// all of the new is ready.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    pub what: EndpointChange,
    pub since_ms: u64,
}

/// What an endpoint is to run from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointChange {
    pub source: TaskReference,
    pub resolved: serde_json::Value,
    pub instance_type: String,
}

fn endpoint(row: &Row) -> Result<EndpointRow, Error> {
    let shared_with: SharedWith = row.get("sharing")?;
    Ok(EndpointRow {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        name: row.get("name")?,
        variant_of: row.get("variant_of")?,
        variant: row.get("variant")?,
        source: row.get("source")?,
        resolved: row.get("resolved")?,
        instance_type: row.get("instance_type")?,
        sharing: Sharing::of(shared_with, BTreeSet::new()),
        state: row.get("state")?,
        error: row.get("error")?,
        generation: row.get("generation")?,
        deleting: row.get("deleting")?,
        created_at_ms: row.get("created_at_ms")?,
        served: served(row)?,
    })
}

fn served(row: &Row) -> Result<Option<Served>, Error> {
    let since_ms: Option<u64> = row.get("served_at_ms")?;
    let Some(since_ms) = since_ms else { return Ok(None) };
    let what = EndpointChange {
        source: row.get("served_source")?,
        resolved: row.get("served_stages")?,
        instance_type: row.get("served_type")?,
    };
    Ok(Some(Served { what, since_ms }))
}

/// Adds an endpoint. [`Error::Unique`] when the account has one of this name.
pub async fn endpoint_insert(tx: &mut Tx<'_>, row: &EndpointRow) -> Result<(), Error> {
    tx.sql("insert an endpoint", include_str!("endpoints/insert.sql"))
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.name)
        .bind(&row.source)
        .bind(&row.resolved)
        .bind(&row.instance_type)
        .bind(&row.sharing.shared_with())
        .bind(&row.state)
        .bind(&row.error)
        .bind(&row.generation)
        .bind(&row.deleting)
        .bind(&row.created_at_ms)
        .bind(&row.variant_of)
        .bind(&row.variant)
        .run()
        .await?;
    grants_write(tx, row.id, &row.sharing).await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Fetches one endpoint, also one that is being deleted.
pub async fn endpoint_fetch(tx: &mut Tx<'_>, id: EndpointId) -> Result<EndpointRow, Error> {
    let fetch = tx.sql("fetch an endpoint", include_str!("endpoints/fetch.sql")).bind(&id);
    let row = fetch.first().await?;
    let missing = || Error::NotFound { what: "endpoint", id: id.to_string() };
    with_grants(tx, endpoint(&row.ok_or_else(missing)?)?).await
}

/// Fetches the endpoint of this name in an account that is not being deleted.
pub async fn endpoint_fetch_by_name(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    name: &Name,
) -> Result<EndpointRow, Error> {
    variant_fetch(tx, account_id, (name, MAIN)).await
}

/// Fetches a variant of the endpoint of this name that is not being deleted.
pub async fn variant_fetch(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    (name, variant): (&Name, &str),
) -> Result<EndpointRow, Error> {
    let fetch = tx.sql("fetch an endpoint by name", include_str!("endpoints/fetch_by_name.sql"));
    let row = fetch.bind(&account_id).bind(name).bind(&variant.to_owned()).first().await?;
    let missing = || Error::NotFound { what: "endpoint", id: format!("{name}@{variant}") };
    with_grants(tx, endpoint(&row.ok_or_else(missing)?)?).await
}

/// Every variant of an endpoint that is not being deleted, itself the first, then by age.
pub async fn variants_list(tx: &mut Tx<'_>, id: EndpointId) -> Result<Vec<EndpointRow>, Error> {
    let list = tx.sql("list variants", include_str!("endpoints/variants.sql"));
    let rows = list.bind(&id).every().await?;
    rows.iter().map(endpoint).collect()
}

/// Lists the endpoints of an account by name, after one, at most `limit`, without those that are
/// being deleted.
pub async fn endpoints_list(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    after: Option<&Name>,
    limit: u32,
) -> Result<Vec<EndpointRow>, Error> {
    let after = after.map_or_else(String::new, ToString::to_string);
    let list = tx.sql("list endpoints", include_str!("endpoints/list.sql"));
    let rows = list.bind(&account_id).bind(&after).bind(&limit).every().await?;
    let mut endpoints = Vec::with_capacity(rows.len());
    for row in &rows {
        endpoints.push(with_grants(tx, endpoint(row)?).await?);
    }
    Ok(endpoints)
}

/// Every endpoint, also those being deleted, for routes and reconcilers.
pub async fn endpoints_list_all(tx: &mut Tx<'_>) -> Result<Vec<EndpointRow>, Error> {
    let rows = tx.sql("list all endpoints", include_str!("endpoints/all.sql")).every().await?;
    let mut endpoints = rows.iter().map(endpoint).collect::<Result<Vec<_>, _>>()?;
    let text = "SELECT endpoint_id, account_id FROM endpoint_grants";
    let mut grants: BTreeMap<EndpointId, BTreeSet<AccountId>> = BTreeMap::new();
    for row in tx.sql("list grants of endpoints", text).every().await? {
        grants.entry(row.get("endpoint_id")?).or_default().insert(row.get("account_id")?);
    }
    for endpoint in &mut endpoints {
        if let Sharing::Accounts(accounts) = &mut endpoint.sharing {
            *accounts = grants.remove(&endpoint.id).unwrap_or_default();
        }
    }
    Ok(endpoints)
}

/// How many endpoints there are, for status.
pub async fn endpoints_count(tx: &mut Tx<'_>) -> Result<u64, Error> {
    let text = "SELECT COUNT(*) AS count FROM endpoints WHERE deleting = 0 AND variant_of IS NULL";
    tx.sql("count endpoints", text).only().await?.get("count")
}

/// Changes what an endpoint runs, for generation `generation_seen`, and gives the new generation.
/// Its state becomes starting.
///
/// # Errors
///
/// [`Error::Stale`] when it has changed since; [`Error::Conflict`] when it is being deleted.
pub async fn endpoint_change(
    tx: &mut Tx<'_>,
    id: EndpointId,
    generation_seen: u64,
    change: &EndpointChange,
) -> Result<u64, Error> {
    let changed = tx
        .sql("change an endpoint", include_str!("endpoints/change.sql"))
        .bind(&id)
        .bind(&generation_seen)
        .bind(&change.source)
        .bind(&change.resolved)
        .bind(&change.instance_type)
        .run()
        .await?;
    guard(tx, id, changed).await?;
    feed_bump(tx, Topic::Routes);
    Ok(generation_seen + 1)
}

/// Changes who may call an endpoint, for generation `generation_seen`, and gives the new
/// generation.
///
/// # Errors
///
/// [`Error::Stale`] when it has changed since; [`Error::Conflict`] when it is being deleted.
pub async fn endpoint_share(
    tx: &mut Tx<'_>,
    id: EndpointId,
    generation_seen: u64,
    sharing: &Sharing,
) -> Result<u64, Error> {
    let changed = tx
        .sql("share an endpoint", include_str!("endpoints/share.sql"))
        .bind(&id)
        .bind(&generation_seen)
        .bind(&sharing.shared_with())
        .run()
        .await?;
    guard(tx, id, changed).await?;
    grants_delete(tx, id).await?;
    grants_write(tx, id, sharing).await?;
    feed_bump(tx, Topic::Routes);
    Ok(generation_seen + 1)
}

/// Stores where an endpoint stands with what generation `generation` wants. The same again changes
/// nothing.
///
/// # Errors
///
/// [`Error::Stale`] when something newer is wanted; [`Error::Conflict`] when it is being deleted.
pub async fn endpoint_state(
    tx: &mut Tx<'_>,
    id: EndpointId,
    generation: u64,
    state: EndpointState,
    error: Option<&str>,
) -> Result<(), Error> {
    let changed = tx
        .sql("store the state of an endpoint", include_str!("endpoints/state.sql"))
        .bind(&id)
        .bind(&generation)
        .bind(&state)
        .bind(&error.map(ToOwned::to_owned))
        .run()
        .await?;
    guard(tx, id, changed).await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Has an endpoint answer with what generation `generation` wants, all of which is ready.
///
/// # Errors
///
/// [`Error::Stale`] when something newer is wanted; [`Error::Conflict`] when it is being deleted.
pub async fn endpoint_serve(
    tx: &mut Tx<'_>,
    id: EndpointId,
    generation: u64,
    now_ms: u64,
) -> Result<(), Error> {
    let serve = tx.sql("serve an endpoint", include_str!("endpoints/serve.sql"));
    let changed = serve.bind(&id).bind(&generation).bind(&now_ms).run().await?;
    guard(tx, id, changed).await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Begins to delete an endpoint: its name is free again, and it is routed no more. Doing so again
/// changes nothing.
pub async fn endpoint_delete(tx: &mut Tx<'_>, id: EndpointId) -> Result<EndpointRow, Error> {
    let delete = tx.sql("begin to delete an endpoint", include_str!("endpoints/delete.sql"));
    delete.bind(&id).run().await?;
    feed_bump(tx, Topic::Routes);
    endpoint_fetch(tx, id).await
}

/// Removes an endpoint that is being deleted, once none of its instances is left, and none of its
/// variants. Doing so again changes nothing.
pub async fn endpoint_remove(tx: &mut Tx<'_>, id: EndpointId) -> Result<(), Error> {
    grants_delete(tx, id).await?;
    for text in [
        "DELETE FROM endpoint_modes WHERE endpoint_id = $1",
        "DELETE FROM endpoint_gates WHERE endpoint_id = $1",
        "DELETE FROM endpoint_bakes WHERE endpoint_id = $1",
        "DELETE FROM endpoint_counts WHERE endpoint_id = $1",
        "DELETE FROM endpoint_captures WHERE endpoint_id = $1",
        "DELETE FROM endpoint_triggers WHERE endpoint_id = $1",
        "DELETE FROM endpoint_firings WHERE endpoint_id = $1",
        "DELETE FROM endpoint_notices WHERE endpoint_id = $1",
        "DELETE FROM endpoint_slices WHERE endpoint_id = $1",
        "DELETE FROM endpoint_accuracies WHERE endpoint_id = $1",
    ] {
        tx.sql("remove what belongs to an endpoint", text).bind(&id).run().await?;
    }
    tx.sql("remove an endpoint", include_str!("endpoints/remove.sql")).bind(&id).run().await?;
    Ok(())
}

/// Says why a change did not land.
async fn guard(tx: &mut Tx<'_>, id: EndpointId, changed: u64) -> Result<(), Error> {
    if changed == 1 {
        return Ok(());
    }
    let stored = endpoint_fetch(tx, id).await?;
    let (what, id) = ("endpoint", id.to_string());
    if stored.deleting {
        return Err(Error::Conflict { what, id, why: "is being deleted" });
    }
    Err(Error::Stale { what, id, stored: stored.generation })
}

async fn with_grants(tx: &mut Tx<'_>, mut endpoint: EndpointRow) -> Result<EndpointRow, Error> {
    if let Sharing::Accounts(accounts) = &mut endpoint.sharing {
        let text = "SELECT account_id FROM endpoint_grants WHERE endpoint_id = $1";
        for row in tx.sql("list grants of an endpoint", text).bind(&endpoint.id).every().await? {
            accounts.insert(row.get("account_id")?);
        }
    }
    Ok(endpoint)
}

async fn grants_write(tx: &mut Tx<'_>, id: EndpointId, sharing: &Sharing) -> Result<(), Error> {
    for account_id in sharing.accounts() {
        let text = "INSERT INTO endpoint_grants (endpoint_id, account_id) VALUES ($1, $2)";
        tx.sql("grant an endpoint", text).bind(&id).bind(&account_id).run().await?;
    }
    Ok(())
}

async fn grants_delete(tx: &mut Tx<'_>, id: EndpointId) -> Result<(), Error> {
    let text = "DELETE FROM endpoint_grants WHERE endpoint_id = $1";
    tx.sql("delete grants of an endpoint", text).bind(&id).run().await.map(|_| ())
}
