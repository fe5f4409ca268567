use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn shares_of_a_salt_are_nested(
        key: Vec<u8>,
        salt: Vec<u8>,
        small_bp in 0..=WHOLE_BP,
        more_bp in 0..=WHOLE_BP,
    ) {
        let large_bp = (small_bp + more_bp).min(WHOLE_BP);
        prop_assert!(!has(&key, &salt, small_bp) || has(&key, &salt, large_bp));
        prop_assert!(!has(&key, &salt, 0) && has(&key, &salt, WHOLE_BP));
    }

    /// Where a salt ends and a key begins is no accident of their bytes.
    #[test]
    fn a_salt_is_not_the_beginning_of_a_key(text in prop::collection::vec(any::<u8>(), 1..40), at: usize) {
        let at = at % text.len();
        prop_assert_ne!(place(&text[at..], &text[..at]), place(b"", &text));
    }
}

#[test]
fn of_many_keys_a_share_has_its_part() {
    const KEYS: u32 = 100_000;
    for salt in ["run 1", "run 2", ""] {
        for share_bp in [100, 500, 2_500, 5_000] {
            let chosen = (0..KEYS)
                .filter(|key| has(format!("customer-{key}").as_bytes(), salt.as_bytes(), share_bp));
            let (chosen, expected) = (chosen.count(), KEYS as usize / 10_000 * share_bp as usize);
            // Five standard deviations, of which the square is at most the number that is expected.
            let off = chosen.abs_diff(expected);
            assert!(off * off <= 25 * expected, "{salt:?} {share_bp}: {chosen} of {expected}");
        }
    }
}

#[test]
fn salts_draw_anew() {
    let both = (0..100_000_u32)
        .map(u32::to_le_bytes)
        .filter(|key| has(key, b"one", 1_000) && has(key, b"other", 1_000));
    let both = both.count();
    assert!((850..=1_150).contains(&both), "{both} of 1,000");
}

#[test]
fn places_stay_where_they_are() {
    let places = [("", ""), ("customer-7", ""), ("customer-7", "run 1")];
    let places =
        places.map(|(key, salt)| format!("{:016x}", place(key.as_bytes(), salt.as_bytes())));
    insta::assert_debug_snapshot!(places);
}
