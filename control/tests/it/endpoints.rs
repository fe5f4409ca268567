//! Endpoints: placed, routed, restarted, updated and removed.

use api::endpoints::{Endpoint, EndpointState, UpdateEndpoint};
use api::internal::{HostReport, Route, Watch};
use api::items::Sharing;
use control::operations::{endpoints as operations, hosts, routes};
use store::endpoints::endpoints_list_all;
use store::instances::{InstanceRow, InstanceState, Owner, Wanted, instances_list_of};
use testkit::Package;
use types::Reference;

use crate::agent::{Agent, Play};
use crate::harness::{House, Member, name, read};

/// A house with a model of alice's and an agent.
async fn world() -> (House, Agent, Member, Reference) {
    let house = House::open().await;
    let agent = Agent::on(&house.control, 1).await;
    let alice = house.account("alice").await;
    let model = house.model(&agent, &alice, "double").await;
    (house, agent, alice, model)
}

async fn ready(house: &House, agent: &Agent, owner: &Member, text: &str) -> Endpoint {
    house
        .until(agent, "an endpoint to be ready", || async {
            let endpoint = house.endpoint(owner, text).await?;
            (endpoint.state == EndpointState::Ready).then_some(endpoint)
        })
        .await
}

/// The route of an endpoint, as a gateway is told.
async fn route(house: &House, text: &str) -> Option<Route> {
    let watch = Watch { after: 0, wait_ms: 0 };
    let routes = routes::watch(&house.control, watch).await.unwrap();
    routes.endpoints.into_iter().find(|route| route.name == name(text))
}

pub(crate) async fn instances(house: &House, endpoint: &Endpoint) -> Vec<InstanceRow> {
    read!(house.store(), instances_list_of(Owner::Endpoint(endpoint.id))).unwrap()
}

async fn update(house: &House, owner: &Member, endpoint: &Endpoint, source: &Reference) {
    let source = source.clone();
    let (source, generation) = (source.into(), endpoint.generation);
    let request = UpdateEndpoint { source, instance_type: None, generation };
    operations::update(&house.control, owner, &endpoint.name, request).await.unwrap();
}

#[tokio::test]
async fn a_deployed_model_gets_one_instance_and_a_route() {
    let (house, agent, alice, model) = world().await;
    let made = house.deploy(&alice, "answers", &model).await;
    assert_eq!((made.state, made.generation), (EndpointState::Starting, 1));
    let endpoint = ready(&house, &agent, &alice, "answers").await;
    assert_eq!(endpoint.source, model.into());
    assert_eq!(endpoint.stages[0].engine.as_deref(), Some("played"));
    let rows = instances(&house, &endpoint).await;
    assert_eq!(rows.len(), 1);
    let route = route(&house, "answers").await.unwrap();
    assert_eq!(route.stages[0].backends[0].instance, rows[0].id);
    assert_eq!((route.everybody, route.accounts.len()), (false, 0));
}

#[tokio::test]
async fn every_stage_of_a_pipeline_gets_an_instance() {
    let (house, agent, alice, _) = world().await;
    let pipeline = chain(&house, &agent, &alice, ("chain", 2.0)).await;
    house.deploy(&alice, "chained", &pipeline).await;
    let endpoint = ready(&house, &agent, &alice, "chained").await;
    let mut stages: Vec<_> =
        instances(&house, &endpoint).await.iter().map(|row| row.stage).collect();
    stages.sort_unstable();
    assert_eq!(stages, [0, 1]);
}

/// A pipeline of two models whose formats are equal.
async fn chain(
    house: &House,
    agent: &Agent,
    owner: &Member,
    (text, factor): (&str, f32),
) -> Reference {
    let mut stages = Vec::new();
    for (end, tensors) in [("first", ("x", "y")), ("second", ("y", "x"))] {
        let package = Package::linear(&format!("{text}-{end}"), tensors, factor, 0.0);
        let made = house.publish(agent, owner, (&package, Sharing::Nobody)).await;
        stages.push(made.to_string());
    }
    let stages: Vec<&str> = stages.iter().map(String::as_str).collect();
    let package = Package::pipeline(text, &stages);
    house.publish(agent, owner, (&package, Sharing::Nobody)).await
}

#[tokio::test]
async fn failures_restart_with_a_growing_pause_until_it_goes_well() {
    let (house, agent, alice, model) = world().await;
    agent.play(Play::Fails("out of luck"));
    let endpoint = house.deploy(&alice, "answers", &model).await;
    house
        .until(&agent, "five tries", || async {
            (instances(&house, &endpoint).await.len() >= 5).then_some(())
        })
        .await;
    let shown = house.endpoint(&alice, "answers").await.unwrap();
    assert_eq!(shown.state, EndpointState::Failed);
    assert_eq!(shown.error.as_deref(), Some("out of luck"));
    let mut begun: Vec<u64> =
        instances(&house, &endpoint).await.iter().map(|row| row.created_at_ms).collect();
    begun.sort_unstable();
    let pauses: Vec<u64> = begun.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.is_sorted() && pauses[3] >= 4 * pauses[0], "pauses: {pauses:?}");

    // While the next try is under way it still counts as failed; then it is ready.
    agent.play(Play::Hangs);
    let starting = |row: &InstanceRow| row.state == InstanceState::Starting;
    house
        .until(&agent, "a try that hangs", || async {
            instances(&house, &endpoint).await.iter().any(starting).then_some(())
        })
        .await;
    house.pass(&agent).await;
    assert_eq!(house.endpoint(&alice, "answers").await.unwrap().state, EndpointState::Failed);
    agent.unhang(&house.control).await;
    assert_eq!(ready(&house, &agent, &alice, "answers").await.error, None);
}

