//! Answers that reach their caller while they are made.
//!
//! Always true: a piece is asked for when its caller has taken the one before; an answer that did
//! not come to its end is never made to look whole: its caller sees an error, or a broken body.
//! Absent on purpose: what pieces mean; they are passed on as they are.

use api::functions::ERROR_HEADER;
use api::internal::functions::Called;
use api::internal::functions::pieces::{self, Piece};
use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::mpsc;

use super::meter::Meter;
use crate::error::Error;
use crate::limits::Place;

/// What a function says, whole or as it comes.
#[derive(Debug)]
pub(crate) enum Payload {
    Whole(Bytes),
    Pieces(Pieces),
}

/// What a function says, as it comes from its host.
#[derive(Debug)]
pub(crate) struct Pieces {
    from: From,
    /// Data that was taken and comes again, before the rest.
    put_back: Bytes,
}

/// Where pieces come from.
#[derive(Debug)]
enum From {
    /// A host that is asked over HTTP.
    Http(Body, pieces::Reader),
    /// An agent in this process.
    Near(mpsc::Receiver<Piece>),
}

impl Pieces {
    /// Those of a body.
    pub(super) fn read(body: Body) -> Self {
        Self { from: From::Http(body, pieces::Reader::default()), put_back: Bytes::new() }
    }

    /// Those of an agent in this process.
    pub(super) fn near(pieces: mpsc::Receiver<Piece>) -> Self {
        Self { from: From::Near(pieces), put_back: Bytes::new() }
    }

    /// Has data that was taken come again, as the next piece.
    pub(super) fn put_back(&mut self, data: Bytes) {
        self.put_back = data;
    }

    /// The next piece, the last of which is the end.
    ///
    /// # Errors
    ///
    /// [`Error::CallLost`] where the host went away before the end.
    pub(super) async fn next(&mut self) -> Result<Piece, Error> {
        if !self.put_back.is_empty() {
            return Ok(Piece::Data(std::mem::take(&mut self.put_back)));
        }
        let (body, reader) = match &mut self.from {
            From::Near(pieces) => return pieces.recv().await.ok_or(Error::CallLost),
            From::Http(body, reader) => (body, reader),
        };
        loop {
            if let Some(piece) = reader.piece().map_err(|_| Error::CallLost)? {
                return Ok(piece);
            }
            let frame = body.frame().await.ok_or(Error::CallLost)?.map_err(|_| Error::CallLost)?;
            if let Ok(part) = frame.into_data() {
                reader.push(&part);
            }
        }
    }
}

/// A call that answers: what is known of it by now, and what it says.
pub(super) struct Opened {
    pub(super) called: Called,
    pub(super) payload: Payload,
    /// The version that runs.
    pub(super) version: String,
    pub(super) meter: Meter,
}

/// What a call in pieces takes of the limits, until its last one.
pub(super) type Held = (Meter, Place);

/// A body of what `say` makes of each piece, the end included, which ends it.
pub(super) fn body(
    pieces: Pieces,
    held: Held,
    say: impl Fn(Piece) -> Result<Frame<Bytes>, Error> + Send + 'static,
) -> Body {
    let frames = stream::unfold(Some((pieces, held, say)), |state| async move {
        let (mut pieces, mut held, say) = state?;
        let piece = pieces.next().await;
        if let Ok(Piece::Ended(called, _)) = &piece {
            held.0.ended(called);
        }
        let ends = !matches!(piece, Ok(Piece::Data(_)));
        let said = piece.and_then(&say);
        Some((said, (!ends).then_some((pieces, held, say))))
    });
    Body::new(StreamBody::new(frames))
}

/// The answer to a native call: the pieces as they are. Where the function fails on the way, a
/// caller that takes trailers is told there; any other sees its body broken off.
pub(super) fn answer(opened: Opened, place: Place, takes_trailers: bool) -> Response<Body> {
    let Opened { called, payload, version, meter } = opened;
    let pieces = match payload {
        Payload::Whole(payload) => {
            return super::answer(super::Outcome { called, payload, version });
        }
        Payload::Pieces(pieces) => pieces,
    };
    let mut response = super::answer(super::Outcome { called, payload: Bytes::new(), version });
    if takes_trailers {
        let name = HeaderValue::from_static(ERROR_HEADER);
        response.headers_mut().insert(header::TRAILER, name);
    }
    *response.body_mut() = body(pieces, (meter, place), move |piece| match piece {
        Piece::Data(data) => Ok(Frame::data(data)),
        Piece::Ended(called, _) => match &called.error {
            None => Ok(Frame::data(Bytes::new())),
            Some(kind) if takes_trailers => Ok(Frame::trailers(failed(kind))),
            Some(_) => Err(Error::CallLost),
        },
    });
    response
}

fn failed(kind: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let kind = HeaderValue::try_from(kind);
    let kind = kind.unwrap_or_else(|_| HeaderValue::from_static("Function.Unknown"));
    trailers.insert(HeaderName::from_static(ERROR_HEADER), kind);
    trailers
}
