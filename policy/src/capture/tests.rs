use proptest::prelude::*;

use super::*;
use crate::alias::WHOLE_BP;

proptest! {
    #[test]
    fn a_share_that_grows_keeps_whom_it_had(
        key: Vec<u8>,
        small_bp in 0..=WHOLE_BP,
        more_bp in 0..=WHOLE_BP,
    ) {
        let large_bp = (small_bp + more_bp).min(WHOLE_BP);
        prop_assert!(!keeps(&key, "e", small_bp) || keeps(&key, "e", large_bp));
        prop_assert!(!keeps(&key, "e", 0) && keeps(&key, "e", WHOLE_BP));
    }
}

/// What is kept of a canary is its part and no more: its customers are no others than the rest.
#[test]
fn a_capture_has_its_part_of_every_variant() {
    let keys = (0..100_000_u32).map(u32::to_le_bytes);
    let canary = keys.filter(|key| share::has(key, b"endpoint-1", 1_000));
    let (mut all, mut kept) = (0_u32, 0_u32);
    for key in canary {
        all += 1;
        kept += u32::from(keeps(&key, "endpoint-1", 1_000));
    }
    assert!((9_500..=10_500).contains(&all), "{all}");
    assert!((850..=1_150).contains(&kept), "{kept} of {all}");
}
