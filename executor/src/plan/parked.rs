//! The plan of a parked sandbox, and what a claim adds to it: together the plan of one that is made
//! for its function.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use types::InstanceId;

use super::{Command, Given, Plan, command, make};
use crate::error::Error;
use crate::machine::Machine;
use crate::start::{Function, PYTHON, Parking, Start, TASK_ROOT, Work};

/// The script with which an interpreter waits.
const PARKED: &str = "/var/runtime/parked.py";

/// The argument with which [`crate::sandbox_main`] waits inside a container.
pub(crate) const WAIT: &str = "wait";

/// What waits in a parked sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Waits {
    /// The sandbox's own process, which becomes the function's program. In a container that is
    /// this program, started inside, with the claim on its standard input.
    Process,
    /// An interpreter that is started for it, with the claim on its standard input.
    Interpreter,
    /// An interpreter that is forked from the executor's zygote, which keeps its own parent. The
    /// connection to it is handed to the keeper through file descriptor 3.
    Fork,
}

/// What a parked sandbox becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// The folder of the host to be shown as the function's package.
    pub(crate) package: PathBuf,
    /// What to run.
    pub(crate) command: Command,
}

/// Plans a sandbox that waits for a function: all of it but the package and the command.
///
/// # Errors
///
/// As [`make`], and [`Error::Refused`] where what a parked one needs besides is missing.
pub(crate) fn park(
    parking: &Parking,
    waits: Waits,
    id: InstanceId,
    given: &Given<'_>,
    machine: &Machine,
) -> Result<Plan, Error> {
    for feature in ["process namespace", "late mounts"] {
        if let Some(why) = machine.refused.get(feature).cloned() {
            const CURE: &str = "functions start without parked sandboxes, somewhat later";
            return Err(Error::Refused { work: "a parked sandbox", feature, why, cure: CURE });
        }
    }
    let waiting =
        Function { program: PYTHON.into(), args: vec![PARKED.to_owned()], ..Function::default() };
    let start = Start {
        id,
        generation: 0,
        package: PathBuf::new(),
        work: Work::Function(waiting),
        limits: parking.limits,
        task: serde_json::Value::Null,
    };
    let mut plan = make(&start, given, machine)?;
    plan.waits = Some(waits);
    if waits != Waits::Interpreter {
        plan.command = None;
    }
    if let Some(root) = &mut plan.root {
        root.binds.retain(|bind| bind.target != Path::new(TASK_ROOT));
        root.folders.push(TASK_ROOT.into());
    }
    Ok(plan)
}

/// What a parked sandbox becomes by this start.
///
/// # Errors
///
/// As [`make`].
pub(crate) fn claim(start: &Start, given: &Given<'_>) -> Result<Claim, Error> {
    Ok(Claim { package: start.package.clone(), command: command(start, given, true)? })
}
