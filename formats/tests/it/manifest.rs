//! Manifests: read with a place for every error, written, and drafted by looking at a folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use formats::manifest::{Manifest, check, draft, parse, write};
use types::{Datatype, Tensor};

use crate::protobuf::add_bias;

const MODEL: &str = r#"
kind = "model"
name = "signin-risk"
summary = "Tells risky sign-ins from ordinary ones."
category = "security"
subcategory = "fraud"
tags = ["sign-in", "tabular"]
license = "MIT"
documentation = "README.md"

[input]
kind = "tensors"
tensors = [{ name = "features", datatype = "FP32", shape = [-1, 3] }]

[output]
kind = "tensors"
tensors = [{ name = "risk", datatype = "FP32", shape = [-1, 1] }]

[task]
runtime = "onnx"
entry = "model.onnx"
timeout_ms = 500
batch_max = 32

[requires]
memory_mib = 300

[[tests]]
name = "an ordinary sign-in"
input.request.inputs = [
    { name = "features", datatype = "FP32", shape = [1, 3], data = [0.0, 1.0, 2] },
]
expect.outputs = [{ name = "risk", data = [0.25], tolerance = 0.01 }]

[[tests]]
name = "a risky sign-in"
input.file = "tests/risky.json"

[[figures]]
name = "accuracy_ppm"
value = 950000
source = "held-out tenth"

[[examples]]
title = "One sign-in"
input = { inputs = [] }
"#;

const ALGORITHM: &str = r#"
kind = "algorithm"
name = "gradient-boosting"
title = "Gradient boosting"
summary = "Trains a classifier from a table."
category = "tabular-classification"
channels = ["train", "validation"]

[task]
runtime = "job"
entry = "bin/train"
args = ["--quiet"]

[parameters.rounds]
type = "integer"
default = 100
min = 1
max = 1000

[parameters.loss]
type = "text"
default = "log"
choices = ["log", "square"]

[parameters.rate]
type = "number"

[[tests]]
name = "a small table"
input.job.channels.train = "tests/small.csv"
input.job.parameters = { rate = 0.5, rounds = 3 }
expect.files = ["model.onnx"]
"#;

#[test]
fn whole_manifests_are_read_and_written() {
    let model = parse(MODEL).unwrap();
    assert_eq!((model.title.as_str(), model.requires.cpu_milli), ("signin-risk", 250));
    let algorithm = parse(ALGORITHM).unwrap();
    assert_eq!(algorithm.task.as_ref().unwrap().timeout_ms, 3_600_000);
    for manifest in [&model, &algorithm] {
        assert_eq!(&parse(&write(manifest)).unwrap(), manifest);
        let json = serde_json::to_string(manifest).unwrap();
        assert_eq!(&serde_json::from_str::<Manifest>(&json).unwrap(), manifest);
    }
    insta::assert_snapshot!(format!("{}\n----\n{}", write(&model), write(&algorithm)));
}

#[test]
fn a_job_may_run_for_a_week() {
    let lasting = |ms: u64| {
        let mut algorithm = parse(ALGORITHM).unwrap();
        algorithm.task.as_mut().unwrap().timeout_ms = ms;
        check(&algorithm)
    };
    assert!(lasting(7 * 24 * 3_600_000).is_ok());
    assert!(lasting(7 * 24 * 3_600_000 + 1).unwrap_err().to_string().contains("timeout_ms"));
}

