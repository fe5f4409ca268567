//! Functions, their revisions and numbered versions.

use serde_json::json;

use store::functions::aliases::{
    AliasRow, alias_change, alias_delete, alias_fetch, alias_insert, aliases_list, aliases_list_all,
};
use store::functions::events::{
    EventRow, EventState, event_fetch, event_finish, event_forget, event_insert, event_put_back,
    event_redrive, event_renew, events_list_dead, events_next_due, events_take, events_trim,
};
use store::functions::settings::{
    SettingKind, SettingRow, setting_delete, setting_put, settings_list, settings_list_all,
};
use store::functions::sizes::{
    MeasureRow, STEPS_KEPT, SizeRow, SizeStepRow, measure_put, measures_list, size_fetch, size_put,
    size_step_insert, size_steps_list, sizes_list_all,
};
use store::functions::{
    FunctionRow, RevisionRow, function_change, function_delete, function_fetch_by_name,
    function_insert, function_publish, functions_list, functions_list_callable, revision_fetch,
    revisions_list_numbered, revisions_trim,
};
use store::objects::object_holders;
use store::{Error, Topic};
use types::{AccountId, EventId, FunctionId, FunctionName, ObjectId, RevisionId};

use crate::harness::{House, make_account, make_host, make_object, uuid};

both! {
    /// A function is changed only by who knows its generation, and gateways hear of each change.
    a_function_is_guarded;
    /// Numbers are given out one after the other, and never twice.
    versions_are_numbered_once;
    /// A replaced revision can be fetched until it is forgotten, and holds its package so long.
    a_replaced_revision_is_kept_for_a_while;
    /// A deleted function leaves nothing, and its name is free.
    a_deleted_function_leaves_nothing;
    /// An alias moves only for who knows its generation, and gateways hear of it.
    an_alias_is_guarded;
    /// There is one setting of a kind for a qualifier.
    settings_are_replaced;
    /// Steps about a function's sizes are numbered, the latest of them are kept, and they outlive
    /// their revision; what is settled is told to gateways.
    steps_about_sizes_are_numbered_and_the_latest_are_kept;
    /// An event is taken by one, as long as that keeps it, and ends where it says so.
    an_event_is_run_by_one_at_a_time;
    /// A dead event is kept, can be driven again, and is forgotten in the end.
    a_dead_event_is_kept_until_it_is_forgotten;
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
    write!(house.store, alias_insert(&alias(row.id, Some(1), 1))).unwrap();
    write!(house.store, setting_put(row.id, &setting("", 3))).unwrap();
    write!(house.store, event_insert(&event(row.id, 1, 10))).unwrap();
    let version = revision(&row, 200, first.object_id);
    write!(house.store, function_publish(row.id, 1, &version)).unwrap();
    for _ in 0..2 {
        write!(house.store, function_delete(row.id)).unwrap();
    }
    assert!(read!(house.store, object_holders(first.object_id)).unwrap().is_empty());
    assert!(read!(house.store, functions_list_callable()).unwrap().is_empty());
    write!(house.store, function_insert(&row, &first)).unwrap();
}

fn alias(function_id: FunctionId, version: Option<u32>, generation: u64) -> AliasRow {
    AliasRow {
        function_id,
        name: "live".parse().unwrap(),
        version,
        other: version.map(|version| (version + 1, 2_500)),
        max_stale_ms: 60_000,
        description: "what callers use".to_owned(),
        generation,
        changed_at_ms: 7,
    }
}

async fn an_alias_is_guarded(house: House) {
    let (row, _) = made(&house).await;
    let first = alias(row.id, Some(1), 1);
    write!(house.store, alias_insert(&first)).unwrap();
    let again = write!(house.store, alias_insert(&first));
    assert!(matches!(again, Err(Error::Unique { .. })), "{again:?}");
    let before = generation(&house).await;
    let moved = alias(row.id, None, 2);
    write!(house.store, alias_change(&moved)).unwrap();
    assert_eq!(generation(&house).await, before + 1);
    let late = write!(house.store, alias_change(&moved));
    assert!(matches!(late, Err(Error::Stale { stored: 2, .. })), "{late:?}");
    assert_eq!(read!(house.store, alias_fetch(row.id, &moved.name)).unwrap(), moved);
    let listed = read!(house.store, aliases_list(row.id, None, 9)).unwrap();
    assert_eq!(listed, std::slice::from_ref(&moved));
    assert_eq!(read!(house.store, aliases_list(row.id, Some(&moved.name), 9)).unwrap(), []);
    let all = read!(house.store, aliases_list_all()).unwrap();
    assert_eq!(all, [(row.id, vec![moved.clone()])].into());
    for _ in 0..2 {
        write!(house.store, alias_delete(row.id, &moved.name)).unwrap();
    }
    let gone = read!(house.store, alias_fetch(row.id, &moved.name));
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
}

