//! Provisioned concurrency: what is refused, which hosts keep what, and that its status is what they
//! report.

use access::Role;
use api::internal::Watch;
use api::internal::functions::provisioned::{Provisioned, ProvisionedHere, ProvisionedReport};
use control::Error;
use control::operations::functions::provisioned::report;
use control::operations::{instances, routes as routing};
use serde_json::{Value, json};
use types::{HostId, RevisionId};

use crate::agent::Agent;
use crate::harness::{Answer, House, Member, request};

const FUNCTION: &str = "/v1/functions/Resize";
const OF_ONE: &str = "/v1/functions/Resize/provisioned/1";
const OF_LIVE: &str = "/v1/functions/Resize/provisioned/live";
const NOW: Watch = Watch { after: 0, wait_ms: 0 };

/// Makes a version of the function, which is made where it is not there; gives its number.
pub(crate) async fn version(house: &House, owner: &Member) -> String {
    let found = house.get(owner, FUNCTION).await;
    let generation = if found.status == 200 {
        found.body["generation"].as_u64().unwrap()
    } else {
        let object = house.upload(owner, &[0; 1024]).await;
        let wanted = json!({ "name": "Resize", "runtime": "provided", "object": object });
        assert_eq!(house.post(owner, "/v1/functions", wanted).await.status, 201);
        1
    };
    let wanted = json!({ "generation": generation });
    let made = house.post(owner, &format!("{FUNCTION}/versions"), wanted).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.body["version"].as_str().unwrap().to_owned()
}

/// What a version runs.
pub(crate) async fn revision(house: &House, owner: &Member, version: &str) -> RevisionId {
    let routes = routing::watch(&house.control, NOW).await.unwrap();
    let mut functions = routes.functions.into_iter();
    let function = functions.find(|it| it.account == owner.account).unwrap();
    function.versions[version].revision
}

pub(crate) async fn put(house: &House, member: &Member, path: &str, body: Value) -> Answer {
    house.send(request("PUT", path, Some(member), Some(body))).await
}

async fn wish(house: &House, owner: &Member, path: &str, instances: u32) -> Answer {
    let put = put(house, owner, path, json!({ "instances": instances })).await;
    house.control.settle().await.unwrap();
    put
}

async fn alias(house: &House, owner: &Member, version: &str) {
    let wanted = json!({ "name": "live", "version": version });
    let made = house.post(owner, &format!("{FUNCTION}/aliases"), wanted).await;
    assert_eq!(made.status, 201, "{made:?}");
}

async fn move_alias(house: &House, owner: &Member, version: &str, generation: u64) -> Answer {
    let wanted = json!({ "version": version, "generation": generation });
    let moved = put(house, owner, &format!("{FUNCTION}/aliases/live"), wanted).await;
    house.control.settle().await.unwrap();
    moved
}

async fn kept(house: &House, agent: &Agent) -> Vec<(RevisionId, u32)> {
    let assigned = instances::assignments(&house.control, agent.host, NOW).await.unwrap();
    let pair = |it: Provisioned| (it.revision, it.instances);
    assigned.provisioned.into_iter().map(pair).collect()
}

/// A host says that it has so many of a revision.
async fn says(
    house: &House,
    agent: &Agent,
    (revision, starting, ready): (RevisionId, u32, u32),
    trouble: Option<&str>,
) -> Result<(), Error> {
    let trouble = trouble.map(str::to_owned);
    let here = ProvisionedHere { revision, starting, ready, trouble };
    let generation = agent.says().generation;
    let said = ProvisionedReport { generation, revisions: vec![here] };
    let said = report(&house.control, agent.host, said).await;
    house.control.settle().await.unwrap();
    said
}

async fn stands(house: &House, owner: &Member, path: &str) -> (String, u64, u64) {
    let found = house.get(owner, path).await;
    assert_eq!(found.status, 200, "{found:?}");
    let number = |name: &str| found.body[name].as_u64().unwrap();
    let status = found.body["status"].as_str().unwrap().to_owned();
    (status, number("allocated"), number("available"))
}

fn is(status: &str, allocated: u64, available: u64) -> (String, u64, u64) {
    (status.to_owned(), allocated, available)
}

/// A house with one host, and a function with one version.
async fn begin() -> (House, Agent, Member, RevisionId) {
    let house = House::open().await;
    let agent = Agent::on(&house.control, 1).await;
    let alice = house.account("alice").await;
    let number = version(&house, &alice).await;
    let revision = revision(&house, &alice, &number).await;
    (house, agent, alice, revision)
}

