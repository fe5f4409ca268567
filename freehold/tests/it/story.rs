//! The main job: publish, find, train, deploy, infer, told in one process and in separate ones,
//! each of which is killed and started alone in mid-story.

use api::client::Invocation;
use api::endpoints::UpdateEndpoint;
use api::items::{SearchQuery, SuggestRequest};
use api::trainings::TrainingState;
use bytes::Bytes;
use testkit::tensors::{binary_request, invocation, json_request, numbers, rows};
use testkit::wait::until;
use testkit::{Account, Cloud, Package, Process};
use types::{ItemKind, Reference};

use crate::grpc;
use crate::world::{PROGRAM, name, reference, strangers};

#[tokio::test(flavor = "multi_thread")]
async fn story_in_one_process() {
    let mut cloud = Cloud::one(PROGRAM).await;
    tell(&mut cloud).await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn story_in_separate_processes_each_killed_and_started_alone() {
    let Some(mut cloud) = Cloud::apart(PROGRAM).await else { return };
    // Whoever is left says that it misses the one that was killed.
    for text in ["could not reach", "cannot be reached", "unreachable", "away"] {
        cloud.expect(text);
    }
    tell(&mut cloud).await;
    cloud.close().await;
}

/// The whole story.
async fn tell(cloud: &mut Cloud) {
    let (producer, requester) = strangers(cloud).await;
    let (algorithm, dataset) = publish(cloud, &producer).await;
    find(&requester, &algorithm, &dataset).await;
    let model = train(cloud, &requester, (&algorithm, &dataset)).await;
    let pipeline = chain(&producer, &requester, &model).await;
    deploy(cloud, &requester, &model, &pipeline).await;
    infer(cloud, &requester).await;
    keep_secrets(&producer, &requester, (&algorithm, &model)).await;
    update_and_delete(cloud, &requester, &pipeline).await;
}

/// Kills one process and starts it again; nothing where all is one.
async fn lose(cloud: &mut Cloud, process: Process) {
    if cloud.processes().contains(&process) {
        cloud.kill_and_start(process).await;
        cloud.nothing_left().await;
        cloud.ready().await;
    }
}

async fn publish(cloud: &mut Cloud, producer: &Account) -> (Reference, Reference) {
    let dataset = producer.publish(&Package::events("signin-events")).await;
    assert_eq!(dataset, reference("acme/signin-events@1"));
    let begun = producer.begin_publish(&Package::trainer("signin-risk"), everybody()).await;
    let begun = begun.unwrap();
    lose(cloud, Process::Control).await;
    let publish = producer.ended_publish(begun.id).await;
    let log = producer.publish_log(begun.id).await;
    assert_eq!(publish.version, Some(reference("acme/signin-risk@1")), "{publish:?} {log:#?}");
    let steps = ["receive", "package", "test", "check", "unit-test", "version"];
    for step in steps {
        assert!(log.iter().any(|line| line.source == step), "no {step} in {log:#?}");
    }
    (publish.version.unwrap(), dataset)
}

fn everybody() -> api::items::Sharing {
    api::items::Sharing::Everybody
}

/// What was published is found by what it does, a moment later.
async fn find(requester: &Account, algorithm: &Reference, dataset: &Reference) {
    let query = SearchQuery {
        text: Some("attacks sign-ins".to_owned()),
        kind: Some(ItemKind::Algorithm),
        category: Some("security".to_owned()),
        ..SearchQuery::default()
    };
    let found = until(10, "the search to find it", || async {
        requester.client.search(&query).await.unwrap().found.into_iter().next()
    })
    .await;
    assert_eq!((&found.item.account, &found.item.name), (&name("acme"), &algorithm.name));
    assert!(!found.reasons.is_empty());
    let wish = SuggestRequest {
        kind: Some(ItemKind::Algorithm),
        dataset: Some(dataset.clone()),
        ..SuggestRequest::default()
    };
    let suggested = requester.client.suggest(&wish).await.unwrap().found;
    assert_eq!(suggested[0].item.name, algorithm.name);
    let wish = SuggestRequest { memory_bytes_max: Some(1), ..wish };
    let nearly = requester.client.suggest(&wish).await.unwrap();
    assert_eq!(nearly.found, []);
    assert_eq!(nearly.near[0].found.item.name, algorithm.name);
    assert!(nearly.near[0].misses[0].contains("memory"), "{:?}", nearly.near[0].misses);
    let nothing = SearchQuery { text: Some("zeppelin".to_owned()), ..SearchQuery::default() };
    assert!(requester.client.search(&nothing).await.unwrap().found.is_empty());
}

async fn train(
    cloud: &mut Cloud,
    requester: &Account,
    (algorithm, dataset): (&Reference, &Reference),
) -> Reference {
    let begun = requester.begin_train((algorithm, dataset), &[("seconds", 2)], "my-risk").await;
    let id = begun.unwrap().id;
    let running = requester.training_in(id, &[TrainingState::Running]).await;
    assert_eq!(running.state, TrainingState::Running, "{running:?}");
    lose(cloud, Process::Agent).await;
    let training = requester.training_in(id, &[]).await;
    let log = requester.training_log(id).await;
    let state = training.state;
    assert_eq!(state, TrainingState::Succeeded, "{training:?} {log:#?}");
    let said = |text: &str| log.iter().any(|line| line.text.contains(text));
    assert!(said("learning from 5 lines") && said("done"), "{log:#?}");
    let model = training.model.unwrap();
    assert_eq!(model, reference("borealis/my-risk@1"));
    let version = requester.client.version_fetch(&name("borealis"), &model.name, 1).await.unwrap();
    let lineage = version.lineage.unwrap();
    assert_eq!((&lineage.algorithm, &lineage.data[0].dataset), (algorithm, dataset));
    model
}

/// The requester's model, and one of the producer's behind it.
async fn chain(producer: &Account, requester: &Account, model: &Reference) -> Reference {
    let after = producer.publish(&Package::linear("after", ("y", "z"), 10.0, 0.5)).await;
    let stages = [model.to_string(), after.to_string()];
    let stages: Vec<&str> = stages.iter().map(String::as_str).collect();
    let package = Package::pipeline("both", &stages);
    requester.publish_for(&package, api::items::Sharing::Nobody).await
}

async fn deploy(cloud: &mut Cloud, requester: &Account, model: &Reference, pipeline: &Reference) {
    requester.deploy("risk", model).await;
    requester.begin_deploy("chain", pipeline).await.unwrap();
    lose(cloud, Process::Control).await;
    let chain = requester.ready(&name("chain")).await;
    assert_eq!(chain.stages.len(), 2);
    lose(cloud, Process::Gateway).await;
}

/// The same answers by every protocol.
async fn infer(cloud: &mut Cloud, requester: &Account) {
    let client = &requester.client;
    let (risk, chain) = (name("risk"), name("chain"));
    until(30, "both endpoints to answer", || async {
        let ready = client.model_ready(None, &risk).await.ok()?;
        (ready && client.model_ready(None, &chain).await.ok()?).then_some(())
    })
    .await;
    let answer = client.model_infer(None, &risk, json_request("x", [1.0, 2.0])).await.unwrap();
    assert_eq!(numbers(&answer), [4.0, 7.0]);
    let request = binary_request(rows("x", &[[1.0, 2.0], [3.0, 4.0]]));
    let answer = client.model_infer(None, &chain, request).await.unwrap();
    assert!(answer.header_length.is_some());
    assert_eq!(numbers(&answer), [40.5, 70.5, 100.5, 130.5]);
    let token = Some(requester.token.as_str());
    let answer = grpc::infer(&cloud.grpc(), token, ("risk", "x"), [0.0, -1.0]).await.unwrap();
    assert_eq!(answer, [1.0, -2.0]);
    let answer = grpc::infer(&cloud.grpc(), token, ("chain", "x"), [0.0, 0.0]).await.unwrap();
    assert_eq!(answer, [10.5, 10.5]);
    let csv = Invocation {
        media_type: "text/csv".to_owned(),
        accept: Some("text/csv".to_owned()),
        ..invocation(Bytes::from_static(b"1,2\n3,4\n"))
    };
    let answer = client.endpoint_invoke(risk.as_str(), csv).await.unwrap();
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains('4') && text.contains("13"), "{text}");
    lose(cloud, Process::Agent).await;
    until(60, "the instances to be started again", || async {
        let request = json_request("x", [1.0, 2.0]);
        client.model_infer(None, &chain, request).await.ok()
    })
    .await;
}

