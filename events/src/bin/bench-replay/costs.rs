//! What measuring costs for each event, without sending any.

use std::hint::black_box;
use std::time::Instant;

use events::replay::{Cells, Outcome, Record};
use policy::evidence::paired::Pairs;
use policy::sketch::Sketch;
use serde_json::json;

const EVENTS: u32 = 1_000_000;

/// Times the sketch, the cells, and the counts by which candidates are judged.
pub(crate) fn costs() {
    let times: Vec<u64> =
        (0..EVENTS).map(|at| 50_000 + chance(u64::from(at)) % 3_000_000).collect();
    let mut sketch = Sketch::default();
    let sketch_ns = each_ns(|at| sketch.add(times[at]));
    let regions: Vec<std::sync::Arc<str>> =
        (0..8).map(|at| format!("region-{at}").into()).collect();
    let (none, mut cells) = (std::sync::Arc::from(""), Cells::default());
    let mut record = Record {
        number: 0,
        sequence: 0,
        copy: 0,
        variant: 0,
        stratum: 0,
        region: std::sync::Arc::clone(&regions[0]),
        group: none,
        happened_ns: None,
        offset_ns: 0,
        intended_ns: 0,
        sent_ns: Some(0),
        first_ns: Some(0),
        done_ns: 0,
        service_us: Some(10),
        took: events::replay::record::Took::default(),
        status: Some(200),
        outcome: Outcome::Ok,
        bytes_out: 100,
        bytes_in: 100,
        answer_crc: None,
        score: None,
        class: None,
        label: None,
        right: None,
    };
    let cells_ns = each_ns(|at| {
        record.region = std::sync::Arc::clone(&regions[at % 8]);
        record.offset_ns = at as u64 * 50_000;
        (record.intended_ns, record.sent_ns) = (record.offset_ns, Some(record.offset_ns + 2_000));
        record.done_ns = record.offset_ns + times[at];
        cells.add(&record);
    });
    let mut pairs = Pairs::default();
    let judge_ns =
        each_ns(|at| pairs.learn(times[at].is_multiple_of(20), times[at].is_multiple_of(15)));
    black_box((&sketch, &cells, &pairs));
    println!("{}", json!({ "sketch_ns": sketch_ns, "cells_ns": cells_ns, "judge_ns": judge_ns }));
}

fn each_ns(mut work: impl FnMut(usize)) -> f64 {
    let begin = Instant::now();
    for at in 0..EVENTS as usize {
        work(at);
    }
    begin.elapsed().as_secs_f64() * 1e9 / f64::from(EVENTS)
}

/// Numbers that look like chance and are the same every time.
fn chance(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
        >> 20
}
