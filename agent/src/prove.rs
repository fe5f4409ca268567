//! An instance that proves a package: its producer's unit tests are run, and it is measured.
//!
//! A model is served as it would be for a requester, and asked; an algorithm is run once for each
//! test. Always true: every test gets a result, in the order of the manifest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;

use api::internal::{
    Assignment, Description, InstanceReport, InstanceState, Measures, Purpose, TestResult,
};
use formats::manifest::{self, Manifest, TestCase, TestInput};
use formats::oip;
use tokio_util::sync::CancellationToken;
use types::frame::Infer;
use types::{Runtime, Tensor};

use crate::Agent;
use crate::channel::Channel;
use crate::life::{Life, Trouble, report, why};
use crate::{serve, train};

/// Requests before measuring, so that caches and clocks are warm.
const WARM_UP: u32 = 5;
/// Longest time that measuring takes; a slow model is measured with fewer requests.
const MEASURE_MS_MAX: u128 = 10_000;

/// Runs the tests, measures, and reports.
pub(crate) async fn live(
    agent: &Agent,
    assignment: &Assignment,
    stop: &CancellationToken,
) -> Result<InstanceReport, Trouble> {
    let Purpose::Prove { tests, measure_requests, .. } = &assignment.task.purpose else {
        return Err(Trouble("this proves nothing".to_owned()));
    };
    let tests: Vec<TestCase> = tests
        .iter()
        .map(|test| serde_json::from_value(test.clone()))
        .collect::<Result<_, _>>()
        .map_err(|error| Trouble::of(&error))?;
    let package = agent.shared.packages.unpack(&assignment.task.package).await;
    let package = package.map_err(|error| Trouble::of(&error))?;
    let proving = async {
        match assignment.task.runtime {
            Runtime::Onnx => {
                model(agent, assignment, (package.folder(), &tests), *measure_requests).await
            }
            Runtime::Job => algorithm(agent, assignment, package.folder(), &tests).await,
        }
    };
    tokio::select! {
        () = stop.cancelled() => Ok(report(agent, assignment, InstanceState::Ended)),
        proved = proving => proved,
    }
}

async fn model(
    agent: &Agent,
    assignment: &Assignment,
    (package, tests): (&Path, &[TestCase]),
    measure_requests: u32,
) -> Result<InstanceReport, Trouble> {
    let began = Instant::now();
    let life = Life::start(agent, serve::start(assignment, package)).await?;
    let proved = async {
        let description = serve::described(&life).await?;
        let start_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let socket = life.running.socket().ok_or_else(|| Trouble("no socket".to_owned()))?;
        let mut channel = Channel::connect(socket).await.map_err(|error| Trouble::of(&error))?;
        let timeout_ms = assignment.task.limits.timeout_ms;
        let mut results = Vec::new();
        for test in tests {
            let failure = ask(&mut channel, package, test, timeout_ms).await.err();
            results.push(TestResult { name: test.name.clone(), failure: failure.map(|t| t.0) });
        }
        let sample = sample(package, tests, &description);
        let times = measure(&mut channel, &sample, measure_requests, timeout_ms).await?;
        let measures = Measures { start_us, ..times };
        Ok::<_, Trouble>((description, results, measures))
    };
    let proved = proved.await;
    let exit = life.end().await;
    let (description, tests, measures) = proved?;
    let measures = Measures {
        memory_peak_bytes: Some(exit.memory_peak_bytes).filter(|bytes| *bytes > 0),
        cpu_us: Some(exit.cpu_us),
        ..measures
    };
    Ok(InstanceReport {
        description: Some(description),
        measures: Some(measures),
        tests,
        ..report(agent, assignment, InstanceState::Ended)
    })
}

