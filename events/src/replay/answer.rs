//! Answers: bytes of HTTP/1.1 as they come, until one answer is whole.
//!
//! States: head, body of a known length, body in chunks, body until the connection ends, whole.
//!
//! Always true: however the bytes are cut, the answer is the same; a head and a line have limits, and
//! of a body no more is kept than is asked for: the rest is counted.
//! Absent on purpose: time, connections, and what an answer means.

use httparse::Status;

use super::record::Took;

/// Longest head of an answer, in bytes, as most servers' own limit; also that of its trailers.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most headers of an answer.
const HEADERS_MAX: usize = 96;
/// Longest line before a chunk, in bytes: a length, and extensions that nobody uses.
const LINE_BYTES_MAX: usize = 256;

/// What is read of answers.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The header in which a service tells its own time, in microseconds; none where it is empty.
    pub(super) service_header: String,
    /// The header in which it tells what else it took; none where it is empty.
    pub(super) took_header: String,
    /// How much of a body is kept, in bytes.
    pub(super) body_bytes_max: usize,
}

/// An answer as far as it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    state: State,
    /// A head, or a line of chunks, that is not whole yet.
    pending: Vec<u8>,
    pub(super) status: u16,
    pub(super) service_us: Option<u64>,
    pub(super) took: Took,
    /// The first bytes of the body.
    pub(super) body: Vec<u8>,
    /// All bytes of it.
    pub(super) body_bytes: u64,
    /// All bytes of the answer.
    pub(super) bytes: u64,
    /// The connection may be used again.
    pub(super) stays: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Length(u64),
    ChunkLine,
    Chunk(u64),
    ChunkEnd,
    Trailers(usize),
    UntilEnd,
    Whole,
}

/// The bytes are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

