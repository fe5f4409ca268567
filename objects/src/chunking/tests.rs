use fastcdc::v2020::FastCDC;
use proptest::prelude::*;

use super::*;

/// Bytes that look random and are the same every time.
fn noise(seed: u8, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut out);
    out
}

fn cut_in_pieces(content: &[u8], piece_bytes: usize) -> Vec<usize> {
    let (mut chunker, mut lengths, mut joined) = (Chunker::new(), Vec::new(), Vec::new());
    for piece in content.chunks(piece_bytes.max(1)) {
        chunker.push(piece);
        while let Some(chunk) = chunker.next_chunk() {
            lengths.push(chunk.len());
            joined.extend_from_slice(&chunk);
        }
    }
    while let Some(chunk) = chunker.last_chunk() {
        lengths.push(chunk.len());
        joined.extend_from_slice(&chunk);
    }
    assert!(joined == content, "the chunks joined are the content");
    lengths
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The cuts are those of the published algorithm, however the bytes arrive.
    #[test]
    fn cuts_do_not_depend_on_how_bytes_arrive(
        seed in any::<u8>(),
        bytes in 0..7_000_000usize,
        piece_bytes in 1_000..3_000_000usize,
    ) {
        let content = noise(seed, bytes);
        let whole = FastCDC::new(&content, BYTES_MIN, BYTES_AVERAGE, BYTES_MAX);
        let expected: Vec<usize> = whole.map(|chunk| chunk.length).collect();
        prop_assert_eq!(cut_in_pieces(&content, piece_bytes), expected);
    }
}

#[test]
fn chunks_keep_their_bounds_and_an_insertion_stays_local() {
    let mut content = noise(1, 24_000_000);
    let before = cut_in_pieces(&content, 1 << 20);
    let (last, others) = before.split_last().unwrap();
    assert!(*last <= BYTES_MAX);
    assert!(others.iter().all(|bytes| (BYTES_MIN..=BYTES_MAX).contains(bytes)));

    content.splice(12_000_000..12_000_000, *b"inserted");
    let after = cut_in_pieces(&content, 1 << 20);
    let same_start = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let same_end = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
    assert!(same_start + same_end + 4 >= before.len(), "{before:?} {after:?}");
}

#[test]
fn constant_content_is_cut_at_the_largest_size() {
    assert_eq!(cut_in_pieces(&vec![0; 5_000_000], 300_000), [BYTES_MAX, BYTES_MAX, 805_696]);
}