/// The requester never sees the code, and the producer never sees the data.
async fn keep_secrets(
    producer: &Account,
    requester: &Account,
    (algorithm, model): (&Reference, &Reference),
) {
    let acme = name("acme");
    let shown = requester.client.version_fetch(&acme, &algorithm.name, 1).await.unwrap();
    assert_eq!((shown.object, shown.files, shown.lineage), (None, None, None));
    let own = producer.client.version_fetch(&acme, &algorithm.name, 1).await.unwrap();
    let object = own.object.unwrap();
    assert!(own.files.unwrap().iter().any(|file| file.path == "train.sh"));
    for refused in [
        requester.client.object_fetch(object).await.map(drop),
        requester.client.object_content(object, 0).await.map(drop),
        producer.client.item_fetch(&name("borealis"), &model.name).await.map(drop),
        producer.client.endpoint_fetch(&name("risk")).await.map(drop),
        requester.client.item_usage(&acme, &algorithm.name).await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused.status(), Some(403 | 404)), "{refused:?}");
    }
    // The producer's model stands behind the requester's in the pipeline: counts arrive.
    let usage = until(20, "the counts to arrive", || async {
        let usage = producer.client.item_usage(&acme, &name("after")).await.unwrap();
        (usage.requests > 0).then_some(usage)
    })
    .await;
    assert_eq!(usage.accounts, 1, "{usage:?}");
    let usage = producer.client.item_usage(&acme, &algorithm.name).await.unwrap();
    assert_eq!(usage.trainings, 1, "{usage:?}");
}

