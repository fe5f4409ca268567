//! Manifests: `freehold.toml`, what a producer says about an item.
//!
//! Always true: a manifest that [`parse`] returns keeps every rule of [`check`], and
//! `parse(write(m))` is `m`. Unknown keys are refused, so that a misspelt one is not lost. An error
//! says the line, the key, what is wrong, and what to write.
//! Absent on purpose: whether the named files exist. The catalogue knows the package.

mod check;
mod draft;
mod expect;
mod parameters;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use types::{Datatype, ErrorKind, FigureName, Format, ItemKind, Name, Reference, Runtime};

pub use self::check::{JOB_MS_MAX, check};
pub use self::draft::draft;
pub use self::expect::Mismatch;
pub use self::text::{parse, write};

/// The manifest's name, at the root of a package.
pub const FILE_NAME: &str = "freehold.toml";
/// Largest manifest, in bytes: a long one has some ten thousand.
pub const BYTES_MAX: u64 = 256 << 10;

/// The code of a manifest that breaks a rule.
pub const CODE_INVALID: &str = "invalid_manifest";
/// The code of a folder in which nothing is recognised.
pub const CODE_NOTHING_FOUND: &str = "nothing_to_publish";
/// The code of a parameter that an algorithm does not take.
pub const CODE_PARAMETER: &str = "invalid_parameter";

/// What a producer says about an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What the item is.
    pub kind: ItemKind,
    /// Its name in the producer's account.
    pub name: Name,
    /// Its name for people; the name where absent.
    #[serde(default)]
    pub title: String,
    /// One or two sentences for the list of results.
    pub summary: String,
    /// What it is about, as a name: `security`, `image-classification`.
    pub category: String,
    /// A narrower category, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subcategory: String,
    /// Further words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The SPDX expression of its licence, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub license: String,
    /// A Markdown file of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documentation: Option<String>,
    /// Names of the data sets that an algorithm reads, as folders of `/opt/ml/input/data`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// The models of a pipeline, first to last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Reference>,
    /// What goes in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Format>,
    /// What comes out; of a data set, what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Format>,
    /// How it runs; of models and algorithms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// What one instance needs.
    #[serde(default)]
    pub requires: Requires,
    /// What an algorithm can be told, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Parameter>,
    /// What must hold before a version is published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestCase>,
    /// Numbers the producer claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<ClaimedFigure>,
    /// How it is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// Code that can run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// How it is started and spoken to.
    pub runtime: Runtime,
    /// The file of the package that is run or loaded.
    pub entry: String,
    /// Arguments of a job's program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Longest run of one request or of the whole job, in milliseconds; where absent 10 seconds
    /// for `onnx` and 1 hour for `job`.
    #[serde(default)]
    pub timeout_ms: u64,
    /// Most rows that may run together; 1 where absent.
    #[serde(default = "one")]
    pub batch_max: u32,
}

fn one() -> u32 {
    1
}

/// What one instance needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Requires {
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Processor time, in thousandths of one processor.
    pub cpu_milli: u32,
    /// Most processes and threads.
    pub processes: u32,
    /// Private scratch folder, in MiB.
    pub scratch_mib: u64,
}

impl Default for Requires {
    /// Enough for a small model in the model worker.
    fn default() -> Self {
        Self { memory_mib: 256, cpu_milli: 250, processes: 64, scratch_mib: 64 }
    }
}

/// Something an algorithm can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// What it holds.
    #[serde(rename = "type")]
    pub parameter_type: ParameterType,
    /// What it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its value where none is given; without it, a value must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Smallest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The only texts allowed; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterType {
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A text.
    Text,
}

/// A case that must hold before a version is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// What the case shows.
    pub name: String,
    /// What goes in.
    pub input: TestInput,
    /// What must come out.
    #[serde(default, skip_serializing_if = "Expect::is_empty")]
    pub expect: Expect,
}

/// What goes into a test case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum TestInput {
    /// Of a model: an inference request of the Open Inference Protocol.
    Request(Value),
    /// The same, as a JSON file of the package.
    File(String),
    /// Of an algorithm: a training run.
    Job {
        /// A file or folder of the package for each channel.
        #[serde(default)]
        channels: BTreeMap<String, String>,
        /// Parameters that differ from their defaults.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        parameters: BTreeMap<String, Value>,
    },
}

/// What must come out of a test case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Of a model: outputs, as far as they are named here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<ExpectedOutput>,
    /// Of an algorithm: files that stand in `/opt/ml/model` afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

/// An output that must come out of a test case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedOutput {
    /// The output's name.
    pub name: String,
    /// Its datatype, where that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datatype: Option<Datatype>,
    /// Its shape, where that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<u64>>,
    /// Its elements, flat or nested, where they matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// How far a number may be off; 0 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
}

/// A number the producer claims.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimedFigure {
    /// What it is about; its unit ends the name.
    pub name: FigureName,
    /// The number.
    pub value: u64,
    /// Where it comes from: a machine, a data set, a paper.
    pub source: String,
}

/// How an item is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What it shows.
    pub title: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What goes in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// What comes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

/// Why a manifest is not accepted, or none can be drafted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest breaks a rule.
    #[error("{}: {problem}; {cure}", place(*line, key))]
    Invalid {
        /// The line, from 1; none where the manifest is not text, or nothing stands there yet.
        line: Option<usize>,
        /// The key, such as `task.entry`; empty where there is none.
        key: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        cure: String,
    },
    /// A parameter that was given cannot be used.
    #[error("parameter {name:?}: {problem}; {cure}")]
    Parameter {
        /// The parameter.
        name: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        cure: String,
    },
    /// Nothing in a folder tells what it is.
    #[error(
        "{folder:?} holds no model (.onnx), program, notebook (.ipynb) or table (.csv) to \
        publish; put one in, or write {FILE_NAME} by hand"
    )]
    NothingFound {
        /// The folder.
        folder: String,
    },
    /// A file of the folder cannot be read for what it is.
    #[error("could not draft a manifest from {file:?}: {problem}")]
    Draft {
        /// The file.
        file: String,
        /// What is wrong, and the cure.
        problem: String,
    },
}

impl Error {
    /// What the error means to a caller.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::BadRequest
    }

    /// The word clients match on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => CODE_INVALID,
            Self::Parameter { .. } => CODE_PARAMETER,
            Self::NothingFound { .. } | Self::Draft { .. } => CODE_NOTHING_FOUND,
        }
    }
}

fn place(line: Option<usize>, key: &str) -> String {
    let mut place = FILE_NAME.to_owned();
    if let Some(line) = line {
        place += &format!(" line {line}");
    }
    if !key.is_empty() {
        place += &format!(", `{key}`");
    }
    place
}
