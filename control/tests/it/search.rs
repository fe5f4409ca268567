//! Search and suggestions: who is told of what, and what nearly serves.

use api::items::{Findings, SearchQuery, Sharing, SuggestRequest};
use control::operations::search;
use testkit::Package;
use workflow::Tasks;

use crate::agent::Agent;
use crate::harness::{House, Member, name};

/// A wish that every model of the tests misses, and nothing else.
fn small() -> SuggestRequest {
    SuggestRequest { memory_bytes_max: Some(1 << 20), ..SuggestRequest::default() }
}

async fn near(house: &House, member: &Member, limit: u32) -> Vec<String> {
    let wish = SuggestRequest { limit: Some(limit), ..small() };
    let Findings { found, near } = search::suggest(&house.control, member, &wish).await.unwrap();
    assert_eq!(found, []);
    for one in &near {
        let [miss] = &one.misses[..] else { panic!("{:?}", one.misses) };
        assert!(miss.starts_with("needs ") && miss.ends_with("not 1 MiB"), "{miss}");
        assert_eq!(one.found.item.sharing, None);
    }
    let mut names: Vec<_> = near.iter().map(|one| one.found.item.name.to_string()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn what_nearly_serves_is_told_to_whom_it_is_shared_with() {
    let house = House::open().await;
    let agent = Agent::on(&house.control, 1).await;
    let [alice, bob, carol] =
        [house.account("alice").await, house.account("bob").await, house.account("carol").await];
    let named = Sharing::Accounts { accounts: vec![name("bob")] };
    for (called, sharing) in
        [("private", Sharing::Nobody), ("named", named), ("public", Sharing::Everybody)]
    {
        let package = Package::linear(called, ("x", "y"), 2.0, 1.0);
        house.publish(&agent, &alice, (&package, sharing)).await;
    }
    let tasks = Tasks::new();
    house.control.run(&tasks);
    while near(&house, &alice, 10).await.len() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(near(&house, &alice, 10).await, ["named", "private", "public"]);
    assert_eq!(near(&house, &bob, 10).await, ["named", "public"]);
    assert_eq!(near(&house, &carol, 10).await, ["public"]);
    assert_eq!(near(&house, &alice, 2).await.len(), 2);

    let query = SearchQuery { memory_bytes_max: Some(1 << 20), ..SearchQuery::default() };
    let nothing = Findings { found: Vec::new(), near: Vec::new() };
    assert_eq!(search::search(&house.control, &alice, &query).unwrap(), nothing);
    let all = search::suggest(&house.control, &carol, &SuggestRequest::default()).await.unwrap();
    assert_eq!((all.found.len(), all.near.len()), (1, 0));
    tasks.stop(1_000).await;
}
