//! The log of a stream: files of frames, named by the sequence number of their first event.
//!
//! Always true: what [`Log::commit`] has returned for is on the disk; what it has failed for is not
//! read back; a tail that was being written when the power went is cut off when the log is opened,
//! and nothing that was acknowledged is in it. Numbers begin with 1 and have no gaps.
//! Absent on purpose: locks; a log has one writer, and its readers stop at what is committed.

mod reader;

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::event::Event;
use crate::frame::{FRAME_BYTES_MAX, Form, Read};
use crate::key::file::{self, FileKey};
use crate::key::{Folder, Key};
use crate::segment::Manifest;

pub use reader::Reader;

/// Largest file before the next one begins: small enough to be removed by and by, large enough that
/// a day of a busy stream is some hundred files.
pub const FILE_BYTES_MAX: u64 = 64 << 20;
/// Most bytes that are committed at once, so that whoever waits does not wait for long; also how much
/// of a file's end may be unreadable after the power went.
pub const GROUP_BYTES_MAX: usize = 4 << 20;
/// Most events of a file: what is not sealed yet is sorted in memory by whoever selects of it.
pub const FILE_EVENTS_MAX: u64 = 256 * 1024;
/// The same where frames are sealed: the shortest frame becomes less than twice as long.
const SEALED_GROUP_BYTES_MAX: u64 = 2 * GROUP_BYTES_MAX as u64;
/// What files end with.
const SUFFIX: &str = "log";

/// An event that was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its number in the stream.
    pub sequence: u64,
    /// When it was accepted, in Unix microseconds.
    pub accepted_us: u64,
    /// The event.
    pub event: Event,
}

/// A file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    /// The number of its first event.
    pub(crate) first: u64,
}

impl Part {
    /// Opens the file to be read from its first frame on.
    pub(crate) fn open(&self, key: Option<&Key>) -> Result<(File, Form), Error> {
        let path = &self.path;
        let file = File::open(path).map_err(Error::io("open", path))?;
        if let Some(key) = key {
            let own = FileKey::read(key, &what(self.first), (&file, path))?;
            return Ok((file, Form::Sealed(own)));
        }
        let mut head = [0; file::HEAD_BYTES];
        let read = file.read_at(&mut head, 0).map_err(Error::io("read", path))?;
        // It would be taken for torn, and be cut off.
        if file::is_encrypted(&head[..read]) {
            let problem = "it is encrypted, and its stream has no key";
            return Err(Error::Key { path: path.clone(), problem });
        }
        Ok((file, Form::Plain))
    }
}

/// What a file is, as its head proves it.
fn what(first: u64) -> String {
    format!("log {first}")
}

/// The files in a folder, the oldest first.
pub(crate) fn parts(folder: &Path) -> Result<Vec<Part>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
    let mut parts = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let first = stem.and_then(|stem| stem.parse().ok());
        if let Some(first) = first.filter(|_| path.extension().is_some_and(|it| it == SUFFIX)) {
            parts.push(Part { path, first });
        }
    }
    parts.sort_by_key(|part| part.first);
    Ok(parts)
}

/// Where events are appended.
#[derive(Debug)]
pub struct Log {
    folder: Folder,
    part: Part,
    file: File,
    form: Form,
    /// How much of the file is committed.
    bytes: u64,
    /// The number of the next event.
    next: u64,
    file_bytes_max: u64,
    /// Whether the disk once did not say that what was written is safe.
    broken: bool,
}

impl Log {
    /// Opens the log in this folder, or begins one, and cuts off what was being written when it was
    /// last left. Hands over every event that was accepted at this time or later.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] where what was committed cannot be read, [`Error::Key`] where it is of
    /// another key, [`Error::Io`]. Nothing was changed then.
    pub fn open(
        folder: impl Into<Folder>,
        since_us: u64,
        each: impl FnMut(&Stored),
    ) -> Result<Self, Error> {
        let folder = folder.into();
        fs::create_dir_all(&folder.path).map_err(Error::io("make", &folder.path))?;
        let sealed_until = Manifest::open(&folder)?.sealed_until;
        let log = Self::open_from(&folder, since_us, each, sealed_until)?;
        // A log that was lost must not give numbers anew.
        if log.next < sealed_until { Self::begin(&folder, sealed_until) } else { Ok(log) }
    }