#[tokio::test]
async fn what_cannot_be_kept_warm_is_refused_in_words() {
    let (house, _, alice, _) = begin().await;
    let of = |qualifier: &str| format!("{FUNCTION}/provisioned/{qualifier}");
    for (path, instances, status) in [
        (of("$LATEST"), 1, 400),
        (of("7"), 1, 404),
        (of("nothing"), 1, 404),
        ("/v1/functions/nothing/provisioned/1".to_owned(), 1, 404),
        (of("1"), 0, 400),
        (of("1"), 1_001, 400),
    ] {
        let refused = wish(&house, &alice, &path, instances).await;
        assert_eq!(refused.status, status, "{path}: {refused:?}");
    }
    assert_eq!(house.get(&alice, OF_ONE).await.status, 404);
    let delete = request("DELETE", OF_ONE, Some(&alice), None);
    assert_eq!(house.send(delete).await.status, 404);

    // One version is kept by one name, wherever it moves.
    alias(&house, &alice, "$LATEST").await;
    assert_eq!(wish(&house, &alice, OF_LIVE, 1).await.status, 400);
    assert_eq!(move_alias(&house, &alice, "1", 1).await.status, 200);
    assert_eq!(wish(&house, &alice, OF_LIVE, 2).await.status, 200);
    let twice = wish(&house, &alice, OF_ONE, 1).await;
    assert_eq!((twice.status, twice.code()), (409, "conflict"), "{twice:?}");
    assert_eq!(version(&house, &alice).await, "2");
    assert_eq!(wish(&house, &alice, &of("2"), 1).await.status, 200);
    for elsewhere in ["2", "$LATEST"] {
        let refused = move_alias(&house, &alice, elsewhere, 2).await;
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    let all = house.get(&alice, &format!("{FUNCTION}/provisioned")).await;
    let all: Vec<_> = all.body.as_array().unwrap().iter().map(|it| &it["qualifier"]).collect();
    assert_eq!(all, [&json!("2"), &json!("live")]);
}

#[tokio::test]
async fn no_more_is_kept_warm_than_may_run_at_one_time() {
    let (house, _, alice, _) = begin().await;
    let limit = "/2017-10-31/functions/Resize/concurrency";
    let reserve = async |max: u32| {
        let wanted = json!({ "ReservedConcurrentExecutions": max });
        put(&house, &alice, limit, wanted).await.status
    };
    assert_eq!(reserve(3).await, 200);
    assert_eq!(wish(&house, &alice, OF_ONE, 4).await.status, 400);
    assert_eq!(wish(&house, &alice, OF_ONE, 2).await.status, 200);
    assert_eq!(version(&house, &alice).await, "2");
    let of_two = format!("{FUNCTION}/provisioned/2");
    assert_eq!(wish(&house, &alice, &of_two, 2).await.status, 400, "four of three");
    assert_eq!(wish(&house, &alice, &of_two, 1).await.status, 200);
    assert_eq!(reserve(2).await, 400);
    assert_eq!(reserve(3).await, 200);
}

#[tokio::test]
async fn a_reader_sees_it_and_changes_nothing() {
    let (house, _, alice, _) = begin().await;
    wish(&house, &alice, OF_ONE, 1).await;
    let reader = house.member(&alice, Role::Reader).await;
    assert_eq!(house.get(&reader, OF_ONE).await.status, 200);
    assert_eq!(wish(&house, &reader, OF_ONE, 2).await.status, 403);
    let delete = request("DELETE", OF_ONE, Some(&reader), None);
    assert_eq!(house.send(delete).await.status, 403);
    let bob = house.account("bob").await;
    assert_eq!(house.get(&bob, OF_ONE).await.status, 404);
}

#[tokio::test]
async fn the_status_is_what_hosts_report() {
    let (house, agent, alice, revision) = begin().await;
    let wished = wish(&house, &alice, OF_ONE, 2).await;
    assert_eq!((wished.status, &wished.body["status"]), (200, &json!("in_progress")));
    assert_eq!(kept(&house, &agent).await, [(revision, 2)]);
    assert_eq!(stands(&house, &alice, OF_ONE).await, is("in_progress", 0, 0));
    for (starting, ready, expected) in [
        (2, 0, is("in_progress", 2, 0)),
        (1, 1, is("in_progress", 2, 1)),
        (0, 2, is("ready", 2, 2)),
        (0, 3, is("ready", 2, 2)),
    ] {
        says(&house, &agent, (revision, starting, ready), None).await.unwrap();
        assert_eq!(stands(&house, &alice, OF_ONE).await, expected);
    }
    says(&house, &agent, (revision, 0, 1), Some("it ends at once")).await.unwrap();
    assert_eq!(stands(&house, &alice, OF_ONE).await, is("failed", 1, 1));
    let reason = house.get(&alice, OF_ONE).await.body["reason"].clone();
    let told = format!("on {}: it ends at once", agent.says().name);
    assert_eq!(reason, json!(told));

    // What was said before the agent started again does not count, nor is it said again.
    says(&house, &agent, (revision, 0, 2), None).await.unwrap();
    let before = ProvisionedReport { generation: agent.says().generation, revisions: vec![] };
    agent.restart();
    agent.report_host(&house.control).await;
    assert_eq!(stands(&house, &alice, OF_ONE).await, is("in_progress", 0, 0));
    let stale = report(&house.control, agent.host, before).await;
    assert!(matches!(stale, Err(Error::Stale { .. })), "{stale:?}");
    assert_eq!(kept(&house, &agent).await, [(revision, 2)]);
}

#[tokio::test]
async fn what_has_no_room_fails_and_what_has_is_kept() {
    let (house, agent, alice, revision) = begin().await;
    // The host has 1 GiB for functions: three quarters of it are six of 128 MiB.
    let wished = wish(&house, &alice, OF_ONE, 8).await;
    assert_eq!(wished.body["status"], "failed", "{wished:?}");
    let reason = wished.body["reason"].as_str().unwrap();
    assert!(reason.contains("room for 2 more of 128 MiB"), "{reason}");
    assert_eq!(kept(&house, &agent).await, [(revision, 6)]);
    says(&house, &agent, (revision, 0, 6), None).await.unwrap();
    assert_eq!(stands(&house, &alice, OF_ONE).await, is("failed", 6, 6));
    wish(&house, &alice, OF_ONE, 6).await;
    assert_eq!(stands(&house, &alice, OF_ONE).await, is("ready", 6, 6));
}

#[tokio::test]
async fn what_a_lost_host_kept_is_kept_by_another() {
    let (house, lost, alice, revision) = begin().await;
    let other = Agent::on(&house.control, 2).await;
    wish(&house, &alice, OF_ONE, 4).await;
    for agent in [&lost, &other] {
        assert_eq!(kept(&house, agent).await, [(revision, 2)]);
        says(&house, agent, (revision, 0, 2), None).await.unwrap();
    }
    assert_eq!(stands(&house, &alice, OF_ONE).await, is("ready", 4, 4));
    let told = ready(&house, &alice).await;
    assert_eq!(told, [(lost.host, 2), (other.host, 2)]);

    house.time.advance_ms(20_000);
    other.report_host(&house.control).await;
    for _ in 0..5 {
        house.control.settle().await.unwrap();
        house.time.advance_ms(1_000);
    }
    assert_eq!(kept(&house, &other).await, [(revision, 4)]);
    assert_eq!(stands(&house, &alice, OF_ONE).await, is("in_progress", 2, 2));
    assert_eq!(ready(&house, &alice).await, [(other.host, 2)], "gateways are told");
    // It comes back, and has nothing to keep.
    lost.report_host(&house.control).await;
    house.control.settle().await.unwrap();
    assert_eq!(kept(&house, &lost).await, []);
}

/// Instances of version 1 that gateways are told of, by host.
async fn ready(house: &House, owner: &Member) -> Vec<(HostId, u32)> {
    let routes = routing::watch(&house.control, NOW).await.unwrap();
    let mut functions = routes.functions.into_iter();
    let function = functions.find(|it| it.account == owner.account).unwrap();
    let mut ready: Vec<_> = function.versions["1"].provisioned.clone().into_iter().collect();
    ready.sort();
    ready
}

#[tokio::test]
async fn the_version_before_is_kept_until_the_next_one_is_ready() {
    let (house, agent, alice, first) = begin().await;
    alias(&house, &alice, "1").await;
    wish(&house, &alice, OF_LIVE, 2).await;
    says(&house, &agent, (first, 0, 2), None).await.unwrap();
    assert_eq!(version(&house, &alice).await, "2");
    let second = revision(&house, &alice, "2").await;
    assert_eq!(move_alias(&house, &alice, "2", 1).await.status, 200);
    let mut both = vec![(first, 2), (second, 2)];
    both.sort();
    assert_eq!(kept(&house, &agent).await, both);
    assert_eq!(stands(&house, &alice, OF_LIVE).await, is("in_progress", 0, 0));
    says(&house, &agent, (second, 1, 1), None).await.unwrap();
    assert_eq!(kept(&house, &agent).await, both, "one of two is there");
    says(&house, &agent, (second, 0, 2), None).await.unwrap();
    assert_eq!(kept(&house, &agent).await, [(second, 2)]);
    assert_eq!(stands(&house, &alice, OF_LIVE).await, is("ready", 2, 2));

    // Without its alias nothing is kept.
    let delete = request("DELETE", &format!("{FUNCTION}/aliases/live"), Some(&alice), None);
    assert_eq!(house.send(delete).await.status, 204);
    house.time.advance_ms(5_000);
    house.control.settle().await.unwrap();
    assert_eq!(kept(&house, &agent).await, []);
    assert_eq!(house.get(&alice, OF_LIVE).await.status, 404);
}

#[tokio::test]
async fn an_alias_divides_what_is_kept_as_it_divides_calls() {
    let (house, agent, alice, first) = begin().await;
    assert_eq!(version(&house, &alice).await, "2");
    let second = revision(&house, &alice, "2").await;
    alias(&house, &alice, "1").await;
    wish(&house, &alice, OF_LIVE, 4).await;
    let other = json!({ "version": "2", "share": 2_500 });
    let wanted = json!({ "version": "1", "other": other, "generation": 1 });
    let moved = put(&house, &alice, &format!("{FUNCTION}/aliases/live"), wanted).await;
    assert_eq!(moved.status, 200, "{moved:?}");
    house.control.settle().await.unwrap();
    let mut divided = vec![(first, 3), (second, 1)];
    divided.sort();
    assert_eq!(kept(&house, &agent).await, divided);
}
