//! Every reconciler: one act that fails is repaired by a later activation, one that is cut short
//! at any await does no harm, and at rest nothing is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use api::internal::functions::TakeEvents;
use api::items::Sharing;
use control::operations::functions::events;
use control::operations::{endpoints as operations, enrolments, keys, objects as uploads};
use control::reconcilers;
use serde_json::json;
use store::endpoints::endpoints_list_all;
use store::functions::provisions::{provision_put, provisions_list};
use store::instances::{Owner, instances_list_live, instances_list_of};
use store::objects::{object_fetch, object_hold};
use store::runs::{RunReport, RunRow, RunState, run_fetch, run_insert, run_report};
use store::sagas::sagas_list_about;
use testkit::Package;
use types::{EndpointId, ObjectId, Reference, RunId, StreamId};
use workflow::reconciler::laws::{Trial, assert_upheld};
use workflow::reconciler::{Reconciler, Status};

use crate::agent::{Agent, Play};
use crate::harness::{GRACE_MS, House, Member, Template, name, read, request, write};
use crate::provisioned;
use crate::sql_faults::Trap;
use crate::triggers;

/// The reconcilers that are tried below.
const TRIED: [&str; 10] = [
    "hosts",
    "endpoints",
    "bakes",
    "triggers",
    "runs",
    "garbage",
    "keys",
    "provisioning",
    "schedules",
    "trimming",
];

const DAY_MS: u64 = 86_400_000;

#[tokio::test]
async fn every_reconciler_is_tried() {
    let house = House::open().await;
    let registry = reconcilers::registry(&house.control);
    let names: Vec<_> = registry.iter().map(|reconciler| reconciler.name()).collect();
    assert_eq!(names, TRIED, "a reconciler without a trial: add one here");
}

/// Something that may fail.
#[derive(Clone, Copy)]
enum Act {
    /// Statements of this kind, in one activation.
    Sql(&'static str),
    /// The n-th call of the blobs, from 0.
    Blob(i64),
}

/// A reconciler in its house, with what happens between its activations.
struct Staged {
    house: Arc<House>,
    inner: Arc<dyn Reconciler>,
    acts: &'static [Act],
    armed: AtomicU32,
    /// Says how much it did: then the reconciler has to look again.
    between: Box<dyn Fn() -> BoxFuture<'static, u64> + Send + Sync>,
}

impl Reconciler for Staged {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn period_ms(&self) -> u64 {
        self.inner.period_ms()
    }

    fn activate(&self) -> BoxFuture<'_, Status> {
        async {
            let armed = self.armed.swap(0, Ordering::SeqCst) as usize;
            let act = armed.checked_sub(1).and_then(|place| self.acts.get(place));
            let mut status = match act {
                None => self.inner.activate().await,
                Some(Act::Blob(after)) => {
                    self.house.blobs.fail(*after, 1);
                    let status = self.inner.activate().await;
                    self.house.blobs.mend();
                    status
                }
                Some(Act::Sql(act)) => {
                    let trap = Trap::set(&self.house.database(), act).await;
                    let status = self.inner.activate().await;
                    trap.take_away().await;
                    status
                }
            };
            status.steps_done += (self.between)().await;
            status
        }
        .boxed()
    }
}