#[test]
fn every_broken_rule_names_line_key_and_cure() {
    let model = |from: &str, to: &str| {
        assert!(MODEL.contains(from), "{from}");
        MODEL.replacen(from, to, 1)
    };
    let algorithm = |from: &str, to: &str| {
        assert!(ALGORITHM.contains(from), "{from}");
        ALGORITHM.replacen(from, to, 1)
    };
    let cases = [
        String::new(),
        "kind = \"model\nname = 1".to_owned(),
        model("kind = \"model\"\n", ""),
        model("kind = \"model\"", "kind = \"modell\""),
        model("category = \"security\"\n", ""),
        model("name = \"signin-risk\"", "name = \"Sign-in Risk\""),
        model("summary", "sumary"),
        model("summary = \"Tells risky sign-ins from ordinary ones.\"", "summary = \" \""),
        model("category = \"security\"", "category = \"Security!\""),
        model("license = \"MIT\"", "license = \"MIT\"\nlicense = \"MIT\""),
        model("documentation = \"README.md\"", "documentation = \"../README.md\""),
        model("tags = [\"sign-in\", \"tabular\"]", "tags = \"sign-in\""),
        model("datatype = \"FP32\"", "datatype = \"FLOAT\""),
        model("shape = [-1, 3]", "shape = [-2, 3]"),
        model("batch_max = 32", "batch_maximum = 32"),
        model("batch_max = 32", "batch_max = 0"),
        model("timeout_ms = 500", "timeout_ms = \"500\""),
        model("timeout_ms = 500", "timeout_ms = 999999999"),
        model("entry = \"model.onnx\"\n", ""),
        model("entry = \"model.onnx\"", "entry = \"/model.onnx\""),
        model("runtime = \"onnx\"", "runtime = \"job\""),
        model("memory_mib = 300", "memory_mib = 0"),
        model("memory_mib = 300", "memory = 300"),
        model("\n[[examples]]", "\n[parameters.a]\ntype = \"integer\"\n\n[[examples]]"),
        model("name = \"a risky sign-in\"", "name = \"an ordinary sign-in\""),
        model("input.file = \"tests/risky.json\"", "input.files = \"tests/risky.json\""),
        model("input.file = \"tests/risky.json\"", "input.job.channels.train = \"a.csv\""),
        model("tolerance = 0.01", "tolerance = -0.01"),
        model("data = [0.25]", "data = [nan]"),
        model("value = 950000", "value = 0.95"),
        model("name = \"accuracy_ppm\"", "name = \"accuracy\""),
        model("input = { inputs = [] }", "input = 2020-02-03"),
        algorithm("channels = [\"train\", \"validation\"]\n", ""),
        algorithm("\"validation\"", "\"train\""),
        algorithm("\"validation\"", "\"../train\""),
        algorithm("default = 100", "default = 0"),
        algorithm("default = \"log\"", "default = \"cube\""),
        algorithm("type = \"number\"", "type = \"float\""),
        algorithm("channels.train", "channels.training"),
        algorithm("rate = 0.5, ", ""),
        algorithm("rate = 0.5", "rate = \"fast\""),
        algorithm("expect.files = [\"model.onnx\"]", ""),
        algorithm("kind = \"algorithm\"", "kind = \"pipeline\""),
        "kind = \"pipeline\"\nname = \"p\"\nsummary = \"s\"\ncategory = \"c\"".to_owned(),
        "kind = \"pipeline\"\nname = \"p\"\nsummary = \"s\"\ncategory = \"c\"\nstages = [\"a/b/c\"]"
            .to_owned(),
        format!("{MODEL}\n# {}", "x".repeat(300_000)),
    ];
    let mut answers = String::new();
    for text in cases {
        answers += &format!("{}\n", parse(&text).expect_err(&text));
    }
    insta::assert_snapshot!(answers);
}

#[test]
fn parameters_are_resolved_or_refused() {
    let algorithm = parse(ALGORITHM).unwrap();
    let given = |value: serde_json::Value| -> BTreeMap<String, serde_json::Value> {
        serde_json::from_value(value).unwrap()
    };
    let resolved = algorithm.resolve_parameters(&given(json!({"rate": 1, "rounds": 7}))).unwrap();
    assert_eq!(json!(resolved), json!({"loss": "log", "rate": 1, "rounds": 7}));
    let mut answers = String::new();
    for wrong in [
        json!({}),
        json!({"rate": "fast"}),
        json!({"rate": 1, "rounds": 1.5}),
        json!({"rate": 1, "rounds": 1001}),
        json!({"rate": 1, "loss": "cube"}),
        json!({"rate": 1, "epochs": 3}),
    ] {
        answers += &format!("{}\n", algorithm.resolve_parameters(&given(wrong)).unwrap_err());
    }
    insta::assert_snapshot!(answers);
}

