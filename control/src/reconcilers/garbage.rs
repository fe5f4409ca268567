//! Collects garbage: objects that nothing holds, manifests without an object, as a crash leaves
//! them, and chunks that no object uses.
//!
//! Chunks are condemned by marking: every object's manifest is read, and what no manifest names
//! and is old enough is condemned in a transaction that fails when an object was made since. In a
//! later activation the condemned are claimed and deleted; a commit that uses a condemned chunk
//! takes it back, and one that uses a claimed chunk is refused.
//!
//! Always true: a chunk is deleted only while its claim says so, so no committed object loses one.

use std::collections::BTreeSet;

use futures::FutureExt as _;
use futures::TryStreamExt as _;
use futures::future::BoxFuture;

use objects::{ChunkEntry, ChunkId, ManifestEntry};
use policy::garbage::{self, Chunk};
use store::accounts::account_objects_sequence;
use store::chunks::{chunks_claim, chunks_condemn, chunks_condemned, chunks_forget};
use store::objects::{object_delete, object_fetch, objects_list_live, objects_list_unheld};
use types::{AccountId, Digest, ObjectId};
use workflow::reconciler::{Reconciler, Status};

use crate::{Control, Error};

/// How long something nobody uses is kept before it is garbage, unless told otherwise: a day,
/// longer than any upload takes.
pub const GRACE_MS: u64 = 24 * 3_600_000;
/// Objects and chunks handled in one step.
const BATCH: u32 = 500;
/// Most chunks of an account condemned in one activation.
const CONDEMNED_MAX: usize = 10_000;

/// Collects garbage.
#[derive(Debug)]
pub struct Garbage {
    control: Control,
}

impl Garbage {
    /// For this control plane.
    pub fn new(control: Control) -> Self {
        Self { control }
    }

    async fn close(&self) -> Result<Status, Error> {
        let mut status = Status::default();
        match self.delete_objects().await {
            Ok(steps) => status.steps_done += steps,
            Err(error) => status.failures.push(workflow::chain(&error)),
        }
        let accounts = self.control.shared.objects.accounts().await.map_err(Error::Objects)?;
        for account in accounts {
            match self.collect(account).await {
                Ok(steps) => status.steps_done += steps,
                Err(error) => {
                    status.failures.push(format!("{account}: {}", workflow::chain(&error)));
                }
            }
        }
        Ok(status)
    }

