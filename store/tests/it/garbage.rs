//! Garbage collection: whatever uploads, commits, marking and deletion do at the same time, no
//! object ever misses a chunk.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use store::accounts::{account_chunk_claims, account_objects_sequence};
use store::chunks::{
    CLAIM_LOST_AFTER_MS, ChunkState, chunks_claim, chunks_condemn, chunks_condemned, chunks_forget,
    chunks_uncondemn,
};
use store::objects::{ObjectChunks, object_delete, object_insert, objects_list_live};
use store::{Error, Store};
use types::{AccountId, Digest, ObjectId};

use crate::harness::{House, digest, make_account, make_object, object, property, wait};

both! {
    /// Condemning is refused when an object was made since the marking.
    marking_is_guarded;
    /// A commit takes condemned chunks back, and fails on those being deleted.
    a_commit_saves_its_chunks;
    /// A commit that looked for its chunks before a claim was settled looks again.
    a_commit_is_guarded;
    /// Lists of any length go in and come out.
    lists_may_be_long;
    /// In any order of the steps of two uploads and a collector, no object misses a chunk.
    no_object_misses_a_chunk;
}

async fn marking_is_guarded(house: House) {
    let account = make_account(&house.store, 1).await;
    let seen = read!(house.store, account_objects_sequence(account)).unwrap();
    make_object(&house.store, account, 1).await;
    let refused = write!(house.store, chunks_condemn(account, &[digest(1)], seen, 5));
    assert!(matches!(refused, Err(Error::Stale { stored: 1, .. })), "{refused:?}");
    write!(house.store, chunks_condemn(account, &[digest(1)], 1, 5)).unwrap();
    // Again, later: it keeps its first time.
    write!(house.store, chunks_condemn(account, &[digest(1)], 1, 9)).unwrap();
    assert_eq!(write!(house.store, chunks_claim(account, 5, 20, 9)).unwrap(), []);
    assert_eq!(write!(house.store, chunks_claim(account, 6, 20, 9)).unwrap(), [digest(1)]);
}

async fn a_commit_saves_its_chunks(house: House) {
    let account = make_account(&house.store, 1).await;
    let chunks = [digest(1), digest(2), digest(3)];
    write!(house.store, chunks_condemn(account, &chunks[..2], 0, 5)).unwrap();
    let row = object(account, 1);
    let using = ObjectChunks { chunks: &chunks, claims_seen: 0 };
    write!(house.store, object_insert(&row, using)).unwrap();
    assert_eq!(read!(house.store, chunks_condemned(account, &chunks)).unwrap(), []);
    write!(house.store, chunks_condemn(account, &chunks[..2], 1, 5)).unwrap();
    write!(house.store, chunks_uncondemn(account, &chunks[..1])).unwrap();
    assert_eq!(write!(house.store, chunks_claim(account, 6, 7, 9)).unwrap(), [digest(2)]);
    let states = read!(house.store, chunks_condemned(account, &chunks)).unwrap();
    assert_eq!(states, [(digest(2), ChunkState::Deleting)]);
    write!(house.store, chunks_uncondemn(account, &chunks)).unwrap();
    let row = object(account, 2);
    let using = ObjectChunks { chunks: &chunks, claims_seen: 0 };
    match write!(house.store, object_insert(&row, using)) {
        Err(Error::ChunksDeleting { chunks }) => assert_eq!(chunks, [digest(2)]),
        other => panic!("{other:?}"),
    }
    // Another collector leaves it alone, until the first one must be lost.
    assert_eq!(write!(house.store, chunks_claim(account, 6, 8, 9)).unwrap(), []);
    let later_ms = 8 + CLAIM_LOST_AFTER_MS;
    assert_eq!(write!(house.store, chunks_claim(account, 6, later_ms, 9)).unwrap(), [digest(2)]);
    write!(house.store, chunks_forget(account, &chunks)).unwrap();
    let using = ObjectChunks { chunks: &chunks, claims_seen: 1 };
    write!(house.store, object_insert(&row, using)).unwrap();
}

async fn a_commit_is_guarded(house: House) {
    let account = make_account(&house.store, 1).await;
    write!(house.store, chunks_condemn(account, &[digest(1)], 0, 5)).unwrap();
    write!(house.store, chunks_claim(account, 6, 7, 9)).unwrap();
    // The chunk is still there to be seen.
    let claims_seen = read!(house.store, account_chunk_claims(account)).unwrap();
    write!(house.store, chunks_forget(account, &[digest(1)])).unwrap();
    let row = object(account, 1);
    let using = ObjectChunks { chunks: &[digest(1)], claims_seen };
    let refused = write!(house.store, object_insert(&row, using));
    assert!(matches!(refused, Err(Error::Stale { stored: 1, .. })), "{refused:?}");
}

