//! Models made by others: what the worker answers equals what Python's onnxruntime answers.
//!
//! They are those inside the packages `magika`, `silero-vad` and `rapidocr-onnxruntime` of the
//! test set-up; skipped aloud where it is absent.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests panic, and skip aloud")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use inference::EngineChoice;
use serde_json::{Value, json};
use support::*;
use types::{Datatype, Tensor};

/// Runs a model on the inputs in a folder, and writes the outputs beside them.
const SCRIPT: &str = r"
import sys, json, numpy, onnxruntime
model, folder = sys.argv[1:3]
asked = json.load(open(folder + '/asked.json'))
session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
inputs = {}
for number, one in enumerate(asked):
    data = open(f'{folder}/in-{number}', 'rb').read()
    inputs[one['name']] = numpy.frombuffer(data, one['type']).reshape(one['shape'])
outputs = session.run(None, inputs)
told = []
for number, (output, info) in enumerate(zip(outputs, session.get_outputs())):
    open(f'{folder}/out-{number}', 'wb').write(numpy.ascontiguousarray(output).tobytes())
    told.append({'name': info.name, 'shape': list(output.shape)})
print(json.dumps(told))
";

fn python(model: &Path, inputs: &[Tensor]) -> Vec<(String, Vec<u64>, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let mut asked = Vec::new();
    for (number, tensor) in inputs.iter().enumerate() {
        fs::write(folder.path().join(format!("in-{number}")), &tensor.data).unwrap();
        let name = match tensor.datatype {
            Datatype::Fp32 => "float32",
            Datatype::Int32 => "int32",
            Datatype::Int64 => "int64",
            other => panic!("{other}"),
        };
        asked.push(json!({"name": tensor.name, "type": name, "shape": tensor.shape}));
    }
    fs::write(folder.path().join("asked.json"), Value::from(asked).to_string()).unwrap();
    let output = Command::new(environment().unwrap().join("bin/python"))
        .args(["-c", SCRIPT])
        .args([model, folder.path()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    told.iter()
        .enumerate()
        .map(|(number, one)| {
            let shape = one["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap());
            let data = fs::read(folder.path().join(format!("out-{number}"))).unwrap();
            (one["name"].as_str().unwrap().to_owned(), shape.collect(), data)
        })
        .collect()
}

/// Numbers between 0 and 1 that look like noise and are the same every time.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap()) / 65_536.
    };
    (0..count).map(next).collect()
}

/// Asks the worker and Python the same, and compares.
fn same(path: &Path, inputs: &[Tensor], engine: EngineChoice) {
    let mut worker = Worker::start(&fs::read(path).unwrap(), engine);
    let told = worker.describe();
    eprintln!("{}: {} {}", path.display(), told["engine"], told["engine_version"]);
    let answers = worker.infer(inputs.to_vec());
    let expected = python(path, inputs);
    assert_eq!(answers.len(), expected.len());
    for (answer, (name, shape, data)) in answers.iter().zip(expected) {
        assert_eq!((&answer.name, &answer.shape), (&name, &shape));
        if answer.datatype != Datatype::Fp32 {
            assert_eq!(answer.data[..], data, "{name}");
            continue;
        }
        for (have, want) in read_floats(&answer.data).iter().zip(read_floats(&data)) {
            assert!((have - want).abs() <= 1e-3 + 1e-2 * want.abs(), "{name}: {have} {want}");
        }
    }
}

fn find(package_name: &str, ending: &str) -> Option<PathBuf> {
    fn walk(folder: &Path, ending: &str) -> Option<PathBuf> {
        let mut entries: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries.into_iter().find_map(|path| {
            if path.is_dir() {
                return walk(&path, ending);
            }
            path.to_str().unwrap().ends_with(ending).then_some(path)
        })
    }
    library()?;
    walk(&package(package_name)?, ending)
}

#[test]
fn magika_answers_as_python_does() {
    let Some(path) = find("magika", "model.onnx") else { return };
    let mut worker = Worker::start(&fs::read(&path).unwrap(), EngineChoice::Onnxruntime);
    let told = worker.describe();
    let input = &told["inputs"][0];
    assert_eq!(input["datatype"], json!("INT32"));
    let length = u64::try_from(input["shape"][1].as_i64().unwrap()).unwrap_or(2_048);
    let data: Vec<u8> =
        (0..length).flat_map(|i| i32::try_from(i % 257).unwrap().to_le_bytes()).collect();
    let name = input["name"].as_str().unwrap();
    let x = tensor(name, Datatype::Int32, &[1, length], Bytes::from(data));
    for engine in engines() {
        same(&path, std::slice::from_ref(&x), engine);
    }
}

#[test]
fn silero_answers_as_python_does() {
    let Some(path) = find("silero_vad", "silero_vad.onnx") else { return };
    let inputs = [
        tensor("input", Datatype::Fp32, &[1, 576], floats(&noise(576))),
        tensor("state", Datatype::Fp32, &[2, 1, 128], floats(&[0.; 256])),
        tensor("sr", Datatype::Int64, &[], Bytes::copy_from_slice(&16_000_i64.to_le_bytes())),
    ];
    same(&path, &inputs, EngineChoice::Onnxruntime);
}

#[test]
fn rapidocr_answers_as_python_does() {
    for (ending, shape) in
        [("rec_infer.onnx", [1, 3, 48, 320]), ("cls_infer.onnx", [1, 3, 48, 192])]
    {
        let Some(path) = find("rapidocr_onnxruntime", ending) else { return };
        let mut worker = Worker::start(&fs::read(&path).unwrap(), EngineChoice::Onnxruntime);
        let name = worker.describe()["inputs"][0]["name"].as_str().unwrap().to_owned();
        let count = usize::try_from(shape.iter().product::<u64>()).unwrap();
        let x = tensor(&name, Datatype::Fp32, &shape, floats(&noise(count)));
        for engine in engines() {
            same(&path, std::slice::from_ref(&x), engine);
        }
    }
}
