//! Debian's packages: installed as root where `apt-get` is, named otherwise.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::places::Places;
use crate::process;

/// Each package, and the sign that it is not needed.
const PACKAGES: [(&str, Sign); 9] = [
    ("postgresql", |places| postgres(places).is_some()),
    ("python3", |places| places.program("python3").is_some()),
    ("python3-venv", |_| {
        let mut probe = Command::new("/usr/bin/python3");
        process::output(probe.args(["-c", "import ensurepip, venv"])).is_some()
    }),
    ("libb64-0d", |_| cfg!(not(target_arch = "x86_64")) || base64()),
    // For a network namespace that stands for another machine.
    ("iproute2", |_| FOLDERS.iter().any(|folder| Path::new(folder).join("ip").is_file())),
    ("crun", |_| has_runtime("crun")),
    ("runc", |_| has_runtime("runc")),
    ("runsc", |_| has_runtime("runsc")),
    ("chromium", |places| browser(places).is_some()),
];

/// The OCI runtimes whose tests are to run; each is a package of its own name.
const RUNTIMES: [&str; 3] = ["crun", "runc", "runsc"];
/// Where sandboxes look for them.
const FOLDERS: [&str; 6] =
    ["/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin", "/bin", "/sbin"];

type Sign = fn(&Places) -> bool;

/// Installs what is not there; returns what is missing and why.
pub(super) fn install(places: &Places) -> Vec<String> {
    let wanted: Vec<&str> =
        PACKAGES.iter().filter(|(_, there)| !there(places)).map(|(name, _)| *name).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let names = wanted.join(" ");
    if places.program("apt-get").is_none() {
        return vec![format!(
            "{names}, by Debian's names: install them with this system's own tool"
        )];
    }
    if !rights() {
        return vec![format!("{names}: sudo apt-get install {names}")];
    }
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.arg("--quiet").args(words).env("DEBIAN_FRONTEND", "noninteractive");
        // Its programs are needed, not a server of its own.
        command.env("RUNLEVEL", "1");
        process::run(&mut command)
    };
    if let Err(failure) = apt(&["update"]) {
        return vec![format!("{names}: {failure}")];
    }
    // One name that the repositories do not have would keep all the others from being installed.
    let (offered, absent): (Vec<&str>, Vec<&str>) =
        wanted.into_iter().partition(|name| is_offered(name));
    let told = |name: &&str| format!("{name}: not in this system's repositories");
    let mut missing: Vec<String> = absent.iter().map(told).collect();
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(&offered);
    if !offered.is_empty()
        && let Err(failure) = apt(&words)
    {
        missing.push(format!("{}: {failure}", offered.join(" ")));
    }
    missing
}

/// The OCI runtimes that tests can use here, in one word with commas; none without root, which runs
/// them.
pub(super) fn runtimes() -> Option<String> {
    let found: Vec<&str> = RUNTIMES.into_iter().filter(|name| has_runtime(name)).collect();
    (rights() && !found.is_empty()).then(|| found.join(","))
}

fn has_runtime(name: &str) -> bool {
    FOLDERS.iter().any(|folder| Path::new(folder).join(name).is_file())
}

/// A browser that pages are opened in.
pub(super) fn browser(places: &Places) -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| places.program(name))
}

fn is_offered(name: &str) -> bool {
    let shown =
        process::output(Command::new("apt-cache").args(["show", "--no-all-versions", name]));
    shown.is_some_and(|text| !text.trim().is_empty())
}

/// The newest database server's folder of programs.
pub(super) fn postgres(places: &Places) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .map(|entry| entry.path().join("bin"))
        .filter(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .max_by_key(|folder| {
            let version = folder.parent().and_then(|folder| folder.file_name()?.to_str());
            version.and_then(|version| version.parse::<u32>().ok())
        });
    newest.or_else(|| Some(places.program("postgres")?.parent()?.to_owned()))
}

/// Whether the library is there that `perf_analyzer` is linked to. It runs on x86-64 alone.
pub(super) fn base64() -> bool {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"];
    folders.iter().any(|folder| Path::new(folder).join("libb64.so.0d").exists())
}

/// Whether this is root.
fn rights() -> bool {
    process::output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0")
}
