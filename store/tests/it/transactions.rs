//! Transactions: whole or not at all, retried when they lose a race, seen after their commit.

use std::sync::atomic::{AtomicU32, Ordering};

use store::accounts::{account_fetch, account_insert, accounts_list};
use store::settings::{setting_find, setting_settle, setting_store};
use store::{Error, Store, Tx, counted};
use types::ErrorKind;

use crate::harness::{House, account, give_up, make_account};

both! {
    /// What a failed transaction wrote is gone.
    a_failed_transaction_leaves_nothing;
    /// A caller's own error type comes through.
    a_callers_error_comes_through;
    /// Going on after a failed statement stores nothing, and is an error.
    a_failed_statement_spoils_its_transaction;
    /// Increments that read and write are never lost, however many race.
    races_are_won_one_after_the_other;
    /// Of a pair of rows of which one must stay, racing transactions never remove both.
    transactions_are_serialisable;
    /// A read transaction cannot write.
    a_read_cannot_write;
    /// What one read transaction reads is of one moment.
    a_read_is_of_one_moment;
    /// Statements are counted where they are asked for, and nowhere else.
    statements_are_counted;
    /// A text with a NUL character and a number that is too large are refused by the store.
    what_a_database_cannot_hold_is_refused;
    /// A closed store says that it cannot be reached.
    a_closed_store_is_unavailable;
    /// Dropping a transaction halfway stores nothing and blocks nobody.
    a_dropped_transaction_leaves_nothing;
    /// A caller may go away at any moment; the next one finds a sound connection.
    a_caller_that_goes_away_spoils_nothing;
}

async fn a_failed_transaction_leaves_nothing(house: House) {
    let row = account(1);
    let failed = house.store.transact("make and give up", |tx| {
        Box::pin(async {
            account_insert(tx, &row).await?;
            give_up(tx).await
        })
    });
    assert_eq!(failed.await.unwrap_err().kind(), ErrorKind::Conflict);
    let found = read!(house.store, account_fetch(row.id));
    assert!(matches!(found, Err(Error::NotFound { .. })), "{found:?}");
}

#[derive(Debug)]
enum Own {
    Store(Error),
    Mine(u32),
}

