//! SQL per request: bounded, and the same however much is stored.

use api::internal::Watch;
use control::operations::routes;
use serde_json::json;
use store::counted;

use crate::agent::Agent;
use crate::harness::{House, Member};

/// Statements of every request: the token, its account.
const AUTHENTICATION: u64 = 2;

async fn statements(house: &House, member: &Member, path: &str) -> u64 {
    let (answer, count) = counted(house.get(member, path)).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    count
}

#[tokio::test]
async fn a_request_takes_few_statements_however_much_is_stored() {
    let house = House::open().await;
    let agent = Agent::on(&house.control, 1).await;
    let alice = house.account("alice").await;
    let model = house.model(&agent, &alice, "double").await;
    let object = house.upload(&alice, &[0; 1024]).await;
    for round in 0..3 {
        for number in 0..3 {
            house.someone().await;
            house.deploy(&alice, &format!("answers-{round}-{number}"), &model).await;
            house.model(&agent, &alice, &format!("model-{round}-{number}")).await;
            let name = format!("one-{}", 3 * round + number);
            let wanted = json!({ "name": name, "runtime": "provided", "object": object });
            assert_eq!(house.post(&alice, "/v1/functions", wanted).await.status, 201);
        }
        house.pass(&agent).await;
        let counts = [
            ("/v1/whoami", 2),
            ("/v1/items/alice/double", 3),
            ("/v1/items/alice/double/versions/1", 3),
            ("/v1/items", 1),
            ("/v1/functions", 1),
            ("/v1/functions/one-0", 2),
            ("/v1/functions/one-0/provisioned", 8),
            ("/v1/search?text=risk", 0),
            ("/v1/instance-types", 0),
        ];
        for (path, most) in counts {
            let count = statements(&house, &alice, path).await;
            assert!(count <= AUTHENTICATION + most, "{path}: {count} statements");
        }
        let watch = Watch { after: 0, wait_ms: 0 };
        let (routes, count) = counted(routes::watch(&house.control, watch)).await;
        assert_eq!(routes.unwrap().endpoints.len(), 3 * (round + 1));
        assert!(count <= 27, "routes: {count} statements");
    }
}

#[tokio::test]
async fn a_creating_call_takes_few_statements() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let body = json!({ "label": "one", "role": "reader" });
    let (answer, count) = counted(house.post(&alice, "/v1/tokens", body)).await;
    assert_eq!(answer.status, 201);
    assert!(count <= AUTHENTICATION + 5, "{count} statements");
}
