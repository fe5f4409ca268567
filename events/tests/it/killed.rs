//! A writer that is killed at random points loses nothing that it has acknowledged, and keeps nothing
//! twice.
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use events::{Log, Reader};

const WRITER: &str = env!("CARGO_BIN_EXE_events-test-writer");
/// How often it is killed, unless `FREEHOLD_TEST_KILLS` says how often.
const KILLS: u64 = 100;

/// Everything in the log, by its id: how often it is there.
fn found(folder: &std::path::Path) -> BTreeMap<u64, u64> {
    let until = Log::open(folder, u64::MAX, |_| {}).unwrap().next();
    let (mut reader, mut found) = (Reader::new(folder, 1), BTreeMap::new());
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
    let kills = std::env::var("FREEHOLD_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let (mut acknowledged, mut first) = (Vec::new(), 1_u64);
    for round in 0..kills {
        let mut command = Command::new(WRITER);
        command.arg(folder.path()).args([first.to_string(), (1 + round % 8).to_string()]);
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
    let found = found(folder.path());
    let lost: Vec<&u64> = acknowledged.iter().filter(|id| !found.contains_key(id)).collect();
    assert!(lost.is_empty(), "lost {} of {}: {lost:?}", lost.len(), acknowledged.len());
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "more than once: {twice:?}");
    assert!(acknowledged.len() as u64 > kills, "{}", acknowledged.len());
}
