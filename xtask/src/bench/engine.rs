//! How much of an engine's work serving leaves: models made by others, eight clients, over REST
//! and gRPC, beside the same engine in a bare loop.
//!
//! Always true: the engine has one processor to itself in every arm; clients, and whatever a
//! server does besides, have another.

use std::fs;
use std::path::{Path, PathBuf};

use super::cloud::{Cloud, Plan};
use super::mlserver::{self, MlServer, NAME};
use super::tools::{Tools, number, pinned, result};
use super::{Row, median};
use crate::places::Places;
use crate::{Failure, process};

const RUNS: usize = 3;
const CLIENTS: u32 = 8;
const SHARE_MIN: f64 = 0.9;

/// The processors of engine and clients.
const ENGINE: usize = 0;
const CLIENT: usize = 1;

/// A model made by others.
struct Model {
    name: &'static str,
    /// Its package for Python, and how its file's name ends there.
    file: (&'static str, &'static str),
    input: &'static str,
    datatype: &'static str,
    /// One sample.
    sizes: &'static str,
}

const MODELS: [Model; 2] = [
    Model {
        name: "magika",
        file: ("magika", "model.onnx"),
        input: "bytes",
        datatype: "INT32",
        sizes: "2048",
    },
    Model {
        name: "rapidocr-recogniser",
        file: ("rapidocr_onnxruntime", "rec_infer.onnx"),
        input: "x",
        datatype: "FP32",
        sizes: "3,48,320",
    },
];

/// Measures each model in every way.
pub(super) fn run(places: &Places, tools: &Tools) -> Result<Vec<Row>, Failure> {
    if std::thread::available_parallelism().map_or(1, std::num::NonZero::get) < 2 {
        return Err(Failure::new("engine and clients need a processor each, and here is one"));
    }
    let missing = || Failure::new("ONNX Runtime and the models come with cargo xtask setup");
    let library = tools.setup.python.onnxruntime.clone().ok_or_else(missing)?;
    let venv = tools.setup.python.venv.clone().ok_or_else(missing)?;
    let mut plan = Plan::new(places, "engine")?;
    plan.onnxruntime = Some(library.clone());
    plan.core = Some(CLIENT);
    let peer = mlserver::install(places);
    let mut cloud = plan.start()?;
    cloud.enter()?;
    let mut rows = Vec::new();
    for model in MODELS {
        let (package, ending) = model.file;
        let file = find(&venv, package, ending)?;
        let bench = Bench { tools, cloud: &cloud, onnxruntime: &library, model, file };
        rows.extend(bench.measure(&plan.data, peer.as_ref())?);
    }
    cloud.stop()?;
    plan.clean();
    Ok(rows)
}

/// One model, and what it is measured with.
struct Bench<'a> {
    tools: &'a Tools,
    cloud: &'a Cloud,
    onnxruntime: &'a Path,
    model: Model,
    file: PathBuf,
}

/// Samples in a second, of every run.
#[derive(Default)]
struct Arms {
    alone: Vec<f64>,
    joined: Vec<f64>,
    rest: Vec<f64>,
    grpc: Vec<f64>,
    peer: Vec<f64>,
}

impl Bench<'_> {
    fn measure(&self, data: &Path, peer: Option<&MlServer>) -> Result<Vec<Row>, Failure> {
        let name = self.model.name;
        let package = data.join(name);
        fs::create_dir_all(&package)
            .and_then(|()| fs::copy(&self.file, package.join("model.onnx")))
            .map_err(|error| Failure::at(package.display(), error))?;
        // The manifest is the one that people get: what it says of batches holds here too.
        self.cloud.run(&["init", &package.display().to_string()])?;
        self.cloud.deploy(&package, name)?;
        self.cloud.pin_instances(ENGINE)?;
        let wanted = mlserver::Model {
            name,
            implementation: "Engine",
            file: Some(&self.file),
            batch_max: CLIENTS,
            cores: Some((CLIENT, ENGINE)),
        };
        let peer = peer.and_then(|peer| peer.start(&wanted));
        let mut arms = Arms::default();
        for _ in 0..RUNS {
            arms.alone.push(self.bare(1)?);
            arms.joined.push(self.bare(CLIENTS)?);
            let addresses = self.cloud.addresses;
            arms.rest.push(self.served("rest", &addresses.http.to_string())?);
            arms.grpc.push(self.served("grpc", &addresses.grpc.to_string())?);
            if let Some(peer) = &peer {
                arms.peer.push(self.served("grpc", &peer.addresses.grpc.to_string())?);
            }
        }
        self.cloud.run(&["endpoint", "delete", name])?;
        Ok(self.rows(arms))
    }

    /// The bare loop with so many samples in a run.
    fn bare(&self, samples: u32) -> Result<f64, Failure> {
        let Model { datatype, sizes, .. } = self.model;
        let mut command = pinned(&self.tools.program("bench-loop"), Some(ENGINE));
        command.arg(&self.file).arg(self.onnxruntime).arg(format!("{datatype}:{sizes}"));
        number(&result(command.args([&samples.to_string(), "4"]))?, "per_second")
    }

    fn served(&self, mode: &str, address: &str) -> Result<f64, Failure> {
        let Model { name, input, datatype, sizes, .. } = self.model;
        let words = [
            mode,
            address,
            &format!("model={name}"),
            &format!("token={}", self.cloud.token()),
            &format!("tensor={input}:{datatype}:1,{sizes}"),
            &format!("clients={CLIENTS}"),
            "seconds=4",
            "warm_up=1",
        ];
        number(&self.tools.load(Some(CLIENT), &words)?, "per_second")
    }

    fn rows(&self, arms: Arms) -> Vec<Row> {
        let peered = !arms.peer.is_empty();
        let (alone, joined) = (median(arms.alone), median(arms.joined));
        let peer = median(arms.peer);
        let bare = alone.max(joined);
        let row = |form: &str, times: Vec<f64>| {
            let served = median(times);
            let share = served / bare;
            let measured = format!("{served:.1} samples/s: {:.1} %", share * 100.0);
            let mut beside = format!(
                "bare loop {alone:.1} samples/s one by one, {joined:.1} in runs of {CLIENTS}"
            );
            if peered {
                beside += &format!("; {NAME} over gRPC {peer:.1}");
            }
            process::tell(&format!("{} over {form}: {measured}; {beside}", self.model.name));
            Row {
                work: format!("{} over OIP {form}, {CLIENTS} clients", self.model.name),
                measured,
                beside,
                must: format!("≥ {:.0} % of the better bare loop", SHARE_MIN * 100.0),
                reached: share >= SHARE_MIN,
            }
        };
        vec![row("REST", arms.rest), row("gRPC", arms.grpc)]
    }
}

/// A model file inside a Python package.
fn find(venv: &Path, package: &str, ending: &str) -> Result<PathBuf, Failure> {
    let versions = fs::read_dir(venv.join("lib")).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> =
        versions.map(|entry| entry.path().join("site-packages").join(package)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                return Ok(path);
            }
        }
    }
    Err(Failure::new(format!("the package {package} holds no {ending}")))
}
