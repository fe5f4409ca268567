//! A cloud to measure: `freehold up` as a child process on loopback, spoken to by its own command
//! line.
//!
//! Always true: one that is dropped without being stopped is killed.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::tools::{Addresses, answers, pinned, pointer};
use crate::Failure;
use crate::places::Places;

/// A start that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a cloud keeps its data, and on what it runs.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) program: PathBuf,
    pub(super) data: PathBuf,
    pub(super) onnxruntime: Option<PathBuf>,
    /// The one processor it may use, and its instances until they are moved.
    pub(super) core: Option<usize>,
}

/// A running cloud.
#[derive(Debug)]
pub(super) struct Cloud {
    child: Child,
    program: PathBuf,
    data: PathBuf,
    pub(super) addresses: Addresses,
    /// From exec to the first 200 of `/v2/health/ready`.
    pub(super) took: Duration,
    token: String,
}

impl Plan {
    /// With an empty data folder of this name in the cache.
    pub(super) fn new(places: &Places, name: &str) -> Result<Self, Failure> {
        let data = places.cache.join(format!("bench-{name}"));
        // What an ended run left; where nothing did, there is nothing to remove.
        let _ = fs::remove_dir_all(&data);
        fs::create_dir_all(&data).map_err(|error| Failure::at(data.display(), error))?;
        let program = places.target.join("release/freehold");
        Ok(Self { program, data, onnxruntime: None, core: None })
    }

    /// Removes the data folder.
    pub(super) fn clean(&self) {
        // The next run does it otherwise.
        let _ = fs::remove_dir_all(&self.data);
    }

    /// Starts it and waits until it is ready.
    pub(super) fn start(&self) -> Result<Cloud, Failure> {
        let failed = |error| Failure::at(self.program.display(), error);
        let addresses = Addresses::free().map_err(failed)?;
        let mut command = pinned(&self.program, self.core);
        command.arg("up").arg("--data").arg(&self.data);
        command.args(["--log", "warn"]);
        for (flag, address) in [
            ("--listen", addresses.http),
            ("--listen-grpc", addresses.grpc),
            ("--listen-metrics", addresses.metrics),
        ] {
            command.args([flag, &address.to_string()]);
        }
        if let Some(library) = &self.onnxruntime {
            command.arg("--onnxruntime").arg(library);
        }
        let log = self.data.join("bench.log");
        let log = fs::File::create(&log).map_err(|error| Failure::at(log.display(), error))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let begin = Instant::now();
        let child = command.spawn().map_err(failed)?;
        let mut cloud = Cloud {
            child,
            program: self.program.clone(),
            data: self.data.clone(),
            addresses,
            took: Duration::ZERO,
            token: String::new(),
        };
        cloud.wait(begin)?;
        Ok(cloud)
    }
}

impl Cloud {
    fn wait(&mut self, begin: Instant) -> Result<(), Failure> {
        while !answers(self.addresses.http, "/v2/health/ready") {
            let ended = self.child.try_wait().map_err(|error| Failure::at("freehold up", error))?;
            if let Some(status) = ended {
                let log = self.data.join("bench.log");
                let text = fs::read_to_string(log).unwrap_or_default();
                let text = format!("freehold up ended before it was ready: {status}\n{text}");
                return Err(Failure::new(text));
            }
            if begin.elapsed() > PATIENCE {
                return Err(Failure::new(format!("not ready after {} s", PATIENCE.as_secs())));
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.took = begin.elapsed();
        Ok(())
    }

    /// Makes an account; every command from here on is its owner's.
    pub(super) fn enter(&mut self) -> Result<(), Failure> {
        let path = self.data.join("operator.token");
        let token =
            fs::read_to_string(&path).map_err(|error| Failure::at(path.display(), error))?;
        token.trim().clone_into(&mut self.token);
        let created = self.run(&["account", "create", "bench"])?;
        pointer(&created, "/token/secret")?.clone_into(&mut self.token);
        Ok(())
    }

    /// The token of the account's owner.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Runs a command against this cloud; its answer.
    pub(super) fn run(&self, words: &[&str]) -> Result<Value, Failure> {
        let mut command = Command::new(&self.program);
        command.args(["--server", &format!("http://{}", self.addresses.http), "--output", "json"]);
        // Not among the words, which are shown where the command fails.
        command.env("FREEHOLD_TOKEN", &self.token).args(words).stdin(Stdio::null());
        let failed =
            |cause: &dyn Display| Failure::at(format!("freehold {}", words.join(" ")), cause);
        let output = command.output().map_err(|error| failed(&error))?;
        if !output.status.success() {
            return Err(failed(&String::from_utf8_lossy(&output.stderr)));
        }
        if output.stdout.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&output.stdout).map_err(|error| failed(&error))
    }

    /// Publishes the folder and makes an endpoint of it, of one whole processor.
    pub(super) fn deploy(&self, folder: &Path, name: &str) -> Result<(), Failure> {
        self.run(&["publish", &folder.display().to_string()])?;
        self.run(&["deploy", name, "--instance-type", "medium"]).map(drop)
    }

    /// Moves every instance to this processor.
    pub(super) fn pin_instances(&self, core: usize) -> Result<(), Failure> {
        super::tools::pin_below(self.child.id(), core)
    }

    /// Memory in KiB, by its name in proc(5).
    pub(super) fn memory_kib(&self, name: &str) -> Result<u64, Failure> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).map_err(|error| Failure::at(&path, error))?;
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.ok_or_else(|| Failure::new(format!("{path} has no {name}")))
    }

    /// Forgets the peak of memory.
    pub(super) fn forget_peak(&self) -> Result<(), Failure> {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        fs::write(&path, "5").map_err(|error| Failure::at(path, error))
    }

    /// Stops it in order.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        asked.map_err(|error| Failure::at("kill", error))?;
        let status = self.child.wait().map_err(|error| Failure::at("freehold up", error))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(format!("freehold up did not stop in order: {status}")))
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // After an orderly stop there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
