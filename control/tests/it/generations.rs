//! Generations: a change for an older one is refused with the stored one, and so is an older
//! report.

use api::internal::{InstanceReport, InstanceState};
use control::Error;
use control::operations::instances;
use serde_json::json;

use crate::agent::{Agent, Play};
use crate::harness::{House, request};

#[tokio::test]
async fn a_change_for_an_older_generation_is_refused_with_the_stored_one() {
    let house = House::open().await;
    let agent = Agent::on(&house.control, 1).await;
    let alice = house.account("alice").await;
    let model = house.model(&agent, &alice, "double").await;
    house.deploy(&alice, "answers", &model).await;
    let everybody = json!({ "with": "everybody" });
    let changes = [
        ("/v1/items/alice/double/sharing", json!({ "sharing": everybody })),
        ("/v1/endpoints/answers/sharing", json!({ "sharing": everybody })),
        ("/v1/endpoints/answers", json!({ "source": "alice/double" })),
    ];
    for (path, body) in changes {
        let shown = path.trim_end_matches("/sharing");
        let stored = house.get(&alice, shown).await.body["generation"].as_u64().unwrap();
        let change = |generation: u64| {
            let mut body = body.clone();
            body["generation"] = generation.into();
            request("PUT", path, Some(&alice), Some(body))
        };
        for wrong in [stored - 1, stored + 1] {
            let refused = house.send(change(wrong)).await;
            assert_eq!((refused.status, refused.code()), (409, "stale_generation"), "{path}");
            let title = refused.body["title"].as_str().unwrap();
            assert!(title.ends_with(&format!("the present one is {stored}")), "{title}");
        }
        let done = house.send(change(stored)).await;
        assert_eq!(done.body["generation"].as_u64(), Some(stored + 1), "{path}: {done:?}");
        assert_eq!(house.send(change(stored)).await.code(), "stale_generation");
    }
}

#[tokio::test]
async fn an_older_report_is_refused_and_the_same_one_is_taken_twice() {
    let house = House::open().await;
    let agent = Agent::on(&house.control, 1).await;
    let alice = house.account("alice").await;
    let model = house.model(&agent, &alice, "double").await;
    house.deploy(&alice, "answers", &model).await;
    agent.play(Play::Hangs);
    house.pass(&agent).await;
    let id = agent.assigned(&house.control).await[0].id;
    let ready = InstanceReport {
        socket: Some("/run/one.sock".to_owned()),
        ..agent.report(1, InstanceState::Ready)
    };
    for _ in 0..2 {
        instances::report(&house.control, id, ready.clone()).await.unwrap();
    }
    let back = instances::report(&house.control, id, agent.report(1, InstanceState::Starting));
    assert!(matches!(back.await, Err(Error::Stale { stored: 1 })));
    let ahead = instances::report(&house.control, id, agent.report(2, InstanceState::Ready));
    assert!(matches!(ahead.await, Err(Error::Stale { stored: 1 })));
    let unknown = types::InstanceId::new(house.clock.uuid());
    let nothing = instances::report(&house.control, unknown, ready).await;
    assert!(matches!(nothing, Err(Error::NotFound { .. })));
}