impl From<Error> for Own {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

async fn a_callers_error_comes_through(house: House) {
    let mine = house.store.transact("fail in my own way", |tx| {
        Box::pin(async {
            setting_store(tx, "key", "value").await?;
            Err::<(), _>(Own::Mine(7))
        })
    });
    assert!(matches!(mine.await, Err(Own::Mine(7))));
    let row = account(1);
    make_account(&house.store, 1).await;
    let theirs: Result<(), Own> = house
        .store
        .transact("fail in the store's way", |tx| {
            Box::pin(async { Ok(account_insert(tx, &row).await?) })
        })
        .await;
    assert!(matches!(theirs, Err(Own::Store(Error::Unique { .. }))), "{theirs:?}");
}

async fn a_failed_statement_spoils_its_transaction(house: House) {
    make_account(&house.store, 1).await;
    let row = account(1);
    let spoiled = house.store.transact("go on regardless", |tx| {
        Box::pin(async {
            let _ = account_insert(tx, &row).await;
            Ok::<_, Error>(())
        })
    });
    assert!(matches!(spoiled.await, Err(Error::Spoiled { .. })));
    let refused = house.store.transact("write regardless", |tx| {
        Box::pin(async {
            let _ = account_insert(tx, &row).await;
            setting_store(tx, "fact", "outside").await
        })
    });
    assert!(matches!(refused.await, Err(Error::Spoiled { .. })));
    assert_eq!(read!(house.store, setting_find("fact")).unwrap(), None);
}

async fn increment(tx: &mut Tx<'_>) -> Result<(), Error> {
    let count = setting_find(tx, "count").await?.map_or(0, |text| text.parse::<u32>().unwrap());
    setting_store(tx, "count", &(count + 1).to_string()).await
}

async fn races_are_won_one_after_the_other(house: House) {
    let race = |_| async {
        for _ in 0..5 {
            write!(house.store, increment()).unwrap();
        }
    };
    futures::future::join_all((0..8).map(race)).await;
    let count = read!(house.store, setting_find("count")).unwrap();
    assert_eq!(count.as_deref(), Some("40"));
}

async fn transactions_are_serialisable(house: House) {
    for round in 0..10 {
        for key in ["left", "right"] {
            write!(house.store, setting_store(key, "here")).unwrap();
        }
        let remove = async |key: &'static str, other: &'static str| {
            house
                .store
                .transact("remove one of two", |tx| {
                    Box::pin(async move {
                        if setting_find(tx, other).await?.as_deref() == Some("here") {
                            setting_store(tx, key, "gone").await?;
                        }
                        Ok::<_, Error>(())
                    })
                })
                .await
        };
        let (one, two) = tokio::join!(remove("left", "right"), remove("right", "left"));
        one.and(two).unwrap();
        let left = read!(house.store, setting_find("left")).unwrap();
        let right = read!(house.store, setting_find("right")).unwrap();
        assert_ne!(left, right, "round {round}");
    }
}

async fn a_read_cannot_write(house: House) {
    let row = account(1);
    let refused = read!(house.store, account_insert(&row)).unwrap_err();
    assert_ne!(refused.kind(), ErrorKind::Conflict, "{refused:?}");
    assert!(read!(house.store, accounts_list(None, 10)).unwrap().is_empty());
}

async fn a_read_is_of_one_moment(house: House) {
    let store = &house.store;
    let (before, after) = store
        .read("look twice", |tx| {
            Box::pin(async {
                let before = setting_find(tx, "fact").await?;
                write!(store, setting_store("fact", "new"))?;
                Ok::<_, Error>((before, setting_find(tx, "fact").await?))
            })
        })
        .await
        .unwrap();
    assert_eq!((before, after), (None, None));
    assert_eq!(read!(store, setting_find("fact")).unwrap().as_deref(), Some("new"));
}

async fn statements_are_counted(house: House) {
    let total = house.store.statements();
    let (_, one) = counted(async { read!(house.store, setting_find("fact")) }).await;
    let (_, two) = counted(async { write!(house.store, setting_settle("fact", "1")) }).await;
    let ((), none) = counted(async {}).await;
    assert_eq!((one, two, none), (1, 2, 0));
    assert_eq!(house.store.statements() - total, 3);
}

async fn what_a_database_cannot_hold_is_refused(house: House) {
    let refused = write!(house.store, setting_store("fact", "a\0b")).unwrap_err();
    assert!(matches!(refused, Error::Value { .. }), "{refused:?}");
    let row = store::accounts::AccountRow { created_at_ms: u64::MAX, ..account(1) };
    let refused = write!(house.store, account_insert(&row)).unwrap_err();
    assert!(matches!(refused, Error::Value { .. }), "{refused:?}");
}

async fn a_closed_store_is_unavailable(house: House) {
    house.store.close().await;
    let refused = read!(house.store, setting_find("fact")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
    let refused = write!(house.store, setting_store("fact", "1")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
}

async fn a_dropped_transaction_leaves_nothing(house: House) {
    let (entered, store) = (AtomicU32::new(0), &house.store);
    let stuck = store.transact("never end", |tx| {
        let entered = &entered;
        Box::pin(async move {
            setting_store(tx, "fact", "lost").await?;
            entered.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<Result<(), Error>>().await
        })
    });
    let until_entered = async {
        while entered.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = stuck => unreachable!("it never ends"),
        () = until_entered => {}
    }
    assert_eq!(write!(store, setting_settle("fact", "kept")).unwrap(), "kept");
}

async fn a_caller_that_goes_away_spoils_nothing(house: House) {
    let store = &house.store;
    for looks in 0..30 {
        let write =
            store.transact("store a fact", |tx| Box::pin(setting_store(tx, "fact", "perhaps")));
        go_away_after(looks, write).await;
        let read = store.read("find a fact", |tx| Box::pin(setting_find(tx, "fact")));
        go_away_after(looks, read).await;
        write!(store, setting_store("fact", "surely")).unwrap();
        let found = read!(store, setting_find("fact")).unwrap();
        assert_eq!(found.as_deref(), Some("surely"), "after {looks} looks");
    }
}

/// Looks this often whether it is done, then drops it.
async fn go_away_after(looks: u32, work: impl Future) {
    let mut work = std::pin::pin!(work);
    for _ in 0..looks {
        if futures::poll!(&mut work).is_ready() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_micros(50)).await;
    }
}

#[tokio::test]
async fn an_address_of_no_known_kind_is_refused() {
    for url in ["mysql://host/name", "sqlite://relative.db", "/path", "sqlite:///a%20b.db", ""] {
        assert!(matches!(Store::open(url).await, Err(Error::Address)), "{url}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let refused = Store::open("postgres://nobody:secret@127.0.0.1:1/none").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(!format!("{refused} {refused:?}").contains("secret"), "{refused:?}");
}
