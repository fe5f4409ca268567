//! `MLServer`, a model server in Python, in a virtual environment of its own.
//!
//! Always true: it serves one model at a time; its versions are pinned; where it cannot be had,
//! that is said, and the benchmarks go on without it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::tools::{Addresses, Server, answers, pin_below, pinned};
use crate::places::Places;
use crate::{Failure, process};

/// What it is called on the page.
pub(super) const NAME: &str = "MLServer 1.7.1";

const PACKAGES: &str = include_str!("../../python/requirements-mlserver.txt");
const MODELS: &str = include_str!("../../python/mlserver/bench_models.py");

/// A start that takes longer has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where it is installed.
#[derive(Debug)]
pub(super) struct MlServer {
    venv: PathBuf,
    folder: PathBuf,
}

/// What it is to serve.
#[derive(Debug)]
pub(super) struct Model<'a> {
    pub(super) name: &'a str,
    /// `NoOp` or `Engine`.
    pub(super) implementation: &'a str,
    /// The model file of an `Engine`.
    pub(super) file: Option<&'a Path>,
    /// Rows that it joins; 0 for none.
    pub(super) batch_max: u32,
    /// Its processes' processors: the server's, and the engine's in a process of its own. Without
    /// them one process does both, where the system lets it.
    pub(super) cores: Option<(usize, usize)>,
}

/// A running one.
#[derive(Debug)]
pub(super) struct Running {
    _server: Server,
    pub(super) addresses: Addresses,
}

/// Finds or installs it; none, said aloud, where that cannot be done.
pub(super) fn install(places: &Places) -> Option<MlServer> {
    let venv = places.cache.join("bench-mlserver-1.7.1");
    let made = if venv.join("finished").is_file() { Ok(()) } else { make(&venv) };
    match made {
        Ok(()) => Some(MlServer { venv, folder: places.cache.join("bench-mlserver") }),
        Err(failure) => {
            process::tell(&format!("skipped: {NAME} cannot be had here: {failure}"));
            None
        }
    }
}

fn make(venv: &Path) -> Result<(), Failure> {
    process::tell(&format!("installing {NAME} into {}", venv.display()));
    let failed = |error| Failure::at(venv.display(), error);
    if venv.exists() {
        fs::remove_dir_all(venv).map_err(failed)?;
    }
    process::run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    let list = venv.join("requirements.txt");
    fs::write(&list, PACKAGES).map_err(failed)?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    process::run(pip.args(["--only-binary", ":all:", "--requirement"]).arg(&list))?;
    fs::write(venv.join("finished"), "").map_err(failed)
}

impl MlServer {
    /// Starts it and waits until its model is ready; none, said aloud, where it does not start.
    pub(super) fn start(&self, model: &Model<'_>) -> Option<Running> {
        let skipped = |failure| process::tell(&format!("skipped: {NAME}: {failure}"));
        self.started(model).map_err(skipped).ok()
    }

    fn started(&self, model: &Model<'_>) -> Result<Running, Failure> {
        let failed = |error| Failure::at(self.folder.display(), error);
        let addresses = Addresses::free().map_err(failed)?;
        self.write(model, addresses).map_err(failed)?;
        let log = fs::File::create(self.folder.join("log")).map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        let mut command =
            pinned(&self.venv.join("bin/mlserver"), model.cores.map(|(core, _)| core));
        command.args(["start", "."]).current_dir(&self.folder).env("PYTHONPATH", &self.folder);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let mut server = Server(command.spawn().map_err(|error| Failure::at(NAME, error))?);
        let begin = Instant::now();
        let ready = format!("/v2/models/{}/ready", model.name);
        while !answers(addresses.http, &ready) {
            let ended = server.0.try_wait().map_err(|error| Failure::at(NAME, error))?;
            if ended.is_some() || begin.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(Failure::at("it does not become ready", log));
            }
            thread::sleep(Duration::from_millis(50));
        }
        if let Some((_, engine)) = model.cores {
            pin_below(server.0.id(), engine)?;
        }
        Ok(Running { _server: server, addresses })
    }

    fn write(&self, model: &Model<'_>, addresses: Addresses) -> std::io::Result<()> {
        // What an ended run left; where nothing did, there is nothing to remove.
        let _ = fs::remove_dir_all(&self.folder);
        let folder = self.folder.join(model.name);
        fs::create_dir_all(&folder)?;
        let settings = json!({
            "host": "127.0.0.1",
            "http_port": addresses.http.port(),
            "grpc_port": addresses.grpc.port(),
            "metrics_port": addresses.metrics.port(),
            "debug": false,
            "parallel_workers": u8::from(model.cores.is_some()),
        });
        let mut told = json!({
            "name": model.name,
            "implementation": format!("bench_models.{}", model.implementation),
            "max_batch_size": model.batch_max,
            "max_batch_time": if model.batch_max > 0 { 0.002 } else { 0.0 },
        });
        if let Some(file) = model.file {
            told["parameters"] = json!({ "uri": file });
        }
        let write = |path: PathBuf, value: Value| fs::write(path, value.to_string());
        write(self.folder.join("settings.json"), settings)?;
        write(folder.join("model-settings.json"), told)?;
        fs::write(self.folder.join("bench_models.py"), MODELS)
    }
}
