//! A container's folder: an empty root with a place for every mount, scratch folders, `config.json`.
//!
//! Always true: it lies in the instance's folder, and goes with it; the scratch is mounted in a mount
//! namespace of the sandbox's own, and goes with that.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::config::{self, Places};
use super::{Fault, Kind, Runtime, groups};
use crate::plan::{BindKind, Plan, Root};
use crate::sandbox::root;

/// Where a container's files are.
#[derive(Clone, Debug)]
pub(super) struct Bundle {
    /// The folder of `config.json`.
    pub(super) at: PathBuf,
    /// What the runtime remembers.
    pub(super) state: PathBuf,
    /// What it says of faults.
    pub(super) log: PathBuf,
    /// Where it writes the number of the first process.
    pub(super) pid: PathBuf,
    /// The container's name to the runtime.
    pub(super) name: String,
}

/// Lays out the bundle of a plan.
pub(super) fn lay_out(plan: &Plan, runtime: &Runtime) -> Result<Bundle, Fault> {
    let planned = plan.root.as_ref();
    let root = planned.ok_or_else(|| Fault::new("an OCI runtime needs a root of its own"))?;
    let folder = root.at.parent().ok_or_else(|| Fault::new("the root lies nowhere"))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let at = folder.join("bundle");
    let state = at.join("state");
    fs::create_dir_all(&state).map_err(Fault::at(format!("make {}", state.display())))?;
    let scratch = folder.join("scratch");
    root::mount_scratch(&scratch, root.scratch_bytes)?;
    places(root)?;
    let groups = groups::path(&runtime.groups);
    let config = config::config(
        plan,
        root,
        &Places {
            root: &root.at,
            scratch: &scratch,
            groups: groups.as_deref(),
            tells_errors: runtime.kind != Kind::Runsc,
        },
    )?;
    let file = config::file(&at);
    fs::write(&file, config.to_string()).map_err(Fault::at("write config.json"))?;
    let (log, pid) = (at.join("log"), at.join("pid"));
    Ok(Bundle { at, state, log, pid, name })
}

/// Makes what mounts need to stand on, and the links and small files of the plan.
fn places(root: &Root) -> Result<(), Fault> {
    let always = ["/proc", "/dev", "/tmp"].map(Path::new);
    for folder in always.into_iter().chain(root.folders.iter().map(PathBuf::as_path)) {
        let place = inside(root, folder)?;
        fs::create_dir_all(&place).map_err(Fault::at(format!("make {}", folder.display())))?;
    }
    for bind in root.binds.iter().filter(|bind| bind.kind != BindKind::Device) {
        let place = inside(root, &bind.target)?;
        let told = || format!("make {}", bind.target.display());
        // Below a folder that is bound, the place is the host's.
        if root.binds.iter().any(|above| above != bind && bind.target.starts_with(&above.target)) {
            continue;
        }
        let source = fs::metadata(&bind.source).map_err(Fault::at(told()))?;
        if source.is_dir() {
            fs::create_dir_all(&place).map_err(Fault::at(told()))?;
        } else {
            fs::write(&place, b"").map_err(Fault::at(told()))?;
        }
    }
    // The runtime makes those of /dev itself.
    for (path, target) in root.links.iter().filter(|(path, _)| !path.starts_with("/dev")) {
        let place = inside(root, path)?;
        symlink(target, &place).map_err(Fault::at(format!("link {}", path.display())))?;
    }
    for (path, text) in &root.files {
        let place = inside(root, path)?;
        fs::write(&place, text).map_err(Fault::at(format!("write {}", path.display())))?;
    }
    Ok(())
}

/// The place of an inside path, with its parents made.
fn inside(root: &Root, path: &Path) -> Result<PathBuf, Fault> {
    let place = root.at.join(path.strip_prefix("/").unwrap_or(path));
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(Fault::at(format!("make {}", parent.display())))?;
    }
    Ok(place)
}
