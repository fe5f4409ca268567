//! Garbage, with faults: whatever uploads, commits, publishings and collections do in whatever
//! order, no object that is there misses a chunk, and in the end nothing is left that nobody uses.

use std::collections::BTreeSet;
use std::future::Future;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use api::objects::{Chunk, CommitObject, MissingQuery};
use api::publishes::PublishRequest;
use control::operations::{objects as uploads, publishes};
use control::reconcilers;
use store::objects::{object_fetch, object_hold, objects_list_live, objects_release};
use types::ObjectId;

use crate::harness::{GRACE_MS, House, Member, read, write};
use crate::reconcilers::{files, readable};

/// How many different chunks there are.
const CHUNKS: u8 = 5;
/// Bytes of a chunk.
const CHUNK_BYTES: usize = 2_000;
/// Who holds what a test holds.
const HOLDER: &str = "test";

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    /// A client asks which of these chunks are missing, and sends those.
    Send(Vec<u8>),
    /// A client commits these chunks, and holds the object where that worked.
    Commit(Vec<u8>),
    /// A client streams these chunks as one body, and holds nothing.
    Stream(Vec<u8>),
    /// A publishing of some object begins.
    Publish(u8),
    /// What is held of some object is let go.
    Release(u8),
    /// Sagas go on: publishings fail, for nothing here is a package, and let go.
    Settle,
    /// Garbage is collected.
    Collect,
    /// Time passes, in tenths of the grace.
    Pass(u8),
    /// After so many calls, so many calls of the blobs fail.
    Faults(u8, u8),
    /// Two of these at once.
    Both(Box<Event>, Box<Event>),
}

fn event() -> impl Strategy<Value = Event> {
    let chunks = || vec(0..CHUNKS, 1..4);
    let simple = prop_oneof![
        3 => chunks().prop_map(Event::Send),
        4 => chunks().prop_map(Event::Commit),
        1 => chunks().prop_map(Event::Stream),
        1 => any::<u8>().prop_map(Event::Publish),
        3 => any::<u8>().prop_map(Event::Release),
        1 => Just(Event::Settle),
        5 => Just(Event::Collect),
    ];
    let other = prop_oneof![simple.clone(), Just(Event::Collect)];
    let pair = (simple.clone(), other)
        .prop_map(|(one, other)| Event::Both(Box::new(one), Box::new(other)));
    prop_oneof![
        6 => simple,
        4 => pair,
        4 => (0..25_u8).prop_map(Event::Pass),
        2 => (0..8_u8, 1..4_u8).prop_map(|(after, times)| Event::Faults(after, times)),
    ]
}

/// One run: a house, one account, and the objects it was told are there.
struct Run {
    house: House,
    owner: Member,
    made: parking_lot::Mutex<Vec<ObjectId>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_object_misses_a_chunk_and_garbage_goes_in_the_end() {
    property(Where::Folder);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_where_looking_for_a_chunk_does_not_keep_it() {
    property(Where::Bucket);
}

/// Where the blobs are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Folder,
    Bucket,
}

fn property(place: Where) {
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let law = |events| handle.block_on(law(place, events)).map_err(TestCaseError::fail);
        if let Err(failure) = TestRunner::new(config).run(&vec(event(), 5..60), law) {
            panic!("{failure}");
        }
    });
}

async fn law(place: Where, events: Vec<Event>) -> Result<(), String> {
    let house = House::open().await;
    if place == Where::Bucket {
        house.blobs.like_a_bucket();
    }
    let owner = house.account("alice").await;
    let run = Run { house, owner, made: parking_lot::Mutex::default() };
    for (place, event) in events.iter().enumerate() {
        run.happen(event).await;
        run.whole().await.map_err(|broken| format!("after event {place}: {broken}"))?;
    }
    run.end().await
}

fn plain(chunk: u8) -> Vec<u8> {
    vec![chunk; CHUNK_BYTES]
}

fn named(chunks: &[u8]) -> Vec<Chunk> {
    chunks.iter().map(|chunk| api::chunks::name(&plain(*chunk))).collect()
}

