//! Tiny models, written byte by byte, and a client of the worker's frame.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use inference::{EngineChoice, Task};
use tempfile::TempDir;
use types::frame::{self, Answer, Frame, Infer};
use types::{Datatype, ErrorKind, Tensor};

/// A protobuf message being written.
#[derive(Clone, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap());
    }

    pub(crate) fn number(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value.cast_unsigned());
        self
    }

    pub(crate) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub(crate) fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }
}

/// ONNX's number of a datatype.
pub(crate) fn onnx(datatype: Datatype) -> i64 {
    match datatype {
        Datatype::Fp32 => 1,
        Datatype::Uint8 => 2,
        Datatype::Int8 => 3,
        Datatype::Uint16 => 4,
        Datatype::Int16 => 5,
        Datatype::Int32 => 6,
        Datatype::Int64 => 7,
        Datatype::Bytes => 8,
        Datatype::Bool => 9,
        Datatype::Fp16 => 10,
        Datatype::Fp64 => 11,
        Datatype::Uint32 => 12,
        Datatype::Uint64 => 13,
        Datatype::Bf16 => 16,
    }
}

/// An input or output; -1 is the dimension `batch`.
pub(crate) fn info(name: &str, datatype: Datatype, shape: &[i64]) -> Message {
    let mut dims = Message::default();
    for &size in shape {
        let dim = Message::default();
        dims = dims.message(1, &if size < 0 { dim.text(2, "batch") } else { dim.number(1, size) });
    }
    let tensor = Message::default().number(1, onnx(datatype)).message(2, &dims);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}

pub(crate) fn node(kind: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    let mut node = Message::default();
    for name in inputs {
        node = node.text(1, name);
    }
    for name in outputs {
        node = node.text(2, name);
    }
    node.text(3, &format!("{kind}-{}", outputs[0])).text(4, kind)
}

/// A constant.
pub(crate) fn constant(name: &str, datatype: Datatype, shape: &[i64], data: &[u8]) -> Message {
    let mut tensor = Message::default();
    for &size in shape {
        tensor = tensor.number(1, size);
    }
    tensor.number(2, onnx(datatype)).text(8, name).bytes(9, data)
}

/// A whole model.
pub(crate) fn model(
    nodes: &[Message],
    constants: &[Message],
    inputs: &[Message],
    outputs: &[Message],
) -> Vec<u8> {
    let mut graph = Message::default();
    for node in nodes {
        graph = graph.message(1, node);
    }
    graph = graph.text(2, "graph");
    for (field, list) in [(5, constants), (11, inputs), (12, outputs)] {
        for one in list {
            graph = graph.message(field, one);
        }
    }
    let opset = Message::default().text(1, "").number(2, 17);
    Message::default().number(1, 8).message(7, &graph).message(8, &opset).0
}

/// Gives what it takes.
pub(crate) fn identity(datatype: Datatype, shape: &[i64]) -> Vec<u8> {
    let inputs = [info("x", datatype, shape)];
    model(&[node("Identity", &["x"], &["y"])], &[], &inputs, &[info("y", datatype, shape)])
}

pub(crate) fn floats(values: &[f32]) -> Bytes {
    values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
}

