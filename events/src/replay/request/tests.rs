use std::path::PathBuf;

use proptest::prelude::*;

use super::super::target::Address;
use super::*;

fn variant(headers: Vec<(String, String)>) -> Variant {
    let address = Address::Unix(PathBuf::from("/nowhere"));
    let (name, host, path) = ("a".to_owned(), "host".to_owned(), "/path".to_owned());
    Variant { name, address, host, path, headers }
}

fn text(request: &Request, variant: &Variant) -> String {
    String::from_utf8(request.encode(variant).to_vec()).unwrap()
}

proptest! {
    /// Whatever an event and a variant say, one request goes, with the headers that were meant.
    #[test]
    fn nothing_begins_a_request_of_its_own(
        path in any::<String>(),
        host in any::<String>(),
        name in any::<String>(),
        value in any::<String>(),
        body in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let mut target = variant(vec![(format!("x-{name}"), value.clone())]);
        (target.path, target.host) = (format!("/{path}"), host);
        let mut request = Request::post(body.clone().into());
        request.header(&format!("y-{name}"), &value);
        request.attribute(&name, &value);
        let message = request.encode(&target);
        let mut room = [httparse::EMPTY_HEADER; 16];
        let mut head = httparse::Request::new(&mut room);
        let read = head.parse(&message).unwrap();
        prop_assert!(read.is_complete());
        prop_assert_eq!(&message[read.unwrap()..], &body[..]);
        let names: Vec<&str> = head.headers.iter().map(|header| &header.name[..2]).collect();
        prop_assert_eq!(names, ["ho", "x-", "y-", "ce", "co"]);
    }
}

#[test]
fn a_request_is_written_as_others_read_it() {
    let mut request = Request::post(Bytes::from_static(b"{}")).to("/other path?a=b");
    request.header("content-type", "application/json");
    request.attribute("subject", "Ünïcode \"and\" 100 %");
    let variant = variant(vec![("authorization".to_owned(), "Bearer a b".to_owned())]);
    insta::assert_snapshot!(text(&request, &variant).replace("\r\n", "\n"), @r#"
    POST /other%20path?a=b HTTP/1.1
    host: host
    authorization: Bearer a b
    content-type: application/json
    ce-subject: %C3%9Cn%C3%AFcode%20%22and%22%20100%20%25
    content-length: 2

    {}
    "#);
    assert!(text(&Request::get(), &variant).starts_with("GET /path HTTP/1.1\r\n"));
    assert!(!text(&Request::get(), &variant).contains("content-length"));
}
