//! Programs that try to break out of a sandbox, as root's instances and as another user's.
//!
//! A trial is skipped aloud where the machine lacks the feature that holds it.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests panic, and skip aloud")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use executor::features;
use serde_json::{Value, json};

const HELPER: &str = env!("CARGO_BIN_EXE_executor-test-helper");
/// A user without any right.
const NOBODY: &str = "65534";

/// Whether every one of these features is held; says aloud which one is not.
fn held(names: &[&str]) -> bool {
    let features = features();
    let missing = names.iter().find(|name| !features.iter().any(|f| f.name == **name && f.held));
    if let Some(name) = missing {
        eprintln!("SKIPPED: this machine lacks: {name}");
    }
    missing.is_none()
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Runs an attack in an executor of its own: ours, and where we are root, one of nobody's.
fn runs(attack: &[&str]) -> Vec<Value> {
    let users: &[&str] = if is_root() { &["0", NOBODY] } else { &["self"] };
    users.iter().map(|user| run_as(user, attack)).collect()
}

fn run_as(user: &str, attack: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("package");
    fs::create_dir(&package).unwrap();
    fs::copy(HELPER, package.join("attack")).unwrap();
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    for path in [folder.path(), &package] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&work, fs::Permissions::from_mode(0o777)).unwrap();
    let id = if user == "self" { nix::unistd::getuid().to_string() } else { user.to_owned() };
    // The build's folder may be closed to others; this one is not.
    let helper = folder.path().join("helper");
    fs::copy(HELPER, &helper).unwrap();
    let output = Command::new(&helper)
        .args(["as-user", &id])
        .args([&work, &package])
        .args(attack)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut answer: Value = serde_json::from_str(text.trim())
        .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)));
    answer["user"] = json!(user);
    eprintln!("as user {user}: {}", answer["exit"]);
    for line in answer["lines"].as_array().into_iter().flatten() {
        eprintln!("    {}", line.as_str().unwrap());
    }
    let left: Vec<_> = fs::read_dir(work.join("s")).unwrap().collect();
    assert!(left.is_empty(), "sockets are left: {left:?}");
    answer
}

/// The attack ran, told that it was held, and ended by itself.
fn is_held(attack: &[&str]) {
    for answer in runs(attack) {
        assert_eq!(answer["exit"]["code"], json!(0), "{answer:#}");
    }
}

#[test]
fn the_hosts_files_cannot_be_read() {
    if held(&["mount namespace"]) {
        let folder = Path::new(HELPER).parent().expect("a program lies in a folder");
        is_held(&["files", "/home", "/var/lib", HELPER, &folder.to_string_lossy()]);
    }
}

#[test]
fn other_processes_cannot_be_seen_or_touched() {
    if held(&["process namespace", "own /proc"]) {
        is_held(&["processes"]);
    }
}

#[test]
fn there_is_no_network() {
    is_held(&["network"]);
}

#[test]
fn the_kernels_dangerous_calls_are_refused() {
    is_held(&["kernel"]);
}

#[test]
fn no_right_is_left() {
    if held(&["own /proc"]) {
        is_held(&["rights"]);
    }
}

#[test]
fn the_package_cannot_be_written() {
    is_held(&["package"]);
}

#[test]
fn nothing_of_the_executor_is_left_open() {
    if held(&["own /proc"]) {
        is_held(&["descriptors"]);
    }
}

#[test]
fn a_fork_bomb_stays_within_its_limit_and_goes_away() {
    if held(&["process limit"]) {
        is_held(&["fork-bomb"]);
    }
}

#[test]
fn the_scratch_folders_are_limited_together() {
    if held(&["mount namespace"]) {
        is_held(&["scratch"]);
    }
}

#[test]
fn a_memory_bomb_ends_itself_only() {
    for answer in runs(&["memory"]) {
        let exit = &answer["exit"];
        assert!(exit["oom"] == json!(true) || exit["code"] == json!(0), "{answer:#}");
        let peak = exit["memory_peak_bytes"].as_u64().unwrap();
        assert!(peak < 800 << 20, "{peak}");
    }
}

#[test]
fn many_small_takers_of_memory_are_one_large_one() {
    for answer in runs(&["memory-many"]) {
        assert_eq!(answer["exit"]["oom"], json!(true), "{answer:#}");
        assert_eq!(answer["exit"]["ending"], json!("out_of_memory"));
    }
}

#[test]
fn a_flood_of_model_files_is_stopped() {
    for answer in runs(&["model-flood"]) {
        assert_eq!(answer["exit"]["ending"], json!("out_of_scratch"), "{answer:#}");
    }
}

#[test]
fn children_left_behind_are_gone_with_their_job() {
    let mark = format!("mark-{}", std::process::id());
    for answer in runs(&["leave-children", &mark]) {
        assert_eq!(answer["exit"]["code"], json!(0), "{answer:#}");
        assert_eq!(commands_with(&mark), Vec::<String>::new());
    }
}

/// Command lines of this host that hold a word, the executors' own left out.
fn commands_with(word: &str) -> Vec<String> {
    let commands = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.parse::<i32>().ok()?;
        let text = fs::read(Path::new("/proc").join(name).join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&text).replace('\0', " "))
    });
    commands.filter(|text| text.contains(word)).collect()
}