    fn open_from(
        folder: &Folder,
        since_us: u64,
        mut each: impl FnMut(&Stored),
        sealed_until: u64,
    ) -> Result<Self, Error> {
        let parts = parts(&folder.path)?;
        let key = folder.key.as_ref();
        let Some((last, earlier)) = parts.split_last() else {
            return Self::begin(folder, sealed_until);
        };
        // What is accepted later lies later: a file counts from where the next one begins too early.
        let firsts: Vec<Option<u64>> =
            parts.iter().map(|part| first_us(part, key)).collect::<Result<_, _>>()?;
        for ((part, following), next_us) in earlier.iter().zip(&parts[1..]).zip(&firsts[1..]) {
            if next_us.is_some_and(|next_us| next_us < since_us) {
                continue;
            }
            let (_, offset, next) = scan((part, key), false, |stored| each(stored))?;
            if are_missing(next, following, sealed_until) {
                return Err(Error::Damaged { path: part.path.clone(), offset });
            }
        }
        let (form, bytes, next) = scan((last, key), true, each)?;
        let file = OpenOptions::new().write(true).open(&last.path);
        let file = file.map_err(Error::io("open", &last.path))?;
        let length = file.metadata().map_err(Error::io("look at", &last.path))?.len();
        if length > bytes {
            tracing::info!(
                path = %last.path.display(), bytes = length - bytes,
                "cut off what was being written when this log was last left"
            );
            file.set_len(bytes).map_err(Error::io("cut", &last.path))?;
            file.sync_all().map_err(Error::io("sync", &last.path))?;
        }
        Ok(Self::over(folder, last.clone(), (file, form), (bytes, next)))
    }

    fn begin(folder: &Folder, first: u64) -> Result<Self, Error> {
        let part = Part { path: folder.path.join(format!("{first:020}.{SUFFIX}")), first };
        let begun = Self::made(folder, &part);
        if begun.is_err() {
            // Whoever lists the folder would take the file before it for one that is full.
            let _ = fs::remove_file(&part.path);
        }
        let (file, form, bytes) = begun?;
        Ok(Self::over(folder, part, (file, form), (bytes, first)))
    }

    fn made(folder: &Folder, part: &Part) -> Result<(File, Form, u64), Error> {
        let path = &part.path;
        if let Some(key) = &folder.key {
            let (file, own) = FileKey::make(key, &what(part.first), path)?;
            return Ok((file, Form::Sealed(own), file::HEAD_BYTES as u64));
        }
        let file = File::create(path).map_err(Error::io("make", path))?;
        file.sync_all().map_err(Error::io("sync", path))?;
        // Its name must outlive the power too.
        let names = File::open(&folder.path).and_then(|folder| folder.sync_all());
        names.map_err(Error::io("sync", &folder.path))?;
        Ok((file, Form::Plain, 0))
    }

    fn over(
        folder: &Folder,
        part: Part,
        (file, form): (File, Form),
        (bytes, next): (u64, u64),
    ) -> Self {
        let (folder, file_bytes_max, broken) = (folder.clone(), FILE_BYTES_MAX, false);
        Self { folder, part, file, form, bytes, next, file_bytes_max, broken }
    }

    /// The number of the next event.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The number of the first event of the file that is being written: lower ones may be sealed.
    pub(crate) fn begun(&self) -> u64 {
        self.part.first
    }

    /// Begins the next file, so that everything until now may be sealed.
    pub(crate) fn roll(&mut self) -> Result<(), Error> {
        if self.broken {
            return Err(Error::Broken);
        }
        if self.next == self.part.first {
            return Ok(());
        }
        let begun = Self::begin(&self.folder, self.next);
        let path = self.folder.path.join(format!("{:020}.{SUFFIX}", self.next));
        let folder = &self.folder.path;
        let is_gone = || {
            // Its name could come back with the power.
            let names = File::open(folder).and_then(|folder| folder.sync_all());
            path.symlink_metadata().is_err() && names.is_ok()
        };
        // What is left there cannot be told from a file that was begun: what came after would lie in
        // one that is taken for full, and would be removed with it.
        self.broken = begun.is_err() && !is_gone();
        let next = begun?;
        *self = Self { file_bytes_max: self.file_bytes_max, ..next };
        Ok(())
    }

