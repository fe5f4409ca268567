//! The prelude of an answer in pieces: JSON with status, headers and cookies, then eight zeros.
//!
//! Always true: how the pieces are cut changes nothing; no more than a prelude's bytes is held.

use bytes::{Bytes, BytesMut};

use super::{Error, PRELUDE_BYTES_MAX};

/// What stands behind the JSON. A zero is no part of JSON, so the first one ends it.
const END: [u8; 8] = [0; 8];

/// How an answer in pieces begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prelude {
    /// From 200 to 599.
    pub status: u16,
    /// Names and values that HTTP takes; cookies are among them.
    pub headers: Vec<(String, String)>,
}

/// Reads a prelude from pieces as they come.
#[derive(Debug, Default)]
pub struct PreludeReader {
    held: BytesMut,
}

impl PreludeReader {
    /// Takes the next piece; gives the prelude once all of it has come, with what of the body came
    /// behind it.
    ///
    /// # Errors
    ///
    /// [`Error`] where there is none, or it cannot be taken.
    pub fn push(&mut self, piece: &Bytes) -> Result<Option<(Prelude, Bytes)>, Error> {
        // The end may have begun in the piece before.
        let from = self.held.len().saturating_sub(END.len() - 1);
        let room = (PRELUDE_BYTES_MAX + END.len()).saturating_sub(self.held.len());
        let (taken, rest) = piece.split_at(room.min(piece.len()));
        self.held.extend_from_slice(taken);
        let found = self.held[from..].windows(END.len()).position(|window| window == END);
        let Some(at) = found.map(|at| from + at) else {
            return if self.held.len() < PRELUDE_BYTES_MAX + END.len() {
                Ok(None)
            } else {
                Err(Error::Prelude)
            };
        };
        let prelude = Prelude::read(&self.held[..at])?;
        let body = self.held.split_off(at + END.len());
        Ok(Some((prelude, [&body[..], rest].concat().into())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http_api::{PRELUDE_MEDIA_TYPE, read};

    const SAID: &[u8] = b"{\"statusCode\":201,\"headers\":{\"X-A\":\"b\"},\"cookies\":[\"c=d\"]}";

    fn all(pieces: &[Bytes]) -> Result<Option<(Prelude, Vec<u8>)>, Error> {
        let mut reader = PreludeReader::default();
        let mut pieces = pieces.iter();
        while let Some(piece) = pieces.next() {
            if let Some((prelude, first)) = reader.push(piece)? {
                let rest: Vec<u8> = pieces.flat_map(|piece| piece.to_vec()).collect();
                return Ok(Some((prelude, [first.to_vec(), rest].concat())));
            }
        }
        Ok(None)
    }

    #[test]
    fn a_prelude_says_how_an_answer_begins() {
        let (prelude, body) = all(&[[SAID, &END, b"\0\0rest"].concat().into()]).unwrap().unwrap();
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(prelude.status, 201);
        let bytes = header("content-type", "application/octet-stream");
        assert_eq!(prelude.headers, [header("x-a", "b"), header("set-cookie", "c=d"), bytes]);
        assert_eq!(body, b"\0\0rest", "zeros behind the end are the body's");
    }

    #[test]
    fn what_has_no_end_is_refused_before_it_fills_memory() {
        let mut reader = PreludeReader::default();
        let piece = Bytes::from(vec![b' '; 1 << 10]);
        let pushed = (0..1_000).map(|_| reader.push(&piece)).take_while(Result::is_ok).count();
        assert_eq!(pushed, PRELUDE_BYTES_MAX >> 10);
        assert!(reader.held.len() <= PRELUDE_BYTES_MAX + END.len());
        assert_eq!(reader.push(&piece), Err(Error::Prelude));
        let longest = [vec![b' '; PRELUDE_BYTES_MAX - 2], b"{}".to_vec(), END.to_vec()].concat();
        assert!(all(&[longest.into()]).unwrap().is_some(), "the largest is taken");
        assert!(matches!(all(&[[b"[]", &END[..]].concat().into()]), Err(Error::Json(_))));
        let whole = Bytes::from_static(SAID);
        assert_eq!(read(Some(PRELUDE_MEDIA_TYPE), &whole), Err(Error::Prelude));
    }

    proptest! {
        /// However the pieces are cut, the prelude and the body are the same.
        #[test]
        fn how_pieces_are_cut_changes_nothing(
            body in proptest::collection::vec(0_u8..3, 0..24),
            cuts in proptest::collection::vec(0_usize..120, 0..8),
        ) {
            let bytes = [SAID, &END, &body].concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<Bytes> =
                cuts.windows(2).map(|cut| Bytes::copy_from_slice(&bytes[cut[0]..cut[1]])).collect();
            let (prelude, rest) = all(&pieces).unwrap().unwrap();
            prop_assert_eq!(prelude.status, 201);
            prop_assert_eq!(rest, body);
        }
    }
}
