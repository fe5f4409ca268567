//! How long `freehold up` takes from exec to its first 200 of `/v2/health/ready`, on a data folder
//! that is there already, and how much memory it then holds while nobody asks anything.

use std::thread;
use std::time::Duration;

use super::cloud::Plan;
use super::tools::Tools;
use super::{Row, median};
use crate::Failure;
use crate::places::Places;

const RUNS: usize = 11;
const START_MS_MAX: f64 = 300.0;
const MEMORY_MIB_MAX: u64 = 100;

/// How long it is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

/// Starts and stops the program a few times.
pub(super) fn run(places: &Places, _tools: &Tools) -> Result<Vec<Row>, Failure> {
    let plan = Plan::new(places, "start")?;
    // The first start makes the folder, and is not counted.
    plan.start()?.stop()?;
    let mut times = Vec::new();
    let mut memory_mib = 0;
    for run in 0..RUNS {
        let cloud = plan.start()?;
        times.push(cloud.took.as_secs_f64() * 1e3);
        if run == 0 {
            thread::sleep(IDLE);
            memory_mib = cloud.memory_kib("VmRSS")? / 1024;
        }
        cloud.stop()?;
    }
    plan.clean();
    let took_ms = median(times);
    Ok(vec![
        Row {
            work: "exec to the first 200 of `/v2/health/ready`, existing data folder".into(),
            measured: format!("{took_ms:.0} ms"),
            beside: String::new(),
            must: format!("≤ {START_MS_MAX} ms"),
            reached: took_ms <= START_MS_MAX,
        },
        Row {
            work: "idle memory (resident)".into(),
            measured: format!("{memory_mib} MiB"),
            beside: String::new(),
            must: format!("≤ {MEMORY_MIB_MAX} MiB"),
            reached: memory_mib <= MEMORY_MIB_MAX,
        },
    ])
}
