//! URLs of functions through `boto3`, `awscli` and botocore's signer.

use serde_json::json;
use testkit::Cloud;

use super::lambda::keys;
use super::{given, run_script};
use crate::world::{PROGRAM, strangers};

#[tokio::test(flavor = "multi_thread")]
async fn urls_live_through_boto3_and_are_called_with_its_signatures() {
    let Some(python) = given("FREEHOLD_TEST_PYTHON") else { return };
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, stranger) = strangers(&cloud).await;
    let argument = json!({
        "http": cloud.http(), "owner": keys(&owner).await, "stranger": keys(&stranger).await,
    });
    let told = run_script(&python, "urls.py", &argument).await;
    assert_eq!(told["urls"], json!("answered"), "{told}");
    cloud.close().await;
}
