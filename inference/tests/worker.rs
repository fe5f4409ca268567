//! The worker over its socket, with tiny models, on every engine at hand.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests panic, and skip aloud")]

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use inference::{Ended, EngineChoice};
use serde_json::json;
use support::*;
use types::frame::{Frame, Infer};
use types::{Datatype, ErrorKind, Tensor};

/// Two elements of every datatype.
fn sample(datatype: Datatype) -> Bytes {
    match datatype.element_bytes() {
        Some(1) => Bytes::from_static(&[1, 0]),
        Some(bytes) => (0..u8::try_from(bytes * 2).unwrap()).map(|byte| byte % 60).collect(),
        None => Bytes::from_static(b"\x03\0\0\0h\xc3\xa4\0\0\0\0"),
    }
}

#[test]
fn every_datatype_passes_through_unchanged() {
    for engine in engines() {
        for datatype in Datatype::ALL {
            let tract_lacks = [Datatype::Bf16, Datatype::Bytes].contains(&datatype);
            if engine == EngineChoice::Tract && tract_lacks {
                continue;
            }
            let mut worker = Worker::start(&identity(datatype, &[-1]), engine);
            let x = tensor("x", datatype, &[2], sample(datatype));
            let y = worker.infer(vec![x.clone()]).remove(0);
            assert_eq!(y, Tensor { name: "y".to_owned(), ..x }, "{engine:?} {datatype}");
            let empty = tensor("x", datatype, &[0], Bytes::new());
            let y = worker.infer(vec![empty]).remove(0);
            assert_eq!((y.shape, y.data.len()), (vec![0], 0), "{engine:?} {datatype}");
        }
    }
}

