//! Versions: what was published under an item's name, one after the other.
//!
//! Always true: a version never changes and is never deleted; the numbers of an item's versions
//! are 1, 2, 3 and so on, and its `newest` is the last; a version holds its package.

use types::{Digest, ItemId, ObjectId};

use crate::Tx;
use crate::error::Error;
use crate::items::{item_advance, item_fetch};
use crate::objects::object_hold;
use crate::statement::Row;

/// A version of an item.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionRow {
    pub item_id: ItemId,
    /// From 1.
    pub number: u32,
    /// The package.
    pub object_id: ObjectId,
    pub package_sha256: Digest,
    pub package_bytes: u64,
    pub manifest: serde_json::Value,
    pub listing: serde_json::Value,
    /// The files of the package and their digests.
    pub files: serde_json::Value,
    pub signature: String,
    pub signed_by: String,
    /// Where a trained model came from.
    pub lineage: Option<serde_json::Value>,
    pub created_at_ms: u64,
}

fn version(row: &Row) -> Result<VersionRow, Error> {
    Ok(VersionRow {
        item_id: row.get("item_id")?,
        number: row.get("number")?,
        object_id: row.get("object_id")?,
        package_sha256: row.get("package_sha256")?,
        package_bytes: row.get("package_bytes")?,
        manifest: row.get("manifest")?,
        listing: row.get("listing")?,
        files: row.get("files")?,
        signature: row.get("signature")?,
        signed_by: row.get("signed_by")?,
        lineage: row.get("lineage")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}

/// Adds an item's next version, makes it the newest, and holds its package.
///
/// # Errors
///
/// [`Error::Stale`] with the newest number, when `number` is not the next one.
pub async fn version_insert(tx: &mut Tx<'_>, row: &VersionRow) -> Result<(), Error> {
    if !item_advance(tx, row.item_id, row.number).await? {
        let stored = u64::from(item_fetch(tx, row.item_id).await?.newest);
        return Err(Error::Stale { what: "item", id: row.item_id.to_string(), stored });
    }
    object_hold(tx, row.object_id, &holder(row.item_id, row.number)).await?;
    tx.sql("insert a version", include_str!("versions/insert.sql"))
        .bind(&row.item_id)
        .bind(&row.number)
        .bind(&row.object_id)
        .bind(&row.package_sha256)
        .bind(&row.package_bytes)
        .bind(&row.manifest)
        .bind(&row.listing)
        .bind(&row.files)
        .bind(&row.signature)
        .bind(&row.signed_by)
        .bind(&row.lineage)
        .bind(&row.created_at_ms)
        .run()
        .await?;
    Ok(())
}

/// Fetches one version.
pub async fn version_fetch(
    tx: &mut Tx<'_>,
    item_id: ItemId,
    number: u32,
) -> Result<VersionRow, Error> {
    let fetch = tx.sql("fetch a version", include_str!("versions/fetch.sql"));
    let row = fetch.bind(&item_id).bind(&number).first().await?;
    let missing = || Error::NotFound { what: "version", id: format!("{item_id}@{number}") };
    version(&row.ok_or_else(missing)?)
}

/// Lists the versions of an item, newest first, before one, at most `limit`.
pub async fn versions_list(
    tx: &mut Tx<'_>,
    item_id: ItemId,
    before: Option<u32>,
    limit: u32,
) -> Result<Vec<VersionRow>, Error> {
    let list = tx.sql("list versions", include_str!("versions/list.sql"));
    let before = before.unwrap_or(u32::MAX);
    let rows = list.bind(&item_id).bind(&before).bind(&limit).every().await?;
    rows.iter().map(version).collect()
}

/// How a version is called where it holds its package.
pub fn holder(item_id: ItemId, number: u32) -> String {
    format!("version:{item_id}@{number}")
}
