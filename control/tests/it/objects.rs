//! Objects whose bytes did not all come, or are not there any more: refused by their own codes.

use std::io;
use std::path::{Path, PathBuf};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{Request, header};

use crate::harness::{Answer, House, Member};

async fn send(house: &House, member: &Member, path: &str, body: Body) -> Answer {
    let request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {}", member.secret))
        .header(header::CONTENT_TYPE, "application/octet-stream");
    house.send(request.body(body).unwrap()).await
}

/// These bytes, then the end of the connection.
fn broken(bytes: &'static [u8]) -> Body {
    let lost = Err(io::Error::from(io::ErrorKind::ConnectionReset));
    Body::from_stream(stream::iter([Ok(Bytes::from_static(bytes)), lost]))
}

#[tokio::test]
async fn a_body_that_broke_off_is_incomplete_and_leaves_nothing() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let cut = [Body::from(&b"\x05\0\0\0abc"[..]), Body::from(&b"\x05\0"[..])];
    let sent = [("stream", broken(b"half of it")), ("chunks", broken(b"\x05\0\0\0abc"))];
    for (path, body) in sent.into_iter().chain(cut.map(|body| ("chunks", body))) {
        let answer = send(&house, &alice, &format!("/v1/objects/{path}"), body).await;
        assert_eq!((answer.status, answer.code()), (400, "object_incomplete"), "{answer:?}");
    }
    assert_eq!(files(house.folder.path(), "manifests"), Vec::<PathBuf>::new());

    let whole = send(&house, &alice, "/v1/objects/stream", Body::from("all of it")).await;
    assert_eq!(whole.status, 201, "{whole:?}");
    assert_eq!(files(house.folder.path(), "manifests").len(), 1);
}

#[tokio::test]
async fn bytes_that_are_not_what_was_stored_are_corrupt_and_never_handed_out() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let damage: [fn(&Path); 2] = [flip, |file| std::fs::remove_file(file).unwrap()];
    for (kind, damage) in
        ["chunks", "manifests"].into_iter().flat_map(|kind| damage.map(|damage| (kind, damage)))
    {
        let object = house.upload(&alice, b"what was stored").await;
        let path = format!("/v1/objects/{object}/content");
        let intact = house.get(&alice, &path).await;
        assert_eq!((intact.status, intact.body.as_str()), (200, Some("what was stored")));

        for file in files(house.folder.path(), kind) {
            damage(&file);
        }
        let answer = house.get(&alice, &path).await;
        assert_eq!((answer.status, answer.code()), (500, "object_corrupt"), "{kind} {answer:?}");
        assert!(answer.body["hint"].as_str().unwrap().contains("publish"), "{answer:?}");
        for file in files(house.folder.path(), kind) {
            std::fs::remove_file(file).unwrap();
        }
    }
}

fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file, bytes).unwrap();
}

/// The files of this kind of blob below a folder.
fn files(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, kind));
        } else if path.components().any(|part| part.as_os_str() == kind) {
            found.push(path);
        }
    }
    found
}
