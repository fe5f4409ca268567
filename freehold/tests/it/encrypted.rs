//! Events that are encrypted at rest: nothing of them is on any disk in plain, they are read by their
//! key alone, and a key is changed without touching them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use api::runs::RunSpec;
use api::streams::{
    EventLabel, EventsQuery, ForgetSubject, ImportQuery, LabelEvents, SelectionQuery, StreamStats,
};
use serde_json::json;
use testkit::wait::until;
use testkit::{Account, Cloud, Process};
use types::Name;

use crate::functions::has_python;
use crate::replays::{WAIT_S, end_of, ended, endpoint, run_of, stream, under_way};
use crate::world::{PROGRAM, strangers};

/// What is in every event and label of this story, and must be in no file.
const SECRET: &str = "nobody-else-may-read-this";

/// Every file below a folder, and what is in it. The program may be removing some.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.insert(path, bytes);
        }
    }
    found
}

/// The files that have a text.
fn with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let has = |bytes: &[u8]| bytes.windows(text.len()).any(|it| it == text.as_bytes());
    files(folder).into_iter().filter(|(_, bytes)| has(bytes)).map(|(path, _)| path).collect()
}

/// What a command says on stdout.
pub(crate) fn said(args: &[&str]) -> String {
    let ran = Command::new(PROGRAM).args(args).env_clear().output().unwrap();
    assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// Appends, imports and labels the secret, and forgets somebody, which seals all of it.
async fn filled(owner: &Account, stream: &Name) {
    let event = |number: u64| {
        json!({
            "specversion": "1.0", "id": format!("{SECRET}-{number}"), "source": format!("/{SECRET}"),
            "type": SECRET, "time": format!("2026-11-23T09:00:{number:02}Z"), "subject": SECRET,
            "region": SECRET, "group": SECRET, "datacontenttype": "application/json",
            "data": { "amount": number, "name": SECRET },
        })
    };
    let events: Vec<_> = (0..40).map(event).collect();
    owner.client.stream_append(stream, &events[..20]).await.unwrap();
    let label = |number: u64| EventLabel {
        source: format!("/{SECRET}"),
        id: format!("{SECRET}-{number}"),
        label: format!("{SECRET}-label"),
    };
    let labels = LabelEvents { labels: (0..20).map(label).collect(), rule: None };
    owner.client.stream_label(stream, &labels).await.unwrap();
    let rows = (0..20).map(|row| format!("2026-11-23T10:00:{row:02}Z,{SECRET}-row\n"));
    let file = format!("time,name\n{}", rows.collect::<String>());
    let query = ImportQuery { format: "csv".to_owned(), ..ImportQuery::default() };
    let pieces = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from(file))]);
    assert_eq!(owner.client.stream_import(stream, &query, pieces).await.unwrap().stored, 20);
    let whose = ForgetSubject { subject: "customer-90".to_owned() };
    assert_eq!(owner.client.stream_forget(stream, &whose).await.unwrap().events, 1);
    // These stay in the log.
    owner.client.stream_append(stream, &events[20..]).await.unwrap();
}

async fn exported(owner: &Account, stream: &Name) -> String {
    let query = EventsQuery { format: None, limit: None };
    let all = SelectionQuery::default();
    let mut pieces = owner.client.stream_events(stream, &all, &query).await.unwrap();
    let mut text = Vec::new();
    while let Some(piece) = pieces.next().await.unwrap() {
        text.extend_from_slice(&piece);
    }
    String::from_utf8(text).unwrap()
}

async fn stats(owner: &Account, stream: &Name) -> StreamStats {
    owner.client.stream_stats(stream, &SelectionQuery::default()).await.unwrap()
}

