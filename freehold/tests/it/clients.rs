//! The cloud through what no one here wrote: `tritonclient`, `perf_analyzer`, `schemathesis`,
//! models out of Python packages, a trainer of scikit-learn, a server's own log.
//!
//! Always true: the other side is unmodified, and installed by `cargo xtask setup`; a test that
//! misses its part of it passes over and says so.

mod contract;
mod edges;
mod lambda;
mod management;
mod models;
mod perf;
mod provisioned;
mod sources;
mod trainers;
mod urls;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use testkit::{Cloud, processes};

/// Longest run of another program, with room for a busy machine.
const RUN_MAX: Duration = Duration::from_mins(8);

/// What the set-up says under this variable; nothing, said aloud, where it could not.
pub(crate) fn given(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    if path.is_none() {
        eprintln!("passed over: {variable} is not set; `cargo xtask test` sets what it can");
    }
    path
}

/// A number that a long run sets; the short one's where it does not.
fn given_number(variable: &str, short: u64) -> u64 {
    let text = std::env::var_os(variable).and_then(|value| value.into_string().ok());
    text.map_or(short, |text| text.parse().expect("it is a number"))
}

/// A cloud that runs models by ONNX Runtime, and the Python that holds its answers against it.
async fn cloud_with_onnxruntime(program: &str) -> Option<(Cloud, PathBuf)> {
    let (python, library) = (given("FREEHOLD_TEST_PYTHON")?, given("FREEHOLD_TEST_ONNXRUNTIME")?);
    let library = library.display().to_string();
    Some((Cloud::one_with(program, &["--onnxruntime", &library]).await, python))
}

/// Runs a script of this folder with one argument; gives the JSON that it prints.
async fn run_script(python: &Path, script: &str, argument: &Value) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients");
    let mut command = Command::new(python);
    // No bytecode is written into the checkout, and no answer goes through a proxy.
    command.arg("-B").arg(folder.join(script)).arg(argument.to_string()).env("NO_PROXY", "*");
    let (succeeded, text) = run(&mut command).await;
    assert!(succeeded, "{script}: {text}");
    let line = text.lines().rfind(|line| line.starts_with('{')).expect("it prints an object");
    serde_json::from_str(line).expect("it prints JSON")
}

/// Runs a program to its end; whether it succeeded, and what it wrote.
async fn run(command: &mut Command) -> (bool, String) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.kill_on_drop(true).spawn().expect("it can be run");
    processes::know(child.id().expect("it was not waited for yet"));
    let ended = tokio::time::timeout(RUN_MAX, child.wait_with_output()).await;
    let output = ended.expect("it ends in time").expect("its output can be read");
    let text = [output.stderr, output.stdout].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// An address as clients take it that add the scheme themselves.
fn bare(address: &str) -> &str {
    address.trim_start_matches("http://")
}
