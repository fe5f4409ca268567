//! What runs: publishings, trainings, endpoints, hosts and instances.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use store::endpoints::{
    EndpointChange, EndpointRow, EndpointState, Served, endpoint_change, endpoint_delete,
    endpoint_fetch, endpoint_fetch_by_name, endpoint_insert, endpoint_remove, endpoint_serve,
    endpoint_share, endpoint_state, endpoints_count, endpoints_list, endpoints_list_all,
};
use store::hosts::{
    HostSays, host_fetch, host_fetch_by_name, host_insert, host_report, hosts_list,
};
use store::instances::{
    InstanceRow, InstanceSays, InstanceState, Owner, Reserved, Wanted, instance_end,
    instance_fetch, instance_insert, instance_report, instance_unwant, instances_list_assigned,
    instances_list_live, instances_list_of, instances_prune, instances_reserved,
};
use store::objects::object_holders;
use store::publishes::{
    PublishRow, PublishState, publish_fetch, publish_insert, publish_update, publishes_list,
};
use store::trainings::{
    TrainingRow, TrainingState, training_cancel, training_fetch, training_insert,
    training_progress, training_update, trainings_list,
};
use store::{Error, Sharing, Store, Topic};
use types::{AccountId, EndpointId, Fleet, HostId, InstanceId, ItemId, PublishId, TrainingId};

use crate::harness::{
    House, host, make_account, make_host, make_object, name, property, uuid, wait,
};

both! {
    /// A publishing holds its package until it ends, and then changes no more.
    a_publishing_ends_once;
    /// A training ends once; a wish to cancel is kept whatever else is stored.
    a_training_ends_once;
    /// A name is free again as soon as its endpoint is being deleted.
    a_deleted_endpoint_frees_its_name;
    /// An endpoint is changed only by who knows its generation.
    endpoints_are_guarded;
    /// Every state of an endpoint can be stored.
    every_endpoint_state_is_known;
    /// What is routed changes only when all of the new is ready.
    an_endpoint_serves_the_old_until_the_new_is_ready;
    /// A host's generation never goes back.
    a_host_never_goes_back;
    /// An instance holds its resources until it has ended.
    resources_are_held_until_the_end;
    /// Hosts and gateways hear of what concerns them, and of nothing else.
    those_concerned_hear;
    /// Whatever is reported in whatever order, an instance never goes back, and ends once.
    an_instance_never_goes_back;
    /// Racing placements on one host see each other.
    placements_see_each_other;
}

async fn a_publishing_ends_once(house: House) {
    let account = make_account(&house.store, 1).await;
    let package = make_object(&house.store, account, 1).await;
    let row = PublishRow {
        id: PublishId::new(uuid(1)),
        account_id: account,
        object_id: package,
        state: PublishState::Running,
        step: "receive".to_owned(),
        name: None,
        item_id: None,
        version: None,
        sharing: json!({"with": "nobody"}),
        error: None,
        error_code: None,
        instance_id: None,
        training_id: Some(TrainingId::new(uuid(3))),
        created_at_ms: 5,
        ended_at_ms: None,
    };
    write!(house.store, publish_insert(&row)).unwrap();
    assert_eq!(read!(house.store, publish_fetch(row.id)).unwrap(), row);
    assert_eq!(read!(house.store, object_holders(package)).unwrap(), [row.id.to_string()]);
    let listed = PublishRow {
        state: PublishState::Published,
        step: "list".to_owned(),
        name: Some(name("model")),
        item_id: Some(ItemId::new(uuid(4))),
        version: Some(1),
        instance_id: Some(InstanceId::new(uuid(5))),
        ended_at_ms: Some(9),
        ..row.clone()
    };
    write!(house.store, publish_update(&listed)).unwrap();
    write!(house.store, publish_update(&listed)).unwrap();
    assert!(read!(house.store, object_holders(package)).unwrap().is_empty());
    let failed = PublishRow {
        state: PublishState::Failed,
        error: Some("test: it is empty".to_owned()),
        error_code: Some("invalid_package".to_owned()),
        ..row.clone()
    };
    let refused = write!(house.store, publish_update(&failed));
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    let wordless = PublishRow { id: PublishId::new(uuid(2)), error_code: None, ..failed.clone() };
    assert!(write!(house.store, publish_insert(&wordless)).is_err(), "an error without a code");
    let running = PublishRow { id: wordless.id, ..row.clone() };
    let other = PublishRow { id: wordless.id, ..failed };
    write!(house.store, publish_insert(&running)).unwrap();
    write!(house.store, publish_update(&other)).unwrap();
    let page = read!(house.store, publishes_list(account, None, 9)).unwrap();
    assert_eq!(page, [other.clone(), listed.clone()]);
    let page = read!(house.store, publishes_list(account, Some(other.id), 9)).unwrap();
    assert_eq!(page, [listed]);
}

