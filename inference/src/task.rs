//! The worker's task: which model to serve, and how.

use std::path::PathBuf;

use serde::Deserialize;

/// The environment variable that holds the task, as JSON.
pub const VARIABLE: &str = "FREEHOLD_TASK";

/// Which model to serve, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The model, a path in the package.
    pub entry: PathBuf,
    /// Most rows that are run together. 0 and 1 mean that requests are never joined; the producer
    /// says more where the rows of the first dimension do not depend on each other.
    #[serde(default)]
    pub batch_max: u32,
    /// Longest time for one request, in milliseconds, where the request gives none.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// Which engine runs it.
    #[serde(default)]
    pub engine: EngineChoice,
    /// ONNX Runtime's library.
    #[serde(default)]
    pub onnxruntime: Option<PathBuf>,
    /// Threads that one run may use.
    #[serde(default = "default_threads")]
    pub threads: usize,
    /// The package.
    #[serde(default = "default_package")]
    pub package: PathBuf,
    /// Longest time that a request waits for others to join it, in microseconds. 0 still joins what
    /// arrived while the engine was busy.
    #[serde(default)]
    pub delay_us: u64,
    /// How long the worker looks for the next request before it sleeps, in microseconds, while
    /// requests follow each other closely: at the cost of its processor.
    #[serde(default)]
    pub poll_us: u64,
    /// Most rows that wait; later requests are refused as busy.
    #[serde(default = "default_queue_rows")]
    pub queue_rows: u32,
    /// How long a run may go on that nobody waits for, in milliseconds, before the worker gives up
    /// and ends: ONNX Runtime stops between two nodes of the graph, tract not at all.
    #[serde(default = "default_stuck_ms")]
    pub stuck_ms: u64,
}

/// Which engine runs a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// ONNX Runtime where its library is given and takes the model, else tract.
    #[default]
    Auto,
    /// ONNX Runtime or nothing.
    Onnxruntime,
    /// Tract or nothing.
    Tract,
}

const fn default_timeout_ms() -> u64 {
    60_000
}

const fn default_threads() -> usize {
    1
}

fn default_package() -> PathBuf {
    PathBuf::from("/opt/freehold/package")
}

/// At a millisecond each, a second of work: longer queues only make every caller wait.
const fn default_queue_rows() -> u32 {
    1_024
}

/// Longer than a node of a large model takes, shorter than a person waits.
const fn default_stuck_ms() -> u64 {
    10_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_has_a_default_and_what_is_unknown_is_refused() {
        let task: Task = serde_json::from_str(r#"{"entry": "model.onnx"}"#).unwrap();
        assert_eq!((task.threads, task.engine), (1, EngineChoice::Auto));
        assert!(serde_json::from_str::<Task>(r#"{"entry": "m", "batch": 3}"#).is_err());
    }
}
