//! Errors as clients see them: every variant, golden.

use api::problem::status_of;
use axum::response::IntoResponse as _;
use control::Error;
use control::http::problem::ApiError;
use http_body_util::BodyExt as _;
use serde_json::json;
use types::ErrorKind;

use crate::harness::House;

fn lost() -> sqlx::Error {
    sqlx::Error::PoolTimedOut
}

fn full() -> std::io::Error {
    std::io::ErrorKind::StorageFull.into()
}

fn manifest() -> objects::blobs::Key {
    let account = types::AccountId::new(uuid::Uuid::from_u128(1));
    objects::blobs::Key::Manifest {
        account,
        object: types::ObjectId::new(uuid::Uuid::from_u128(2)),
    }
}

/// One of each variant.
fn every() -> Vec<Error> {
    let (action, what) = ("fetch an item", "chunk".to_owned());
    let text = |text: &str| text.to_owned();
    vec![
        Error::NotFound { what: text("the item alice/double") },
        Error::Unauthenticated,
        Error::BadSignature(access::signature::Refusal::Wrong),
        Error::TokenExpired,
        Error::EnrolmentRefused,
        Error::Forbidden { action: text("items.share") },
        Error::OwnerOnly { what: text("alice/double"), action: "see how much it is used" },
        Error::Invalid { code: "bad_request", message: text("limit has to be at least 1") },
        Error::NameTaken { name: text("answers") },
        Error::Stale { stored: 7 },
        Error::Conflict { code: "missing_chunks", message: text("3 chunks are not here") },
        Error::TooLarge { what: "the object", limit: text("64 GiB") },
        Error::NoResources { message: text("no host is ready"), later: true },
        Error::DatabaseUnavailable(store::Error::Unavailable { action, source: lost() }),
        Error::DatabaseFull(store::Error::Full { action, source: lost() }),
        Error::Store(store::Error::Database { action, source: lost() }),
        Error::StorageUnavailable(objects::Error::Unreachable {
            action,
            what: what.clone(),
            source: "refused".into(),
        }),
        Error::StorageFull(objects::Error::Full { action, what: what.clone(), source: full() }),
        Error::ObjectCorrupt(objects::Error::Corrupt { what: manifest() }),
        Error::Objects(objects::Error::Io { action, what, source: full() }),
        Error::internal("could not write a request", "secret cause"),
    ]
}

/// Does not compile when a variant is added; add it above too.
fn known(error: &Error) {
    match error {
        Error::NotFound { .. }
        | Error::Unauthenticated
        | Error::BadSignature(_)
        | Error::TokenExpired
        | Error::EnrolmentRefused
        | Error::Forbidden { .. }
        | Error::OwnerOnly { .. }
        | Error::Invalid { .. }
        | Error::NameTaken { .. }
        | Error::Stale { .. }
        | Error::Conflict { .. }
        | Error::TooLarge { .. }
        | Error::NoResources { .. }
        | Error::DatabaseUnavailable(_)
        | Error::DatabaseFull(_)
        | Error::Store(_)
        | Error::StorageUnavailable(_)
        | Error::StorageFull(_)
        | Error::ObjectCorrupt(_)
        | Error::Objects(_)
        | Error::Internal { .. } => {}
    }
}

#[tokio::test]
async fn every_error_has_a_status_a_code_and_words() {
    let mut text = String::new();
    for error in every() {
        known(&error);
        let response = ApiError::from(error).into_response();
        let (status, retry) =
            (response.status().as_u16(), response.headers().get("retry-after").is_some());
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let again = if retry { ", to be tried again" } else { "" };
        text += &format!("{status}{again} {}\n", String::from_utf8_lossy(&body));
    }
    assert!(!text.contains("secret cause"));
    insta::assert_snapshot!(text);
}

#[test]
fn every_code_has_a_page_and_keeps_its_meaning() {
    for error in every() {
        let known = api::errors::find(error.code());
        let known = known.unwrap_or_else(|| panic!("{} has no page", error.code()));
        assert_eq!(known.kind, error.kind(), "{}", error.code());
    }
}

#[test]
fn every_kind_has_one_status() {
    let kinds = [
        ErrorKind::BadRequest,
        ErrorKind::Unauthenticated,
        ErrorKind::Forbidden,
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::TooLarge,
        ErrorKind::Busy,
        ErrorKind::Timeout,
        ErrorKind::Unavailable,
        ErrorKind::Internal,
    ];
    let table: Vec<String> =
        kinds.iter().map(|kind| format!("{kind:?}: {}", status_of(*kind).as_u16())).collect();
    insta::assert_snapshot!(table.join("\n"));
}

/// Neither database stores one, so it is refused before anything is done.
#[tokio::test]
async fn a_zero_character_is_refused_wherever_it_stands() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    for (label, status) in [
        ("a\u{0}b", 400),
        ("\u{0}", 400),
        ("a \\ and a quote \" and \u{0}", 400),
        ("\\u0000 is five letters and a backslash", 201),
        ("ends in a backslash \\", 201),
    ] {
        let wanted = json!({ "label": label, "role": "reader" });
        let answer = house.post(&alice, "/v1/tokens", wanted).await;
        assert_eq!(answer.status, status, "{label:?}: {answer:?}");
    }
    let environment = json!({ "GREETING": "hello\u{0}" });
    let object = house.upload(&alice, &[0; 1024]).await;
    let wanted = json!({
        "name": "f", "runtime": "provided", "object": object, "environment": environment
    });
    assert_eq!(house.post(&alice, "/v1/functions", wanted).await.status, 400);
}