    /// Deletes objects that nothing has held for the grace: their rows first, then manifests.
    async fn delete_objects(&self) -> Result<u64, Error> {
        let control = &self.control;
        let before_ms = control.now_ms().saturating_sub(control.shared.settings.garbage_grace_ms);
        let unheld = control
            .shared
            .store
            .read("list unheld objects", |tx| Box::pin(objects_list_unheld(tx, before_ms, BATCH)))
            .await?;
        let mut steps = 0;
        for row in unheld {
            let id = row.id;
            let deleted = control
                .shared
                .store
                .transact("delete an object", |tx| Box::pin(object_delete(tx, id)))
                .await;
            match deleted {
                Ok(()) => steps += 1,
                // Something holds it since; or another control plane was quicker.
                Err(store::Error::Conflict { .. } | store::Error::NotFound { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
            // A manifest that stays behind is found without its row, later.
            let gone = control.shared.objects.delete_manifest(row.account_id, id).await;
            gone.map_err(Error::Objects)?;
        }
        Ok(steps)
    }

    async fn collect(&self, account: AccountId) -> Result<u64, Error> {
        let deleted = self.delete_claimed(account).await?;
        let control = &self.control;
        let read = control.shared.store.read("read the objects' sequence", |tx| {
            Box::pin(account_objects_sequence(tx, account))
        });
        let sequence = match read.await {
            Ok(sequence) => sequence,
            Err(store::Error::NotFound { .. }) => return Ok(deleted),
            Err(error) => return Err(error.into()),
        };
        // What is stored is listed before what is used is read, so that nothing new looks unused.
        let manifests = control.shared.objects.manifest_list(account);
        let manifests: Vec<ManifestEntry> =
            manifests.try_collect().await.map_err(Error::Objects)?;
        let chunks = control.shared.objects.chunk_list(account);
        let chunks: Vec<ChunkEntry> = chunks.try_collect().await.map_err(Error::Objects)?;
        let used = self.mark(account).await?;
        let condemned = self.condemn(account, &chunks, (&used, sequence)).await?;
        Ok(deleted + condemned + self.delete_orphans(account, &manifests, &used).await?)
    }

    /// Deletes old manifests whose object was never committed, or is gone.
    async fn delete_orphans(
        &self,
        account: AccountId,
        manifests: &[ManifestEntry],
        used: &Used,
    ) -> Result<u64, Error> {
        let control = &self.control;
        let before_ms = control.now_ms().saturating_sub(control.shared.settings.garbage_grace_ms);
        let mut steps = 0;
        for entry in manifests {
            if entry.written_at_ms < before_ms && !used.objects.contains(&entry.object) {
                let gone = control.shared.objects.delete_manifest(account, entry.object).await;
                gone.map_err(Error::Objects)?;
                steps += 1;
            }
        }
        Ok(steps)
    }

    /// Deletes what was condemned by an earlier activation.
    async fn delete_claimed(&self, account: AccountId) -> Result<u64, Error> {
        let control = &self.control;
        let now_ms = control.now_ms();
        let before_ms = now_ms.saturating_sub(control.shared.settings.garbage_grace_ms);
        let claimed = control
            .shared
            .store
            .transact("claim condemned chunks", |tx| {
                Box::pin(chunks_claim(tx, account, before_ms, now_ms, BATCH))
            })
            .await?;
        if claimed.is_empty() {
            return Ok(0);
        }
        let ids: Vec<ChunkId> = claimed.iter().map(|digest| ChunkId(*digest)).collect();
        // An upload that relies on a chunk makes it new; such a chunk stays, and its claim is
        // forgotten, so that the upload's commit goes through.
        let gone = control.shared.objects.delete_chunks(account, &ids, before_ms).await;
        let gone = gone.map_err(Error::Objects)?;
        control
            .shared
            .store
            .transact("forget deleted chunks", |tx| {
                let claimed = claimed.clone();
                Box::pin(async move { chunks_forget(tx, account, &claimed).await })
            })
            .await?;
        Ok(gone.len() as u64)
    }

    /// Condemns what no object uses, and counts what was not on its way out before.
    async fn condemn(
        &self,
        account: AccountId,
        chunks: &[ChunkEntry],
        (used, sequence): (&Used, u64),
    ) -> Result<u64, Error> {
        let control = &self.control;
        let now_ms = control.now_ms();
        let settings = garbage::Settings {
            grace_ms: control.shared.settings.garbage_grace_ms,
            condemned_ms: control.shared.settings.garbage_grace_ms,
            acts_max: CONDEMNED_MAX,
        };
        let dies = |entry: &&ChunkEntry| {
            let chunk = Chunk {
                id: entry.id.0,
                references: u64::from(used.chunks.contains(&entry.id.0)),
                touched_at_ms: entry.written_at_ms,
                condemned_at_ms: None,
            };
            garbage::decide(&chunk, now_ms, &settings) == garbage::Decision::Condemn
        };
        let dying: Vec<Digest> =
            chunks.iter().filter(dies).map(|entry| entry.id.0).take(settings.acts_max).collect();
        if dying.is_empty() {
            return Ok(0);
        }
        let noted = control
            .shared
            .store
            .transact("condemn chunks", |tx| {
                let mut fresh = dying.clone();
                Box::pin(async move {
                    let before = chunks_condemned(tx, account, &fresh).await?;
                    let before: BTreeSet<Digest> = before.into_iter().map(|one| one.0).collect();
                    fresh.retain(|chunk| !before.contains(chunk));
                    chunks_condemn(tx, account, &fresh, sequence, now_ms).await?;
                    Ok::<_, store::Error>(fresh.len() as u64)
                })
            })
            .await;
        match noted {
            Ok(condemned) => Ok(condemned),
            // An object was made meanwhile; the next activation marks again.
            Err(store::Error::Stale { .. }) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Every object of the account, and every chunk that one names.
    async fn mark(&self, account: AccountId) -> Result<Used, Error> {
        let control = &self.control;
        let (mut used, mut after) = (Used::default(), 0);
        loop {
            let live = control
                .shared
                .store
                .read("list objects", |tx| Box::pin(objects_list_live(tx, account, after, BATCH)))
                .await?;
            let Some((_, last)) = live.last() else { break };
            after = *last;
            for (id, _) in &live {
                let id = *id;
                let read = control
                    .shared
                    .store
                    .read("fetch an object", |tx| Box::pin(object_fetch(tx, id)))
                    .await;
                let row = match read {
                    Ok(row) => row,
                    Err(store::Error::NotFound { .. }) => continue,
                    Err(error) => return Err(error.into()),
                };
                let reader = control.open_object(&row).await?;
                used.objects.insert(id);
                used.chunks.extend(reader.chunks().map(|chunk| chunk.0));
            }
        }
        Ok(used)
    }
}

/// What an account's rows use of its blobs.
#[derive(Debug, Default)]
struct Used {
    objects: BTreeSet<ObjectId>,
    chunks: BTreeSet<Digest>,
}

impl Reconciler for Garbage {
    fn name(&self) -> &'static str {
        "garbage"
    }

    fn period_ms(&self) -> u64 {
        10 * 60_000
    }

    fn activate(&self) -> BoxFuture<'_, Status> {
        async { self.close().await.unwrap_or_else(|error| Status::failed(workflow::chain(&error))) }
            .boxed()
    }
}
