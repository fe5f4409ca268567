//! Provisioned concurrency through `boto3` and `awscli`.

use serde_json::json;
use testkit::Cloud;

use super::lambda::keys;
use super::{given, run_script};
use crate::world::{PROGRAM, strangers};

#[tokio::test(flavor = "multi_thread")]
async fn provisioned_concurrency_is_put_read_listed_and_deleted_through_boto3_and_awscli() {
    let Some(python) = given("FREEHOLD_TEST_PYTHON") else { return };
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, stranger) = strangers(&cloud).await;
    let argument = json!({
        "http": cloud.http(), "owner": keys(&owner).await, "stranger": keys(&stranger).await,
    });
    let told = run_script(&python, "provisioned.py", &argument).await;
    assert_eq!(told["provisioned"], json!("kept"), "{told}");
    cloud.close().await;
}
