//! A program for tests: appends events to the stream in a folder until it is killed, and says which
//! of them were acknowledged, by their numbers, a line for each call.
//!
//! Usage: `events-test-writer FOLDER FIRST CALLERS SEALS`: from this number on, with so many calls at a
//! time; where `SEALS` is 1, all is sealed again and again meanwhile, and events that are about `gone` are
//! removed.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use events::{Event, Settings, Stream};
use workflow::{Clock, Tasks};

/// Events of a call: some alone, some together.
const CALL_EVENTS_MAX: u64 = 7;

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, first, callers, seals] = words.as_slice() else { std::process::exit(64) };
    let (clock, tasks) = (Clock::system(), Tasks::new());
    let stream = Stream::open(Path::new(folder), Settings::default(), clock, &tasks).await;
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
