//! Gates that promote by themselves: once, and never to what is so already.

use serde_json::json;

use crate::harness::{House, request};
use crate::triggers::{endpoint, mode, run};

#[tokio::test]
async fn what_is_in_production_already_is_no_change() {
    let house = House::open().await;
    let alice = endpoint(&house, "risk").await;
    assert_eq!(house.post(&alice, "/v1/streams", json!({ "name": "sales" })).await.status, 201);
    let conditions = json!([{ "metric": "errors_ppm", "at_most": 20_000 }]);
    let gate = json!({ "conditions": conditions, "automatic": true });
    let set = house.send(request("PUT", "/v1/endpoints/risk/gate", Some(&alice), Some(gate))).await;
    assert_eq!(set.status, 200, "{set:?}");
    let number = async || {
        let told = house.get(&alice, "/v1/endpoints/risk").await;
        told.body["modes_number"].clone()
    };
    assert_eq!(number().await, 1);
    run(&house, &alice, (true, 10)).await;
    assert_eq!(
        (number().await, mode(&house, &alice, "next").await),
        (json!(2), "production".into())
    );
    // It would be what is reverted next, and begin all windows of triggers anew.
    house.time.advance_ms(1_000);
    run(&house, &alice, (true, 10)).await;
    assert_eq!(number().await, 2);
}
