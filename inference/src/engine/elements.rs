//! Elements: bytes of the wire as numbers, and text.
//!
//! Always true: nothing is copied where the bytes lie as the numbers need them.

use std::borrow::Cow;

use bytemuck::{CheckedBitPattern, NoUninit, Zeroable};
use bytes::{BufMut as _, Bytes, BytesMut};

use crate::fault::Fault;

/// The bytes of all parts as numbers; borrowed where there is one part and it is aligned.
///
/// # Errors
///
/// A bad request where the bytes are no numbers of this type.
pub(super) fn numbers<T>(parts: &[Bytes]) -> Result<Cow<'_, [T]>, Fault>
where
    T: CheckedBitPattern + NoUninit + Zeroable,
{
    if let [part] = parts
        && let Ok(numbers) = bytemuck::checked::try_cast_slice(part)
    {
        return Ok(Cow::Borrowed(numbers));
    }
    let size = size_of::<T>();
    let bytes: usize = parts.iter().map(Bytes::len).sum();
    let mut numbers = Vec::with_capacity(bytes / size);
    for part in parts {
        gather(part, size, &mut numbers)?;
    }
    Ok(Cow::Owned(numbers))
}

fn gather<T>(part: &[u8], size: usize, numbers: &mut Vec<T>) -> Result<(), Fault>
where
    T: CheckedBitPattern + NoUninit + Zeroable,
{
    let refuse = |error| Fault::bad(format!("the data does not fit its datatype: {error:?}"));
    if let Ok(aligned) = bytemuck::checked::try_cast_slice::<u8, T>(part) {
        numbers.extend_from_slice(aligned);
        return Ok(());
    }
    for element in part.chunks_exact(size) {
        numbers.push(bytemuck::checked::try_pod_read_unaligned(element).map_err(refuse)?);
    }
    Ok(())
}

/// The elements of `BYTES` data: each its length in four little-endian bytes, then its bytes.
///
/// # Errors
///
/// None where a length passes the end.
pub(crate) fn texts(mut data: &[u8]) -> Option<Vec<&[u8]>> {
    let mut texts = Vec::new();
    while !data.is_empty() {
        let (head, rest) = data.split_first_chunk::<4>()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*head) as usize)?;
        texts.push(text);
        data = rest;
    }
    Some(texts)
}

/// The same the other way.
pub(super) fn write_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Bytes {
    let mut data = BytesMut::new();
    for text in texts {
        // A text above four gibibytes does not fit a frame in any case.
        data.put_u32_le(u32::try_from(text.len()).unwrap_or(u32::MAX));
        data.put_slice(text.as_bytes());
    }
    data.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn aligned_bytes_are_used_in_place_and_others_are_copied() {
        let whole = Bytes::from_owner(bytemuck::cast_slice::<u32, u8>(&[7, 8, 9]).to_vec());
        let pad = whole.as_ptr().align_offset(4);
        let mut shifted = vec![0; pad + 1];
        shifted.extend_from_slice(&[7, 0, 0, 0, 8, 0, 0, 0]);
        let parts = [Bytes::from(shifted).slice(pad + 1..)];
        assert_eq!(numbers::<u32>(&parts).unwrap().as_ref(), [7, 8]);
        let two = [whole.slice(..4), whole.slice(4..)];
        assert_eq!(numbers::<u32>(&two).unwrap().as_ref(), [7, 8, 9]);
        assert!(numbers::<bool>(&[Bytes::from_static(&[0, 1, 2])]).is_err());
    }

    proptest! {
        /// Text survives the wire's layout.
        #[test]
        fn texts_survive(words in proptest::collection::vec(".{0,20}", 0..20)) {
            let data = write_texts(words.iter().map(String::as_str));
            let back = texts(&data).unwrap();
            let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            prop_assert_eq!(back, words);
        }

        /// No bytes make it panic.
        #[test]
        fn any_bytes_are_texts_or_not(data in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = texts(&data);
        }
    }
}
