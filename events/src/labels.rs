//! Labels: what came of events, told later, by whoever found it out.
//!
//! They lie in a file of their own, as frames of a length, a checksum and the label, and are joined
//! to events by source and id, or by id alone, when events are selected.
//!
//! Always true: what was told is on the disk before it is acknowledged; of two labels of an event
//! the later one counts, and one of its source before one of its id alone.
//! Absent on purpose: what labels mean, and events.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event::identity;
use crate::log::GROUP_BYTES_MAX;
use crate::stream::{Stream, blocking};

/// Longest label, in bytes.
pub const LABEL_BYTES_MAX: usize = 256;
/// Most labels of a stream: about 150 MB of memory. More belong to events as an attribute `label`.
pub const LABELS_MAX: usize = 2 << 20;
/// Most different texts of them.
pub const TEXTS_MAX: usize = 1 << 16;
/// Most labels of a call.
pub const CALL_MAX: usize = 10_000;
/// The file's name, in the stream's folder.
pub(crate) const NAME: &str = "labels.log";
/// Length and checksum of a frame.
const HEAD_BYTES: usize = 8;
/// Longest body of a frame: texts as long as an event's.
const BODY_BYTES_MAX: usize = 4_096;
/// Longest id and source, in bytes; as of events.
const TEXT_BYTES_MAX: usize = 1_024;
/// A file is written anew when it has as many times the labels that count.
const WASTE_MAX: u64 = 4;
/// A file of fewer labels is not written anew.
const WASTE_MIN: u64 = 10_000;

/// What came of an event.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
pub struct Label {
    /// The event's source; empty where all events with the id are meant.
    #[prost(string, tag = "1")]
    #[serde(default)]
    pub source: String,
    /// The event's id.
    #[prost(string, tag = "2")]
    pub id: String,
    /// What came of it; empty to take back what was told.
    #[prost(string, tag = "3")]
    pub label: String,
}

/// The labels of a stream.
#[derive(Debug)]
pub(crate) struct Labels {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// It is read when it is needed first.
    Unread,
    Open(Open),
    /// The disk would not say that labels are safe.
    Broken,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// How much of the file is safe.
    bytes: u64,
    known: Arc<Known>,
}

/// What is known, by digests of sources and ids.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Two words rather than one, which would be laid out with gaps.
    by_event: HashMap<[u64; 2], u32>,
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    /// How many are of an id alone.
    of_ids: u64,
}

/// What labels of an event are kept by; of all events with an id, where the source is empty.
pub(crate) fn key(source: &str, id: &str) -> [u64; 2] {
    let digest = identity(source, id);
    [digest >> 64, digest].map(|word| u64::try_from(word & u128::from(u64::MAX)).unwrap_or(0))
}

impl Known {
    fn tell(&mut self, label: &Label) {
        let key = key(&label.source, &label.id);
        let is_of_id = label.source.is_empty();
        if label.label.is_empty() {
            let was = self.by_event.remove(&key).is_some();
            self.of_ids -= u64::from(was && is_of_id);
            return;
        }
        let number = self.numbers.get(label.label.as_str()).copied().unwrap_or_else(|| {
            let text: Arc<str> = Arc::from(label.label.as_str());
            let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
            self.numbers.insert(Arc::clone(&text), number);
            self.texts.push(text);
            number
        });
        let was = self.by_event.insert(key, number).is_some();
        self.of_ids += u64::from(!was && is_of_id);
    }

    /// What was told of an event.
    pub(crate) fn of(&self, source: &str, id: &str) -> Option<Arc<str>> {
        if self.by_event.is_empty() {
            return None;
        }
        let found = self.by_event.get(&key(source, id)).copied();
        let found = found.or_else(|| {
            let of_id = || self.by_event.get(&key("", id)).copied();
            (self.of_ids > 0).then(of_id).flatten()
        });
        found.and_then(|number| self.texts.get(number as usize).cloned())
    }
}

