use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;

use proptest::prelude::*;

use super::file::{FileKey, HEAD_BYTES, Opened};
use super::*;
use crate::log::tests::{event, keyed};
use crate::log::{Log, Reader};
use crate::segment::tests::{World, all, at};
use crate::select::Selection;
use crate::{Error, Event, Label};

const SECRET: &str = "a-secret-that-is-nowhere";

/// Every file below a folder, and what is in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// The files of the log alone, by their first numbers.
fn logs(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let is_part = |path: &PathBuf| {
        path.extension().is_some_and(|it| it == "log") && !path.ends_with("labels.log")
    };
    files(folder).into_iter().filter(|(path, _)| is_part(path)).collect()
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|it| it == text.as_bytes())
}

fn is_frame(read: &Opened) -> bool {
    matches!(read, Opened::Frame { .. })
}

/// An event that has the secret in every part.
fn told(id: u64) -> Event {
    let secret = |part: &str| format!("{SECRET}-{part}-{id}");
    Event {
        time_ns: id,
        id: secret("id"),
        source: secret("source"),
        kind: secret("type"),
        subject: secret("subject"),
        region: SECRET.to_owned(),
        group: SECRET.to_owned(),
        attributes: [("field".to_owned(), secret("attribute"))].into(),
        data: format!("{{\"a\":\"{SECRET}\"}}").into(),
        ..event(id)
    }
}

proptest! {
    /// A small file comes out as it went in, under its name and by its key, and else not at all.
    #[test]
    fn what_is_sealed_is_opened_by_its_key_and_name(
        plain: Vec<u8>, place: prop::sample::Index, by in 1_u8..,
    ) {
        let key = Key::fresh();
        let mut sealed = key.seal("a", &plain);
        prop_assert_ne!(&sealed, &key.seal("a", &plain), "no sealing is as another");
        prop_assert_eq!(key.open("a", &sealed), Some(plain.clone()));
        prop_assert_eq!(key.open("b", &sealed), None);
        prop_assert_eq!(Key::fresh().open("a", &sealed), None);
        let place = place.index(sealed.len());
        sealed[place] ^= by;
        prop_assert_eq!(key.open("a", &sealed), None, "byte {}", place);
        prop_assert_eq!(key.open("a", &plain), None);
    }

    /// A frame is read at its place alone, whole alone, and unchanged alone.
    #[test]
    fn a_frame_belongs_to_its_place(
        plain: Vec<u8>, number in 0_u64..9, other in 0_u64..9, place: prop::sample::Index, by in 1_u8..,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let (_, own) = FileKey::make(&Key::fresh(), "log 1", &path).unwrap();
        let mut frame = Vec::new();
        own.write(&mut frame, number, |to| to.extend_from_slice(&plain));
        let is_it = |read: Opened| matches!(read, Opened::Frame { body, bytes }
            if body == plain && bytes == frame.len());
        prop_assert!(is_it(own.open(&frame, number, plain.len())));
        prop_assert_eq!(is_it(own.open(&frame, other, plain.len())), number == other);
        let (whole, place) = (frame.clone(), place.index(frame.len()));
        prop_assert!(matches!(own.open(&whole[..place], number, plain.len()), Opened::Part));
        let mut changed = frame.clone();
        changed[place] ^= by;
        prop_assert!(!is_frame(&own.open(&changed, number, plain.len())));
    }

    #[test]
    fn any_bytes_are_a_frame_or_not(bytes: Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let (_, own) = FileKey::make(&Key::fresh(), "log 1", &path).unwrap();
        prop_assert!(!is_frame(&own.open(&bytes, 0, 100)));
    }
}

#[test]
fn a_head_tells_another_key_and_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("a.log"), Key::fresh());
    FileKey::make(&key, "log 1", &path).unwrap();
    let read = |key: &Key, what: &str| {
        FileKey::read(key, what, (&fs::File::open(&path).unwrap(), &path)).map_err(|error| {
            match error {
                Error::Key { problem, .. } => problem,
                other => panic!("{other}"),
            }
        })
    };
    assert!(read(&key, "log 1").is_ok());
    let another = "it was written with another key, or is another file under this name";
    assert_eq!(read(&Key::fresh(), "log 1").unwrap_err(), another);
    assert_eq!(read(&key, "log 2").unwrap_err(), another);
    fs::write(&path, [1; HEAD_BYTES]).unwrap();
    assert!(read(&key, "log 1").unwrap_err().contains("is not encrypted"));
    fs::write(&path, [1; HEAD_BYTES - 1]).unwrap();
    assert!(read(&key, "log 1").unwrap_err().contains("has no head"));
}

