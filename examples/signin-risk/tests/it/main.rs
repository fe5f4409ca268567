//! The program as a platform runs it: by the training contract, and by its commands.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail by panicking, and says what it passes over"
)]

mod commands;
mod contract;
mod engines;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = path.join(format!("signin-risk-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the program; `words` are split at spaces.
fn run(words: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_signin-risk"));
    program.args(words.split(' ')).stdin(Stdio::null()).output().unwrap()
}

/// What the program says when all goes well.
fn say(words: &str) -> String {
    let output = run(words);
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A file or folder of recorded events, where they stand beside the checkout.
fn recorded(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/events");
    let folder = std::env::var_os("FREEHOLD_TEST_EVENTS").map_or(beside, PathBuf::from);
    let path = folder.join(name);
    if !path.exists() {
        eprintln!("passed over: {} is not there", path.display());
    }
    path.exists().then_some(path)
}