async fn lists_may_be_long(house: House) {
    let account = make_account(&house.store, 1).await;
    for length in [0, 1, 255, 256, 257, 1_000] {
        let chunks: Vec<Digest> = (0..length).map(digest).collect();
        write!(house.store, chunks_condemn(account, &chunks, 0, 5)).unwrap();
        let found = read!(house.store, chunks_condemned(account, &chunks)).unwrap();
        assert_eq!(found.len() as u64, length);
        write!(house.store, chunks_uncondemn(account, &chunks)).unwrap();
        assert_eq!(read!(house.store, chunks_condemned(account, &chunks)).unwrap(), []);
    }
}

/// One step of one of the actors; each actor goes through its steps in order, over and over.
#[derive(Clone, Copy, Debug)]
enum Actor {
    Upload(usize),
    Collector,
    /// Deletes the oldest object.
    Owner,
}

fn schedule() -> impl Strategy<Value = Vec<Actor>> {
    let actor = prop_oneof![
        4 => (0..2_usize).prop_map(Actor::Upload),
        6 => Just(Actor::Collector),
        1 => Just(Actor::Owner),
    ];
    vec(actor, 20..80)
}

/// The blobs, and what the actors are at.
#[derive(Default)]
struct World {
    blobs: BTreeSet<u64>,
    objects: BTreeMap<ObjectId, Vec<u64>>,
    made: u32,
    uploads: [Upload; 2],
    collector: Collector,
}

#[derive(Clone, Default)]
struct Upload {
    step: u32,
    claims_seen: u64,
    complete: bool,
}

#[derive(Default)]
struct Collector {
    step: u32,
    sequence_seen: u64,
    unused: Vec<Digest>,
    claimed: Vec<Digest>,
}

/// The two chunks that upload `number` uses; the first is in both.
const USES: [[u64; 2]; 2] = [[1, 2], [1, 3]];

async fn no_object_misses_a_chunk(house: House) {
    let case = std::cell::Cell::new(0);
    property(32, schedule(), |schedule| {
        case.set(case.get() + 1);
        let account = wait(make_account(&house.store, case.get()));
        let world = RefCell::new(World::default());
        for actor in schedule {
            let world = &mut *world.borrow_mut();
            match actor {
                Actor::Upload(number) => wait(upload(&house.store, account, world, number)),
                Actor::Collector => wait(collect(&house.store, account, world)),
                Actor::Owner => {
                    if let Some((id, _)) = world.objects.pop_first() {
                        wait(async { write!(house.store, object_delete(id)) }).unwrap();
                    }
                }
            }
            for (object, uses) in &world.objects {
                let missing: Vec<_> =
                    uses.iter().filter(|use_| !world.blobs.contains(use_)).collect();
                prop_assert!(missing.is_empty(), "{object} misses {missing:?}");
            }
        }
        Ok(())
    })
    .await;
}

/// Steps: send what is missing; read the claims; see whether all are there; commit.
async fn upload(store: &Store, account: AccountId, world: &mut World, number: usize) {
    let mut at = world.uploads[number].clone();
    let uses = USES[number];
    at.step = match at.step {
        0 => {
            world.blobs.extend(uses);
            1
        }
        1 => {
            at.claims_seen = read!(store, account_chunk_claims(account)).unwrap();
            2
        }
        2 => {
            at.complete = uses.iter().all(|chunk| world.blobs.contains(chunk));
            if at.complete { 3 } else { 0 }
        }
        _ => {
            let (high, low) = (account.uuid().as_u128(), u128::from(world.made));
            let row = object(account, (high << 32) + low);
            world.made += 1;
            let chunks = uses.map(digest);
            let using = ObjectChunks { chunks: &chunks, claims_seen: at.claims_seen };
            match write!(store, object_insert(&row, using)) {
                Ok(_) => {
                    world.objects.insert(row.id, uses.to_vec());
                    0
                }
                Err(Error::Stale { .. }) => 1,
                Err(Error::ChunksDeleting { .. }) => 0,
                Err(other) => panic!("{other:?}"),
            }
        }
    };
    world.uploads[number] = at;
}

/// Steps: read the sequence; mark; condemn; claim; delete; forget.
async fn collect(store: &Store, account: AccountId, world: &mut World) {
    let at = &mut world.collector;
    match at.step {
        0 => at.sequence_seen = read!(store, account_objects_sequence(account)).unwrap(),
        1 => {
            let live = read!(store, objects_list_live(account, 0, 1_000)).unwrap();
            let used: BTreeSet<u64> = live
                .iter()
                .filter_map(|(id, _)| world.objects.get(id))
                .flatten()
                .copied()
                .collect();
            at.unused = world.blobs.difference(&used).copied().map(digest).collect();
        }
        2 => match write!(store, chunks_condemn(account, &at.unused, at.sequence_seen, 1)) {
            Ok(()) | Err(Error::Stale { .. }) => {}
            Err(other) => panic!("{other:?}"),
        },
        3 => at.claimed = write!(store, chunks_claim(account, 2, 3, 2)).unwrap(),
        4 => {
            for chunk in &at.claimed {
                world.blobs.retain(|blob| digest(*blob) != *chunk);
            }
        }
        _ => write!(store, chunks_forget(account, &at.claimed)).unwrap(),
    }
    at.step = (at.step + 1) % 6;
}
