//! Frames: how events lie in a log file, one after the other.
//!
//! A frame is the length of its body in four bytes, a CRC-32 of length and body in four, and the body:
//! the time of its acceptance in eight, and the event in Protocol Buffers. Numbers are little-endian.
//! In a file that is encrypted, a frame is a sealed one ([`crate::key::file`]) with the same body.
//! Always true: what is read is what was written; bytes that are no frame are told from one, and so is a
//! sealed frame at another place than its own.

use prost::Message as _;

use crate::event::{EVENT_BYTES_MAX, Event};
use crate::key::file::{FileKey, Opened, SEAL_BYTES};

/// Length and checksum.
const HEAD_BYTES: usize = 8;
/// The time of acceptance.
const STAMP_BYTES: usize = 8;
/// Longest frame, sealed or not.
pub(crate) const FRAME_BYTES_MAX: usize = SEAL_BYTES + STAMP_BYTES + EVENT_BYTES_MAX;

/// How the frames of a file are written.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    Plain,
    Sealed(FileKey),
}

impl Form {
    /// Appends the frame of the event with this number.
    pub(crate) fn write(&self, to: &mut Vec<u8>, event: &Event, (accepted_us, number): (u64, u64)) {
        match self {
            Self::Plain => write(to, event, accepted_us),
            Self::Sealed(key) => key.write(to, number, |to| {
                to.extend_from_slice(&accepted_us.to_le_bytes());
                event.encode_raw(to);
            }),
        }
    }

    /// Reads the frame at the beginning, of the event with this number.
    pub(crate) fn read(&self, from: &[u8], number: u64) -> Read {
        match self {
            Self::Plain => read(from),
            Self::Sealed(key) => match key.open(from, number, STAMP_BYTES + EVENT_BYTES_MAX) {
                Opened::Frame { body, bytes } => decoded(&body, bytes),
                Opened::Part => Read::Part,
                Opened::Bad => Read::Bad,
            },
        }
    }
}

/// How long an event's frame is, where it is not sealed.
pub(crate) fn length(event: &Event) -> usize {
    HEAD_BYTES + STAMP_BYTES + event.encoded_len()
}

/// Appends a frame.
pub(crate) fn write(to: &mut Vec<u8>, event: &Event, accepted_us: u64) {
    let at = to.len();
    to.extend_from_slice(&[0; HEAD_BYTES]);
    to.extend_from_slice(&accepted_us.to_le_bytes());
    event.encode_raw(to);
    let body_bytes = u32::try_from(to.len() - at - HEAD_BYTES).unwrap_or(u32::MAX);
    to[at..at + 4].copy_from_slice(&body_bytes.to_le_bytes());
    let sum = checksum(body_bytes, &to[at + HEAD_BYTES..]);
    to[at + 4..at + HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "lives for one step of a loop")]
pub(crate) enum Read {
    /// A frame of so many bytes.
    Frame { event: Event, accepted_us: u64, bytes: usize },
    /// Perhaps the beginning of a frame: there have to be more bytes.
    Part,
    /// No frame.
    Bad,
}

/// Reads the frame at the beginning.
pub(crate) fn read(from: &[u8]) -> Read {
    let Some((head, rest)) = from.split_first_chunk::<HEAD_BYTES>() else { return Read::Part };
    let [a, b, c, d, sum @ ..] = *head;
    let body_bytes = u32::from_le_bytes([a, b, c, d]);
    let length = body_bytes as usize;
    if !(STAMP_BYTES..=STAMP_BYTES + EVENT_BYTES_MAX).contains(&length) {
        return Read::Bad;
    }
    let Some(body) = rest.get(..length) else { return Read::Part };
    if checksum(body_bytes, body) != u32::from_le_bytes(sum) {
        return Read::Bad;
    }
    decoded(body, HEAD_BYTES + length)
}

/// The event of a frame's body.
fn decoded(body: &[u8], bytes: usize) -> Read {
    let Some((stamp, event)) = body.split_first_chunk::<STAMP_BYTES>() else { return Read::Bad };
    match Event::decode(event) {
        Ok(event) => Read::Frame { event, accepted_us: u64::from_le_bytes(*stamp), bytes },
        Err(_) => Read::Bad,
    }
}

fn checksum(body_bytes: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&body_bytes.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::tests::any_event;

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(event in any_event(), accepted_us: u64, rest: Vec<u8>) {
            let mut bytes = Vec::new();
            write(&mut bytes, &event, accepted_us);
            let length = bytes.len();
            prop_assert_eq!(length, super::length(&event));
            for cut in [0, 1, length / 2, length - 1] {
                prop_assert_eq!(read(&bytes[..cut]), Read::Part);
            }
            bytes.extend(rest);
            prop_assert_eq!(read(&bytes), Read::Frame { event, accepted_us, bytes: length });
        }

        #[test]
        fn a_changed_byte_is_seen(event in any_event(), place: prop::sample::Index, by in 1_u8..) {
            let mut bytes = Vec::new();
            write(&mut bytes, &event, 7);
            let place = place.index(bytes.len());
            bytes[place] ^= by;
            prop_assert!(!matches!(read(&bytes), Read::Frame { .. }), "byte {place}");
        }

        #[test]
        fn any_bytes_are_a_frame_or_not(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
