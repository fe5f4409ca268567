//! A fresh store per test and database, and short ways to say what tests say often.
//!
//! Always true: a test owns its database; nothing of it is left when the test passes.

use std::future::Future;

use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use serde_json::json;
use uuid::Uuid;

use store::accounts::{AccountRow, account_insert};
use store::hosts::{HostRow, host_insert};
use store::items::{ItemRow, item_insert};
use store::objects::{ObjectChunks, ObjectRow, object_insert};
use store::versions::VersionRow;
use store::{Error, Sharing, Store, Tx};
use testkit::postgres::Postgres;
use types::{AccountId, Digest, Fleet, HostId, ItemId, ItemKind, Name, ObjectId};

/// An open store, and where it is.
pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) url: String,
}

/// Declares tests that run on both databases.
macro_rules! both {
    ($($(#[doc = $law:literal])* $name:ident;)*) => {
        mod sqlite {$(
            $(#[doc = $law])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::harness::on_sqlite(super::$name).await;
            }
        )*}

        mod postgres {$(
            $(#[doc = $law])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::harness::on_postgres(super::$name).await;
            }
        )*}
    };
}

pub(crate) async fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(House) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/freehold.db", folder.path().display());
    let store = Store::open(&url).await.unwrap();
    test(House { store: store.clone(), url }).await;
    store.close().await;
}

pub(crate) async fn on_postgres<F: Future<Output = ()>>(test: impl FnOnce(House) -> F) {
    let Some(server) = Postgres::find() else {
        return;
    };
    let url = server.make_database();
    let store = Store::open(&url).await.unwrap();
    test(House { store: store.clone(), url: url.clone() }).await;
    store.close().await;
    server.drop_database(&url);
}

/// Runs a property from within a test's runtime.
pub(crate) async fn property<S>(cases: u32, strategy: S, law: impl Fn(S::Value) -> TestCaseResult)
where
    S: proptest::strategy::Strategy,
{
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    tokio::task::block_in_place(|| {
        if let Err(failure) = TestRunner::new(config).run(&strategy, law) {
            panic!("{failure}");
        }
    });
    tokio::task::yield_now().await;
}

/// Waits for a future inside a property.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Handle::current().block_on(future)
}

/// Runs one store function in a write transaction of its own.
macro_rules! write {
    ($store:expr, $function:ident($($argument:expr),* $(,)?)) => {
        $store
            .transact(stringify!($function), |tx| {
                Box::pin(async { $function(tx, $($argument),*).await })
            })
            .await
    };
}

/// Runs one store function in a read transaction of its own.
macro_rules! read {
    ($store:expr, $function:ident($($argument:expr),* $(,)?)) => {
        $store
            .read(stringify!($function), |tx| {
                Box::pin(async { $function(tx, $($argument),*).await })
            })
            .await
    };
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn digest(number: u64) -> Digest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Digest(bytes)
}

pub(crate) fn account(number: u128) -> AccountRow {
    AccountRow {
        id: AccountId::new(uuid(number)),
        name: name(&format!("account-{number}")),
        operator: false,
        created_at_ms: 1_000,
    }
}

/// Makes account number `number`.
pub(crate) async fn make_account(store: &Store, number: u128) -> AccountId {
    let row = account(number);
    write!(store, account_insert(&row)).unwrap();
    row.id
}

pub(crate) fn object(account_id: AccountId, number: u128) -> ObjectRow {
    ObjectRow {
        id: ObjectId::new(uuid(number)),
        account_id,
        bytes: 1 << 40,
        sha256: digest(7),
        media_type: "application/x-tar".to_owned(),
        sealed_key: "c2VhbGVk".to_owned(),
        key_version: 1,
        chunks: 2,
        sequence: 0,
        created_at_ms: 1_000,
    }
}

/// Makes an object of no chunks.
pub(crate) async fn make_object(store: &Store, account_id: AccountId, number: u128) -> ObjectId {
    let row = object(account_id, number);
    write!(store, object_insert(&row, ObjectChunks { chunks: &[], claims_seen: 0 })).unwrap();
    row.id
}

pub(crate) fn item(account_id: AccountId, number: u128, sharing: Sharing) -> ItemRow {
    ItemRow {
        id: ItemId::new(uuid(number)),
        account_id,
        name: name(&format!("item-{number}")),
        kind: ItemKind::Model,
        sharing,
        newest: 0,
        generation: 1,
        created_at_ms: 1_000,
    }
}

pub(crate) async fn make_item(store: &Store, row: &ItemRow) -> ItemId {
    write!(store, item_insert(row)).unwrap();
    row.id
}

pub(crate) fn version(item_id: ItemId, number: u32, object_id: ObjectId) -> VersionRow {
    VersionRow {
        item_id,
        number,
        object_id,
        package_sha256: digest(9),
        package_bytes: 12,
        manifest: json!({"kind": "model"}),
        listing: json!({"title": "It's a \"title\"", "number": number}),
        files: json!([]),
        signature: "c2ln".to_owned(),
        signed_by: "a2V5".to_owned(),
        lineage: None,
        created_at_ms: 2_000,
    }
}

pub(crate) fn host(number: u128) -> HostRow {
    HostRow {
        id: HostId::new(uuid(number)),
        name: name(&format!("host-{number}")),
        generation: 0,
        cpu_milli: 0,
        memory_bytes: 0,
        functions_memory_bytes: 0,
        data_address: None,
        functions_socket: None,
        fleet: Fleet::default(),
        lost: false,
        features: json!([]),
        seen_at_ms: 0,
        local: true,
    }
}

pub(crate) async fn make_host(store: &Store, number: u128) -> HostId {
    let row = host(number);
    write!(store, host_insert(&row)).unwrap();
    row.id
}

/// What a transaction answers that changes its mind.
pub(crate) async fn give_up(_: &mut Tx<'_>) -> Result<(), Error> {
    Err(Error::Conflict { what: "test", id: "it".to_owned(), why: "was given up" })
}
