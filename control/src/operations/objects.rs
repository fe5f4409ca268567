//! Objects: received in chunks or as a stream, described and read by their owner.
//!
//! Always true: an object's row is committed only while all its chunks are there; a chunk that is
//! being deleted makes the commit start over or name what has to be sent again.

use std::ops::Range;

use bytes::{Buf as _, Bytes};
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};

use access::{Action, Kind, Resource};
use api::objects::{
    CHUNK_BYTES_MAX, CHUNKS_MAX, Chunk, CommitObject, Missing, MissingQuery, Object, ReceivedChunks,
};
use objects::{AccountKeys, ChunkRef, PlainHash, Reader, Sealed};
use store::accounts::account_chunk_claims;
use store::objects::{ObjectChunks, ObjectRow, object_fetch, object_insert};
use types::{AccountId, Digest, ErrorKind, ObjectId};

use crate::caller::Caller;
use crate::{Control, Error};

/// Longest media type.
const MEDIA_TYPE_BYTES_MAX: usize = 200;
/// How often a commit starts over because chunks were claimed for deletion meanwhile.
const COMMIT_TRIES: u32 = 5;

/// Which of these chunks have to be sent.
pub async fn missing(
    control: &Control,
    caller: &Caller,
    query: &MissingQuery,
) -> Result<Missing, Error> {
    control.authorize(caller, Action::ObjectsWrite, Resource::account(caller.account))?;
    let keys = control.account_keys(caller.account).await?;
    let chunks = references(&query.chunks)?;
    let missing = control.shared.objects.missing(&keys, &chunks).await.map_err(object_error)?;
    Ok(Missing { missing: missing.into_iter().map(|hash| hash.0).collect() })
}

/// Takes chunks, each behind its length.
pub async fn receive_chunks(
    control: &Control,
    caller: &Caller,
    mut body: Bytes,
) -> Result<ReceivedChunks, Error> {
    control.authorize(caller, Action::ObjectsWrite, Resource::account(caller.account))?;
    let keys = control.account_keys(caller.account).await?;
    let mut received = Vec::new();
    while body.has_remaining() {
        let length =
            body.try_get_u32_le().map_err(|_| incomplete("ends within the length of a chunk"))?;
        if length == 0 || length > CHUNK_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a chunk of {length} bytes; chunks have 1 to {CHUNK_BYTES_MAX}"
            )));
        }
        if body.remaining() < length as usize {
            let left = body.remaining();
            return Err(incomplete(&format!("ends {left} bytes into a chunk of {length}")));
        }
        let plain = body.split_to(length as usize);
        let chunk = control.shared.objects.put_chunk(&keys, plain).await.map_err(object_error)?;
        received.push(Chunk { hash: chunk.hash.0, bytes: chunk.bytes });
    }
    Ok(ReceivedChunks { received })
}

/// Makes an object of chunks that are here.
pub async fn commit(
    control: &Control,
    caller: &Caller,
    request: CommitObject,
) -> Result<Object, Error> {
    control.authorize(caller, Action::ObjectsWrite, Resource::account(caller.account))?;
    check_media_type(&request.media_type)?;
    let keys = control.account_keys(caller.account).await?;
    let chunks = references(&request.chunks)?;
    let id = ObjectId::new(control.clock().uuid());
    for _ in 0..COMMIT_TRIES {
        let claims_seen = claims(control, caller.account).await?;
        let sealed = control
            .shared
            .objects
            .commit(&keys, id, &chunks, &request.media_type)
            .await
            .map_err(object_error)?;
        if let Some(row) =
            insert(control, &keys, &sealed, (&request.media_type, claims_seen)).await?
        {
            return Ok(shape(&row));
        }
    }
    Err(unsettled())
}

/// Makes an object of a body as it arrives.
pub async fn receive_stream(
    control: &Control,
    caller: &Caller,
    media_type: String,
    body: impl Stream<Item = std::io::Result<Bytes>> + Send,
) -> Result<Object, Error> {
    control.authorize(caller, Action::ObjectsWrite, Resource::account(caller.account))?;
    check_media_type(&media_type)?;
    let row = store_stream(control, caller.account, &media_type, body).await?;
    Ok(shape(&row))
}

/// Seals a stream for an account and commits its row.
pub(crate) async fn store_stream(
    control: &Control,
    account: AccountId,
    media_type: &str,
    body: impl Stream<Item = std::io::Result<Bytes>> + Send,
) -> Result<ObjectRow, Error> {
    let keys = control.account_keys(account).await?;
    let id = ObjectId::new(control.clock().uuid());
    let claims_seen = claims(control, account).await?;
    let objects = &control.shared.objects;
    let sealed = objects.put_stream(&keys, id, media_type, body).await.map_err(object_error)?;
    let mut claims_seen = claims_seen;
    for _ in 0..COMMIT_TRIES {
        if let Some(row) = insert(control, &keys, &sealed, (media_type, claims_seen)).await? {
            return Ok(row);
        }
        // Chunks were claimed for deletion meanwhile: see that none of these was among them.
        claims_seen = claims(control, account).await?;
        for chunk in &sealed.chunks {
            match objects.source().chunk(account, *chunk).await {
                Ok(_) => {}
                Err(objects::Error::Missing { .. }) => return Err(unsettled()),
                Err(error) => return Err(object_error(error)),
            }
        }
    }
    Err(unsettled())
}

