//! What was trained, as other people's engines see it; and the trainer written in Python.
//!
//! These need the Python packages that `cargo xtask setup` installs, and pass over without them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{Folder, say};

/// A path that the set-up gives, where it could.
fn given(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    if path.is_none() {
        eprintln!("passed over: {variable} is not set");
    }
    path
}

/// Asks ONNX Runtime, and holds its answer against the manifest beside the model.
fn agrees_with_its_manifest(python: &Path, folder: &Folder) {
    let manifest: toml::Value = toml::from_str(&folder.read("model/freehold.toml")).unwrap();
    let case = &manifest["tests"][0];
    let request = serde_json::to_string(&case["input"]["request"]).unwrap();
    let request = folder.write("request.json", request);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/engine.py");
    let model = folder.0.join("model/model.onnx");
    let words = [script.as_path(), &model, &request];
    let output = Command::new(python).args(words).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["batch"], "batch", "the first dimension takes any size");
    assert_eq!(answer["shape"], serde_json::json!([4, 1]));
    let expected = case["expect"]["outputs"][0]["data"].as_array().unwrap();
    for (risk, expected) in answer["risk"].as_array().unwrap().iter().zip(expected) {
        let (risk, expected) = (risk.as_f64().unwrap(), expected.as_float().unwrap());
        assert!((risk - expected).abs() < 5e-4, "{risk} is not {expected}");
    }
}

fn root(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("input/data/training/events.csv", say("generate --rows 1500"));
    folder
}

#[test]
fn another_engine_answers_what_the_trainer_computed() {
    let Some(python) = given("FREEHOLD_TEST_PYTHON") else { return };
    for hidden in [0, 8] {
        let folder = root(&format!("engine-{hidden}"));
        let parameters = format!("{{\"hidden\": {hidden}, \"epochs\": 5}}");
        folder.write("input/config/hyperparameters.json", parameters);
        say(&format!("train --root {}", folder.0.display()));
        agrees_with_its_manifest(&python, &folder);
    }
}

/// The trainer in Python as its package would be: its files, and its packages beside them.
fn python_package() -> Option<Folder> {
    let packages = given("FREEHOLD_TEST_SKLEARN")?;
    let package = Folder::new("sklearn");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../signin-risk-sklearn");
    for name in ["train.py", "features.py", "onnx_file.py"] {
        fs::copy(source.join(name), package.0.join(name)).unwrap();
    }
    std::os::unix::fs::symlink(packages, package.0.join("vendor")).unwrap();
    Some(package)
}

#[test]
fn the_trainer_in_python_keeps_the_same_contract() {
    let Some(python) = given("FREEHOLD_TEST_PYTHON") else { return };
    let Some(package) = python_package() else { return };
    let folder = root("python");
    let program = package.0.join("train.py");
    let output = Command::new(program).arg(&folder.0).env_clear().output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("progress 0.25 epoch 5/20 loss 0."), "{said}");
    agrees_with_its_manifest(&python, &folder);
}

#[test]
fn both_trainers_see_the_same_features() {
    let folder = root("features");
    let events = folder.0.join("input/data/training/events.csv");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../signin-risk-sklearn");
    let code = "import sys, json; sys.dont_write_bytecode = True; sys.path.insert(0, sys.argv[1]); \
                import features; print(json.dumps(features.of_events(features.read(sys.argv[2]))))";
    let mut python = Command::new("/usr/bin/python3");
    let Ok(output) = python.args(["-c", code]).arg(&source).arg(&events).output() else {
        eprintln!("passed over: there is no /usr/bin/python3");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (rows, labels): (Vec<Vec<f64>>, Vec<u8>) = serde_json::from_slice(&output.stdout).unwrap();
    let lines = say(&format!("features {}", events.display()));
    assert_eq!(lines.lines().count(), rows.len());
    for ((line, row), label) in lines.lines().zip(rows).zip(labels) {
        let ours: Value = serde_json::from_str(line).unwrap();
        assert_eq!(ours["risky"], label == 1);
        for (left, right) in ours["features"].as_array().unwrap().iter().zip(&row) {
            assert!((left.as_f64().unwrap() - right).abs() < 1e-6, "{line} is not {row:?}");
        }
    }
}