impl Run {
    fn happen<'a>(&'a self, event: &'a Event) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            match event {
                Event::Send(chunks) => self.send(chunks).await,
                Event::Commit(chunks) => self.commit(chunks).await,
                Event::Stream(chunks) => {
                    let whole: Vec<u8> = chunks.iter().flat_map(|chunk| plain(*chunk)).collect();
                    let body = futures::stream::iter([Ok(Bytes::from(whole))]);
                    let media_type = "application/x-test".to_owned();
                    let control = &self.house.control;
                    uploads::receive_stream(control, &self.owner, media_type, body).await.ok();
                }
                Event::Publish(pick) => {
                    if let Some(object) = self.pick(*pick) {
                        let request = PublishRequest { object, sharing: None };
                        publishes::create(&self.house.control, &self.owner, request).await.ok();
                    }
                }
                Event::Release(pick) => {
                    if let Some(object) = self.pick(*pick) {
                        self.made.lock().retain(|made| *made != object);
                        let holder = format!("{HOLDER}:{object}");
                        write!(self.house.store(), objects_release(&holder)).unwrap();
                    }
                }
                Event::Settle => self.house.control.settle().await.unwrap(),
                Event::Collect => self.collect().await,
                Event::Pass(tenths) => {
                    self.house.time.advance_ms(GRACE_MS / 10 * u64::from(*tenths));
                }
                Event::Faults(after, times) => {
                    self.house.blobs.fail(i64::from(*after), i64::from(*times));
                }
                Event::Both(one, other) => {
                    futures::future::join(self.happen(one), self.happen(other)).await;
                }
            }
        })
    }

    fn pick(&self, pick: u8) -> Option<ObjectId> {
        let made = self.made.lock();
        (!made.is_empty()).then(|| made[usize::from(pick) % made.len()])
    }

    async fn send(&self, chunks: &[u8]) {
        let control = &self.house.control;
        let query = MissingQuery { chunks: named(chunks) };
        let Ok(missing) = uploads::missing(control, &self.owner, &query).await else { return };
        let mut body = Vec::new();
        for chunk in chunks {
            let plain = plain(*chunk);
            if missing.missing.contains(&api::chunks::name(&plain).hash) {
                api::chunks::append(&mut body, &plain);
            }
        }
        uploads::receive_chunks(control, &self.owner, body.into()).await.ok();
    }

    async fn commit(&self, chunks: &[u8]) {
        let media_type = "application/x-test".to_owned();
        let request = CommitObject { chunks: named(chunks), media_type };
        let control = &self.house.control;
        let Ok(object) = uploads::commit(control, &self.owner, request).await else { return };
        let (id, holder) = (object.id, format!("{HOLDER}:{}", object.id));
        write!(self.house.store(), object_hold(id, &holder)).unwrap();
        self.made.lock().push(id);
    }

    async fn collect(&self) {
        for reconciler in reconcilers::registry(&self.house.control) {
            if reconciler.name() == "garbage" {
                reconciler.activate().await;
            }
        }
    }

    /// Every object that has a row can be read, and what is held has its row.
    async fn whole(&self) -> Result<(), String> {
        let mended = self.house.blobs.paused();
        let account = self.owner.account;
        let live = read!(self.house.store(), objects_list_live(account, 0, 1_000)).unwrap();
        for (id, _) in live {
            if !readable(&self.house, &self.owner, id).await {
                return Err(format!("{id} misses a chunk"));
            }
        }
        let made = self.made.lock().clone();
        for id in made {
            if read!(self.house.store(), object_fetch(id)).is_err() {
                return Err(format!("{id} is gone, though it is held"));
            }
        }
        drop(mended);
        Ok(())
    }

    /// Without faults and with time, exactly what the held objects use is left.
    async fn end(&self) -> Result<(), String> {
        self.house.blobs.mend();
        for _ in 0..6 {
            self.house.control.settle().await.unwrap();
            self.house.time.advance_ms(GRACE_MS + 60_000);
            self.collect().await;
        }
        self.whole().await?;
        let account = self.owner.account;
        let live = read!(self.house.store(), objects_list_live(account, 0, 1_000)).unwrap();
        let live: BTreeSet<ObjectId> = live.into_iter().map(|(id, _)| id).collect();
        let held: BTreeSet<ObjectId> = self.made.lock().iter().copied().collect();
        if live != held {
            return Err(format!("there are {live:?}, and {held:?} are held"));
        }
        let mut used = BTreeSet::new();
        for id in &held {
            let opened = uploads::open(&self.house.control, &self.owner, *id).await;
            used.extend(opened.unwrap().1.chunks().map(|chunk| chunk.to_string()));
            used.insert(id.to_string());
        }
        let left = files(&self.house.folder.path().join("objects/account"));
        let left: BTreeSet<String> = left
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        if left == used { Ok(()) } else { Err(format!("left: {left:?}, used: {used:?}")) }
    }
}

/// The worst moment: the chunks were seen to be there, and are collected before the commit.
#[tokio::test]
async fn a_commit_whose_chunks_go_meanwhile_is_refused() {
    let house = House::open().await;
    let owner = house.account("alice").await;
    house.blobs.like_a_bucket();
    let run = Run { house, owner, made: parking_lot::Mutex::default() };
    for stream in [false, true] {
        run.send(&[1]).await;
        run.house.time.advance_ms(GRACE_MS + 1);
        run.collect().await;
        run.house.time.advance_ms(GRACE_MS + 1);
        let gate = run.house.blobs.hold_manifest();
        let meanwhile = async {
            gate.reached().await;
            run.collect().await;
            gate.open();
        };
        let event = if stream { Event::Stream(vec![1]) } else { Event::Commit(vec![1]) };
        futures::future::join(run.happen(&event), meanwhile).await;
        run.whole().await.unwrap();
        assert_eq!(*run.made.lock(), []);
    }
    run.happen(&Event::Send(vec![1])).await;
    run.happen(&Event::Commit(vec![1])).await;
    assert_eq!(run.made.lock().len(), 1);
    run.end().await.unwrap();
}

#[tokio::test]
async fn a_publishing_of_an_object_that_became_garbage_is_refused() {
    let house = House::open().await;
    let owner = house.account("alice").await;
    let object = house.upload(&owner, b"nothing holds this").await;
    house.time.advance_ms(GRACE_MS - 1);
    house.control.settle().await.unwrap();
    assert!(uploads::fetch(&house.control, &owner, object).await.is_ok());
    house.time.advance_ms(2);
    house.control.settle().await.unwrap();
    let request = PublishRequest { object, sharing: None };
    let refused = publishes::create(&house.control, &owner, request).await;
    assert!(matches!(refused, Err(control::Error::NotFound { .. })), "{refused:?}");
}
