use std::path::PathBuf;

use super::super::target::Address;
use super::*;

fn sent(copy: u64, form: Form) -> String {
    let event = Event {
        time_ns: 1_700_000_000_123_000_000,
        id: "id 1".to_owned(),
        source: "/shop".to_owned(),
        kind: "shop.sale".to_owned(),
        subject: "customer-7".to_owned(),
        region: "eu".to_owned(),
        group: String::new(),
        // The last two are not to be seen by who is judged by them.
        attributes: [
            ("method", "GET"),
            ("id", "not mine"),
            ("Bad Name", "x"),
            ("answer", "0.7"),
            ("label", "yes"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        content_type: "application/json".to_owned(),
        data: Bytes::from_static(b"{}"),
    };
    let payload = Labelled { event, label: Some("yes".into()) };
    let target = Variant {
        name: "a".to_owned(),
        address: Address::Unix(PathBuf::from("/nowhere")),
        host: "host".to_owned(),
        path: "/path".to_owned(),
        headers: Vec::new(),
    };
    let planned = Planned { offset_ns: 5_000, sequence: 41, copy, stratum: 0 };
    let sending = Sending {
        run: "run-1",
        number: 3,
        planned,
        variant: 0,
        target: &target,
        payload: &payload,
    };
    let mut posts = Posts { form };
    assert_eq!(posts.keep(&payload).as_deref(), Some("yes"));
    assert_eq!(posts.place(&payload), ("eu", ""));
    let message = posts.request(&sending).encode(&target);
    String::from_utf8(message.to_vec()).unwrap().replace("\r\n", "\n")
}

#[test]
fn an_event_is_sent_with_what_is_known_of_it() {
    insta::assert_snapshot!(sent(0, Form::CloudEvents));
}

#[test]
fn a_copy_is_an_event_of_its_own() {
    insta::assert_snapshot!(sent(2, Form::CloudEvents));
}

#[test]
fn data_goes_alone_where_that_is_wanted() {
    insta::assert_snapshot!(sent(0, Form::Data));
}

#[test]
fn traces_differ_by_run_send_and_variant() {
    let one = traceparent("a", 1, 0);
    for other in [traceparent("b", 1, 0), traceparent("a", 2, 0), traceparent("a", 1, 1)] {
        assert_ne!(one, other);
    }
    assert_eq!((one.len(), &one[..3], &one[52..]), (55, "00-", "-01"));
    assert_eq!(one, traceparent("a", 1, 0));
}