async fn a_training_ends_once(house: House) {
    let account = make_account(&house.store, 1).await;
    let row = TrainingRow {
        id: TrainingId::new(uuid(1)),
        account_id: account,
        request: json!({"algorithm": "a"}),
        resolved: json!({"algorithm": "a@1"}),
        state: TrainingState::Waiting,
        progress_ppm: None,
        instance_id: None,
        model_item: None,
        model_version: None,
        error: None,
        error_code: None,
        cancel_wanted: false,
        created_at_ms: 5,
        ended_at_ms: None,
    };
    write!(house.store, training_insert(&row)).unwrap();
    for state in [TrainingState::Running, TrainingState::Publishing] {
        write!(house.store, training_update(&TrainingRow { state, ..row.clone() })).unwrap();
        write!(house.store, training_progress(row.id, 2_000_000)).unwrap();
        assert!(write!(house.store, training_cancel(row.id)).unwrap().cancel_wanted);
    }
    let done = TrainingRow {
        state: TrainingState::Succeeded,
        model_item: Some(ItemId::new(uuid(4))),
        model_version: Some(2),
        instance_id: Some(InstanceId::new(uuid(5))),
        ended_at_ms: Some(9),
        ..row.clone()
    };
    write!(house.store, training_update(&done)).unwrap();
    write!(house.store, training_update(&done)).unwrap();
    write!(house.store, training_progress(row.id, 5)).unwrap();
    let stored = TrainingRow { progress_ppm: Some(1_000_000), cancel_wanted: true, ..done };
    assert_eq!(read!(house.store, training_fetch(row.id)).unwrap(), stored);
    for state in [TrainingState::Failed, TrainingState::Cancelled, TrainingState::Running] {
        let refused = write!(house.store, training_update(&TrainingRow { state, ..row.clone() }));
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    }
    for (number, state) in (2..).zip(TrainingState::ALL) {
        let other = TrainingRow { id: TrainingId::new(uuid(number)), state: *state, ..row.clone() };
        write!(house.store, training_insert(&other)).unwrap();
        let ended = write!(house.store, training_cancel(other.id)).unwrap();
        assert_eq!(ended.cancel_wanted, !state.ended());
    }
    assert_eq!(read!(house.store, trainings_list(account, None, 99)).unwrap().len(), 7);
    assert_eq!(read!(house.store, trainings_list(account, Some(row.id), 99)).unwrap(), []);
}

pub(crate) fn endpoint(account_id: AccountId, number: u128) -> EndpointRow {
    EndpointRow {
        id: EndpointId::new(uuid(number)),
        account_id,
        name: name("risk"),
        variant_of: None,
        variant: name("main"),
        source: "acme/model@1".parse().unwrap(),
        resolved: json!([{"source": "acme/model@1"}]),
        instance_type: "small".to_owned(),
        sharing: Sharing::Nobody,
        state: EndpointState::Starting,
        error: None,
        generation: 1,
        deleting: false,
        created_at_ms: 5,
        served: None,
    }
}

async fn an_endpoint_serves_the_old_until_the_new_is_ready(house: House) {
    let store = &house.store;
    let row = endpoint(make_account(store, 1).await, 1);
    write!(store, endpoint_insert(&row)).unwrap();
    write!(store, endpoint_serve(row.id, 1, 7)).unwrap();
    let served = read!(store, endpoint_fetch(row.id)).unwrap();
    let old = EndpointChange {
        source: row.source,
        resolved: row.resolved,
        instance_type: row.instance_type,
    };
    assert_eq!(served.state, EndpointState::Ready);
    assert_eq!(served.served, Some(Served { what: old.clone(), since_ms: 7 }));
    let new = EndpointChange { source: "acme/model@2".parse().unwrap(), ..old.clone() };
    write!(store, endpoint_change(row.id, 1, &new)).unwrap();
    let stale = write!(store, endpoint_serve(row.id, 1, 8)).unwrap_err();
    assert!(matches!(stale, Error::Stale { stored: 2, .. }), "{stale:?}");
    let changed = read!(store, endpoint_fetch(row.id)).unwrap();
    assert_eq!(changed.served, Some(Served { what: old, since_ms: 7 }));
    write!(store, endpoint_serve(row.id, 2, 9)).unwrap();
    let changed = read!(store, endpoint_fetch(row.id)).unwrap();
    assert_eq!(changed.served, Some(Served { what: new, since_ms: 9 }));
}

