//! Services: APIs made of functions, each of their versions, and the keys of those who use them.
//!
//! Always true: a version never changes, and its number is given out once; a service is changed
//! only by who knows its generation; of a key the secret's digest is kept; gateways hear of each
//! change.

use std::collections::BTreeMap;

use types::{AccountId, Digest, Name, ServiceId, ServiceKeyId};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRow {
    pub id: ServiceId,
    pub account_id: AccountId,
    pub name: Name,
    /// The newest version, which answers where none is named.
    pub newest: u32,
    /// Grows with every change.
    pub generation: u64,
    pub created_at_ms: u64,
}

/// A version of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceVersionRow {
    pub service_id: ServiceId,
    pub number: u32,
    /// Words, who may call, operations.
    pub spec: serde_json::Value,
    pub created_at_ms: u64,
}

/// By what a service's user calls it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceKeyRow {
    pub id: ServiceKeyId,
    pub service_id: ServiceId,
    pub name: Name,
    pub secret_sha256: Digest,
    /// Limits.
    pub spec: serde_json::Value,
    pub created_at_ms: u64,
}

fn service(row: &Row) -> Result<ServiceRow, Error> {
    Ok(ServiceRow {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        name: row.get("name")?,
        newest: row.get("newest")?,
        generation: row.get("generation")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}

fn version(row: &Row) -> Result<ServiceVersionRow, Error> {
    Ok(ServiceVersionRow {
        service_id: row.get("service_id")?,
        number: row.get("number")?,
        spec: row.get("spec")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}

fn key(row: &Row) -> Result<ServiceKeyRow, Error> {
    Ok(ServiceKeyRow {
        id: row.get("id")?,
        service_id: row.get("service_id")?,
        name: row.get("name")?,
        secret_sha256: row.get("secret_sha256")?,
        spec: row.get("spec")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}

fn newest(row: &Row) -> Result<(ServiceRow, serde_json::Value), Error> {
    Ok((service(row)?, row.get("spec")?))
}

/// Adds a service with its first version. [`Error::Unique`] when the account has one of this name.
pub async fn service_insert(
    tx: &mut Tx<'_>,
    row: &ServiceRow,
    first: &ServiceVersionRow,
) -> Result<(), Error> {
    tx.sql("insert a service", include_str!("services/insert.sql"))
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.name)
        .bind(&row.newest)
        .bind(&row.generation)
        .bind(&row.created_at_ms)
        .run()
        .await?;
    version_insert(tx, first).await
}

async fn version_insert(tx: &mut Tx<'_>, row: &ServiceVersionRow) -> Result<(), Error> {
    tx.sql("insert a version of a service", include_str!("services/insert_version.sql"))
        .bind(&row.service_id)
        .bind(&row.number)
        .bind(&row.spec)
        .bind(&row.created_at_ms)
        .run()
        .await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Gives a service a new version, for generation `generation_seen`. The version's own number is not
/// looked at.
///
/// # Errors
///
/// [`Error::Stale`] when it has changed since.
pub async fn service_change(
    tx: &mut Tx<'_>,
    row: &ServiceRow,
    generation_seen: u64,
    next: &ServiceVersionRow,
) -> Result<ServiceRow, Error> {
    let change = tx.sql("change a service", include_str!("services/change.sql"));
    let changed = change.bind(&row.id).bind(&generation_seen).run().await?;
    let text = include_str!("services/fetch_by_id.sql");
    let stored = tx.sql("fetch a service", text).bind(&row.id).first().await?;
    let missing = || Error::NotFound { what: "service", id: row.name.to_string() };
    let stored = service(&stored.ok_or_else(missing)?)?;
    if changed != 1 {
        let (id, stored) = (row.name.to_string(), stored.generation);
        return Err(Error::Stale { what: "service", id, stored });
    }
    version_insert(tx, &ServiceVersionRow { number: stored.newest, ..next.clone() }).await?;
    Ok(stored)
}

/// Fetches the service of this name in an account, with what its newest version says.
pub async fn service_fetch(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    name: &Name,
) -> Result<(ServiceRow, serde_json::Value), Error> {
    let fetch = tx.sql("fetch a service", include_str!("services/fetch.sql"));
    let row = fetch.bind(&account_id).bind(name).first().await?;
    let missing = || Error::NotFound { what: "service", id: name.to_string() };
    newest(&row.ok_or_else(missing)?)
}

/// Lists the services of an account by name, after one, at most `limit`, each with what its newest
/// version says.
pub async fn services_list(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    after: Option<&Name>,
    limit: u32,
) -> Result<Vec<(ServiceRow, serde_json::Value)>, Error> {
    let after = after.map_or_else(String::new, ToString::to_string);
    let list = tx.sql("list services", include_str!("services/list.sql"));
    let rows = list.bind(&account_id).bind(&after).bind(&limit).every().await?;
    rows.iter().map(newest).collect()
}

/// Lists the versions of a service by number, after one, at most `limit`.
pub async fn service_versions_list(
    tx: &mut Tx<'_>,
    id: ServiceId,
    after: u32,
    limit: u32,
) -> Result<Vec<ServiceVersionRow>, Error> {
    let list = tx.sql("list versions of a service", include_str!("services/versions.sql"));
    let rows = list.bind(&id).bind(&after).bind(&limit).every().await?;
    rows.iter().map(version).collect()
}

/// Removes a version of a service that is not its newest, and tells whether it was there.
pub async fn service_version_delete(
    tx: &mut Tx<'_>,
    id: ServiceId,
    number: u32,
) -> Result<bool, Error> {
    let text = "DELETE FROM service_versions WHERE service_id = $1 AND number = $2";
    let deleted = tx.sql("delete a version of a service", text).bind(&id).bind(&number).run();
    let deleted = deleted.await?;
    feed_bump(tx, Topic::Routes);
    Ok(deleted == 1)
}

/// Removes a service, its versions and its keys. Doing so again changes nothing.
pub async fn service_delete(tx: &mut Tx<'_>, id: ServiceId) -> Result<(), Error> {
    for text in [
        "DELETE FROM service_keys WHERE service_id = $1",
        "DELETE FROM service_versions WHERE service_id = $1",
        "DELETE FROM services WHERE id = $1",
    ] {
        tx.sql("delete a service", text).bind(&id).run().await?;
    }
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Adds a key. [`Error::Unique`] when the service has one of this name.
pub async fn service_key_insert(tx: &mut Tx<'_>, row: &ServiceKeyRow) -> Result<(), Error> {
    tx.sql("insert a key of a service", include_str!("services/insert_key.sql"))
        .bind(&row.id)
        .bind(&row.service_id)
        .bind(&row.name)
        .bind(&row.secret_sha256)
        .bind(&row.spec)
        .bind(&row.created_at_ms)
        .run()
        .await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Lists the keys of a service by name, after one, at most `limit`.
pub async fn service_keys_list(
    tx: &mut Tx<'_>,
    id: ServiceId,
    after: Option<&Name>,
    limit: u32,
) -> Result<Vec<ServiceKeyRow>, Error> {
    let after = after.map_or_else(String::new, ToString::to_string);
    let list = tx.sql("list keys of a service", include_str!("services/keys.sql"));
    let rows = list.bind(&id).bind(&after).bind(&limit).every().await?;
    rows.iter().map(key).collect()
}

/// Removes a key, and tells whether it was there.
pub async fn service_key_delete(
    tx: &mut Tx<'_>,
    id: ServiceId,
    name: &Name,
) -> Result<bool, Error> {
    let text = "DELETE FROM service_keys WHERE service_id = $1 AND name = $2";
    let deleted = tx.sql("delete a key of a service", text).bind(&id).bind(name).run().await?;
    feed_bump(tx, Topic::Routes);
    Ok(deleted == 1)
}

/// A service with its versions and keys, for routes.
#[derive(Clone, Debug, PartialEq)]
pub struct WholeService {
    pub service: ServiceRow,
    pub versions: Vec<ServiceVersionRow>,
    pub keys: Vec<ServiceKeyRow>,
}

/// Every service, for routes.
pub async fn services_list_all(tx: &mut Tx<'_>) -> Result<Vec<WholeService>, Error> {
    let rows = tx.sql("list all services", include_str!("services/all.sql")).every().await?;
    let text = include_str!("services/all_versions.sql");
    let mut versions: BTreeMap<ServiceId, Vec<ServiceVersionRow>> = BTreeMap::new();
    for row in &tx.sql("list all versions of services", text).every().await? {
        let row = version(row)?;
        versions.entry(row.service_id).or_default().push(row);
    }
    let text = include_str!("services/all_keys.sql");
    let mut keys: BTreeMap<ServiceId, Vec<ServiceKeyRow>> = BTreeMap::new();
    for row in &tx.sql("list all keys of services", text).every().await? {
        let row = key(row)?;
        keys.entry(row.service_id).or_default().push(row);
    }
    let whole = |row: &Row| {
        let service = service(row)?;
        let versions = versions.remove(&service.id).unwrap_or_default();
        let keys = keys.remove(&service.id).unwrap_or_default();
        Ok(WholeService { service, versions, keys })
    };
    rows.iter().map(whole).collect()
}