#[tokio::test]
async fn what_failed_before_it_was_ready_no_longer_counts() {
    let (house, agent, alice, model) = world().await;
    agent.play(Play::Fails("out of luck"));
    let endpoint = house.deploy(&alice, "answers", &model).await;
    house
        .until(&agent, "two tries", || async {
            (instances(&house, &endpoint).await.len() == 2).then_some(())
        })
        .await;
    agent.play(Play::Well);
    ready(&house, &agent, &alice, "answers").await;
    for _ in 0..15 {
        house.pass(&agent).await;
    }
    let counting = |row: &&InstanceRow| row.wanted == Wanted::Running;
    let rows = instances(&house, &endpoint).await;
    assert_eq!(rows.iter().filter(counting).count(), 1, "{rows:#?}");
}

#[tokio::test]
async fn the_old_model_answers_until_the_new_one_is_ready() {
    let (house, agent, alice, model) = world().await;
    let newer = house.model(&agent, &alice, "double").await;
    assert_ne!(model, newer);
    house.deploy(&alice, "answers", &model).await;
    let endpoint = ready(&house, &agent, &alice, "answers").await;
    let before = route(&house, "answers").await.unwrap();
    agent.play(Play::Hangs);
    update(&house, &alice, &endpoint, &newer).await;
    for _ in 0..20 {
        house.pass(&agent).await;
    }
    assert_eq!(house.endpoint(&alice, "answers").await.unwrap().state, EndpointState::Starting);
    let during = route(&house, "answers").await.unwrap();
    assert_eq!(during.stages, before.stages);
    assert_eq!(during.version, 1);
    assert_eq!(agent.serving(), 1);

    agent.unhang(&house.control).await;
    ready(&house, &agent, &alice, "answers").await;
    let after = route(&house, "answers").await.unwrap();
    assert_eq!(after.version, 2);
    assert_ne!(after.stages[0].backends, before.stages[0].backends);
    house
        .until(&agent, "the old one to go", || async { (agent.serving() == 1).then_some(()) })
        .await;
}

#[tokio::test]
async fn what_is_routed_is_never_of_two_wanted_states() {
    let (house, agent, alice, _) = world().await;
    let old = chain(&house, &agent, &alice, ("old", 2.0)).await;
    let new = chain(&house, &agent, &alice, ("new", 3.0)).await;
    house.deploy(&alice, "chained", &old).await;
    let endpoint = ready(&house, &agent, &alice, "chained").await;
    let before = route(&house, "chained").await.unwrap();
    agent.play(Play::Hangs);
    update(&house, &alice, &endpoint, &new).await;
    for _ in 0..4 {
        house.pass(&agent).await;
    }
    // One stage of the new pipeline is ready, the other is not.
    let rows = instances(&house, &endpoint).await;
    let first = rows.iter().find(|row| row.stage == 0 && row.state == InstanceState::Starting);
    let ready_report = api::internal::InstanceReport {
        socket: Some("/run/new.sock".to_owned()),
        ..agent.report(1, api::internal::InstanceState::Ready)
    };
    let id = first.unwrap().id;
    control::operations::instances::report(&house.control, id, ready_report).await.unwrap();
    house.pass(&agent).await;
    assert_eq!(route(&house, "chained").await.unwrap().stages, before.stages);
    agent.unhang(&house.control).await;
    ready(&house, &agent, &alice, "chained").await;
    let after = route(&house, "chained").await.unwrap();
    let sources: Vec<String> = after.stages.iter().map(|stage| stage.source.to_string()).collect();
    assert_eq!(sources, ["alice/new-first@1", "alice/new-second@1"]);
    assert!(after.stages.iter().all(|stage| stage.backends.len() == 1));
}

#[tokio::test]
async fn a_deleted_endpoint_leaves_nothing_and_its_name_is_free_at_once() {
    let (house, agent, alice, model) = world().await;
    house.deploy(&alice, "answers", &model).await;
    let endpoint = ready(&house, &agent, &alice, "answers").await;
    let gone = operations::remove(&house.control, &alice, &name("answers")).await.unwrap();
    assert_eq!(gone.state, EndpointState::Deleting);
    assert_eq!(route(&house, "answers").await, None);
    // It stays until its instance has ended.
    house.control.settle().await.unwrap();
    assert_eq!(read!(house.store(), endpoints_list_all()).unwrap().len(), 1);
    let again = house.deploy(&alice, "answers", &model).await;
    assert_ne!(again.id, endpoint.id);
    house
        .until(&agent, "the deleted one to go", || async {
            let all = read!(house.store(), endpoints_list_all()).unwrap();
            (all.len() == 1).then_some(())
        })
        .await;
    assert!(instances(&house, &endpoint).await.iter().all(|row| row.state.ended()));
    ready(&house, &agent, &alice, "answers").await;
    assert_eq!(agent.serving(), 1);
}

#[tokio::test]
async fn an_endpoint_waits_for_room() {
    let (house, agent, alice, model) = world().await;
    let small = HostReport { generation: 2, cpu_milli: 10, ..agent.says() };
    hosts::report(&house.control, agent.host, true, small.clone()).await.unwrap();
    house.deploy(&alice, "answers", &model).await;
    house.control.settle().await.unwrap();
    let shown = house.endpoint(&alice, "answers").await.unwrap();
    assert_eq!(shown.state, EndpointState::Failed);
    let why = shown.error.unwrap_or_default();
    assert!(why.contains("none of 1 hosts has 250 thousandths of a processor"), "{why}");
    agent.restart();
    ready(&house, &agent, &alice, "answers").await;
}
