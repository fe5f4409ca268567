//! A program for measuring: how fast a stream takes events, seals them, and gives them back.
//!
//! Usage: `bench-events FOLDER EVENTS`: an empty folder, and how many events.

use std::path::Path;

use events::{Event, Selection, Settings, Stream};
use workflow::{Clock, Tasks};

/// Events of a call.
const CALL_EVENTS: u64 = 2_000;
/// Events of a second of event time.
const PER_SECOND: u64 = 100;

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count] = words.as_slice() else { std::process::exit(64) };
    let count: u64 = count.parse().expect("a number");
    let (clock, tasks) = (Clock::system(), Tasks::new());
    let stream = Stream::open(Path::new(folder), Settings::default(), clock.clone(), &tasks).await;
    let stream = stream.expect("the stream opens");
    let begun_us = clock.now_us();
    let told = |what: &str, count: u64, begun_us: u64| {
        let us = clock.now_us() - begun_us;
        let per_s = count * 1_000_000 / us.max(1);
        let line =
            format!("{{\"what\":\"{what}\",\"events\":{count},\"us\":{us},\"per_s\":{per_s}}}\n");
        let _ = std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes());
    };
    for first in (0..count).step_by(CALL_EVENTS.try_into().expect("it is small")) {
        let events = (first..(first + CALL_EVENTS).min(count)).map(event).collect();
        stream.append(events).await.expect("the events are kept");
    }
    told("append", count, begun_us);
    let begun_us = clock.now_us();
    let sealed = stream.seal().await.expect("they are sealed");
    told("seal", sealed.events, begun_us);
    let selections = [
        ("select all", Selection::default()),
        (
            "select where",
            Selection { filter: "status=500".parse().expect("it is one"), ..Selection::default() },
        ),
        (
            "select data",
            Selection {
                filter: "data.amount>990".parse().expect("it is one"),
                ..Selection::default()
            },
        ),
    ];
    for (what, selection) in selections {
        let begun_us = clock.now_us();
        let selecting = stream.select(&selection).expect("they are selected");
        let bytes: usize = selecting.map(|it| it.expect("it is read").event.data.len()).sum();
        std::hint::black_box(bytes);
        told(what, count, begun_us);
    }
    let begun_us = clock.now_us();
    let (stats, _) = stream.stats(&Selection::default()).expect("they are counted");
    told("stats", stats.events, begun_us);
    let until_ns = Some(3_600_000_000_000);
    let begun_us = clock.now_us();
    let hour = stream.select(&Selection { until_ns, ..Selection::default() }).expect("selected");
    told("select an hour", hour.count() as u64, begun_us);
    let bytes: u64 = stream.segments().iter().map(|it| it.bytes).sum();
    let line = format!("{{\"segments\":{},\"bytes\":{bytes}}}\n", stream.segments().len());
    let _ = std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes());
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
        time_ns: id * (1_000_000_000 / PER_SECOND),
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
