//! A writer that is killed at random points loses nothing that it has acknowledged, and keeps nothing
//! twice.
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use events::{Folder, Key, Log, Reader, Selected, Selection, Settings, Stream};
use workflow::{Clock, Tasks};

const WRITER: &str = env!("CARGO_BIN_EXE_events-test-writer");
/// How often it is killed, unless `FREEHOLD_TEST_KILLS` says how often.
const KILLS: u64 = 100;

/// Everything in the log, by its id: how often it is there.
fn found(folder: &Folder) -> BTreeMap<u64, u64> {
    let until = Log::open(folder.clone(), u64::MAX, |_| {}).unwrap().next();
    let (mut reader, mut found) = (Reader::new(folder.clone(), 1), BTreeMap::new());
    while reader.next() < until {
        for stored in reader.read(until, 10_000).unwrap() {
            *found.entry(stored.event.id.parse().unwrap()).or_default() += 1;
        }
    }
    found
}

#[test]
fn what_was_acknowledged_is_there_once_whenever_the_writer_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().into();
    let acknowledged = acknowledged(&place, "0");
    check(&acknowledged, &found(&place), |_| true);
}

/// Whatever a frame was torn at, it is told from one that another key wrote.
#[test]
fn what_was_acknowledged_is_there_once_also_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let key = Some(Key::new([7; 32]));
    let place = Folder { path: folder.path().to_path_buf(), key };
    let acknowledged = acknowledged(&place, "0");
    check(&acknowledged, &found(&place), |_| true);
    let other = Folder { key: Some(Key::fresh()), ..place };
    assert!(Log::open(other, 0, |_| {}).is_err());
}

/// Sealed, written anew without those of a subject, and killed at any point of it: the others are there
/// once, for those who read in turn as for those who select.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_is_there_once_whenever_the_sealer_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().into();
    let acknowledged = acknowledged(&place, "1");
    let is_kept = |id: &u64| !id.is_multiple_of(10);
    check(&acknowledged, &found(&place), is_kept);
    let (clock, tasks) = (Clock::system(), Tasks::new());
    let stream = Stream::open(folder.path(), Settings::default(), clock, &tasks).await.unwrap();
    stream.seal().await.unwrap();
    stream.forget("gone").await.unwrap();
    let (mut selected, mut times) = (BTreeMap::new(), Vec::new());
    for event in stream.select(&Selection::default()).unwrap() {
        let Selected { event, sequence, .. } = event.unwrap();
        *selected.entry(event.id.parse().unwrap()).or_default() += 1;
        times.push((event.time_ns, sequence));
    }
    assert!(times.is_sorted());
    check(&acknowledged, &selected, is_kept);
    assert!(selected.keys().all(is_kept));
    assert_eq!(found(&place), selected);
    // No file is left that belongs to nothing.
    let listed = stream.segments().len() + 1;
    assert_eq!(std::fs::read_dir(folder.path().join("segments")).unwrap().count(), listed);
}

/// What is kept of what was acknowledged is there, and nothing twice.
fn check(acknowledged: &[u64], found: &BTreeMap<u64, u64>, is_kept: impl Fn(&u64) -> bool) {
    let kept = acknowledged.iter().filter(|id| is_kept(id));
    let lost: Vec<&u64> = kept.filter(|id| !found.contains_key(id)).collect();
    assert!(lost.is_empty(), "lost {} of {}: {lost:?}", lost.len(), acknowledged.len());
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "more than once: {twice:?}");
}

/// Kills a writer again and again; gives the numbers of the events that it had acknowledged.
fn acknowledged(folder: &Folder, seals: &str) -> Vec<u64> {
    let kills = std::env::var("FREEHOLD_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let (mut acknowledged, mut first) = (Vec::new(), 1_u64);
    for round in 0..kills {
        let mut command = Command::new(WRITER);
        command.arg(&folder.path).args([
            first.to_string(),
            (1 + round % 8).to_string(),
            seals.to_owned(),
            u8::from(folder.key.is_some()).to_string(),
        ]);
        let mut writer = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(writer.stdout.take().unwrap());
        // It writes by now; where in a write it is killed, chance says.
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        std::thread::sleep(Duration::from_micros(round * 7_919 % 9_000));
        writer.kill().unwrap();
        writer.wait().unwrap();
        said.read_to_string(&mut line).unwrap();
        // A line that was cut was not said.
        let whole = line.rfind('\n').map_or("", |end| &line[..end]);
        let ids: Vec<u64> = whole.split_whitespace().map(|id| id.parse().unwrap()).collect();
        assert!(!ids.is_empty(), "round {round}: {line:?}");
        // What was not acknowledged is sent again, as its sender would: kept or not, it is there once.
        first = *ids.iter().min().unwrap();
        while ids.contains(&first) {
            first += 1;
        }
        acknowledged.extend(ids);
    }
    assert!(acknowledged.len() as u64 > kills, "{}", acknowledged.len());
    acknowledged
}
