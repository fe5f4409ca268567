//! How functions start from parked sandboxes: to the answer of a first call, one start after the
//! other, and what parked sandboxes weigh; what calls cost; and how versions follow each other.

mod containers;
mod switch;
mod warm;
mod workerd;

use serde_json::Value;

use super::Row;
use super::tools::{Tools, number, result};
use crate::Failure;
use crate::places::Places;

/// Timed starts of each kind.
const STARTS: &str = "200";
/// For how long starts are repeated.
const SECONDS: &str = "10";
/// Parked at once.
const PARKED: &str = "500";
/// What 500 parked sandboxes may take, each: 4 GiB in all.
const MEMORY_MIB_MAX: f64 = 8.0;

/// A kind of function, and its promises: p50 and p99 in milliseconds, starts per second.
const KINDS: [(&str, f64, f64, f64); 3] =
    [("native", 5.0, 20.0, 100.0), ("python", 15.0, 40.0, 40.0), ("awslambdaric", 15.0, 40.0, 0.0)];

/// Runs the program that measures.
pub(super) fn run(places: &Places, tools: &Tools) -> Result<Vec<Row>, Failure> {
    let mut rows = starts(places, tools)?;
    let world = warm::World::start(places, tools)?;
    rows.extend(world.rows(places)?);
    rows.extend(switch::rows(&world)?);
    world.stop()?;
    Ok(rows)
}

fn starts(places: &Places, tools: &Tools) -> Result<Vec<Row>, Failure> {
    let mut command = std::process::Command::new(tools.program("bench-functions"));
    command.args([STARTS, SECONDS, PARKED]).args(&tools.setup.python.lambda);
    let told = result(&mut command)?;
    let mut rows = Vec::new();
    rows.extend(containers::rows(places, tools, (STARTS, &told["cold_ms"]))?);
    rows.extend(containers::parked(places, tools)?);
    for (kind, p50_ms_max, p99_ms_max, per_s_min) in KINDS {
        let (parked, made) = (format!("{kind} parked"), format!("{kind} made"));
        let (parked, made) = (&told["cold_ms"][parked], &told["cold_ms"][made]);
        if parked == &Value::Null {
            // Lambda's client is not everywhere.
            continue;
        }
        for (name, max) in [("p50", p50_ms_max), ("p99", p99_ms_max)] {
            let (ms, beside_ms) = (number(parked, name)?, number(made, name)?);
            rows.push(Row {
                work: format!("{kind}: claim to the answer of the first call: {name}"),
                measured: format!("{ms:.1} ms"),
                beside: format!("a sandbox made for the call {beside_ms:.1} ms"),
                must: format!("≤ {max} ms"),
                reached: ms <= max,
            });
        }
        if per_s_min > 0.0 {
            let per_s = number(&told["sustained"][kind], "per_s")?;
            rows.push(Row {
                work: format!("{kind}: starts a second, parking and ending included"),
                measured: format!("{per_s:.0} /s"),
                beside: String::new(),
                must: format!("≥ {per_s_min} /s"),
                reached: per_s >= per_s_min,
            });
        }
    }
    let parked = &told["parked"]["python"];
    let mib = number(parked, "free_bytes_each")? / f64::from(1 << 20);
    rows.push(Row {
        work: format!("python: {PARKED} parked: memory of the machine that each takes"),
        measured: format!("{mib:.1} MiB"),
        beside: String::new(),
        must: format!("≤ {MEMORY_MIB_MAX} MiB"),
        reached: mib <= MEMORY_MIB_MAX,
    });
    Ok(rows)
}
