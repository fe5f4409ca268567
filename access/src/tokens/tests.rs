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
fn a_secret_is_found_in_bearer_and_basic_headers_only() {
    let secret = Secret::generate();
    let text = secret.reveal();
    let basic = STANDARD.encode(format!("anything:{text}"));
    for good in [format!("Bearer {text}"), format!("bearer  {text}"), format!("Basic {basic}")] {
        assert_eq!(secret_in(&good).as_deref(), Some(text), "{good}");
    }
    for bad in [
        text.to_owned(),
        format!("Digest {text}"),
        "Bearer fh_123".to_owned(),
        "Bearer ".to_owned(),
        "Basic !!".to_owned(),
        format!("Basic {text}"),
        format!("Bearer {}", text.to_uppercase()),
    ] {
        assert_eq!(secret_in(&bad), None, "{bad}");
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
    /// No header makes the reader panic, and what it finds is well formed.
    #[test]
    fn any_header_is_read_without_harm(header in ".{0,200}") {
        if let Some(found) = secret_in(&header) {
            prop_assert!(is_well_formed(&found));
        }
    }

    /// Another text never matches.
    #[test]
    fn only_the_same_text_matches(one in ".{0,80}", other in ".{0,80}") {
        prop_assert_eq!(matches(&one, &digest_of(&other)), one == other);
    }
}
