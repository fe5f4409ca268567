//! The catalogue: items, versions, who sees them, and how they are counted.

use std::collections::BTreeSet;

use serde_json::json;

use store::feeds::{Changes, changes_list};
use store::items::{
    ItemRow, item_fetch, item_fetch_by_name, item_insert, item_share, item_visible_to, items_count,
    items_list, listing_fetch, listings_list, listings_list_of, listings_visible_to,
};
use store::objects::{object_delete, object_holders};
use store::usage::{UsageRow, UsageSums, usage_add, usage_record, usage_sums, usage_trim};
use store::versions::{VersionRow, holder, version_fetch, version_insert, versions_list};
use store::{Error, Sharing, Topic};
use types::{AccountId, EndpointId, ItemId, ItemKind};

use crate::harness::{
    House, item, make_account, make_host, make_item, make_object, name, uuid, version,
};

both! {
    /// A version comes back as it was stored, and is the newest.
    versions_are_numbered_in_order;
    /// Of two that publish the same next version, one does.
    a_number_is_given_once;
    /// A version's package is never deleted.
    a_version_keeps_its_package;
    /// Sharing is changed only by who knows the present generation.
    sharing_is_guarded;
    /// An account sees its own items, those shared with it, and those shared with everybody.
    who_may_see_an_item_sees_it;
    /// Followers of the items hear of each change.
    followers_hear_of_items;
    /// Every kind of item can be stored.
    every_kind_is_known;
    /// Counts add up, and a repeated report counts once.
    usage_counts_once;
}

async fn versions_are_numbered_in_order(house: House) {
    let account = make_account(&house.store, 1).await;
    let package = make_object(&house.store, account, 1).await;
    let row = item(account, 1, Sharing::Nobody);
    make_item(&house.store, &row).await;
    assert_eq!(read!(house.store, listing_fetch(row.id)).unwrap(), None);
    let one = version(row.id, 1, package);
    let two =
        VersionRow { lineage: Some(json!({"algorithm": "a@1"})), ..version(row.id, 2, package) };
    write!(house.store, version_insert(&one)).unwrap();
    write!(house.store, version_insert(&two)).unwrap();
    assert_eq!(read!(house.store, version_fetch(row.id, 1)).unwrap(), one);
    assert_eq!(read!(house.store, version_fetch(row.id, 2)).unwrap(), two);
    let stored = read!(house.store, item_fetch(row.id)).unwrap();
    assert_eq!(stored, ItemRow { newest: 2, generation: 3, ..row.clone() });
    let listing = read!(house.store, listing_fetch(row.id)).unwrap().unwrap();
    assert_eq!((&listing.item, &listing.listing), (&stored, &two.listing));
    assert_eq!(listing.account_name, name("account-1"));
    let versions = read!(house.store, versions_list(row.id, None, 9)).unwrap();
    assert_eq!(versions, [two, one.clone()]);
    assert_eq!(read!(house.store, versions_list(row.id, Some(2), 9)).unwrap(), [one]);
    let missing = read!(house.store, version_fetch(row.id, 3));
    assert!(matches!(missing, Err(Error::NotFound { what: "version", .. })), "{missing:?}");
    assert_eq!(read!(house.store, items_count()).unwrap(), 1);
}

async fn a_number_is_given_once(house: House) {
    let account = make_account(&house.store, 1).await;
    let package = make_object(&house.store, account, 1).await;
    let row = item(account, 1, Sharing::Nobody);
    make_item(&house.store, &row).await;
    let first = version(row.id, 1, package);
    let insert = async |_| write!(house.store, version_insert(&first));
    let inserted = futures::future::join_all((0..4).map(insert)).await;
    assert_eq!(inserted.iter().filter(|result| result.is_ok()).count(), 1);
    for refused in inserted.iter().filter_map(|result| result.as_ref().err()) {
        assert!(matches!(refused, Error::Stale { stored: 1, .. }), "{refused:?}");
    }
    let skip = write!(house.store, version_insert(&version(row.id, 3, package)));
    assert!(matches!(skip, Err(Error::Stale { stored: 1, .. })), "{skip:?}");
    assert_eq!(read!(house.store, item_fetch(row.id)).unwrap().generation, 2);
}

async fn a_version_keeps_its_package(house: House) {
    let account = make_account(&house.store, 1).await;
    let package = make_object(&house.store, account, 1).await;
    let row = item(account, 1, Sharing::Nobody);
    make_item(&house.store, &row).await;
    write!(house.store, version_insert(&version(row.id, 1, package))).unwrap();
    assert_eq!(read!(house.store, object_holders(package)).unwrap(), [holder(row.id, 1)]);
    let refused = write!(house.store, object_delete(package));
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    let absent = types::ObjectId::new(uuid(99));
    let refused = write!(house.store, version_insert(&version(row.id, 2, absent)));
    assert!(matches!(refused, Err(Error::NotFound { what: "object", .. })), "{refused:?}");
}

fn with(accounts: &[AccountId]) -> Sharing {
    Sharing::Accounts(accounts.iter().copied().collect())
}

