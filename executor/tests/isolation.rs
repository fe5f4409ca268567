//! Every attempt at breaking out, against every level, as root's instances and as another user's.
//!
//! What a level declares held must fail every time; outside any sandbox the same attempts get
//! through, so each of them would be seen. A level that this machine lacks is skipped aloud.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests panic, and skip aloud")]

#[path = "levels/usable.rs"]
mod usable;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use executor::Level;
use executor::attempts::ATTEMPTS;
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_executor-test-attempts");
/// A user without any right.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A package with the attempts in it, bait beside it, and links from one to the other.
fn lay_out() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("package");
    let secret = folder.path().join("secret");
    fs::create_dir(&package).unwrap();
    fs::create_dir(folder.path().join("run")).unwrap();
    for place in [package.join("attempt"), folder.path().join("program")] {
        fs::copy(PROGRAM, place).unwrap();
    }
    fs::write(package.join("data"), "data").unwrap();
    fs::write(&secret, secret_of(&folder)).unwrap();
    std::os::unix::fs::symlink(&secret, package.join("link")).unwrap();
    std::os::unix::fs::symlink("../".repeat(40), package.join("up")).unwrap();
    for (place, mode) in [("", 0o755), ("package", 0o755), ("secret", 0o644), ("run", 0o777)] {
        let rights = fs::Permissions::from_mode(mode);
        fs::set_permissions(folder.path().join(place), rights).unwrap();
    }
    folder
}

/// A text that stands nowhere else.
fn secret_of(folder: &TempDir) -> String {
    let name = folder.path().file_name().unwrap().to_string_lossy();
    format!("secret-of-{}", name.trim_start_matches('.'))
}

/// Runs the suite and gives what it says of each attempt.
fn run(level: &str, user: u32) -> Vec<Value> {
    let folder = lay_out();
    let output = Command::new(folder.path().join("program"))
        .args(["suite", &user.to_string()])
        .args([folder.path().join("run"), folder.path().join("package")])
        .arg(level)
        .env("FREEHOLD_BAIT", secret_of(&folder))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim())
        .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// What is declared held fails; everything else is declared not to be offered.
fn holds(level: &str, user: u32) {
    let told = run(level, user);
    // One more row than the table has is the bait's.
    assert_eq!(told.len(), ATTEMPTS.len() + 1);
    let mut faults = Vec::new();
    for row in told {
        eprintln!("{row}");
        let (name, through) = (row["name"].as_str().unwrap(), row["through"].as_str());
        match (row["lacks"].as_str(), through) {
            (Some(lacks), _) => eprintln!("SKIPPED: {name}: this machine lacks: {lacks}"),
            (None, Some(what)) => faults.push(format!("{name}: {what}")),
            (None, None) => {}
        }
    }
    assert!(faults.is_empty(), "{level} as user {user}: {faults:#?}");
}

#[test]
fn a_process_of_this_user_holds_every_attempt() {
    holds("process", nix::unistd::geteuid().as_raw());
}

#[test]
fn a_process_of_a_user_without_rights_holds_every_attempt() {
    if !is_root() {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    holds("process", NOBODY);
}

/// The same by an OCI runtime, where one is installed.
fn container_holds(runtime: &str) {
    if usable::can_use(runtime) {
        holds(runtime, 0);
    }
}

#[test]
fn a_container_of_crun_holds_every_attempt() {
    container_holds("crun");
}

#[test]
fn a_container_of_runc_holds_every_attempt() {
    container_holds("runc");
}

#[test]
fn a_container_of_gvisor_holds_every_attempt() {
    container_holds("runsc");
}

/// Shows that the attempts have teeth. Where the kernel itself lacks what is tried, or forbids it to
/// root as well, the attempt is skipped aloud.
#[test]
fn outside_a_sandbox_the_attempts_get_through() {
    if !is_root() {
        eprintln!("SKIPPED: only root may do everything that is tried");
        return;
    }
    let folder = lay_out();
    let output = Command::new(folder.path().join("program"))
        .arg("bare")
        .arg(folder.path().join("run"))
        .arg(folder.path().join("package"))
        .env("FREEHOLD_BAIT", secret_of(&folder))
        .current_dir(folder.path().join("package"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let held: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("held: ")).collect();
    let through = text.lines().filter(|line| line.starts_with("through: ")).count();
    eprintln!("{text}");
    assert_eq!(through + held.len(), ATTEMPTS.iter().filter(|attempt| attempt.bare).count());
    for name in held {
        assert!(LACKING.contains(&name), "{name} got nowhere even outside a sandbox");
        eprintln!("SKIPPED: {name}: this kernel does not offer it to anybody");
    }
}

/// What a kernel may be built or set up without.
const LACKING: [&str; 13] = [
    "bpf",
    "oom-score",
    "ports",
    "fanotify",
    "file-handles",
    "io-uring",
    "kexec",
    "load-module",
    "old-calls",
    "perf",
    "strange-sockets",
    "userfaultfd",
    "vsock",
];

#[test]
fn every_attempt_of_the_table_has_its_program() {
    let output = Command::new(PROGRAM).arg("names").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let programs: Vec<&str> = text.lines().collect();
    let table: Vec<&str> = ATTEMPTS.iter().map(|attempt| attempt.name).collect();
    assert_eq!(programs, table);
    assert_eq!(programs.iter().collect::<BTreeSet<_>>().len(), table.len());
}

/// The page says of every attempt what the table says.
#[test]
fn the_page_tells_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operate/isolation.md");
    let page = fs::read_to_string(path).unwrap();
    let levels = Level::ALL.map(|level| format!("`{}`", level.word())).join(" | ");
    let mut table = format!("| aimed at | attempt | what is tried | {levels} |\n");
    table += "| --- | --- | --- | --- | --- | --- |\n";
    for attempt in &ATTEMPTS {
        let said = Level::ALL.map(|level| match attempt.held_by(level) {
            Some(feature) => format!("held, by {feature}"),
            None => "held".to_owned(),
        });
        let (kind, name, tries) = (attempt.kind.word(), attempt.name, attempt.tries);
        table += &format!("| {kind} | `{name}` | {tries} | {} |\n", said.join(" | "));
    }
    assert!(page.contains(&table), "write this table into docs/operate/isolation.md:\n{table}");
}
