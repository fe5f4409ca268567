//! Logs: the last lines of an instance's two streams.
//!
//! Always true: an instance that writes much costs no more than [`LINES_MAX`] lines and
//! [`BYTES_MAX`] bytes; a reader that falls behind is told how many lines it missed; a slow reader
//! never stops the instance; lines are in the order in which they were written to their stream,
//! whoever took them in.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use nix::errno::Errno;
use parking_lot::Mutex;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use workflow::Clock;

/// Most lines kept of one instance.
pub const LINES_MAX: usize = 4_096;
/// Most bytes of text kept of one instance.
pub const BYTES_MAX: usize = 4 << 20;
/// Longest line; the rest of a longer one is dropped, and the cut is marked.
pub const LINE_BYTES_MAX: usize = 8 << 10;
/// What is read at a time.
const READ_BYTES: usize = 16 << 10;
/// Most reads of [`Logs::take_in`] from a stream: what a pipe holds. One that is written to without
/// end must not keep it.
const READS_MAX: usize = 4;
/// What ends a line that was cut.
const CUT: &str = " …";

/// Where a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// Neither: what the executor tells of the instance.
    Platform,
}

/// One line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When its end was read, in Unix milliseconds.
    pub at_ms: u64,
    /// Where it was written.
    pub stream: Stream,
    /// The text, without its line feed; bytes that are not UTF-8 are replaced.
    pub line: String,
    /// Lines that were dropped before this one because the reader, or we, could not keep up.
    pub missed: u64,
}

/// The lines of one instance. Cheap to clone; clones share the lines.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    ring: Arc<Mutex<Ring>>,
    /// The streams that are still written to.
    sources: Arc<Mutex<Vec<Arc<Source>>>>,
    changed: watch::Sender<u64>,
}

/// A stream, from which whoever needs its lines first takes them in.
#[derive(Debug)]
pub(crate) struct Source {
    stream: Stream,
    pipe: pipe::Receiver,
    clock: Clock,
    /// Held while reading, so that bytes come in their order.
    splitter: Mutex<Splitter>,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
    /// The number of the first line kept, counting from 0.
    first: u64,
}

impl Logs {
    pub(crate) fn new() -> Self {
        Self { ring: Arc::default(), sources: Arc::default(), changed: watch::Sender::new(0) }
    }

    /// Starts to read from the oldest line kept.
    pub(crate) fn reader(&self) -> LogReader {
        LogReader { logs: self.clone(), next: 0, changed: self.changed.subscribe() }
    }

    /// Adds a stream, which counts as open until [`Logs::collect`] of it ends.
    pub(crate) fn open(&self, stream: Stream, pipe: pipe::Receiver, clock: Clock) -> Arc<Source> {
        let splitter = Mutex::default();
        let source = Arc::new(Source { stream, pipe, clock, splitter });
        self.sources.lock().push(Arc::clone(&source));
        source
    }

    /// Reads lines until the stream ends.
    pub(crate) async fn collect(self, source: Arc<Source>) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        let ended = loop {
            if let Err(error) = source.pipe.readable().await {
                break Err(error);
            }
            let mut splitter = source.splitter.lock();
            match source.pipe.try_read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(count) => self.feed(&source, &mut splitter, &buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => break Err(error),
            }
        };
        let rest = source.splitter.lock().finish();
        self.push(rest, source.stream, source.clock.now_ms());
        self.sources.lock().retain(|one| !Arc::ptr_eq(one, &source));
        self.changed.send_modify(|count| *count += 1);
        ended
    }

    /// Takes in what was written until now. [`Logs::collect`] would too, a moment later.
    fn take_in(&self) {
        let mut buffer = [0; READ_BYTES];
        for source in self.sources.lock().iter() {
            let mut splitter = source.splitter.lock();
            for _ in 0..READS_MAX {
                // Not by Tokio, which asks the kernel only once it has heard that there is something.
                match nix::unistd::read(&source.pipe, &mut buffer) {
                    Ok(count) if count > 0 => {
                        self.feed(source, &mut splitter, &buffer[..count]);
                    }
                    Err(Errno::EINTR) => {}
                    // Nothing now, or nothing ever, which the collector hears of.
                    Ok(_) | Err(_) => break,
                }
            }
        }
    }

    fn feed(&self, source: &Source, splitter: &mut Splitter, bytes: &[u8]) {
        self.push(splitter.feed(bytes), source.stream, source.clock.now_ms());
    }

    /// Adds lines.
    pub(crate) fn push(&self, lines: Vec<String>, stream: Stream, at_ms: u64) {
        if lines.is_empty() {
            return;
        }
        {
            let mut ring = self.ring.lock();
            for line in lines {
                ring.bytes += line.len();
                ring.lines.push_back(Line { at_ms, stream, line, missed: 0 });
                while ring.lines.len() > LINES_MAX || ring.bytes > BYTES_MAX {
                    let Some(dropped) = ring.lines.pop_front() else { break };
                    ring.bytes -= dropped.line.len();
                    ring.first += 1;
                }
            }
        }
        self.changed.send_modify(|count| *count += 1);
    }
}

