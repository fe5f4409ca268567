//! Lists as parameters: neither database takes an array that the other understands, so a list of
//! texts of equal length goes in as one text, which the statement cuts up again.
//!
//! Always true: a batch is short enough that cutting it up costs little (each cut counts its
//! characters from the start).

use std::fmt::Display;

/// Most texts in one statement.
pub(crate) const BATCH_MAX: usize = 256;
/// Characters of an account's id.
pub(crate) const ACCOUNT_ID_CHARS: usize = "acct-".len() + 32;
/// Characters of an item's id.
pub(crate) const ITEM_ID_CHARS: usize = "item-".len() + 32;
/// Characters of a digest.
pub(crate) const DIGEST_CHARS: usize = 64;

/// A batch of texts, and how many they are.
pub(crate) struct Batch {
    pub(crate) joined: String,
    pub(crate) count: u64,
}

/// Cuts a list into batches. `chars` is the length that the statement cuts by.
pub(crate) fn batches<T: Display>(
    list: &[T],
    chars: usize,
) -> impl Iterator<Item = Batch> + use<'_, T> {
    list.chunks(BATCH_MAX).map(move |part| {
        let joined: String = part.iter().map(ToString::to_string).collect();
        debug_assert_eq!(joined.len(), part.len() * chars, "texts of another length");
        Batch { joined, count: part.len() as u64 }
    })
}
