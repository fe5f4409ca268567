//! Bodies: read within limits of size and time, decompressed and compressed as the headers say.
//!
//! Always true: no more than the limit is held, also of a body that decompresses to more; a client
//! that stops sending is let go. A body that arrives in one piece is not copied.
//! Absent on purpose: what is in them.

use std::io::{self, Read as _, Write as _};

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http::{HeaderMap, header};
use http_body::Body;
use http_body_util::BodyExt as _;
use workflow::Clock;

use crate::aside::aside;
use crate::error::Error;
use crate::settings::Settings;

/// Smallest answer that is worth compressing.
const COMPRESS_BYTES_MIN: usize = 1_024;
/// Room made at once for a body whose length was told; the rest is made as it comes.
const ROOM_BYTES_MAX: usize = 4 << 20;

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    /// The zlib format, as HTTP has it.
    Deflate,
}

impl Encoding {
    /// The word for it in headers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The encoding of a request's body.
    ///
    /// # Errors
    ///
    /// [`Error::BodyUnknown`] for an encoding that is not read here.
    pub(crate) fn of_body(headers: &HeaderMap) -> Result<Self, Error> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Self::Identity) };
        let text = value.to_str().unwrap_or("?").trim();
        let all = [Self::Identity, Self::Gzip, Self::Deflate];
        let found = all.into_iter().find(|it| text.eq_ignore_ascii_case(it.as_str()));
        found.or_else(|| text.is_empty().then_some(Self::Identity)).ok_or_else(|| {
            let what = text.chars().take(80).collect();
            Error::BodyUnknown { what, takes: "gzip, deflate or identity" }
        })
    }

    /// The encoding that the answer is wanted in: the first of ours that is accepted.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::ACCEPT_ENCODING) else { return Self::Identity };
        let accepts = |encoding: Self| {
            let ours = |part: &&str| {
                let name = part.split(';').next().unwrap_or(part).trim();
                name.eq_ignore_ascii_case(encoding.as_str())
            };
            let text = value.to_str().unwrap_or_default();
            let refused = |part: &str| {
                let weight = part.split_once("q=").map(|(_, weight)| weight.trim());
                weight.and_then(|weight| weight.parse::<f32>().ok()).is_some_and(|it| it <= 0.0)
            };
            text.split(',').find(ours).is_some_and(|part| !refused(part))
        };
        let ours = [Self::Gzip, Self::Deflate];
        ours.into_iter().find(|encoding| accepts(*encoding)).unwrap_or(Self::Identity)
    }
}

/// Reads a whole body, and decompresses it.
///
/// # Errors
///
/// [`Error::BodyTooLarge`], [`Error::BodyStalled`], [`Error::BodyBroken`], or what
/// [`Encoding::of_body`] says.
pub(crate) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    settings: &Settings,
    clock: &Clock,
) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let encoding = Encoding::of_body(headers)?;
    let bytes_max = settings.body_bytes_max;
    let raw = collect(headers, body, (bytes_max, settings), clock).await?;
    match encoding {
        Encoding::Identity => Ok(raw),
        _ => aside(raw.len(), move || decompress(encoding, &raw, bytes_max)).await,
    }
}

/// Compresses an answer where that is wanted and worth it; says how it was compressed.
pub(crate) async fn compress(wanted: Encoding, body: Bytes) -> (Encoding, Bytes) {
    if wanted == Encoding::Identity || body.len() < COMPRESS_BYTES_MIN {
        return (Encoding::Identity, body);
    }
    let plain = body.clone();
    let packed = aside(body.len(), move || pack(wanted, &body).map_err(|_| Error::BodyBroken));
    packed.await.map_or((Encoding::Identity, plain), |packed| (wanted, packed))
}

/// Reads a whole body of at most so many bytes, as it was sent.
///
/// # Errors
///
/// [`Error::BodyTooLarge`], [`Error::BodyStalled`], [`Error::BodyBroken`].
pub(crate) async fn collect<B>(
    headers: &HeaderMap,
    mut body: B,
    (bytes_max, settings): (usize, &Settings),
    clock: &Clock,
) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let told = told.and_then(|text| text.parse::<usize>().ok());
    if told.is_some_and(|bytes| bytes > bytes_max) {
        return Err(Error::BodyTooLarge { bytes_max });
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let pause_ms = settings.body_pause_ms_max;
    loop {
        let frame = clock.within_ms(pause_ms, body.frame()).await;
        let frame = match frame.map_err(|_| Error::BodyStalled { pause_ms })? {
            None => break,
            Some(frame) => frame.map_err(|_| Error::BodyBroken)?,
        };
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > bytes_max {
            return Err(Error::BodyTooLarge { bytes_max });
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            let room = told.unwrap_or(0).min(ROOM_BYTES_MAX).max(first.len() + data.len());
            rest.reserve(room);
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn decompress(encoding: Encoding, raw: &[u8], bytes_max: usize) -> Result<Bytes, Error> {
    // One byte more than allowed tells a body that is too large from one that just fits.
    let limit = bytes_max as u64 + 1;
    let mut out = Vec::with_capacity(raw.len().saturating_mul(2).min(ROOM_BYTES_MAX));
    let done = match encoding {
        Encoding::Gzip => GzDecoder::new(raw).take(limit).read_to_end(&mut out),
        _ => ZlibDecoder::new(raw).take(limit).read_to_end(&mut out),
    };
    if out.len() > bytes_max {
        return Err(Error::BodyTooLarge { bytes_max });
    }
    let name = encoding.as_str();
    done.map_err(|_| Error::bad_request(format!("the body is not what {name} makes")))?;
    Ok(out.into())
}

fn pack(encoding: Encoding, body: &[u8]) -> io::Result<Bytes> {
    let out = Vec::with_capacity(body.len() / 2);
    let level = Compression::fast();
    if encoding == Encoding::Gzip {
        let mut encoder = GzEncoder::new(out, level);
        encoder.write_all(body)?;
        return encoder.finish().map(Bytes::from);
    }
    let mut encoder = ZlibEncoder::new(out, level);
    encoder.write_all(body)?;
    encoder.finish().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, header::HeaderValue::from_static(value))])
    }

    #[test]
    fn what_is_packed_is_unpacked_and_a_bomb_is_not() {
        let body = vec![7; 100_000];
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let packed = pack(encoding, &body).unwrap();
            assert_eq!(decompress(encoding, &packed, 100_000).unwrap(), body);
            let bomb = decompress(encoding, &packed, 99_999);
            assert_eq!(bomb, Err(Error::BodyTooLarge { bytes_max: 99_999 }));
            assert!(decompress(encoding, &body, 99_999).is_err());
            assert!(decompress(encoding, &packed[..packed.len() / 2], 100_000).is_err());
        }
    }

    #[test]
    fn an_encoding_is_used_only_where_it_is_accepted() {
        let cases = [
            ("gzip", Encoding::Gzip),
            ("br, deflate;q=0.5", Encoding::Deflate),
            ("gzip;q=0, deflate", Encoding::Deflate),
            ("gzip;q=0.0", Encoding::Identity),
            ("br", Encoding::Identity),
            ("*", Encoding::Identity),
        ];
        for (text, wanted) in cases {
            let headers = headers(header::ACCEPT_ENCODING, text);
            assert_eq!(Encoding::wanted(&headers), wanted, "{text}");
        }
        assert!(Encoding::of_body(&headers(header::CONTENT_ENCODING, "br")).is_err());
        let gzip = headers(header::CONTENT_ENCODING, "GZIP");
        assert_eq!(Encoding::of_body(&gzip), Ok(Encoding::Gzip));
    }
}
