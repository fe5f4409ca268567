//! Labels: what came of events, told later, by whoever found it out.
//!
//! They lie in a file of their own, as frames of a length, a checksum and the label (sealed, where the
//! stream is encrypted), and are joined to events by source and id, or by id alone, when events are
//! selected.
//!
//! Always true: what was told is on the disk before it is acknowledged; of two labels of an event
//! the later one counts, and one of its source before one of its id alone.
//! Absent on purpose: what labels mean, and events.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event::identity;
use crate::key::file::{self, FileKey, Opened};
use crate::key::{Folder, Key};
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
/// What the file is, as its head proves it where it is encrypted.
const WHAT: &str = "labels";
/// Length and checksum of a frame.
const HEAD_BYTES: usize = 8;
/// The length alone, which all frames begin with.
const LENGTH_BYTES: usize = 4;
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
    key: Option<Key>,
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
    /// The file's own key, where it is encrypted.
    own: Option<FileKey>,
    /// How much of the file is safe, and how many labels that is.
    bytes: u64,
    written: u64,
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
    pub(crate) fn new(stream: impl Into<Folder>) -> Self {
        let Folder { path, key } = stream.into().within(NAME);
        Self { path, key, state: Mutex::new(State::Unread) }
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
            *state = State::Open(Open::new(&self.path, self.key.as_ref())?);
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
        let keys = labels.iter().map(|label| key(&label.source, &label.id));
        let unknown: HashSet<[u64; 2]> =
            keys.filter(|it| !open.known.by_event.contains_key(it)).collect();
        if count + unknown.len() > LABELS_MAX || texts + fresh.len() > TEXTS_MAX {
            let message = format!(
                "a stream has at most {LABELS_MAX} labels, of {TEXTS_MAX} different texts: give events \
                 the attribute `label` as they are appended"
            );
            return Err(Error::Label { message });
        }
        let mut frames = Vec::new();
        for (number, label) in (open.written..).zip(labels) {
            write(&mut frames, label, (open.own.as_ref(), number));
        }
        let written = open.file.seek(SeekFrom::Start(open.bytes));
        if let Err(error) = written.and_then(|_| open.file.write_all(&frames)) {
            // A part of them may be there; the next ones are written over it.
            if open.file.set_len(open.bytes).is_err() {
                *state = State::Broken;
            }
            return Err(Error::io("write", &self.path)(error));
        }
        if let Err(error) = open.file.sync_data() {
            // Some may be there or not: only opening the stream again tells.
            *state = State::Broken;
            return Err(Error::io("sync", &self.path)(error));
        }
        open.bytes += frames.len() as u64;
        open.written += labels.len() as u64;
        let known = Arc::make_mut(&mut open.known);
        for label in labels {
            known.tell(label);
        }
        if open.is_wasteful() {
            // They are safe, whatever becomes of this: the file that is there then is read anew.
            *state = State::Unread;
            compact(&self.path, self.key.as_ref());
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
        rewrite(&self.path, self.key.as_ref(), |label| {
            !events.contains(&key(&label.source, &label.id))
        })
    }
}

impl Open {
    fn new(path: &Path, key: Option<&Key>) -> Result<Self, Error> {
        let open = Self::read(path, key)?;
        if !open.is_wasteful() {
            return Ok(open);
        }
        drop(open);
        compact(path, key);
        Self::read(path, key)
    }

    /// Whether the file has so many labels that count no more that it is to be written anew.
    fn is_wasteful(&self) -> bool {
        let count = self.known.by_event.len() as u64;
        self.written >= WASTE_MIN && self.written / WASTE_MAX >= count
    }

    fn read(path: &Path, key: Option<&Key>) -> Result<Self, Error> {
        let (mut known, mut written) = (Known::default(), 0_u64);
        if let Some(key) = key.filter(|_| !path.exists()) {
            FileKey::make(key, WHAT, path)?;
        }
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(Error::io("open", path))?;
        let (own, bytes) = scan(path, key, |label| {
            written += 1;
            known.tell(&label);
        })?;
        file.set_len(bytes).and_then(|()| file.sync_all()).map_err(Error::io("cut", path))?;
        // Its name must outlive the power too, before more is written to it.
        sync_folder(path)?;
        Ok(Self { file, own, bytes, written, known: Arc::new(known) })
    }
}

/// Writes a file anew with the labels that count. Where that fails, as on a full disk, there are more
/// of them than have to be.
fn compact(path: &Path, key: Option<&Key>) {
    if let Err(error) = only_last(path, key) {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(%error, cause, "a file of labels was not made shorter");
    }
}

