//! Credentials: a token in every form that clients send, and whose it may be.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, header};
use serde_json::json;

use crate::harness::House;

async fn whoami(house: &House, authorization: &str) -> (u16, String) {
    let request = Request::get("/v1/whoami").header(header::AUTHORIZATION, authorization);
    let answer = house.send(request.body(Body::empty()).unwrap()).await;
    let told = answer.body["account"]["name"].as_str().unwrap_or(answer.code());
    (answer.status, told.to_owned())
}

fn basic(user: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
}

#[tokio::test]
async fn a_token_is_taken_as_bearer_and_as_the_password_of_its_account() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    house.account("bob").await;
    let token = &alice.secret;
    for good in [format!("Bearer {token}"), basic("", token), basic("alice", token)] {
        assert_eq!(whoami(&house, &good).await, (200, "alice".to_owned()), "{good}");
    }
    for bad in [
        basic("bob", token),
        basic("Alice", token),
        basic(token, ""),
        basic(token, token),
        basic("alice", "wrong"),
        basic("alice", &token.to_uppercase()),
        format!("Basic {token}"),
        format!("Token {token}"),
        token.clone(),
    ] {
        assert_eq!(whoami(&house, &bad).await, (401, "unauthenticated".to_owned()), "{bad}");
    }
}

/// Who names another account is not told that there was such a token.
#[tokio::test]
async fn an_ended_token_is_told_so_to_its_account_alone() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let wanted = json!({ "label": "short", "role": "reader", "lifetime_ms": 1_000 });
    let made = house.post(&alice, "/v1/tokens", wanted).await;
    let token = made.body["secret"].as_str().unwrap();
    assert_eq!(whoami(&house, &basic("alice", token)).await.0, 200);
    house.time.advance_ms(1_000);
    for (user, code) in
        [("alice", "token_expired"), ("", "token_expired"), ("bob", "unauthenticated")]
    {
        assert_eq!(whoami(&house, &basic(user, token)).await, (401, code.to_owned()), "{user:?}");
    }
}
