//! Reading a log, by whoever wants to, each from a place of its own.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use super::{Part, Stored, parts};
use crate::error::Error;
use crate::frame::{self, FRAME_BYTES_MAX, Read};

/// What is read of a file at a time.
const READ_BYTES: u64 = 1 << 20;

/// A place in a stream, from which events are read in their order. Production's consumers and tests
/// have readers of their own, and none moves another.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    /// The number of the next event to be given.
    next: u64,
    open: Option<Open>,
}

/// The file that is being read.
#[derive(Debug)]
struct Open {
    part: Part,
    file: File,
    /// What was read and not given.
    buffer: Vec<u8>,
    from: usize,
    /// The number of the event at `from`.
    at: u64,
    /// What was committed when the buffer was read: what lies behind may be written anew.
    committed: u64,
}

impl Reader {
    /// Reads the log in this folder from the event with this number; from the oldest that is kept
    /// where that is later.
    pub fn new(folder: impl Into<PathBuf>, from: u64) -> Self {
        Self { folder: folder.into(), next: from.max(1), open: None }
    }

    /// The number of the next event to be given.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The next events, of those with numbers below `until`: as many as are found in about one
    /// mebibyte, and `most` at most. None where there are no more.
    ///
    /// Not below what is committed (see [`crate::Stream::committed`]), it may read what is being
    /// written.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`], [`Error::Io`].
    pub fn read(&mut self, until: u64, most: usize) -> Result<Vec<Stored>, Error> {
        let mut events = Vec::new();
        while self.next < until && events.len() < most {
            let Some(open) = self.opened()? else { break };
            if open.at >= open.committed {
                open.forget()?;
                open.committed = until;
            }
            match frame::read(&open.buffer[open.from..]) {
                Read::Frame { event, accepted_us, bytes } => {
                    let sequence = open.at;
                    open.from += bytes;
                    open.at += 1;
                    if sequence >= self.next {
                        self.next = sequence + 1;
                        events.push(Stored { sequence, accepted_us, event });
                    }
                }
                Read::Part => {
                    // What there is first; the rest when it is asked for.
                    if !events.is_empty() {
                        break;
                    }
                    open.committed = until;
                    if !open.more()? {
                        self.follow()?;
                    }
                }
                Read::Bad => {
                    let path = open.part.path.clone();
                    return Err(Error::Damaged { path, offset: open.offset()? });
                }
            }
        }
        Ok(events)
    }

    /// The file with the next event.
    fn opened(&mut self) -> Result<Option<&mut Open>, Error> {
        if self.open.is_none() {
            let parts = parts(&self.folder)?;
            let place = parts.iter().rposition(|part| part.first <= self.next).unwrap_or(0);
            let Some(part) = parts.into_iter().nth(place) else { return Ok(None) };
            self.open = Some(Open::new(part)?);
        }
        Ok(self.open.as_mut())
    }

    /// Goes on with the next file.
    fn follow(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let following = parts(&self.folder)?.into_iter().find(|part| part.first > open.part.first);
        let Some(part) = following else {
            let path = open.part.path.clone();
            return Err(Error::Damaged { path, offset: open.offset()? });
        };
        // Between the two, files may have been removed.
        self.next = self.next.max(part.first);
        self.open = Some(Open::new(part)?);
        Ok(())
    }
}

impl Open {
    fn new(part: Part) -> Result<Self, Error> {
        let file = File::open(&part.path).map_err(Error::io("open", &part.path))?;
        Ok(Self { at: part.first, part, file, buffer: Vec::new(), from: 0, committed: 0 })
    }

    /// Reads on; false at the end.
    fn more(&mut self) -> Result<bool, Error> {
        self.buffer.drain(..self.from);
        self.from = 0;
        let most = READ_BYTES.max(FRAME_BYTES_MAX as u64);
        let read = (&mut self.file).take(most).read_to_end(&mut self.buffer);
        Ok(read.map_err(Error::io("read", &self.part.path))? > 0)
    }

    /// Forgets what was read and not given.
    fn forget(&mut self) -> Result<(), Error> {
        let offset = self.offset()?;
        let sought = self.file.seek(SeekFrom::Start(offset));
        sought.map_err(Error::io("look at", &self.part.path))?;
        self.buffer.clear();
        self.from = 0;
        Ok(())
    }

    /// Where in the file what could not be read begins.
    fn offset(&self) -> Result<u64, Error> {
        let position = (&self.file).stream_position();
        let position = position.map_err(Error::io("look at", &self.part.path))?;
        Ok(position - (self.buffer.len() - self.from) as u64)
    }
}