async fn update_and_delete(cloud: &mut Cloud, requester: &Account, pipeline: &Reference) {
    let client = &requester.client;
    let risk = name("risk");
    let generation = client.endpoint_fetch(&risk).await.unwrap().generation;
    let wanted =
        UpdateEndpoint { source: pipeline.clone().into(), instance_type: None, generation };
    client.endpoint_update(&risk, &wanted).await.unwrap();
    let stale = client.endpoint_update(&risk, &wanted).await.unwrap_err();
    assert_eq!(stale.code(), "stale_generation", "{stale:?}");
    let updated = until(60, "the new version to answer", || async {
        let request = json_request("x", [1.0, 2.0]);
        // The old instances answer until the new ones do: no request may fail in between.
        let answer = client.model_infer(None, &risk, request).await.unwrap();
        let answer = numbers(&answer);
        (answer != [4.0, 7.0]).then_some(answer)
    })
    .await;
    assert_eq!(updated, [40.5, 70.5]);
    for endpoint in ["risk", "chain"] {
        client.endpoint_delete(&name(endpoint)).await.unwrap();
        until(20, "the endpoint to be gone", || async {
            let gone = client.endpoint_fetch(&name(endpoint)).await.err();
            gone.filter(|error| error.status() == Some(404))
        })
        .await;
        until(1, "the gateway to know that it is gone", || async {
            let request = json_request("x", [1.0, 2.0]);
            let refused = client.model_infer(None, &name(endpoint), request).await.err();
            refused.filter(|error| error.status() == Some(404))
        })
        .await;
    }
    until(20, "every instance to be gone", || async {
        let status = cloud.operator().status().await.unwrap();
        (status.endpoints == 0 && status.instances == 0).then_some(())
    })
    .await;
}
