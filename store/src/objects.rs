//! Objects: which stored bytes an account has, and what holds them.
//!
//! Always true: an object is deleted only while nothing holds it; the numbers of an account's
//! objects only grow, also when objects are deleted; an object is never committed onto a chunk
//! that is being, or may have been, deleted.

use types::{AccountId, Digest, ObjectId};

use crate::Tx;
use crate::accounts::{account_chunk_claims, account_objects_next};
use crate::chunks::chunks_keep;
use crate::error::Error;
use crate::statement::Row;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRow {
    pub id: ObjectId,
    pub account_id: AccountId,
    /// Plain bytes.
    pub bytes: u64,
    /// Of the plain bytes.
    pub sha256: Digest,
    pub media_type: String,
    /// The object's key, sealed under the account's key of this version.
    pub sealed_key: String,
    pub key_version: u32,
    /// How many chunks it has.
    pub chunks: u64,
    /// Its number among the account's objects; given by [`object_insert`].
    pub sequence: u64,
    pub created_at_ms: u64,
}

/// The chunks of an object that is being committed.
#[derive(Clone, Copy, Debug)]
pub struct ObjectChunks<'a> {
    /// Every chunk it uses.
    pub chunks: &'a [Digest],
    /// What [`account_chunk_claims`] said before the chunks were seen to be there.
    pub claims_seen: u64,
}

fn object(row: &Row) -> Result<ObjectRow, Error> {
    Ok(ObjectRow {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        bytes: row.get("bytes")?,
        sha256: row.get("sha256")?,
        media_type: row.get("media_type")?,
        sealed_key: row.get("sealed_key")?,
        key_version: row.get("key_version")?,
        chunks: row.get("chunks")?,
        sequence: row.get("sequence")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}

/// Commits an object, takes its condemned chunks back, and gives its number in `sequence`.
///
/// # Errors
///
/// [`Error::ChunksDeleting`] names the chunks that have to be sent again once they are gone;
/// [`Error::Stale`] when a claim of chunks of the account was settled since `claims_seen`: see
/// again whether all are there, and commit again.
pub async fn object_insert(
    tx: &mut Tx<'_>,
    row: &ObjectRow,
    using: ObjectChunks<'_>,
) -> Result<u64, Error> {
    chunks_keep(tx, row.account_id, using.chunks).await?;
    let stored = account_chunk_claims(tx, row.account_id).await?;
    if stored != using.claims_seen {
        let id = row.account_id.to_string();
        return Err(Error::Stale { what: "account's chunks", id, stored });
    }
    let sequence = account_objects_next(tx, row.account_id).await?;
    tx.sql("insert an object", include_str!("objects/insert.sql"))
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.bytes)
        .bind(&row.sha256)
        .bind(&row.media_type)
        .bind(&row.sealed_key)
        .bind(&row.key_version)
        .bind(&row.chunks)
        .bind(&sequence)
        .bind(&row.created_at_ms)
        .run()
        .await?;
    Ok(sequence)
}

/// Fetches one object.
pub async fn object_fetch(tx: &mut Tx<'_>, id: ObjectId) -> Result<ObjectRow, Error> {
    let row =
        tx.sql("fetch an object", include_str!("objects/fetch.sql")).bind(&id).first().await?;
    object(&row.ok_or_else(|| missing(id))?)
}

/// The ids and numbers of an account's objects after a number, in order, at most `limit`: what
/// garbage marking walks.
pub async fn objects_list_live(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    after_sequence: u64,
    limit: u32,
) -> Result<Vec<(ObjectId, u64)>, Error> {
    let list = tx.sql("list objects", include_str!("objects/live.sql"));
    let rows = list.bind(&account_id).bind(&after_sequence).bind(&limit).every().await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("sequence")?))).collect()
}