/// Reads the lines of one instance, from the oldest that is kept to the end.
#[derive(Debug)]
pub struct LogReader {
    logs: Logs,
    next: u64,
    changed: watch::Receiver<u64>,
}

impl LogReader {
    /// The next line; waits for one, and gives none when both streams have ended.
    pub async fn next(&mut self) -> Option<Line> {
        loop {
            self.changed.borrow_and_update();
            if let Some(line) = self.ready() {
                return Some(line);
            }
            if self.logs.sources.lock().is_empty() {
                return self.ready();
            }
            self.changed.changed().await.ok()?;
        }
    }

    /// Takes in what the instance has written until now, for [`LogReader::ready`].
    pub fn take_in(&self) {
        self.logs.take_in();
    }

    /// The next line, where there is one already.
    pub fn ready(&mut self) -> Option<Line> {
        let ring = self.logs.ring.lock();
        let missed = ring.first.saturating_sub(self.next);
        self.next = self.next.max(ring.first);
        let index = usize::try_from(self.next - ring.first).ok()?;
        let line = ring.lines.get(index)?.clone();
        self.next += 1;
        Some(Line { missed, ..line })
    }
}

/// Cuts bytes into lines.
#[derive(Debug, Default)]
struct Splitter {
    partial: Vec<u8>,
    cut: bool,
}

impl Splitter {
    fn feed(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.append(&bytes[..end]);
            lines.push(self.take());
            bytes = &bytes[end + 1..];
        }
        self.append(bytes);
        lines
    }

    fn finish(&mut self) -> Vec<String> {
        if self.partial.is_empty() { Vec::new() } else { vec![self.take()] }
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.partial.len();
        self.cut |= bytes.len() > room;
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take(&mut self) -> String {
        let mut line = String::from_utf8_lossy(&self.partial).into_owned();
        if line.ends_with('\r') {
            line.pop();
        }
        if self.cut {
            line.push_str(CUT);
        }
        self.partial.clear();
        self.cut = false;
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_and_short_ones_are_whole() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.feed(b"one\r\ntw"), ["one"]);
        assert_eq!(splitter.feed(b"o\n\n"), ["two", ""]);
        let long = vec![b'x'; LINE_BYTES_MAX + 10];
        assert!(splitter.feed(&long).is_empty());
        let cut = splitter.feed(b"more\nnext").remove(0);
        assert!(cut.ends_with(CUT) && cut.len() == LINE_BYTES_MAX + CUT.len());
        assert_eq!(splitter.finish(), ["next"]);
    }

    /// A stream of these logs, and where it is written to.
    fn stream(logs: &Logs) -> (Arc<Source>, pipe::Sender) {
        let (clock, _hand) = Clock::manual(7);
        let (sender, receiver) = pipe::pipe().unwrap();
        (logs.open(Stream::Out, receiver, clock), sender)
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_what_it_missed() {
        use tokio::io::AsyncWriteExt as _;
        let logs = Logs::new();
        let mut reader = logs.reader();
        let (source, mut to) = stream(&logs);
        let text = "line\n".repeat(LINES_MAX + 3);
        let write = async move { to.write_all(text.as_bytes()).await };
        let (written, collected) = tokio::join!(write, logs.clone().collect(source));
        written.and(collected).unwrap();
        let first = reader.next().await.unwrap();
        assert_eq!((first.missed, first.at_ms), (3, 7));
        let mut count = 1;
        while let Some(line) = reader.next().await {
            assert_eq!(line.missed, 0);
            count += 1;
        }
        assert_eq!(count, LINES_MAX);
    }

    #[tokio::test]
    async fn what_was_written_is_there_at_once_for_who_asks() {
        let logs = Logs::new();
        let mut reader = logs.reader();
        let (source, to) = stream(&logs);
        // Nothing has run that could have collected it.
        nix::unistd::write(&to, b"one\ntwo\nthr").unwrap();
        assert_eq!(reader.ready(), None);
        reader.take_in();
        let lines = |reader: &mut LogReader| -> Vec<String> {
            std::iter::from_fn(|| reader.ready()).map(|line| line.line).collect()
        };
        assert_eq!(lines(&mut reader), ["one", "two"]);
        nix::unistd::write(&to, b"ee\nfour").unwrap();
        drop(to);
        logs.take_in();
        logs.collect(source).await.unwrap();
        assert_eq!(lines(&mut reader), ["three", "four"]);
        assert_eq!(reader.next().await, None);
    }
}
