//! Debian's packages: installed as root where `apt-get` is, named otherwise.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::places::Places;
use crate::process;

/// Each package, and the file that shows it is not needed.
const PACKAGES: [(&str, Sign); 4] = [
    ("postgresql", |places| postgres(places).is_some()),
    ("python3", |places| places.program("python3").is_some()),
    ("python3-venv", |_| {
        let mut probe = Command::new("/usr/bin/python3");
        process::output(probe.args(["-c", "import ensurepip, venv"])).is_some()
    }),
    ("libb64-0d", |_| cfg!(not(target_arch = "x86_64")) || base64()),
];

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
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(&wanted);
    match apt(&["update"]).and_then(|()| apt(&words)) {
        Ok(()) => Vec::new(),
        Err(failure) => vec![format!("{names}: {failure}")],
    }
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
