//! The frames of an event stream, as streamed calls are answered.
//!
//! Source: "Event stream encoding" (application/vnd.amazon.eventstream): lengths, a checksum of
//! them, headers, a payload, and a checksum of all, all numbers big-endian.

use bytes::{BufMut as _, Bytes, BytesMut};

/// Largest payload of one frame.
const PIECE_BYTES_MAX: usize = 1 << 20;
/// Bytes of a frame beside its headers and payload.
const FRAME_BYTES: usize = 16;
/// The type of a header's value that is text.
const TEXT: u8 = 7;

/// A payload, or a part of one, in as many frames as it needs.
pub(super) fn chunks(payload: &Bytes) -> Bytes {
    let mut out = BytesMut::new();
    for piece in payload.chunks(PIECE_BYTES_MAX) {
        frame(&mut out, ("PayloadChunk", "application/octet-stream"), piece);
    }
    out.freeze()
}

/// The frame that says how it ended, as JSON.
pub(super) fn complete(how: &str) -> Bytes {
    let mut out = BytesMut::new();
    frame(&mut out, ("InvokeComplete", "application/json"), how.as_bytes());
    out.freeze()
}

fn frame(out: &mut BytesMut, (event, content): (&str, &str), payload: &[u8]) {
    let mut headers = BytesMut::new();
    let told = [(":event-type", event), (":content-type", content), (":message-type", "event")];
    for (name, value) in told {
        headers.put_u8(name.len().to_be_bytes()[size_of::<usize>() - 1]);
        headers.put_slice(name.as_bytes());
        headers.put_u8(TEXT);
        headers.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        headers.put_slice(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let start = out.len();
    out.put_u32(length(FRAME_BYTES + headers.len() + payload.len()));
    out.put_u32(length(headers.len()));
    out.put_u32(crc32fast::hash(&out[start..]));
    out.put_slice(&headers);
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out[start..]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_as_long_as_it_says_and_its_checksums_hold() {
        let payload = Bytes::from(vec![7; PIECE_BYTES_MAX + 1]);
        let out = [chunks(&payload), complete("{}")].concat();
        let mut rest = &out[..];
        let mut payloads = Vec::new();
        while !rest.is_empty() {
            let number =
                |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
            let (total, headers) = (number(0), number(4));
            assert_eq!(number(8), crc32fast::hash(&rest[..8]) as usize);
            assert_eq!(number(total - 4), crc32fast::hash(&rest[..total - 4]) as usize);
            payloads.push(rest[12 + headers..total - 4].to_vec());
            rest = &rest[total..];
        }
        assert_eq!(payloads.len(), 3);
        assert_eq!(payloads[..2].concat(), payload);
        assert_eq!(payloads[2], b"{}");
    }
}
