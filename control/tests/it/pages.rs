//! Pages: every entry exactly once, within limits, and only by cursors that were given out.

use std::collections::BTreeSet;

use api::items::Sharing;
use serde_json::{Value, json};
use testkit::Package;

use crate::agent::Agent;
use crate::harness::{House, Member};

/// The lists of the API.
const LISTS: [&str; 6] =
    ["/v1/accounts", "/v1/tokens", "/v1/items", "/v1/publishes", "/v1/trainings", "/v1/endpoints"];

/// How many entries each list gets, at least.
const ENTRIES: usize = 5;

/// An operator who has some of everything.
async fn world() -> (House, Member) {
    let house = House::open().await;
    let agent = Agent::on(&house.control, 1).await;
    let owner = house.operator.clone();
    let trainer = (&Package::trainer("trainer"), Sharing::Nobody);
    house.publish(&agent, &owner, trainer).await;
    for number in 0..ENTRIES {
        let events = (&Package::events(&format!("events-{number}")), Sharing::Nobody);
        house.publish(&agent, &owner, events).await;
        house.account(&format!("account-{number}")).await;
        let token = json!({ "label": format!("{number}"), "role": "reader" });
        house.post(&owner, "/v1/tokens", token).await;
        let training = json!({
            "algorithm": "operator/trainer",
            "data": { "training": "operator/events-0" },
            "model": "risk",
        });
        assert_eq!(house.post(&owner, "/v1/trainings", training).await.status, 202);
        let model = house.model(&agent, &owner, "double").await;
        house.deploy(&owner, &format!("answers-{number}"), &model).await;
    }
    (house, owner)
}

/// What tells an entry from the others.
fn identity(entry: &Value) -> String {
    entry["id"].as_str().unwrap().to_owned()
}

/// Every entry of a list, page by page of this length.
async fn walk(house: &House, owner: &Member, (path, limit): (&str, usize)) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = house.get(owner, &format!("{path}?limit={limit}{cursor}")).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let entries = answer.body["items"].as_array().unwrap();
        assert!(entries.len() <= limit, "{path}: {} entries", entries.len());
        found.extend(entries.iter().map(identity));
        let Some(next) = answer.body["next"].as_str() else { return found };
        assert_eq!(entries.len(), limit, "{path}: a page that is not full, with a next one");
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_entry_is_on_exactly_one_page() {
    let (house, owner) = world().await;
    for path in LISTS {
        let whole = walk(&house, &owner, (path, 200)).await;
        assert!(whole.len() >= ENTRIES, "{path}: {} entries", whole.len());
        let unique: BTreeSet<&String> = whole.iter().collect();
        assert_eq!(unique.len(), whole.len(), "{path}: an entry twice");
        for limit in [1, 2, ENTRIES, whole.len()] {
            assert_eq!(walk(&house, &owner, (path, limit)).await, whole, "{path} by {limit}");
        }
    }
}

#[tokio::test]
async fn limits_and_cursors_that_are_none_are_refused() {
    let house = House::open().await;
    for path in LISTS {
        for (query, code) in [
            ("limit=0", "bad_request"),
            ("limit=201", "bad_request"),
            ("limit=-1", "bad_request"),
            ("limit=many", "bad_request"),
            ("cursor=Not%20A%20Cursor", "invalid_cursor"),
            ("cursor=", "invalid_cursor"),
            ("page=2", "bad_request"),
        ] {
            let refused = house.get(&house.operator, &format!("{path}?{query}")).await;
            assert_eq!((refused.status, refused.code()), (400, code), "{path}?{query}");
        }
    }
}
