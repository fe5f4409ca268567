use proptest::prelude::*;

use super::*;

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|it| (*it).to_owned()).collect()
}

fn of<'h>(headers: &'h [Header], name: &str) -> Option<&'h str> {
    headers.iter().find(|(it, _)| *it == name).map(|(_, value)| value.as_str())
}

const ORIGIN: &str = "access-control-allow-origin";
const CREDENTIALS: &str = "access-control-allow-credentials";

#[test]
fn an_allowed_origin_is_told_what_it_may() {
    let (origins, methods) = (words(&["https://a.example"]), words(&["GET", "PUT"]));
    let (headers, exposed) = (words(&["X-One"]), words(&["x-two", "x-three"]));
    let rules = Rules {
        origins: &origins,
        methods: &methods,
        headers: &headers,
        exposed: &exposed,
        credentials: true,
        max_age_s: Some(60),
    };
    assert_eq!(rules.check(), Ok(()));
    let asked = Preflight { origin: "https://a.example", method: "PUT", headers: "x-one" };
    let told = rules.preflight(&asked);
    assert_eq!(of(&told, ORIGIN), Some("https://a.example"));
    assert_eq!(of(&told, CREDENTIALS), Some("true"));
    assert_eq!(of(&told, "access-control-allow-methods"), Some("GET,PUT"));
    assert_eq!(of(&told, "access-control-allow-headers"), Some("X-One"));
    assert_eq!(of(&told, "access-control-max-age"), Some("60"));
    assert_eq!(of(&told, "vary"), Some("origin"));
    for refused in [
        Preflight { origin: "https://b.example", ..asked },
        Preflight { method: "DELETE", ..asked },
        Preflight { headers: "x-one, x-other", ..asked },
    ] {
        assert_eq!(rules.preflight(&refused), [("vary", "origin".to_owned())], "{refused:?}");
    }
    let told = rules.answer(Some("https://a.example"));
    assert_eq!(of(&told, "access-control-expose-headers"), Some("x-two,x-three"));
    assert_eq!(rules.answer(Some("https://b.example")), [("vary", "origin".to_owned())]);
    assert_eq!(rules.answer(None), [("vary", "origin".to_owned())]);
}

#[test]
fn everything_is_named_as_it_was_asked_for() {
    let any = words(&["*"]);
    let open = Rules { origins: &any, methods: &any, headers: &any, ..Rules::default() };
    let asked = Preflight { origin: "https://a.example", method: "PUT", headers: "authorization" };
    let told = open.preflight(&asked);
    assert_eq!(of(&told, ORIGIN), Some("*"));
    assert_eq!(of(&told, "access-control-allow-methods"), Some("PUT"));
    assert_eq!(of(&told, "access-control-allow-headers"), Some("authorization"));
    let told = Rules { credentials: true, ..open }.answer(Some("https://a.example"));
    assert_eq!((of(&told, ORIGIN), of(&told, "vary")), (Some("https://a.example"), Some("origin")));
}

#[test]
fn rules_that_cannot_be_are_refused_in_words() {
    let refused = |rules: Rules<'_>| rules.check().unwrap_err().to_string();
    for origin in ["", "example.org", "https://", "https://a/b", "https://a, https://b", "a b://c"]
    {
        let origins = words(&[origin]);
        let told = refused(Rules { origins: &origins, ..Rules::default() });
        assert!(told.contains("is no origin"), "{told}");
    }
    let long = words(&[&format!("https://{}", "a".repeat(ORIGIN_BYTES_MAX))]);
    assert!(refused(Rules { origins: &long, ..Rules::default() }).contains("no origin"));
    let many = vec!["https://a.example".to_owned(); ENTRIES_MAX + 1];
    assert!(refused(Rules { origins: &many, ..Rules::default() }).contains("at most 100"));
    for method in ["get", "OPTIONS", ""] {
        let methods = words(&[method]);
        let told = refused(Rules { methods: &methods, ..Rules::default() });
        assert!(told.contains("is no method"), "{told}");
    }
    for header in ["", "a b", "a\n", "ä"] {
        let headers = words(&[header]);
        for rules in [
            Rules { headers: &headers, ..Rules::default() },
            Rules { exposed: &headers, ..Rules::default() },
        ] {
            assert!(refused(rules).contains("no name of a header"));
        }
    }
    let told = refused(Rules { max_age_s: Some(MAX_AGE_S + 1), ..Rules::default() });
    assert!(told.contains("at most 86400"), "{told}");
    assert_eq!(Rules { max_age_s: Some(MAX_AGE_S), ..Rules::default() }.check(), Ok(()));
}

proptest! {
    /// Whoever is not named learns nothing, and with credentials nobody is told of everybody.
    #[test]
    fn only_who_is_named_is_told(
        origins in proptest::collection::vec("https://[ab]|\\*", 0..3),
        origin in "https://[abc]",
        credentials: bool,
    ) {
        let any = words(&["*"]);
        let rules = Rules {
            origins: &origins, methods: &any, headers: &any, credentials, ..Rules::default()
        };
        let asked = Preflight { origin: &origin, method: "GET", headers: "" };
        let named = origins.iter().any(|it| it == ANY || *it == origin);
        for told in [rules.preflight(&asked), rules.answer(Some(&origin))] {
            prop_assert_eq!(of(&told, ORIGIN).is_some(), named);
            prop_assert!(of(&told, ORIGIN) != Some(ANY) || !credentials);
            prop_assert!(of(&told, CREDENTIALS).is_none() || (named && credentials));
        }
    }
}