async fn sharing_is_guarded(house: House) {
    let account = make_account(&house.store, 1).await;
    let (two, three) = (make_account(&house.store, 2).await, make_account(&house.store, 3).await);
    let row = item(account, 1, with(&[two]));
    make_item(&house.store, &row).await;
    assert_eq!(read!(house.store, item_fetch_by_name(account, &row.name)).unwrap(), row);
    let sharing = with(&[three, two]);
    assert_eq!(write!(house.store, item_share(row.id, 1, &sharing)).unwrap(), 2);
    let stale = write!(house.store, item_share(row.id, 1, &Sharing::Everybody));
    assert!(matches!(stale, Err(Error::Stale { stored: 2, .. })), "{stale:?}");
    let stored = read!(house.store, items_list(account, None, 9)).unwrap();
    assert_eq!(stored, [ItemRow { sharing, generation: 2, ..row.clone() }]);
    write!(house.store, item_share(row.id, 2, &with(&[]))).unwrap();
    assert_eq!(read!(house.store, item_fetch(row.id)).unwrap().sharing, with(&[]));
    let missing = write!(house.store, item_share(ItemId::new(uuid(9)), 1, &Sharing::Nobody));
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    let again =
        write!(house.store, item_insert(&ItemRow { id: ItemId::new(uuid(2)), ..row.clone() }));
    assert!(matches!(again, Err(Error::Unique { .. })), "{again:?}");
}

async fn who_may_see_an_item_sees_it(house: House) {
    let store = &house.store;
    let (one, two) = (make_account(store, 1).await, make_account(store, 2).await);
    let package = make_object(store, one, 1).await;
    let sharings = [Sharing::Nobody, with(&[two]), with(&[]), Sharing::Everybody];
    for (number, sharing) in (1..).zip(sharings) {
        let row = item(one, number, sharing);
        make_item(store, &row).await;
        write!(store, version_insert(&version(row.id, 1, package))).unwrap();
    }
    // One without a version is in no listing.
    make_item(store, &item(one, 5, Sharing::Everybody)).await;
    let all = read!(store, listings_list(None, 9)).unwrap();
    assert_eq!(all.len(), 4);
    for account in [one, two, AccountId::new(uuid(3))] {
        let visible = read!(store, listings_visible_to(account, None, 9)).unwrap();
        let wanted: Vec<_> =
            all.iter().filter(|row| item_visible_to(&row.item, account)).cloned().collect();
        assert_eq!(visible, wanted);
    }
    let seen = |account| {
        let those = all.iter().filter(move |row| item_visible_to(&row.item, account));
        those.map(|row| row.item.id).collect::<BTreeSet<_>>()
    };
    assert_eq!(seen(one).len(), 4);
    assert_eq!(seen(two), BTreeSet::from([ItemId::new(uuid(2)), ItemId::new(uuid(4))]));
    let after = read!(store, listings_visible_to(two, Some(ItemId::new(uuid(2))), 9)).unwrap();
    assert_eq!(after.len(), 1);
    let of = read!(store, listings_list_of(one, Some(&name("item-2")), 1)).unwrap();
    assert_eq!(of[0].item.id, ItemId::new(uuid(3)));
}

async fn followers_hear_of_items(house: House) {
    let account = make_account(&house.store, 1).await;
    let package = make_object(&house.store, account, 1).await;
    let row = item(account, 1, Sharing::Nobody);
    make_item(&house.store, &row).await;
    write!(house.store, version_insert(&version(row.id, 1, package))).unwrap();
    write!(house.store, item_share(row.id, 2, &Sharing::Everybody)).unwrap();
    let changes = read!(house.store, changes_list(Topic::Items, 0, 9)).unwrap();
    let Changes::Rows(rows) = changes else { panic!("a gap") };
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|change| change.subject == row.id.to_string()));
}

async fn every_kind_is_known(house: House) {
    let account = make_account(&house.store, 1).await;
    for (number, kind) in (1..).zip(ItemKind::ALL) {
        let row = ItemRow { kind, ..item(account, number, Sharing::Nobody) };
        make_item(&house.store, &row).await;
        assert_eq!(read!(house.store, item_fetch(row.id)).unwrap().kind, kind);
    }
}

async fn usage_counts_once(house: House) {
    let store = &house.store;
    let (one, two) = (make_account(store, 1).await, make_account(store, 2).await);
    make_host(store, 1).await;
    let row = item(one, 1, Sharing::Everybody);
    make_item(store, &row).await;
    let count = |version, caller, endpoint: Option<u128>, requests| UsageRow {
        item_id: row.id,
        version,
        endpoint_id: endpoint.map(|number| EndpointId::new(uuid(number))),
        caller,
        requests,
        failures: 1,
        trainings: 0,
    };
    let rows = [
        count(1, Some(one), Some(1), 10),
        count(2, Some(two), Some(2), 20),
        count(2, None, Some(2), 30),
    ];
    for (number, new) in [(1, true), (1, false), (3, true), (2, false)] {
        let added = write!(store, usage_record("gateway-1", number, &rows, 5)).unwrap();
        assert_eq!(added, new, "report {number}");
    }
    assert!(write!(store, usage_record("gateway-2", 1, &rows[..1], 6)).unwrap());
    let trained =
        UsageRow { requests: 0, failures: 0, trainings: 2, ..count(1, Some(two), None, 0) };
    write!(store, usage_add(&trained)).unwrap();
    let sums = read!(store, usage_sums(row.id)).unwrap();
    assert_eq!(sums, UsageSums { requests: 130, failures: 7, trainings: 2, accounts: 2 });
    let none = read!(store, usage_sums(ItemId::new(uuid(9)))).unwrap();
    assert_eq!(none, UsageSums::default());
    assert_eq!(write!(store, usage_trim(6)).unwrap(), 1);
}
