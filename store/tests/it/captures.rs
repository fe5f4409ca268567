//! Streams, what is put into them of live requests, and what they feed.

use serde_json::json;

use store::endpoints::captures::{
    CaptureCounts, capture_add, capture_delete, capture_fetch, capture_put, captures_list_all,
    captures_of_stream,
};
use store::endpoints::{
    EndpointRow, EndpointState, endpoint_delete, endpoint_insert, endpoint_remove,
};
use store::functions::sources::{
    SourceCounts, SourceRow, source_change, source_count, source_delete, source_fetch,
    source_insert, sources_list, sources_list_all, sources_of_stream,
};
use store::functions::{FunctionRow, RevisionRow, function_delete, function_insert};
use store::{Error, Sharing, Topic};
use types::{AccountId, EndpointId, FunctionId, FunctionName, RevisionId, SourceId, StreamId};

use crate::harness::{House, make_account, make_object, name, uuid};

both! {
    /// What is counted of a capture stays when it is set anew, and goes with its endpoint.
    a_capture_counts_as_long_as_its_endpoint_is_there;
    /// A source is changed by who knows its generation, and goes with its function.
    a_source_is_guarded_and_goes_with_its_function;
}

async fn endpoint(house: &House, account_id: AccountId) -> EndpointId {
    let row = EndpointRow {
        id: EndpointId::new(uuid(1)),
        account_id,
        name: name("risk"),
        variant_of: None,
        variant: name("main"),
        source: "acme/model@1".parse().unwrap(),
        resolved: json!([]),
        instance_type: "small".to_owned(),
        sharing: Sharing::Nobody,
        state: EndpointState::Ready,
        error: None,
        generation: 1,
        deleting: false,
        created_at_ms: 5,
        served: None,
    };
    write!(house.store, endpoint_insert(&row)).unwrap();
    row.id
}

async fn a_capture_counts_as_long_as_its_endpoint_is_there(house: House) {
    let account = make_account(&house.store, 1).await;
    let id = endpoint(&house, account).await;
    let [one, other] = [1, 2].map(|number| StreamId::new(uuid(number)));
    assert_eq!(read!(house.store, capture_fetch(id)).unwrap(), None);
    let before = house.store.feed_read(Topic::Routes).await.unwrap();
    write!(house.store, capture_put((id, one), &json!({ "stream": "a" }), 7)).unwrap();
    assert!(house.store.feed_read(Topic::Routes).await.unwrap() > before);
    let more = CaptureCounts { kept: 5, no_room: 2, elsewhere: 1, failed: 1 };
    for _ in 0..2 {
        write!(house.store, capture_add(id, more)).unwrap();
    }
    write!(house.store, capture_put((id, other), &json!({ "stream": "b" }), 8)).unwrap();
    let found = read!(house.store, capture_fetch(id)).unwrap().unwrap();
    let counts = CaptureCounts { kept: 10, no_room: 4, elsewhere: 2, failed: 2 };
    assert_eq!((found.counts, found.stream_id, found.changed_at_ms), (counts, other, 8));
    assert_eq!(read!(house.store, captures_list_all()).unwrap(), [(id, found)].into());
    assert_eq!(read!(house.store, captures_of_stream(one, 9)).unwrap(), []);
    assert_eq!(read!(house.store, captures_of_stream(other, 9)).unwrap(), [name("risk")]);
    write!(house.store, endpoint_delete(id)).unwrap();
    assert_eq!(read!(house.store, captures_of_stream(other, 9)).unwrap(), []);
    write!(house.store, endpoint_remove(id)).unwrap();
    assert_eq!(read!(house.store, captures_list_all()).unwrap(), [].into());
    // What comes of it later is of nothing.
    write!(house.store, capture_add(id, more)).unwrap();
    write!(house.store, capture_delete(id)).unwrap();
    assert_eq!(read!(house.store, capture_fetch(id)).unwrap(), None);
}

async fn function(house: &House, account_id: AccountId) -> FunctionId {
    let id = FunctionId::new(uuid(1));
    let latest = RevisionRow {
        id: RevisionId::new(uuid(1)),
        function_id: id,
        number: None,
        object_id: make_object(&house.store, account_id, 1).await,
        spec: json!({}),
        description: String::new(),
        created_at_ms: 5,
    };
    let row = FunctionRow {
        id,
        account_id,
        name: "score".parse().unwrap(),
        latest: latest.id,
        versions: 0,
        generation: 1,
        created_at_ms: 5,
        changed_at_ms: 5,
    };
    write!(house.store, function_insert(&row, &latest)).unwrap();
    id
}

async fn a_source_is_guarded_and_goes_with_its_function(house: House) {
    let account = make_account(&house.store, 1).await;
    let function_id = function(&house, account).await;
    let row = |number: u128| SourceRow {
        id: SourceId::new(uuid(number)),
        account_id: account,
        function_id,
        qualifier: String::new(),
        stream_id: StreamId::new(uuid(number)),
        spec: json!({ "batch": 1 }),
        generation: 1,
        created_at_ms: 5,
        changed_at_ms: 5,
        counts: SourceCounts::default(),
    };
    for number in 1..=3 {
        write!(house.store, source_insert(&row(number))).unwrap();
    }
    let listed = read!(house.store, sources_list(account, Some(row(1).id), 1)).unwrap();
    assert_eq!(listed, [row(2)]);
    let changed = SourceRow {
        spec: json!({ "batch": 2 }),
        qualifier: "live".to_owned(),
        changed_at_ms: 9,
        ..row(1)
    };
    write!(house.store, source_change(&changed)).unwrap();
    let stale = write!(house.store, source_change(&changed)).unwrap_err();
    assert!(matches!(stale, Error::Stale { stored: 2, .. }), "{stale:?}");
    let more = SourceCounts {
        delivered: 5,
        filtered: 2,
        given_up: 1,
        next_event: 9,
        result: "OK".to_owned(),
    };
    for _ in 0..2 {
        write!(house.store, source_count(row(1).id, &more)).unwrap();
    }
    let counts = SourceCounts { delivered: 10, filtered: 4, given_up: 2, ..more };
    let expected = SourceRow { generation: 2, counts, ..changed };
    assert_eq!(read!(house.store, source_fetch(row(1).id)).unwrap(), expected);
    let of = |number| StreamId::new(uuid(number));
    let score: Vec<FunctionName> = vec!["score".parse().unwrap()];
    assert_eq!(read!(house.store, sources_of_stream(of(1), 9)).unwrap(), score);
    assert_eq!(read!(house.store, sources_of_stream(of(9), 9)).unwrap(), []);
    write!(house.store, source_delete(row(2).id)).unwrap();
    let missing = read!(house.store, source_fetch(row(2).id)).unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }), "{missing:?}");
    write!(house.store, function_delete(function_id)).unwrap();
    assert_eq!(read!(house.store, sources_list_all()).unwrap(), []);
}
