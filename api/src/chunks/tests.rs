use fastcdc::v2020::FastCDC;

use super::*;

/// Bytes that are the same on every machine: xorshift64* from a seed.
fn seeded(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A reader that gives a few bytes at a time.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(4_093);
        self.0.read(&mut buffer[..most])
    }
}

/// The store cuts at the same places; a change here makes every stored object a stranger.
#[test]
fn the_cuts_of_a_known_stream_stay_where_they_are() {
    let bytes = seeded(6 << 20, 42);
    let mut table = String::new();
    for found in cut(bytes.as_slice()) {
        let found = found.unwrap();
        table += &format!("{:8} {:8} {}\n", found.offset, found.chunk.bytes, found.chunk.hash);
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_chunks_in_order_are_the_stream_however_it_is_read() {
    let bytes = seeded(5 << 20, 7);
    let quick: Vec<_> = cut(bytes.as_slice()).map(Result::unwrap).collect();
    let slow: Vec<_> = cut(Slow(&bytes)).map(Result::unwrap).collect();
    assert_eq!(quick, slow);
    let joined: Vec<u8> = quick.iter().flat_map(|cut| cut.data.to_vec()).collect();
    assert_eq!(joined, bytes);
    for (number, cut) in quick.iter().enumerate() {
        let last = number + 1 == quick.len();
        assert!(cut.chunk.bytes <= CHUNK_BYTES_MAX);
        assert!(last || cut.chunk.bytes >= CHUNK_BYTES_MIN);
        assert_eq!(name(&cut.data), cut.chunk);
    }
    let whole = FastCDC::new(
        &bytes,
        CHUNK_BYTES_MIN as usize,
        CHUNK_BYTES_AVERAGE as usize,
        CHUNK_BYTES_MAX as usize,
    );
    let offsets: Vec<_> = whole.map(|chunk| chunk.offset as u64).collect();
    assert_eq!(offsets, quick.iter().map(|cut| cut.offset).collect::<Vec<_>>());
}

#[test]
fn a_small_change_moves_few_chunks() {
    let before = seeded(8 << 20, 3);
    let mut after = before.clone();
    after.splice(1_000_000..1_000_000, *b"inserted");
    let hashes = |bytes: &[u8]| {
        let cuts = cut(bytes).map(|found| found.unwrap().chunk.hash);
        cuts.collect::<std::collections::BTreeSet<_>>()
    };
    let (before, after) = (hashes(&before), hashes(&after));
    assert!(after.difference(&before).count() <= 3);
}

#[test]
fn nothing_has_no_chunks() {
    assert_eq!(cut(io::empty()).count(), 0);
}

#[test]
fn a_body_of_chunks_comes_apart_as_it_was_put_together() {
    let mut body = Vec::new();
    append(&mut body, b"one");
    append(&mut body, b"another");
    let body = Bytes::from(body);
    assert_eq!(split(body.clone()).unwrap(), [&b"one"[..], b"another"]);
    for end in 1..body.len() {
        if end != 7 {
            assert_eq!(split(body.slice(..end)), None, "cut at {end}");
        }
    }
    assert_eq!(split(Bytes::from_static(&[0, 0, 0, 0])), None);
    assert_eq!(split(Bytes::from_static(&[0xff; 8])), None);
}