/// Asks the model a test's question and holds the answer against what is expected.
async fn ask(
    channel: &mut Channel,
    package: &Path,
    test: &TestCase,
    timeout_ms: u64,
) -> Result<(), Trouble> {
    let request = request(package, &test.input)?;
    let outputs = request.outputs.iter().map(|output| output.name.clone()).collect();
    let infer =
        Infer { budget_us: timeout_ms.saturating_mul(1_000), inputs: request.inputs, outputs };
    let answer = channel.infer(infer, timeout_ms.saturating_add(1_000)).await;
    let answer = answer.map_err(|error| Trouble::of(&error))?;
    test.expect.compare(&answer.outputs).map_err(|mismatch| Trouble::of(&mismatch))
}

fn request(package: &Path, input: &TestInput) -> Result<oip::Request, Trouble> {
    let body = match input {
        TestInput::Request(value) => {
            serde_json::to_vec(value).map_err(|error| Trouble::of(&error))?
        }
        TestInput::File(path) => std::fs::read(package.join(path))
            .map_err(|error| Trouble(format!("{path}: {error}")))?,
        TestInput::Job { .. } => {
            return Err(Trouble("a model's test is a request, not a job".to_owned()));
        }
    };
    oip::parse_request(Bytes::from(body), None).map_err(|error| Trouble::of(&error))
}

/// What the model is measured with: the first test's inputs, or zeros in the smallest shape.
fn sample(package: &Path, tests: &[TestCase], description: &Description) -> Vec<Tensor> {
    let first = tests.iter().find_map(|test| request(package, &test.input).ok());
    if let Some(request) = first {
        return request.inputs;
    }
    let zeros = |spec: &types::TensorSpec| {
        let shape: Vec<u64> =
            spec.shape.iter().map(|&size| u64::try_from(size).unwrap_or(1)).collect();
        let elements = usize::try_from(shape.iter().product::<u64>()).unwrap_or(0);
        // An empty text is a length of zero: four bytes, as long as an FP32.
        let bytes = elements.saturating_mul(spec.datatype.element_bytes().unwrap_or(4));
        Tensor {
            name: spec.name.clone(),
            datatype: spec.datatype,
            shape,
            data: Bytes::from(vec![0; bytes]),
        }
    };
    description.inputs.iter().map(zeros).collect()
}

