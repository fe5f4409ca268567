//! Feeds: nobody misses a committed change, and nobody hears of one that was not.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use store::feeds::{ChangeRow, Changes, change_append, changes_list, changes_trim, feed_bump};
use store::{Error, Store, Topic};
use types::HostId;

use crate::harness::{House, give_up, property, uuid, wait};

both! {
    /// A generation strictly grows with every commit that changes its topic, and with nothing else.
    a_feed_strictly_grows;
    /// A waiter in the same process hears of a change at once.
    a_waiter_is_woken_by_a_commit;
    /// A waiter in another control plane hears of it within a second.
    a_waiter_elsewhere_hears_too;
    /// A wait ends with its time.
    a_wait_ends;
    /// A follower that reads the changes has them all, in order, or is told of a gap.
    followers_miss_nothing;
    /// Racing writers never give a follower a change below one it has seen.
    changes_appear_in_order;
}

async fn bump(store: &Store, topics: &[Topic], commit: bool) {
    let result = store
        .transact("bump", |tx| {
            Box::pin(async move {
                for topic in topics {
                    feed_bump(tx, *topic);
                }
                if commit { Ok(()) } else { give_up(tx).await }
            })
        })
        .await;
    assert_eq!(result.is_ok(), commit);
}

async fn change(store: &Store, subjects: &[&str]) {
    let appended = store.transact("change", |tx| {
        Box::pin(async move {
            for subject in subjects {
                change_append(tx, Topic::Items, subject);
            }
            Ok::<_, Error>(())
        })
    });
    appended.await.unwrap();
}

async fn a_feed_strictly_grows(house: House) {
    let all = [Topic::Routes, Topic::Items, Topic::Host(HostId::new(uuid(1)))];
    let (house, all) = (&house, &all);
    property(12, vec((0..8_usize, any::<bool>()), 1..12), |steps| {
        for (mask, commit) in steps {
            let part: Vec<Topic> =
                (0..3).filter(|bit| mask & (1 << bit) != 0).map(|bit| all[bit]).collect();
            let before = all.map(|topic| wait(house.store.feed_read(topic)).unwrap());
            wait(bump(&house.store, &part, commit));
            for (topic, before) in all.iter().zip(before) {
                let after = wait(house.store.feed_read(*topic)).unwrap();
                if commit && part.contains(topic) {
                    prop_assert!(after > before);
                } else {
                    prop_assert_eq!(after, before);
                }
            }
        }
        Ok(())
    })
    .await;
}

async fn a_waiter_is_woken_by_a_commit(house: House) {
    let started = Instant::now();
    let waiting = house.store.feed_wait(Topic::Routes, 0, 30_000);
    let (heard, ()) = tokio::join!(waiting, bump(&house.store, &[Topic::Routes], true));
    assert_eq!(heard.unwrap(), 1);
    assert!(started.elapsed() < Duration::from_secs(15));
}

async fn a_waiter_elsewhere_hears_too(house: House) {
    let elsewhere = Store::open(&house.url).await.unwrap();
    let waiting = elsewhere.feed_wait(Topic::Routes, 0, 30_000);
    let later = async {
        tokio::task::yield_now().await;
        bump(&house.store, &[Topic::Routes], true).await;
    };
    let (heard, ()) = tokio::join!(waiting, later);
    assert_eq!(heard.unwrap(), 1);
    elsewhere.close().await;
}

async fn a_wait_ends(house: House) {
    bump(&house.store, &[Topic::Items], true).await;
    assert_eq!(house.store.feed_wait(Topic::Items, 1, 5).await.unwrap(), 1);
    assert_eq!(house.store.feed_wait(Topic::Items, 0, 30_000).await.unwrap(), 1);
    assert_eq!(house.store.feed_wait(Topic::Routes, 0, 0).await.unwrap(), 0);
}

fn rows(list: &[(u64, &str)]) -> Changes {
    let row = |&(sequence, subject): &(u64, &str)| ChangeRow { sequence, subject: subject.into() };
    Changes::Rows(list.iter().map(row).collect())
}

async fn followers_miss_nothing(house: House) {
    let store = &house.store;
    let list = async |after, limit| read!(store, changes_list(Topic::Items, after, limit)).unwrap();
    assert_eq!(list(0, 10).await, rows(&[]));
    change(store, &["a"]).await;
    change(store, &["c", "b", "c"]).await;
    assert_eq!(list(0, 2).await, rows(&[(1, "a"), (2, "b")]));
    assert_eq!(list(2, 2).await, rows(&[(3, "c")]));
    assert_eq!(list(3, 2).await, rows(&[]));
    // One that followed a database of which an older backup was restored.
    assert_eq!(list(4, 2).await, Changes::Gap { generation: 3 });
    write!(store, changes_trim(Topic::Items, 1)).unwrap();
    assert_eq!(list(1, 9).await, Changes::Gap { generation: 3 });
    assert_eq!(list(2, 9).await, rows(&[(3, "c")]));
    write!(store, changes_trim(Topic::Items, 9)).unwrap();
    assert_eq!(list(1, 9).await, Changes::Gap { generation: 3 });
}

async fn changes_appear_in_order(house: House) {
    let store = &house.store;
    let writers = (0..4).map(|_| async {
        for _ in 0..8 {
            change(store, &["x"]).await;
        }
    });
    let follower = async {
        let mut seen = 0;
        while seen < 32 {
            store.feed_wait(Topic::Items, seen, 10_000).await.unwrap();
            let list = read!(store, changes_list(Topic::Items, seen, 100)).unwrap();
            let Changes::Rows(rows) = list else { panic!("a gap") };
            for row in rows {
                assert_eq!(row.sequence, seen + 1);
                seen = row.sequence;
            }
        }
    };
    tokio::join!(futures::future::join_all(writers), follower);
}