fn setting(qualifier: &str, max: u32) -> SettingRow {
    SettingRow {
        kind: SettingKind::Concurrency,
        qualifier: qualifier.to_owned(),
        spec: json!({ "max": max }),
        changed_at_ms: u64::from(max),
    }
}

async fn settings_are_replaced(house: House) {
    let (row, _) = made(&house).await;
    for setting in [setting("", 3), setting("live", 4), setting("", 5)] {
        write!(house.store, setting_put(row.id, &setting)).unwrap();
    }
    let stored = read!(house.store, settings_list(row.id)).unwrap();
    assert_eq!(stored, [setting("", 5), setting("live", 4)]);
    let all = read!(house.store, settings_list_all()).unwrap();
    assert_eq!(all, [(row.id, stored)].into());
    let key = (SettingKind::Concurrency, "");
    assert!(write!(house.store, setting_delete(row.id, key)).unwrap());
    assert!(!write!(house.store, setting_delete(row.id, key)).unwrap());
    assert_eq!(read!(house.store, settings_list(row.id)).unwrap(), [setting("live", 4)]);
}

fn event(function_id: FunctionId, number: u128, due_at_ms: u64) -> EventRow {
    EventRow {
        webhook: format!("https://example.org/{number}"),
        told: 3,
        id: EventId::new(uuid(number)),
        function_id,
        qualifier: "live".to_owned(),
        payload: "{\"a\": \"\\u0000\"}".to_owned(),
        state: EventState::Waiting,
        attempts: 0,
        failures: 0,
        due_at_ms,
        accepted_at_ms: 5,
        history: json!([]),
    }
}

async fn an_event_is_run_by_one_at_a_time(house: House) {
    let (row, _) = made(&house).await;
    let (early, late) = (event(row.id, 1, 10), event(row.id, 2, 20));
    for event in [&early, &late, &early] {
        assert!(write!(house.store, event_insert(event)).unwrap());
    }
    let orphan = event(FunctionId::new(uuid(77)), 3, 10);
    assert!(!write!(house.store, event_insert(&orphan)).unwrap(), "its function is not there");
    assert_eq!(read!(house.store, events_next_due()).unwrap(), Some(10));
    assert_eq!(write!(house.store, events_take((9, 100), 9)).unwrap(), []);
    let taken = write!(house.store, events_take((15, 100), 9)).unwrap();
    let running = EventRow { state: EventState::Running, attempts: 1, due_at_ms: 100, ..early };
    assert_eq!(taken, std::slice::from_ref(&running));
    assert_eq!(write!(house.store, events_take((19, 100), 9)).unwrap(), [], "it is taken");
    assert!(write!(house.store, event_renew((running.id, 1), 200)).unwrap());
    assert_eq!(write!(house.store, events_take((199, 300), 9)).unwrap().len(), 1, "the other");
    // Nobody kept it: it is lost, and taken again. Who had it has no more say.
    let again = write!(house.store, events_take((200, 300), 9)).unwrap();
    assert_eq!((again[0].id, again[0].attempts), (running.id, 2));
    assert!(!write!(house.store, event_finish(running.id, 1)).unwrap());
    assert!(!write!(house.store, event_put_back(&running)).unwrap());
    assert!(!write!(house.store, event_renew((running.id, 1), 900)).unwrap());
    let back =
        EventRow { state: EventState::Waiting, failures: 1, due_at_ms: 400, ..again[0].clone() };
    assert!(write!(house.store, event_put_back(&back)).unwrap());
    assert_eq!(read!(house.store, event_fetch(back.id)).unwrap(), back);
    let third = write!(house.store, events_take((400, 500), 1)).unwrap();
    assert!(write!(house.store, event_finish(third[0].id, third[0].attempts)).unwrap());
}