async fn a_deleted_endpoint_frees_its_name(house: House) {
    let account = make_account(&house.store, 1).await;
    let (old, new) = (endpoint(account, 1), endpoint(account, 2));
    write!(house.store, endpoint_insert(&old)).unwrap();
    let taken = write!(house.store, endpoint_insert(&new));
    assert!(matches!(taken, Err(Error::Unique { .. })), "{taken:?}");
    for _ in 0..2 {
        let deleting = write!(house.store, endpoint_delete(old.id)).unwrap();
        assert_eq!((deleting.deleting, deleting.generation), (true, 2));
    }
    write!(house.store, endpoint_insert(&new)).unwrap();
    assert_eq!(read!(house.store, endpoint_fetch_by_name(account, &old.name)).unwrap(), new);
    assert_eq!(read!(house.store, endpoints_list(account, None, 9)).unwrap().len(), 1);
    assert_eq!(read!(house.store, endpoints_list_all()).unwrap().len(), 2);
    assert_eq!(read!(house.store, endpoints_count()).unwrap(), 1);
    let refused =
        write!(house.store, endpoint_state(old.id, 2, EndpointState::Ready, None)).unwrap_err();
    assert!(matches!(refused, Error::Conflict { .. }), "{refused:?}");
    write!(house.store, endpoint_remove(old.id)).unwrap();
    write!(house.store, endpoint_remove(old.id)).unwrap();
    write!(house.store, endpoint_remove(new.id)).unwrap();
    assert_eq!(read!(house.store, endpoints_list_all()).unwrap(), [new]);
}

async fn endpoints_are_guarded(house: House) {
    let store = &house.store;
    let (account, friend) = (make_account(store, 1).await, make_account(store, 2).await);
    let row = endpoint(account, 1);
    write!(store, endpoint_insert(&row)).unwrap();
    write!(store, endpoint_state(row.id, 1, EndpointState::Failed, Some("no host"))).unwrap();
    assert_eq!(read!(store, endpoint_fetch(row.id)).unwrap().error.as_deref(), Some("no host"));
    let change = EndpointChange {
        source: "acme/model@2".parse().unwrap(),
        resolved: json!([]),
        instance_type: "large".to_owned(),
    };
    assert_eq!(write!(store, endpoint_change(row.id, 1, &change)).unwrap(), 2);
    let stale = [
        write!(store, endpoint_change(row.id, 1, &change)).map(|_| ()),
        write!(store, endpoint_share(row.id, 1, &Sharing::Everybody)).map(|_| ()),
        write!(store, endpoint_state(row.id, 1, EndpointState::Ready, None)),
    ];
    for refused in stale {
        assert!(matches!(refused, Err(Error::Stale { stored: 2, .. })), "{refused:?}");
    }
    let sharing = Sharing::Accounts([friend].into());
    assert_eq!(write!(store, endpoint_share(row.id, 2, &sharing)).unwrap(), 3);
    let wanted = EndpointRow {
        source: change.source,
        resolved: change.resolved,
        instance_type: change.instance_type,
        sharing,
        generation: 3,
        ..row.clone()
    };
    assert_eq!(read!(store, endpoint_fetch(row.id)).unwrap(), wanted);
    assert_eq!(read!(store, endpoints_list(account, None, 9)).unwrap()[0], wanted);
    assert_eq!(read!(store, endpoints_list_all()).unwrap(), [wanted]);
    write!(store, endpoint_delete(row.id)).unwrap();
    write!(store, endpoint_remove(row.id)).unwrap();
    let missing = write!(store, endpoint_share(row.id, 3, &Sharing::Nobody));
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
}

async fn every_endpoint_state_is_known(house: House) {
    let account = make_account(&house.store, 1).await;
    let row = endpoint(account, 1);
    write!(house.store, endpoint_insert(&row)).unwrap();
    for state in EndpointState::ALL {
        write!(house.store, endpoint_state(row.id, 1, *state, None)).unwrap();
        assert_eq!(read!(house.store, endpoint_fetch(row.id)).unwrap().state, *state);
    }
}

fn says(generation: u64, address: Option<&str>) -> HostSays {
    HostSays {
        generation,
        cpu_milli: 2_000,
        memory_bytes: 1 << 33,
        functions_memory_bytes: 1 << 31,
        data_address: address.map(ToOwned::to_owned),
        functions_socket: None,
        fleet: Fleet::default(),
        features: json!([{"name": "user namespaces", "held": true}]),
    }
}

