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