#[test]
fn outputs_are_held_against_what_is_expected() {
    let expect = &parse(MODEL).unwrap().tests[0].expect;
    let risk = |value: f32| Tensor {
        name: "risk".to_owned(),
        datatype: Datatype::Fp32,
        shape: vec![1, 1],
        data: value.to_le_bytes().to_vec().into(),
    };
    assert_eq!(expect.compare(&[risk(0.2501)]), Ok(()));
    let mut answers = String::new();
    for outputs in [
        vec![],
        vec![risk(0.27)],
        vec![risk(f32::NAN)],
        vec![Tensor { shape: vec![0], data: vec![].into(), ..risk(0.0) }],
        vec![Tensor { datatype: Datatype::Int32, ..risk(0.25) }],
    ] {
        answers += &format!("{}\n", expect.compare(&outputs).unwrap_err());
    }
    insta::assert_snapshot!(answers);
}

fn put(folder: &Path, path: &str, content: impl AsRef<[u8]>) {
    let place = folder.join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, content).unwrap();
}

fn make_executable(place: &Path) {
    fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_folder_tells_what_it_is() {
    let parent = TempDir::new().unwrap();
    let folder = |name: &str| {
        let folder = parent.path().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    };
    let model = folder("Add Bias (v2)");
    put(&model, "model.onnx", add_bias());
    put(&model, "README.md", "# Add a bias\n\n![badge](x)\n\nAdds one to four.\n\nMore.\n");
    put(&model, "LICENSE", "MIT License\n\nCopyright");
    let algorithm = folder("boosting");
    put(&algorithm, "setup.sh", "#!/bin/sh\n");
    put(&algorithm, "train.py", "#!/usr/bin/env python3\n");
    put(&algorithm, "sample.csv", "a,b\n1,2\n");
    make_executable(&algorithm.join("setup.sh"));
    make_executable(&algorithm.join("train.py"));
    let dataset = folder("sign-ins");
    put(&dataset, "data/events.csv", "when,user,risky\n2020-02-03,a,true\n");
    let notebook = folder("___");
    put(&notebook, "explore.ipynb", "{}");
    let mut drafts = String::new();
    for folder in [model, algorithm, dataset, notebook] {
        let manifest = draft(&folder).unwrap();
        assert_eq!(parse(&write(&manifest)).unwrap(), manifest);
        drafts += &format!("{}\n----\n", write(&manifest));
    }
    insta::assert_snapshot!(drafts);
}

#[test]
fn a_folder_that_tells_nothing_is_refused() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "notes.txt", "hello");
    let refusal = draft(folder.path()).unwrap_err();
    assert_eq!(refusal.code(), "nothing_to_publish");
    put(folder.path(), "large.onnx", "");
    let large = fs::File::options().write(true).open(folder.path().join("large.onnx")).unwrap();
    large.set_len(2 << 30).unwrap();
    let refusal = draft(folder.path()).unwrap_err().to_string();
    assert!(refusal.contains("above the limit of 2147483647"), "{refusal}");
    fs::remove_file(folder.path().join("large.onnx")).unwrap();
    put(folder.path(), "broken.onnx", "hello");
    let refusal = draft(folder.path()).unwrap_err().to_string();
    assert!(refusal.contains("\"broken.onnx\": this is not an ONNX model"), "{refusal}");
}

#[test]
fn the_rules_hold_for_manifests_that_were_never_text() {
    let mut manifest = parse(MODEL).unwrap();
    manifest.summary.clear();
    let refusal = check(&manifest).unwrap_err().to_string();
    assert_eq!(
        refusal,
        "freehold.toml, `summary`: it is empty; say in a sentence what the item does"
    );
}

proptest! {
    /// A line that is changed, lost or doubled gives a manifest that survives, or an error.
    #[test]
    fn a_changed_line_is_survived(line in 0..50_usize, other in 0..50_usize, twice: bool) {
        for text in [MODEL, ALGORITHM] {
            let mut lines: Vec<&str> = text.lines().collect();
            let moved = lines[other % lines.len()];
            let at = line % lines.len();
            if twice { lines.insert(at, moved) } else { lines[at] = moved }
            if let Ok(manifest) = parse(&lines.join("\n")) {
                prop_assert_eq!(parse(&write(&manifest)).unwrap(), manifest);
            }
        }
    }

    /// No text makes the reader panic.
    #[test]
    fn any_text_is_a_manifest_or_an_error(text in "[a-z=\\[\\]{}\"'.,0-9 \n#]{0,100}") {
        let _ = parse(&text);
    }
}
