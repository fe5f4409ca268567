use proptest::prelude::*;

use super::*;

/// The headers of a request.
type Headers<'a> = &'a [(&'a str, &'a str)];

fn check(
    authorization: &str,
    secret: &str,
    request: &Request<'_>,
    headers: Headers<'_>,
    now_ms: u64,
) -> Result<(), Refusal> {
    let signed = Signed::read(authorization).expect("an authorization");
    let header = |name: &str| {
        headers.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
    };
    let sent: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    signed.check(&DayKey::of(secret, &signed.day), request, (header, &sent), now_ms)
}

const AMAZON: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
    SignedHeaders=content-type;host;x-amz-date, \
    Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
const AMAZON_SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

#[test]
fn the_published_example_holds() {
    let request = Request {
        method: "GET",
        path: "/",
        query: "Version=2010-05-08&Action=ListUsers",
        body: b"",
    };
    let headers = [
        ("content-type", "application/x-www-form-urlencoded;  charset=utf-8"),
        ("host", "iam.amazonaws.com"),
        ("x-amz-date", "20150830T123600Z"),
    ];
    let now_ms = 1_440_938_160_000;
    assert_eq!(check(AMAZON, AMAZON_SECRET, &request, &headers, now_ms), Ok(()));
    let wrong = check(AMAZON, "another", &request, &headers, now_ms);
    assert_eq!(wrong, Err(Refusal::Wrong));
    let changed = Request { body: b"x", ..request };
    assert_eq!(check(AMAZON, AMAZON_SECRET, &changed, &headers, now_ms), Err(Refusal::Wrong));
    for off_ms in [SKEW_MS_MAX + 1, DAY_MS] {
        for now_ms in [now_ms - off_ms, now_ms + off_ms] {
            let refused = check(AMAZON, AMAZON_SECRET, &request, &headers, now_ms);
            assert_eq!(refused, Err(Refusal::Skewed));
        }
    }
}

/// What botocore 1.43 signs, with a path that is encoded twice.
const BOTO: &str = "AWS4-HMAC-SHA256 \
    Credential=FHAKEXAMPLEEXAMPLE22/20261121/us-east-1/lambda/aws4_request, \
    SignedHeaders=host;x-amz-date;x-amz-log-type, \
    Signature=22fd6656c559815c3ba8ce1ab43e27b6357c0645ed2e079039058f188a08ec46";

#[test]
fn what_boto_signs_is_taken_and_nothing_else() {
    let request = Request {
        method: "POST",
        path: "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af%3Alive/invocations",
        query: "Qualifier=%24LATEST&A=b%20c",
        body: b"{\"a\": 1}",
    };
    let headers = [
        ("host", "127.0.0.1:8000"),
        ("x-amz-date", "20261121T093000Z"),
        ("x-amz-log-type", "Tail"),
    ];
    let (secret, now_ms) = ("secret/secret+secret", 1_795_253_400_000);
    assert_eq!(check(BOTO, secret, &request, &headers, now_ms), Ok(()));
    let changes: [(Request<'_>, Headers<'_>); 5] = [
        (Request { method: "PUT", ..request }, &headers),
        (Request { path: "/2015-03-31/functions/g/invocations", ..request }, &headers),
        (Request { query: "Qualifier=1&A=b%20c", ..request }, &headers),
        (Request { body: b"{\"a\": 2}", ..request }, &headers),
        (request, &[("host", "else"), headers[1], headers[2]]),
    ];
    for (request, headers) in changes {
        assert_eq!(check(BOTO, secret, &request, headers, now_ms), Err(Refusal::Wrong));
    }
    let more = [headers[0], headers[1], headers[2], ("x-amz-invocation-type", "Event")];
    assert_eq!(check(BOTO, secret, &request, &more, now_ms), Err(Refusal::Unsigned));
    let fewer = [headers[0], headers[2]];
    assert_eq!(check(BOTO, secret, &request, &fewer, now_ms), Err(Refusal::NoDate));
}

#[test]
fn slashes_that_follow_each_other_are_signed_as_one() {
    for (path, signed) in [("", ""), ("/", "/"), ("//a///b/", "/a/b/"), ("/a/../b", "/a/../b")] {
        assert_eq!(single_slashes(path), signed);
    }
}

#[test]
fn the_digest_that_was_sent_has_to_be_the_bodys() {
    let request = Request { method: "GET", path: "/", query: "", body: b"" };
    let headers = [
        ("host", "h"),
        ("x-amz-date", "20150830T123600Z"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ];
    let text =
        AMAZON.replace("content-type;host;x-amz-date", "host;x-amz-content-sha256;x-amz-date");
    let refused = check(&text, AMAZON_SECRET, &request, &headers, 1_440_938_160_000);
    assert_eq!(refused, Err(Refusal::Body));
}

#[test]
fn what_is_no_signature_is_not_read() {
    for text in [
        "",
        "Bearer x",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, Signature=00",
        &AMAZON.replace("/iam", ""),
        &AMAZON.replace("aws4_request", "other"),
        &AMAZON.replace("AKIDEXAMPLE", ""),
    ] {
        assert_eq!(Signed::read(text), None, "{text}");
    }
}

#[test]
fn a_new_key_is_unlike_any_other_and_not_printed() {
    let (one, other) = (AccessKey::generate(), AccessKey::generate());
    assert_eq!((one.id.len(), one.reveal().len()), (20, 40));
    assert!(one.id.starts_with(KEY_PREFIX));
    assert_ne!(one, other);
    assert!(!format!("{one:?}").contains(one.reveal()));
}

proptest! {
    #[test]
    fn a_moment_is_on_its_day(s in 0_u64..16_725_225_600) {
        let ms = s * 1_000;
        let text = format!(
            "{}T{:02}{:02}{:02}Z", day(ms), s / 3_600 % 24, s / 60 % 60, s % 60
        );
        prop_assert_eq!(moment(&text), Some(ms));
        prop_assert!(days(ms).contains(&day(ms)));
    }

    #[test]
    fn reading_never_fails_loudly(text in "\\PC*") {
        let _ = Signed::read(&text);
        let _ = Signed::read(&format!("AWS4-HMAC-SHA256 {text}"));
        let _ = moment(&text);
        let _ = decode(&text);
    }

    #[test]
    fn encoding_is_taken_back(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(decode(&encode(&bytes, false)), bytes);
    }
}
