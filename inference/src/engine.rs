//! Engines: what runs a model, behind one trait.
//!
//! Always true: an engine takes inputs in the model's order, already checked against its
//! description, and gives all outputs in the model's order.

mod elements;
mod onnxruntime;
mod tract;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use types::{Tensor, TensorSpec};

pub(crate) use elements::texts;

use crate::fault::Fault;
use crate::task::{EngineChoice, Task};

/// What is served, and by what; the answer to `Describe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// `onnxruntime` or `tract`.
    pub engine: &'static str,
    /// The engine's version.
    pub engine_version: String,
    /// The kind of model.
    pub platform: &'static str,
    /// What the model takes, in its order.
    pub inputs: Vec<TensorSpec>,
    /// What the model gives, in its order.
    pub outputs: Vec<TensorSpec>,
    /// Most rows that are run together; 0 where requests are never joined.
    pub batch_max: u32,
    /// Whether the first dimension of everything is free.
    #[serde(skip)]
    pub(crate) free_first: bool,
}

/// One input of a run: the data of one request, or of several, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) shape: Vec<u64>,
    pub(crate) parts: Vec<Bytes>,
}

/// What a run gave, and where its time went.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) outputs: Vec<Tensor>,
    pub(crate) input_ns: u64,
    pub(crate) infer_ns: u64,
    pub(crate) output_ns: u64,
}

/// Stops the run it was made for, from any thread. The run then ends soon, with an error.
pub(crate) type Stop = Arc<dyn Fn() + Send + Sync>;

/// What runs a model. One thread has it at a time.
pub(crate) trait Engine: Send {
    fn description(&self) -> &Description;

    /// Makes what stops the next run; none where this engine cannot be stopped.
    fn stop(&mut self) -> Result<Option<Stop>, Fault>;

    /// Runs the model.
    fn run(&mut self, inputs: &[Input]) -> Result<Ran, Fault>;
}

/// Loads the task's model with the engine it asks for.
///
/// # Errors
///
/// What each engine that was tried says.
pub(crate) fn load(task: &Task) -> Result<Box<dyn Engine>, Fault> {
    let path = entry(task)?;
    let mut tried = Vec::new();
    if task.engine != EngineChoice::Tract {
        match &task.onnxruntime {
            Some(library) => match onnxruntime::OnnxRuntime::load(&path, library, task) {
                Ok(engine) => return Ok(Box::new(engine)),
                Err(fault) => tried.push(format!("onnxruntime: {fault}")),
            },
            None => tried.push("onnxruntime: no library was given".to_owned()),
        }
    }
    if task.engine != EngineChoice::Onnxruntime {
        match tract::Tract::load(&path, task) {
            Ok(engine) => return Ok(Box::new(engine)),
            Err(fault) => tried.push(format!("tract: {fault}")),
        }
    }
    let message = format!("no engine takes {}: {}", task.entry.display(), tried.join("; "));
    Err(Fault::bad(message))
}

/// The model's path, which must lie in the package.
fn entry(task: &Task) -> Result<std::path::PathBuf, Fault> {
    let told = |path: &Path| {
        let path = path.to_path_buf();
        move |error| Fault::bad(format!("cannot find {}: {error}", path.display()))
    };
    let package = task.package.canonicalize().map_err(told(&task.package))?;
    let path = package.join(&task.entry);
    let path = path.canonicalize().map_err(told(&task.entry))?;
    if path.starts_with(&package) {
        return Ok(path);
    }
    Err(Fault::bad(format!("{} leads out of the package", task.entry.display())))
}

/// Makes a description. Requests can be joined where the first dimension of everything is free, and
/// the producer says by `batch_max` that its rows do not depend on each other.
pub(crate) fn describe(
    engine: &'static str,
    engine_version: String,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    task: &Task,
) -> Description {
    let mut all = inputs.iter().chain(&outputs);
    let free_first = !inputs.is_empty() && all.all(|spec| spec.shape.first() == Some(&-1));
    let batch_max = if free_first && task.batch_max > 1 { task.batch_max } else { 0 };
    Description { engine, engine_version, platform: "onnx", inputs, outputs, batch_max, free_first }
}

/// Nanoseconds since then.
pub(crate) fn ns_since(then: std::time::Instant) -> u64 {
    u64::try_from(then.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