/// What was being written when the power went is cut off and written anew: the same bytes never come
/// of the same events, so that no nonce was met twice.
#[test]
fn what_is_written_again_is_written_by_another_nonce() {
    let folder = tempfile::tempdir().unwrap();
    let place = || keyed(folder.path(), true);
    let commit = || {
        let mut log = Log::open(place(), 0, |_| {}).unwrap();
        assert_eq!(log.commit(&[told(1)], 5).unwrap(), 1);
    };
    commit();
    let (path, first) = logs(folder.path()).pop_last().unwrap();
    // Its last byte did not come to the disk.
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(first.len() as u64 - 1)
        .unwrap();
    commit();
    let second = fs::read(&path).unwrap();
    assert_eq!(first[..HEAD_BYTES], second[..HEAD_BYTES], "the file goes on");
    let nonce = HEAD_BYTES + 4..HEAD_BYTES + 4 + NONCE_BYTES;
    assert_ne!(first[nonce.clone()], second[nonce]);
}

/// Frames of one length change places: they are refused, and told with the place.
#[test]
fn frames_that_changed_places_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = || keyed(folder.path(), true);
    let mut log = Log::open(place(), 0, |_| {}).unwrap();
    log.commit(&[event(1), event(2), event(3)], 1).unwrap();
    log.roll().unwrap();
    drop(log);
    let (path, bytes) = logs(folder.path()).pop_first().unwrap();
    let length = (bytes.len() - HEAD_BYTES) / 3;
    let (first, rest) = bytes[HEAD_BYTES..].split_at(length);
    let swapped = [&bytes[..HEAD_BYTES], &rest[..length], first, &rest[length..]].concat();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&swapped, 0).unwrap();
    let mut reader = Reader::new(place(), 1);
    let error = reader.read(4, 9).unwrap_err();
    let offset = HEAD_BYTES as u64;
    assert!(matches!(error, Error::Damaged { offset: at, .. } if at == offset), "{error}");
    let error = Log::open(place(), 0, |_| {}).unwrap_err();
    assert!(matches!(error, Error::Damaged { offset: at, .. } if at == offset), "{error}");
}

