//! What the stories share: the program, who tells them, and raw HTTP.

use testkit::{Account, Cloud};
use types::{Name, Reference};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_freehold");

/// A name that is one.
pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A reference that is one.
pub(crate) fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

/// A producer and a requester who have never met.
pub(crate) async fn strangers(cloud: &Cloud) -> (Account, Account) {
    (cloud.account("acme").await, cloud.account("borealis").await)
}

/// A plain HTTP client that follows nothing and repeats nothing.
pub(crate) fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy();
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}
