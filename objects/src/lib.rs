//! Objects: content-addressed, encrypted chunks in a folder or an S3-compatible store; and [`files`]
//! as they are, for other programs.
//!
//! Bytes are cut into chunks where their content says so, sealed with keys that belong to one
//! account, and written once. An object is a sealed manifest of chunks; who holds its key reads it,
//! and copying an object means handing on 32 bytes.
//! Always true: what leaves an object was verified; what is visible is whole and durable; two
//! accounts never share a blob; a blob is never changed, only removed.
//! Absent on purpose: SQL (callers keep the rows), clocks, compression, deciding what is garbage.
#![forbid(unsafe_code)]

mod aead;
pub mod blobs;
pub mod cache;
mod chunk;
pub mod chunking;
mod error;
pub mod files;
mod keys;
mod manifest;
mod reader;
mod source;
mod store;
mod temp;
mod vault;

pub use blobs::{Blobs, Options};
pub use cache::Cache;
pub use chunk::{ChunkId, ChunkRef, PlainHash};
pub use error::Error;
pub use files::Files;
pub use keys::{AccountKeys, ObjectKey, SealedKey};
pub use reader::{BlockingReader, Reader};
pub use source::ChunkSource;
pub use store::{ChunkEntry, ManifestEntry, Sealed, Store};
pub use vault::Vault;

/// How many bytes sealing adds to a chunk.
pub const SEAL_BYTES: usize = aead::TAG_BYTES;
