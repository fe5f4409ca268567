//! Listings: what the catalogue shows of a version, as it is stored.
//!
//! Always true: a listing holds nothing of the package but what its manifest says and what was
//! measured; no file of the package can be read from it.

use serde::{Deserialize, Serialize};

use types::{Figure, FigureName, Format, Grade, Reference, Runtime};

use crate::package::Inspection;

/// What the catalogue shows of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    pub title: String,
    pub summary: String,
    pub category: String,
    pub subcategory: String,
    pub tags: Vec<String>,
    pub license: String,
    pub input: Option<Format>,
    pub output: Option<Format>,
    pub runtime: Option<Runtime>,
    pub requires: Requires,
    pub channels: Vec<String>,
    pub parameters: serde_json::Value,
    pub stages: Vec<Reference>,
    pub figures: Vec<Figure>,
    pub examples: Vec<serde_json::Value>,
    pub documentation: String,
}

/// What an instance needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requires {
    pub memory_bytes: u64,
    pub cpu_milli: u32,
    pub processes: u32,
    pub scratch_bytes: u64,
}

const MIB: u64 = 1 << 20;

impl Listing {
    /// What a package says of itself, with its producer's claims as figures.
    pub fn of(inspection: &Inspection, package_bytes: u64) -> Self {
        let manifest = &inspection.manifest;
        let mut figures: Vec<Figure> = manifest
            .figures
            .iter()
            .map(|claimed| Figure {
                name: claimed.name,
                value: claimed.value,
                grade: Grade::Claimed,
                source: claimed.source.clone(),
            })
            .collect();
        figures.push(Figure {
            name: FigureName::PackageBytes,
            value: package_bytes,
            grade: Grade::Measured,
            source: "the package as received".to_owned(),
        });
        Self {
            title: manifest.title.clone(),
            summary: manifest.summary.clone(),
            category: manifest.category.clone(),
            subcategory: manifest.subcategory.clone(),
            tags: manifest.tags.clone(),
            license: manifest.license.clone(),
            input: manifest.input.clone(),
            output: manifest.output.clone(),
            runtime: manifest.task.as_ref().map(|task| task.runtime),
            requires: Requires {
                memory_bytes: manifest.requires.memory_mib.saturating_mul(MIB),
                cpu_milli: manifest.requires.cpu_milli,
                processes: manifest.requires.processes,
                scratch_bytes: manifest.requires.scratch_mib.saturating_mul(MIB),
            },
            channels: manifest.channels.clone(),
            parameters: serde_json::to_value(&manifest.parameters).unwrap_or_default(),
            stages: manifest.stages.clone(),
            figures,
            examples: manifest
                .examples
                .iter()
                .filter_map(|example| serde_json::to_value(example).ok())
                .collect(),
            documentation: inspection.documentation.clone(),
        }
    }
}
