//! Functions through `boto3` and `awscli`, with access keys: made, changed, versioned, named,
//! called in every way, shared, and what is told of mistakes.

use api::accounts::{CreateToken, Role};
use api::pages::PageQuery;
use serde_json::{Value, json};
use testkit::wait::until;
use testkit::{Account, Cloud};

use super::{given, run_script};
use crate::world::{PROGRAM, strangers};

/// Longest time until an event has run and was given up.
const GIVEN_UP_S: u64 = 60;

pub(super) async fn keys(account: &Account) -> [String; 2] {
    let role = Role::Developer;
    let label = "for boto3".to_owned();
    let wanted = CreateToken { label, role, lifetime_ms: None, access_key: true };
    let made = account.client.token_create(&wanted).await.unwrap();
    [made.token.access_key.unwrap(), made.secret_access_key.unwrap()]
}

async fn a_function_lives_through_boto3_and_awscli(cloud: &Cloud) {
    let Some(python) = given("FREEHOLD_TEST_PYTHON") else { return };
    let (owner, stranger) = strangers(cloud).await;
    let argument = json!({
        "http": cloud.http(), "owner": keys(&owner).await, "stranger": keys(&stranger).await,
    });
    let told = run_script(&python, "lambda.py", &argument).await;
    assert_eq!(told["life"], json!("lived"), "{told}");

    // Both events were told to the sink, which was told to fail: they can be looked at.
    let sink = "sink".parse().unwrap();
    let page = PageQuery::default();
    let dead = until(GIVEN_UP_S, "both events to be given up", || async {
        let dead = owner.client.dead_events_list(&sink, &page).await.unwrap().items;
        (dead.len() == 2).then_some(dead)
    })
    .await;
    let told = |event: &api::functions::DeadEvent| {
        let context = &event.payload["requestContext"];
        (context["condition"].clone(), event.payload["requestPayload"].clone())
    };
    let mut conditions: Vec<_> = dead.iter().map(told).collect();
    conditions.sort_by_key(|(condition, _)| condition.to_string());
    let expected = [
        (Value::from("RetriesExhausted"), json!({ "fail": true })),
        (Value::from("Success"), json!({ "fine": 1 })),
    ];
    assert_eq!(conditions, expected);
    for event in &dead {
        assert_eq!(event.failures.len(), 1, "{event:?}");
        assert_eq!(event.failures[0].error, "Function.ValueError");
    }
    let refused = stranger.client.dead_events_list(&sink, &page).await.unwrap_err();
    assert_eq!(refused.status(), Some(404));
    owner.client.dead_event_redrive(&sink, dead[0].id).await.unwrap();
    until(GIVEN_UP_S, "the event to be given up again", || async {
        let again = owner.client.dead_events_list(&sink, &page).await.unwrap().items;
        again.iter().find(|it| it.id == dead[0].id && it.failures.len() == 2).map(|_| ())
    })
    .await;
    owner.client.dead_event_delete(&sink, dead[0].id).await.unwrap();
    let gone = owner.client.dead_event_redrive(&sink, dead[0].id).await.unwrap_err();
    assert_eq!(gone.status(), Some(404));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_lives_through_boto3_and_awscli_in_one_process() {
    let cloud = Cloud::one(PROGRAM).await;
    a_function_lives_through_boto3_and_awscli(&cloud).await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_lives_through_boto3_and_awscli_in_separate_processes() {
    let Some(cloud) = Cloud::apart(PROGRAM).await else { return };
    a_function_lives_through_boto3_and_awscli(&cloud).await;
    cloud.close().await;
}
