//! How long an OCI runtime, or a program that makes containers with one, takes for a container of the
//! native function: what a cold start is measured beside.
//!
//! Always true: a container is timed from the runtime's start to its end; its program says nothing
//! and ends at once. It has namespaces of its own, this machine's `/usr` and the program, and no
//! limits; where both versions of control groups are mounted, the caller has hidden the second.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use super::{Trouble, quantiles};

/// Times so many containers.
pub(super) fn run(program: &str, starts: &str) -> Result<(), Trouble> {
    let folder = std::env::temp_dir().join(format!("freehold-bundle-{}", std::process::id()));
    fs::create_dir_all(folder.join("rootfs"))?;
    let timed = times(program, starts.parse()?, &folder);
    let _ = fs::remove_dir_all(&folder);
    println!("{}", timed?);
    Ok(())
}

fn times(program: &str, starts: usize, folder: &Path) -> Result<Value, Trouble> {
    for name in ["usr", "proc", "dev", "tmp"] {
        fs::create_dir_all(folder.join("rootfs").join(name))?;
    }
    for name in ["lib", "lib64", "bin"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), folder.join("rootfs").join(name))?;
    }
    fs::copy(std::env::current_exe()?, folder.join("rootfs/bootstrap"))?;
    fs::write(folder.join("config.json"), config().to_string())?;
    let mut times = Vec::new();
    for number in 0..starts {
        let name = format!("freehold-bench-{}-{number}", std::process::id());
        let began = Instant::now();
        let ran = words(program, folder, &name).stdin(Stdio::null()).output()?;
        let took = began.elapsed();
        if !ran.status.success() {
            return Err(format!("{program}: {}", String::from_utf8_lossy(&ran.stderr)).into());
        }
        times.push(took);
    }
    Ok(quantiles(times))
}

/// How a container is run: of the bundle, or of its root.
fn words(program: &str, folder: &Path, name: &str) -> Command {
    let mut command = Command::new(program);
    let podman = Path::new(program).file_name().is_some_and(|name| name == "podman");
    if podman {
        command.args(["run", "--rm", "--network=none", "--volume=/usr:/usr:ro", "--rootfs"]);
        command.arg(folder.join("rootfs")).args(["/bootstrap", "begun"]);
    } else {
        command.arg("run").arg("--bundle").arg(folder).arg(name);
    }
    command
}

/// Source: the OCI runtime specification 1.0.
fn config() -> Value {
    let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.2",
        "root": { "path": "rootfs", "readonly": true },
        "process": {
            "user": { "uid": 0, "gid": 0 }, "cwd": "/", "args": ["/bootstrap", "begun"],
            "env": ["PATH=/usr/bin"], "noNewPrivileges": true,
        },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"] },
            { "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"] },
        ],
        "linux": { "namespaces": namespaces },
    })
}
