//! Receiving and sealing a package of a GiB, beside `sha256sum` and `cp` of the same file.
//!
//! Always true: every run has a file of its own that no one has sent before, so nothing is spared
//! by chunks that are there already; what is timed ends with the answer, when everything is on
//! disk.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::cloud::{Cloud, Plan};
use super::tools::{Tools, number};
use super::{Row, median};
use crate::places::Places;
use crate::{Failure, process};

const RUNS: u64 = 3;
const FILE_BYTES: u64 = 1 << 30;
const RATIO_MAX: f64 = 2.0;
const MEMORY_MIB_MAX: u64 = 64;

/// Sends files of a GiB to a cloud.
pub(super) fn run(places: &Places, tools: &Tools) -> Result<Vec<Row>, Failure> {
    let plan = Plan::new(places, "seal")?;
    let mut cloud = plan.start()?;
    cloud.enter()?;
    let idle_kib = cloud.memory_kib("VmRSS")?;
    cloud.forget_peak()?;
    let file = plan.data.join("bench-file");
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        write_noise(&file, run).map_err(|error| Failure::at(file.display(), error))?;
        settle();
        peers.push(peer(&file)?);
        settle();
        ours.push(send(tools, &cloud, &file)?);
    }
    let peak_mib = cloud.memory_kib("VmHWM")?.saturating_sub(idle_kib).div_ceil(1024);
    cloud.stop()?;
    plan.clean();
    let ratio = median(ours.iter().zip(&peers).map(|(our, peer)| our / peer).collect());
    let (our, peer) = (median(ours), median(peers));
    Ok(vec![
        Row {
            work: "receive and seal a package of 1 GiB".into(),
            measured: format!("{our:.2} s: {ratio:.2}×"),
            beside: format!("`sha256sum` + `cp` {peer:.2} s"),
            must: format!("≤ {RATIO_MAX}×"),
            reached: ratio <= RATIO_MAX,
        },
        Row {
            work: "the same: peak of memory above idle".into(),
            measured: format!("{peak_mib} MiB"),
            beside: String::new(),
            must: format!("≤ {MEMORY_MIB_MAX} MiB"),
            reached: peak_mib <= MEMORY_MIB_MAX,
        },
    ])
}

fn send(tools: &Tools, cloud: &Cloud, file: &Path) -> Result<f64, Failure> {
    let address = cloud.addresses.http.to_string();
    let (token, file) = (format!("token={}", cloud.token()), format!("file={}", file.display()));
    let told = tools.load(None, &["put", &address, &token, &file])?;
    let seconds = number(&told, "seconds")?;
    process::tell(&format!("received and sealed in {seconds:.2} s"));
    Ok(seconds)
}

fn peer(file: &Path) -> Result<f64, Failure> {
    let copy = file.with_extension("copy");
    let begin = Instant::now();
    let summed = process::output(Command::new("sha256sum").arg(file));
    let copied = process::output(Command::new("cp").arg(file).arg(&copy));
    let seconds = begin.elapsed().as_secs_f64();
    process::tell(&format!("sha256sum and cp in {seconds:.2} s"));
    fs::remove_file(&copy).map_err(|error| Failure::at(copy.display(), error))?;
    match summed.and(copied) {
        Some(_) => Ok(seconds),
        None => Err(Failure::new("sha256sum or cp failed")),
    }
}

/// Lets the disk finish with what came before.
fn settle() {
    // Without it the numbers are worse, and still true.
    let _ = process::output(&mut Command::new("sync"));
}

/// Bytes that cannot be compressed; another seed gives others.
fn write_noise(path: &Path, seed: u64) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = seed;
    for _ in 0..FILE_BYTES / 8 {
        // xorshift64, Marsaglia 2003.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.write_all(&state.to_le_bytes())?;
    }
    out.flush()
}
