//! Events kept in streams: taken, selected, made, forgotten, and copied to where others read them.

use std::path::{Path, PathBuf};
use std::process::Command;

use api::streams::{
    CreateStream, DriftQuery, EventsQuery, ForgetSubject, ImportQuery, LabelEvents, LabelRule,
    MakeEvents, SelectionQuery, StreamSpec,
};
use serde_json::Value;
use testkit::wait::until;
use testkit::{Account, Cloud, Process};
use types::Name;

use crate::replays::{WAIT_S, events, stream};
use crate::world::{PROGRAM, name, strangers};

/// Events are made like those of a stream, labelled by a rule, and forgotten by their subject.
async fn changed(owner: &Account, stream: &Name, selection: &SelectionQuery) {
    // Others are made like them, once.
    let rush = CreateStream { name: name("rush"), spec: StreamSpec::default() };
    owner.client.stream_create(&rush).await.unwrap();
    let how = MakeEvents {
        from: stream.clone(),
        selection: selection.clone(),
        events: 2_500,
        seed: Some(5),
        start: Some("2026-12-24T00:00:00Z".to_owned()),
        jitter_ppm: 10_000,
        apart: vec!["amount".to_owned()],
    };
    let made = owner.client.stream_make(&rush.name, &how).await.unwrap();
    assert_eq!((made.seed, made.stored, made.known), (5, 2_500, 0));
    let again = owner.client.stream_make(&rush.name, &how).await.unwrap();
    assert_eq!((again.stored, again.known), (0, 2_500));
    let all = SelectionQuery {
        since: Some("2026-12-24".to_owned()),
        filter: Some("region=no,synthetic=true,data.amount>=89,data.amount<=99".to_owned()),
        ..SelectionQuery::default()
    };
    assert_eq!(owner.client.stream_stats(&rush.name, &all).await.unwrap().events, 2_500);
    let none = MakeEvents { selection: all, ..how };
    let refused = owner.client.stream_make(&rush.name, &none).await.unwrap_err();
    assert!(refused.to_string().contains("none to draw from"), "{refused}");
    // A rule labels what it selects, and what is told later counts.
    let rule = LabelRule { selection: selection.clone(), label: "large".to_owned() };
    let labels = LabelEvents { labels: Vec::new(), rule: Some(rule) };
    assert_eq!(owner.client.stream_label(stream, &labels).await.unwrap().labels, 10);
    let large = SelectionQuery { filter: Some("label=large".to_owned()), ..Default::default() };
    assert_eq!(owner.client.stream_stats(stream, &large).await.unwrap().events, 10);
    // One customer is forgotten, and does not come back.
    let whose = |subject: &str| ForgetSubject { subject: subject.to_owned() };
    let forgotten = owner.client.stream_forget(stream, &whose("customer-90")).await.unwrap();
    assert_eq!(forgotten.events, 1);
    assert_eq!(owner.client.stream_stats(stream, selection).await.unwrap().events, 9);
    let again = owner.client.stream_append(stream, &events()[90..91]).await.unwrap();
    assert_eq!((again.stored, again.known), (0, 1));
    let nobody = owner.client.stream_forget(stream, &whose("")).await.unwrap_err();
    assert_eq!(nobody.code(), "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_taken_selected_and_given_out() {
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let stream = stream(&owner).await;
    let selection = SelectionQuery {
        filter: Some("region=no,data.amount>=90".to_owned()),
        ..SelectionQuery::default()
    };
    let stats = owner.client.stream_stats(&stream, &selection).await.unwrap();
    assert_eq!((stats.events, stats.stream_disordered), (10, 0));
    // The first hundred events and the second are alike.
    let first =
        DriftQuery { against_since: Some("2026-11-23".to_owned()), ..DriftQuery::default() };
    let watched = SelectionQuery {
        since: Some("2026-11-23T08:01:40Z".to_owned()),
        filter: Some("data.amount<50".to_owned()),
        ..SelectionQuery::default()
    };
    let same = owner.client.stream_drift(&stream, &watched, &first).await.unwrap();
    assert_eq!((same.reference_events, same.events, same.changed), (50, 50, 0), "{same:?}");
    let names: Vec<&str> = same.fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(names, ["data.amount", "label", "region", "type"]);
    let nothing = DriftQuery::default();
    let refused = owner.client.stream_drift(&stream, &watched, &nothing).await.unwrap_err();
    assert_eq!(refused.code(), "bad_request");
    let query = EventsQuery { format: None, limit: Some(3) };
    let mut pieces = owner.client.stream_events(&stream, &selection, &query).await.unwrap();
    let mut text = Vec::new();
    while let Some(piece) = pieces.next().await.unwrap() {
        text.extend_from_slice(&piece);
    }
    let ids: Vec<String> = String::from_utf8(text)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["e90", "e92", "e94"]);
    let file = "time,amount\n2026-11-23T09:00:00Z,7\nnever,8\n";
    let query = ImportQuery { format: "csv".to_owned(), ..ImportQuery::default() };
    let pieces = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from(file))]);
    let imported = owner.client.stream_import(&stream, &query, pieces).await.unwrap();
    assert_eq!((imported.records, imported.stored, imported.refused), (2, 1, 1));
    assert_eq!(imported.faults[0].record, 3);
    changed(&owner, &stream, &selection).await;
    for (what, change) in [
        ("a time", SelectionQuery { since: Some("never".to_owned()), ..SelectionQuery::default() }),
        ("a filter", SelectionQuery { filter: Some("=".to_owned()), ..SelectionQuery::default() }),
        ("a zone", SelectionQuery { zone: Some("Mars".to_owned()), ..SelectionQuery::default() }),
    ] {
        let refused = owner.client.stream_stats(&stream, &change).await.unwrap_err();
        assert_eq!(refused.code(), "bad_request", "{what}");
    }
    cloud.close().await;
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// What `DuckDB` finds in the copies: days, events, and whether one of a subject is there.
fn read_by_others(folder: &Path, subject: &str) -> Option<String> {
    let Some(python) = std::env::var_os("FREEHOLD_TEST_PYTHON") else {
        eprintln!("SKIPPED in part: no Python with duckdb (FREEHOLD_TEST_PYTHON)");
        return None;
    };
    let program = "import duckdb, sys\n\
        print(*duckdb.execute(\"select count(distinct date), count(*), count(*) filter (subject = ?) \
        from read_parquet(?, hive_partitioning = true)\", [sys.argv[2], sys.argv[1]]).fetchone())";
    let all = format!("{}/streams/*/*/*.parquet", folder.display());
    let ran = Command::new(python).args(["-c", program, &all, subject]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Some(String::from_utf8(ran.stdout).unwrap().trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_is_read_by_others_and_outlives_a_disk() {
    let kept = tempfile::tempdir().unwrap();
    let url = format!("file://{}", kept.path().display());
    let mut cloud = Cloud::one_with(PROGRAM, &["--segments", &url]).await;
    let (owner, _) = strangers(&cloud).await;
    let stream = stream(&owner).await;
    // To forget seals what there is, and is done once the copies have forgotten too.
    let whose = ForgetSubject { subject: "customer-90".to_owned() };
    assert_eq!(owner.client.stream_forget(&stream, &whose).await.unwrap().events, 1);
    if let Some(found) = read_by_others(kept.path(), "customer-90") {
        assert_eq!(found, "1 199 0");
    }
    let all = SelectionQuery::default();
    let before = owner.client.stream_stats(&stream, &all).await.unwrap();

    // What is not sealed is in the log of this disk alone.
    owner.client.stream_append(&stream, &late_events()).await.unwrap();
    cloud.kill(Process::Up);
    std::fs::remove_dir_all(cloud.data(Process::Up).join("gateway/streams")).unwrap();
    cloud.start(Process::Up).await;
    cloud.ready().await;
    let after = owner.client.stream_stats(&stream, &all).await.unwrap();
    assert_eq!(
        (after.events, after.first_ns, after.last_ns),
        (199, before.first_ns, before.last_ns)
    );
    let fraud = SelectionQuery { filter: Some("label=true".to_owned()), ..all };
    assert_eq!(owner.client.stream_stats(&stream, &fraud).await.unwrap().events, 97);
    // They are known again, and others are taken.
    let appended = owner.client.stream_append(&stream, &events()[..50]).await.unwrap();
    assert_eq!((appended.stored, appended.known), (0, 50));
    let appended = owner.client.stream_append(&stream, &late_events()).await.unwrap();
    assert_eq!(appended.stored, 1);

    owner.client.stream_delete(&stream).await.unwrap();
    until(WAIT_S, "the copies are removed", || async {
        files(kept.path()).is_empty().then_some(())
    })
    .await;
    cloud.close().await;
}

/// One event of the day after.
fn late_events() -> Vec<Value> {
    let mut event = events().swap_remove(0);
    event["id"] = "late".into();
    event["time"] = "2026-11-24T08:00:00Z".into();
    vec![event]
}
