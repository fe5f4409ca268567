//! Logs: numbered without gaps, followed without misses, kept within their limit.

use std::time::{Duration, Instant};

use store::Store;
use store::logs::{
    LOG_LINES_MAX, LOG_TEXT_BYTES_MAX, Level, NewLine, NumberedLine, log_append, logs_append,
    logs_append_from, logs_delete, logs_list,
};

use crate::harness::House;

both! {
    /// Lines come back in order, numbered from 1.
    lines_are_numbered;
    /// A delivery that is repeated, wholly or partly, adds only what is new.
    a_repeated_delivery_adds_nothing;
    /// Racing writers share one numbering.
    writers_share_a_numbering;
    /// A follower hears of a new line, here and in another control plane.
    followers_hear_of_lines;
    /// Only the newest lines are kept, and numbers go on.
    a_log_has_a_limit;
}

fn line(text: &str) -> NewLine {
    NewLine { at_ms: 5, source: "stdout".to_owned(), level: Level::Info, text: text.to_owned() }
}

fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<NumberedLine> {
    let line = |number: u64| NumberedLine { number, line: line(&format!("line {number}")) };
    numbers.into_iter().map(line).collect()
}

async fn texts(store: &Store, subject: &str) -> Vec<(u64, String)> {
    let lines = read!(store, logs_list(subject, 0, 1_000)).unwrap();
    lines.into_iter().map(|line| (line.seq, line.text)).collect()
}

async fn lines_are_numbered(house: House) {
    for level in Level::ALL {
        let line = NewLine { level: *level, ..line("") };
        write!(house.store, log_append("a", line.clone())).unwrap();
    }
    let long = "ä".repeat(LOG_TEXT_BYTES_MAX);
    let lines = vec![line("nul\0nul"), line(&long)];
    assert_eq!(write!(house.store, logs_append("a", lines.clone())).unwrap(), 5);
    assert_eq!(write!(house.store, logs_append("a", vec![])).unwrap(), 5);
    assert_eq!(write!(house.store, log_append("b", line("other"))).unwrap(), 1);
    let stored = read!(house.store, logs_list("a", 2, 2)).unwrap();
    assert_eq!(stored.iter().map(|line| line.seq).collect::<Vec<_>>(), [3, 4]);
    assert_eq!((stored[0].level, stored[1].text.as_str()), (Level::Error, "nul\u{fffd}nul"));
    assert_eq!(texts(&house.store, "a").await[4].1.len(), LOG_TEXT_BYTES_MAX);
    assert_eq!(write!(house.store, logs_delete("a")).unwrap(), 5);
    assert!(texts(&house.store, "a").await.is_empty());
}

async fn a_repeated_delivery_adds_nothing(house: House) {
    write!(house.store, log_append("a", line("own"))).unwrap();
    for numbers in [vec![1, 2], vec![1, 2], vec![2, 3], vec![], vec![3]] {
        let lines = numbered(numbers);
        write!(house.store, logs_append_from("a", "inst-1", lines.clone())).unwrap();
    }
    let lines = numbered([1]);
    assert_eq!(write!(house.store, logs_append_from("a", "inst-2", lines.clone())).unwrap(), 5);
    let texts = texts(&house.store, "a").await;
    let texts: Vec<(u64, &str)> = texts.iter().map(|(seq, text)| (*seq, text.as_str())).collect();
    assert_eq!(texts, [(1, "own"), (2, "line 1"), (3, "line 2"), (4, "line 3"), (5, "line 1")]);
}

async fn writers_share_a_numbering(house: House) {
    let writer = async |_| {
        for _ in 0..5 {
            write!(house.store, log_append("a", line("x"))).unwrap();
        }
    };
    futures::future::join_all((0..4).map(writer)).await;
    let seqs: Vec<u64> = texts(&house.store, "a").await.into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(seqs, (1..=20).collect::<Vec<_>>());
}

async fn followers_hear_of_lines(house: House) {
    let elsewhere = Store::open(&house.url).await.unwrap();
    let started = Instant::now();
    let append = async {
        tokio::task::yield_now().await;
        write!(house.store, log_append("a", line("x"))).unwrap();
    };
    let (here, there, ()) = tokio::join!(
        house.store.logs_wait("a", 0, 30_000),
        elsewhere.logs_wait("a", 0, 30_000),
        append
    );
    assert_eq!((here.unwrap(), there.unwrap()), (1, 1));
    assert!(started.elapsed() < Duration::from_secs(15));
    assert_eq!(house.store.logs_wait("a", 1, 5).await.unwrap(), 1);
    elsewhere.close().await;
}

async fn a_log_has_a_limit(house: House) {
    let mut last = 0;
    while last < LOG_LINES_MAX + 600 {
        let lines: Vec<NewLine> = (0..700).map(|_| line("x")).collect();
        last = write!(house.store, logs_append("a", lines.clone())).unwrap();
    }
    let kept = read!(house.store, logs_list("a", 0, 20_000)).unwrap();
    assert_eq!(kept.last().unwrap().seq, last);
    let count = kept.len() as u64;
    assert!((LOG_LINES_MAX..LOG_LINES_MAX + 700).contains(&count), "{count}");
    assert_eq!(kept[0].seq, last - count + 1);
}
