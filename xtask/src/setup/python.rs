//! Python packages: clients, engines and models made by others, in a virtual environment of their
//! own in the cache folder; packages that travel inside others; `perf_analyzer`.
//!
//! Always true: versions are pinned in `xtask/python/`; a changed list makes a new environment;
//! an environment that was not finished is not used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::places::{Places, hash};
use crate::{Failure, process};

/// What was found or installed.
#[derive(Debug, Default)]
pub(crate) struct Python {
    pub(crate) venv: Option<PathBuf>,
    pub(crate) onnxruntime: Option<PathBuf>,
    pub(crate) sklearn: Option<PathBuf>,
    pub(crate) lambda: Option<PathBuf>,
    /// Where `bin/perf_analyzer` is.
    pub(crate) perf: Option<PathBuf>,
}

/// The interpreter that jobs in sandboxes run under, and so the one to get wheels for.
const INTERPRETER: &str = "/usr/bin/python3";

/// Packages that tests call.
const CALLED: &str = include_str!("../../python/requirements.txt");
/// Packages whose files are used and whose own dependencies are not.
const BARE: &str = include_str!("../../python/requirements-bare.txt");
/// Packages that travel inside the scikit-learn example.
const SKLEARN: &str = include_str!("../../python/requirements-sklearn.txt");
/// Packages that travel inside a Python function.
const LAMBDA: &str = include_str!("../../python/requirements-lambda.txt");
/// Packages that carry `perf_analyzer`.
const PERF: &str = include_str!("../../python/requirements-perf.txt");

/// Installs what is not there; adds what is missing, and why, to `missing`.
pub(super) fn install(places: &Places, missing: &mut Vec<String>) -> Python {
    let mut keep = |made: Result<PathBuf, Failure>, tests: &str| match made {
        Ok(folder) => Some(folder),
        Err(failure) => {
            missing.push(format!("{tests}: {failure}"));
            None
        }
    };
    let venv = keep(
        made(&places.cache, "venv", &[CALLED, BARE], make_venv),
        "Python packages (tests through clients and models made by others)",
    );
    let sklearn = keep(
        made(&places.cache, "sklearn", &[SKLEARN], |folder| make_packages(folder, venv.as_deref())),
        "scikit-learn's packages (tests of the second trainer)",
    );
    let sklearn = sklearn.map(|folder| folder.join("packages"));
    let lambda = keep(
        made(&places.cache, "lambda", &[LAMBDA], |folder| {
            unpack(folder, venv.as_deref(), ("requirements-lambda.txt", LAMBDA)).map(drop)
        }),
        "awslambdaric (tests of functions that bring it)",
    );
    let lambda = lambda.map(|folder| folder.join("packages"));
    let perf = keep(
        made(&places.cache, "perf", &[PERF], |folder| make_perf(folder, venv.as_deref())),
        "perf_analyzer (a test through it)",
    );
    let perf = perf.map(|folder| folder.join("packages"));
    let onnxruntime = venv.as_deref().and_then(onnxruntime);
    Python { venv, onnxruntime, sklearn, lambda, perf }
}

/// The folder for these lists of packages, made by `make` unless it stands finished.
pub(super) fn made(
    cache: &Path,
    name: &str,
    lists: &[&str],
    make: impl FnOnce(&Path) -> Result<(), Failure>,
) -> Result<PathBuf, Failure> {
    let folder = cache.join(format!("{name}-{:016x}", hash(lists.concat().as_bytes())));
    let sign = folder.join("finished");
    if sign.is_file() {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| Failure::at(folder.display(), error))?;
    }
    make(&folder)?;
    fs::write(&sign, "").map_err(|error| Failure::at(sign.display(), error))?;
    Ok(folder)
}

fn make_venv(folder: &Path) -> Result<(), Failure> {
    process::run(Command::new(INTERPRETER).args(["-m", "venv"]).arg(folder))?;
    // The lists lie beside the environment's files, so they can be read by who looks there.
    let called = written(folder, "requirements.txt", CALLED)?;
    let bare = written(folder, "requirements-bare.txt", BARE)?;
    pip(folder, &["--requirement".as_ref(), called.as_os_str()])?;
    pip(folder, &["--no-deps".as_ref(), "--requirement".as_ref(), bare.as_os_str()])
}

fn make_packages(folder: &Path, venv: Option<&Path>) -> Result<(), Failure> {
    let packages = unpack(folder, venv, ("requirements-sklearn.txt", SKLEARN))?;
    // A package's own tests are half of its files, and no trainer needs them.
    prune(&packages).map_err(|error| Failure::at(packages.display(), error))
}

fn make_perf(folder: &Path, venv: Option<&Path>) -> Result<(), Failure> {
    if !super::debian::base64() {
        return Err(Failure::new("it needs the library libb64.so.0d and an x86-64 machine"));
    }
    unpack(folder, venv, ("requirements-perf.txt", PERF)).map(drop)
}

/// Puts the files of these packages, and of no other, into a folder of their own.
fn unpack(
    folder: &Path,
    venv: Option<&Path>,
    (name, text): (&str, &str),
) -> Result<PathBuf, Failure> {
    let venv = venv.ok_or_else(|| Failure::new("there is no virtual environment to use"))?;
    fs::create_dir_all(folder).map_err(|error| Failure::at(folder.display(), error))?;
    let list = written(venv, name, text)?;
    let into = ["--no-deps", "--no-compile", "--target"];
    let mut words: Vec<_> = into.iter().map(AsRef::as_ref).collect();
    let packages = folder.join("packages");
    words.extend([packages.as_os_str(), "--requirement".as_ref(), list.as_os_str()]);
    pip(venv, &words)?;
    Ok(packages)
}

fn pip(venv: &Path, words: &[&std::ffi::OsStr]) -> Result<(), Failure> {
    let mut command = Command::new(venv.join("bin/python"));
    command.args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:"]);
    process::run(command.arg("--disable-pip-version-check").args(words))
}

fn written(folder: &Path, name: &str, text: &str) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    fs::write(&path, text).map_err(|error| Failure::at(path.display(), error))?;
    Ok(path)
}

fn prune(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        match entry.file_name().to_str() {
            Some("tests" | "__pycache__" | "include" | "bin") => fs::remove_dir_all(entry.path())?,
            _ => prune(&entry.path())?,
        }
    }
    Ok(())
}

/// ONNX Runtime's library, out of its Python package.
fn onnxruntime(venv: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(venv.join("lib")).ok()?.flatten();
    let mut folders = versions.map(|entry| entry.path().join("site-packages/onnxruntime/capi"));
    let folder = folders.find(|folder| folder.is_dir())?;
    let files = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let name = |path: &PathBuf| path.file_name()?.to_str().map(str::to_owned);
    files
        .into_iter()
        .find(|path| name(path).is_some_and(|name| name.starts_with("libonnxruntime.so")))
}