impl Labels {
    pub(crate) fn new(stream: &Path) -> Self {
        Self { path: stream.join(NAME), state: Mutex::new(State::Unread) }
    }

    /// What is known now.
    pub(crate) fn known(&self) -> Result<Arc<Known>, Error> {
        let mut state = self.state.lock();
        if matches!(*state, State::Unread) && !self.path.exists() {
            return Ok(Arc::default());
        }
        Ok(Arc::clone(&self.opened(&mut state)?.known))
    }

    fn opened<'a>(&self, state: &'a mut State) -> Result<&'a mut Open, Error> {
        if matches!(state, State::Unread) {
            *state = State::Open(Open::new(&self.path)?);
        }
        match state {
            State::Open(open) => Ok(open),
            State::Unread | State::Broken => Err(Error::Broken),
        }
    }

    /// Writes labels, and returns once they are on the disk.
    fn append(&self, labels: &[Label]) -> Result<(), Error> {
        let mut state = self.state.lock();
        let open = self.opened(&mut state)?;
        let texts = labels.iter().map(|label| label.label.as_str());
        let fresh: HashSet<&str> =
            texts.filter(|it| !open.known.numbers.contains_key(*it)).collect();
        let (count, texts) = (open.known.by_event.len(), open.known.texts.len());
        if count + labels.len() > LABELS_MAX || texts + fresh.len() > TEXTS_MAX {
            let message = format!(
                "a stream has at most {LABELS_MAX} labels, of {TEXTS_MAX} different texts: give events \
                 the attribute `label` as they are appended"
            );
            return Err(Error::Label { message });
        }
        let mut frames = Vec::new();
        for label in labels {
            write(&mut frames, label);
        }
        let written = open.file.seek(SeekFrom::Start(open.bytes));
        let written = written.and_then(|_| open.file.write_all(&frames));
        if let Err(error) = written.and_then(|()| open.file.sync_data()) {
            // Some may be there or not: only opening the stream again tells.
            *state = State::Broken;
            return Err(Error::io("write", &self.path)(error));
        }
        open.bytes += frames.len() as u64;
        let known = Arc::make_mut(&mut open.known);
        for label in labels {
            known.tell(label);
        }
        Ok(())
    }

    /// Removes what was told of these events, also in the file.
    pub(crate) fn forget(&self, events: &HashSet<[u64; 2]>) -> Result<(), Error> {
        let mut state = self.state.lock();
        if events.is_empty() || !self.path.exists() {
            return Ok(());
        }
        self.opened(&mut state)?;
        *state = State::Unread;
        rewrite(&self.path, |label| !events.contains(&key(&label.source, &label.id)))
    }
}

impl Open {
    fn new(path: &Path) -> Result<Self, Error> {
        let (mut known, mut written) = (Known::default(), 0_u64);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(Error::io("open", path))?;
        let bytes = scan(path, |label| {
            written += 1;
            known.tell(&label);
        })?;
        file.set_len(bytes).and_then(|()| file.sync_all()).map_err(Error::io("cut", path))?;
        if written < WASTE_MIN || written / WASTE_MAX < known.by_event.len() as u64 {
            return Ok(Self { file, bytes, known: Arc::new(known) });
        }
        // Only the last one of each event counts.
        let mut last: HashMap<[u64; 2], u64> = HashMap::new();
        let mut number = 0;
        scan(path, |label| {
            last.insert(key(&label.source, &label.id), number);
            number += 1;
        })?;
        number = 0;
        rewrite(path, |label| {
            number += 1;
            !label.label.is_empty() && last[&key(&label.source, &label.id)] == number - 1
        })?;
        Self::new(path)
    }
}

/// Writes a label's frame.
fn write(to: &mut Vec<u8>, label: &Label) {
    let body = label.encode_to_vec();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    to.extend_from_slice(&body);
}