/// Commits the row of a sealed object; none when it has to be looked at again.
async fn insert(
    control: &Control,
    keys: &AccountKeys,
    sealed: &Sealed,
    (media_type, claims_seen): (&str, u64),
) -> Result<Option<ObjectRow>, Error> {
    let row = ObjectRow {
        id: sealed.object,
        account_id: keys.account(),
        bytes: sealed.bytes,
        sha256: sealed.sha256,
        media_type: media_type.to_owned(),
        sealed_key: hex::encode(&sealed.sealed_key),
        key_version: sealed.key_version,
        chunks: sealed.chunks.len() as u64,
        sequence: 0,
        created_at_ms: control.now_ms(),
    };
    let chunks: Vec<Digest> = sealed.chunks.iter().map(|chunk| chunk.0).collect();
    let inserted = control
        .shared
        .store
        .transact("commit an object", |tx| {
            let (row, chunks) = (&row, &chunks);
            Box::pin(
                async move { object_insert(tx, row, ObjectChunks { chunks, claims_seen }).await },
            )
        })
        .await;
    match inserted {
        Ok(sequence) => Ok(Some(ObjectRow { sequence, ..row })),
        Err(store::Error::Stale { .. }) => Ok(None),
        Err(store::Error::ChunksDeleting { .. }) => Err(unsettled()),
        Err(error) => Err(error.into()),
    }
}

async fn claims(control: &Control, account: AccountId) -> Result<u64, Error> {
    let read = control
        .shared
        .store
        .read("read claims of chunks", |tx| Box::pin(account_chunk_claims(tx, account)));
    Ok(read.await?)
}

/// Describes an object of the account.
pub async fn fetch(control: &Control, caller: &Caller, id: ObjectId) -> Result<Object, Error> {
    Ok(shape(&own(control, caller, id).await?))
}

/// Opens an object of the account for reading.
pub async fn open(
    control: &Control,
    caller: &Caller,
    id: ObjectId,
) -> Result<(Object, Reader), Error> {
    let row = own(control, caller, id).await?;
    Ok((shape(&row), control.open_object(&row).await?))
}

/// Reads a range of an object, its first piece at once: damaged bytes are told of while there is
/// still an answer to tell it in.
pub async fn read(
    reader: &Reader,
    range: Range<u64>,
) -> Result<impl Stream<Item = Result<Bytes, objects::Error>> + Send + use<>, Error> {
    let mut pieces = reader.range(range).map_err(object_error)?;
    let first = pieces.try_next().await.map_err(object_error)?;
    Ok(stream::iter(first.map(Ok)).chain(pieces))
}

impl Control {
    /// Opens an object for reading here.
    pub(crate) async fn open_object(&self, row: &ObjectRow) -> Result<Reader, Error> {
        let key = self.object_key(row).await?;
        let reader = self.shared.objects.open(row.account_id, row.id, &key).await;
        reader.map_err(object_error)
    }
}

/// The row of an object, if it is the caller's and the caller may read it.
pub(crate) async fn own(
    control: &Control,
    caller: &Caller,
    id: ObjectId,
) -> Result<ObjectRow, Error> {
    control.authorize(caller, Action::ObjectsRead, Resource::of(Kind::Object, caller.account))?;
    let missing = || Error::NotFound { what: format!("the object {id}") };
    let row = control.shared.store.read("fetch an object", |tx| Box::pin(object_fetch(tx, id)));
    match row.await {
        Ok(row) if row.account_id == caller.account => Ok(row),
        Ok(_) => Err(missing()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

fn references(chunks: &[Chunk]) -> Result<Vec<ChunkRef>, Error> {
    if chunks.len() > CHUNKS_MAX {
        return Err(Error::TooLarge { what: "the list of chunks", limit: CHUNKS_MAX.to_string() });
    }
    let reference = |chunk: &Chunk| {
        if chunk.bytes == 0 || chunk.bytes > CHUNK_BYTES_MAX {
            return Err(Error::invalid(format!("chunks have 1 to {CHUNK_BYTES_MAX} bytes")));
        }
        Ok(ChunkRef { hash: PlainHash(chunk.hash), bytes: chunk.bytes })
    };
    chunks.iter().map(reference).collect()
}

fn check_media_type(text: &str) -> Result<(), Error> {
    let plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if text.is_empty() || text.len() > MEDIA_TYPE_BYTES_MAX || !plain {
        return Err(Error::invalid(format!(
            "a media type is 1 to {MEDIA_TYPE_BYTES_MAX} visible ASCII characters"
        )));
    }
    Ok(())
}

fn incomplete(what: &str) -> Error {
    Error::Invalid { code: "object_incomplete", message: format!("the body {what}; send it again") }
}

fn unsettled() -> Error {
    Error::Conflict {
        code: "missing_chunks",
        message: "chunks of the object were being removed meanwhile; ask which are missing, send them, and commit again".to_owned(),
    }
}

/// What a failure of the object store means to a caller of the API.
pub(crate) fn object_error(error: objects::Error) -> Error {
    match &error {
        objects::Error::NotSent { missing } => Error::Conflict {
            code: "missing_chunks",
            message: format!(
                "{} chunks of the object are not here; ask which are missing, send them, and commit again",
                missing.len()
            ),
        },
        objects::Error::TooLarge { .. } => {
            Error::TooLarge { what: "the object", limit: error.to_string() }
        }
        objects::Error::Body { bytes, .. } => incomplete(&format!("broke off after {bytes} bytes")),
        objects::Error::Full { .. } => Error::StorageFull(error),
        objects::Error::Unreachable { .. } => Error::StorageUnavailable(error),
        objects::Error::Missing { .. } | objects::Error::Corrupt { .. } => {
            Error::ObjectCorrupt(error)
        }
        _ => Error::Objects(error),
    }
}

fn shape(row: &ObjectRow) -> Object {
    Object {
        id: row.id,
        bytes: row.bytes,
        sha256: row.sha256,
        media_type: row.media_type.clone(),
        created_at_ms: row.created_at_ms,
    }
}
