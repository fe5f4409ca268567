//! Chunking: where a stream of bytes is cut, decided by its content alone.
//!
//! `FastCDC` of 2020 with normalisation level 1, so that an insertion moves the cuts near it and no
//! others, and two versions of a file share most of their chunks. The parameters are a promise:
//! clients that upload by chunks cut with the same ones.
//!
//! Always true: the cuts do not depend on how the bytes arrive; every chunk but an object's last
//! has at least [`BYTES_MIN`] bytes, and none has more than [`BYTES_MAX`].

use std::fmt;

use bytes::BytesMut;
use fastcdc::v2020::{Normalization, cut, select_masks};

/// Smallest chunk, except the last of an object.
pub const BYTES_MIN: usize = 128 * 1024;
/// The size chunks gather around.
pub const BYTES_AVERAGE: usize = 512 * 1024;
/// Largest chunk.
pub const BYTES_MAX: usize = 2 * 1024 * 1024;

/// How much is allocated at once. Chunks are cut from it without copying, and what is left at its
/// end is copied into the next. It lives as long as any chunk of it: larger, and little would be
/// copied but much kept alive; smaller, and the largest chunk would hardly fit.
const REGION_BYTES: usize = 2 * BYTES_MAX;

/// Cuts bytes into chunks as they arrive.
pub struct Chunker {
    buffer: BytesMut,
    mask_short: u64,
    mask_long: u64,
}

impl Chunker {
    /// A chunker at the start of an object.
    pub fn new() -> Self {
        let (mask_short, mask_long) = select_masks(BYTES_AVERAGE, Normalization::Level1);
        Self { buffer: BytesMut::new(), mask_short, mask_long }
    }

    /// Takes in the next bytes. Drain [`Chunker::next_chunk`] after every few of these.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.buffer.capacity() - self.buffer.len() < bytes.len() {
            let wanted = REGION_BYTES.max(self.buffer.len() + bytes.len());
            let mut region = BytesMut::with_capacity(wanted);
            region.extend_from_slice(&self.buffer);
            self.buffer = region;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next chunk whose end is certain, or none until more bytes are pushed.
    pub fn next_chunk(&mut self) -> Option<BytesMut> {
        (self.buffer.len() >= BYTES_MAX).then(|| self.cut())
    }

    /// The next chunk after the last byte was pushed, or none at the end of the object.
    pub fn last_chunk(&mut self) -> Option<BytesMut> {
        (!self.buffer.is_empty()).then(|| self.cut())
    }

    fn cut(&mut self) -> BytesMut {
        let (short, long) = (self.mask_short, self.mask_long);
        let (min, average, max) = (BYTES_MIN, BYTES_AVERAGE, BYTES_MAX);
        let (_, length) = cut(&self.buffer, min, average, max, short, long, short << 1, long << 1);
        self.buffer.split_to(length)
    }
}

impl Default for Chunker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Chunker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunker").field("waiting_bytes", &self.buffer.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