#[test]
fn a_model_tells_what_it_takes_and_gives() {
    for engine in engines() {
        let mut worker = Worker::with(&matmul(), engine, |task| task.batch_max = 8);
        let told = worker.describe();
        assert_eq!(told["inputs"], json!([{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]));
        assert_eq!(told["outputs"], json!([{"name": "y", "datatype": "FP32", "shape": [-1, 3]}]));
        assert_eq!((&told["platform"], &told["batch_max"]), (&json!("onnx"), &json!(8)));
        let name = if engine == EngineChoice::Tract { "tract" } else { "onnxruntime" };
        assert_eq!(told["engine"], json!(name));
        assert!(told["engine_version"].as_str().unwrap().contains('.'), "{told}");
    }
}

#[test]
fn wrong_tensors_are_told_what_is_wanted_and_the_next_is_answered() {
    for engine in engines() {
        let mut worker = Worker::start(&matmul(), engine);
        for wrong in [
            vec![],
            vec![tensor("z", Datatype::Fp32, &[1, 2], floats(&[1., 2.]))],
            vec![tensor("x", Datatype::Fp64, &[1, 1], floats(&[1., 2.]))],
            vec![tensor("x", Datatype::Fp32, &[2], floats(&[1., 2.]))],
            vec![tensor("x", Datatype::Fp32, &[9, 2], floats(&[1., 2.]))],
        ] {
            worker.ask(3, wrong);
            let (number, kind, message) = worker.failure();
            assert_eq!((number, kind), (3, ErrorKind::BadRequest));
            assert!(message.contains("FP32"), "{message}");
        }
        let y = worker.infer(vec![tensor("x", Datatype::Fp32, &[1, 2], floats(&[1., 1.]))]);
        assert_eq!(read_floats(&y[0].data), [5., 7., 9.]);
    }
}

#[test]
fn only_the_outputs_asked_for_are_given() {
    let (x, shape) = (info("x", Datatype::Fp32, &[2]), &[2]);
    let nodes = [node("Identity", &["x"], &["a"]), node("Neg", &["x"], &["b"])];
    let outputs = [info("a", Datatype::Fp32, shape), info("b", Datatype::Fp32, shape)];
    let bytes = model(&nodes, &[], &[x], &outputs);
    for engine in engines() {
        let mut worker = Worker::start(&bytes, engine);
        let inputs = vec![tensor("x", Datatype::Fp32, &[2], floats(&[1., 2.]))];
        for (names, told) in [(vec!["b"], vec!["b"]), (vec!["b", "a"], vec!["b", "a"])] {
            let outputs = names.into_iter().map(str::to_owned).collect();
            let infer = Infer { budget_us: 0, inputs: inputs.clone(), outputs };
            worker.send(1, &Frame::Infer(infer));
            let (_, answer) = worker.answer();
            let names: Vec<_> = answer.outputs.iter().map(|tensor| tensor.name.as_str()).collect();
            assert_eq!(names, told);
        }
    }
}

/// Requests of different sizes, sent at once; every answer is right, and most shared a run.
#[test]
fn requests_that_arrive_together_run_together() {
    for engine in engines() {
        let mut worker = Worker::with(&matmul(), engine, |task| {
            task.batch_max = 16;
            task.delay_us = 50_000;
        });
        worker.describe();
        for number in 0..12_u8 {
            let rows = usize::from(number % 3) + 1;
            let x: Vec<f32> = (0..rows * 2).map(|_| f32::from(number)).collect();
            let shape = [rows as u64, 2];
            worker.ask(number.into(), vec![tensor("x", Datatype::Fp32, &shape, floats(&x))]);
        }
        let mut rows_max = 0;
        for _ in 0..12 {
            let (number, answer) = worker.answer();
            let rows = usize::try_from(number % 3).unwrap() + 1;
            let value = f32::from(u8::try_from(number).unwrap());
            let expected: Vec<f32> =
                (0..rows).flat_map(|_| [5. * value, 7. * value, 9. * value]).collect();
            assert_eq!(read_floats(&answer.outputs[0].data), expected, "{engine:?}");
            assert_eq!(answer.outputs[0].shape, [rows as u64, 3]);
            rows_max = rows_max.max(answer.batch_rows);
        }
        assert!((2..=16).contains(&rows_max), "{engine:?} {rows_max}");
    }
}

/// Of a model whose rows cost more together, few run together after a while.
#[test]
fn rows_that_cost_more_together_run_apart() {
    const ROWS: u32 = 32;
    for engine in engines() {
        let mut worker = Worker::with(&crowded(), engine, |task| task.batch_max = ROWS);
        worker.describe();
        let mut round = || {
            for number in 0..ROWS.into() {
                worker.ask(number, vec![tensor("x", Datatype::Fp32, &[1, 2], floats(&[1., 2.]))]);
            }
            (0..ROWS).map(|_| worker.answer().1.batch_rows).max().unwrap()
        };
        assert!((0..10).any(|_| round() > ROWS / 2), "{engine:?}: too few ran together");
        assert!((0..500).any(|_| round() <= ROWS / 4), "{engine:?}: too many ran together");
    }
}

/// A model whose answer does not have a row for each row it was given.
#[test]
fn a_model_that_mixes_rows_is_never_given_others() {
    let axes = constant("axes", Datatype::Int64, &[1], &[0; 8]);
    let (x, y) = (info("x", Datatype::Fp32, &[-1, 1]), info("y", Datatype::Fp32, &[-1, 1]));
    let bytes = model(&[node("ReduceSum", &["x", "axes"], &["y"])], &[axes], &[x], &[y]);
    for engine in engines() {
        let mut worker = Worker::with(&bytes, engine, |task| {
            task.batch_max = 8;
            task.delay_us = 50_000;
        });
        worker.describe();
        for round in 0..2 {
            for number in 0..4_u8 {
                let x = floats(&[f32::from(number), 1.]);
                worker.ask(number.into(), vec![tensor("x", Datatype::Fp32, &[2, 1], x)]);
            }
            for _ in 0..4 {
                let (number, answer) = worker.answer();
                let sum = f32::from(u8::try_from(number).unwrap()) + 1.;
                assert_eq!(read_floats(&answer.outputs[0].data), [sum], "{engine:?} {round}");
            }
        }
    }
}

#[test]
fn a_deadline_stops_the_run_and_frees_the_engine() {
    if library().is_none() {
        return;
    }
    let mut worker = Worker::start(&slow(), EngineChoice::Onnxruntime);
    worker.describe();
    let began = Instant::now();
    worker.ask_within(1, 100_000, vec![slow_input()]);
    let (number, kind, message) = worker.failure();
    assert_eq!((number, kind), (1, ErrorKind::Timeout));
    assert!(message.contains("100 ms") && ms_since(began) < 1_500, "{message}");
    // The run was stopped: the engine answers for the next within less than a whole run.
    let began = Instant::now();
    worker.ask_within(2, 1, vec![slow_input()]);
    assert_eq!(worker.failure().1, ErrorKind::Timeout);
    worker.ask_within(3, 200_000, vec![slow_input()]);
    assert_eq!(worker.failure().0, 3);
    assert!(ms_since(began) < 1_500, "{}", ms_since(began));
}

#[test]
fn a_cancelled_run_ends_without_an_answer() {
    if library().is_none() {
        return;
    }
    let mut worker = Worker::start(&slow(), EngineChoice::Onnxruntime);
    worker.describe();
    worker.ask(1, vec![slow_input()]);
    worker.ask(2, vec![slow_input()]);
    std::thread::sleep(Duration::from_millis(100));
    worker.send(2, &Frame::Cancel);
    worker.send(1, &Frame::Cancel);
    // Both are gone: the next one's time is its own.
    let began = Instant::now();
    worker.ask_within(3, 300_000, vec![slow_input()]);
    assert_eq!(worker.failure().0, 3);
    assert!(ms_since(began) < 1_500);
}

/// The other thread takes the lead in every longer run, whichever thread runs it.
#[test]
fn a_long_run_keeps_nobody_from_being_heard() {
    for engine in engines() {
        let mut worker = Worker::start(&slow(), engine);
        worker.describe();
        for round in 0..4 {
            worker.ask_within(2 * round, 150_000, vec![slow_input()]);
            worker.send(2 * round + 1, &Frame::Describe);
            let (number, frame) = worker.receive().unwrap();
            assert_eq!(number, 2 * round + 1, "{engine:?} {frame:?}");
            assert_eq!(worker.failure().0, 2 * round);
            if engine == EngineChoice::Tract {
                // It cannot be stopped, and ends the worker in the end.
                break;
            }
        }
    }
}

#[test]
fn who_looks_for_requests_answers_as_who_sleeps() {
    for engine in engines() {
        let model = identity(Datatype::Fp32, &[1, 16]);
        let mut worker = Worker::with(&model, engine, |task| task.poll_us = 200);
        for round in 0..300_u16 {
            let x = tensor("x", Datatype::Fp32, &[1, 16], floats(&[f32::from(round); 16]));
            assert_eq!(worker.infer(vec![x.clone()])[0].data, x.data);
            if round.is_multiple_of(100) {
                // A pause that is longer than any look.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

#[test]
fn a_caller_that_goes_away_cancels_what_it_asked() {
    if library().is_none() {
        return;
    }
    let mut worker = Worker::with(&slow(), EngineChoice::Onnxruntime, |task| task.stuck_ms = 2_000);
    worker.describe();
    let mut other = worker.connect();
    let mut out = bytes::BytesMut::new();
    let infer = Infer { budget_us: 0, inputs: vec![slow_input()], outputs: Vec::new() };
    types::frame::encode(1, &Frame::Infer(infer), &mut out).unwrap();
    std::io::Write::write_all(&mut other, &out).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    drop(other);
    assert_eq!(worker.ended(Duration::from_secs(3)), None, "the run was not stopped");
    worker.describe();
}

#[test]
fn what_cannot_be_stopped_is_answered_in_time_and_ends_the_worker() {
    let mut worker = Worker::with(&slow(), EngineChoice::Tract, |task| task.stuck_ms = 200);
    worker.describe();
    let began = Instant::now();
    worker.ask_within(1, 100_000, vec![slow_input()]);
    assert_eq!(worker.failure().1, ErrorKind::Timeout);
    assert!(ms_since(began) < 1_500);
    assert_eq!(worker.ended(Duration::from_secs(20)), Some(Ok(Ended::Stuck)));
}

#[test]
fn too_many_waiting_rows_are_refused_as_busy() {
    let mut worker = Worker::with(&slow(), EngineChoice::Tract, |task| task.queue_rows = 2);
    worker.describe();
    for number in 0..5 {
        worker.ask_within(number, 2_000_000, vec![slow_input()]);
    }
    let (number, kind, message) = worker.failure();
    assert!(number >= 2 && kind == ErrorKind::Busy, "{message}");
    assert!(message.contains("try again later"), "{message}");
}

#[test]
fn bytes_that_are_no_frame_end_the_connection_only() {
    let mut worker = Worker::start(&matmul(), EngineChoice::Tract);
    worker.describe();
    worker.send_raw(&[0xff; 64]);
    assert_eq!(worker.failure().1, ErrorKind::BadRequest);
    assert_eq!(worker.receive(), None);
    let mut out = bytes::BytesMut::new();
    types::frame::encode(1, &Frame::Describe, &mut out).unwrap();
    let mut other = worker.connect();
    std::io::Write::write_all(&mut other, &out).unwrap();
    assert!(std::io::Read::read(&mut other, &mut [0; 16]).unwrap() > 0);
}

#[test]
fn a_model_that_no_engine_takes_says_what_each_said() {
    let worker = Worker::start(b"no model at all", EngineChoice::Auto);
    let fault = worker.ended(Duration::from_secs(10)).unwrap().unwrap_err();
    assert!(
        fault.message.contains("onnxruntime: ") && fault.message.contains("tract: "),
        "{fault}"
    );
    let worker = Worker::with(&matmul(), EngineChoice::Tract, |task| {
        task.entry = "../../../etc/passwd".into();
    });
    let fault = worker.ended(Duration::from_secs(10)).unwrap().unwrap_err();
    assert!(fault.message.contains("leads out of the package"), "{fault}");
}

#[test]
fn a_single_request_costs_little() {
    for engine in engines() {
        let mut worker = Worker::start(&identity(Datatype::Fp32, &[1, 16]), engine);
        let x = tensor("x", Datatype::Fp32, &[1, 16], floats(&[1.; 16]));
        let mut times: Vec<u128> = (0..2_000)
            .map(|_| {
                let began = Instant::now();
                worker.infer(vec![x.clone()]);
                began.elapsed().as_micros()
            })
            .collect();
        times.sort_unstable();
        eprintln!("{engine:?}: p50 {} us, p99 {} us (debug build)", times[1_000], times[1_980]);
        assert!(times[1_000] < 3_000);
    }
}
