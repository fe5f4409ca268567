//! Packages as a producer would write them: a folder with a `freehold.toml`.
//!
//! Always true: nothing is downloaded; the algorithm is a shell script under the `/opt/ml`
//! contract, so its "model" is one that lies in its package.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use crate::onnx;

/// A folder that can be published.
#[derive(Debug)]
pub struct Package {
    folder: TempDir,
}

/// Learns nothing, says what it does, and leaves the model of its package.
const TRAINER: &str = r#"#!/bin/sh
set -e
ml=/opt/ml
events="$ml/input/data/training/events.csv"
[ -f "$events" ] || { echo "the channel training has no events.csv" >"$ml/output/failure"; exit 1; }
value() { sed -n "s/.*\"$1\":\"\([0-9]*\)\".*/\1/p" "$ml/input/config/hyperparameters.json"; }
echo "learning from $(wc -l <"$events") lines"
if [ "$(value fail)" = 1 ]; then
    echo "told to fail" >"$ml/output/failure"
    exit 1
fi
echo "progress 0.5"
seconds=$(value seconds)
echo "sleeping $seconds s"
sleep "$seconds"
cp seed.onnx "$ml/model/model.onnx"
echo "progress 1"
echo "done" >&2
"#;

/// What the trainer and the data set agree on.
const TABLE: &str = r#"
kind = "table"
columns = [
    { name = "hour", type = "integer" },
    { name = "country", type = "text" },
    { name = "attack", type = "boolean" },
]
"#;

const EVENTS: &str = "hour,country,attack\n3,NO,true\n9,NO,false\n10,SE,false\n4,XX,true\n";

impl Package {
    /// An empty folder.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("the temporary folder can be written") }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// With this file.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it is below the folder"))
            .expect("the folder is ours");
        std::fs::write(path, content).expect("the folder is ours");
        self
    }

    /// With this program.
    #[must_use]
    pub fn program(self, path: &str, content: &str) -> Self {
        let this = self.file(path, content);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(this.folder.path().join(path), mode).expect("the file is ours");
        this
    }

    /// A model `output = input * factor + offset` of two columns, with a unit test.
    pub fn linear(name: &str, (input, output): (&str, &str), factor: f32, offset: f32) -> Self {
        let answer = [factor.mul_add(1.0, offset), factor.mul_add(2.0, offset)];
        let manifest = format!(
            r#"kind = "model"
name = "{name}"
summary = "Multiplies by {factor} and adds {offset}; tells risky sign-ins from ordinary ones."
category = "security"
subcategory = "sign-in-risk"
tags = ["sign-in", "risk"]
documentation = "README.md"

[input]
kind = "tensors"
tensors = [{{ name = "{input}", datatype = "FP32", shape = [-1, 2] }}]

[output]
kind = "tensors"
tensors = [{{ name = "{output}", datatype = "FP32", shape = [-1, 2] }}]

[task]
runtime = "onnx"
entry = "model.onnx"
timeout_ms = 5000
batch_max = 8

[requires]
memory_mib = 128
cpu_milli = 100

[[tests]]
name = "one and two"
input.request.inputs = [
    {{ name = "{input}", datatype = "FP32", shape = [1, 2], data = [1.0, 2.0] }},
]
expect.outputs = [{{ name = "{output}", data = [{:?}, {:?}], tolerance = 0.001 }}]
"#,
            answer[0], answer[1]
        );
        Self::empty()
            .file("freehold.toml", manifest)
            .file("README.md", "# Nothing\n\nA model for tests.\n")
            .file("model.onnx", onnx::linear(input, output, factor, offset))
    }

    /// A model whose unit test does not hold.
    pub fn wrong(name: &str) -> Self {
        let this = Self::linear(name, ("x", "y"), 2.0, 0.0);
        let path = this.folder.path().join("freehold.toml");
        let text = std::fs::read_to_string(path).expect("it was just written");
        this.file("freehold.toml", text.replace("data = [2.0, 4.0]", "data = [7.0, 4.0]"))
    }

    /// A model that multiplies large matrices this often, and is given this long.
    pub fn slow(name: &str, times: usize, timeout_ms: u64) -> Self {
        let manifest = format!(
            r#"kind = "model"
name = "{name}"
summary = "Takes long."
category = "security"

[input]
kind = "tensors"
tensors = [{{ name = "x", datatype = "FP32", shape = [512, 512] }}]

[output]
kind = "tensors"
tensors = [{{ name = "y", datatype = "FP32", shape = [512, 512] }}]

[task]
runtime = "onnx"
entry = "model.onnx"
timeout_ms = {timeout_ms}

[requires]
memory_mib = 512
cpu_milli = 100
"#
        );
        let model = onnx::slow(512, times);
        Self::empty().file("freehold.toml", manifest).file("model.onnx", model)
    }

    /// An algorithm. Parameters: `seconds` that it takes, and whether it is to `fail`.
    pub fn trainer(name: &str) -> Self {
        let manifest = format!(
            r#"kind = "algorithm"
name = "{name}"
title = "Sign-in risk"
summary = "Learns from labelled sign-ins to tell attacks from ordinary ones."
category = "security"
subcategory = "sign-in-risk"
tags = ["sign-in", "anomaly"]
channels = ["training"]

[input]
{TABLE}
[output]
kind = "tensors"
tensors = [{{ name = "y", datatype = "FP32", shape = [-1, 2] }}]

[task]
runtime = "job"
entry = "train.sh"
timeout_ms = 120000

[requires]
memory_mib = 64
cpu_milli = 100
processes = 8

[parameters.seconds]
type = "integer"
default = 0
min = 0
max = 600

[parameters.fail]
type = "integer"
default = 0
min = 0
max = 1

[[tests]]
name = "four events make a model"
input = {{ job = {{ channels = {{ training = "tests/events.csv" }} }} }}
expect = {{ files = ["model.onnx"] }}
"#
        );
        Self::empty()
            .file("freehold.toml", manifest)
            .file("seed.onnx", onnx::linear("x", "y", 3.0, 1.0))
            .file("tests/events.csv", EVENTS)
            .program("train.sh", TRAINER)
    }

    /// A data set that the trainer takes.
    pub fn events(name: &str) -> Self {
        let manifest = format!(
            r#"kind = "dataset"
name = "{name}"
summary = "Labelled sign-ins of made-up people."
category = "security"
subcategory = "sign-in-risk"
tags = ["sign-in"]

[output]
{TABLE}"#
        );
        Self::empty().file("freehold.toml", manifest).file("events.csv", EVENTS)
    }

    /// A chain of models.
    pub fn pipeline(name: &str, stages: &[&str]) -> Self {
        let manifest = format!(
            "kind = \"pipeline\"\nname = \"{name}\"\nsummary = \"A chain of models.\"\n\
             category = \"security\"\nstages = {stages:?}\n"
        );
        Self::empty().file("freehold.toml", manifest)
    }
}
