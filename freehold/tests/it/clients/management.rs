//! Every call about servers and models that `tritonclient` knows: answered, or refused in its own
//! protocol's words, over REST and gRPC alike.

use serde_json::json;
use testkit::{Cloud, Package};

use super::{bare, given, run_script};
use crate::world::{PROGRAM, strangers};

#[tokio::test(flavor = "multi_thread")]
async fn clients_manage_over_rest_and_grpc() {
    let Some(python) = given("FREEHOLD_TEST_PYTHON") else { return };
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, stranger) = strangers(&cloud).await;
    let model = owner.publish(&Package::linear("double", ("x", "y"), 2.0, 0.0)).await;
    owner.deploy("twice", &model).await;
    let argument = json!({
        "http": bare(&cloud.http()), "grpc": bare(&cloud.grpc()), "model": "twice",
        "token": owner.token, "stranger": stranger.token,
    });
    let told = run_script(&python, "management.py", &argument).await;
    assert_eq!(told, json!({ "REST": "answered", "gRPC": "answered" }));
    cloud.close().await;
}
