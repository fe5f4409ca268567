//! The real `freehold` program as a child process: started, read, stopped, killed.
//!
//! Always true: it is killed when this value is dropped; every line it writes is kept; a WARN, an
//! ERROR or a panic in them that was not expected fails the test.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::processes;

/// Longest start and longest orderly stop, with room for a busy machine.
const START: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(5);

/// How a program is started.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The program: `env!("CARGO_BIN_EXE_freehold")`.
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Variables beside the path; nothing else of the test's environment is handed on.
    pub variables: Vec<(String, String)>,
}

/// A running program.
#[derive(Debug)]
pub struct Program {
    child: Child,
    name: String,
    lines: Lines,
    reader: Option<JoinHandle<()>>,
    expected: BTreeSet<String>,
}

/// What a program wrote to stderr.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Every line so far.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics while holding it").clone()
    }

    fn find(&self, beginning: &str) -> Option<String> {
        let lines = self.0.lock().expect("nobody panics while holding it");
        lines.iter().find(|line| line.trim_start().starts_with(beginning)).cloned()
    }

    fn push(&self, line: String) {
        self.0.lock().expect("nobody panics while holding it").push(line);
    }
}

impl Program {
    /// Starts a program; it is ready when it writes a line that begins with `ready`.
    pub async fn start(spec: &Spec, ready: &str) -> Self {
        let program = Self::spawn(spec);
        program.wait_line(ready).await;
        program
    }

    /// Starts a program and does not wait for anything.
    pub fn spawn(spec: &Spec) -> Self {
        processes::adopt();
        let mut command = Command::new(&spec.program);
        command.args(&spec.args).env_clear().env("NO_COLOR", "1").env("RUST_BACKTRACE", "1");
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", std::env::temp_dir());
        command.envs(spec.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be run");
        processes::know(child.id());
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let lines = Lines::default();
        let kept = lines.clone();
        let reader = std::thread::spawn(move || {
            for line in stderr.split(b'\n').map_while(Result::ok) {
                kept.push(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let name = spec.args.first().cloned().unwrap_or_default();
        Self { child, name, lines, reader: Some(reader), expected: BTreeSet::new() }
    }

    /// Waits for a line that begins with these words, and gives it.
    pub async fn wait_line(&self, beginning: &str) -> String {
        let begun = Instant::now();
        loop {
            if let Some(line) = self.lines.find(beginning) {
                return line;
            }
            let late = begun.elapsed() > START;
            let ended = self.reader.as_ref().is_none_or(JoinHandle::is_finished);
            let ended = ended && self.lines.find(beginning).is_none();
            assert!(!late && !ended, "{} did not write {beginning:?}:\n{self}", self.name);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote.
    pub fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Says that warnings and errors with this text are no surprise.
    pub fn expect(&mut self, text: &str) {
        self.expected.insert(text.to_owned());
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.ended(STOP).await;
        assert!(status.success(), "{} ended with {status}:\n{self}", self.name);
        self.close();
    }

    /// Waits until it has ended by itself, as a command does.
    pub async fn stop_by_itself(mut self) {
        let status = self.ended(STOP).await;
        assert!(status.success(), "{} ended with {status}:\n{self}", self.name);
        self.close();
    }

    /// Kills it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().expect("our own child can be killed");
        self.child.wait().expect("our own child can be waited for");
        self.close();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("process numbers are small");
        kill(Pid::from_raw(pid), signal).expect("our own child takes signals");
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child can be asked for") {
                return status;
            }
            assert!(begun.elapsed() < within, "{} does not end:\n{self}", self.name);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads the last lines and looks for surprises.
    fn close(&mut self) {
        self.read_out();
        let surprises = self.surprises();
        assert!(
            surprises.is_empty() || std::thread::panicking(),
            "{} wrote what was not expected:
{}

all of it:
{self}",
            self.name,
            surprises.join(
                "
"
            )
        );
    }

    /// Waits until all that an ended process wrote was read.
    fn read_out(&mut self) {
        if let Some(reader) = self.reader.take() {
            // A process that was left behind may hold the pipe; it is found by other means.
            let begun = Instant::now();
            while !reader.is_finished() && begun.elapsed() < Duration::from_secs(2) {
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn surprises(&self) -> Vec<String> {
        let surprising = |line: &String| {
            let mut words = line.split_whitespace();
            let stamped = words.next().is_some_and(|word| word.ends_with('Z'));
            let loud = stamped && words.next().is_some_and(|word| matches!(word, "WARN" | "ERROR"));
            loud || line.contains("panicked at")
        };
        let known = |line: &String| self.expected.iter().any(|text| line.contains(text));
        self.lines.all().into_iter().filter(|line| surprising(line) && !known(line)).collect()
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.lines.all().join("\n"))
    }
}

#[expect(clippy::print_stderr, reason = "the test runner shows it when the test fails")]
impl Drop for Program {
    fn drop(&mut self) {
        if self.reader.is_some() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.read_out();
            if std::thread::panicking() {
                eprintln!("---- {} wrote:\n{self}\n----", self.name);
            }
            self.close();
        }
    }
}

/// Reads a file that a program writes, once it is there.
pub async fn read_when_there(path: &Path) -> String {
    crate::wait::until(START.as_secs(), &path.display().to_string(), || async {
        std::fs::read_to_string(path).ok().filter(|text| !text.is_empty())
    })
    .await
}
