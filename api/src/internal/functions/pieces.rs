//! An answer in pieces on its way from an agent to a gateway.
//!
//! The body of an answer of this media type is a row of frames: a kind, a length and so many bytes.
//! Data as often as there is some; where the function failed, its error; then how it went, a
//! [`Called`] as JSON, and nothing behind it. The header `freehold-called` says before all of them
//! what is known by then.
//! Always true: a body without its last frame broke off; a frame has a limit, so that whoever reads
//! holds little.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::Called;

/// The media type of such a body.
pub const MEDIA_TYPE: &str = "application/vnd.freehold.pieces";
/// Most bytes of a frame: more than Lambda lets a function say of its error, and little to hold.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

const DATA: u8 = 0;
const ERROR: u8 = 1;
const ENDED: u8 = 2;
/// Bytes of a frame's kind and length.
const HEAD_BYTES: usize = 5;

/// A part of such an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// What the function says.
    Data(Bytes),
    /// The end: how it went, and the error's payload where the function failed.
    Ended(Box<Called>, Bytes),
}

/// Why a body is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these are no pieces of an answer")]
pub struct Broken;

/// The frames of a piece.
pub fn write(piece: &Piece) -> Bytes {
    let mut out = BytesMut::new();
    match piece {
        Piece::Data(data) => {
            for part in data.chunks(FRAME_BYTES_MAX) {
                frame(&mut out, DATA, part);
            }
        }
        Piece::Ended(called, error) => {
            if !error.is_empty() {
                frame(&mut out, ERROR, &error[..error.len().min(FRAME_BYTES_MAX)]);
            }
            // A plain struct of numbers and texts can always be written.
            frame(&mut out, ENDED, &serde_json::to_vec(called).unwrap_or_default());
        }
    }
    out.freeze()
}

fn frame(out: &mut BytesMut, kind: u8, bytes: &[u8]) {
    out.reserve(HEAD_BYTES + bytes.len());
    out.put_u8(kind);
    // No frame is longer than its limit.
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
}

/// Reads frames from a body that comes in parts of any size.
#[derive(Debug, Default)]
pub struct Reader {
    seen: BytesMut,
    error: Bytes,
}

impl Reader {
    /// Takes what has come.
    pub fn push(&mut self, part: &[u8]) {
        self.seen.extend_from_slice(part);
    }

    /// The next piece; none where more has to come first.
    ///
    /// # Errors
    ///
    /// [`Broken`] where this is no frame.
    pub fn piece(&mut self) -> Result<Option<Piece>, Broken> {
        while self.seen.len() >= HEAD_BYTES {
            let mut head = &self.seen[..HEAD_BYTES];
            let (kind, length) = (head.get_u8(), head.get_u32() as usize);
            if kind > ENDED || length > FRAME_BYTES_MAX {
                return Err(Broken);
            }
            if self.seen.len() < HEAD_BYTES + length {
                return Ok(None);
            }
            self.seen.advance(HEAD_BYTES);
            let bytes = self.seen.split_to(length).freeze();
            match kind {
                DATA => return Ok(Some(Piece::Data(bytes))),
                ERROR => self.error = bytes,
                _ => {
                    let called = serde_json::from_slice(&bytes).map_err(|_| Broken)?;
                    return Ok(Some(Piece::Ended(called, std::mem::take(&mut self.error))));
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(error: &'static str) -> Piece {
        let called = Called {
            error: (!error.is_empty()).then(|| "Function.Sad".to_owned()),
            media_type: None,
            duration_us: 5,
            waited_us: 6,
            start: None,
            memory_peak_bytes: 7,
            log_tail: None,
            stale_ms: None,
            ..Called::default()
        };
        Piece::Ended(Box::new(called), Bytes::from_static(error.as_bytes()))
    }

    #[test]
    fn pieces_are_read_as_they_were_written_however_they_are_cut() {
        for error in ["", "{\"errorMessage\":\"no\"}"] {
            let data = Bytes::from(vec![7; FRAME_BYTES_MAX + 1]);
            let whole = [write(&Piece::Data(data.clone())), write(&ended(error))].concat();
            for size in [1_000, 4_099, FRAME_BYTES_MAX, whole.len()] {
                let (mut reader, mut seen, mut last) = (Reader::default(), Vec::new(), None);
                for part in whole.chunks(size) {
                    reader.push(part);
                    while let Some(piece) = reader.piece().unwrap() {
                        match piece {
                            Piece::Data(bytes) => seen.extend_from_slice(&bytes),
                            end @ Piece::Ended(..) => last = Some(end),
                        }
                    }
                }
                assert_eq!(seen, data);
                assert_eq!(last, Some(ended(error)));
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bytes in [&[9, 0, 0, 0, 0][..], &[0, 255, 0, 0, 0], &[2, 0, 0, 0, 1, b'x']] {
            let mut reader = Reader::default();
            reader.push(bytes);
            assert_eq!(reader.piece(), Err(Broken));
        }
    }
}