async fn a_dead_event_is_kept_until_it_is_forgotten(house: House) {
    let (row, _) = made(&house).await;
    for number in 1..=3 {
        write!(house.store, event_insert(&event(row.id, number, 10))).unwrap();
    }
    for running in write!(house.store, events_take((10, 100), 9)).unwrap() {
        let history = json!([{ "error": "Function.Error" }]);
        let dead = EventRow { state: EventState::Dead, due_at_ms: 50, history, ..running };
        assert!(write!(house.store, event_put_back(&dead)).unwrap());
    }
    assert_eq!(read!(house.store, events_next_due()).unwrap(), None);
    let page = read!(house.store, events_list_dead(row.id, None, 2)).unwrap();
    assert_eq!(page.len(), 2);
    let rest = read!(house.store, events_list_dead(row.id, Some(page[1].id), 9)).unwrap();
    assert_eq!(rest.len(), 1);
    let other = FunctionId::new(uuid(77));
    assert!(!write!(house.store, event_redrive((other, page[0].id), 60)).unwrap());
    assert!(write!(house.store, event_redrive((row.id, page[0].id), 60)).unwrap());
    assert!(!write!(house.store, event_redrive((row.id, page[0].id), 60)).unwrap());
    let driven = write!(house.store, events_take((60, 100), 9)).unwrap();
    assert_eq!((driven.len(), driven[0].attempts), (1, 2));
    assert!(write!(house.store, event_forget((row.id, page[1].id))).unwrap());
    assert_eq!(write!(house.store, events_trim(50)).unwrap(), 0);
    assert_eq!(write!(house.store, events_trim(51)).unwrap(), 1);
}

async fn steps_about_sizes_are_numbered_and_the_latest_are_kept(house: House) {
    let (row, first) = made(&house).await;
    let host = make_host(&house.store, 1).await;
    assert_eq!(read!(house.store, size_fetch(first.id)).unwrap(), SizeRow::new(first.id));
    let step = SizeStepRow {
        number: 0,
        at_ms: 7,
        version: "$LATEST".to_owned(),
        host_id: host,
        spec: json!({ "what": "tried" }),
    };
    for number in 1..=STEPS_KEPT + 5 {
        assert_eq!(write!(house.store, size_step_insert(row.id, &step)).unwrap(), number);
    }
    let steps = read!(house.store, size_steps_list(row.id, 1_000)).unwrap();
    assert_eq!(steps.len() as u64, STEPS_KEPT);
    assert_eq!((steps[0].number, steps.last().unwrap().number), (STEPS_KEPT + 5, 6));
    assert_eq!(steps[0], SizeStepRow { number: STEPS_KEPT + 5, ..step });

    // A trial is nobody's but control's; what is settled is told.
    let before = generation(&house).await;
    let trial = SizeRow { number: 1, trial: Some((host, 9)), ..SizeRow::new(first.id) };
    write!(house.store, size_put(&trial)).unwrap();
    assert_eq!(generation(&house).await, before);
    let settled = SizeRow { number: 2, settled_kib: Some(64), trial: None, ..trial };
    write!(house.store, size_put(&settled)).unwrap();
    assert!(generation(&house).await > before);
    assert_eq!(read!(house.store, size_fetch(first.id)).unwrap(), settled);
    assert_eq!(read!(house.store, sizes_list_all()).unwrap()[&first.id], settled);

    let measure =
        |calls: u64| MeasureRow { spec: json!({ "calls": calls }), measured_at_ms: calls };
    for calls in [1, 2] {
        write!(house.store, measure_put((first.id, host), &measure(calls))).unwrap();
    }
    let gone = RevisionId::new(uuid(999));
    write!(house.store, measure_put((gone, host), &measure(3))).unwrap();
    assert_eq!(read!(house.store, measures_list(first.id)).unwrap(), [measure(2)]);
    assert_eq!(read!(house.store, measures_list(gone)).unwrap(), []);

    // The revision is replaced and forgotten; what was done stays with the function.
    let object = make_object(&house.store, row.account_id, 2).await;
    let next = revision(&row, 101, object);
    write!(house.store, function_change(row.id, 1, &next)).unwrap();
    assert_eq!(write!(house.store, revisions_trim(u64::MAX >> 1)).unwrap(), 1);
    assert_eq!(read!(house.store, measures_list(first.id)).unwrap(), []);
    assert_eq!(read!(house.store, size_steps_list(row.id, 1)).unwrap().len(), 1);
    write!(house.store, function_delete(row.id)).unwrap();
    assert_eq!(read!(house.store, size_steps_list(row.id, 1)).unwrap(), []);
}
