//! What the protocol costs: a model that does nothing, asked over REST.
//!
//! One client beside the same client against a bare hyper server that echoes; and one and many
//! clients beside `MLServer`, which speaks no binary REST, so both get JSON there.

use std::process::Command;

use super::cloud::{Cloud, Plan};
use super::mlserver::{self, Model, NAME};
use super::tools::{Server, Tools, number, write_noop};
use super::{Row, median};
use crate::places::Places;
use crate::{Failure, process};

const RUNS: usize = 5;
const PEER_RUNS: usize = 3;
const TENSOR: &str = "tensor=x:FP32:1,16";

const ADDED_P50_US_MAX: f64 = 100.0;
const P99_US_MAX: f64 = 400.0;
const P99_RATIO_MAX: f64 = 2.0;
const PEER_RATIO_MIN: f64 = 5.0;
const CLIENTS: [&str; 2] = ["1", "64"];

/// Measures, beside the echo and beside `MLServer`.
pub(super) fn run(places: &Places, tools: &Tools) -> Result<Vec<Row>, Failure> {
    let mut plan = Plan::new(places, "protocol")?;
    plan.onnxruntime.clone_from(&tools.setup.python.onnxruntime);
    let mut cloud = plan.start()?;
    cloud.enter()?;
    let package = plan.data.join("noop");
    write_noop(&package)?;
    cloud.deploy(&package, "noop")?;
    let mut rows = beside_echo(tools, &cloud)?;
    rows.extend(beside_mlserver(places, tools, &cloud)?);
    cloud.stop()?;
    plan.clean();
    Ok(rows)
}

/// Latencies at the middle and near the end, in microseconds.
struct Latency {
    p50_us: f64,
    p99_us: f64,
}

fn latency(tools: &Tools, words: &[&str]) -> Result<Latency, Failure> {
    let told = tools.load(None, words)?;
    Ok(Latency { p50_us: number(&told, "p50_us")?, p99_us: number(&told, "p99_us")? })
}

fn beside_echo(tools: &Tools, cloud: &Cloud) -> Result<Vec<Row>, Failure> {
    let mut echo = Command::new(tools.program("bench-echo"));
    let (_echo, address) = Server::that_says_its_address(&mut echo)?;
    let freehold = cloud.addresses.http.to_string();
    let token = format!("token={}", cloud.token());
    let (mut ours, mut echoes) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        // The same words, and so the same bytes, for both.
        let words = ["model=noop", TENSOR, &token];
        let echo = latency(tools, &[&["rest", address.as_str()], words.as_slice()].concat())?;
        let our = latency(tools, &[&["rest", freehold.as_str()], words.as_slice()].concat())?;
        process::tell(&format!(
            "p50 {:.0} µs, p99 {:.0} µs; echo p50 {:.0} µs, p99 {:.0} µs",
            our.p50_us, our.p99_us, echo.p50_us, echo.p99_us
        ));
        ours.push(our);
        echoes.push(echo);
    }
    let middle = |of: &dyn Fn(&Latency, &Latency) -> f64| {
        median(ours.iter().zip(&echoes).map(|(our, echo)| of(our, echo)).collect())
    };
    let added_us = middle(&|our, echo| our.p50_us - echo.p50_us);
    let p99_us = middle(&|our, _| our.p99_us);
    let ratio = middle(&|our, echo| our.p99_us / echo.p99_us);
    let row = |what: &str| format!("OIP REST, no-op model, binary, 1 client: {what}");
    Ok(vec![
        Row {
            work: row("p50"),
            measured: format!("{:.0} µs, {added_us:.0} µs added", middle(&|our, _| our.p50_us)),
            beside: format!("bare hyper echo {:.0} µs", middle(&|_, echo| echo.p50_us)),
            must: format!("added ≤ {ADDED_P50_US_MAX} µs"),
            reached: added_us <= ADDED_P50_US_MAX,
        },
        Row {
            work: row("p99"),
            measured: format!("{p99_us:.0} µs, {ratio:.2}×"),
            beside: format!("bare hyper echo {:.0} µs", middle(&|_, echo| echo.p99_us)),
            must: format!("≤ {P99_US_MAX} µs, or ≤ {P99_RATIO_MAX}× the echo's"),
            reached: p99_us <= P99_US_MAX || ratio <= P99_RATIO_MAX,
        },
    ])
}

fn beside_mlserver(places: &Places, tools: &Tools, cloud: &Cloud) -> Result<Vec<Row>, Failure> {
    let peer = mlserver::install(places);
    let model =
        Model { name: "noop", implementation: "NoOp", file: None, batch_max: 0, cores: None };
    let peer = peer.and_then(|peer| peer.start(&model));
    let token = format!("token={}", cloud.token());
    let freehold = cloud.addresses.http.to_string();
    let mut rows = Vec::new();
    for clients in CLIENTS {
        let count = format!("clients={clients}");
        let asked = |address: &str, form: &str| {
            let words = ["rest", address, "model=noop", TENSOR, &token, &count, form];
            number(&tools.load(None, &words)?, "per_second")
        };
        let (mut binary, mut json, mut peers) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..PEER_RUNS {
            binary.push(asked(&freehold, "form=binary")?);
            json.push(asked(&freehold, "form=json")?);
            if let Some(peer) = &peer {
                peers.push(asked(&peer.addresses.http.to_string(), "form=json")?);
            }
        }
        let peered = !peers.is_empty();
        let (binary, json, peers) = (median(binary), median(json), median(peers));
        let told = format!("{json:.0} /s as JSON, {binary:.0} /s binary");
        process::tell(&format!("{clients} clients: {told}; {NAME} {peers:.0} /s"));
        rows.push(Row {
            work: format!("OIP REST, no-op model, {clients} client(s): throughput"),
            measured: told,
            beside: if peered {
                format!("{NAME} {peers:.0} /s as JSON: {:.1}×", json / peers)
            } else {
                format!("{NAME} could not be had")
            },
            must: format!("≥ {PEER_RATIO_MIN}× {NAME}, both JSON"),
            reached: peered && json >= PEER_RATIO_MIN * peers,
        });
    }
    Ok(rows)
}
