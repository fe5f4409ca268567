//! Functions, their revisions and numbered versions.

use serde_json::json;

use store::functions::{
    FunctionRow, RevisionRow, function_change, function_delete, function_fetch_by_name,
    function_insert, function_publish, functions_list, functions_list_callable, revision_fetch,
    revisions_list_numbered, revisions_trim,
};
use store::objects::object_holders;
use store::{Error, Topic};
use types::{AccountId, FunctionId, FunctionName, ObjectId, RevisionId};

use crate::harness::{House, make_account, make_object, uuid};

both! {
    /// A function is changed only by who knows its generation, and gateways hear of each change.
    a_function_is_guarded;
    /// Numbers are given out one after the other, and never twice.
    versions_are_numbered_once;
    /// A replaced revision can be fetched until it is forgotten, and holds its package so long.
    a_replaced_revision_is_kept_for_a_while;
    /// A deleted function leaves nothing, and its name is free.
    a_deleted_function_leaves_nothing;
}

fn row(account_id: AccountId, name: &str, number: u128) -> FunctionRow {
    FunctionRow {
        id: FunctionId::new(uuid(number)),
        account_id,
        name: name.parse().unwrap(),
        latest: RevisionId::new(uuid(number * 100)),
        versions: 0,
        generation: 1,
        created_at_ms: 5,
        changed_at_ms: 5,
    }
}

fn revision(of: &FunctionRow, number: u128, object_id: ObjectId) -> RevisionRow {
    RevisionRow {
        id: RevisionId::new(uuid(number)),
        function_id: of.id,
        number: None,
        object_id,
        spec: json!({ "handler": format!("app.{number}") }),
        description: "what it does".to_owned(),
        created_at_ms: 5 + u64::try_from(number).unwrap(),
    }
}

/// A function with its first revision.
async fn made(house: &House) -> (FunctionRow, RevisionRow) {
    let account = make_account(&house.store, 1).await;
    let object = make_object(&house.store, account, 1).await;
    let row = row(account, "Resize_image", 1);
    let first = revision(&row, 100, object);
    write!(house.store, function_insert(&row, &first)).unwrap();
    (row, first)
}

async fn generation(house: &House) -> u64 {
    house.store.feed_read(Topic::Routes).await.unwrap()
}

async fn a_function_is_guarded(house: House) {
    let (row, first) = made(&house).await;
    let account = row.account_id;
    let name: FunctionName = row.name.clone();
    assert_eq!(read!(house.store, function_fetch_by_name(account, &name)).unwrap(), row);
    let again = FunctionRow { id: FunctionId::new(uuid(7)), ..row.clone() };
    let other =
        RevisionRow { id: RevisionId::new(uuid(700)), function_id: again.id, ..first.clone() };
    let taken = write!(house.store, function_insert(&again, &other));
    assert!(matches!(taken, Err(Error::Unique { .. })), "{taken:?}");
    let before = generation(&house).await;
    let newer = revision(&row, 101, first.object_id);
    assert_eq!(write!(house.store, function_change(row.id, 1, &newer)).unwrap(), 2);
    let late = revision(&row, 102, first.object_id);
    let refused = write!(house.store, function_change(row.id, 1, &late));
    assert!(matches!(refused, Err(Error::Stale { stored: 2, .. })), "{refused:?}");
    let refused = write!(house.store, function_publish(row.id, 1, &late));
    assert!(matches!(refused, Err(Error::Stale { stored: 2, .. })), "{refused:?}");
    assert_eq!(generation(&house).await, before + 1);
    let stored = read!(house.store, function_fetch_by_name(account, &name)).unwrap();
    assert_eq!((stored.latest, stored.generation, stored.changed_at_ms), (newer.id, 2, 106));
    let page = read!(house.store, functions_list(account, None, 9)).unwrap();
    assert_eq!(page, [(stored.clone(), newer.clone())]);
    assert_eq!(read!(house.store, functions_list(account, Some(&name), 9)).unwrap(), []);
    let callable = read!(house.store, functions_list_callable()).unwrap();
    assert_eq!(callable, [(stored, vec![newer])]);
}

async fn versions_are_numbered_once(house: House) {
    let (row, first) = made(&house).await;
    for number in 1..=3 {
        let version = revision(&row, 200 + u128::from(number), first.object_id);
        let generation = u64::from(number);
        let given = write!(house.store, function_publish(row.id, generation, &version)).unwrap();
        assert_eq!(given, number);
        let stored = read!(house.store, revision_fetch(version.id)).unwrap();
        assert_eq!(stored, RevisionRow { number: Some(number), ..version });
    }
    let numbers = |rows: Vec<RevisionRow>| rows.iter().map(|row| row.number).collect::<Vec<_>>();
    let page = read!(house.store, revisions_list_numbered(row.id, 0, 2)).unwrap();
    assert_eq!(numbers(page), [Some(1), Some(2)]);
    let page = read!(house.store, revisions_list_numbered(row.id, 2, 2)).unwrap();
    assert_eq!(numbers(page), [Some(3)]);
    let callable = read!(house.store, functions_list_callable()).unwrap();
    assert_eq!(callable[0].1.len(), 4);
}

async fn a_replaced_revision_is_kept_for_a_while(house: House) {
    let (row, first) = made(&house).await;
    let newer = revision(&row, 101, first.object_id);
    write!(house.store, function_change(row.id, 1, &newer)).unwrap();
    assert_eq!(read!(house.store, revision_fetch(first.id)).unwrap(), first);
    let holders = read!(house.store, object_holders(first.object_id)).unwrap();
    assert_eq!(holders, [first.id.to_string(), newer.id.to_string()]);
    // It was replaced at 106.
    assert_eq!(write!(house.store, revisions_trim(106)).unwrap(), 0);
    assert_eq!(write!(house.store, revisions_trim(107)).unwrap(), 1);
    let gone = read!(house.store, revision_fetch(first.id));
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
    let holders = read!(house.store, object_holders(first.object_id)).unwrap();
    assert_eq!(holders, [newer.id.to_string()]);
}

async fn a_deleted_function_leaves_nothing(house: House) {
    let (row, first) = made(&house).await;
    let version = revision(&row, 200, first.object_id);
    write!(house.store, function_publish(row.id, 1, &version)).unwrap();
    for _ in 0..2 {
        write!(house.store, function_delete(row.id)).unwrap();
    }
    assert!(read!(house.store, object_holders(first.object_id)).unwrap().is_empty());
    assert!(read!(house.store, functions_list_callable()).unwrap().is_empty());
    write!(house.store, function_insert(&row, &first)).unwrap();
}