/// Hands over every label of a file; gives the bytes that are good.
fn scan(path: &Path, mut each: impl FnMut(Label)) -> Result<u64, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let length = file.metadata().map_err(Error::io("look at", path))?.len();
    let (mut file, mut good) = (BufReader::new(file), 0);
    let (mut head, mut body) = ([0; HEAD_BYTES], Vec::new());
    loop {
        let read = file.read_exact(&mut head).and_then(|()| {
            let [a, b, c, d, ..] = head;
            let length = u32::from_le_bytes([a, b, c, d]) as usize;
            body.resize(length.min(BODY_BYTES_MAX + 1), 0);
            file.read_exact(&mut body)
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            read => read.map_err(Error::io("read", path))?,
        }
        let [_, _, _, _, sum @ ..] = head;
        let is_whole = crc32fast::hash(&body) == u32::from_le_bytes(sum);
        let Some(label) = is_whole.then(|| Label::decode(body.as_slice()).ok()).flatten() else {
            break;
        };
        good += (HEAD_BYTES + body.len()) as u64;
        each(label);
    }
    // What a crash leaves is at most what was being written.
    if length - good > GROUP_BYTES_MAX as u64 {
        return Err(Error::Damaged { path: path.to_path_buf(), offset: good });
    }
    Ok(good)
}

/// Replaces a file by one that has only these labels.
fn rewrite(path: &Path, mut keep: impl FnMut(&Label) -> bool) -> Result<(), Error> {
    let unfinished = path.with_extension("unfinished");
    let file = File::create(&unfinished).map_err(Error::io("make", &unfinished))?;
    let (mut file, mut frame, mut failed) = (BufWriter::new(file), Vec::new(), None);
    scan(path, |label| {
        if failed.is_none() && keep(&label) {
            frame.clear();
            write(&mut frame, &label);
            failed = file.write_all(&frame).err();
        }
    })?;
    let written = failed.map_or_else(|| file.flush(), Err);
    let written = written.and_then(|()| file.get_ref().sync_all());
    written.map_err(Error::io("write", &unfinished))?;
    fs::rename(&unfinished, path).map_err(Error::io("rename", &unfinished))?;
    let folder = path.parent().unwrap_or(path);
    File::open(folder).and_then(|it| it.sync_all()).map_err(Error::io("sync", folder))
}

/// What is wrong with a label, and what to do.
fn fault(label: &Label) -> Option<String> {
    if label.id.is_empty() {
        return Some("it names no event: give the event's id".to_owned());
    }
    let texts = [
        ("id", &label.id, TEXT_BYTES_MAX),
        ("source", &label.source, TEXT_BYTES_MAX),
        ("label", &label.label, LABEL_BYTES_MAX),
    ];
    let (name, text, most) = texts.into_iter().find(|(_, text, most)| text.len() > *most)?;
    Some(format!("its {name} has {} bytes; use at most {most}", text.len()))
}

impl Stream {
    /// Tells what came of events; returns once it is safe. Labels may come before their events.
    ///
    /// # Errors
    ///
    /// [`Error::Label`] where one of them cannot be meant or they are too many, [`Error::Io`],
    /// [`Error::Broken`]. None of them counts then, or may after the stream is opened again.
    pub async fn label(&self, labels: Vec<Label>) -> Result<(), Error> {
        let count = labels.len();
        let mut bytes = 0;
        for (place, label) in labels.iter().enumerate() {
            bytes += HEAD_BYTES + label.encoded_len();
            let message = match fault(label) {
                Some(message) => message,
                None if count > CALL_MAX || bytes > GROUP_BYTES_MAX => {
                    format!("send at most {CALL_MAX} labels and {GROUP_BYTES_MAX} bytes at a time")
                }
                None => continue,
            };
            let message = format!("label {} of {count}: {message}", place + 1);
            return Err(Error::Label { message });
        }
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.labels.append(&labels)).await
    }
}

#[cfg(test)]
mod tests;
