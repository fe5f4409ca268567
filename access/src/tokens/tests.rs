use proptest::prelude::*;

use super::*;

#[test]
fn a_new_secret_is_well_formed_unlike_any_other_and_not_printed() {
    let (one, other) = (Secret::generate(), Secret::generate());
    assert!(is_well_formed(one.reveal()));
    assert_ne!(one, other);
    assert!(!format!("{one:?}").contains(&one.reveal()[3..]));
    assert!(matches(one.reveal(), &one.digest()));
    assert!(!matches(one.reveal(), &other.digest()));
}

#[test]
fn the_stored_digest_is_sha_256_of_the_text() {
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(digest_of("abc").to_string(), known);
}

#[test]
fn only_a_whole_secret_is_well_formed() {
    let secret = Secret::generate();
    let text = secret.reveal();
    for bad in ["", "fh_", "fh_123", &text[3..], &text.to_uppercase(), &format!("{text}0")] {
        assert!(!is_well_formed(bad), "{bad}");
    }
}

#[test]
fn a_token_ends_at_its_time_and_a_revoked_one_at_once() {
    assert_eq!(standing(None, None, u64::MAX), Standing::Valid);
    assert_eq!(standing(Some(10), None, 9), Standing::Valid);
    assert_eq!(standing(Some(10), None, 10), Standing::Expired);
    assert_eq!(standing(Some(10), Some(99), 0), Standing::Revoked);
}

proptest! {
    /// Another text never matches.
    #[test]
    fn only_the_same_text_matches(one in ".{0,80}", other in ".{0,80}") {
        prop_assert_eq!(matches(&one, &digest_of(&other)), one == other);
    }
}
