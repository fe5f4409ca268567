//! Reading a log, by whoever wants to, each from a place of its own.
//!
//! Always true: events come in the order of their numbers, also those that were sealed meanwhile; of
//! these, those that were sealed together are held until they are read.
//! Absent on purpose: order by time; see `select`.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::{Part, Stored, are_missing, parts};
use crate::error::Error;
use crate::frame::{self, FRAME_BYTES_MAX, Form, Read};
use crate::key::{Folder, Key};
use crate::packed::Packed;
use crate::segment::{self, Manifest};

/// What is read of a file at a time.
const READ_BYTES: u64 = 1 << 20;
/// How often segments that are removed meanwhile are looked for: more often, they are missing.
const TRIES_MAX: u32 = 8;

/// A place in a stream, from which events are read in their order. Production's consumers and tests
/// have readers of their own, and none moves another.
#[derive(Debug)]
pub struct Reader {
    folder: Folder,
    /// The number of the next event to be given.
    next: u64,
    open: Option<Open>,
    sealed: Option<Sealed>,
}

/// What was sealed before it was read.
#[derive(Debug)]
struct Sealed {
    events: Packed,
    /// The place of the next one.
    at: usize,
    /// The number of the event after them.
    until: u64,
}

/// The file that is being read.
#[derive(Debug)]
struct Open {
    part: Part,
    file: File,
    form: Form,
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
    pub fn new(folder: impl Into<Folder>, from: u64) -> Self {
        Self { folder: folder.into(), next: from.max(1), open: None, sealed: None }
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
            if self.sealed.is_some() {
                self.take_sealed(until, most, &mut events);
                // What was sealed comes alone.
                if events.is_empty() {
                    continue;
                }
                break;
            }
            let Some(open) = self.opened()? else {
                if self.sealed.is_some() && events.is_empty() {
                    continue;
                }
                break;
            };
            if open.at >= open.committed {
                open.forget()?;
                open.committed = until;
            }
            match open.form.read(&open.buffer[open.from..], open.at) {
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

    /// The file with the next event; none where that was sealed, or where there is nothing.
    fn opened(&mut self) -> Result<Option<&mut Open>, Error> {
        while self.open.is_none() {
            let parts = parts(&self.folder.path)?;
            let (Some(oldest), place) =
                (parts.first(), parts.iter().rposition(|part| part.first <= self.next))
            else {
                return Ok(None);
            };
            if let Some(place) = place {
                self.open = Open::new(parts[place].clone(), self.folder.key.as_ref())?;
                continue;
            }
            self.next = self.find_sealed()?.unwrap_or(oldest.first);
            if self.sealed.is_some() {
                return Ok(None);
            }
        }
        Ok(self.open.as_mut())
    }

    /// Goes on with the next file.
    fn follow(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let following =
            parts(&self.folder.path)?.into_iter().find(|part| part.first > open.part.first);
        if let Some(part) = following.as_ref().filter(|part| part.first == open.at) {
            self.open = Open::new(part.clone(), self.folder.key.as_ref())?;
        }
        if self.open.is_some() {
            return Ok(());
        }
        // It was sealed since, and then removed.
        if let Some(next) = self.find_sealed()? {
            self.next = next;
            return Ok(());
        }
        let sealed_until = Manifest::read(&self.folder.path)?.sealed_until;
        let is_next = |part: &Part| !are_missing(open.at, part, sealed_until);
        let Some(part) = following.filter(is_next) else {
            let path = open.part.path.clone();
            return Err(Error::Damaged { path, offset: open.offset()? });
        };
        self.next = self.next.max(part.first);
        self.open = Open::new(part, self.folder.key.as_ref())?;
        Ok(())
    }

    /// Fetches the events that were sealed with the next one. Gives the number of the next event that
    /// there is; none where it is not sealed.
    fn find_sealed(&mut self) -> Result<Option<u64>, Error> {
        let mut tries = 0;
        loop {
            let manifest = Manifest::read(&self.folder.path)?;
            if self.next >= manifest.sealed_until {
                return Ok(None);
            }
            let batch = manifest.batch_from(self.next);
            let Some(first) = batch.first() else { return Ok(Some(manifest.sealed_until)) };
            let until = first.batch_last + 1;
            tries += 1;
            let mut events = match segment::read::from(&self.folder, &batch, self.next) {
                Ok(events) => events,
                // Removed since: the manifest says so by now.
                Err(Error::Io { source, .. })
                    if source.kind() == io::ErrorKind::NotFound && tries < TRIES_MAX =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            events.by_number();
            self.sealed = Some(Sealed { events, at: 0, until });
            return Ok(Some(self.next));
        }
    }

    /// Gives of what was sealed, until about a mebibyte.
    fn take_sealed(&mut self, until: u64, most: usize, events: &mut Vec<Stored>) {
        let Some(sealed) = &mut self.sealed else { return };
        let mut bytes = 0;
        while events.len() < most && bytes < READ_BYTES {
            match sealed.events.sequence(sealed.at) {
                Some(sequence) if sequence < until => {}
                Some(_) => {
                    // Numbers may be missing where events were removed.
                    self.next = until;
                    return;
                }
                None => {
                    self.next = self.next.max(sealed.until.min(until));
                    if self.next == sealed.until {
                        self.sealed = None;
                    }
                    return;
                }
            }
            let Some(stored) = sealed.events.get(sealed.at) else { return };
            sealed.at += 1;
            bytes += frame::length(&stored.event) as u64;
            self.next = stored.sequence + 1;
            events.push(stored);
        }
    }
}

impl Open {
    /// None where the file is not there any more.
    fn new(part: Part, key: Option<&Key>) -> Result<Option<Self>, Error> {
        let (file, form) = match part.open(key) {
            Ok(opened) => opened,
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let (at, buffer) = (part.first, Vec::new());
        Ok(Some(Self { at, part, file, form, buffer, from: 0, committed: 0 }))
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