async fn a_host_never_goes_back(house: House) {
    let row = host(1);
    write!(house.store, host_insert(&row)).unwrap();
    let again = write!(
        house.store,
        host_insert(&store::hosts::HostRow { id: HostId::new(uuid(2)), ..row.clone() })
    );
    assert!(matches!(again, Err(Error::Unique { .. })), "{again:?}");
    let house = &house;
    property(12, vec(0..6_u64, 1..10), |generations| {
        let now = wait(async { read!(house.store, host_fetch(row.id)) }).unwrap();
        let mut highest = now.generation;
        for generation in generations {
            let report = says(generation, Some("10.0.0.1:7000"));
            let reported = wait(async { write!(house.store, host_report(row.id, &report, 77)) });
            prop_assert_eq!(reported.is_ok(), generation >= highest);
            highest = highest.max(generation);
            let now = wait(async { read!(house.store, host_fetch(row.id)) }).unwrap();
            prop_assert_eq!(now.generation, highest);
        }
        Ok(())
    })
    .await;
    let stored = read!(house.store, host_fetch_by_name(&row.name)).unwrap();
    assert_eq!(stored.seen_at_ms, 77);
    assert_eq!(read!(house.store, hosts_list()).unwrap(), [stored]);
}

fn instance(account_id: AccountId, host_id: HostId, number: u128) -> InstanceRow {
    InstanceRow {
        id: InstanceId::new(uuid(number)),
        account_id,
        owner: Owner::Training(TrainingId::new(uuid(1))),
        stage: 0,
        host_id,
        generation: 1,
        reported_generation: 0,
        wanted: Wanted::Running,
        state: InstanceState::Waiting,
        task: json!({"entry": "model.onnx"}),
        report: None,
        cpu_milli: 500,
        memory_bytes: 1 << 29,
        created_at_ms: 5,
        changed_at_ms: 5,
        ended_at_ms: None,
    }
}

fn tells(generation: u64, state: InstanceState) -> InstanceSays {
    InstanceSays { generation, state, report: json!({"state": state.as_str()}) }
}

async fn resources_are_held_until_the_end(house: House) {
    let store = &house.store;
    let (account, on) = (make_account(store, 1).await, make_host(store, 1).await);
    let (one, two) = (instance(account, on, 1), instance(account, on, 2));
    for row in [&one, &two] {
        write!(store, instance_insert(row)).unwrap();
        assert_eq!(read!(store, instance_fetch(row.id)).unwrap(), *row);
    }
    let reserved = async || read!(store, instances_reserved()).unwrap().get(&on).copied();
    let both = Reserved { cpu_milli: 1_000, memory_bytes: 1 << 30, instances: 2 };
    assert_eq!(reserved().await, Some(both));
    for _ in 0..2 {
        let unwanted = write!(store, instance_unwant(one.id, 8)).unwrap();
        assert_eq!((unwanted.wanted, unwanted.generation), (Wanted::Gone, 2));
    }
    let assigned = read!(store, instances_list_assigned(on)).unwrap();
    assert_eq!(assigned, std::slice::from_ref(&two));
    assert_eq!(reserved().await, Some(both));
    // The host never sees generation 2 of it: it reports the end of the one it was running.
    let ended = write!(store, instance_report(one.id, &tells(1, InstanceState::Ended), 9)).unwrap();
    assert_eq!(ended.ended_at_ms, Some(9));
    assert_eq!(reserved().await.unwrap().instances, 1);
    let failure = json!({"error": "its host is lost"});
    let end = InstanceState::Failed;
    let lost = write!(store, instance_end(two.id, end, Some(&failure), 10)).unwrap();
    assert_eq!((lost.state, lost.report.as_ref()), (end, Some(&failure)));
    let again = write!(store, instance_end(two.id, InstanceState::Ended, None, 11)).unwrap();
    assert_eq!(again, lost);
    assert_eq!(reserved().await, None);
    assert!(read!(store, instances_list_live()).unwrap().is_empty());
    assert_eq!(read!(store, instances_list_of(one.owner)).unwrap().len(), 2);
    assert_eq!(write!(store, instances_prune(10)).unwrap(), 1);
    assert_eq!(read!(store, instances_list_of(one.owner)).unwrap(), [lost]);
}