/// Keeps the last one of each event, and those not that were taken back.
fn only_last(path: &Path, key: Option<&Key>) -> Result<(), Error> {
    let mut last: HashMap<[u64; 2], u64> = HashMap::new();
    let mut number = 0;
    scan(path, key, |label| {
        last.insert(self::key(&label.source, &label.id), number);
        number += 1;
    })?;
    number = 0;
    rewrite(path, key, |label| {
        number += 1;
        !label.label.is_empty() && last[&self::key(&label.source, &label.id)] == number - 1
    })
}

/// Writes a label's frame, that of this number in its file.
fn write(to: &mut Vec<u8>, label: &Label, (own, number): (Option<&FileKey>, u64)) {
    if let Some(own) = own {
        own.write(to, number, |to| label.encode_raw(to));
        return;
    }
    let body = label.encode_to_vec();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    to.extend_from_slice(&body);
}

/// Hands over every label of a file; gives its own key, and the bytes that are good.
fn scan(
    path: &Path,
    key: Option<&Key>,
    mut each: impl FnMut(Label),
) -> Result<(Option<FileKey>, u64), Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let length = file.metadata().map_err(Error::io("look at", path))?.len();
    let own = key.map(|key| FileKey::read(key, WHAT, (&file, path))).transpose()?;
    let mut good = if own.is_some() { file::HEAD_BYTES as u64 } else { 0 };
    let (mut file, mut frame, mut number) = (BufReader::new(file), Vec::new(), 0);
    loop {
        let taken = take(&mut file, &mut frame, own.is_some());
        // It would be taken for torn, and be cut off.
        if number == 0 && own.is_none() && file::is_encrypted(&frame) {
            let problem = "it is encrypted, and its stream has no key";
            return Err(Error::Key { path: path.to_path_buf(), problem });
        }
        match taken {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            taken => taken.map_err(Error::io("read", path))?,
        }
        let Some(label) = read(&frame, (own.as_ref(), number)) else { break };
        good += frame.len() as u64;
        number += 1;
        each(label);
    }
    // What a crash leaves is at most what was being written: sealed it is not twice as long.
    let torn_max = if own.is_some() { 2 * GROUP_BYTES_MAX } else { GROUP_BYTES_MAX };
    if length - good > torn_max as u64 {
        return Err(Error::Damaged { path: path.to_path_buf(), offset: good });
    }
    Ok((own, good))
}

/// Takes the next frame of a file, or the beginning of what is none.
fn take(file: &mut impl io::Read, frame: &mut Vec<u8>, is_sealed: bool) -> io::Result<()> {
    let head = if is_sealed { LENGTH_BYTES } else { HEAD_BYTES };
    frame.clear();
    frame.resize(head, 0);
    file.read_exact(frame)?;
    let mut length = [0; LENGTH_BYTES];
    length.copy_from_slice(&frame[..LENGTH_BYTES]);
    let most = BODY_BYTES_MAX + if is_sealed { file::SEAL_BYTES } else { 0 };
    frame.resize(head + (u32::from_le_bytes(length) as usize).min(most + 1), 0);
    file.read_exact(&mut frame[head..])
}

/// The label of a frame; none where it is no frame of this number.
fn read(frame: &[u8], (own, number): (Option<&FileKey>, u64)) -> Option<Label> {
    if let Some(own) = own {
        let Opened::Frame { body, .. } = own.open(frame, number, BODY_BYTES_MAX) else {
            return None;
        };
        return Label::decode(body.as_slice()).ok();
    }
    let (head, body) = frame.split_first_chunk::<HEAD_BYTES>()?;
    let [_, _, _, _, sum @ ..] = *head;
    let is_whole = crc32fast::hash(body) == u32::from_le_bytes(sum);
    is_whole.then(|| Label::decode(body).ok()).flatten()
}

/// Replaces a file by one that has only these labels.
fn rewrite(
    path: &Path,
    key: Option<&Key>,
    mut keep: impl FnMut(&Label) -> bool,
) -> Result<(), Error> {
    let unfinished = path.with_extension("unfinished");
    let (file, own) = match key {
        Some(key) => {
            let (file, own) = FileKey::begin(key, WHAT, &unfinished)?;
            (file, Some(own))
        }
        None => (File::create(&unfinished).map_err(Error::io("make", &unfinished))?, None),
    };
    let (mut file, mut frame, mut failed) = (BufWriter::new(file), Vec::new(), None);
    let mut number = 0;
    scan(path, key, |label| {
        if failed.is_none() && keep(&label) {
            frame.clear();
            write(&mut frame, &label, (own.as_ref(), number));
            number += 1;
            failed = file.write_all(&frame).err();
        }
    })?;
    let written = failed.map_or_else(|| file.flush(), Err);
    let written = written.and_then(|()| file.get_ref().sync_all());
    written.map_err(Error::io("write", &unfinished))?;
    fs::rename(&unfinished, path).map_err(Error::io("rename", &unfinished))?;
    sync_folder(path)
}

/// Sees that a file's name outlives the power.
fn sync_folder(path: &Path) -> Result<(), Error> {
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
