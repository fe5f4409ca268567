//! A cold start beside a container of the same program, by a runtime that only makes containers.

use std::process::Command;

use serde_json::Value;

use super::super::Row;
use super::super::tools::{Tools, number, result};
use crate::places::Places;
use crate::{Failure, process};

/// What may make containers here. A start of podman takes longer, and has more to do.
const PROGRAMS: [&str; 2] = ["crun", "podman"];
/// Hides version 2 of control groups where version 1 is mounted too, which crun takes for broken; in
/// a mount namespace of its own, and once for all containers.
const HIDDEN: &str = "umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$0\" \"$@\"";

/// A row for each that is there: the same program's start in one of our sandboxes, parked and made
/// for the call, to the answer of its first call, beside its whole life in a container.
pub(super) fn rows(
    places: &Places,
    tools: &Tools,
    (starts, cold): (&str, &Value),
) -> Result<Vec<Row>, Failure> {
    let parked = number(&cold["native parked"], "p50")?;
    let made = number(&cold["native made"], "p50")?;
    let mut rows = Vec::new();
    for program in PROGRAMS {
        if places.program(program).is_none() {
            process::tell(&format!("skipped: {program} is not installed here"));
            continue;
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", HIDDEN]);
        command.arg(tools.program("bench-functions")).args(["containers", program, starts]);
        let beside = match result(&mut command).and_then(|told| number(&told, "p50")) {
            Ok(beside) => beside,
            Err(failure) => {
                process::tell(&format!("skipped: {program} cannot be used here: {failure}"));
                continue;
            }
        };
        rows.push(Row {
            work: format!("native: to the answer of the first call, beside {program}: p50"),
            measured: format!("parked {parked:.1} ms, made {made:.1} ms"),
            beside: format!("`{program} run` of the same program {beside:.1} ms"),
            must: format!("parked ≤ `{program} run`"),
            reached: parked <= beside,
        });
    }
    Ok(rows)
}

/// Functions in containers, parked in sets of their own. Nothing has to be reached: containers are
/// chosen by those who want them, and what is promised is promised of the default.
pub(super) fn parked(places: &Places, tools: &Tools) -> Result<Vec<Row>, Failure> {
    if places.program("crun").is_none() {
        return Ok(Vec::new());
    }
    let mut command = Command::new(tools.program("bench-functions"));
    command.args(["100", super::SECONDS, "100"]).env("FREEHOLD_SANDBOX", "crun");
    let told = result(&mut command)?;
    let mut rows = Vec::new();
    for kind in ["native", "python"] {
        let cold = |how, name| number(&told["cold_ms"][format!("{kind} {how}")], name);
        let (p50, p99, made) =
            (cold("parked", "p50")?, cold("parked", "p99")?, cold("made", "p50")?);
        let per_s = number(&told["sustained"][kind], "per_s")?;
        let mib = number(&told["parked"][kind], "free_bytes_each")? / f64::from(1 << 20);
        rows.push(Row {
            work: format!("{kind}, `--sandbox crun`: claim to the answer of the first call"),
            measured: format!("p50 {p50:.1} ms, p99 {p99:.1} ms"),
            beside: format!(
                "a container made for the call {made:.1} ms; {per_s:.0} starts a second; a parked \
                 one takes {mib:.1} MiB"
            ),
            must: "told only".to_owned(),
            reached: true,
        });
    }
    Ok(rows)
}
