//! Lines: what an instance writes, between what is told of its calls, on the way to the journal and
//! to callers who want the end of it.
//!
//! Always true: lines are told in the order in which they were written; a call's `START` comes before
//! any line that could be its own, its `END` and `REPORT` behind; a caller's lines are those that were
//! written during its call, whichever of the calls of that time they are of; what a program wrote that
//! has not begun is the call's that it was made for.
//! Absent on purpose: whose call a line is of, which nobody but the program knows.

use std::collections::VecDeque;

use api::internal::functions::shown;
use executor::{LogReader, Stream};

use super::journal::{Journal, Writer};

/// The end of the log that a caller may get, in bytes. Source: Lambda's `X-Amz-Log-Result`.
const TAIL_BYTES_MAX: usize = 4_096;
/// Lines kept for that.
const TAIL_LINES_MAX: usize = 256;

/// The lines of one instance.
#[derive(Debug)]
pub(super) struct Lines {
    /// None of an instance that was never made.
    reader: Option<LogReader>,
    writer: Writer,
    /// The last lines before the first call; none once it has begun.
    before: Option<VecDeque<String>>,
    /// Calls under way, in the order in which they began.
    calls: Vec<Call>,
    /// The version that runs.
    version: String,
}

/// What is told of a call under way.
#[derive(Debug)]
struct Call {
    id: String,
    began_ms: u64,
    /// Whether its first line was told.
    told: bool,
    /// The last lines since; none where its caller does not want them.
    tail: Option<VecDeque<String>>,
}

impl Lines {
    /// The lines of an instance of this version.
    pub(super) fn new(reader: Option<LogReader>, writer: Writer, version: String) -> Self {
        Self { reader, writer, before: Some(VecDeque::new()), calls: Vec::new(), version }
    }

    /// Those of an instance that has ended before its first call, for that call.
    pub(super) fn left(&mut self) -> Self {
        Self {
            reader: self.reader.take(),
            writer: self.writer.clone(),
            before: self.before.take(),
            calls: Vec::new(),
            version: self.version.clone(),
        }
    }

    /// Notes that a call begins, and whether its caller wants the end of its lines.
    pub(super) fn begin(&mut self, (id, began_ms): (&str, u64), wanted: bool) {
        let before = self.before.take();
        let tail = wanted.then(|| before.unwrap_or_default());
        self.calls.push(Call { id: id.to_owned(), began_ms, told: false, tail });
    }

    /// Forgets a call that did not run.
    pub(super) fn forget(&mut self, id: &str) {
        self.calls.retain(|call| call.id != id);
    }

    /// Tells the lines so far, and the end of a call; gives the end of its lines, where it is wanted.
    pub(super) fn end(
        &mut self,
        journal: &Journal,
        (id, now_ms): (&str, u64),
        report: impl Fn() -> String,
    ) -> Option<String> {
        self.start(journal);
        self.take_in(journal);
        let place = self.calls.iter().position(|call| call.id == id)?;
        let Call { mut tail, .. } = self.calls.remove(place);
        let end = || format!("END RequestId: {}", shown(id));
        keep(&mut tail, end);
        self.writer.write(journal, (now_ms, "platform"), end);
        keep(&mut tail, &report);
        self.writer.write(journal, (now_ms, "platform"), report);
        tail.map(end_of)
    }

    /// Tells the calls that have begun since.
    fn start(&mut self, journal: &Journal) {
        for call in &mut self.calls {
            if !std::mem::replace(&mut call.told, true) {
                let version = &self.version;
                let start = || format!("START RequestId: {} Version: {version}", shown(&call.id));
                keep(&mut call.tail, start);
                self.writer.write(journal, (call.began_ms, "platform"), start);
            }
        }
    }

    /// Tells what the program could not, for all calls under way.
    pub(super) fn tell(&mut self, journal: &Journal, now_ms: u64, text: &str) {
        self.start(journal);
        for call in &mut self.calls {
            keep(&mut call.tail, || text.to_owned());
        }
        self.writer.write(journal, (now_ms, "platform"), || text.to_owned());
    }

    /// Tells what the program has written since.
    pub(super) fn take_in(&mut self, journal: &Journal) {
        let Some(reader) = &mut self.reader else { return };
        reader.take_in();
        while let Some(line) = reader.ready() {
            keep(&mut self.before, || line.line.clone());
            for call in &mut self.calls {
                keep(&mut call.tail, || line.line.clone());
            }
            self.writer.write(journal, (line.at_ms, source(line.stream)), || line.line);
        }
    }
}

fn keep(tail: &mut Option<VecDeque<String>>, line: impl FnOnce() -> String) {
    let Some(tail) = tail else { return };
    if tail.len() == TAIL_LINES_MAX {
        tail.pop_front();
    }
    tail.push_back(line());
}

/// The last bytes of these lines, from the beginning of a character.
fn end_of(lines: VecDeque<String>) -> String {
    let mut text: String = lines.into_iter().map(|line| line + "\n").collect();
    let mut cut = text.len().saturating_sub(TAIL_BYTES_MAX);
    while !text.is_char_boundary(cut) {
        cut += 1;
    }
    text.split_off(cut)
}

/// Where a line of the log comes from.
fn source(stream: Stream) -> &'static str {
    match stream {
        Stream::Platform => "platform",
        Stream::Out => "stdout",
        Stream::Err => "stderr",
    }
}
