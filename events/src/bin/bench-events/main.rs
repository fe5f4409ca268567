//! A program for measuring: how fast a stream takes events, seals them, and gives them back; and how
//! fast another server takes the same bytes.
//!
//! Usage: `bench-events all FOLDER EVENTS`: an empty folder, and how many events. `bench-events single
//! FOLDER EVENTS CALLERS`: one event a call, of so many callers at a time. Either with `encrypted` behind
//! it, by a fresh key. `bench-events nats ADDRESS EVENTS AHEAD`: to a stream of a NATS server with `JetStream`, so many of them unacknowledged at a time.

mod nats;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use events::{Event, Folder, Key, Selection, Settings, Stream};
use workflow::{Clock, Tasks};

/// Events of a call.
const CALL_EVENTS: u64 = 2_000;
/// Events are spread over so many days of event time.
const DAYS: u64 = 30;
/// An hour, in nanoseconds.
const HOUR_NS: u64 = 3_600_000_000_000;

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let clock = Clock::system();
    let (words, key) = match words.split_last() {
        Some((&"encrypted", words)) => (words, Some(Key::fresh())),
        _ => (words.as_slice(), None),
    };
    let place = |folder: &str| Folder { path: folder.into(), key: key.clone() };
    match words {
        ["all", folder, count] => all(place(folder), number(count), &clock).await,
        ["single", folder, count, callers] => {
            single(place(folder), (number(count), number(callers)), &clock).await;
        }
        ["nats", address, count, ahead] => {
            let (count, ahead) = (number(count), number(ahead));
            let (us, late) = nats::publish(address, (count, ahead), &event(0).data, &clock);
            tell(&format!("published {ahead} ahead"), (count, us), Some(late));
        }
        _ => std::process::exit(64),
    }
}

/// Writes a line of what was measured; with how long calls took, where that was.
fn tell(what: &str, (count, us): (u64, u64), late: Option<Vec<u64>>) {
    let per_s = count * 1_000_000 / us.max(1);
    let mut line =
        format!("{{\"what\":\"{what}\",\"events\":{count},\"us\":{us},\"per_s\":{per_s}");
    if let Some(mut late) = late.filter(|late| !late.is_empty()) {
        late.sort_unstable();
        let of = |part: usize| late[(late.len() * part / 1_000).min(late.len() - 1)];
        line += &format!(",\"p50_us\":{},\"p99_us\":{}", of(500), of(990));
    }
    let _ = std::io::Write::write_all(&mut std::io::stdout(), (line + "}\n").as_bytes());
}

async fn opened(folder: Folder, clock: &Clock, tasks: &Tasks) -> Stream {
    let opened = Stream::open(folder, Settings::default(), clock.clone(), tasks).await;
    opened.expect("the stream opens")
}

/// In large calls, and back.
async fn all(folder: Folder, count: u64, clock: &Clock) {
    let tasks = Tasks::new();
    let stream = opened(folder, clock, &tasks).await;
    let gap_ns = DAYS * 24 * HOUR_NS / count.max(1);
    let timed = |id: u64| Event { time_ns: id * gap_ns, ..event(id) };
    let since = |begun_us: u64| clock.now_us() - begun_us;
    let (mut us, mut late) = (0, Vec::new());
    for first in (0..count).step_by(CALL_EVENTS.try_into().expect("it is small")) {
        let events = (first..(first + CALL_EVENTS).min(count)).map(timed).collect();
        // To make them is not measured.
        let begun_us = clock.now_us();
        stream.append(events).await.expect("the events are kept");
        late.push(since(begun_us));
        us += since(begun_us);
    }
    tell("append", (count, us), Some(late));
    let begun_us = clock.now_us();
    stream.seal().await.expect("they are sealed");
    tell("seal", (count, since(begun_us)), None);
    let filter = |text: &str| Selection {
        filter: text.parse().expect("it is a filter"),
        ..Selection::default()
    };
    let selections = [
        ("select all", Selection::default()),
        ("select where", filter("status=500")),
        ("select data", filter("data.amount>990")),
    ];
    for (what, selection) in selections {
        let begun_us = clock.now_us();
        let selecting = stream.select(&selection).expect("they are selected");
        let bytes: usize = selecting.map(|it| it.expect("it is read").event.data.len()).sum();
        std::hint::black_box(bytes);
        tell(what, (count, since(begun_us)), None);
    }
    let begun_us = clock.now_us();
    let (stats, _) = stream.stats(&Selection::default()).expect("they are counted");
    tell("stats", (stats.events, since(begun_us)), None);
    let noon = DAYS / 2 * 24 * HOUR_NS;
    let hour =
        Selection { since_ns: Some(noon), until_ns: Some(noon + HOUR_NS), ..Selection::default() };
    let begun_us = clock.now_us();
    let mut hour = stream.select(&hour).expect("selected");
    let found = hour.by_ref().count() as u64;
    tell("select an hour", (found, since(begun_us)), None);
    let found = hour.found();
    let bytes: u64 = stream.segments().iter().map(|it| it.bytes).sum();
    let line = format!(
        "{{\"segments\":{},\"bytes\":{bytes},\"read\":{},\"pruned\":{}}}\n",
        stream.segments().len(),
        found.segments_read,
        found.segments_pruned
    );
    let _ = std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes());
}

/// One event a call.
async fn single(folder: Folder, (count, callers): (u64, u64), clock: &Clock) {
    let tasks = Tasks::new();
    let stream = opened(folder, clock, &tasks).await;
    let next = Arc::new(AtomicU64::new(0));
    let mut all = tokio::task::JoinSet::new();
    let begun_us = clock.now_us();
    for _ in 0..callers {
        let (stream, next, clock) = (stream.clone(), Arc::clone(&next), clock.clone());
        all.spawn(async move {
            let mut late = Vec::new();
            loop {
                let id = next.fetch_add(1, Ordering::Relaxed);
                if id >= count {
                    return late;
                }
                let begun_us = clock.now_us();
                stream.append(vec![event(id)]).await.expect("the event is kept");
                late.push(clock.now_us() - begun_us);
            }
        });
    }
    let late = all.join_all().await.concat();
    tell(&format!("append of {callers} callers"), (count, clock.now_us() - begun_us), Some(late));
}

/// An event like a payment: some attributes, and some 150 bytes of JSON.
fn event(id: u64) -> Event {
    let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let status = if mixed.is_multiple_of(97) { "500" } else { "200" };
    let data = format!(
        "{{\"amount\":{},\"currency\":\"EUR\",\"card\":\"{mixed:016x}\",\"merchant\":{},\"device\":\"a-{}\",\
         \"features\":[{},{},0.25,0.5,1.75]}}",
        mixed % 1_000,
        mixed % 5_000,
        mixed % 91,
        mixed % 13,
        mixed % 7
    );
    Event {
        time_ns: id * 1_000_000,
        id: format!("{mixed:016x}-{id}"),
        source: "/shop/payments".to_owned(),
        kind: "payment".to_owned(),
        subject: format!("user-{}", mixed % 50_000),
        region: ["eu", "us", "asia"][usize::try_from(mixed % 3).unwrap_or(0)].to_owned(),
        group: format!("group-{}", mixed % 8),
        attributes: [pair("status", status), pair("method", "POST")].into(),
        content_type: "application/json".to_owned(),
        data: data.into(),
    }
}