pub(crate) fn read_floats(data: &[u8]) -> Vec<f32> {
    data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// `x[batch, 2]` times a 2 by 3 matrix.
pub(crate) fn matmul() -> Vec<u8> {
    let weights = constant("w", Datatype::Fp32, &[2, 3], &floats(&[1., 2., 3., 4., 5., 6.]));
    let (x, y) = (info("x", Datatype::Fp32, &[-1, 2]), info("y", Datatype::Fp32, &[-1, 3]));
    model(&[node("MatMul", &["x", "w"], &["y"])], &[weights], &[x], &[y])
}

/// Adds every row of `x[batch, 2]`, made wide, to every other: a row costs the more the more there
/// are.
pub(crate) fn crowded() -> Vec<u8> {
    const WIDTH: i64 = 8_192;
    let count = usize::try_from(2 * WIDTH).unwrap();
    let axis = |name, axis: i64| constant(name, Datatype::Int64, &[1], &axis.to_le_bytes());
    let constants = [
        constant("w", Datatype::Fp32, &[2, WIDTH], &floats(&vec![0.001; count])),
        axis("first", 0),
        axis("second", 1),
    ];
    let nodes = [
        node("MatMul", &["x", "w"], &["wide"]),
        node("Unsqueeze", &["wide", "first"], &["across"]),
        node("Unsqueeze", &["wide", "second"], &["down"]),
        node("Add", &["across", "down"], &["pairs"]),
        node("ReduceSum", &["pairs", "second"], &["sums"]),
        node("Squeeze", &["sums", "second"], &["all"]),
        node("Transpose", &["w"], &["back"]),
        node("MatMul", &["all", "back"], &["y"]),
    ];
    let (x, y) = (info("x", Datatype::Fp32, &[-1, 2]), info("y", Datatype::Fp32, &[-1, 2]));
    model(&nodes, &constants, &[x], &[y])
}

/// Multiplies a large matrix many times: seconds of work in hundreds of nodes.
pub(crate) fn slow() -> Vec<u8> {
    const SIZE: i64 = 512;
    const NODES: usize = 400;
    let count = usize::try_from(SIZE * SIZE).unwrap();
    let weights = constant("w", Datatype::Fp32, &[SIZE, SIZE], &floats(&vec![0.001; count]));
    let name = |index: usize| match index {
        0 => "x".to_owned(),
        NODES => "y".to_owned(),
        _ => format!("t{index}"),
    };
    let nodes: Vec<Message> =
        (0..NODES).map(|i| node("MatMul", &[&name(i), "w"], &[&name(i + 1)])).collect();
    let square = |name| info(name, Datatype::Fp32, &[SIZE, SIZE]);
    model(&nodes, &[weights], &[square("x")], &[square("y")])
}

pub(crate) fn slow_input() -> Tensor {
    tensor("x", Datatype::Fp32, &[512, 512], floats(&vec![1.0; 512 * 512]))
}

pub(crate) fn tensor(name: &str, datatype: Datatype, shape: &[u64], data: Bytes) -> Tensor {
    Tensor { name: name.to_owned(), datatype, shape: shape.to_vec(), data }
}

/// The virtual environment of the test set-up, where there is one.
pub(crate) fn environment() -> Option<PathBuf> {
    let found = std::env::var_os("FREEHOLD_TEST_VENV").map(PathBuf::from);
    if found.is_none() {
        eprintln!("SKIPPED: FREEHOLD_TEST_VENV names no virtual environment");
    }
    found
}

/// A folder of the environment's packages.
pub(crate) fn package(name: &str) -> Option<PathBuf> {
    let lib = std::fs::read_dir(environment()?.join("lib")).unwrap();
    let found = lib.map(|entry| entry.unwrap().path().join("site-packages").join(name));
    let found = found.into_iter().find(|path| path.is_dir());
    if found.is_none() {
        eprintln!("SKIPPED: FREEHOLD_TEST_VENV has no package {name}");
    }
    found
}

pub(crate) fn library() -> Option<PathBuf> {
    let entries = std::fs::read_dir(package("onnxruntime")?.join("capi")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("libonnxruntime.so."))
}

/// The engines at hand.
pub(crate) fn engines() -> Vec<EngineChoice> {
    let mut engines = vec![EngineChoice::Tract];
    engines.extend(library().map(|_| EngineChoice::Onnxruntime));
    engines
}

/// A worker in this process, and a connection to it.
pub(crate) struct Worker {
    folder: TempDir,
    stream: UnixStream,
    buffer: BytesMut,
    ended: std::sync::mpsc::Receiver<Result<inference::Ended, inference::Fault>>,
}

impl Worker {
    pub(crate) fn start(model: &[u8], engine: EngineChoice) -> Self {
        Self::with(model, engine, |_| {})
    }

    pub(crate) fn with(model: &[u8], engine: EngineChoice, change: impl FnOnce(&mut Task)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("model.onnx"), model).unwrap();
        let mut task: Task = serde_json::from_str(r#"{"entry": "model.onnx"}"#).unwrap();
        task.package = folder.path().to_path_buf();
        task.engine = engine;
        task.onnxruntime = (engine != EngineChoice::Tract).then(library).flatten();
        change(&mut task);
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        let stream = UnixStream::connect(folder.path().join("s")).unwrap();
        let (tell, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _ = tell.send(inference::serve(listener, &task));
        });
        Self { folder, stream, buffer: BytesMut::new(), ended }
    }

    /// Another connection.
    pub(crate) fn connect(&self) -> UnixStream {
        UnixStream::connect(self.folder.path().join("s")).unwrap()
    }

    pub(crate) fn send(&mut self, number: u64, frame: &Frame) {
        let mut out = BytesMut::new();
        frame::encode(number, frame, &mut out).unwrap();
        self.stream.write_all(&out).unwrap();
    }

    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next frame; none at the end of the connection.
    pub(crate) fn receive(&mut self) -> Option<(u64, Frame)> {
        self.stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut part = vec![0; 65_536];
        loop {
            if let Some(found) = frame::decode(&mut self.buffer).unwrap() {
                return Some(found);
            }
            match self.stream.read(&mut part) {
                Ok(0) => return None,
                Ok(count) => self.buffer.extend_from_slice(&part[..count]),
                Err(error) => panic!("no frame: {error}; the worker: {:?}", self.ended.try_recv()),
            }
        }
    }

    pub(crate) fn ask(&mut self, number: u64, inputs: Vec<Tensor>) {
        self.ask_within(number, 0, inputs);
    }

    pub(crate) fn ask_within(&mut self, number: u64, budget_us: u64, inputs: Vec<Tensor>) {
        self.send(number, &Frame::Infer(Infer { budget_us, inputs, outputs: Vec::new() }));
    }

    pub(crate) fn answer(&mut self) -> (u64, Answer) {
        match self.receive() {
            Some((number, Frame::Answer(answer))) => (number, answer),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn failure(&mut self) -> (u64, ErrorKind, String) {
        match self.receive() {
            Some((number, Frame::Failure { kind, message })) => (number, kind, message),
            other => panic!("{other:?}"),
        }
    }

    /// Sends one request and gives its outputs.
    pub(crate) fn infer(&mut self, inputs: Vec<Tensor>) -> Vec<Tensor> {
        self.ask(7, inputs);
        let (number, answer) = self.answer();
        assert_eq!(number, 7);
        answer.outputs
    }

    pub(crate) fn describe(&mut self) -> serde_json::Value {
        self.send(1, &Frame::Describe);
        match self.receive() {
            Some((1, Frame::Description { json })) => serde_json::from_slice(&json).unwrap(),
            other => panic!("{other:?}; {:?}", self.ended.try_recv()),
        }
    }

    /// How serving ended, within a time.
    pub(crate) fn ended(
        &self,
        within: Duration,
    ) -> Option<Result<inference::Ended, inference::Fault>> {
        self.ended.recv_timeout(within).ok()
    }
}

pub(crate) fn ms_since(then: Instant) -> u128 {
    then.elapsed().as_millis()
}