/// A trial of the reconciler of this name.
fn trial(
    house: &Arc<House>,
    (name, acts): (&str, &'static [Act]),
    between: impl Fn() -> BoxFuture<'static, u64> + Send + Sync + 'static,
) -> Trial {
    let mut registry = reconcilers::registry(&house.control);
    registry.retain(|reconciler| reconciler.name() == name);
    let staged = Arc::new(Staged {
        house: Arc::clone(house),
        inner: registry.remove(0),
        acts,
        armed: AtomicU32::new(0),
        between: Box::new(between),
    });
    let (arm, last) = (Arc::clone(&staged), AtomicU32::new(0));
    Trial::new(staged).failing(move |act| {
        if act > 0 {
            last.store(act, Ordering::SeqCst);
            arm.armed.store(act, Ordering::SeqCst);
        }
        last.load(Ordering::SeqCst) as usize <= arm.acts.len()
    })
}

fn expect(law: bool, otherwise: &str) -> Result<(), String> {
    if law { Ok(()) } else { Err(otherwise.to_owned()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_hosts_lose_what_they_ran() {
    assert_upheld(|| async {
        let house = Arc::new(House::open().await);
        let lost = Agent::on(&house.control, 1).await;
        let owner = house.account("alice").await;
        let model = house.model(&lost, &owner, "double").await;
        house.deploy(&owner, "answers", &model).await;
        lost.play(Play::Hangs);
        let package = Package::linear("other", ("x", "y"), 1.0, 0.0);
        house.begin_publish(&owner, &package, Sharing::Nobody).await;
        for _ in 0..4 {
            house.pass(&lost).await;
        }
        let live = read!(house.store(), instances_list_live()).unwrap();
        assert_eq!(live.len(), 2, "an instance of the endpoint and one of the publishing");
        house.time.advance_ms(60_000);
        let after = Arc::clone(&house);
        let acts = &[Act::Sql("UPDATE ON instances"), Act::Sql("UPDATE ON feeds")];
        trial(&house, ("hosts", acts), || async { 0 }.boxed()).at_rest(move || {
            let house = Arc::clone(&after);
            async move {
                let live = read!(house.store(), instances_list_live()).unwrap();
                expect(live.is_empty(), "something runs on a lost host")
            }
            .boxed()
        })
    })
    .await;
}

/// What becomes of endpoints that are new, updated and deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_become_what_is_wanted() {
    let (template, owner, models) = endpoints_of_every_kind().await;
    assert_upheld(|| async {
        let house = Arc::new(template.copy().await);
        // It knows nothing of what ran: its first report says that it started again.
        let agent = Arc::new(Agent::new(1));
        agent.restart();
        agent.report_host(&house.control).await;
        agent.act(&house.control).await;
        let (owner, (first, second)) = (owner.clone(), models.clone());
        let (between, after) = (Arc::clone(&house), Arc::clone(&house));
        let acts = &[
            Act::Sql("INSERT ON instances"),
            Act::Sql("UPDATE ON instances"),
            Act::Sql("UPDATE ON endpoints"),
            Act::Sql("DELETE ON endpoints"),
            Act::Sql("INSERT ON logs"),
            Act::Sql("UPDATE ON feeds"),
        ];
        trial(&house, ("endpoints", acts), move || {
            let (house, agent) = (Arc::clone(&between), Arc::clone(&agent));
            async move {
                let acts = agent.act(&house.control).await;
                house.time.advance_ms(6_000);
                agent.report_host(&house.control).await;
                acts
            }
            .boxed()
        })
        .at_rest(move || {
            let (house, owner) = (Arc::clone(&after), owner.clone());
            let (first, second) = (first.clone(), second.clone());
            async move {
                settled(&house, &owner, ("new", &first)).await?;
                settled(&house, &owner, ("updated", &second)).await?;
                let all = read!(house.store(), endpoints_list_all()).unwrap();
                expect(all.len() == 2, "the deleted one is still there")?;
                let live = read!(house.store(), instances_list_live()).unwrap();
                expect(live.len() == 2, &format!("{} instances run", live.len()))
            }
            .boxed()
        })
    })
    .await;
}

/// A house with an endpoint that was ready and is updated, one that was ready and is deleted, and
/// a new one; its owner; the versions that the new and the updated one want.
async fn endpoints_of_every_kind() -> (Template, Member, (Reference, Reference)) {
    let house = House::open().await;
    let agent = Agent::on(&house.control, 1).await;
    let owner = house.account("alice").await;
    let first = house.model(&agent, &owner, "double").await;
    let second = house.model(&agent, &owner, "double").await;
    house.deploy(&owner, "updated", &first).await;
    house.deploy(&owner, "deleted", &first).await;
    house.until(&agent, "two endpoints", || async { (agent.serving() == 2).then_some(()) }).await;
    house.pass(&agent).await;
    let request = api::endpoints::UpdateEndpoint {
        source: second.clone().into(),
        instance_type: None,
        generation: 1,
    };
    operations::update(&house.control, &owner, &name("updated"), request).await.unwrap();
    operations::remove(&house.control, &owner, &name("deleted")).await.unwrap();
    house.deploy(&owner, "new", &first).await;
    (house.closed().await, owner, (first, second))
}

/// Whether an endpoint is ready with one instance, of what it wants.
async fn settled(
    house: &House,
    owner: &Member,
    (text, source): (&str, &Reference),
) -> Result<(), String> {
    let endpoint = house.endpoint(owner, text).await.ok_or("it is gone")?;
    let state = endpoint.state;
    expect(state == api::endpoints::EndpointState::Ready, &format!("{text} is {state:?}"))?;
    expect(endpoint.source == source.clone().into(), &format!("{text} has another source"))?;
    let owner = Owner::Endpoint(endpoint.id);
    let mut rows = read!(house.store(), instances_list_of(owner)).unwrap();
    rows.retain(|row| !row.state.ended());
    expect(rows.len() == 1, &format!("{text} has {} instances", rows.len()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_goes_and_what_is_held_stays() {
    assert_upheld(|| async {
        let house = Arc::new(House::open().await);
        let owner = house.account("alice").await;
        let kept = house.upload(&owner, &vec![1; 300_000]).await;
        write!(house.store(), object_hold(kept, "test")).unwrap();
        let unheld = house.upload(&owner, &vec![2; 300_000]).await;
        // A commit whose manifest was written, and whose row was not.
        let trap = Trap::set(&house.database(), "INSERT ON objects").await;
        let body = futures::stream::iter([Ok(Bytes::from(vec![3; 300_000]))]);
        let media_type = "application/x-tar".to_owned();
        let refused = uploads::receive_stream(&house.control, &owner, media_type, body).await;
        refused.unwrap_err();
        trap.take_away().await;
        house.time.advance_ms(GRACE_MS + 1);
        let (between, after) = (Arc::clone(&house), Arc::clone(&house));
        let acts = &[
            Act::Sql("DELETE ON objects"),
            Act::Sql("INSERT ON condemned_chunks"),
            Act::Blob(0),
            Act::Blob(1),
            Act::Blob(2),
            Act::Blob(3),
        ];
        let passed = AtomicU32::new(0);
        trial(&house, ("garbage", acts), move || {
            // There is always more to do later, as long as time passes.
            between.time.advance_ms(GRACE_MS + 1);
            let later = u64::from(passed.fetch_add(1, Ordering::SeqCst) < 4);
            async move { later }.boxed()
        })
        .at_rest(move || {
            let (house, owner) = (Arc::clone(&after), owner.clone());
            async move {
                expect(readable(&house, &owner, kept).await, "what is held is gone")?;
                let row = read!(house.store(), object_fetch(unheld));
                expect(row.is_err(), "what nothing holds is there")?;
                let left = files(&house.folder.path().join("objects/account"));
                expect(left.len() == 2, &format!("left: {left:?}"))
            }
            .boxed()
        })
    })
    .await;
}

pub(crate) async fn readable(house: &House, owner: &Member, id: ObjectId) -> bool {
    let Ok((_, reader)) = uploads::open(&house.control, owner, id).await else { return false };
    reader.read_all(u64::MAX).await.is_ok()
}

/// Every file below a folder.
pub(crate) fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_resealed_and_everything_stays_readable() {
    assert_upheld(|| async {
        let house = Arc::new(House::open().await);
        let owner = house.account("alice").await;
        let objects = [house.upload(&owner, b"first").await, house.upload(&owner, b"second").await];
        let version = keys::rotate(&house.control, &owner).await.unwrap().version;
        let after = Arc::clone(&house);
        let acts = &[Act::Sql("UPDATE ON objects")];
        trial(&house, ("keys", acts), || async { 0 }.boxed()).at_rest(move || {
            let (house, owner) = (Arc::clone(&after), owner.clone());
            async move {
                for id in objects {
                    let row = read!(house.store(), object_fetch(id)).unwrap();
                    expect(row.key_version == version, "an object under an older key")?;
                    expect(readable(&house, &owner, id).await, "an object cannot be read")?;
                }
                Ok(())
            }
            .boxed()
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_old_is_forgotten() {
    assert_upheld(|| async {
        let house = Arc::new(House::open().await);
        let agent = Agent::on(&house.control, 1).await;
        let owner = house.account("alice").await;
        let package = Package::linear("double", ("x", "y"), 2.0, 1.0);
        let publish = house.begin_publish(&owner, &package, Sharing::Everybody).await;
        house.ended_publish(&agent, &owner, publish).await;
        let wanted =
            api::status::CreateEnrolment { process: "agent".to_owned(), name: name("far") };
        enrolments::create(&house.control, &house.operator, wanted).await.unwrap();
        house.time.advance_ms(9 * DAY_MS);
        let after = Arc::clone(&house);
        let acts = &[
            Act::Sql("DELETE ON instances"),
            Act::Sql("DELETE ON sagas"),
            Act::Sql("DELETE ON enrolments"),
        ];
        trial(&house, ("trimming", acts), || async { 0 }.boxed()).at_rest(move || {
            let house = Arc::clone(&after);
            async move {
                let store = house.store();
                let rows = read!(store, instances_list_of(Owner::Publish(publish))).unwrap();
                expect(rows.is_empty(), "an instance that ended long ago")?;
                let subject = publish.to_string();
                let sagas = read!(store, sagas_list_about(&subject)).unwrap();
                expect(sagas.is_empty(), "a saga that ended long ago")
            }
            .boxed()
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_provisioned_is_placed_and_what_is_not_is_let_go() {
    assert_upheld(|| async {
        let house = Arc::new(House::open().await);
        let alice = house.account("alice").await;
        let agent = Agent::on(&house.control, 1).await;
        let first = provisioned::version(&house, &alice).await;
        let path = format!("/v1/functions/Resize/provisioned/{first}");
        let wanted = json!({ "instances": 2 });
        assert_eq!(provisioned::put(&house, &alice, &path, wanted).await.status, 200);
        let kept = read!(house.store(), provisions_list()).unwrap();
        assert_eq!(kept, [], "the reconciler has not looked yet");
        // Something that nobody wants any more.
        let second = provisioned::version(&house, &alice).await;
        let gone = provisioned::revision(&house, &alice, &second).await;
        write!(house.store(), provision_put((gone, agent.host), 1)).unwrap();
        let wanted = provisioned::revision(&house, &alice, &first).await;
        let acts =
            &[Act::Sql("INSERT ON function_provisions"), Act::Sql("DELETE ON function_provisions")];
        let after = Arc::clone(&house);
        trial(&house, ("provisioning", acts), || async { 0 }.boxed()).at_rest(move || {
            let (house, host) = (Arc::clone(&after), agent.host);
            async move {
                let kept = read!(house.store(), provisions_list()).unwrap();
                let kept: Vec<_> =
                    kept.iter().map(|row| (row.revision_id, row.host_id, row.wanted)).collect();
                expect(kept == [(wanted, host, 2)], "something else is kept than is wanted")
            }
            .boxed()
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedules_that_are_due_make_one_event_for_each_run() {
    assert_upheld(|| async {
        let house = Arc::new(House::open().await);
        let alice = house.account("alice").await;
        let object = house.upload(&alice, &[0; 1024]).await;
        let wanted = json!({ "name": "Resize", "runtime": "provided", "object": object });
        assert_eq!(house.post(&alice, "/v1/functions", wanted).await.status, 201);
        let wanted = json!({ "name": "often", "expression": "rate(1 minute)", "missed": "all" });
        let made = house.post(&alice, "/v1/functions/Resize/schedules", wanted).await;
        assert_eq!(made.status, 201, "{made:?}");
        house.time.advance_ms(5 * 60_000 + 1_000);
        let (after, seen) = (Arc::clone(&house), Arc::new(AtomicU32::new(0)));
        let acts =
            &[Act::Sql("UPDATE ON function_schedules"), Act::Sql("INSERT ON function_events")];
        trial(&house, ("schedules", acts), || async { 0 }.boxed()).at_rest(move || {
            let (house, seen) = (Arc::clone(&after), Arc::clone(&seen));
            async move {
                let wanted = TakeEvents { limit: 64, wait_ms: 0 };
                let taken = events::take(&house.control, wanted).await.unwrap().events;
                let taken = u32::try_from(taken.len()).unwrap();
                let all = taken + seen.fetch_add(taken, Ordering::SeqCst);
                expect(all == 5, "another number of events than of runs")
            }
            .boxed()
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bake_ends_once() {
    assert_upheld(|| async {
        let house = Arc::new(House::open().await);
        let alice = house.account("alice").await;
        let object = house.upload(&alice, &[0; 1024]).await;
        for name in ["old", "new"] {
            let wanted = json!({ "name": name, "runtime": "provided", "object": object });
            assert_eq!(house.post(&alice, "/v1/functions", wanted).await.status, 201);
        }
        let wanted = json!({ "name": "risk", "source": "function:old" });
        assert_eq!(house.post(&alice, "/v1/endpoints", wanted).await.status, 202);
        let wanted = json!({ "variant": "next", "source": "function:new" });
        let made = house.post(&alice, "/v1/endpoints/risk/variants", wanted).await;
        assert_eq!(made.status, 202, "{made:?}");
        house.control.settle().await.unwrap();
        let bake =
            json!({ "mode": "bake", "share_bp": 1_000, "for_ms": 60_000, "modes_number": 0 });
        let path = "/v1/endpoints/risk/variants/next/mode";
        let baked = house.send(request("PUT", path, Some(&alice), Some(bake))).await;
        assert_eq!(baked.status, 200, "{baked:?}");
        house.time.advance_ms(61_000);
        let (after, caller) = (Arc::clone(&house), alice.clone());
        let acts = &[Act::Sql("INSERT ON endpoint_bakes"), Act::Sql("INSERT ON endpoint_modes")];
        trial(&house, ("bakes", acts), || async { 0 }.boxed()).at_rest(move || {
            let (house, caller) = (Arc::clone(&after), caller.clone());
            async move {
                let told = house.get(&caller, "/v1/endpoints/risk/modes").await.body;
                let all = told["items"].as_array().unwrap();
                expect(all.len() == 2, "another number of changes than two")?;
                expect(all[0]["decided_by"] == "the bake", "somebody else has decided")?;
                let reason = all[0]["reason"].as_str().unwrap_or_default();
                expect(reason.contains("inconclusive"), "it was taken back for another reason")
            }
            .boxed()
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_fires_once() {
    assert_upheld(|| async {
        let house = Arc::new(House::open().await);
        let alice = triggers::endpoint(&house, "risk").await;
        let then = json!([
            { "kind": "revert" },
            { "kind": "webhook", "url": "https://example.org/hooks" },
        ]);
        triggers::add(&house, &alice, "failing", "next", then).await;
        triggers::answer(&house, &alice, "next", (600, 60)).await;
        let (after, caller) = (Arc::clone(&house), alice.clone());
        let acts = &[
            Act::Sql("INSERT ON endpoint_firings"),
            Act::Sql("INSERT ON endpoint_modes"),
            Act::Sql("INSERT ON endpoint_notices"),
            Act::Sql("UPDATE ON endpoint_triggers"),
        ];
        trial(&house, ("triggers", acts), || async { 0 }.boxed()).at_rest(move || {
            let (house, caller) = (Arc::clone(&after), caller.clone());
            async move {
                let told = house.get(&caller, "/v1/endpoints/risk/modes").await.body;
                let all = told["items"].as_array().unwrap();
                expect(all.len() == 2, "another number of changes than two")?;
                expect(all[0]["decided_by"] == "the trigger failing", "somebody else decided")?;
                let told = house.get(&caller, "/v1/endpoints/risk/firings").await.body;
                let all = told["items"].as_array().unwrap();
                expect(all.len() == 1, "another number of firings than one")?;
                expect(all[0]["did"][0]["outcome"] == "done", "it was not reverted")?;
                expect(all[0]["did"][1]["outcome"] == "waiting", "nobody is to be told")
            }
            .boxed()
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_gateways_that_are_gone_come_to_an_end() {
    assert_upheld(|| async {
        let house = Arc::new(House::open().await);
        let alice = house.account("alice").await;
        let run = RunRow {
            id: RunId::new(house.clock.uuid()),
            account_id: alice.account,
            endpoint_id: EndpointId::new(house.clock.uuid()),
            stream_id: StreamId::new(house.clock.uuid()),
            spec: json!({}),
            state: RunState::Waiting,
            stop_wanted: false,
            gateway: None,
            progress: None,
            outcome: None,
            error: None,
            created_at_ms: house.clock.now_ms(),
            ended_at_ms: None,
        };
        write!(house.store(), run_insert(&run)).unwrap();
        let told =
            RunReport { state: RunState::Running, progress: None, outcome: None, error: None };
        let now_ms = house.clock.now_ms();
        write!(house.store(), run_report(run.id, "gone", &told, now_ms)).unwrap();
        house.time.advance_ms(16 * 60_000);
        let after = Arc::clone(&house);
        let acts = &[Act::Sql("UPDATE ON runs")];
        trial(&house, ("runs", acts), || async { 0 }.boxed()).at_rest(move || {
            let (house, id) = (Arc::clone(&after), run.id);
            async move {
                let run = read!(house.store(), run_fetch(id)).unwrap();
                expect(run.state == RunState::Failed, "a run without a gateway goes on")?;
                expect(run.error.is_some(), "nobody says why")
            }
            .boxed()
        })
    })
    .await;
}
