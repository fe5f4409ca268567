//! Training by the `/opt/ml` contract.

use std::fs;

use serde_json::{Value, json};

use crate::{Folder, recorded, run, say};

/// A root folder as a platform lays it out.
fn root(name: &str, parameters: &Value, csv: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("input/config/hyperparameters.json", parameters.to_string());
    let channel = json!({ "TrainingInputMode": "File", "ContentType": "text/csv" });
    let channels = json!({ "training": channel });
    folder.write("input/config/inputdataconfig.json", channels.to_string());
    let resources = json!({ "current_host": "algo-1", "hosts": ["algo-1"] });
    folder.write("input/config/resourceconfig.json", resources.to_string());
    folder.write("input/data/training/events.csv", csv);
    folder
}

fn train(folder: &Folder) -> std::process::Output {
    run(&format!("train --root {}", folder.0.display()))
}

/// The claimed accuracy in a model's manifest.
fn accuracy_ppm(folder: &Folder) -> u32 {
    let manifest = folder.read("model/freehold.toml");
    let (_, rest) = manifest.split_once("name = \"accuracy_ppm\"\nvalue = ").unwrap();
    rest.lines().next().unwrap().parse().unwrap()
}

#[test]
fn training_tells_its_progress_and_leaves_a_model_with_its_manifest() {
    let csv = say("generate --rows 3000");
    let folder = root("train", &json!({ "epochs": "8", "seed": 3 }), &csv);
    let output = train(&folder);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let progress: Vec<&str> = said.lines().filter(|line| line.starts_with("progress ")).collect();
    assert_eq!(progress.len(), 8);
    assert!(progress[3].starts_with("progress 0.50 epoch 4/8 loss 0."), "{}", progress[3]);
    assert!(accuracy_ppm(&folder) > 900_000, "{said}");
    assert!(!folder.0.join("output/failure").exists());
    let manifest = folder.read("model/freehold.toml");
    for line in ["kind = \"model\"", "runtime = \"onnx\"", "entry = \"model.onnx\""] {
        assert!(manifest.contains(line), "{line} is not in\n{manifest}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let csv = say("generate --rows 400");
    let model = |name: &str, seed: u32| {
        let folder = root(name, &json!({ "epochs": 3, "seed": seed }), &csv);
        assert!(train(&folder).status.success());
        fs::read(folder.0.join("model/model.onnx")).unwrap()
    };
    let first = model("bytes-a", 1);
    assert_eq!(first, model("bytes-b", 1));
    assert_ne!(first, model("bytes-c", 2));
}

#[test]
fn a_failure_is_left_where_the_platform_looks() {
    let csv = say("generate --rows 400");
    let head = csv.lines().next().unwrap();
    let kept: Vec<&str> = csv.lines().filter(|line| !line.contains("True,True")).collect();
    let ordinary = kept.join("\n");
    let ordinary = ordinary.replace("False,True,False", "False,False,False");
    let broken = csv.replacen("False", "maybe", 1);
    let cases = [
        ("few", json!({}), csv.lines().take(20).collect::<Vec<_>>().join("\n"), "too few"),
        ("empty", json!({}), format!("{head}\n"), "too few"),
        ("ordinary", json!({}), ordinary, "ordinary"),
        ("broken", json!({}), broken, "maybe"),
        ("unknown", json!({ "epoch": 3 }), csv.clone(), "\"epoch\" is no hyperparameter"),
        ("wrong", json!({ "epochs": "none" }), csv.clone(), "epochs is \"none\""),
    ];
    for (name, parameters, csv, reason) in cases {
        let folder = root(&format!("failure-{name}"), &parameters, &csv);
        assert_eq!(train(&folder).status.code(), Some(1), "{name}");
        let failure = folder.read("output/failure");
        assert!(failure.contains(reason), "{name}: {failure}");
        assert!(!folder.0.join("model/model.onnx").exists(), "{name}");
    }
}

#[test]
fn channels_it_cannot_read_are_refused() {
    let csv = say("generate --rows 200");
    let cases = [
        (json!({ "train": {} }), "\"train\" is not known"),
        (json!({ "training": { "TrainingInputMode": "Pipe" } }), "is a pipe"),
        (json!({ "training": { "ContentType": "application/json" } }), "text/csv"),
    ];
    for (channels, reason) in cases {
        let folder = root("channels", &json!({}), &csv);
        folder.write("input/config/inputdataconfig.json", channels.to_string());
        assert_eq!(train(&folder).status.code(), Some(1));
        let failure = folder.read("output/failure");
        assert!(failure.contains(reason), "{failure}");
    }
}

#[test]
fn a_recorded_log_teaches_a_model() {
    let Some(log) = recorded("elastic-auth/auth.log") else { return };
    let csv = say(&format!("read-sshd {} --year 2017", log.display()));
    let folder = root("log", &json!({}), &csv);
    let output = train(&folder);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(accuracy_ppm(&folder) > 930_000, "{}", String::from_utf8_lossy(&output.stdout));
}
