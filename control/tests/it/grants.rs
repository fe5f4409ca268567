//! Grants and links: what their ends mean.

use serde_json::json;

use crate::harness::House;

#[tokio::test]
async fn what_ends_has_to_end_later_and_what_has_ended_says_so() {
    let house = House::open().await;
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let object = house.upload(&alice, &[0; 1024]).await;
    let wanted = json!({ "name": "Resize", "runtime": "provided", "object": object });
    let made = house.post(&alice, "/v1/functions", wanted).await;
    assert_eq!(made.status, 201, "{made:?}");
    let (hour_ms, now_ms) = (3_600_000, made.body["created_at_ms"].as_u64().unwrap());
    let grant = |name: &str, end_ms: u64| {
        let limits = json!({ "ends_at_ms": end_ms });
        json!({ "name": name, "function": "Resize", "sharing": { "with": "everybody" }, "limits": limits })
    };
    let link = |name: &str, grant: &str, end_ms: u64| {
        let limits = json!({ "ends_at_ms": end_ms });
        json!({ "name": name, "owner": "alice", "grant": grant, "limits": limits })
    };
    // Seconds since 1970 in place of milliseconds are a time that is over.
    let over = house.post(&alice, "/v1/grants", grant("over", now_ms / 1_000)).await;
    assert_eq!(over.status, 400, "{over:?}");
    assert!(over.body["title"].as_str().unwrap().contains("a time to come"), "{over:?}");
    let given = house.post(&alice, "/v1/grants", grant("resize", now_ms + 2 * hour_ms)).await;
    assert_eq!(given.status, 201, "{given:?}");
    assert_eq!(house.post(&bob, "/v1/links", link("over", "resize", now_ms)).await.status, 400);
    let made = house.post(&bob, "/v1/links", link("own", "resize", now_ms + hour_ms)).await;
    assert_eq!((made.status, &made.body["broken"]), (201, &json!(null)), "{made:?}");
    for why in ["it has ended", "its grant has ended"] {
        house.time.advance_ms(hour_ms);
        let shown = house.get(&bob, "/v1/links/own").await;
        assert_eq!(shown.body["broken"], why);
    }
}
