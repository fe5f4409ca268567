//! Proving a package: its unit tests and measurements, run by an agent in one instance.

use api::internal::{InstanceReport, Measures, Purpose, Task};
use formats::manifest::{Manifest, TestInput};
use store::instances::{InstanceState, Owner};
use types::{Figure, FigureName, Grade, InstanceId, Limits, Runtime};
use workflow::saga::{Failure, Outcome};

use super::{PublishSaga, State, json};
use crate::operations::instances::{self, Placing};
use crate::operations::stages::ungranted;
use crate::sagas::{HOSTS_LOST_MAX, Placed, ended, failure, lost, placed};

/// Requests that a model is measured with.
const MEASURE_REQUESTS: u32 = 200;
/// How often a saga looks whether its instance has reported; a report nudges it sooner.
const WAIT_MS: u64 = 1_000;
const MIB: u64 = 1 << 20;

impl PublishSaga {
    pub(super) async fn unit_test(&self, state: &mut State) -> Result<Outcome, Failure> {
        let Some(task) = proof(state)? else {
            self.say(state, "unit-test", "info", "nothing to run").await?;
            return Ok(Outcome::Done);
        };
        let Some(id) = state.instance else {
            // The id is stored before the instance is made, so that a repeated step finds it.
            state.instance = Some(InstanceId::new(self.control.clock().uuid()));
            return Ok(Outcome::Wait { retry_after_ms: 0 });
        };
        let owner = Owner::Publish(state.publish);
        let placing = Placing { id, account: state.account, owner, stage: 0, task };
        let row = match placed(&self.control, placing).await? {
            Placed::At(row) => row,
            Placed::Waits(outcome) => {
                self.say(state, "unit-test", "info", "waiting for a host with room").await?;
                return Ok(outcome);
            }
        };
        let Some(report) = ended(&row)? else {
            return Ok(Outcome::Wait { retry_after_ms: WAIT_MS });
        };
        let unproved = row.state == InstanceState::Ended && !whole(state.manifest()?, &report);
        if (unproved || lost(&row)) && state.hosts_lost < HOSTS_LOST_MAX {
            instances::let_go(&self.control, id).await.map_err(|error| failure(&error))?;
            state.hosts_lost += 1;
            let text = format!("a host was lost; trying again, {} so far", state.hosts_lost);
            self.say(state, "unit-test", "warn", &text).await?;
            state.instance = None;
            return Ok(Outcome::Wait { retry_after_ms: 0 });
        }
        if unproved {
            let text = "it was stopped before every test was run; publish it again";
            return Err(Failure::permanent("instance_failed", text));
        }
        for test in &report.tests {
            if let Some(why) = &test.failure {
                let text = format!("{}: {why}", test.name);
                return Err(Failure::permanent("unit_test_failed", text));
            }
            let text = format!("{}: passed", test.name);
            self.say(state, "unit-test", "info", &text).await?;
        }
        if row.state == InstanceState::Failed {
            let why = report.error.unwrap_or_else(|| "the instance failed".to_owned());
            return Err(Failure::permanent("unit_test_failed", why));
        }
        if report.tests.is_empty() {
            self.say(state, "unit-test", "info", "it loads; it brings no unit tests").await?;
        }
        Ok(Outcome::Done)
    }

    pub(super) async fn measure(&self, state: &mut State) -> Result<Outcome, Failure> {
        let Some(id) = state.instance else { return Ok(Outcome::Done) };
        let row = instances::fetch(&self.control, id).await.map_err(|error| failure(&error))?;
        let measures = ended(&row)?.and_then(|report| report.measures).unwrap_or_default();
        let host = instances::host_name(&self.control, row.host_id).await;
        state.figures = figures(&measures, &format!("measured while publishing, on host {host}"));
        let lines: Vec<String> = state
            .figures
            .iter()
            .map(|figure| format!("{} {}", figure.name.as_str(), figure.value))
            .collect();
        let text = if lines.is_empty() { "nothing measured".to_owned() } else { lines.join(", ") };
        self.say(state, "measure", "info", &text).await?;
        instances::let_go(&self.control, id).await.map_err(|error| failure(&error))?;
        Ok(Outcome::Done)
    }
}

/// Whether a report of success has a result for every test, and for a model what it is.
fn whole(manifest: &Manifest, report: &InstanceReport) -> bool {
    let model = manifest.task.as_ref().is_some_and(|task| task.runtime == Runtime::Onnx);
    report.tests.len() >= manifest.tests.len() && (!model || report.description.is_some())
}

fn figures(measures: &Measures, source: &str) -> Vec<Figure> {
    let found = [
        (FigureName::StartUs, Some(measures.start_us).filter(|us| *us > 0)),
        (FigureName::LatencyP50Us, measures.latency_p50_us),
        (FigureName::LatencyP99Us, measures.latency_p99_us),
        (FigureName::MemoryPeakBytes, measures.memory_peak_bytes),
    ];
    let figure = |(name, value): (FigureName, Option<u64>)| {
        let (grade, source) = (Grade::Measured, source.to_owned());
        value.map(|value| Figure { name, value, grade, source })
    };
    found.into_iter().filter_map(figure).collect()
}

/// The task that proves a package; none where nothing runs.
fn proof(state: &State) -> Result<Option<Task>, Failure> {
    let manifest = state.manifest()?;
    let Some(task) = &manifest.task else { return Ok(None) };
    if task.runtime == Runtime::Job && manifest.tests.is_empty() {
        return Ok(None);
    }
    let tests = manifest.tests.iter().map(json).collect::<Result<Vec<_>, _>>()?;
    let is_job = |input: &TestInput| matches!(input, TestInput::Job { .. });
    let channels = if manifest.tests.iter().any(|test| is_job(&test.input)) {
        manifest.channels.clone()
    } else {
        Vec::new()
    };
    let measure_requests = if task.runtime == Runtime::Onnx { MEASURE_REQUESTS } else { 0 };
    Ok(Some(Task {
        runtime: task.runtime,
        package: ungranted(state.account, state.object, state.package_bytes),
        entry: task.entry.clone(),
        args: task.args.clone(),
        limits: limits_of(manifest, task.timeout_ms),
        batch_max: task.batch_max,
        purpose: Purpose::Prove {
            tests,
            parameters: json(&manifest.parameters)?,
            channels,
            measure_requests,
        },
    }))
}

fn limits_of(manifest: &Manifest, timeout_ms: u64) -> Limits {
    let requires = &manifest.requires;
    Limits {
        timeout_ms,
        memory_bytes: requires.memory_mib.saturating_mul(MIB),
        cpu_milli: requires.cpu_milli,
        processes: requires.processes,
        scratch_bytes: requires.scratch_mib.saturating_mul(MIB),
    }
}
