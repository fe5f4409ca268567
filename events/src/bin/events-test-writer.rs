//! A program for tests: appends events to the stream in a folder until it is killed, and says which
//! of them were acknowledged, by their numbers, a line for each call.
//!
//! Usage: `events-test-writer FOLDER FIRST CALLERS SEALS ENCRYPTED`: from this number on, with so many
//! calls at a time; where `SEALS` is 1, all is sealed again and again meanwhile, and events that are about
//! `gone` are removed; where `ENCRYPTED` is 1, by a key of 32 times the byte 7.
//!
//! Usage: `events-test-writer FOLDER`: fills the disk below it, asks for more, makes room and goes on;
//! panics where something is lost or kept twice, and says how many events were kept.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use events::{Error, Event, Folder, Key, Label, Selection, Settings, Stream};
use workflow::{Clock, Tasks};

/// Events of a call: some alone, some together.
const CALL_EVENTS_MAX: u64 = 7;

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [folder] = words.as_slice() {
        return fill(Path::new(folder)).await;
    }
    let [folder, first, callers, seals, encrypted] = words.as_slice() else {
        std::process::exit(64)
    };
    let (clock, tasks) = (Clock::system(), Tasks::new());
    let key = (encrypted == "1").then(|| Key::new([7; 32]));
    let folder = Folder { path: folder.into(), key };
    let stream = Stream::open(folder, Settings::default(), clock, &tasks).await;
    let stream = stream.expect("the stream opens");
    let next = Arc::new(AtomicU64::new(first.parse().expect("a number")));
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..callers.parse().expect("a number") {
        let (stream, next) = (stream.clone(), Arc::clone(&next));
        all.spawn(async move {
            loop {
                let count = 1 + next.load(Ordering::Relaxed) % CALL_EVENTS_MAX;
                let first = next.fetch_add(count, Ordering::Relaxed);
                let events = (first..first + count).map(event).collect();
                stream.append(events).await.expect("the events are kept");
                // In one piece: it may be the last.
                let told: Vec<String> = (first..first + count).map(|id| id.to_string()).collect();
                let _ = writeln!(std::io::stdout().lock(), "{}", told.join(" "));
            }
        });
    }
    if seals == "1" {
        all.spawn(async move {
            loop {
                stream.seal().await.expect("what was committed is sealed");
                stream.forget("gone").await.expect("they are removed");
            }
        });
    }
    all.join_all().await;
}

fn event(id: u64) -> Event {
    let data = vec![b'x'; usize::try_from(id % 300).unwrap_or(0)];
    Event {
        time_ns: id,
        id: id.to_string(),
        source: "/killed".to_owned(),
        kind: "test".to_owned(),
        subject: if id.is_multiple_of(10) { "gone" } else { "kept" }.to_owned(),
        data: data.into(),
        ..Event::default()
    }
}

/// Events of a call that fills a disk.
const FILLING: u64 = 500;
/// Calls that fill a disk at most: this is for a small one.
const FILLING_MAX: u64 = 1_000;
/// Bytes of a file that is removed to make room.
const BALLAST_BYTES: usize = 4 << 20;

/// Labels that take more room than a disk has left that is full.
fn labels() -> Vec<Label> {
    let told =
        |id: u64| Label { id: id.to_string(), label: "told".to_owned(), source: String::new() };
    (0..5_000).map(told).collect()
}

async fn fill(disk: &Path) {
    let (clock, tasks) = (Clock::system(), Tasks::new());
    let (folder, ballast) = (disk.join("stream"), disk.join("ballast"));
    std::fs::write(&ballast, vec![0; BALLAST_BYTES]).expect("there is room for it");
    let open = || Stream::open(&folder, Settings::default(), clock.clone(), &tasks);
    let stream = open().await.expect("the stream opens");
    let batch = |call: u64| (call * FILLING..(call + 1) * FILLING).map(event).collect::<Vec<_>>();
    let mut call = 0;
    let refused = loop {
        assert!(call < FILLING_MAX, "the disk is not full after {call} calls");
        match stream.append(batch(call)).await {
            Ok(_) => call += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::NotKept { .. }), "{refused:?}");
    // What is there is read, what is not is refused, and sealing waits.
    holds(&stream, call * FILLING);
    stream.append(batch(call)).await.expect_err("the disk is full");
    stream.seal().await.expect_err("the disk is full");
    stream.label(labels()).await.expect_err("the disk is full");
    holds(&stream, call * FILLING);
    std::fs::remove_file(&ballast).expect("it is removed");
    // The same call again, as its sender would.
    let appended = stream.append(batch(call)).await.expect("there is room again");
    assert_eq!((appended.stored, appended.known), (FILLING, 0));
    call += 1;
    stream.label(labels()).await.expect("there is room again");
    stream.seal().await.expect("there is room again");
    holds(&stream, call * FILLING);
    drop(stream);
    let stream = open().await.expect("the stream opens again");
    holds(&stream, call * FILLING);
    let first = stream.head(1).expect("there are some").pop().expect("there is one");
    assert_eq!(first.label.as_deref(), Some("told"));
    let _ = writeln!(std::io::stdout(), "{}", call * FILLING);
}

/// Panics unless the stream has the events with the numbers below this one, each once.
fn holds(stream: &Stream, until: u64) {
    let mut ids: Vec<u64> = stream
        .select(&Selection::default())
        .expect("they can be read")
        .map(|selected| selected.expect("each can be read").event.id.parse().expect("a number"))
        .collect();
    ids.sort_unstable();
    assert!(ids.iter().copied().eq(0..until), "{} events of {until}", ids.len());
}