/// Objects that nothing holds and that were made before `created_before_ms`, oldest first.
pub async fn objects_list_unheld(
    tx: &mut Tx<'_>,
    created_before_ms: u64,
    limit: u32,
) -> Result<Vec<ObjectRow>, Error> {
    let list = tx.sql("list unheld objects", include_str!("objects/unheld.sql"));
    let rows = list.bind(&created_before_ms).bind(&limit).every().await?;
    rows.iter().map(object).collect()
}

/// Objects of an account whose keys are sealed under an older version than `key_version`.
pub async fn objects_list_sealed_before(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    key_version: u32,
    limit: u32,
) -> Result<Vec<ObjectRow>, Error> {
    let list = tx.sql("list objects to reseal", include_str!("objects/sealed_before.sql"));
    let rows = list.bind(&account_id).bind(&key_version).bind(&limit).every().await?;
    rows.iter().map(object).collect()
}

/// Stores the key of an object sealed under a newer version of the account key. Under an older or
/// the same one it changes nothing, and answers false.
pub async fn object_reseal(
    tx: &mut Tx<'_>,
    id: ObjectId,
    sealed_key: &str,
    key_version: u32,
) -> Result<bool, Error> {
    let changed = tx
        .sql("reseal an object", include_str!("objects/reseal.sql"))
        .bind(&id)
        .bind(&sealed_key.to_owned())
        .bind(&key_version)
        .run()
        .await?;
    Ok(changed == 1)
}

/// Deletes an object that nothing holds. [`Error::Conflict`] when something does.
pub async fn object_delete(tx: &mut Tx<'_>, id: ObjectId) -> Result<(), Error> {
    let changed =
        tx.sql("delete an object", include_str!("objects/delete.sql")).bind(&id).run().await?;
    if changed == 1 {
        return Ok(());
    }
    object_fetch(tx, id).await?;
    Err(Error::Conflict { what: "object", id: id.to_string(), why: "is held" })
}

/// Notes that `holder` needs an object. Doing so again changes nothing.
pub async fn object_hold(tx: &mut Tx<'_>, id: ObjectId, holder: &str) -> Result<(), Error> {
    // Asked before, since a failed statement would spoil the transaction.
    object_fetch(tx, id).await?;
    let hold = tx.sql("hold an object", include_str!("objects/hold.sql"));
    hold.bind(&id).bind(&holder.to_owned()).run().await?;
    Ok(())
}

/// Notes that `holder` needs an object no more. Doing so again changes nothing.
pub async fn object_release(tx: &mut Tx<'_>, id: ObjectId, holder: &str) -> Result<(), Error> {
    let text = "DELETE FROM object_holders WHERE object_id = $1 AND holder = $2";
    tx.sql("release an object", text).bind(&id).bind(&holder.to_owned()).run().await?;
    Ok(())
}

/// Notes that `holder` needs nothing any more.
pub async fn objects_release(tx: &mut Tx<'_>, holder: &str) -> Result<u64, Error> {
    let text = "DELETE FROM object_holders WHERE holder = $1";
    tx.sql("release objects", text).bind(&holder.to_owned()).run().await
}

/// What holds an object, in order.
pub async fn object_holders(tx: &mut Tx<'_>, id: ObjectId) -> Result<Vec<String>, Error> {
    let text = "SELECT holder FROM object_holders WHERE object_id = $1 ORDER BY holder";
    let rows = tx.sql("list holders of an object", text).bind(&id).every().await?;
    rows.iter().map(|row| row.get("holder")).collect()
}

/// What a holder holds, in order.
pub async fn objects_held(tx: &mut Tx<'_>, holder: &str) -> Result<Vec<ObjectId>, Error> {
    let text = "SELECT object_id FROM object_holders WHERE holder = $1 ORDER BY object_id";
    let rows = tx.sql("list what is held", text).bind(&holder.to_owned()).every().await?;
    rows.iter().map(|row| row.get("object_id")).collect()
}

fn missing(id: ObjectId) -> Error {
    Error::NotFound { what: "object", id: id.to_string() }
}
