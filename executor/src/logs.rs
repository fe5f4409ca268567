//! Logs: the last lines of an instance's two streams.
//!
//! Always true: an instance that writes much costs no more than [`LINES_MAX`] lines and
//! [`BYTES_MAX`] bytes; a reader that falls behind is told how many lines it missed; a slow reader
//! never stops the instance.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;
use workflow::Clock;

/// Most lines kept of one instance.
pub const LINES_MAX: usize = 4_096;
/// Most bytes of text kept of one instance.
pub const BYTES_MAX: usize = 4 << 20;
/// Longest line; the rest of a longer one is dropped, and the cut is marked.
pub const LINE_BYTES_MAX: usize = 8 << 10;
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
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
    /// The number of the first line kept, counting from 0.
    first: u64,
    /// Streams that are still written to.
    open: usize,
}

impl Logs {
    pub(crate) fn new() -> Self {
        Self { ring: Arc::default(), changed: watch::Sender::new(0) }
    }

    /// Starts to read from the oldest line kept.
    pub(crate) fn reader(&self) -> LogReader {
        LogReader { logs: self.clone(), next: 0, changed: self.changed.subscribe() }
    }

    /// Counts a stream as open until [`Logs::collect`] of it ends.
    pub(crate) fn open(&self) {
        self.ring.lock().open += 1;
    }

    /// Reads lines until the stream ends.
    pub(crate) async fn collect(
        self,
        stream: Stream,
        mut from: impl AsyncRead + Unpin,
        clock: Clock,
    ) -> io::Result<()> {
        let mut splitter = Splitter::default();
        let mut buffer = vec![0; 16 << 10];
        let ended = loop {
            match from.read(&mut buffer).await {
                Ok(0) => break Ok(()),
                Ok(count) => {
                    let lines = splitter.feed(&buffer[..count]);
                    self.push(lines, stream, clock.now_ms());
                }
                Err(error) => break Err(error),
            }
        };
        self.push(splitter.finish(), stream, clock.now_ms());
        self.ring.lock().open -= 1;
        self.changed.send_modify(|count| *count += 1);
        ended
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
            if self.logs.ring.lock().open == 0 {
                return self.ready();
            }
            self.changed.changed().await.ok()?;
        }
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

    #[tokio::test]
    async fn a_slow_reader_is_told_what_it_missed() {
        let (clock, _hand) = Clock::manual(7);
        let logs = Logs::new();
        let mut reader = logs.reader();
        let text = "line\n".repeat(LINES_MAX + 3);
        logs.open();
        logs.clone().collect(Stream::Out, text.as_bytes(), clock).await.unwrap();
        let first = reader.next().await.unwrap();
        assert_eq!((first.missed, first.at_ms), (3, 7));
        let mut count = 1;
        while let Some(line) = reader.next().await {
            assert_eq!(line.missed, 0);
            count += 1;
        }
        assert_eq!(count, LINES_MAX);
    }
}
