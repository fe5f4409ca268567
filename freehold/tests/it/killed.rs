//! `kill -9` at random points of publishing, training, deploying and invoking.
//!
//! After the restart: what was accepted is there and comes to its end, nothing half-done is
//! visible, no process is left, and the same can be done again. `FREEHOLD_TEST_KILLS` says how
//! often; `FREEHOLD_TEST_SEED` tells the same random points again.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use api::client::Error;
use api::items::Sharing;
use api::publishes::PublishState;
use api::trainings::TrainingState;
use sha2::{Digest as _, Sha256};
use testkit::tensors::{json_request, numbers};
use testkit::wait::until;
use testkit::{Account, Cloud, Package};
use tokio::task::JoinSet;
use types::{ItemId, PublishId, Reference, TrainingId};

use crate::world::{PROGRAM, name, strangers};

/// How often, where nothing else is said.
const KILLS: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_points_a_cloud_loses_nothing() {
    let mut cloud = Cloud::one(PROGRAM).await;
    kill_and_look(&mut cloud, kills()).await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_points_separate_processes_lose_nothing() {
    let Some(mut cloud) = Cloud::apart(PROGRAM).await else { return };
    kill_and_look(&mut cloud, kills().div_ceil(2)).await;
    cloud.close().await;
}

fn number(variable: &str) -> Option<u64> {
    std::env::var_os(variable)?.to_str()?.parse().ok()
}

/// How often a story kills.
pub(crate) fn kills() -> u64 {
    number("FREEHOLD_TEST_KILLS").unwrap_or(KILLS)
}

/// Random numbers that can be told again (xorshift64*, Marsaglia and Vigna).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new() -> Self {
        let seed = number("FREEHOLD_TEST_SEED");
        let seed = seed.unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish());
        eprintln!("FREEHOLD_TEST_SEED={seed}");
        Self(seed | 1)
    }

    /// The next, below this limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}

/// What two accounts have before the first kill.
#[derive(Clone)]
struct Scene {
    producer: Account,
    requester: Account,
    algorithm: Reference,
    dataset: Reference,
    model: Reference,
}

impl Scene {
    async fn set(cloud: &Cloud) -> Self {
        let (producer, requester) = strangers(cloud).await;
        let algorithm = producer.publish(&Package::trainer("signin-risk")).await;
        let dataset = producer.publish(&Package::events("signin-events")).await;
        let model = producer.publish(&Package::linear("double", ("x", "y"), 2.0, 0.0)).await;
        requester.deploy("steady", &model).await;
        Self { producer, requester, algorithm, dataset, model }
    }

    /// What a round does while it is killed.
    async fn act(self, act: Act, round: u64) -> Result<Accepted, Error> {
        match act {
            Act::Publish => {
                let publish = self.producer.begin_publish(&package(round), Sharing::Nobody).await?;
                Ok(Accepted::Publish(publish.id))
            }
            Act::Train => {
                let both = (&self.algorithm, &self.dataset);
                let training = self.requester.begin_train(both, &[], &format!("m{round}")).await?;
                Ok(Accepted::Training(training.id))
            }
            Act::Deploy => {
                let name = format!("e{round}");
                self.requester.begin_deploy(&name, &self.model).await?;
                Ok(Accepted::Endpoint(name))
            }
            Act::Invoke => loop {
                let (steady, request) = (name("steady"), json_request("x", [1.0, 2.0]));
                let answer = self.requester.client.model_infer(None, &steady, request).await?;
                assert_eq!(numbers(&answer), [2.0, 4.0]);
            },
        }
    }

    /// Whether what was accepted comes to its end.
    async fn ends(&self, accepted: &Accepted) {
        match accepted {
            Accepted::Publish(id) => {
                let publish = self.producer.ended_publish(*id).await;
                let log = self.producer.publish_log(*id).await;
                assert_eq!(publish.state, PublishState::Published, "{publish:?} {log:#?}");
            }
            Accepted::Training(id) => {
                let training = self.requester.training_in(*id, &[]).await;
                let log = self.requester.training_log(*id).await;
                assert_eq!(training.state, TrainingState::Succeeded, "{training:?} {log:#?}");
            }
            Accepted::Endpoint(endpoint) => {
                let endpoint = name(endpoint);
                self.requester.ready(&endpoint).await;
                self.requester.client.endpoint_delete(&endpoint).await.unwrap();
            }
        }
    }
}

/// What a round does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Publish,
    Train,
    Deploy,
    Invoke,
}

impl Act {
    const ALL: [Self; 4] = [Self::Publish, Self::Train, Self::Deploy, Self::Invoke];

    /// About how long it takes from its first request to its end.
    const fn usual_ms(self) -> u64 {
        match self {
            Self::Publish => 1_500,
            Self::Train => 2_000,
            Self::Deploy => 1_000,
            Self::Invoke => 200,
        }
    }
}

