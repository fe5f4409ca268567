//! Condemned chunks: what garbage collection is about to delete.
//!
//! Marking reads the account's sequence of objects, walks them, and condemns the chunks that none
//! used; that is refused when an object was made meanwhile. Much later, condemned chunks are
//! claimed, deleted, and forgotten, which settles the claim. States: condemned, deleting.
//!
//! Always true: a commit takes condemned chunks back, fails on those being deleted, and is refused
//! when a claim was settled after it had looked for its chunks, so it looks again. A claim belongs
//! to one collector until it counts as lost.

use std::collections::BTreeSet;

use types::{AccountId, Digest};

use crate::Tx;
use crate::accounts::{account_claims_settled, account_objects_sequence};
use crate::error::Error;
use crate::lists::{DIGEST_CHARS, batches};
use crate::words::words;

/// How long a collector may take to delete what it has claimed, in milliseconds, before another
/// may claim it: longer than any call of an object store.
pub const CLAIM_LOST_AFTER_MS: u64 = 60 * 60_000;

words! {
    /// How far a chunk is on its way out.
    pub enum ChunkState {
        /// No object was seen to use it.
        Condemned = "condemned",
        /// It is being deleted.
        Deleting = "deleting",
    }
}

/// Condemns chunks of an account that no object up to number `sequence_seen` uses.
///
/// Those that are on their way out stay as they are.
///
/// # Errors
///
/// [`Error::Stale`] when the account has made an object since.
pub async fn chunks_condemn(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    chunks: &[Digest],
    sequence_seen: u64,
    now_ms: u64,
) -> Result<(), Error> {
    let stored = account_objects_sequence(tx, account_id).await?;
    if stored != sequence_seen {
        let id = account_id.to_string();
        return Err(Error::Stale { what: "account's objects", id, stored });
    }
    for batch in batches(chunks, DIGEST_CHARS) {
        tx.sql("condemn chunks", include_str!("chunks/condemn.sql"))
            .bind(&account_id)
            .bind(&batch.joined)
            .bind(&batch.count)
            .bind(&now_ms)
            .run()
            .await?;
    }
    Ok(())
}

/// Claims for deletion up to `limit` chunks that were condemned before `condemned_before_ms`, or
/// claimed so long ago that their collector is lost, and gives them in order.
pub async fn chunks_claim(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    condemned_before_ms: u64,
    now_ms: u64,
    limit: u32,
) -> Result<Vec<Digest>, Error> {
    let rows = tx
        .sql("claim chunks", include_str!("chunks/claim.sql"))
        .bind(&account_id)
        .bind(&condemned_before_ms)
        .bind(&now_ms)
        .bind(&limit)
        .bind(&now_ms.saturating_sub(CLAIM_LOST_AFTER_MS))
        .every()
        .await?;
    let claimed: Result<BTreeSet<Digest>, Error> =
        rows.iter().map(|row| row.get("chunk")).collect();
    Ok(claimed?.into_iter().collect())
}

/// Settles the claim of chunks that are deleted, or stay after all: it is forgotten and counted.
pub async fn chunks_forget(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    chunks: &[Digest],
) -> Result<(), Error> {
    for batch in batches(chunks, DIGEST_CHARS) {
        tx.sql("forget deleted chunks", include_str!("chunks/forget.sql"))
            .bind(&account_id)
            .bind(&batch.joined)
            .bind(&batch.count)
            .run()
            .await?;
    }
    account_claims_settled(tx, account_id).await
}

/// Takes condemned chunks back; those being deleted stay.
pub async fn chunks_uncondemn(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    chunks: &[Digest],
) -> Result<(), Error> {
    for batch in batches(chunks, DIGEST_CHARS) {
        tx.sql("take chunks back", include_str!("chunks/uncondemn.sql"))
            .bind(&account_id)
            .bind(&batch.joined)
            .bind(&batch.count)
            .run()
            .await?;
    }
    Ok(())
}

/// Which of these chunks are on their way out, and how far.
pub async fn chunks_condemned(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    chunks: &[Digest],
) -> Result<Vec<(Digest, ChunkState)>, Error> {
    let mut found = Vec::new();
    for batch in batches(chunks, DIGEST_CHARS) {
        let list = tx.sql("list condemned chunks", include_str!("chunks/condemned.sql"));
        let list = list.bind(&account_id).bind(&batch.joined).bind(&batch.count);
        for row in list.every().await? {
            found.push((row.get("chunk")?, row.get("state")?));
        }
    }
    Ok(found)
}

/// Keeps what a commit uses: takes condemned chunks back, or names those that are being deleted.
pub(crate) async fn chunks_keep(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    chunks: &[Digest],
) -> Result<(), Error> {
    let text = "SELECT COUNT(*) AS count FROM condemned_chunks WHERE account_id = $1";
    let row = tx.sql("count condemned chunks", text).bind(&account_id).only().await?;
    if row.get::<u64>("count")? == 0 {
        return Ok(());
    }
    let unique: Vec<Digest> = chunks.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let condemned = chunks_condemned(tx, account_id, &unique).await?;
    let of = |wanted| {
        let those = condemned.iter().filter(move |(_, state)| *state == wanted);
        those.map(|(chunk, _)| *chunk).collect::<Vec<_>>()
    };
    let deleting = of(ChunkState::Deleting);
    if !deleting.is_empty() {
        return Err(Error::ChunksDeleting { chunks: deleting });
    }
    chunks_uncondemn(tx, account_id, &of(ChunkState::Condemned)).await
}
