//! Features: what this machine gives instances, as a cloud tells of its hosts.
//!
//! Always true: nothing of this needs a cloud; every means of sealing is told, held or missing.

use std::path::PathBuf;

use api::status::Feature;
use executor::attempts::tally;
use executor::{Level, OrtFound};

/// The means of sealing an instance that this machine offers or lacks.
pub fn isolation() -> Vec<Feature> {
    of_level(Level::Process, executor::features())
}

/// Those of an executor and its level, and the engine that was looked for.
pub fn of_host(level: Level, isolation: Vec<executor::Feature>, found: &OrtFound) -> Vec<Feature> {
    let mut features = of_level(level, isolation);
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

fn of_level(level: Level, isolation: Vec<executor::Feature>) -> Vec<Feature> {
    let attempts = attempts(level, &isolation);
    isolation.into_iter().map(told).chain([attempts]).collect()
}

/// How many of the attempts at breaking out a level holds here, and which it does not offer to hold.
fn attempts(level: Level, isolation: &[executor::Feature]) -> Feature {
    let (held, not_offered) = tally(level, isolation);
    let mut detail = format!("{}: {held} attempts held", level.word());
    if !not_offered.is_empty() {
        let names: Vec<String> = not_offered
            .iter()
            .map(|(attempt, lacks)| format!("{} ({lacks})", attempt.name))
            .collect();
        detail += &format!(", {} not offered: {}", names.len(), names.join(", "));
    }
    Feature {
        name: "isolation".to_owned(),
        held: not_offered.is_empty(),
        matters: "code of others tries to break out of its sandbox".to_owned(),
        detail,
    }
}

fn told(feature: executor::Feature) -> Feature {
    Feature {
        name: feature.name.to_owned(),
        held: feature.held,
        matters: feature.why.to_owned(),
        detail: feature.missing_because.or(feature.how.map(str::to_owned)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_offered_is_named_with_what_is_missing() {
        let mut features = executor::features();
        for feature in &mut features {
            feature.held = feature.name != "host name namespace";
        }
        let told = attempts(Level::Process, &features);
        assert!(!told.held);
        let end = ", 1 not offered: host-name (host name namespace)";
        assert!(told.detail.starts_with("process: ") && told.detail.ends_with(end), "{told:?}");
        // A runtime is refused where it would lack something.
        let told = attempts(Level::Oci, &features);
        let count = executor::attempts::ATTEMPTS.len();
        assert_eq!((told.held, told.detail), (true, format!("oci: {count} attempts held")));
    }
}
