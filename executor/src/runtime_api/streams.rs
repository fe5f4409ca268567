//! Answers that are handed on while the program makes them.
//!
//! Always true: a few pieces are held and no more, so a program is read as fast as its caller reads;
//! an answer that broke off, failed or became too large is told as failed, after its pieces.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Failure, NotTaken, Outcome, Runtime};

/// Most bytes of an answer in pieces. Source: Lambda's limit, 200 MB.
pub const STREAM_BYTES_MAX: u64 = 200 << 20;
/// Pieces that are held for a slow reader; each is what was read from the program at once.
const PIECES_HELD: usize = 2;

/// An answer in pieces.
#[derive(Debug)]
pub struct Streamed {
    /// Its media type, where the program told one.
    pub media_type: Option<String>,
    pieces: mpsc::Receiver<Result<Option<Bytes>, Failure>>,
}

/// Two of them are never the same.
impl PartialEq for Streamed {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Streamed {
    /// The next piece; none at the whole answer's end.
    ///
    /// # Errors
    ///
    /// What the program said instead of the end, or that its answer broke off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let broke_off = || Failure::new("Runtime.TruncatedResponse", "the answer broke off");
        self.pieces.recv().await.unwrap_or_else(|| Err(broke_off()))
    }

    /// All of it as one.
    ///
    /// # Errors
    ///
    /// As [`Streamed::next`], and where it has more bytes than an answer that is whole may have.
    pub async fn whole(mut self) -> Result<Bytes, Failure> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await? {
            if whole.len() + piece.len() > super::ANSWER_BYTES_MAX {
                return Err(super::too_large(super::ANSWER_BYTES_MAX as u64));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.into())
    }
}

/// Where the program's pieces go. The call is over when this is dropped.
pub(super) struct Writer {
    runtime: Runtime,
    id: String,
    pieces: mpsc::Sender<Result<Option<Bytes>, Failure>>,
    bytes: u64,
}

/// Why a piece was not taken.
pub(super) enum Stopped {
    /// It is more than may be.
    TooLarge,
    /// Nobody reads them any more.
    Left,
}

impl Writer {
    /// Begins the answer of a call.
    pub(super) fn begin(
        runtime: &Runtime,
        id: &str,
        media_type: Option<String>,
    ) -> Result<Self, NotTaken> {
        let (pieces, read) = mpsc::channel(PIECES_HELD);
        let tell = {
            let mut state = runtime.shared.state.lock();
            state.may_answer(id)?;
            state.awaited.remove(id).ok_or(NotTaken::State("InvocationResponse"))?
        };
        let writer = Self { runtime: runtime.clone(), id: id.to_owned(), pieces, bytes: 0 };
        let streamed = Streamed { media_type, pieces: read };
        tell.send(Outcome::Streamed(streamed)).map_err(|_| NotTaken::Unknown)?;
        Ok(writer)
    }

    /// Hands a piece on, as soon as there is room for it.
    pub(super) async fn write(&mut self, piece: Bytes) -> Result<(), Stopped> {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        if self.bytes > STREAM_BYTES_MAX {
            self.fail(super::too_large(STREAM_BYTES_MAX)).await;
            return Err(Stopped::TooLarge);
        }
        self.pieces.send(Ok(Some(piece))).await.map_err(|_| Stopped::Left)
    }

    /// Says that this was all.
    pub(super) async fn end(&mut self) {
        // Whoever has left needs no end.
        let _ = self.pieces.send(Ok(None)).await;
    }

    /// Says that the answer failed.
    pub(super) async fn fail(&mut self, failure: Failure) {
        let _ = self.pieces.send(Err(failure)).await;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.runtime.shared.state.lock();
        state.settle(&self.id, self.runtime.shared.concurrency);
    }
}
