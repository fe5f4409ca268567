//! What goes wrong on purpose: packages that do not hold, trainings that fail or are not wanted
//! any more, a database that is put back.

use std::process::Command;

use api::items::Sharing;
use api::publishes::PublishState;
use api::trainings::TrainingState;
use serde_json::json;
use testkit::postgres::Fragile;
use testkit::tensors::{invocation, json_request, numbers};
use testkit::wait::until;
use testkit::{Account, Cloud, Package, Process};
use tokio::task::JoinSet;
use types::ErrorKind;

use crate::world::{PROGRAM, http, name, reference, strangers};

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_does_not_hold_is_refused_with_step_file_and_cure() {
    let cloud = Cloud::one(PROGRAM).await;
    let (producer, _) = strangers(&cloud).await;
    let manifest = |text: &str| Package::empty().file("freehold.toml", text);
    let linear = || Package::linear("wrong", ("x", "y"), 2.0, 0.0);
    let unknown_key = "kind = \"model\"\nnmae = \"x\"\n";
    let nowhere = Package::pipeline("wrong", &["acme/nothing"]);
    let cases = [
        (Package::wrong("wrong"), "unit-test", "unit_test_failed", ["one and two", "\"y\""]),
        (Package::empty().file("a.txt", "a"), "package", "invalid_package", ["freehold.toml", ""]),
        (manifest(unknown_key), "package", "invalid_manifest", ["freehold.toml", "nmae"]),
        (linear().file("model.onnx", "no model"), "check", "model_invalid", ["model.onnx", ""]),
        (missing_entry(), "test", "invalid_package", ["absent.onnx", ""]),
        (nowhere, "check", "not_found", ["acme/nothing", ""]),
    ];
    for (package, step, code, words) in cases {
        let begun = producer.begin_publish(&package, Sharing::Everybody).await.unwrap();
        let publish = producer.ended_publish(begun.id).await;
        let log = producer.publish_log(begun.id).await;
        assert_eq!(publish.state, PublishState::Failed, "{words:?} {log:#?}");
        assert_eq!((publish.version, publish.error_code.as_deref()), (None, Some(code)));
        let error = publish.error.unwrap();
        let line = log.iter().find(|line| line.level == "error");
        let line = line.unwrap_or_else(|| panic!("no error in {log:#?}"));
        assert_eq!((publish.step.as_str(), line.source.as_str()), (step, step), "{error}");
        for word in words {
            assert!(line.text.contains(word) && error.contains(word), "{word}: {line:?} {error}");
        }
    }
    // Nothing of any of them is visible.
    let items = producer.client.items_list(&api::pages::PageQuery::default()).await.unwrap();
    assert_eq!(items.items, []);
    // The name was not used up.
    let fixed = producer.publish(&linear()).await;
    assert_eq!(fixed, reference("acme/wrong@1"));
    cloud.close().await;
}

/// A model whose file is not in its package.
fn missing_entry() -> Package {
    let package = Package::linear("wrong", ("x", "y"), 2.0, 0.0);
    let path = package.folder().join("freehold.toml");
    let text = std::fs::read_to_string(path).unwrap();
    package.file("freehold.toml", text.replace("\"model.onnx\"", "\"absent.onnx\""))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_is_cancelled_or_fails_and_leaves_nothing() {
    let cloud = Cloud::one(PROGRAM).await;
    let (producer, requester) = strangers(&cloud).await;
    let algorithm = producer.publish(&Package::trainer("signin-risk")).await;
    let dataset = producer.publish(&Package::events("signin-events")).await;
    let both = (&algorithm, &dataset);
    let begun = requester.begin_train(both, &[("seconds", 300)], "never").await.unwrap();
    requester.training_in(begun.id, &[TrainingState::Running]).await;
    said(&requester, begun.id, "sleeping 300 s").await;
    requester.client.training_cancel(begun.id).await.unwrap();
    let training = requester.training_in(begun.id, &[]).await;
    assert_eq!(training.state, TrainingState::Cancelled, "{training:?}");
    let begun = requester.begin_train(both, &[("fail", 1)], "never").await.unwrap();
    let training = requester.training_in(begun.id, &[]).await;
    assert_eq!(training.state, TrainingState::Failed, "{training:?}");
    let error = training.error.unwrap();
    assert!(error.contains("told to fail"), "{error}");
    assert_eq!(training.error_code.as_deref(), Some("training_failed"));
    for (parameters, word) in
        [(&[("seconds", 601)][..], "seconds"), (&[("minutes", 1)][..], "minutes")]
    {
        let refused = requester.begin_train(both, parameters, "never").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::BadRequest, "{refused:?}");
        assert!(refused.to_string().contains(word), "{refused}");
    }
    let items = requester.client.items_list(&api::pages::PageQuery::default()).await.unwrap();
    assert_eq!(items.items, []);
    until(20, "every instance to be gone", || async {
        let status = cloud.operator().status().await.unwrap();
        (status.instances == 0).then_some(())
    })
    .await;
    cloud.close().await;
}