async fn those_concerned_hear(house: House) {
    let store = &house.store;
    let (account, on) = (make_account(store, 1).await, make_host(store, 1).await);
    make_host(store, 2).await;
    let heard = async || {
        let mut heard = Vec::new();
        for topic in [Topic::Routes, Topic::Host(on), Topic::Host(host(2).id)] {
            heard.push(store.feed_read(topic).await.unwrap());
        }
        heard
    };
    let job = instance(account, on, 1);
    let owner = Owner::Endpoint(EndpointId::new(uuid(1)));
    let server = InstanceRow { owner, ..instance(account, on, 2) };
    write!(store, instance_insert(&job)).unwrap();
    assert_eq!(heard().await, [0, 1, 0]);
    write!(store, instance_insert(&server)).unwrap();
    assert_eq!(heard().await, [1, 2, 0]);
    for _ in 0..2 {
        write!(store, instance_report(job.id, &tells(1, InstanceState::Ready), 6)).unwrap();
        write!(store, instance_report(server.id, &tells(1, InstanceState::Ready), 6)).unwrap();
        assert_eq!(heard().await, [2, 2, 0]);
    }
    write!(store, host_report(on, &says(1, None), 7)).unwrap();
    assert_eq!(heard().await, [2, 2, 0]);
    write!(store, host_report(on, &says(1, Some("a:1")), 8)).unwrap();
    write!(store, host_report(on, &says(1, Some("a:1")), 9)).unwrap();
    assert_eq!(heard().await, [3, 2, 0]);
    write!(store, instance_unwant(server.id, 10)).unwrap();
    assert_eq!(heard().await, [4, 3, 0]);
}

#[derive(Clone, Debug)]
enum Event {
    Report(u64, InstanceState),
    Unwant,
    Lost,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let state = proptest::sample::select(InstanceState::ALL);
    let event = prop_oneof![
        8 => (1..4_u64, state).prop_map(|(generation, state)| Event::Report(generation, state)),
        1 => Just(Event::Unwant),
        1 => Just(Event::Lost),
    ];
    vec(event, 1..12)
}

async fn an_instance_never_goes_back(house: House) {
    let (account, on) = (make_account(&house.store, 1).await, make_host(&house.store, 1).await);
    let (store, case): (&Store, _) = (&house.store, std::cell::Cell::new(0));
    property(24, events(), |events| {
        case.set(case.get() + 1);
        let row = instance(account, on, case.get());
        wait(async { write!(store, instance_insert(&row)) }).unwrap();
        let mut before = row.clone();
        for event in events {
            let accepted = wait(async {
                match &event {
                    Event::Report(generation, state) => {
                        write!(store, instance_report(row.id, &tells(*generation, *state), 6))
                    }
                    Event::Unwant => write!(store, instance_unwant(row.id, 6)),
                    Event::Lost => {
                        write!(store, instance_end(row.id, InstanceState::Failed, None, 6))
                    }
                }
            });
            let after = wait(async { read!(store, instance_fetch(row.id)) }).unwrap();
            let place =
                |row: &InstanceRow| (row.ended_at_ms.is_some(), row.reported_generation, row.state);
            prop_assert!(after.generation >= before.generation);
            prop_assert!(after.reported_generation <= after.generation);
            prop_assert!(place(&after) >= place(&before), "{before:?} -> {after:?}");
            prop_assert_eq!(after.state.ended(), after.ended_at_ms.is_some());
            if before.ended_at_ms.is_some() {
                prop_assert_eq!(after.state, before.state);
            }
            match (&event, accepted) {
                (_, Ok(row)) => prop_assert_eq!(&row, &after),
                (Event::Report(..), Err(Error::Stale { .. })) => prop_assert_eq!(&after, &before),
                (_, Err(other)) => prop_assert!(false, "{other:?}"),
            }
            before = after;
        }
        Ok(())
    })
    .await;
}

async fn placements_see_each_other(house: House) {
    let store = &house.store;
    let (account, on) = (make_account(store, 1).await, make_host(store, 1).await);
    let place = async |number: u128| {
        let row = instance(account, on, number);
        store
            .transact("place where there is room", |tx| {
                let row = &row;
                Box::pin(async move {
                    let reserved = instances_reserved(tx).await?;
                    let free = 2_000 - reserved.get(&on).map_or(0, |held| held.cpu_milli);
                    if free >= u64::from(row.cpu_milli) {
                        instance_insert(tx, row).await?;
                    }
                    Ok::<_, Error>(())
                })
            })
            .await
            .unwrap();
    };
    futures::future::join_all((1..=8).map(place)).await;
    assert_eq!(read!(store, instances_list_assigned(on)).unwrap().len(), 4);
}