/// A stream with something of everything: sealed, merged, labelled, and in the log.
async fn full(world: &World) -> crate::Stream {
    let stream = world.open().await;
    for first in [0, 100, 200] {
        stream.append((first..first + 50).map(told).collect()).await.unwrap();
        stream.seal().await.unwrap();
    }
    let label = |id: u64| {
        let Event { source, id, .. } = told(id);
        Label { source, id, label: format!("{SECRET}-label") }
    };
    stream.label((0..20).map(label).collect()).await.unwrap();
    stream.forget(&told(7).subject).await.unwrap();
    stream.append((300..320).map(told).collect()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_event_is_in_any_file() {
    for is_encrypted in [true, false] {
        let world = World::of(is_encrypted);
        let stream = full(&world).await;
        assert_eq!(stream.is_encrypted(), is_encrypted);
        let kept = all(&stream);
        assert_eq!(kept.len(), 169);
        drop(stream);
        // Opened again, what was torn is cut, and what it has is the same.
        let stream = world.open().await;
        assert_eq!(all(&stream), kept);
        let files = files(world.folder.path());
        assert!(files.len() > 3, "{:?}", files.keys());
        let told: Vec<_> = files.iter().filter(|(_, bytes)| has(bytes, SECRET)).collect();
        // The same search finds it where nothing is encrypted.
        assert_eq!(
            told.is_empty(),
            is_encrypted,
            "{:?}",
            told.iter().map(|it| it.0).collect::<Vec<_>>()
        );
    }
}

/// By another key, by none, and by one where there is to be none: a clear word, and not a byte else.
#[tokio::test(flavor = "multi_thread")]
async fn by_a_wrong_key_nothing_is_read_and_nothing_changes() {
    for (was_encrypted, key, word) in [
        (true, Some(Key::fresh()), "is encrypted by another key"),
        (true, None, "there is no key for it"),
        (false, Some(Key::fresh()), "is not encrypted, and has a key"),
    ] {
        let world = World::of(was_encrypted);
        let stream = full(&world).await;
        let kept = all(&stream);
        stream.append((400..420).map(told).collect()).await.unwrap();
        let more = *stream.committed().borrow();
        drop(stream);
        // What was torn when the power went is not cut off by a wrong key.
        let (path, mut log) = logs(world.folder.path()).pop_last().unwrap();
        log.extend([1, 2, 3]);
        fs::write(path, log).unwrap();
        let before = files(world.folder.path());
        let place = Folder { path: world.folder.path().to_path_buf(), key };
        let error = world.open_by(place).await.unwrap_err();
        assert!(matches!(error, Error::Key { .. }), "{error:?}");
        let error = error.to_string();
        assert!(error.contains(word) && error.contains("nothing was changed"), "{error}");
        assert_eq!(files(world.folder.path()), before, "{word}");
        let stream = world.open().await;
        assert_eq!(*stream.committed().borrow(), more);
        assert!(all(&stream).starts_with(&kept));
    }
}

/// An encrypted file among those of a stream without a key is not taken for a torn one.
#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_log_is_not_cut_off_where_the_manifest_is_lost() {
    let world = World::of(true);
    let stream = world.open().await;
    stream.append(vec![told(1)]).await.unwrap();
    stream
        .label(vec![Label { id: "1".to_owned(), label: "x".to_owned(), ..Label::default() }])
        .await
        .unwrap();
    drop(stream);
    fs::remove_file(world.folder.path().join("segments/_manifest.json")).unwrap();
    let before = files(world.folder.path());
    let error = world.open_by(world.folder.path().into()).await.unwrap_err().to_string();
    assert!(error.contains("it is encrypted, and its stream has no key"), "{error}");
    let labels = crate::labels::Labels::new(world.folder.path()).known().unwrap_err().to_string();
    assert!(labels.contains("it is encrypted, and its stream has no key"), "{labels}");
    let key = world.open_by(keyed(world.folder.path(), true)).await.unwrap_err().to_string();
    assert!(key.contains("is not encrypted, and has a key"), "{key}");
    assert_eq!(files(world.folder.path()), before);
}

/// A segment under another's name is refused, also where both are of the same stream, and one that is
/// not encrypted is.
#[tokio::test(flavor = "multi_thread")]
async fn segments_that_changed_names_are_refused() {
    let world = World::of(true);
    let stream = world.open().await;
    let day = 24 * policy::segments::HOUR_NS;
    let busy = policy::segments::HOUR_EVENTS_MIN as u64;
    let events: Vec<Event> = (0..2 * busy).map(|id| at(id % 2 * day + id, id, "a")).collect();
    for events in events.chunks(1_000) {
        stream.append(events.to_vec()).await.unwrap();
    }
    stream.seal().await.unwrap();
    let segments = stream.segments();
    let path = |at: usize| world.folder.path().join("segments").join(&segments[at].file);
    let bytes = [0, 1].map(|at| fs::read(path(at)).unwrap());
    let selected = |stream: &crate::Stream| {
        stream.select(&Selection::default()).unwrap().find_map(Result::err)
    };
    assert!(selected(&stream).is_none());
    fs::write(path(0), &bytes[1]).unwrap();
    let error = selected(&stream).map(|error| workflow::chain(&error)).unwrap();
    assert!(error.contains("another file under this name"), "{error}");
    let plain = World::new();
    let other = plain.open().await;
    other.append(events[..9].to_vec()).await.unwrap();
    other.seal().await.unwrap();
    let file = plain.folder.path().join("segments").join(&other.segments()[0].file);
    fs::copy(file, path(0)).unwrap();
    let error = selected(&stream).map(|error| workflow::chain(&error)).unwrap();
    assert!(error.contains("is not encrypted"), "{error}");
    // A changed byte anywhere in it.
    let mut changed = bytes[0].clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(path(0), &changed).unwrap();
    assert!(selected(&stream).is_some());
    fs::write(path(0), &bytes[0]).unwrap();
    assert!(selected(&stream).is_none());
}

/// What is known of row groups is read with the key, and rules them out as ever.
#[tokio::test(flavor = "multi_thread")]
async fn statistics_rule_out_what_is_encrypted_too() {
    let mut found = Vec::new();
    for is_encrypted in [false, true] {
        let world = World::of(is_encrypted);
        let stream = world.open().await;
        let events: Vec<Event> = (0..40_000).map(|id| at(id, id, "a")).collect();
        for events in events.chunks(2_000) {
            stream.append(events.to_vec()).await.unwrap();
        }
        stream.seal().await.unwrap();
        let selection = Selection { since_ns: Some(39_000), ..Selection::default() };
        let (stats, told) = stream.stats(&selection).unwrap();
        assert_eq!((stats.events, told.groups_read), (1_000, 1));
        found.push((told.groups_pruned, told.segments_read));
    }
    assert_eq!(found[0], found[1]);
    assert!(found[0].0 > 0);
}
