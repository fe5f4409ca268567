//! Provisioned concurrency: what hosts are to keep of functions' revisions, and what they say.

use serde_json::json;

use store::Topic;
use store::functions::provisions::{
    ProvisionSays, provision_put, provision_report, provisions_list, provisions_list_assigned,
    provisions_reset,
};
use store::functions::settings::{
    SettingKind, SettingRow, setting_put, settings_list, settings_list_of_kind,
};
use store::functions::{
    FunctionRow, RevisionRow, function_delete, function_insert, function_publish, revision_delete,
};
use types::{AccountId, FunctionId, HostId, ObjectId, RevisionId};

use crate::harness::{House, make_account, make_host, make_object, uuid};

both! {
    /// A host hears of each change of what it is to keep, and of nobody else's.
    a_host_hears_of_what_it_is_to_keep;
    /// Gateways hear of what is ready, once, and of nothing that is not to be kept.
    gateways_hear_of_what_is_ready;
    /// What an agent said before it started again is forgotten, and what is wanted is not.
    what_was_said_before_a_start_does_not_count;
    /// A version that is deleted is kept by nobody, and neither is a function.
    what_is_deleted_is_kept_by_nobody;
    /// What owners want is listed in the order in which it was changed.
    what_is_wanted_is_listed_by_its_age;
}

fn says(starting: u32, ready: u32, trouble: &str) -> ProvisionSays {
    ProvisionSays { starting, ready, trouble: trouble.to_owned() }
}

fn revision(of: FunctionId, number: u128, object_id: ObjectId) -> RevisionRow {
    RevisionRow {
        id: RevisionId::new(uuid(number)),
        function_id: of,
        number: None,
        object_id,
        spec: json!({ "memory_mib": 128 }),
        description: String::new(),
        created_at_ms: 5,
    }
}

async fn function(house: &House, account_id: AccountId, number: u128) -> (FunctionId, RevisionId) {
    let object = make_object(&house.store, account_id, number).await;
    let id = FunctionId::new(uuid(number));
    let latest = revision(id, number * 100, object);
    let row = FunctionRow {
        id,
        account_id,
        name: format!("function-{number}").parse().unwrap(),
        latest: latest.id,
        versions: 0,
        generation: 1,
        created_at_ms: 5,
        changed_at_ms: 5,
    };
    write!(house.store, function_insert(&row, &latest)).unwrap();
    let version = revision(id, number * 100 + 1, object);
    write!(house.store, function_publish(id, 1, &version)).unwrap();
    (id, version.id)
}

/// A function with a version, and two hosts.
async fn made(house: &House) -> (FunctionId, RevisionId, [HostId; 2]) {
    let account = make_account(&house.store, 1).await;
    let (id, version) = function(house, account, 1).await;
    (id, version, [make_host(&house.store, 1).await, make_host(&house.store, 2).await])
}

async fn at(house: &House, topic: Topic) -> u64 {
    house.store.feed_read(topic).await.unwrap()
}

async fn a_host_hears_of_what_it_is_to_keep(house: House) {
    let (function, version, [one, other]) = made(&house).await;
    for wanted in [2, 3] {
        let before = at(&house, Topic::Host(one)).await;
        write!(house.store, provision_put((version, one), wanted)).unwrap();
        assert!(at(&house, Topic::Host(one)).await > before);
        let kept = read!(house.store, provisions_list_assigned(one)).unwrap();
        assert_eq!(kept, [(version, wanted)]);
    }
    assert_eq!(at(&house, Topic::Host(other)).await, 0);
    assert_eq!(read!(house.store, provisions_list_assigned(other)).unwrap(), []);
    let all = read!(house.store, provisions_list()).unwrap();
    let found = (all[0].revision_id, all[0].function_id, all[0].host_id, all[0].wanted);
    assert_eq!((found, all.len()), ((version, function, one, 3), 1));
    assert_eq!((&all[0].has, &all[0].spec), (&says(0, 0, ""), &json!({ "memory_mib": 128 })));

    let before = at(&house, Topic::Host(one)).await;
    write!(house.store, provision_put((version, one), 0)).unwrap();
    assert!(at(&house, Topic::Host(one)).await > before);
    assert_eq!(read!(house.store, provisions_list()).unwrap(), []);
}