/// How many events `DuckDB` finds in the copies, with the key as the program shows it.
fn read_by_others(kept: &Path, key: &Path) -> Option<String> {
    let Some(python) = std::env::var_os("FREEHOLD_TEST_PYTHON") else {
        eprintln!("SKIPPED in part: no Python with duckdb (FREEHOLD_TEST_PYTHON)");
        return None;
    };
    let folder = std::fs::read_dir(kept.join("streams")).unwrap().next().unwrap().unwrap().path();
    let (folder, key) = (folder.to_str().unwrap(), key.to_str().unwrap());
    let tables = said(&["events-key", "show", folder, "--events-key", key]);
    let program = "import duckdb, sys\n\
        duckdb.execute(f\"pragma add_parquet_key('events', '{sys.argv[2]}')\")\n\
        print(*duckdb.execute(\"select count(*), count(*) filter (data like '%nobody-else%') \
        from read_parquet(?, encryption_config = {footer_key: 'events'})\", [sys.argv[1]]).fetchone())";
    let all = format!("{folder}/*/*.parquet");
    let ran = Command::new(python).args(["-c", program, &all, tables.trim()]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Some(String::from_utf8(ran.stdout).unwrap().trim().to_owned())
}

/// The keys that lie in the folders of streams, sealed.
fn sealed(data: &Path) -> Vec<Vec<u8>> {
    let all = files(&data.join("gateway")).into_iter();
    all.filter(|(path, _)| path.ends_with("_key.json")).map(|(_, bytes)| bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_events_are_on_no_disk_in_plain_and_are_read_by_their_key_alone() {
    let (kept, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = keys.path().join("events.key");
    let file = key.to_str().unwrap();
    said(&["events-key", "new", file]);
    let url = format!("file://{}", kept.path().display());
    let flags = ["--events-key", file, "--segments", &url];
    let mut cloud = Cloud::one_with(PROGRAM, &flags).await;
    let data = cloud.data(Process::Up);
    let (owner, _) = strangers(&cloud).await;
    let stream = stream(&owner).await;
    filled(&owner, &stream).await;
    assert_eq!(owner.client.stream_fetch(&stream).await.unwrap().encrypted, Some(true));
    let before = exported(&owner, &stream).await;
    assert!(before.matches(SECRET).count() > 100, "the search below finds what is there");
    // A replay records what it sent, and what came of it.
    let mut folders = 1;
    if has_python() {
        endpoint(&owner).await;
        let selection = SelectionQuery {
            filter: Some(format!("region={SECRET}")),
            ..SelectionQuery::default()
        };
        let (run, outcome) = ended(
            &owner,
            &RunSpec { selection, group_by: Vec::new(), ..run_of(&["better"], &stream) },
        )
        .await;
        assert!(outcome.facts.sent > 0, "{run:?}");
        folders += 1;
    }
    assert_eq!(sealed(&data).len(), folders);
    let gateway = data.join("gateway");
    assert_eq!(with(&gateway, SECRET), Vec::<PathBuf>::new());
    assert_eq!(with(&gateway, "customer-17"), Vec::<PathBuf>::new());
    assert_eq!(with(kept.path(), SECRET), Vec::<PathBuf>::new());
    if let Some(found) = read_by_others(kept.path(), &key) {
        // What was appended last is copied by and by, once it is sealed.
        assert!(["239 40", "259 60"].contains(&found.as_str()), "{found}");
    }

    wrong(&mut cloud, &owner, (&stream, &key)).await;
    assert_eq!(exported(&owner, &stream).await, before);
    rotated(&mut cloud, &owner, (&stream, &key)).await;
    assert_eq!(exported(&owner, &stream).await, before);
    assert_eq!(with(&gateway, SECRET), Vec::<PathBuf>::new());

    owner.client.stream_delete(&stream).await.unwrap();
    until(WAIT_S, "the stream and its copies are removed", || async {
        let left = files(&gateway.join("streams")).len() + files(kept.path()).len();
        (left == 0).then_some(())
    })
    .await;
    cloud.close().await;
}

/// Started with another key, the stream says so, and stays as it is.
async fn wrong(cloud: &mut Cloud, owner: &Account, (stream, key): (&Name, &Path)) {
    let right = std::fs::read(key).unwrap();
    let streams = cloud.data(Process::Up).join("gateway/streams");
    let told = stats(owner, stream).await;
    cloud.stop(Process::Up).await;
    let before = files(&streams);
    std::fs::write(key, "ab".repeat(32)).unwrap();
    cloud.start(Process::Up).await;
    cloud.expect("_key.json cannot be opened");
    cloud.ready().await;
    let refused = owner.client.stream_stats(stream, &SelectionQuery::default()).await.unwrap_err();
    assert_eq!(refused.code(), "storage_unavailable", "{refused}");
    let text = refused.to_string();
    assert!(text.contains("was not given; nothing was changed: start the gateway with"), "{text}");
    let event = crate::replays::events().swap_remove(0);
    assert!(owner.client.stream_append(stream, &[event]).await.is_err(), "nothing is taken");
    cloud.stop(Process::Up).await;
    assert_eq!(files(&streams), before);
    std::fs::write(key, right).unwrap();
    cloud.start(Process::Up).await;
    cloud.ready().await;
    assert_eq!(stats(owner, stream).await.events, told.events);
}

/// A fresh key seals the keys of all folders anew; then the old one may go.
async fn rotated(cloud: &mut Cloud, owner: &Account, (stream, key): (&Name, &Path)) {
    let data = cloud.data(Process::Up);
    let before = sealed(&data);
    cloud.stop(Process::Up).await;
    said(&["events-key", "rotate", key.to_str().unwrap()]);
    cloud.start(Process::Up).await;
    cloud.ready().await;
    until(WAIT_S, "all keys are sealed anew", || async {
        let now = sealed(&data);
        (now.len() == before.len() && now.iter().all(|it| !before.contains(it))).then_some(())
    })
    .await;
    cloud.stop(Process::Up).await;
    let text = std::fs::read_to_string(key).unwrap();
    assert_eq!(text.lines().count(), 2);
    std::fs::write(key, text.lines().next().unwrap()).unwrap();
    cloud.start(Process::Up).await;
    cloud.ready().await;
    assert!(stats(owner, stream).await.events > 0);
}

/// A replay under way outlives a start with another key: it waits for its stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_encrypted_events_goes_on_once_their_key_is_there_again() {
    if !has_python() {
        return;
    }
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("events.key");
    said(&["events-key", "new", key.to_str().unwrap()]);
    let mut cloud = Cloud::one_with(PROGRAM, &["--events-key", key.to_str().unwrap()]).await;
    let (owner, _) = strangers(&cloud).await;
    let stream = stream(&owner).await;
    endpoint(&owner).await;
    let (_, run) = under_way(&owner, &stream).await;
    cloud.stop(Process::Up).await;
    let right = std::fs::read(&key).unwrap();
    std::fs::write(&key, "ab".repeat(32)).unwrap();
    cloud.expect("_key.json cannot be opened");
    cloud.start(Process::Up).await;
    cloud.ready().await;
    until(WAIT_S, "the gateway has looked for the stream", || async {
        let refused = owner.client.stream_stats(&stream, &SelectionQuery::default()).await;
        refused.is_err_and(|error| error.code() == "storage_unavailable").then_some(())
    })
    .await;
    let told = owner.client.run_fetch(run.id).await.unwrap();
    assert!(!told.state.ended(), "{told:?}");
    cloud.stop(Process::Up).await;
    std::fs::write(&key, right).unwrap();
    cloud.start(Process::Up).await;
    cloud.ready().await;
    let (_, outcome) = end_of(&owner, run.id).await;
    assert!(outcome.disclosed.iter().any(|it| it.contains("resumed")), "{outcome:?}");
    assert_eq!(outcome.facts.lost, 0, "{outcome:?}");
    cloud.close().await;
}

/// A stream that began before there was a key is read as before, and stays as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_began_without_a_key_stays_as_it_is() {
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("events.key");
    let file = key.to_str().unwrap();
    let settings = keys.path().join("settings.toml");
    std::fs::write(&settings, "").unwrap();
    let mut cloud = Cloud::one_with(PROGRAM, &["--settings", settings.to_str().unwrap()]).await;
    let (owner, _) = strangers(&cloud).await;
    let stream = stream(&owner).await;
    assert_eq!(owner.client.stream_fetch(&stream).await.unwrap().encrypted, Some(false));
    let before = exported(&owner, &stream).await;
    cloud.stop(Process::Up).await;
    said(&["events-key", "new", file]);
    std::fs::write(&settings, format!("events-key = {file:?}\n")).unwrap();
    cloud.start(Process::Up).await;
    cloud.ready().await;
    assert_eq!(exported(&owner, &stream).await, before);
    let rush = api::streams::CreateStream {
        name: crate::world::name("rush"),
        spec: api::streams::StreamSpec::default(),
    };
    owner.client.stream_create(&rush).await.unwrap();
    let events = crate::replays::events();
    owner.client.stream_append(&stream, &events[..9]).await.unwrap();
    until(WAIT_S, "the gateway knows the new one", || async {
        owner.client.stream_append(&rush.name, &events[..9]).await.ok()
    })
    .await;
    for (name, encrypted) in [(&stream, false), (&rush.name, true)] {
        let told = owner.client.stream_fetch(name).await.unwrap();
        assert_eq!(told.encrypted, Some(encrypted), "{name}");
    }
    cloud.close().await;
}
