//! Objects: stored bytes of an account.
//!
//! A client cuts a file into chunks with [`chunks`], asks which are missing, sends only those, and
//! commits the list; asking again resumes a broken upload. Or it streams the whole body at once.
//! Paths: `POST /v1/objects/missing`, `POST /v1/objects/chunks`, `POST /v1/objects`,
//! `POST /v1/objects/stream`, `GET /v1/objects/{object}`, `GET /v1/objects/{object}/content`.

use serde::{Deserialize, Serialize};

use types::{Digest, ObjectId};

/// Smallest chunk, but for the last of an object.
pub const CHUNK_BYTES_MIN: u32 = 128 << 10;
/// What chunks are cut to on average.
pub const CHUNK_BYTES_AVERAGE: u32 = 512 << 10;
/// Largest chunk.
pub const CHUNK_BYTES_MAX: u32 = 2 << 20;
/// Most chunks named in one call: an object of about 128 GiB.
pub const CHUNKS_MAX: usize = 262_144;
/// Largest body of one `POST /v1/objects/chunks`.
pub const CHUNKS_BODY_BYTES_MAX: usize = 16 << 20;

/// A chunk, named by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    /// BLAKE3 of the plain bytes.
    pub hash: Digest,
    /// Plain bytes.
    #[schema(minimum = 1, maximum = 2_097_152)]
    pub bytes: u32,
}

/// Asks which chunks have to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MissingQuery {
    pub chunks: Vec<Chunk>,
}

/// The chunks that have to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Missing {
    pub missing: Vec<Digest>,
}

/// What arrived of a body of chunks: each its length in four little-endian bytes, then its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReceivedChunks {
    pub received: Vec<Chunk>,
}

/// Makes an object of chunks that are all there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitObject {
    /// The chunks, in order.
    pub chunks: Vec<Chunk>,
    /// Such as `application/x-tar`.
    #[schema(min_length = 1, max_length = 200, pattern = "^[ -~]*$")]
    pub media_type: String,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Object {
    pub id: ObjectId,
    pub bytes: u64,
    /// SHA-256 of the plain bytes.
    pub sha256: Digest,
    pub media_type: String,
    pub created_at_ms: u64,
}