impl Answer {
    /// Takes bytes up to the answer's end; how many, and all of them where it is not whole yet.
    pub(super) fn feed(&mut self, bytes: &[u8], rules: &Rules) -> Result<usize, Invalid> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Whole {
            let taken = self.step(&bytes[at..], rules)?;
            at += taken;
            self.bytes += taken as u64;
        }
        Ok(at)
    }

    /// Whether the answer is whole.
    pub(super) fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// The connection has ended; whether the answer is whole by that.
    pub(super) fn end(&mut self) -> bool {
        if self.state == State::UntilEnd {
            self.state = State::Whole;
        }
        self.is_whole()
    }

    fn step(&mut self, bytes: &[u8], rules: &Rules) -> Result<usize, Invalid> {
        match self.state {
            State::Head => self.head(bytes, rules),
            State::Length(left) => {
                let taken = self.keep(bytes, left, rules);
                self.state = after(left - taken as u64, State::Length, State::Whole);
                Ok(taken)
            }
            State::Chunk(left) => {
                let taken = self.keep(bytes, left, rules);
                self.state = after(left - taken as u64, State::Chunk, State::ChunkEnd);
                Ok(taken)
            }
            State::UntilEnd => Ok(self.keep(bytes, u64::MAX, rules)),
            State::ChunkLine | State::ChunkEnd | State::Trailers(_) => self.line(bytes),
            State::Whole => Ok(0),
        }
    }

    /// Reads the head where it is whole, and goes on with the next one after an interim answer.
    fn head(&mut self, bytes: &[u8], rules: &Rules) -> Result<usize, Invalid> {
        if self.pending.is_empty() && bytes.first() != Some(&b'H') {
            return Err(Invalid);
        }
        let before = self.pending.len();
        // Nearly always it comes at once, and is read where it lies.
        let read = if before == 0 {
            self.parse(bytes, rules)?
        } else {
            let room = (HEAD_BYTES_MAX + 1).saturating_sub(before).min(bytes.len());
            let mut pending = std::mem::take(&mut self.pending);
            pending.extend_from_slice(&bytes[..room]);
            let read = self.parse(&pending, rules)?;
            pending.truncate(before);
            self.pending = pending;
            read
        };
        let Some(length) = read else {
            within(before + bytes.len(), HEAD_BYTES_MAX)?;
            self.pending.extend_from_slice(bytes);
            return Ok(bytes.len());
        };
        within(length, HEAD_BYTES_MAX)?;
        self.pending.clear();
        Ok(length - before)
    }

    /// Reads a head; its length, or none where it is not whole.
    fn parse(&mut self, bytes: &[u8], rules: &Rules) -> Result<Option<usize>, Invalid> {
        let mut room = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut room);
        let Status::Complete(length) = head.parse(bytes).map_err(|_| Invalid)? else {
            return Ok(None);
        };
        let status = head.code.ok_or(Invalid)?;
        if status == 101 || status < 100 {
            return Err(Invalid);
        }
        if status < 200 {
            return Ok(Some(length));
        }
        self.status = status;
        self.stays = head.version == Some(1);
        let (mut content_length, mut chunked) = (None, false);
        for header in &*head.headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            let value = header.value.trim_ascii();
            if is("content-length") {
                let told = number(value).ok_or(Invalid)?;
                if content_length.replace(told).is_some_and(|before| before != told) {
                    return Err(Invalid);
                }
            } else if is("transfer-encoding") {
                chunked = value.eq_ignore_ascii_case(b"chunked");
                if !chunked {
                    return Err(Invalid);
                }
            } else if is("connection") {
                self.stays &= !has_word(value, b"close");
                self.stays |= head.version == Some(0) && has_word(value, b"keep-alive");
            } else if !rules.service_header.is_empty() && is(&rules.service_header) {
                self.service_us = number(value);
            } else if !rules.took_header.is_empty() && is(&rules.took_header) {
                self.took = std::str::from_utf8(value).map(Took::read).unwrap_or_default();
            }
        }
        self.state = match (chunked, content_length) {
            (true, Some(_)) => return Err(Invalid),
            _ if matches!(status, 204 | 304) => State::Whole,
            (true, None) => State::ChunkLine,
            (false, Some(length)) => after(length, State::Length, State::Whole),
            (false, None) => State::UntilEnd,
        };
        self.stays &= self.state != State::UntilEnd;
        Ok(Some(length))
    }

    /// Keeps what there is room for; how many bytes belong to the body.
    fn keep(&mut self, bytes: &[u8], left: u64, rules: &Rules) -> usize {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let room = rules.body_bytes_max.saturating_sub(self.body.len()).min(taken);
        self.body.extend_from_slice(&bytes[..room]);
        self.body_bytes += taken as u64;
        taken
    }

    /// Takes bytes up to the end of a line, and what it says where that has come.
    fn line(&mut self, bytes: &[u8]) -> Result<usize, Invalid> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        within(self.pending.len() + taken, LINE_BYTES_MAX.max(self.trailer_room()))?;
        self.pending.extend_from_slice(&bytes[..taken]);
        if end.is_none() {
            return Ok(taken);
        }
        let line = std::mem::take(&mut self.pending);
        let is_empty = line.trim_ascii().is_empty();
        self.state = match self.state {
            State::ChunkLine => match httparse::parse_chunk_size(&line).map_err(|_| Invalid)? {
                Status::Complete((_, 0)) => State::Trailers(0),
                Status::Complete((_, length)) => State::Chunk(length),
                Status::Partial => return Err(Invalid),
            },
            State::ChunkEnd if is_empty => State::ChunkLine,
            State::Trailers(_) if is_empty => State::Whole,
            State::Trailers(bytes) => State::Trailers(within(bytes + line.len(), HEAD_BYTES_MAX)?),
            _ => return Err(Invalid),
        };
        Ok(taken)
    }

    fn trailer_room(&self) -> usize {
        match self.state {
            State::Trailers(bytes) => HEAD_BYTES_MAX - bytes,
            _ => 0,
        }
    }
}

fn after(left: u64, going_on: fn(u64) -> State, done: State) -> State {
    if left == 0 { done } else { going_on(left) }
}

fn within(bytes: usize, most: usize) -> Result<usize, Invalid> {
    if bytes > most { Err(Invalid) } else { Ok(bytes) }
}

/// A number of digits only, as lengths have to be.
fn number(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

fn has_word(value: &[u8], word: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