    /// Writes events accepted now, and returns once they are on the disk; gives the number of the
    /// first. Together they should have at most [`GROUP_BYTES_MAX`] bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and nothing of them is kept; [`Error::Broken`] once the disk has not said that
    /// what was written is safe: it may be or not, and only opening the log again tells.
    pub fn commit<'a>(
        &mut self,
        events: impl IntoIterator<Item = &'a Event>,
        accepted_us: u64,
    ) -> Result<u64, Error> {
        if self.broken {
            return Err(Error::Broken);
        }
        let events: Vec<&Event> = events.into_iter().collect();
        let mut frames = self.frames(&events, accepted_us);
        let count = events.len() as u64;
        let file_events = self.next - self.part.first;
        let bytes = self.bytes + frames.len() as u64;
        if bytes > self.file_bytes_max || file_events + count > FILE_EVENTS_MAX {
            self.roll()?;
            // The next file has another key.
            if let Form::Sealed(_) = self.form {
                frames = self.frames(&events, accepted_us);
            }
        }
        let length = frames.len() as u64;
        let path = &self.part.path;
        let written = self.file.seek(SeekFrom::Start(self.bytes));
        if let Err(error) = written.and_then(|_| self.file.write_all(&frames)) {
            // A part of them may be there; the next ones are written over it.
            let cut = self.file.set_len(self.bytes);
            self.broken = cut.is_err();
            return Err(Error::io("write", path)(error));
        }
        if let Err(error) = self.file.sync_data() {
            // The kernel forgets what it could not write: asking again would say that all is well.
            self.broken = true;
            return Err(Error::io("sync", path)(error));
        }
        let first = self.next;
        self.bytes += length;
        self.next += count;
        Ok(first)
    }

    /// The frames of events that come next.
    fn frames(&self, events: &[&Event], accepted_us: u64) -> Vec<u8> {
        let mut frames = Vec::new();
        for (number, event) in (self.next..).zip(events) {
            self.form.write(&mut frames, event, (accepted_us, number));
        }
        frames
    }
}

/// Whether events lack between the next number after a file's and the file that follows it. After a log
/// was lost, the next one began with the first number that was not sealed.
fn are_missing(next: u64, following: &Part, sealed_until: u64) -> bool {
    next < following.first && following.first > sealed_until
}

/// When the first event of a file was accepted; none where there is none.
pub(crate) fn first_us(part: &Part, key: Option<&Key>) -> Result<Option<u64>, Error> {
    let (file, form) = part.open(key)?;
    let mut head = Vec::new();
    let read = file.take(FRAME_BYTES_MAX as u64).read_to_end(&mut head);
    read.map_err(Error::io("read", &part.path))?;
    match form.read(&head, part.first) {
        Read::Frame { accepted_us, .. } => Ok(Some(accepted_us)),
        Read::Part | Read::Bad => Ok(None),
    }
}

/// Hands over all events of a file; gives the bytes that are good, and the number of the next event.
fn scan(
    (part, key): (&Part, Option<&Key>),
    is_last: bool,
    mut each: impl FnMut(&Stored),
) -> Result<(Form, u64, u64), Error> {
    let path = &part.path;
    let (mut file, form) = part.open(key)?;
    let length = file.metadata().map_err(Error::io("look at", path))?.len();
    let (head, torn_max) = match form {
        Form::Plain => (0, GROUP_BYTES_MAX as u64),
        Form::Sealed(_) => (file::HEAD_BYTES as u64, SEALED_GROUP_BYTES_MAX),
    };
    let (mut buffer, mut from, mut good, mut next) = (Vec::new(), 0, head, part.first);
    loop {
        match form.read(&buffer[from..], next) {
            Read::Frame { event, accepted_us, bytes } => {
                each(&Stored { sequence: next, accepted_us, event });
                from += bytes;
                good += bytes as u64;
                next += 1;
                continue;
            }
            Read::Bad => break,
            Read::Part => {}
        }
        buffer.drain(..from);
        from = 0;
        let more = (&mut file).take(FRAME_BYTES_MAX as u64).read_to_end(&mut buffer);
        if more.map_err(Error::io("read", path))? == 0 {
            break;
        }
    }
    let left = length - good;
    // More than one commit's bytes, or in a file that has a successor: they had been acknowledged.
    if left > 0 && (!is_last || left > torn_max) {
        return Err(Error::Damaged { path: path.clone(), offset: good });
    }
    Ok((form, good, next))
}

#[cfg(test)]
pub(crate) mod tests;
