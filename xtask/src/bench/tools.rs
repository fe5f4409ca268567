//! What benchmarks run and ask with: the programs that measure, a model that does nothing, servers as
//! child processes, and where they are on the processors.
//!
//! Always true: everything is on loopback; a server that is dropped is killed.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::places::Places;
use crate::{Failure, process, setup};

/// The programs that measure, and what the test set-up has.
#[derive(Debug)]
pub(super) struct Tools {
    folder: PathBuf,
    pub(super) setup: setup::Tools,
}

impl Tools {
    /// Builds the program that is measured and those that measure. These are built together and as
    /// the README has the first built, so that whoever followed it waits for little.
    pub(super) fn build(places: &Places) -> Result<Self, Failure> {
        let words = ["build", "--release", "--locked", "--bins"];
        let rooms = ["freehold", "gateway", "inference", "executor"];
        let rooms = rooms.map(|room| format!("--package={room}"));
        process::run(process::cargo(places, &words).args(rooms))?;
        let setup = setup::everything(places)?;
        Ok(Self { folder: places.target.join("release"), setup })
    }

    /// A program of this build.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Runs the load generator on this processor; what it measured.
    pub(super) fn load(&self, core: Option<usize>, words: &[&str]) -> Result<Value, Failure> {
        result(pinned(&self.program("bench-load"), core).args(words))
    }
}

/// Runs a program whose answer is one JSON object.
pub(super) fn result(command: &mut Command) -> Result<Value, Failure> {
    let output = command.stdin(Stdio::null()).output();
    let name = command.get_program().to_string_lossy().into_owned();
    let output = output.map_err(|error| Failure::at(&name, error))?;
    if !output.status.success() {
        return Err(Failure::at(name, String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| Failure::at(name, error))
}

/// A number of an answer.
pub(super) fn number(value: &Value, name: &str) -> Result<f64, Failure> {
    value[name].as_f64().ok_or_else(|| Failure::new(format!("{name} is missing in {value}")))
}

/// A text of an answer.
pub(super) fn pointer<'a>(value: &'a Value, path: &str) -> Result<&'a str, Failure> {
    let found = value.pointer(path).and_then(Value::as_str);
    found.ok_or_else(|| Failure::new(format!("{path} is missing in {value}")))
}

/// A program that may use only this processor.
pub(super) fn pinned(program: &Path, core: Option<usize>) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}

/// Moves every process below this one to a processor, with all threads.
pub(super) fn pin_below(parent: u32, core: usize) -> Result<(), Failure> {
    let core = core.to_string();
    let moved = |id: &u32| {
        let words = ["--all-tasks", "--cpu-list", "--pid", &core, &id.to_string()];
        process::output(Command::new("taskset").args(words)).is_some()
    };
    // One that has ended meanwhile needs no processor.
    if below(parent).iter().filter(|id| moved(id)).count() > 0 {
        return Ok(());
    }
    Err(Failure::new(format!("no process below {parent} could be moved")))
}

/// Every process below this one, parents first.
fn below(parent: u32) -> Vec<u32> {
    let mut all = children(parent);
    let mut next = 0;
    while let Some(&id) = all.get(next) {
        all.extend(children(id));
        next += 1;
    }
    all
}

fn children(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let ids = lists.collect::<Vec<_>>().join(" ");
    ids.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// Ports that were free a moment ago.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) http: SocketAddr,
    pub(super) grpc: SocketAddr,
    pub(super) metrics: SocketAddr,
}

impl Addresses {
    /// Finds three.
    pub(super) fn free() -> std::io::Result<Self> {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let (http, grpc, metrics) = (bind()?, bind()?, bind()?);
        Ok(Self {
            http: http.local_addr()?,
            grpc: grpc.local_addr()?,
            metrics: metrics.local_addr()?,
        })
    }
}

/// Whether a GET of this path is answered with 200.
pub(super) fn answers(address: SocketAddr, path: &str) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        std::io::Result::Ok(start == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// A server that is killed when it is dropped, with whatever it started.
#[derive(Debug)]
pub(super) struct Server(pub(super) Child);

impl Drop for Server {
    fn drop(&mut self) {
        // What has ended by itself needs no end.
        let started = below(self.0.id());
        let _ = self.0.kill();
        let _ = self.0.wait();
        for id in started {
            let _ = process::output(Command::new("kill").args(["-KILL", &id.to_string()]));
        }
    }
}

impl Server {
    /// Starts a program that says its address on its first line, and the address.
    pub(super) fn that_says_its_address(command: &mut Command) -> Result<(Self, String), Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |error| Failure::at(&name, error);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let mut server = Self(child);
        let mut address = String::new();
        if let Some(stream) = server.0.stdout.take() {
            BufReader::new(stream).read_line(&mut address).map_err(failed)?;
        }
        Ok((server, address.trim().to_owned()))
    }
}

/// Writes the package of a model that gives what it takes: `y = x`, rows of 16 FP32.
pub(super) fn write_noop(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(folder.join("model.onnx"), noop()))
        .and_then(|()| fs::write(folder.join("freehold.toml"), NOOP_MANIFEST))
        .map_err(|error| Failure::at(folder.display(), error))
}

const NOOP_MANIFEST: &str = r#"kind = "model"
name = "noop"
summary = "Gives what it takes."
category = "benchmarks"

[input]
kind = "tensors"
tensors = [{ name = "x", datatype = "FP32", shape = [-1, 16] }]

[output]
kind = "tensors"
tensors = [{ name = "y", datatype = "FP32", shape = [-1, 16] }]

[task]
runtime = "onnx"
entry = "model.onnx"
batch_max = 32
"#;

/// The graph, byte by byte: field numbers are those of `onnx.proto`.
fn noop() -> Vec<u8> {
    let (batch, width) = (field(1, &field(2, b"batch")), field(1, &[0x08, 16]));
    let shape = field(2, &[batch, width].concat());
    let kind = field(2, &field(1, &[&[0x08, 1], shape.as_slice()].concat()));
    let value = |name: &[u8]| [field(1, name), kind.clone()].concat();
    let node = [field(1, b"x"), field(2, b"y"), field(4, b"Identity")].concat();
    let graph =
        [field(1, &node), field(2, b"noop"), field(11, &value(b"x")), field(12, &value(b"y"))];
    let opset = field(8, &[0x10, 17]);
    [[0x08, 8].to_vec(), field(7, &graph.concat()), opset].concat()
}

/// A field of protobuf that holds bytes, fewer than 128.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    assert!(length < 128, "a longer field needs a longer length");
    [&[number << 3 | 2, length], bytes].concat()
}