/// Times requests one after another. A model that does not take the sample is not measured.
async fn measure(
    channel: &mut Channel,
    sample: &[Tensor],
    requests: u32,
    timeout_ms: u64,
) -> Result<Measures, Trouble> {
    let mut times_us = Vec::new();
    let began = Instant::now();
    for round in 0..requests.saturating_add(WARM_UP) {
        let infer = Infer { budget_us: 0, inputs: sample.to_vec(), outputs: Vec::new() };
        let asked = Instant::now();
        match channel.infer(infer, timeout_ms.saturating_add(1_000)).await {
            Ok(_) => {}
            Err(crate::channel::ChannelError::Refused { .. }) if times_us.is_empty() => {
                return Ok(Measures::default());
            }
            Err(error) => return Err(Trouble::of(&error)),
        }
        if round >= WARM_UP {
            times_us.push(u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
        if began.elapsed().as_millis() > MEASURE_MS_MAX && !times_us.is_empty() {
            break;
        }
    }
    times_us.sort_unstable();
    let at = |percent: usize| {
        let place = (times_us.len() * percent).div_ceil(100).saturating_sub(1);
        times_us.get(place).copied()
    };
    Ok(Measures { latency_p50_us: at(50), latency_p99_us: at(99), ..Measures::default() })
}

async fn algorithm(
    agent: &Agent,
    assignment: &Assignment,
    package: &Path,
    tests: &[TestCase],
) -> Result<InstanceReport, Trouble> {
    let text = std::fs::read_to_string(package.join(manifest::FILE_NAME));
    let text = text.map_err(|error| Trouble::of(&error))?;
    let manifest = manifest::parse(&text).map_err(|error| Trouble::of(&error))?;
    let (mut results, mut measures) = (Vec::new(), Measures::default());
    for test in tests {
        let began = Instant::now();
        let ran = run(agent, assignment, (package, &manifest), test).await;
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let failure = match ran {
            Ok(memory_peak_bytes) => {
                measures.memory_peak_bytes =
                    measures.memory_peak_bytes.max(Some(memory_peak_bytes));
                measures.cpu_us = measures.cpu_us.max(Some(took_us));
                None
            }
            Err(trouble) => Some(trouble.0),
        };
        results.push(TestResult { name: test.name.clone(), failure });
    }
    Ok(InstanceReport {
        measures: Some(measures),
        tests: results,
        ..report(agent, assignment, InstanceState::Ended)
    })
}

/// Runs the program as a training would, and looks for the files that it has to leave. Returns its
/// peak memory, in bytes.
async fn run(
    agent: &Agent,
    assignment: &Assignment,
    (package, manifest): (&Path, &Manifest),
    test: &TestCase,
) -> Result<u64, Trouble> {
    let TestInput::Job { channels, parameters } = &test.input else {
        return Err(Trouble("an algorithm's test is a job, not a request".to_owned()));
    };
    let parameters =
        manifest.resolve_parameters(parameters).map_err(|error| Trouble::of(&error))?;
    let holder = tempfile::tempdir_in(&agent.shared.settings.folder);
    let holder = holder.map_err(|error| Trouble::of(&error))?;
    let folders = channel_folders(package, channels, holder.path())?;
    let config = config(&parameters, channels.keys());
    let life = Life::start(agent, train::job(assignment, package, config, folders)).await?;
    let exit = life.running.wait().await;
    let model = life.running.model_folder();
    let missing = test.expect.files.iter().find(|file| !model.join(file).is_file());
    let missing = missing.cloned();
    life.end().await;
    if !exit.is_success() {
        return Err(Trouble(format!("the job {}", why(&exit))));
    }
    match missing {
        Some(file) => Err(Trouble(format!("the job left no {file:?} in /opt/ml/model"))),
        None => Ok(exit.memory_peak_bytes),
    }
}

/// A folder for every channel: the package's own, or one that holds the single file it names.
fn channel_folders(
    package: &Path,
    channels: &BTreeMap<String, String>,
    holder: &Path,
) -> Result<BTreeMap<String, PathBuf>, Trouble> {
    let mut folders = BTreeMap::new();
    for (name, path) in channels {
        let source = package.join(path);
        if source.is_dir() {
            folders.insert(name.clone(), source);
            continue;
        }
        let folder = holder.join(name);
        let copy = || {
            std::fs::create_dir(&folder)?;
            let file = source.file_name().unwrap_or_default();
            std::fs::copy(&source, folder.join(file)).map(|_| ())
        };
        copy().map_err(|error| Trouble(format!("{path}: {error}")))?;
        folders.insert(name.clone(), folder);
    }
    Ok(folders)
}

fn config<'a>(
    parameters: &BTreeMap<String, serde_json::Value>,
    channels: impl Iterator<Item = &'a String>,
) -> BTreeMap<String, Vec<u8>> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let hyperparameters: BTreeMap<&String, String> =
        parameters.iter().map(|(name, value)| (name, text(value))).collect();
    let channels: BTreeMap<&String, serde_json::Value> =
        channels.map(|name| (name, serde_json::json!({ "TrainingInputMode": "File" }))).collect();
    let resources = serde_json::json!({ "current_host": "algo-1", "hosts": ["algo-1"] });
    let bytes = |value: serde_json::Value| value.to_string().into_bytes();
    BTreeMap::from([
        ("hyperparameters.json".to_owned(), bytes(serde_json::json!(hyperparameters))),
        ("inputdataconfig.json".to_owned(), bytes(serde_json::json!(channels))),
        ("resourceconfig.json".to_owned(), bytes(resources)),
    ])
}