/// Waits until a training has written this.
async fn said(account: &Account, id: types::TrainingId, text: &str) {
    until(30, text, || async {
        let log = account.training_log(id).await;
        log.iter().any(|line| line.text.contains(text)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_lets_requests_finish_and_loses_nothing() {
    let mut cloud = Cloud::one(PROGRAM).await;
    let (producer, _) = strangers(&cloud).await;
    let algorithm = producer.publish(&Package::trainer("signin-risk")).await;
    let dataset = producer.publish(&Package::events("signin-events")).await;
    let model = producer.publish(&Package::slow("slow", 30, 20_000)).await;
    producer.deploy("slow", &model).await;
    let both = (&algorithm, &dataset);
    let training = producer.begin_train(both, &[("seconds", 1)], "mine").await.unwrap();
    producer.training_in(training.id, &[TrainingState::Running]).await;
    let mut asking = JoinSet::new();
    let client = producer.client.clone();
    asking.spawn(async move {
        let input = json!({
            "name": "x", "shape": [512, 512], "datatype": "FP32", "data": vec![0.5; 512 * 512],
        });
        let request = invocation(json!({ "inputs": [input] }).to_string());
        client.model_infer(None, &name("slow"), request).await
    });
    until(30, "the request to be under way", || async {
        let metrics = http().get(cloud.metrics()).send().await.ok()?.text().await.ok()?;
        under_way(&metrics).then_some(())
    })
    .await;
    cloud.stop(Process::Up).await;
    let answer = asking.join_next().await.unwrap().unwrap();
    assert!(answer.is_ok(), "{answer:?}");
    cloud.nothing_left().await;
    cloud.start(Process::Up).await;
    cloud.ready().await;
    let training = producer.training_in(training.id, &[]).await;
    assert_eq!(training.state, TrainingState::Succeeded, "{training:?}");
    producer.ready(&name("slow")).await;
    cloud.close().await;
}

/// Whether the gauge of requests that are being answered is above zero.
fn under_way(metrics: &str) -> bool {
    let gauge = metrics.lines().find(|line| {
        !line.starts_with('#') && line.contains("active_requests") && !line.ends_with(" 0")
    });
    gauge.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_away_comes_back_and_nobody_has_to_start_anything() {
    let Some(database) = Fragile::start() else { return };
    let mut cloud = Cloud::apart_over(PROGRAM, database.url()).await;
    let away = ["cannot be reached", "could not", "away", "saga", "reconciler", "unavailable"];
    for text in away.into_iter().chain(["error occurred while testing the connection"]) {
        cloud.expect(text);
    }
    let (producer, _) = strangers(&cloud).await;
    let model = producer.publish(&Package::linear("double", ("x", "y"), 2.0, 0.0)).await;
    producer.deploy("twice", &model).await;
    let once = api::client::Settings {
        token: Some(producer.token.clone()),
        attempts: 1,
        ..api::client::Settings::new(producer.client.address().clone())
    };
    let once = api::client::Client::new(once).unwrap();
    database.stop();
    // Inference never waits for SQL.
    for _ in 0..20 {
        let request = json_request("x", [1.0, 2.0]);
        let answer = once.model_infer(None, &name("twice"), request).await.unwrap();
        assert_eq!(numbers(&answer), [2.0, 4.0]);
    }
    let refused = once.whoami().await.unwrap_err();
    assert_eq!((refused.status(), refused.code()), (Some(503), "database_unavailable"));
    database.go_on();
    until(30, "the database to be used again", || async { once.whoami().await.ok() }).await;
    let begun = producer.begin_publish(&Package::trainer("trainer"), Sharing::Nobody).await;
    database.stop();
    until(30, "the database to be missed", || async { once.whoami().await.err() }).await;
    database.go_on();
    let begun = begun.unwrap();
    let publish = producer.ended_publish(begun.id).await;
    assert_eq!(publish.state, PublishState::Published, "{publish:?}");
    cloud.s3().stop();
    let sender = Account { client: once, ..producer.clone() };
    let refused = sender.send(&Package::events("events")).await.unwrap_err();
    assert_eq!((refused.status(), refused.code()), (Some(503), "storage_unavailable"));
    cloud.s3().go_on();
    until(30, "the object store to be used again", || async {
        sender.send(&Package::events("events")).await.ok()
    })
    .await;
    producer.publish(&Package::events("events")).await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_a_whole_cloud() {
    let mut cloud = Cloud::one(PROGRAM).await;
    let (producer, _) = strangers(&cloud).await;
    let model = producer.publish(&Package::linear("double", ("x", "y"), 2.0, 0.0)).await;
    producer.deploy("twice", &model).await;
    let copy = cloud.folder().join("copy");
    let data = cloud.data(Process::Up);
    // While it runs.
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    freehold(&["backup", &text(&copy), "--data", &text(&data)]);
    producer.publish(&Package::linear("later", ("x", "y"), 3.0, 0.0)).await;
    cloud.stop(Process::Up).await;
    std::fs::remove_dir_all(&data).unwrap();
    freehold(&["restore", &text(&copy), "--data", &text(&data)]);
    cloud.start(Process::Up).await;
    cloud.ready().await;
    let twice = producer.ready(&name("twice")).await;
    assert_eq!(twice.source, model.into());
    let answer = until(30, "the endpoint to answer again", || async {
        let request = json_request("x", [1.0, 2.0]);
        producer.client.model_infer(None, &name("twice"), request).await.ok()
    })
    .await;
    assert_eq!(numbers(&answer), [2.0, 4.0]);
    let later = producer.client.item_fetch(&name("acme"), &name("later")).await.unwrap_err();
    assert_eq!(later.status(), Some(404));
    cloud.close().await;
}

/// Runs a command of the program to its end.
fn freehold(words: &[&str]) {
    let output = Command::new(PROGRAM).args(words).env_remove("FREEHOLD_DATA").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "freehold {}: {told}", words.join(" "));
}
