//! What a function may connect to is told when it is made, and kept as it was told.

use serde_json::{Value, json};

use crate::harness::House;

/// Source: `policy::egress::PLACES_MAX`.
const PLACES_MAX: usize = 50;

#[tokio::test]
async fn a_function_names_its_egress_within_limits() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let object = house.upload(&alice, &[0; 1024]).await;
    let wanted = |name: &str, egress: Value| json!({ "name": name, "runtime": "provided", "object": object, "egress": egress });
    let places: Vec<String> = (1..=PLACES_MAX).map(|port| format!("example.org:{port}")).collect();
    let made = house.post(&alice, "/v1/functions", wanted("open", json!(places))).await;
    assert_eq!((made.status, &made.body["egress"]), (201, &json!(places)), "{made:?}");
    let closed = house.post(&alice, "/v1/functions", wanted("closed", json!([]))).await;
    assert_eq!((closed.status, &closed.body["egress"]), (201, &json!([])), "{closed:?}");
    let more: Vec<&str> = places.iter().map(String::as_str).chain(["example.org:443"]).collect();
    for wrong in [json!(more), json!(["example.org"]), json!(["*:443"]), json!(["127.1:80"])] {
        let refused = house.post(&alice, "/v1/functions", wanted("wrong", wrong.clone())).await;
        assert_eq!(refused.status, 400, "{wrong}: {refused:?}");
    }
}
