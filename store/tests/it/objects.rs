//! Objects and what holds them.

use store::Error;
use store::accounts::account_objects_sequence;
use store::objects::{
    ObjectChunks, object_delete, object_fetch, object_hold, object_holders, object_insert,
    object_release, object_reseal, objects_list_live, objects_list_sealed_before,
    objects_list_unheld, objects_release,
};

use crate::harness::{House, make_account, make_object, object, uuid};

const NO_CHUNKS: ObjectChunks<'static> = ObjectChunks { chunks: &[], claims_seen: 0 };

both! {
    /// An object comes back as it was stored, with its number.
    objects_are_numbered_per_account;
    /// A held object is not deleted, and not listed as unheld.
    a_held_object_stays;
    /// The number of a deleted object is never given again.
    numbers_are_never_given_again;
    /// Keys are resealed towards newer versions only.
    keys_are_resealed_forward;
}

async fn objects_are_numbered_per_account(house: House) {
    let (one, two) = (make_account(&house.store, 1).await, make_account(&house.store, 2).await);
    let mut row = object(one, 1);
    row.sequence = write!(house.store, object_insert(&row, NO_CHUNKS)).unwrap();
    assert_eq!(row.sequence, 1);
    assert_eq!(read!(house.store, object_fetch(row.id)).unwrap(), row);
    make_object(&house.store, one, 2).await;
    make_object(&house.store, two, 3).await;
    let live = read!(house.store, objects_list_live(one, 1, 9)).unwrap();
    assert_eq!(live, [(object(one, 2).id, 2)]);
    assert_eq!(read!(house.store, account_objects_sequence(one)).unwrap(), 2);
    let again = write!(house.store, object_insert(&row, NO_CHUNKS));
    assert!(matches!(again, Err(Error::Unique { .. })), "{again:?}");
    assert_eq!(read!(house.store, account_objects_sequence(one)).unwrap(), 2);
}

async fn a_held_object_stays(house: House) {
    let account = make_account(&house.store, 1).await;
    let (held, free) =
        (make_object(&house.store, account, 1).await, make_object(&house.store, account, 2).await);
    for holder in ["a", "b", "a"] {
        write!(house.store, object_hold(held, holder)).unwrap();
    }
    assert_eq!(read!(house.store, object_holders(held)).unwrap(), ["a", "b"]);
    let unheld = read!(house.store, objects_list_unheld(1_001, 9)).unwrap();
    assert_eq!(unheld.iter().map(|row| row.id).collect::<Vec<_>>(), [free]);
    assert!(read!(house.store, objects_list_unheld(1_000, 9)).unwrap().is_empty());
    let refused = write!(house.store, object_delete(held));
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    write!(house.store, object_release(held, "a")).unwrap();
    assert_eq!(write!(house.store, objects_release("b")).unwrap(), 1);
    write!(house.store, object_delete(held)).unwrap();
    let gone = write!(house.store, object_hold(held, "late"));
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
}

async fn numbers_are_never_given_again(house: House) {
    let account = make_account(&house.store, 1).await;
    let id = make_object(&house.store, account, 1).await;
    write!(house.store, object_delete(id)).unwrap();
    let row = object(account, 2);
    assert_eq!(write!(house.store, object_insert(&row, NO_CHUNKS)).unwrap(), 2);
}

async fn keys_are_resealed_forward(house: House) {
    let account = make_account(&house.store, 1).await;
    let id = make_object(&house.store, account, 1).await;
    assert_eq!(uuid(1), id.uuid());
    let old = read!(house.store, objects_list_sealed_before(account, 2, 9)).unwrap();
    assert_eq!(old.len(), 1);
    assert!(write!(house.store, object_reseal(id, "two", 2)).unwrap());
    assert!(!write!(house.store, object_reseal(id, "other", 2)).unwrap());
    assert!(!write!(house.store, object_reseal(id, "one", 1)).unwrap());
    let row = read!(house.store, object_fetch(id)).unwrap();
    assert_eq!((row.sealed_key.as_str(), row.key_version), ("two", 2));
    assert!(read!(house.store, objects_list_sealed_before(account, 2, 9)).unwrap().is_empty());
}
