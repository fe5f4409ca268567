//! Figures: numbers about an item version, and how far they are to be trusted.
//!
//! Always true: a figure is an integer in the unit its name ends with; the grade says who says so.

use serde::{Deserialize, Serialize};

/// What a figure is about. The unit ends the name.
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
#[serde(rename_all = "snake_case")]
pub enum FigureName {
    /// Share of right answers, in parts per million.
    AccuracyPpm,
    /// Median time of one request, in microseconds.
    LatencyP50Us,
    /// The time that 99 of 100 requests stay under, in microseconds.
    LatencyP99Us,
    /// Largest resident memory of the instance, in bytes.
    MemoryPeakBytes,
    /// From the start of the process to its first readiness, in microseconds.
    StartUs,
    /// Size of the package, in bytes.
    PackageBytes,
}

impl FigureName {
    /// The name as the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccuracyPpm => "accuracy_ppm",
            Self::LatencyP50Us => "latency_p50_us",
            Self::LatencyP99Us => "latency_p99_us",
            Self::MemoryPeakBytes => "memory_peak_bytes",
            Self::StartUs => "start_us",
            Self::PackageBytes => "package_bytes",
        }
    }
}

/// How far a figure is to be trusted, least first.
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
pub enum Grade {
    /// The producer says so.
    Claimed,
    /// This cloud measured it while publishing.
    Measured,
    /// This cloud measured it on data the producer did not choose.
    Verified,
}

/// A number about an item version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Figure {
    /// What it is about.
    pub name: FigureName,
    /// The number, in the unit that ends the name.
    pub value: u64,
    /// How far it is to be trusted.
    pub grade: Grade,
    /// Where it came from: a machine, a data set, a paper.
    pub source: String,
}
