//! Features: what this machine gives instances, as a cloud tells of its hosts.
//!
//! Always true: nothing of this needs a cloud; every means of sealing is told, held or missing.

use std::path::PathBuf;

use api::status::Feature;
use executor::OrtFound;

/// The means of sealing an instance that this machine offers or lacks.
pub fn isolation() -> Vec<Feature> {
    executor::features().into_iter().map(told).collect()
}

/// Those of an executor, and the engine that was looked for.
pub fn of_host(isolation: Vec<executor::Feature>, found: &OrtFound) -> Vec<Feature> {
    let mut features: Vec<Feature> = isolation.into_iter().map(told).collect();
    let looked = |paths: &[PathBuf]| {
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    features.push(Feature {
        name: "onnxruntime".to_owned(),
        held: found.path.is_some(),
        matters: "runs more ONNX models, and most of them faster, than the built-in engine tract"
            .to_owned(),
        detail: match &found.path {
            Some(path) => path.display().to_string(),
            None => format!("{}; looked in {}", found.how_to_get, looked(&found.looked_in)),
        },
    });
    features
}

fn told(feature: executor::Feature) -> Feature {
    Feature {
        name: feature.name.to_owned(),
        held: feature.held,
        matters: feature.why.to_owned(),
        detail: feature.missing_because.or(feature.how.map(str::to_owned)).unwrap_or_default(),
    }
}