async fn gateways_hear_of_what_is_ready(house: House) {
    let (_, version, [one, other]) = made(&house).await;
    write!(house.store, provision_put((version, one), 2)).unwrap();
    for (said, is_new, is_heard) in [
        (says(2, 0, ""), true, false),
        (says(1, 1, ""), true, true),
        (says(1, 1, ""), false, false),
        (says(0, 1, "it does not begin"), true, false),
        (says(0, 2, ""), true, true),
    ] {
        let before = at(&house, Topic::Routes).await;
        let news = write!(house.store, provision_report((version, one), &said)).unwrap();
        assert_eq!(news, is_new, "{said:?}");
        assert_eq!(at(&house, Topic::Routes).await > before, is_heard, "{said:?}");
        assert_eq!(read!(house.store, provisions_list()).unwrap()[0].has, said);
    }
    let before = at(&house, Topic::Routes).await;
    let said = says(0, 7, "");
    let news = write!(house.store, provision_report((version, other), &said)).unwrap();
    assert!(!news, "it is to keep none");
    assert_eq!(at(&house, Topic::Routes).await, before);
    assert_eq!(read!(house.store, provisions_list()).unwrap().len(), 1);
}

async fn what_was_said_before_a_start_does_not_count(house: House) {
    let (_, version, [one, other]) = made(&house).await;
    for host in [one, other] {
        write!(house.store, provision_put((version, host), 2)).unwrap();
        write!(house.store, provision_report((version, host), &says(1, 1, "slow"))).unwrap();
    }
    write!(house.store, provisions_reset(one)).unwrap();
    let all = read!(house.store, provisions_list()).unwrap();
    let has: Vec<_> = all.into_iter().map(|row| (row.host_id, row.wanted, row.has)).collect();
    assert_eq!(has, [(one, 2, says(0, 0, "")), (other, 2, says(1, 1, "slow"))]);
}

async fn what_is_deleted_is_kept_by_nobody(house: House) {
    let (function, version, [one, _]) = made(&house).await;
    write!(house.store, provision_put((version, one), 2)).unwrap();
    write!(house.store, setting_put(function, &setting("1", 5))).unwrap();
    write!(house.store, setting_put(function, &setting("live", 5))).unwrap();
    let row = RevisionRow { number: Some(1), ..revision(function, 101, ObjectId::new(uuid(1))) };
    let before = at(&house, Topic::Host(one)).await;
    write!(house.store, revision_delete(&row)).unwrap();
    assert!(at(&house, Topic::Host(one)).await > before);
    assert_eq!(read!(house.store, provisions_list()).unwrap(), []);
    let settings = read!(house.store, settings_list(function)).unwrap();
    assert_eq!(settings, [setting("live", 5)], "what is of another qualifier stays");

    let account = make_account(&house.store, 2).await;
    let (function, version) = self::function(&house, account, 2).await;
    write!(house.store, provision_put((version, one), 1)).unwrap();
    write!(house.store, function_delete(function)).unwrap();
    assert_eq!(read!(house.store, provisions_list()).unwrap(), []);
}

async fn what_is_wanted_is_listed_by_its_age(house: House) {
    let (function, ..) = made(&house).await;
    let kind = SettingKind::Concurrency;
    let foreign = SettingRow { kind, ..setting("", 1) };
    for row in [&setting("1", 9), &setting("live", 7), &foreign] {
        write!(house.store, setting_put(function, row)).unwrap();
    }
    let listed = read!(house.store, settings_list_of_kind(SettingKind::Provisioned)).unwrap();
    assert_eq!(listed, [(function, setting("live", 7)), (function, setting("1", 9))]);
}

fn setting(qualifier: &str, changed_at_ms: u64) -> SettingRow {
    SettingRow {
        kind: SettingKind::Provisioned,
        qualifier: qualifier.to_owned(),
        spec: json!({ "instances": 2 }),
        changed_at_ms,
    }
}
