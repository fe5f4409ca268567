//! Hosts: lost, found again, and restarted.

use std::collections::BTreeSet;

use api::endpoints::EndpointState;
use api::internal::{HostReport, Watch};
use control::Error;
use control::operations::{endpoints as operations, hosts, routes as routing};
use store::endpoints::endpoints_list_all;
use store::instances::{InstanceState, instances_list_live, instances_reserved};
use types::Fleet;

use crate::agent::Agent;
use crate::harness::{House, Member, name, read};

/// A house whose agent serves an endpoint of alice's.
pub(crate) async fn serving() -> (House, Agent, Member) {
    let house = House::open().await;
    let agent = Agent::on(&house.control, 1).await;
    let alice = house.account("alice").await;
    let model = house.model(&agent, &alice, "double").await;
    house.deploy(&alice, "answers", &model).await;
    house.until(&agent, "an endpoint", || async { is_ready(&house, &alice).await }).await;
    (house, agent, alice)
}

async fn is_ready(house: &House, owner: &Member) -> Option<()> {
    let endpoint = house.endpoint(owner, "answers").await?;
    (endpoint.state == EndpointState::Ready).then_some(())
}

#[tokio::test]
async fn what_a_lost_host_ran_runs_on_another() {
    let (house, lost, alice) = serving().await;
    let other = Agent::on(&house.control, 2).await;
    let before = read!(house.store(), instances_list_live()).unwrap();
    house.time.advance_ms(20_000);
    house
        .until(&other, "the endpoint on the other host", || async {
            (other.serving() == 1).then_some(())
        })
        .await;
    house.pass(&other).await;
    assert_eq!(is_ready(&house, &alice).await, Some(()));
    let after = read!(house.store(), instances_list_live()).unwrap();
    assert_eq!(after.len(), 1);
    assert_eq!((before[0].host_id, after[0].host_id), (lost.host, other.host));
    // It comes back, and finds that nothing of what it ran is assigned to it.
    lost.report_host(&house.control).await;
    assert_eq!(lost.assigned(&house.control).await, []);
}

#[tokio::test]
async fn a_start_of_control_gives_hosts_their_time_to_report() {
    let (house, agent, _) = serving().await;
    house.time.advance_ms(3_600_000);
    let house = house.restarted().await;
    house.control.settle().await.unwrap();
    house.time.advance_ms(10_000);
    house.control.settle().await.unwrap();
    let live = read!(house.store(), instances_list_live()).unwrap();
    assert_eq!(live.len(), 1, "nobody could have reported while control was away");
    // Now it has had its time.
    house.time.advance_ms(10_000);
    house.control.settle().await.unwrap();
    let live = read!(house.store(), instances_list_live()).unwrap();
    let ids: BTreeSet<_> = live.iter().map(|row| (row.host_id, row.state)).collect();
    assert_eq!(ids.len(), 0, "{ids:?}");
    agent.report_host(&house.control).await;
}

#[tokio::test]
async fn an_agent_that_starts_again_runs_nothing_of_what_was_let_go() {
    let (house, agent, alice) = serving().await;
    operations::remove(&house.control, &alice, &name("answers")).await.unwrap();
    house.control.settle().await.unwrap();
    let reserved = read!(house.store(), instances_reserved()).unwrap();
    assert_eq!(reserved[&agent.host].instances, 1, "it has not ended yet");
    // The agent dies before it can say that the instance ended.
    agent.restart();
    agent.report_host(&house.control).await;
    assert_eq!(read!(house.store(), instances_reserved()).unwrap().get(&agent.host), None);
    house.control.settle().await.unwrap();
    assert_eq!(read!(house.store(), endpoints_list_all()).unwrap(), []);
}

#[tokio::test]
async fn what_was_let_go_and_forgotten_ends_after_a_while() {
    let (house, agent, alice) = serving().await;
    agent.restart();
    agent.report_host(&house.control).await;
    // Let go before the agent, which started again, had heard of it.
    operations::remove(&house.control, &alice, &name("answers")).await.unwrap();
    for _ in 0..140 {
        house.pass(&agent).await;
    }
    assert_eq!(read!(house.store(), instances_list_live()).unwrap(), []);
    assert_eq!(read!(house.store(), endpoints_list_all()).unwrap(), []);
}

#[tokio::test]
async fn an_agent_that_starts_again_gets_what_is_wanted() {
    let (house, agent, alice) = serving().await;
    agent.restart();
    house.pass(&agent).await;
    assert_eq!(agent.serving(), 1);
    assert_eq!(is_ready(&house, &alice).await, Some(()));
    let live = read!(house.store(), instances_list_live()).unwrap();
    assert_eq!(live[0].state, InstanceState::Ready);
}

#[tokio::test]
async fn a_report_of_an_earlier_start_is_refused() {
    let (house, agent, _) = serving().await;
    let before = agent.says();
    agent.restart();
    agent.report_host(&house.control).await;
    let refused = hosts::report(&house.control, agent.host, true, before).await;
    assert!(matches!(refused, Err(Error::Stale { stored: 2 })), "{refused:?}");
    agent.report_host(&house.control).await;
}

#[tokio::test]
async fn gateways_are_told_of_hosts_that_report() {
    let house = House::open().await;
    let (one, other) = (Agent::on(&house.control, 1).await, Agent::on(&house.control, 2).await);
    let report = async |agent: &Agent, fleet: Fleet| {
        let socket = Some("/somewhere".to_owned());
        let says = HostReport { functions_socket: socket, fleet, ..agent.says() };
        hosts::report(&house.control, agent.host, true, says).await.unwrap();
    };
    let told = async || {
        let routes = routing::watch(&house.control, Watch { after: 0, wait_ms: 0 }).await.unwrap();
        let hosts: Vec<_> = routes.hosts.into_iter().map(|host| (host.host, host.fleet)).collect();
        (routes.generation, hosts)
    };
    report(&one, Fleet::Hot).await;
    report(&other, Fleet::Cold).await;
    let (first, hosts) = told().await;
    assert_eq!(hosts, [(one.host, Fleet::Hot), (other.host, Fleet::Cold)]);

    // One is silent for longer than hosts may be.
    house.time.advance_ms(20_000);
    report(&other, Fleet::Cold).await;
    house.control.settle().await.unwrap();
    let (second, hosts) = told().await;
    assert_eq!(hosts, [(other.host, Fleet::Cold)]);
    assert!(second > first, "gateways hear of it");
    house.control.settle().await.unwrap();
    report(&other, Fleet::Cold).await;
    assert_eq!(told().await.0, second, "and once");

    report(&one, Fleet::Hot).await;
    let (third, hosts) = told().await;
    assert_eq!(hosts, [(one.host, Fleet::Hot), (other.host, Fleet::Cold)]);
    assert!(third > second);
}
