//! A closed-loop load generator for the Open Inference Protocol: every client sends its next
//! request when the answer to the last one is there.
//!
//! Usage: `bench-load rest|grpc|put ADDRESS KEY=VALUE...`; the keys are the fields of [`Plan`]. `put`
//! sends a file to `/v1/objects/stream` once. The result is one JSON object on one line.
//!
//! Always true: one thread, one connection per client, `TCP_NODELAY`; every answer is checked for
//! success, and one that is none ends the run; only requests begun after the warm-up are counted.
#![expect(clippy::print_stdout, reason = "a program for benchmarks")]

mod grpc;
mod put;
mod rest;

use std::error::Error;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::try_join_all;
use serde_json::{Value, json};

type Failed = Box<dyn Error>;

/// What to send, where, and for how long.
#[derive(Debug)]
struct Plan {
    address: SocketAddr,
    /// The endpoint that is asked.
    model: String,
    /// In place of an endpoint, of REST only: where a function, or anything, is sent a small event.
    path: String,
    token: Option<String>,
    clients: usize,
    seconds: f64,
    warm_up: f64,
    /// `NAME:DATATYPE:SIZE,SIZE...`
    tensor: Tensor,
    /// `form=json` sends data as JSON in place of binary; of REST only.
    json: bool,
    /// The file that `put` sends.
    file: String,
}

/// The input that every request carries.
#[derive(Debug, Default)]
struct Tensor {
    name: String,
    datatype: String,
    shape: Vec<u64>,
    data: Bytes,
    /// The same data as JSON.
    values: Vec<Value>,
}

fn main() -> Result<(), Failed> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [mode, address, pairs @ ..] = words.as_slice() else {
        return Err("usage: bench-load rest|grpc|put ADDRESS KEY=VALUE...".into());
    };
    let plan = Plan::read(address, pairs)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match mode.as_str() {
            "rest" => measure(&plan, async |window| rest::client(&plan, window).await).await,
            "grpc" => measure(&plan, async |window| grpc::client(&plan, window).await).await,
            "put" => put::send(&plan).await,
            _ => Err(format!("{mode:?} is neither rest nor grpc nor put").into()),
        }
    })?;
    println!("{result}");
    Ok(())
}

/// When requests are counted.
#[derive(Clone, Copy, Debug)]
struct Window {
    begin: Instant,
    end: Instant,
}

impl Window {
    /// Asks again and again; the times of the requests that count, in nanoseconds.
    async fn fill(
        self,
        mut ask: impl AsyncFnMut() -> Result<(), Failed>,
    ) -> Result<Vec<u64>, Failed> {
        let mut times = Vec::with_capacity(1 << 16);
        loop {
            let start = Instant::now();
            if start >= self.end {
                return Ok(times);
            }
            ask().await?;
            if start >= self.begin {
                times.push(u64::try_from(start.elapsed().as_nanos())?);
            }
        }
    }
}

/// Runs all clients and sums up.
async fn measure(
    plan: &Plan,
    client: impl AsyncFn(Window) -> Result<Vec<u64>, Failed>,
) -> Result<Value, Failed> {
    let begin = Instant::now() + Duration::from_secs_f64(plan.warm_up);
    let window = Window { begin, end: begin + Duration::from_secs_f64(plan.seconds) };
    let clients = (0..plan.clients).map(|_| client(window));
    let mut times = try_join_all(clients).await?.concat();
    times.sort_unstable();
    if times.is_empty() {
        return Err("no request was answered in time".into());
    }
    let at = |share: usize| us(times[(times.len() * share / 1_000).min(times.len() - 1)]);
    let count = u32::try_from(times.len())?;
    Ok(json!({
        "requests": count,
        "per_second": f64::from(count) / plan.seconds,
        "p50_us": at(500), "p90_us": at(900), "p99_us": at(990), "max_us": at(1_000),
    }))
}

fn us(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64() * 1e6
}

impl Plan {
    fn read(address: &str, pairs: &[String]) -> Result<Self, Failed> {
        let mut plan = Self {
            address: address.parse()?,
            model: "noop".to_owned(),
            path: String::new(),
            token: None,
            clients: 1,
            seconds: 3.0,
            warm_up: 0.5,
            tensor: Tensor::default(),
            json: false,
            file: String::new(),
        };
        for pair in pairs {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?}: no value"))?;
            match key {
                "model" => value.clone_into(&mut plan.model),
                "path" => value.clone_into(&mut plan.path),
                "token" => plan.token = Some(value.to_owned()),
                "clients" => plan.clients = value.parse()?,
                "seconds" => plan.seconds = value.parse()?,
                "warm_up" => plan.warm_up = value.parse()?,
                "tensor" => plan.tensor = value.parse()?,
                "form" => plan.json = value == "json",
                "file" => value.clone_into(&mut plan.file),
                _ => return Err(format!("{key:?} is no key").into()),
            }
        }
        Ok(plan)
    }
}

impl FromStr for Tensor {
    type Err = Failed;

    /// The elements are small numbers that look like noise and are the same every time.
    fn from_str(text: &str) -> Result<Self, Failed> {
        let mut parts = text.split(':');
        let mut part = || parts.next().ok_or_else(|| format!("{text:?}: NAME:DATATYPE:SIZES"));
        let (name, datatype, sizes) = (part()?.to_owned(), part()?.to_owned(), part()?);
        let shape: Vec<u64> = sizes.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 24
        };
        let (mut data, mut values) = (Vec::new(), Vec::new());
        for _ in 0..shape.iter().product() {
            let number = next();
            match datatype.as_str() {
                "FP32" => {
                    #[expect(clippy::cast_precision_loss, reason = "at most 255")]
                    let number = number as f32 / 256.0;
                    data.extend(number.to_le_bytes());
                    values.push(json!(number));
                }
                "INT32" => {
                    data.extend(number.to_le_bytes());
                    values.push(json!(number));
                }
                _ => return Err(format!("{datatype}: FP32 or INT32").into()),
            }
        }
        Ok(Self { name, datatype, shape, data: data.into(), values })
    }
}
