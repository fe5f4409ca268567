use proptest::prelude::*;

use super::*;

fn basic(user: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
}

#[test]
fn a_secret_is_found_in_bearer_and_basic_headers_only() {
    let encoded = STANDARD.encode("acme:fh_1");
    for (good, user) in [
        ("Bearer fh_1".to_owned(), None),
        (" bearer  fh_1 ".to_owned(), None),
        (basic("", "fh_1"), None),
        (format!("BASIC  {encoded} "), Some("acme")),
    ] {
        let found = Credentials::read(&good).unwrap();
        assert_eq!((found.user.as_deref(), found.secret()), (user, "fh_1"), "{good}");
    }
    for bad in [
        "",
        "fh_1",
        "Bearer",
        "Bearer ",
        "Basic",
        "Digest fh_1",
        "Basic !!",
        "Basic fh_1",
        basic("acme", "fh_12").trim_end_matches('='),
        &format!("Basic {}", STANDARD.encode("no colon")),
        &format!("Basic {}", STANDARD.encode(b"acme:\xff")),
        &basic("acme", ""),
        &basic("", ""),
    ] {
        assert_eq!(Credentials::read(bad), None, "{bad}");
    }
}

#[test]
fn a_name_that_came_has_to_be_the_accounts_and_no_secret_is_printed() {
    let read = |user| Credentials::read(&basic(user, "fh_secret")).unwrap();
    assert!(read("").may_be_of("acme") && read("acme").may_be_of("acme"));
    assert!(Credentials::bearer("fh_secret").may_be_of("acme"));
    for other in ["borealis", "ACME", "acme ", " ", "fh_secret"] {
        assert!(!read(other).may_be_of("acme"), "{other:?}");
    }
    assert!(!format!("{:?}", read("acme")).contains("secret"));
}

proptest! {
    /// What was sent is what is read: a name has no colon, a password may.
    #[test]
    fn what_was_sent_is_read(user in "[^:]{0,40}", secret in ".{1,80}", token in "[!-~]{1,80}") {
        let read = Credentials::read(&basic(&user, &secret)).unwrap();
        prop_assert_eq!(read.user.as_deref().unwrap_or_default(), &user);
        prop_assert_eq!(read.secret(), &secret);
        let read = Credentials::read(&format!("Bearer {token}"));
        prop_assert_eq!(read, Some(Credentials::bearer(token)));
    }

    /// Whatever comes does no harm, and what is found in it was there.
    #[test]
    fn any_header_is_read_without_harm(
        header in prop_oneof![
            ".{0,200}",
            "(Basic|Bearer|basic|bearer)[ \t]{0,3}[A-Za-z0-9+/=]{0,60}[ \t]{0,2}",
            prop::collection::vec(any::<u8>(), 0..80)
                .prop_map(|bytes| format!("Basic {}", STANDARD.encode(bytes))),
        ],
    ) {
        let Some(found) = Credentials::read(&header) else { return Ok(()) };
        prop_assert!(!found.secret().is_empty());
        let sent = match &found.user {
            Some(user) => basic(user, found.secret()),
            None if header.trim_start()[..6].eq_ignore_ascii_case("bearer") => return Ok(()),
            None => basic("", found.secret()),
        };
        let encoded = |text: &str| text.trim()[6..].trim().to_owned();
        prop_assert_eq!(encoded(&sent), encoded(&header));
    }
}
