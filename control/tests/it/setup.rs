//! A control plane is opened again: its secrets, its first operator, its master key.

use control::SetupError;
use objects::Vault;

use crate::harness::{House, MASTER_KEY, name, open};

#[tokio::test]
async fn another_master_key_is_told_apart_from_a_broken_database() {
    let house = House::open().await;
    house.control.close().await;
    let opened = open(&house.database(), &house.blobs, &house.clock, [8; 32]).await;
    let error = opened.map(drop).unwrap_err();
    assert!(matches!(error, SetupError::MasterKey(_)), "{error:?}");
    let text = workflow::chain(&error);
    let key = Vault::from_key(MASTER_KEY).key_id();
    assert!(text.contains("the master key is another one") && text.contains(&key), "{text}");
    // Nothing was changed: the right key still opens it.
    open(&house.database(), &house.blobs, &house.clock, MASTER_KEY).await.unwrap();
}

#[tokio::test]
async fn the_clouds_own_secrets_are_made_once() {
    let house = House::open().await;
    let before = house.control.authority().certificate_pem().to_owned();
    let house = house.restarted().await;
    assert_eq!(house.control.authority().certificate_pem(), before);
}

#[tokio::test]
async fn there_is_one_first_operator() {
    let house = House::open().await;
    for text in ["operator", "another"] {
        let made = house.control.first_operator(&name(text)).await.unwrap();
        assert!(made.is_none(), "a second operator, {text}");
    }
}