/// What the cloud said it would do.
#[derive(Debug)]
enum Accepted {
    Publish(PublishId),
    Training(TrainingId),
    Endpoint(String),
}

/// A model with some weight, so that sending it takes a moment.
fn package(round: u64) -> Package {
    let mut chance = Chance(round << 8 | 1);
    let noise: Vec<u8> = (0..1 << 20).map(|_| chance.below(256).to_le_bytes()[0]).collect();
    Package::linear("heavy", ("x", "y"), 2.0, 0.0).file("noise.bin", noise)
}

async fn kill_and_look(cloud: &mut Cloud, kills: u64) {
    // Whoever is left says what it misses; an error would be a fault of its own.
    cloud.expect(" WARN ");
    let scene = Scene::set(cloud).await;
    let mut chance = Chance::new();
    let mut seen = Newest::new();
    for round in 0..kills {
        let act = Act::ALL[usize::try_from(round % 4).unwrap()];
        let victims = cloud.processes();
        let victim = victims[usize::try_from(chance.below(victims.len() as u64)).unwrap()];
        let after_ms = chance.below(act.usual_ms());
        eprintln!("round {round}: {victim:?} killed {after_ms} ms into {act:?}");
        let mut acting = JoinSet::new();
        acting.spawn(scene.clone().act(act, round));
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        cloud.kill(victim);
        cloud.nothing_left().await;
        cloud.start(victim).await;
        cloud.ready().await;
        look(&scene, act, acting).await;
        seen = nothing_is_half_done(&scene, &seen).await;
        again(&scene, act, kills + round).await;
    }
    nothing_is_half_done(&scene, &Newest::new()).await;
    answers(&scene).await;
    let client = &scene.requester.client;
    // Beside the steady one, those whose deployment was accepted though nobody was told.
    let page = api::pages::PageQuery { limit: Some(200), cursor: None };
    for endpoint in client.endpoints_list(&page).await.unwrap().items {
        client.endpoint_delete(&endpoint.name).await.unwrap();
    }
    until(60, "every instance to be gone", || async {
        let status = cloud.operator().status().await.ok()?;
        (status.instances == 0).then_some(())
    })
    .await;
}

/// What was accepted comes to its end, and no answer was wrong.
async fn look(scene: &Scene, act: Act, mut acting: JoinSet<Result<Accepted, Error>>) {
    let acted = match act {
        // It goes on until a request fails, which it may not have.
        Act::Invoke => acting.try_join_next(),
        _ => acting.join_next().await,
    };
    match acted {
        Some(Ok(Ok(accepted))) => scene.ends(&accepted).await,
        Some(Err(error)) => assert!(!error.is_panic(), "an answer was wrong"),
        Some(Ok(Err(_))) | None => {}
    }
}

/// The same succeeds when nobody is killed.
async fn again(scene: &Scene, act: Act, round: u64) {
    if let Act::Invoke = act {
        return answers(scene).await;
    }
    let accepted = scene.clone().act(act, round).await.unwrap();
    scene.ends(&accepted).await;
}

/// The endpoint that was there before answers right again.
async fn answers(scene: &Scene) {
    let answer = until(60, "the endpoint to answer again", || async {
        let request = json_request("x", [1.0, 2.0]);
        scene.requester.client.model_infer(None, &name("steady"), request).await.ok()
    })
    .await;
    assert_eq!(numbers(&answer), [2.0, 4.0]);
}

/// Every version that is listed is whole: its numbers have no gap, and its package is the one that
/// was signed. Gives the newest of each item; versions up to `seen` are not looked at again.
async fn nothing_is_half_done(scene: &Scene, seen: &Newest) -> Newest {
    let mut newest = Newest::new();
    for account in [&scene.producer, &scene.requester] {
        let page = api::pages::PageQuery { limit: Some(200), cursor: None };
        for item in account.client.items_list(&page).await.unwrap().items {
            let first = seen.get(&item.id).map_or(1, |number| number + 1);
            for number in first..=item.newest {
                let version = account.client.version_fetch(&item.account, &item.name, number).await;
                let version = version.unwrap();
                let object = version.object.unwrap();
                let whole = account.client.object_fetch(object).await.unwrap();
                assert_eq!(whole.sha256, version.package_sha256, "{version:?}");
                if number < item.newest {
                    continue;
                }
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("package.tar");
                account.client.object_download_file(object, &path, |_| {}).await.unwrap();
                let digest = Sha256::digest(std::fs::read(&path).unwrap());
                assert_eq!(digest[..], version.package_sha256.0, "{version:?}");
            }
            newest.insert(item.id, item.newest);
        }
    }
    newest
}

/// The newest version of each item.
type Newest = HashMap<ItemId, u32>;
