//! Tasks: code that can run, how it is started, and what it may use.

use std::fmt;

use serde::{Deserialize, Serialize};

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
