//! Certificates that hold for seconds: every process renews its own, and nobody notices.

use api::identity::{Facts, facts};
use testkit::tensors::{json_request, numbers};
use testkit::wait::until;
use testkit::{Account, Cloud, Package, Process};
use workflow::Clock;

use crate::world::{PROGRAM, name};

/// How long each certificate holds, in seconds: a third of it does for a try on a busy machine.
const LIFETIME_S: u64 = 15;

/// What the certificate that a process keeps says.
fn kept(cloud: &Cloud, process: Process) -> Facts {
    let text = std::fs::read_to_string(cloud.data(process).join("enrolment.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
    facts(kept["certificate_pem"].as_str().unwrap()).unwrap()
}

async fn answers(account: &Account, endpoint: &str) {
    let request = json_request("x", [1.0, 2.0]);
    let answer = account.client.model_infer(None, &name(endpoint), request).await.unwrap();
    assert_eq!(numbers(&answer), [2.0, 4.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn story_beyond_the_end_of_every_certificate() {
    let seconds = LIFETIME_S.to_string();
    let flags = ["--certificate-lifetime", &seconds];
    let Some(mut cloud) = Cloud::apart_with(PROGRAM, &flags).await else { return };
    let processes = [Process::Gateway, Process::Agent];
    let first = processes.map(|process| kept(&cloud, process));
    let owner = cloud.account("acme").await;
    let model = owner.publish(&Package::linear("double", ("x", "y"), 2.0, 0.0)).await;
    owner.deploy("steady", &model).await;
    // A certificate that was made after the first one's end was got by its successor.
    until(60, "certificates of the third generation", || async {
        answers(&owner, "steady").await;
        let mut both = processes.iter().zip(&first);
        let passed =
            both.all(|(process, first)| kept(&cloud, *process).made_at_ms > first.expires_at_ms);
        passed.then_some(())
    })
    .await;
    let now_ms = Clock::system().now_ms();
    assert!(first.iter().all(|first| first.expires_at_ms < now_ms), "{first:?}");
    // Assignments and routes still arrive, and a start finds key and certificate that fit.
    owner.deploy("later", &model).await;
    answers(&owner, "later").await;
    for process in processes {
        let lines = cloud.process(process).lines().all();
        assert!(lines.iter().any(|line| line.contains("certificate renewed")), "{lines:#?}");
    }
    cloud.stop(Process::Gateway).await;
    cloud.start(Process::Gateway).await;
    cloud.ready().await;
    answers(&owner, "steady").await;
    cloud.close().await;
}
