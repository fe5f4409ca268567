//! Lambda's clients for Rust and for Node.js, as functions bring them: each built once in the cache
//! folder, and nothing of them in the workspace.
//!
//! Always true: versions are pinned by `examples/rust-bootstrap` and by the script; a changed one is
//! built anew.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::python::made;
use crate::places::Places;
use crate::{Failure, process};

/// What was found or built.
#[derive(Debug, Default)]
pub(crate) struct Lambda {
    /// The program of `examples/rust-bootstrap`.
    pub(crate) rust: Option<PathBuf>,
    /// The folder that holds `aws-lambda-ric`, as a function's `node_modules`.
    pub(crate) node: Option<PathBuf>,
}

/// The function in Rust; each of its files, so that a change of one builds it anew.
const RUST: [&str; 3] = [
    include_str!("../../../examples/rust-bootstrap/Cargo.toml"),
    include_str!("../../../examples/rust-bootstrap/Cargo.lock"),
    include_str!("../../../examples/rust-bootstrap/src/main.rs"),
];
/// Builds the client for Node.js.
const NODE: &str = include_str!("../../node/lambda-ric.sh");

/// Builds what is not there; adds what is missing, and why, to `missing`.
pub(super) fn install(places: &Places, missing: &mut Vec<String>) -> Lambda {
    let mut keep = |made: Result<PathBuf, Failure>, within: &str, tests: &str| match made {
        Ok(folder) => Some(folder.join(within)),
        Err(failure) => {
            missing.push(format!("{tests}: {failure}"));
            None
        }
    };
    let rust = made(&places.cache, "lambda-rust", &RUST, |folder| build_rust(places, folder));
    let rust = keep(rust, "debug/bootstrap", "lambda_runtime (a test of functions in Rust)");
    let node = made(&places.cache, "lambda-node", &[NODE], build_node);
    let node = keep(node, "packages", "aws-lambda-ric (a test of functions that bring it)");
    Lambda { rust, node }
}

fn build_rust(places: &Places, folder: &Path) -> Result<(), Failure> {
    let mut command = process::cargo(places, &["build", "--locked", "--manifest-path"]);
    command.arg(places.root.join("examples/rust-bootstrap/Cargo.toml"));
    // It is no member of the workspace, whose ways of building are not meant for it.
    command.env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION").env("CARGO_TARGET_DIR", folder);
    process::run(&mut command)
}

/// Its native part needs `cmake` and a compiler for C++.
fn build_node(folder: &Path) -> Result<(), Failure> {
    process::run(Command::new("/bin/sh").args(["-c", NODE, "lambda-ric"]).arg(folder))
}
