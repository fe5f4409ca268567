//! Chunks: where a stream of bytes is cut, the same in the client and in the store.
//!
//! `FastCDC` of 2020 with normalisation level 1 and no seed, between the sizes that
//! [`crate::objects`] names. Cuts depend on content only, so a change moves few of them.
//! Always true: chunks in order are the stream; memory is one chunk and one buffer of 2 MiB each.
//! Absent on purpose: encryption, storage.

#[cfg(test)]
mod tests;

use std::io::{self, Read};

use bytes::Bytes;
use fastcdc::v2020::{Normalization, StreamCDC};

use types::Digest;

use crate::objects::{CHUNK_BYTES_AVERAGE, CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, Chunk};

/// The normalisation level of the cut.
pub const NORMALIZATION: Normalization = Normalization::Level1;

/// A chunk, where it lies, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub chunk: Chunk,
    /// Where it starts in the stream.
    pub offset: u64,
    pub data: Bytes,
}

/// Cuts what is read into chunks, as it is read.
///
/// # Errors
///
/// An item is an error when reading fails; nothing comes after it.
pub fn cut(source: impl Read) -> impl Iterator<Item = io::Result<Cut>> {
    let stream = StreamCDC::with_level(
        source,
        CHUNK_BYTES_MIN as usize,
        CHUNK_BYTES_AVERAGE as usize,
        CHUNK_BYTES_MAX as usize,
        NORMALIZATION,
    );
    stream.map(|found| {
        let found = found.map_err(io::Error::from)?;
        let chunk = name(&found.data);
        Ok(Cut { chunk, offset: found.offset, data: Bytes::from(found.data) })
    })
}

/// The name of a chunk with these bytes.
///
/// # Panics
///
/// When there are 4 GiB or more; a chunk has at most 2 MiB.
pub fn name(data: &[u8]) -> Chunk {
    let bytes = u32::try_from(data.len()).expect("a chunk is far smaller than 4 GiB");
    Chunk { hash: Digest(*blake3::hash(data).as_bytes()), bytes }
}

/// Appends a chunk to a body of `POST /v1/objects/chunks`: its length in four little-endian
/// bytes, then its bytes.
pub fn append(body: &mut Vec<u8>, data: &[u8]) {
    body.extend_from_slice(&name_length(data).to_le_bytes());
    body.extend_from_slice(data);
}

/// Takes a body of chunks apart; none where it is malformed or a chunk is empty or too large.
pub fn split(mut body: Bytes) -> Option<Vec<Bytes>> {
    let mut found = Vec::new();
    while !body.is_empty() {
        let head: [u8; 4] = body.get(..4)?.try_into().ok()?;
        let length = u32::from_le_bytes(head);
        if length == 0 || length > CHUNK_BYTES_MAX {
            return None;
        }
        let end = 4 + length as usize;
        if body.len() < end {
            return None;
        }
        let mut chunk = body.split_to(end);
        found.push(chunk.split_off(4));
    }
    Some(found)
}

fn name_length(data: &[u8]) -> u32 {
    u32::try_from(data.len()).expect("a chunk is far smaller than 4 GiB")
}
