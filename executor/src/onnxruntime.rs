//! Where ONNX Runtime's library is, and how to get it.
//!
//! Always true: the places are tried in one fixed order, and all of them are told, found or not.

use std::fs;
use std::path::{Path, PathBuf};

/// What the search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrtFound {
    /// The library.
    pub path: Option<PathBuf>,
    /// Every place that was tried, in order.
    pub looked_in: Vec<PathBuf>,
    /// What to do where it was not found.
    pub how_to_get: String,
}

/// Folders of Debian, Fedora and of people who install by hand.
const FOLDERS: [&str; 7] = [
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/opt/onnxruntime/lib",
];

/// The oldest ONNX Runtime that works, as the `api-24` feature of the `ort` crate demands.
pub const MINOR_MIN: u32 = 24;

/// Looks for ONNX Runtime's shared library.
///
/// `explicit` is a library, or a folder that holds one (such as a Python environment); nothing
/// else is tried where it is given.
pub fn onnxruntime_search(explicit: Option<&Path>) -> OrtFound {
    let mut looked_in = Vec::new();
    let path = match explicit {
        Some(path) => within(path, &mut looked_in),
        None => FOLDERS.iter().find_map(|folder| in_folder(Path::new(folder), &mut looked_in)),
    };
    let how_to_get = format!(
        "download the wheel with `pip download --no-deps onnxruntime` (1.{MINOR_MIN} or newer), \
         unzip it, and give the path of onnxruntime/capi/libonnxruntime.so.* in the settings"
    );
    OrtFound { path, looked_in, how_to_get }
}

fn within(path: &Path, looked_in: &mut Vec<PathBuf>) -> Option<PathBuf> {
    if path.is_file() {
        looked_in.push(path.to_path_buf());
        return path.canonicalize().ok();
    }
    if let Some(found) = in_folder(path, looked_in) {
        return Some(found);
    }
    let mut candidates = vec![path.join("capi"), path.join("onnxruntime/capi")];
    for entry in fs::read_dir(path.join("lib")).into_iter().flatten().flatten() {
        candidates.push(entry.path().join("site-packages/onnxruntime/capi"));
    }
    candidates.sort();
    candidates.iter().find_map(|folder| in_folder(folder, looked_in))
}

/// The newest library in this folder, by name.
fn in_folder(folder: &Path, looked_in: &mut Vec<PathBuf>) -> Option<PathBuf> {
    looked_in.push(folder.to_path_buf());
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_library(path) && path.is_file())
        .collect();
    found.sort();
    found.pop().and_then(|path| path.canonicalize().ok())
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == "libonnxruntime.so" || name.starts_with("libonnxruntime.so.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_environment_a_folder_or_a_file_will_do() {
        let folder = tempfile::tempdir().unwrap();
        let capi = folder.path().join("lib/python3.11/site-packages/onnxruntime/capi");
        fs::create_dir_all(&capi).unwrap();
        let library = capi.join("libonnxruntime.so.1.31.1");
        fs::write(capi.join("libonnxruntime_providers_shared.so"), b"").unwrap();
        assert_eq!(onnxruntime_search(Some(folder.path())).path, None);
        fs::write(&library, b"").unwrap();
        let library = library.canonicalize().unwrap();
        for place in [folder.path(), &capi, &library] {
            let found = onnxruntime_search(Some(place));
            assert_eq!(found.path.as_ref(), Some(&library), "{:?}", found.looked_in);
        }
    }
}
