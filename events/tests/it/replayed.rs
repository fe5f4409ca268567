//! A run that is killed goes on where it was: nothing is recorded twice, and what is lost is told.
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use events::replay::files;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_bench-replay");
const RATE: u64 = 400;
/// A little longer than it takes until the first records are safe.
const SECONDS: u64 = 6;

fn spawn(words: &[&str]) -> Child {
    Command::new(PROGRAM).args(words).stdout(Stdio::piped()).spawn().unwrap()
}

fn line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// A run of the program against this server; in this folder, or in one of its own.
fn run(address: &str, folder: Option<&Path>, resume: bool) -> Child {
    let (rate, seconds) = (format!("rate={RATE}"), format!("seconds={SECONDS}"));
    let resume = format!("resume={resume}");
    let folder = folder.map(|folder| format!("folder={}", folder.display()));
    let mut words = vec!["run", address, &rate, &seconds, &resume, "spin_ns=0"];
    words.extend(folder.as_deref());
    spawn(&words)
}

#[test]
fn a_killed_run_is_resumed_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("run");
    let mut server = spawn(&["serve", "127.0.0.1:0"]);
    let address = line(&mut server);
    let mut whole = run(&address, None, false);
    let mut killed = run(&address, Some(&records), false);
    while !records.join("records-000000.parquet").exists() {
        assert!(killed.try_wait().unwrap().is_none(), "it ended before anything was safe");
        std::thread::yield_now();
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let before = files::read(&records).unwrap().count() as u64;
    assert!(before > 0 && before < RATE * SECONDS);
    let told = line(&mut run(&address, Some(&records), true));
    let told: Value = serde_json::from_str(&told).unwrap();
    let of = |name: &str| told[name].as_u64().unwrap();
    assert_eq!((of("asked"), of("resumed")), (RATE * SECONDS, 1));
    let numbers: Vec<u64> = files::read(&records).unwrap().map(|it| it.unwrap().number).collect();
    let once: BTreeSet<u64> = numbers.iter().copied().collect();
    assert_eq!(once.len(), numbers.len(), "a send was recorded twice");
    assert!(numbers.len() as u64 > before);
    assert_eq!(numbers.len() as u64 + of("lost"), of("asked"));
    let uninterrupted: Value = serde_json::from_str(&line(&mut whole)).unwrap();
    assert_eq!(told["digest"], uninterrupted["digest"]);
    whole.wait().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
}
