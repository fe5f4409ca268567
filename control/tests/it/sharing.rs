//! Sharing: an item is seen and used by whom its owner shares it with, and its package by nobody
//! else.

use access::Role;
use api::items::{ShareRequest, Sharing};
use control::Error;
use control::operations::{endpoints, items};
use serde_json::json;
use testkit::Package;
use types::Reference;

use crate::agent::Agent;
use crate::harness::{Answer, House, Member, name, request};

struct World {
    house: House,
    alice: Member,
    item: Reference,
}

impl World {
    async fn open() -> Self {
        let house = House::open().await;
        let agent = Agent::on(&house.control, 1).await;
        let alice = house.account("alice").await;
        let package = Package::linear("double", ("x", "y"), 2.0, 1.0);
        let item = house.publish(&agent, &alice, (&package, Sharing::Nobody)).await;
        Self { house, alice, item }
    }

    async fn share(&self, sharing: Sharing) {
        let (account, item) = (name("alice"), name("double"));
        let control = &self.house.control;
        let generation =
            items::fetch(control, &self.alice, &account, &item).await.unwrap().generation;
        let request = ShareRequest { sharing: sharing.clone(), generation };
        let shared = items::share(control, &self.alice, (&account, &item), request).await.unwrap();
        assert_eq!((shared.sharing, shared.generation), (Some(sharing), generation + 1));
    }

    async fn sees(&self, who: &Member) -> bool {
        let (account, item) = (name("alice"), name("double"));
        match items::fetch(&self.house.control, who, &account, &item).await {
            Ok(_) => true,
            Err(Error::NotFound { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn uses(&self, who: &Member, text: &str) -> bool {
        let wanted = api::endpoints::DeployRequest {
            name: name(text),
            source: self.item.clone().into(),
            instance_type: None,
        };
        match endpoints::create(&self.house.control, who, wanted).await {
            Ok(_) => true,
            Err(Error::NotFound { .. } | Error::Forbidden { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn an_item_is_seen_and_used_by_whom_it_is_shared_with() {
    let world = World::open().await;
    let bob = world.house.account("bob").await;
    let carol = world.house.account("carol").await;
    let reader = world.house.member(&bob, Role::Reader).await;
    let mut table = String::new();
    let named = Sharing::Accounts { accounts: vec![name("bob")] };
    let steps = [Sharing::Nobody, named, Sharing::Everybody, Sharing::Nobody];
    for (step, sharing) in steps.into_iter().enumerate() {
        world.share(sharing.clone()).await;
        let who = [("alice", &world.alice), ("bob", &bob), ("bob's reader", &reader)];
        for (called, member) in who.into_iter().chain([("carol", &carol)]) {
            let sees = world.sees(member).await;
            let uses = world.uses(member, &format!("with-{step}")).await;
            table += &format!("{sharing:?}: {called} sees {sees}, uses {uses}\n");
        }
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn what_is_inside_a_version_is_told_to_its_owner_alone() {
    let world = World::open().await;
    world.share(Sharing::Everybody).await;
    let bob = world.house.account("bob").await;
    let item = (&name("alice"), &name("double"));
    let control = &world.house.control;
    for member in [&bob, &world.house.operator] {
        let seen = items::version(control, member, item, 1).await.unwrap();
        assert_eq!((seen.files, seen.object, seen.lineage), (None, None, None));
        let usage = items::usage(control, member, item).await;
        assert!(matches!(usage, Err(Error::OwnerOnly { .. })), "{usage:?}");
        let listed = items::fetch(control, member, item.0, item.1).await.unwrap();
        assert_eq!(listed.sharing, None);
    }
    let own = items::version(control, &world.alice, item, 1).await.unwrap();
    assert_eq!(own.files.unwrap().len(), 3);
    let object = own.object.unwrap();
    let read = control::operations::objects::open(control, &bob, object).await;
    assert!(matches!(read.map(drop), Err(Error::NotFound { .. })));
}

/// Who cannot see an item learns nothing of it; who can, that it is another's.
#[tokio::test]
async fn what_is_the_owners_alone_is_hidden_with_the_item_and_named_where_it_is_seen() {
    let world = World::open().await;
    let house = &world.house;
    let bob = house.account("bob").await;
    let reader = house.member(&world.alice, Role::Reader).await;
    let asks = |name: &str| {
        let path = format!("/v1/items/alice/{name}");
        let sharing = json!({ "sharing": { "with": "everybody" }, "generation": 1 });
        [("GET", format!("{path}/usage"), None), ("PUT", format!("{path}/sharing"), Some(sharing))]
    };
    for stranger in [&bob, &house.operator] {
        for ((method, path, body), (_, unknown, _)) in asks("double").into_iter().zip(asks("none"))
        {
            let hidden = house.send(request(method, &path, Some(stranger), body.clone())).await;
            let unknown = house.send(request(method, &unknown, Some(stranger), body)).await;
            assert_eq!((hidden.status, hidden.code()), (404, "not_found"), "{hidden:?}");
            let told = |answer: &Answer, name: &str| {
                let mut body = answer.body.clone();
                body["request_id"].take();
                body.to_string().replace(name, "NAME")
            };
            assert_eq!(told(&hidden, "double"), told(&unknown, "none"));
        }
    }
    world.share(Sharing::Accounts { accounts: vec![name("bob")] }).await;
    let words = ["see how much it is used", "say who may see and use it"];
    for ((method, path, body), words) in asks("double").into_iter().zip(words) {
        let refused = house.send(request(method, &path, Some(&bob), body)).await;
        assert_eq!((refused.status, refused.code()), (403, "forbidden"), "{refused:?}");
        assert_eq!(refused.body["title"], format!("only the owner of alice/double may {words}"));
        assert_eq!(refused.body["hint"], serde_json::Value::Null);
    }
    assert_eq!(house.get(&reader, "/v1/items/alice/double/usage").await.status, 200);
    // In the owner's own account a role is what is missing.
    let [_, (method, path, body)] = asks("double");
    let refused = house.send(request(method, &path, Some(&reader), body)).await;
    assert_eq!(refused.body["title"], "this token may not items.share");
}

#[tokio::test]
async fn sharing_with_an_account_that_is_not_there_is_refused_whole() {
    let world = World::open().await;
    let accounts = vec![name("bob"), name("nobody-at-all")];
    world.house.account("bob").await;
    let request = ShareRequest { sharing: Sharing::Accounts { accounts }, generation: 2 };
    let item = (&name("alice"), &name("double"));
    let refused = items::share(&world.house.control, &world.alice, item, request).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    let item = items::fetch(&world.house.control, &world.alice, item.0, item.1).await.unwrap();
    assert_eq!(item.sharing, Some(Sharing::Nobody));
}
