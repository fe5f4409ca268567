//! Trainers and events from elsewhere: a trainer of scikit-learn, and a server's own log, through
//! publish, train, deploy and infer.

use std::fs;
use std::path::{Path, PathBuf};

use api::client::Invocation;
use api::trainings::TrainingState;
use bytes::Bytes;
use serde_json::Value;
use testkit::{Account, Cloud, Package};
use tokio::process::Command;
use types::Reference;

use super::{given, run};
use crate::world::{PROGRAM, name, strangers};

/// Sign-ins held out from learning that are asked about.
const ASKED: &str = "200";

/// The example's program, beside the one under test; none, said aloud, where it was not built.
fn program() -> Option<PathBuf> {
    let beside = Path::new(PROGRAM).with_file_name("signin-risk");
    if beside.is_file() {
        return Some(beside);
    }
    let built = given("FREEHOLD_TEST_BIN")?.join("signin-risk");
    if !built.is_file() {
        eprintln!("passed over: {} was not built", built.display());
    }
    built.is_file().then_some(built)
}

/// What the example's program prints.
async fn say(program: &Path, words: &[&str]) -> String {
    let (succeeded, text) = run(Command::new(program).args(words)).await;
    assert!(succeeded, "{words:?}: {text}");
    text
}

/// A package whose folder the example's program wrote.
async fn package(program: &Path, words: &[&str]) -> Package {
    let package = Package::empty();
    let into = ["--into", package.folder().to_str().unwrap()];
    say(program, &[words, &into].concat()).await;
    package
}

/// Writes a text beside the cloud's data; gives its path.
fn file(cloud: &Cloud, name: &str, text: &str) -> String {
    let path = cloud.folder().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Trains, deploys and asks about the newest events; the share that is judged as it is labelled.
async fn train_and_ask(
    requester: &Account,
    program: &Path,
    (algorithm, dataset): (&Reference, &Reference),
    events: &str,
) -> f64 {
    let begun = requester.begin_train((algorithm, dataset), &[], "my-risk").await.unwrap();
    let training = requester.training_in(begun.id, &[]).await;
    assert_eq!(training.state, TrainingState::Succeeded, "{training:?}");
    requester.deploy("risk", &training.model.unwrap()).await;
    let request = say(program, &["features", events, "--request", "--last", ASKED]).await;
    let invocation = Invocation {
        media_type: "application/json".to_owned(),
        accept: None,
        body: Bytes::from(request),
        header_length: None,
        wait_ms: 0,
    };
    let answer = requester.client.model_infer(None, &name("risk"), invocation).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    let risks = answer["outputs"][0]["data"].as_array().unwrap();
    let rows = say(program, &["features", events, "--last", ASKED]).await;
    assert_eq!(risks.len(), rows.lines().count());
    let right = rows.lines().zip(risks).filter(|(row, risk)| {
        let row: Value = serde_json::from_str(row).unwrap();
        row["risky"].as_bool().unwrap() == (risk.as_f64().unwrap() > 0.5)
    });
    let right = right.count();
    eprintln!("{algorithm}: {right} of {} judged as labelled", risks.len());
    f64::from(u32::try_from(right).unwrap()) / f64::from(u32::try_from(risks.len()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_of_scikit_learn_goes_the_same_way() {
    let (Some(vendor), Some(program)) = (given("FREEHOLD_TEST_SKLEARN"), program()) else { return };
    let cloud = Cloud::one(PROGRAM).await;
    let (producer, requester) = strangers(&cloud).await;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/signin-risk-sklearn");
    let trainer = Package::empty();
    copy(&source, trainer.folder());
    copy(&vendor, &trainer.folder().join("vendor"));
    let algorithm = producer.publish(&trainer).await;
    let events = say(&program, &["generate", "--seed", "7", "--rows", "1500"]).await;
    let events = file(&cloud, "events.csv", &events);
    let dataset = producer.publish(&package(&program, &["dataset", &events]).await).await;
    let right = train_and_ask(&requester, &program, (&algorithm, &dataset), &events).await;
    assert!(right >= 0.9, "{right}");
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_own_log_is_learnt_from_and_judged() {
    let (Some(events), Some(program)) = (given("FREEHOLD_TEST_EVENTS"), program()) else { return };
    let log = events.join("elastic-auth/auth.log");
    if !log.is_file() {
        eprintln!("passed over: there is no {}", log.display());
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (producer, requester) = strangers(&cloud).await;
    let algorithm = producer.publish(&package(&program, &["package"]).await).await;
    let events = say(&program, &["read-sshd", log.to_str().unwrap(), "--year", "2026"]).await;
    assert!(events.lines().count() > 1_000, "{events}");
    let events = file(&cloud, "events.csv", &events);
    let dataset = producer.publish(&package(&program, &["dataset", &events]).await).await;
    let right = train_and_ask(&requester, &program, (&algorithm, &dataset), &events).await;
    assert!(right >= 0.9, "{right}");
    cloud.close().await;
}

/// Copies a folder with all that is in it, by links where the file system allows.
fn copy(source: &Path, target: &Path) {
    fs::create_dir_all(target).unwrap();
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let target = target.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if fs::hard_link(entry.path(), &target).is_err() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
