//! Scratch: a file that is written once and then read, by a key that is nowhere but in memory, so that
//! what is left of it on a disk says nothing.
//!
//! Always true: each block is sealed once, by its number, with a key that seals nothing else; a block
//! that was changed or moved is not given. Absent on purpose: names, and reading while it is written.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use ring::aead::{Aad, LessSafeKey, Nonce};

use super::{NONCE_BYTES, TAG_BYTES, cipher, random};

/// How much is sealed at a time: what is held of it, and what is read to find a byte.
const BLOCK_BYTES: usize = 64 << 10;

/// A file that is being written. Dropped before it is finished, it is nothing.
pub struct Writing {
    file: File,
    key: LessSafeKey,
    block: Vec<u8>,
    blocks: u64,
}

/// A file that was written. Cheap to clone.
#[derive(Clone)]
pub struct Scratch {
    file: Arc<File>,
    key: Arc<LessSafeKey>,
    bytes: u64,
}

/// A place in it, from which it is read on.
pub struct Reading {
    scratch: Scratch,
    at: u64,
    block: Option<(u64, Vec<u8>)>,
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; NONCE_BYTES];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what was kept beside is not what was written")
}

impl Writing {
    /// Begins with an empty file.
    pub fn new(file: File) -> Self {
        let key = cipher(&random());
        Self { file, key, block: Vec::with_capacity(BLOCK_BYTES + TAG_BYTES), blocks: 0 }
    }

    /// Writes what is left; gives the file to be read.
    ///
    /// # Errors
    ///
    /// Where the disk refuses.
    pub fn finish(mut self) -> io::Result<Scratch> {
        let bytes = self.blocks * BLOCK_BYTES as u64 + self.block.len() as u64;
        self.seal()?;
        Ok(Scratch { file: Arc::new(self.file), key: Arc::new(self.key), bytes })
    }

    fn seal(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let sealed =
            self.key.seal_in_place_append_tag(nonce(self.blocks), Aad::empty(), &mut self.block);
        sealed.map_err(|_| damaged())?;
        self.file.write_all(&self.block)?;
        self.blocks += 1;
        self.block.clear();
        Ok(())
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK_BYTES - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK_BYTES {
            self.seal()?;
        }
        Ok(taken)
    }

    /// What is no whole block waits for the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Scratch {
    /// The block with this number.
    fn block(&self, number: u64) -> io::Result<Vec<u8>> {
        let first = number * BLOCK_BYTES as u64;
        let length = self.bytes.saturating_sub(first).min(BLOCK_BYTES as u64);
        let mut block = vec![0; usize::try_from(length).unwrap_or(BLOCK_BYTES) + TAG_BYTES];
        self.file.read_exact_at(&mut block, number * (BLOCK_BYTES + TAG_BYTES) as u64)?;
        let opened = self.key.open_in_place(nonce(number), Aad::empty(), &mut block);
        let length = opened.map_err(|_| damaged())?.len();
        block.truncate(length);
        Ok(block)
    }
}

impl Read for Reading {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.scratch.bytes {
            return Ok(0);
        }
        let number = self.at / BLOCK_BYTES as u64;
        if self.block.as_ref().is_none_or(|(held, _)| *held != number) {
            self.block = Some((number, self.scratch.block(number)?));
        }
        let within = usize::try_from(self.at % BLOCK_BYTES as u64).unwrap_or(BLOCK_BYTES);
        let block = self.block.as_ref().map_or(&[][..], |(_, block)| block.as_slice());
        let read = block.get(within..).unwrap_or_default().read(to)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Length for Scratch {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Scratch {
    type T = Reading;

    fn get_read(&self, start: u64) -> Result<Reading, ParquetError> {
        Ok(Reading { scratch: self.clone(), at: start, block: None })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = Vec::with_capacity(length);
        self.get_read(start)?.take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("it has fewer than {length} bytes at {start}")));
        }
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// What is read is what was written, wherever it is begun, and nothing of it is in the file.
        #[test]
        fn what_is_read_is_what_was_written(
            parts in prop::collection::vec((0..100_000_usize, any::<u8>()), 0..6),
            from: prop::sample::Index, most in 0..100_000_usize,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("kept");
            let options = || fs::OpenOptions::new();
            let file = options().read(true).write(true).create_new(true).open(&path).unwrap();
            let mut writing = Writing::new(file);
            let mut all = Vec::new();
            for (length, byte) in parts {
                let part = vec![byte; length];
                writing.write_all(&part).unwrap();
                all.extend(part);
            }
            let scratch = writing.finish().unwrap();
            prop_assert_eq!(scratch.len(), all.len() as u64);
            let from = from.index(all.len() + 1);
            let mut read = Vec::new();
            scratch.get_read(from as u64).unwrap().read_to_end(&mut read).unwrap();
            prop_assert_eq!(&read, &all[from..]);
            let length = most.min(all.len() - from);
            prop_assert_eq!(&scratch.get_bytes(from as u64, length).unwrap(), &all[from..from + length]);
            prop_assert!(scratch.get_bytes(from as u64, all.len() - from + 1).is_err());
            let mut sealed = fs::read(&path).unwrap();
            prop_assert!(!sealed.windows(24).any(|it| it.iter().all(|byte| *byte == it[0])));
            if let Some(byte) = sealed.first_mut() {
                *byte ^= 1;
                fs::write(&path, sealed).unwrap();
                prop_assert!(scratch.get_bytes(0, 1).is_err());
            }
        }
    }
}
