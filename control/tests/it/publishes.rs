//! Publishings that fail: each says why in words, and by a code that has a page.

use api::items::Sharing;
use api::publishes::PublishState;
use control::operations::publishes;
use testkit::Package;

use crate::agent::{Agent, Play};
use crate::harness::House;

#[tokio::test]
async fn a_publishing_that_fails_has_a_code_that_is_explained() {
    let house = House::open().await;
    let agent = Agent::on(&house.control, 1).await;
    let alice = house.account("alice").await;
    agent.play(Play::Fails("it does not load"));
    let linear = || Package::linear("wrong", ("x", "y"), 2.0, 0.0);
    let unknown_key = "kind = \"model\"\nnmae = \"x\"\n";
    for (package, code) in [
        (Package::empty().file("a.txt", "a"), "invalid_package"),
        (Package::empty().file("freehold.toml", unknown_key), "invalid_manifest"),
        (linear().file("model.onnx", "not a model"), "model_invalid"),
        (Package::pipeline("wrong", &["alice/nothing"]), "not_found"),
        (linear(), "unit_test_failed"),
    ] {
        let id = house.begin_publish(&alice, &package, Sharing::Nobody).await;
        let begun = publishes::fetch(&house.control, &alice, id).await.unwrap();
        assert_eq!((begun.error, begun.error_code), (None, None));
        let ended = house.ended_publish(&agent, &alice, id).await;
        assert_eq!(ended.state, PublishState::Failed);
        assert_eq!(ended.error_code.as_deref(), Some(code), "{ended:?}");
        assert!(api::errors::find(code).is_some(), "{code}");
        let told = house.get(&alice, &format!("/v1/publishes/{id}")).await.body;
        assert_eq!(told["error_code"], code);
    }
}
