//! Event source mappings through `boto3`.

use api::pages::PageQuery;
use api::streams::{CreateStream, StreamSpec};
use serde_json::json;
use testkit::Cloud;
use testkit::wait::until;

use super::lambda::keys;
use super::{given, run_script};
use crate::world::{PROGRAM, name, strangers};

const WAIT_S: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn mappings_are_made_read_changed_and_deleted_through_boto3_and_feed() {
    let Some(python) = given("FREEHOLD_TEST_PYTHON") else { return };
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, stranger) = strangers(&cloud).await;
    for stream in ["signins", "signins-dead"] {
        let wanted = CreateStream { name: name(stream), spec: StreamSpec::default() };
        owner.client.stream_create(&wanted).await.unwrap();
    }
    let event = |number: u64| {
        json!({
            "specversion": "1.0", "id": format!("e{number}"), "source": "/shop", "type": "sale",
            "subject": "c7", "datacontenttype": "application/json", "data": { "amount": number },
        })
    };
    let events: Vec<_> = (0..30).map(event).collect();
    owner.client.stream_append(&name("signins"), &events).await.unwrap();
    let account = owner.client.whoami().await.unwrap().account.id;
    let argument = json!({
        "http": cloud.http(), "owner": keys(&owner).await, "stranger": keys(&stranger).await,
        "account": types::functions::account_number(account), "stream": "signins",
    });
    let told = run_script(&python, "sources.py", &argument).await;
    assert_eq!(told["mappings"], json!("kept"), "{told}");
    // Of the thirty events twenty are for it, of which it fails one.
    let function = "fed".parse().unwrap();
    let page = PageQuery::default();
    let fed = until(WAIT_S, "all is told", || async {
        let all = owner.client.sources_list(&function, &page).await.unwrap();
        let only = all.items.into_iter().next().unwrap();
        (only.next_event == 31).then_some(only)
    })
    .await;
    assert_eq!((fed.delivered, fed.filtered, fed.given_up), (19, 10, 1), "{fed:?}");
    let dead = crate::captures::events(&owner, &name("signins-dead"), "").await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0]["type"], "freehold.source.given-up");
    let batch = &dead[0]["data"]["KinesisBatchInfo"];
    assert_eq!((&batch["startSequenceNumber"], &batch["batchSize"]), (&json!("14"), &json!(1)));
    cloud.close().await;
}
