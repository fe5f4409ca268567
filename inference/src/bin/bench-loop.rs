//! The same engine as the worker's, with the same settings, in a bare loop: what serving is
//! measured beside.
//!
//! Usage: `bench-loop MODEL LIBRARY DATATYPE:SIZE,SIZE... ROWS SECONDS`; the sizes are those of one
//! sample, and every run takes `ROWS` of them. The result is one JSON object on one line.
#![expect(clippy::print_stdout, reason = "a program for benchmarks")]

use std::error::Error;
use std::time::{Duration, Instant};

use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

type Failed = Box<dyn Error>;

/// Before anything is counted.
const WARM_UP: Duration = Duration::from_millis(500);

fn main() -> Result<(), Failed> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [model, library, tensor, rows, seconds] = words.as_slice() else {
        return Err("usage: bench-loop MODEL LIBRARY DATATYPE:SIZES ROWS SECONDS".into());
    };
    let (rows, seconds): (u32, f64) = (rows.parse()?, seconds.parse()?);
    let (datatype, sizes) = tensor.split_once(':').ok_or("the tensor is DATATYPE:SIZES")?;
    let mut shape = vec![i64::from(rows)];
    for size in sizes.split(',') {
        shape.push(size.parse()?);
    }
    let environment = ort::init_from(library)?.with_telemetry(false).build().map_err(told)?;
    let mut session = session(&environment, model).map_err(told)?;
    let samples = match datatype {
        "FP32" => {
            #[expect(clippy::cast_precision_loss, reason = "at most 255")]
            let data: Vec<f32> =
                noise(shape.iter().product()).map(|number| number as f32 / 256.0).collect();
            repeat(&mut session, rows, seconds, || {
                Ok(TensorRef::from_array_view((shape.clone(), data.as_slice()))
                    .map_err(told)?
                    .into())
            })?
        }
        "INT32" => {
            let data: Vec<i32> = noise(shape.iter().product()).map(u32::cast_signed).collect();
            repeat(&mut session, rows, seconds, || {
                Ok(TensorRef::from_array_view((shape.clone(), data.as_slice()))
                    .map_err(told)?
                    .into())
            })?
        }
        _ => return Err(format!("{datatype}: FP32 or INT32").into()),
    };
    println!("{}", serde_json::json!({ "per_second": samples, "rows": rows }));
    Ok(())
}

/// As the worker makes it for one processor.
fn session(environment: &ort::environment::Environment, model: &str) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .commit_from_file(model)
}

/// Runs the model again and again; samples in a second.
fn repeat<'data>(
    session: &mut Session,
    rows: u32,
    seconds: f64,
    input: impl Fn() -> Result<SessionInputValue<'data>, Failed>,
) -> Result<f64, Failed> {
    let warm = Instant::now() + WARM_UP;
    while Instant::now() < warm {
        session.run([input()?].as_slice()).map_err(told)?;
    }
    let (begin, mut runs) = (Instant::now(), 0_u32);
    while begin.elapsed().as_secs_f64() < seconds {
        session.run([input()?].as_slice()).map_err(told)?;
        runs += 1;
    }
    Ok(f64::from(runs) * f64::from(rows) / begin.elapsed().as_secs_f64())
}

/// Numbers below 256 that look like noise and are the same every time.
fn noise(count: i64) -> impl Iterator<Item = u32> {
    let mut state = 1_u32;
    (0..count).map(move |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 24
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of `map_err`")]
fn told(error: ort::Error) -> Failed {
    error.message().to_owned().into()
}
