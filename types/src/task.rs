//! Tasks: code that can run, how it is started, and what it may use.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::functions::{FunctionName, FunctionReference};
use crate::names::{NameError, Reference};

/// What the reference of a function begins with; items have no colon in theirs.
const FUNCTION: &str = "function:";

/// How a task is started and spoken to.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// An ONNX model, run by the model worker.
    Onnx,
    /// A program that trains or runs a batch and ends: the `/opt/ml` contract.
    Job,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Onnx => "onnx",
            Self::Job => "job",
        })
    }
}

/// Code that an endpoint can run: a model or pipeline by its reference, or a function of the same
/// account as `function:NAME`, perhaps with `:QUALIFIER` behind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TaskReference {
    /// A version of an item.
    Item(Reference),
    /// A function.
    Function {
        /// Its name.
        name: FunctionName,
        /// A version or alias; empty for the latest.
        qualifier: String,
    },
}

impl TaskReference {
    /// The version of the item, where it is one and names it.
    pub const fn version(&self) -> Option<u32> {
        match self {
            Self::Item(reference) => reference.version,
            Self::Function { .. } => None,
        }
    }
}

impl FromStr for TaskReference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if !text.starts_with(FUNCTION) {
            return text.parse().map(Self::Item);
        }
        let refuse = || NameError::Task { text: text.chars().take(160).collect() };
        let FunctionReference { account, name, qualifier } = text.parse().map_err(|_| refuse())?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '$' | '-' | '_');
        if account.is_some() || qualifier.len() > 128 || !qualifier.chars().all(plain) {
            return Err(refuse());
        }
        Ok(Self::Function { name, qualifier })
    }
}

impl TryFrom<String> for TaskReference {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<TaskReference> for String {
    fn from(task: TaskReference) -> Self {
        task.to_string()
    }
}

impl From<Reference> for TaskReference {
    fn from(reference: Reference) -> Self {
        Self::Item(reference)
    }
}

impl fmt::Display for TaskReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(reference) => reference.fmt(f),
            Self::Function { name, qualifier } if qualifier.is_empty() => {
                write!(f, "{FUNCTION}{name}")
            }
            Self::Function { name, qualifier } => write!(f, "{FUNCTION}{name}:{qualifier}"),
        }
    }
}

impl utoipa::PartialSchema for TaskReference {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("a model or pipeline such as `signin@3`, or `function:NAME:ALIAS`"))
            .examples([serde_json::json!("signin@3"), serde_json::json!("function:scorer:live")])
            .into()
    }
}

impl utoipa::ToSchema for TaskReference {}

/// What one instance may use. Every limit is hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Longest run of one request, or of the whole job, in milliseconds.
    pub timeout_ms: u64,
    /// Largest memory, in bytes.
    pub memory_bytes: u64,
    /// Processor time, in thousandths of one processor.
    pub cpu_milli: u32,
    /// Most processes and threads.
    pub processes: u32,
    /// Largest private scratch folder, in bytes.
    pub scratch_bytes: u64,
}

/// A size of instance that can be asked for by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct InstanceType {
    /// Its name, such as `small`.
    pub name: &'static str,
    /// Processor time, in thousandths of one processor.
    pub cpu_milli: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
}

const MIB: u64 = 1 << 20;

impl InstanceType {
    /// Every instance type, smallest first.
    pub const ALL: [Self; 4] = [
        Self { name: "nano", cpu_milli: 250, memory_bytes: 256 * MIB },
        Self { name: "small", cpu_milli: 500, memory_bytes: 512 * MIB },
        Self { name: "medium", cpu_milli: 1_000, memory_bytes: 1_024 * MIB },
        Self { name: "large", cpu_milli: 2_000, memory_bytes: 4_096 * MIB },
    ];

    /// The instance type of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|instance_type| instance_type.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_survive_text() {
        for text in ["a", "acme/a@12", "function:f", "function:f:live", "function:f:3"] {
            assert_eq!(text.parse::<TaskReference>().unwrap().to_string(), text);
        }
        for bad in ["", "function:", "function:a:b:c", "function:f:a b", "a@0", "lambda:f"] {
            assert!(bad.parse::<TaskReference>().is_err(), "{bad}");
        }
    }
}
